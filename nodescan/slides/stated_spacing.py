"""What a slide's file states of its spacing, in its properties and descriptions, and whether that can be true."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from nodescan.domain.slide import COARSEST_UM, FINEST_UM, LARGEST_ASPECT, SpacingSource
from nodescan.domain.units import MicronsPerPixel, Spacing
from nodescan.ome_xml import pixels_of
from nodescan.slides.frame import MOST_REDUCED

APERIO, DICOM = "aperio", "dicom"
"""OpenSlide's names of these formats."""

AGREEMENT = 0.02
"""A given spacing within 2 % of the file's is the same scanner's rounded value; more is a contradiction."""

COARSEST_REDUCED_UM = 50.0
"""A spacing coarser than any scanner's level 0 may be true, up to here, for a reduced picture: 0.25 um/px reduced by
128 is 32. 300 dpi, the finest that programs write by habit, is 84.7, and 0.1 mm taken for um is 100."""

_LEAST_REDUCED = 1.5
"""Levels are reduced by 2 or more; what a scanner pads a scan by is far less."""

_WHOLE_WITHIN = 0.005
"""A picture of 1,000 px that was reduced by a whole number may differ so little from it."""

_APERIO_SIZES = re.compile(r"\b(\d{1,9})x(\d{1,9})\b(?:\s*\[\d+,\d+,?\s*(\d{1,9})x(\d{1,9})\])?")
"""46920x33014 [0,100 46000x32914]: the glass, and of it the scan."""

_UM_PER_TIFF_UNIT = {"inch": 25_400.0, "centimeter": 10_000.0}


@dataclass(frozen=True, slots=True)
class FileSpacing:
    """What the file says of level 0, believed or not; None where it says nothing.

    of_pixels: it is surely no print setting, as in DICOM.
    against: a contradicting value elsewhere in the file; None if there is none, or if it doesn't count.
    place: where in the file it is stated, if two places are named.
    stand_in: it is the 1 um that programs write if they know no size.
    """

    x_um: float | None
    y_um: float | None
    source: SpacingSource
    of_pixels: bool = False
    against: "FileSpacing | None" = None
    place: str = ""
    stand_in: bool = False

    @property
    def missing(self) -> bool:
        return self.x_um is None or self.y_um is None

    @property
    def plausible(self) -> Spacing | None:
        """The spacing, or None where it is missing or can't be a slide scanner's."""
        return None if self.uneven or self.against else self.believable

    @property
    def uneven(self) -> bool:
        """Whether x and y may each be a scanner's, but differ too much: no one number is right for both."""
        each = self.believable
        return each is not None and each.aspect > LARGEST_ASPECT

    def may_be_filled(self, given_um: float) -> bool:
        """Whether a given spacing may replace it without --override-mpp, because it is missing or can't be true."""
        return self.plausible is None and not (self.uneven or self.against or self.reduced_from(given_um))

    def differs_from(self, other: "FileSpacing") -> bool:
        """Whether both may be a scanner's spacing, and they differ by more than rounding."""
        own, its = self.believable, other.believable
        return bool(own and its and max(abs(own.x / its.x - 1), abs(own.y / its.y - 1)) > AGREEMENT)

    def reduced_from(self, given_um: float | None) -> bool:
        """Whether it may be true of a reduced picture, whose full resolution isn't in the file.

        Where it may as well be a print setting, only if the given spacing times a power of two is this.
        """
        if self.x_um is None or self.y_um is None:
            return False
        finer, coarser = sorted((self.x_um, self.y_um))
        if not (finer > COARSEST_UM and coarser <= min(COARSEST_REDUCED_UM, LARGEST_ASPECT * finer)):
            return False
        if self.of_pixels or given_um is None:
            return self.of_pixels
        times = (finer + coarser) / 2 / given_um
        power = 2.0 ** round(math.log2(times))
        return 1 < power <= MOST_REDUCED and abs(times / power - 1) <= AGREEMENT

    @property
    def believable(self) -> Spacing | None:
        """x and y where each may be a scanner's, however much they differ; else None."""
        if self.x_um is None or self.y_um is None or self.stand_in:
            return None
        if not (is_scanner_spacing(self.x_um) and is_scanner_spacing(self.y_um)):
            return None
        return Spacing(MicronsPerPixel(self.x_um), MicronsPerPixel(self.y_um))

    def __str__(self) -> str:
        x, y = (f"{value:.4g}" if value is not None else "nothing" for value in (self.x_um, self.y_um))
        own = f"{x} um/px" if x == y else f"{x} x {y} um/px"
        if self.place:
            own = f"{own} ({self.place})"
        return own if self.against is None else f"{own} and {self.against}"


