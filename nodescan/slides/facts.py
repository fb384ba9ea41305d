"""What can be told of a slide file without measuring anything."""

from dataclasses import dataclass

from nodescan.domain.flags import Flag
from nodescan.domain.slide import BoundsUm
from nodescan.domain.units import Spacing


@dataclass(frozen=True, slots=True)
class SlideFacts:
    """For `nodescan info`: filled as far as the file goes, also where it can't be measured.

    sizes_px: (width, height) of each level, finest first, level 0 is the canvas. spacing, spacing_source and bounds_um
    are None where `unmeasurable` says why; it may say why not, too, where they are known. warnings: as in SlideInfo.
    """

    format: str
    reader: str
    sizes_px: tuple[tuple[int, int], ...]
    objective_power: float | None
    spacing: Spacing | None
    spacing_source: str | None
    unmeasurable: str
    bounds_um: BoundsUm | None
    warnings: tuple[Flag, ...]

    @property
    def width_px(self) -> int:
        return self.sizes_px[0][0]

    @property
    def height_px(self) -> int:
        return self.sizes_px[0][1]

    @property
    def measurable(self) -> bool:
        return self.spacing is not None
