"""The facts that a slide file states, under OpenSlide's names, and what nodescan makes of them; the same for every
reader."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodescan.domain.flags import Flag
from nodescan.domain.naming import few
from nodescan.domain.slide import LONGEST_SIDE_UM, BoundsUm, SlideInfo, SlideRef
from nodescan.domain.units import Micrometers, Spacing
from nodescan.errors import NotASlideError, UnmeasurableError
from nodescan.slides.frame import Level, Pyramid, place_levels
from nodescan.slides.spacing import ChosenSpacing, choose_spacing
from nodescan.slides.stated_spacing import DICOM, stated_spacing
from nodescan.slides.tiff_checks import missing_bytes, missing_words


@dataclass(frozen=True, slots=True)
class StoredSlide:
    """properties in OpenSlide's names; sizes_px : (width, height) of each level, finest first; downsamples as told.

    pictures_px: (width, height) of further pictures in the file, which no reader reads.
    """

    properties: Mapping[str, str]
    sizes_px: tuple[tuple[int, int], ...]
    downsamples: tuple[float, ...]
    pictures_px: tuple[tuple[int, int], ...] = ()

    @property
    def format(self) -> str:
        return self.properties.get("openslide.vendor", "unknown")

    def spacing(self, ref: SlideRef) -> ChosenSpacing:
        """The spacing to measure with. Raises UnmeasurableError where there is none to trust."""
        return choose_spacing(stated_spacing(self.properties), ref)

    def levels(self) -> tuple[Level, ...]:
        """Those that show the whole slide, with their factors. Beside further pictures a level may be one of theirs."""
        whole_only = self.format == DICOM or bool(self.pictures_px)
        return place_levels(self.sizes_px, self.downsamples, self.tiles_px, whole_only=whole_only)

    @property
    def tiles_px(self) -> tuple[tuple[int, int] | None, ...]:
        """(width, height) of each level's tiles, None where not told."""
        return tuple(map(self._tile_px, range(len(self.sizes_px))))

    def _tile_px(self, level: int) -> tuple[int, int] | None:
        sides = [self.properties.get(f"openslide.level[{level}].tile-{side}", "") for side in ("width", "height")]
        return (int(sides[0]), int(sides[1])) if all(side.isdecimal() and int(side) for side in sides) else None


@dataclass(frozen=True, slots=True)
class SlideFacts:
    """For `nodescan info`: filled as far as the file goes, also where it can't be measured.

    sizes_px: (width, height) of each level, finest first, level 0 is the canvas. unmeasurable: why, "" where it can be
    measured. info: None without a spacing to trust. warnings: as in SlideInfo.
    """

    format: str
    reader: str
    sizes_px: tuple[tuple[int, int], ...]
    objective_power: float | None
    info: SlideInfo | None
    unmeasurable: str
    warnings: tuple[Flag, ...]


def slide_info(stored: StoredSlide, ref: SlideRef, *, reader: str, chosen: ChosenSpacing) -> SlideInfo:
    """What a report says of the slide. Raises NotASlideError where it would be larger than any slide."""
    width_px, height_px = stored.sizes_px[0]
    longest_um = max(width_px * chosen.spacing.x, height_px * chosen.spacing.y)
    if longest_um > LONGEST_SIDE_UM:
        raise NotASlideError(
            ref.path.name,
            f"its header states {width_px:,} x {height_px:,} px of {chosen.spacing.mean:.4g} um, which is "
            f"{longest_um / 1000:,.0f} mm; no slide is longer than {LONGEST_SIDE_UM / 1000:g} mm",
            "copy it again from the scanner or the archive, or give its true um/px with --mpp if that is wrong",
        )
    return SlideInfo(
        format=stored.format,
        reader=reader,
        width_px=width_px,
        height_px=height_px,
        spacing=chosen.spacing,
        spacing_source=chosen.source,
        bounds_um=_bounds_um(stored.properties, (width_px, height_px), chosen.spacing),
        warnings=(*chosen.warnings, *_warnings(stored, ref.path)),
    )


def slide_facts(
    stored: StoredSlide, ref: SlideRef, *, reader: str, accepted_um: tuple[float, float] | None = None
) -> SlideFacts:
    """What the file tells, also where it can't be measured. Raises NotASlideError as slide_info does."""
    info, unmeasurable = None, ""
    try:
        info = slide_info(stored, ref, reader=reader, chosen=stored.spacing(ref))
        if accepted_um is not None:
            Pyramid(ref.path.name, info.spacing, stored.levels()).frame_spacing(*accepted_um)
    except UnmeasurableError as error:
        unmeasurable = f"{error.reason}; {error.remedy}"
    return SlideFacts(
        format=stored.format,
        reader=reader,
        sizes_px=stored.sizes_px,
        objective_power=_objective_power(stored.properties),
        info=info,
        unmeasurable=unmeasurable,
        warnings=info.warnings if info else _warnings(stored, ref.path),
    )


def _bounds_um(properties: Mapping[str, str], size_px: tuple[int, int], spacing: Spacing) -> BoundsUm:
    """The scanned part, or the whole canvas where the file names none."""
    names = [f"openslide.bounds-{side}" for side in ("x", "y", "width", "height")]
    if all(name in properties for name in names):
        left, top, width, height = (float(properties[name]) for name in names)
    else:
        left, top, (width, height) = 0.0, 0.0, size_px
    return BoundsUm(
        Micrometers(left * spacing.x),
        Micrometers(top * spacing.y),
        Micrometers(width * spacing.x),
        Micrometers(height * spacing.y),
    )


def _warnings(stored: StoredSlide, path: Path) -> tuple[Flag, ...]:
    """Flags of a TIFF that opens although its end is missing (levels may be gone, areas will be unreadable), and of
    pictures that are no part of the pyramid."""
    said: list[Flag] = []
    missing = missing_bytes(path)
    if missing:
        text = missing_words(missing)
        said.append(Flag("file_cut_off", f"{text[0].upper()}{text[1:]}. Copy the file again."))
    placed = {level.index for level in stored.levels()}
    strange = [size for index, size in enumerate(stored.sizes_px) if index not in placed] + list(stored.pictures_px)
    if strange:
        text = (
            f"A picture of another shape or of unclear scale in the file was ignored ({listed(strange)}). Check that "
            "the overview shows all sections of the slide."
        )
        said.append(Flag("level_ignored", text))
    return tuple(said)


def listed(sizes_px: Sequence[tuple[int, int]]) -> str:
    """The first few, (width, height) each: a file may hold thousands of pictures."""
    return few([f"{width:,} x {height:,} px" for width, height in sizes_px], 3)


def _objective_power(properties: Mapping[str, str]) -> float | None:
    try:
        power = float(properties["openslide.objective-power"])
    except (KeyError, ValueError):
        return None
    return power if math.isfinite(power) and power > 0 else None