def stated_spacing(properties: Mapping[str, str]) -> FileSpacing:
    """What a slide's properties, in OpenSlide's names, say: openslide.mpp-x/-y; of a generic TIFF OME-XML and tags.

    What a description says is held against the tags, and against the size that it gives the scan.
    """
    if properties.get("openslide.vendor") == APERIO:
        return _of_aperio(properties)
    generic = properties.get("openslide.vendor") == "generic-tiff"
    description = properties.get("tiff.ImageDescription", "").encode() if generic else b""
    pixels = pixels_of(description, _own_size_px(properties))
    size_um = pixels.size_um
    said = _in_tags(properties, generic=generic)
    if size_um is None:
        return said
    described = FileSpacing(*size_um, SpacingSource.FILE)
    if described.differs_from(said):
        return replace(described, against=replace(said, place="resolution tags"), place="OME-XML")
    if size_um == (1.0, 1.0):  # tags that say so, too, are made from it
        return replace(described, stand_in=True)
    if not (said.missing or (described.believable and not said.believable)):
        described = said  # the same but for rounding, or what can't be true
    against = _by_size(described, pixels.sides_px, properties)
    return described if against is None else replace(described, against=against, place="OME-XML")


def _of_aperio(properties: Mapping[str, str]) -> FileSpacing:
    """Programs that reduce a scan keep its description, with a pixel size that is no longer true.

    Plausible tags are newer than the description, so they count. Without them the picture's size shows the reduction.
    It also does if tags were copied and the picture is smaller than the scan by a whole number.
    """
    described = _in_tags(properties, generic=False)
    if described.x_um is None or described.y_um is None:
        return described
    tags, against = _resolution_tags(properties), _by_size(described, _aperio_size_px(properties), properties)
    if tags is not None and tags.believable:
        if described.differs_from(tags):
            against = replace(tags, place="resolution tags")
        elif against is not None and not _is_whole(against.x_um, described.x_um):
            against = None
    return described if against is None else replace(described, against=against, place="MPP in its description")


def _is_whole(reduced_um: float | None, scan_um: float) -> bool:
    """Whether pixels of a reduced picture are a whole number of the scan's wide: a part of it seldom is, by chance."""
    times = (reduced_um or 0) / scan_um
    return abs(times - round(times)) <= _WHOLE_WITHIN * times


def _aperio_size_px(properties: Mapping[str, str]) -> tuple[int, int] | None:
    """Width and height of the scan by an Aperio description; None where it doesn't tell.

    The description's first entry: the glass' size, the scan's place and size on it, and what it was reduced to.
    """
    first = properties.get("tiff.ImageDescription", "").partition(";")[0].partition("|")[0]
    sizes = _APERIO_SIZES.search(first)
    if sizes is None:
        return None
    glass_x, glass_y, scan_x, scan_y = (int(side) if side else 0 for side in sizes.groups())
    return scan_x or glass_x, scan_y or glass_y


def _by_size(
    described: FileSpacing, scan_px: tuple[int, int] | None, properties: Mapping[str, str]
) -> FileSpacing | None:
    """The spacing of a picture that is so many times smaller than the scan of its description; None where it isn't."""
    own_px = _own_size_px(properties)
    if scan_px is None or own_px is None or described.x_um is None or described.y_um is None:
        return None
    across, down = (there / here for there, here in zip(scan_px, own_px, strict=True))
    if across < _LEAST_REDUCED or abs(across - down) > AGREEMENT * across:
        return None
    times, place = (across + down) / 2, "by the size that its description gives the scan"
    return FileSpacing(described.x_um * times, described.y_um * times, described.source, place=place)


def _own_size_px(properties: Mapping[str, str]) -> tuple[int, int] | None:
    """Width and height of the finest level."""
    width, height = (properties.get(f"openslide.level[0].{side}", "") for side in ("width", "height"))
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        return None
    return int(width), int(height)


def _in_tags(properties: Mapping[str, str], *, generic: bool) -> FileSpacing:
    x, y = _number(properties, "openslide.mpp-x"), _number(properties, "openslide.mpp-y")
    if (x is None or y is None) and generic and (tags := _resolution_tags(properties)) is not None:
        return tags
    return FileSpacing(x, y, SpacingSource.FILE, of_pixels=properties.get("openslide.vendor") == DICOM)


def _resolution_tags(properties: Mapping[str, str]) -> FileSpacing | None:
    """None where they say nothing."""
    unit_um = _UM_PER_TIFF_UNIT.get(properties.get("tiff.ResolutionUnit", "inch"))
    x_per_unit, y_per_unit = _number(properties, "tiff.XResolution"), _number(properties, "tiff.YResolution")
    if not (unit_um and x_per_unit and y_per_unit):
        return None
    return FileSpacing(unit_um / x_per_unit, unit_um / y_per_unit, SpacingSource.TIFF)


def is_scanner_spacing(um_per_px: float) -> bool:
    return FINEST_UM <= um_per_px <= COARSEST_UM  # so isn't NaN


def _number(properties: Mapping[str, str], name: str) -> float | None:
    """The property as a number, None where it is missing; a text that is no number is NaN, and so absurd."""
    text = properties.get(name)
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return math.nan
