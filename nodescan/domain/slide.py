"""Which slide it is, and what is known of it before a pixel is judged."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nodescan.domain.flags import Flag
from nodescan.domain.units import Micrometers, Spacing

FINEST_UM, COARSEST_UM = 0.1, 1.2
"""Plausible um/px at level 0 of a slide scanner: 100x oil is about 0.1, 10x about 1. Resolutions of 72 or 96 dpi, the
values that image programs write when they know none, are 353 and 265."""

LARGEST_ASPECT = 1.1
"""In scanners x and y differ by a few per cent at most. A larger difference is a typing error."""

AS_FINE = 1.4
"""A picture counts as full resolution if its pixels are less than so many times as large as the finest picture's. Lower
levels of a scan are reduced by more."""

LONGEST_SIDE_UM = 210_000.0
"""The largest glass, 6 x 8 inches, is 203 mm long. A file that states more is damaged or uses another unit."""


@dataclass(frozen=True, slots=True)
class SlideRef:
    """Identity only: always picklable, never an open handle.

    slide_id is unique in a batch and safe as a folder name. mpp_um is the spacing the user gave for
    this slide (None: none given); override_mpp says that it wins over a plausible value in the file. place tells the
    slide's own path from others, wherever a copy of it is read: see slide_ids.place_of; "" outside of runs. mpp_listed:
    mpp_um stands in the manifest's column mpp, which overrides no file, and isn't --mpp. renamed: a manifest gave a
    slide_id that doesn't begin with the file's name, so reports don't show the file's name either.
    """

    slide_id: str
    path: Path
    patient_id: str | None = None
    node_id: str | None = None
    mpp_um: float | None = None
    override_mpp: bool = False
    place: str = ""
    mpp_listed: bool = False
    renamed: bool = False


@dataclass(frozen=True, slots=True)
class BoundsUm:
    """The scanned part of the canvas, in um from the full level-0 canvas' top left."""

    left: Micrometers
    top: Micrometers
    width: Micrometers
    height: Micrometers

    @property
    def right(self) -> Micrometers:
        return Micrometers(self.left + self.width)

    @property
    def bottom(self) -> Micrometers:
        return Micrometers(self.top + self.height)


class SpacingSource(StrEnum):
    """Where a spacing comes from, as reports name it."""

    FILE = "file"
    """openslide.mpp-x/-y (for a generic TIFF these are its resolution tags), or OME-XML."""
    TIFF = "tiff"
    """Resolution tags that OpenSlide doesn't pass on, and those of a mask image."""
    USER = "user"
    """--mpp or the manifest filled a gap."""
    OVERRIDE = "user-override"
    """They replaced a plausible value."""

    @property
    def given(self) -> bool:
        """Whether a user gave it."""
        return self in (SpacingSource.USER, SpacingSource.OVERRIDE)


@dataclass(frozen=True, slots=True)
class SlideInfo:
    """Facts of a slide file. Spacing is of level 0 and never guessed: without it a slide can't be opened to measure.

    reader names the room that read the pixels ("openslide", "tiff"). warnings are flags of the slide's report.
    """

    format: str
    reader: str
    width_px: int
    height_px: int
    spacing: Spacing
    spacing_source: SpacingSource
    bounds_um: BoundsUm
    warnings: tuple[Flag, ...] = ()

    @property
    def shown_from_px(self) -> tuple[float, float]:
        """Left and top of what QuPath shows of the slide, the scanned part, in level-0 px."""
        return self.bounds_um.left / self.spacing.x, self.bounds_um.top / self.spacing.y

    @property
    def width_um(self) -> Micrometers:
        return Micrometers(self.width_px * self.spacing.x)

    @property
    def height_um(self) -> Micrometers:
        return Micrometers(self.height_px * self.spacing.y)
