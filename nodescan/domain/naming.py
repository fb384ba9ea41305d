"""Names in a sentence that must stay short."""

from collections.abc import Sequence


def few(names: Sequence[object], most: int) -> str:
    """The first `most` names, and how many more there are."""
    shown = ", ".join(map(str, names[:most]))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
