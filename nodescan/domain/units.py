"""Numbers that carry their unit in their type."""

from dataclasses import dataclass
from typing import NewType, get_type_hints

Micrometers = NewType("Micrometers", float)
SquareMicrometers = NewType("SquareMicrometers", float)
MicronsPerPixel = NewType("MicronsPerPixel", float)


def plain_number(text: str) -> float:
    """The number that was written. Raises ValueError for any other text, also for 1_5, which Python reads as 15."""
    if "_" in text:
        raise ValueError(f"{text!r} is not a number")
    return float(text)


@dataclass(frozen=True, slots=True)
class Spacing:
    """Pixel size in um/px, separately in x and y, because a scanner's pixels may not be square."""

    x: MicronsPerPixel
    y: MicronsPerPixel

    def __post_init__(self) -> None:
        if not (0 < self.x < float("inf") and 0 < self.y < float("inf")):
            raise ValueError(f"spacing must be positive and finite, not {self.x} x {self.y} um/px")

    @staticmethod
    def square(um_per_px: float) -> "Spacing":
        """The same spacing both ways."""
        return Spacing(MicronsPerPixel(um_per_px), MicronsPerPixel(um_per_px))

    @property
    def mean(self) -> MicronsPerPixel:
        """The side of the square pixel of equal area."""
        return MicronsPerPixel((self.x * self.y) ** 0.5)

    @property
    def aspect(self) -> float:
        """The longer side of a pixel over the shorter: 1 where it is square."""
        return max(self.x, self.y) / min(self.x, self.y)

    @property
    def pixel_area_um2(self) -> SquareMicrometers:
        return SquareMicrometers(self.x * self.y)

    def scaled(self, factor: float) -> "Spacing":
        """The spacing of pixels `factor` times as large."""
        return Spacing(MicronsPerPixel(self.x * factor), MicronsPerPixel(self.y * factor))


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a setting, in Annotated; the least and the most are allowed themselves."""

    least: float
    most: float


def check_limits(settings: object) -> None:
    """Raises ValueError that names the first field outside its Limits."""
    for name, hint in get_type_hints(type(settings), include_extras=True).items():
        for limits in getattr(hint, "__metadata__", ()):
            value: float = getattr(settings, name)
            if isinstance(limits, Limits) and not limits.least <= value <= limits.most:
                raise ValueError(f"{name} must lie from {limits.least:g} to {limits.most:g}, not {value:g}")
