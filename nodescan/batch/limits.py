"""Default limits from which a slide is given up. Loads nothing, because --help shows them."""

STALL_MINUTES = 10.0
"""Without any progress."""

MAX_UNREAD_PERCENT = 5.0
"""Share of the tissue that may be unread. A slide with more has failed; with less it is incomplete."""
