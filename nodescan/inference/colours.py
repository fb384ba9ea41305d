"""The colours that a network was taught with, which it is fed relative to."""

MEAN = (0.70, 0.54, 0.69)
STD = (0.24, 0.28, 0.21)
"""Of PatchCamelyon's training patches, by colour, in [0, 1]."""
