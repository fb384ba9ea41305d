"""nodescan: from a slide of a lymph node to measured, classified and reported tumour deposits."""

__version__ = "0.1.0.dev34"
