"""What the settings of a training configuration may be: a share lies between 0 and 1, a count is at least 1."""

from collections.abc import Collection
from dataclasses import fields
from math import isinf
from typing import TYPE_CHECKING, Any

from nodescan.errors import UsageError

if TYPE_CHECKING:
    import lightning


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


def check_number(name: str, value: float, *, most: float) -> None:
    """Raises UsageError, naming the key, for what isn't a finite number from 0 to `most`."""
    if not 0 <= value <= most or isinf(value):
        allowed = "be 0 or more" if isinf(most) else f"lie between 0 and {most:g}"
        raise UsageError(f"{name} is {value:g}: it must {allowed}")


def least_px(margin_px: int, stride_px: int) -> int:
    """Side of the smallest picture that a network answers: one cell and its margins."""
    return stride_px + 2 * margin_px


def check_answered(name: str, side_px: int, least: int) -> None:
    """Raises UsageError, naming the key, where the network answers no cell of a picture of that side."""
    if side_px < least:
        raise UsageError(f"{name} is {side_px}: the network answers nothing below {least} px")


def check_network(plan: Any, trainer: "lightning.Trainer | None") -> None:
    """Raises UsageError where a plan's margin_px or stride_px isn't that of the network which the trainer trains: the
    labels of cells would lie beside what is answered."""
    net = getattr(getattr(trainer, "lightning_module", None), "net", None)
    for name in ("margin_px", "stride_px"):
        asked, own = getattr(plan, name, None), getattr(net, name, None)
        if None not in (asked, own) and asked != own:
            raise UsageError(f"plan.{name} is {asked}: the network's own is {own}")
