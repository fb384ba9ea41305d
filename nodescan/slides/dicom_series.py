"""The slide that a DICOM file's series holds, by the file headers, and whether the series is one scan: OpenSlide takes
all of a series for one slide."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodescan.domain.slide import AS_FINE
from nodescan.slides.dicom_elements import HeaderError, Place, header_values, text

_SERIES_INSTANCE_UID = ((0x0020, 0x000E),)
_IMAGE_TYPE = ((0x0008, 0x0008),)
_INSTANCE_UID, _PYRAMID_UID = ((0x0008, 0x0018),), ((0x0008, 0x0019),)
_CONCATENATION_UID = ((0x0020, 0x9161),)
_TILE_ROWS, _TILE_COLUMNS = ((0x0028, 0x0010),), ((0x0028, 0x0011),)
_COLUMNS, _ROWS = ((0x0048, 0x0006),), ((0x0048, 0x0007),)
_OPTICAL_PATHS, _FRAMES = ((0x0048, 0x0302),), ((0x0028, 0x0008),)
_PIXEL_SPACING = ((0x5200, 0x9229), (0x0028, 0x9110), (0x0028, 0x0030))
"""In the shared functional groups' pixel measures: mm between rows, and between columns."""

_VOLUME = "VOLUME"
"""The third value of ImageType where a file is a level of the slide; LABEL, OVERVIEW and THUMBNAIL are pictures."""


@dataclass(frozen=True, slots=True)
class DicomLevel:
    """One file of a level. instance, pyramid, concatenation: UIDs, "" where its header doesn't tell; sides are 0 then.

    A level that is split over several files is one concatenation. spacing_um: x and y, None where not told.
    optical_paths: how many kinds of light or stain its frames are of. frames: how many it has. Each 0 where not
    told.
    """

    instance: str
    pyramid: str
    concatenation: str
    size_px: tuple[int, int]
    tile_px: tuple[int, int]
    spacing_um: tuple[float, float] | None
    optical_paths: int
    frames: int


def series_uid(path: Path) -> str | None:
    """SeriesInstanceUID, or None where the file isn't DICOM or its header can't be followed. Raises OSError."""
    try:
        value = header_values(path, (_SERIES_INSTANCE_UID,)).get(_SERIES_INSTANCE_UID)
        return None if value is None else text(value)
    except (HeaderError, UnicodeDecodeError):
        return None


def series_files(path: Path) -> tuple[Path, ...]:
    """The DICOM files in this one's folder that belong to its series, and itself; none where it has no series.

    Raises OSError.
    """
    uid = series_uid(path) if path.is_file() else None  # opening a pipe would wait for ever
    if uid is None:
        return ()
    return tuple(file for file in path.parent.iterdir() if file.is_file() and series_uid(file) == uid)


def series_levels(path: Path) -> dict[Path, DicomLevel]:
    """Those of series_files() that are levels of its slide, by file. Raises OSError."""
    return {file: level for file in series_files(path) if (level := level_of(file)) is not None}


def level_of(path: Path) -> DicomLevel | None:
    """What a file is of a slide's pyramid; None where it is no level, or its header can't be followed.

    Raises OSError.
    """
    uids = (_INSTANCE_UID, _PYRAMID_UID, _CONCATENATION_UID)
    numbers = (_COLUMNS, _ROWS, _TILE_COLUMNS, _TILE_ROWS, _OPTICAL_PATHS)
    try:
        values = header_values(path, (_IMAGE_TYPE, _PIXEL_SPACING, _FRAMES, *uids, *numbers))
        kinds = [kind.strip() for kind in text(values.get(_IMAGE_TYPE, b"")).split("\\")]
        if kinds[2:3] != [_VOLUME]:
            return None
        instance, pyramid, concatenation = (text(values.get(uid, b"")) for uid in uids)
        columns, rows, across, down, paths = (int.from_bytes(values.get(number, b""), "little") for number in numbers)
        told = text(values.get(_FRAMES, b""))
        return DicomLevel(
            instance,
            pyramid,
            concatenation,
            size_px=(columns, rows),
            tile_px=(across, down),
            spacing_um=_spacing_um(values),
            optical_paths=paths,
            frames=int(told) if told.isdecimal() else 0,
        )
    except (HeaderError, UnicodeDecodeError):
        return None


