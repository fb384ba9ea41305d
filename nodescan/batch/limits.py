"""When a slide is given up, where the user says nothing else. Loads nothing: --help shows it."""

STALL_MINUTES = 10.0
"""Without any progress."""

MAX_UNREAD_PERCENT = 5.0
"""Of its tissue; with more of it unread a slide has failed, up to that it is incomplete."""
