"""Faults that a batch must survive: cases with what must happen, and mutations of slide files."""