def _spacing_um(values: Mapping[Place, bytes]) -> tuple[float, float] | None:
    try:
        y, x = (1000 * float(side) for side in text(values.get(_PIXEL_SPACING, b"")).split("\\"))
    except ValueError:
        return None
    return (x, y) if math.isfinite(x * y) and min(x, y) > 0 else None


_SAME_EXTENT, _ROUNDED_PX = 0.01, 2
"""Levels of one scan show the same area, but for sides cut or padded to whole pixels, and rounded spacings."""

_PUT_APART = "put the files of each scan into a folder of its own"
_EXPORT_APART = "export each of them as a series of its own, and each series into a folder of its own"


def several_scans(path: Path) -> tuple[str, str] | None:
    """Of what the series of a DICOM file holds several, and what to do; None where it is one scan, or no DICOM. Raises
    OSError."""
    found = tuple(series_levels(path).values())
    if said := _laid_over(found):
        return said, _EXPORT_APART
    levels = {level.concatenation or level.instance or str(index): level for index, level in enumerate(found)}
    said = _contradiction(tuple(levels.values()))
    return None if said is None else (said, _PUT_APART)


def _laid_over(files: Sequence[DicomLevel]) -> str | None:
    """What would share the places of one level's tiles. OpenSlide would show only one at each place, the first or the
    last."""
    paths = max((level.optical_paths for level in files), default=0)
    if paths > 1:
        return f"{paths:,} optical paths"
    parts = {level.instance or str(index): level for index, level in enumerate(files)}
    frames: dict[str, int] = {}
    for key, level in parts.items():
        whole = level.concatenation or key
        frames[whole] = frames.get(whole, 0) + level.frames
        tiles = math.prod(-(-side // tile) for side, tile in zip(level.size_px, level.tile_px, strict=True) if tile)
        if min(level.tile_px) > 0 and frames[whole] > tiles:
            return f"{frames[whole]:,} frames for the {tiles:,} tiles of a level"
    return None


def _contradiction(levels: Sequence[DicomLevel]) -> str | None:
    """levels: each once, though it may come in several files or copies."""
    pyramids = {level.pyramid for level in levels if level.pyramid}
    if len(pyramids) > 1:
        return f"{len(pyramids)} pyramids"
    measured = [level for level in levels if level.spacing_um is not None]
    if not measured:
        return None
    finest = min(measured, key=_finer_side)
    as_fine = [level for level in measured if _finer_side(level) < AS_FINE * _finer_side(finest)]
    if len(as_fine) > 1:
        return f"{len(as_fine)} pictures at the full resolution, {_listed(as_fine)}"
    others = [level for level in measured if not _same_area(level, finest)]
    if others:
        return f"pictures of different areas, {_listed([finest, *others])}"
    return None


def _finer_side(level: DicomLevel) -> float:
    return min(level.spacing_um or (0.0, 0.0))


def _same_area(level: DicomLevel, finest: DicomLevel) -> bool:
    """Whether a level shows what the finest shows. Either may be padded to whole tiles."""
    for axis, (um, finest_um) in enumerate(zip(level.spacing_um or (), finest.spacing_um or (), strict=True)):
        extent_um, whole_um = level.size_px[axis] * um, finest.size_px[axis] * finest_um
        slack_um = max(_ROUNDED_PX * um, _SAME_EXTENT * whole_um)
        if not -slack_um - _padding_px(finest, axis) * finest_um <= extent_um - whole_um:
            return False
        if not extent_um - whole_um <= slack_um + _padding_px(level, axis) * um:
            return False
    return True


def _padding_px(level: DicomLevel, axis: int) -> int:
    """The most that the level may be padded by: a tile, where it ends with a whole one."""
    side, tile = level.size_px[axis], level.tile_px[axis]
    return tile if tile and side % tile == 0 else 0


def _listed(levels: Sequence[DicomLevel]) -> str:
    return "; ".join(
        f"{level.size_px[0]:,} x {level.size_px[1]:,} px of {_finer_side(level):.4g} um" for level in levels
    )
