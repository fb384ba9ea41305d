"""What the settings of a training configuration may be: a share lies between 0 and 1, a count is at least 1."""

from collections.abc import Collection
from dataclasses import fields
from typing import Any

from nodescan.errors import UsageError


def check_settings(section: str, settings: Any, *, counts: Collection[str] = ()) -> None:
    """Raises UsageError, naming the key, where a field ..._share isn't within 0 and 1, one of `counts` is below 1, or
    another below 0.

    section: the key of the configuration that the settings, a dataclass of numbers, stand under.
    """
    for field in fields(settings):
        value, least = getattr(settings, field.name), int(field.name in counts)
        if not value >= least:
            raise UsageError(f"{section}.{field.name} is {value:g}: it must be {least} or more")
        if field.name.endswith("_share") and value > 1:
            raise UsageError(f"{section}.{field.name} is {value:g}: a share is 1 at most")
