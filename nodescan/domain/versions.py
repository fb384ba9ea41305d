"""By what numbers this program is known; imports nothing, so that a broken installation can still name them."""

from nodescan import __version__

RESULT_VERSION = 30
"""Counted up with every set of changes that CHANGELOG.md marks Result-changing: reports of another number are made
again."""

VERSION_WORDS = f"{__version__}, result version {RESULT_VERSION}"
"""Of this program, for a reader: the first number alone stays the same over many changes of what is found."""
