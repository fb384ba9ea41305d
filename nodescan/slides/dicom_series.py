"""What a DICOM file's header tells: its series, and what it is of the slide that the series holds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
