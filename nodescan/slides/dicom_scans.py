"""Whether the levels of a DICOM series are those of one scan: OpenSlide takes all of a series for one slide."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodescan.domain.slide import AS_FINE
from nodescan.slides.dicom_series import DicomLevel, series_levels

_SAME_EXTENT, _ROUNDED_PX = 0.01, 2
"""Levels of one scan show the same area, but for sides cut or padded to whole pixels, and rounded spacings."""

_PUT_APART = "put the files of each scan into a folder of its own"
_EXPORT_APART = "export each of them as a series of its own, and each series into a folder of its own"


@dataclass(frozen=True, slots=True)
class SeveralScans:
    """said: of what there are several. remedy: what to do about them."""

    said: str
    remedy: str


def several_scans(path: Path) -> SeveralScans | None:
    """Why the series of a DICOM file isn't one scan; None where it is, or the file isn't DICOM. Raises OSError."""
    found = tuple(series_levels(path).values())
    if said := _laid_over(found):
        return SeveralScans(said, _EXPORT_APART)
    levels = {level.concatenation or level.instance or str(index): level for index, level in enumerate(found)}
    said = _contradiction(tuple(levels.values()))
    return None if said is None else SeveralScans(said, _PUT_APART)


def _laid_over(files: Sequence[DicomLevel]) -> str | None:
    """What shares the places of one level's tiles: OpenSlide would show one for each place, the first or the last."""
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
