"""A file is one slide: the scan that is measured is its only one, and by its own resolution."""

from dataclasses import replace
from pathlib import Path

from nodescan.domain.slide import AS_FINE
from nodescan.errors import NotASlideError
from nodescan.ome_xml import further_scans_px
from nodescan.slides.stored import StoredSlide
from nodescan.slides.tiff_levels import tiled_images

_FULL_SIZE = 0.75
"""Share of a slide's sides that only its finest level exceeds in both: no other level, and no picture of a label."""

_APART = "save each of them as a file of its own"

_Size = tuple[int, int]


def as_one_slide(path: Path, stored: StoredSlide) -> StoredSlide:
    """What OpenSlide tells of the slide, but for what it tells of another image of the file.

    Of a generic TIFF it takes the resolution from the first directory, though a later one may be the finest level:
    then the result states none. Pictures that OpenSlide passes over are kept in pictures_px.

    Raises NotASlideError where one of those pictures is a scan, or of full size, and where several levels are of the
    full resolution: one of them would stand for all. Raises OSError where the file can't be read.
    """
    finest = [(level.width_px, level.height_px) for level in stored.levels() if level.factor_x < AS_FINE]
    if len(finest) > 1:
        reason = f"holds several pictures at the full resolution ({_listed(finest)}), as planes of focus are"
        raise NotASlideError(path.name, reason, _APART)
    if stored.format != "generic-tiff":
        return stored
    images = tiled_images(path, stored.format)
    levels = [size for size, shown in images if shown]
    if not levels:
        return stored
    others = [size for size, shown in images if not shown]
    _check_others(path, max(levels), others, stored.properties.get("tiff.ImageDescription", ""))
    pictures = tuple(size for size in others if not _is_reduced(size, max(levels)))
    stored = replace(stored, pictures_px=pictures)
    if levels[0][0] == max(levels)[0]:
        return stored
    unsaid = ("openslide.mpp-x", "openslide.mpp-y", "tiff.XResolution", "tiff.YResolution", "tiff.ImageDescription")
    return replace(stored, properties={key: text for key, text in stored.properties.items() if key not in unsaid})


def _check_others(path: Path, finest: _Size, others: list[_Size], description: str) -> None:
    """Raises NotASlideError where an image that OpenSlide passes over is another scan."""
    large = [size for size in others if all(_FULL_SIZE * a < b for a, b in zip(finest, size, strict=True))]
    scans = further_scans_px(description.encode())
    fine = [size for size in others if size in scans]
    for kind, found in (("full size", large), ("full resolution", fine)):
        if found:
            reason = (
                f"holds several images of {kind} ({_listed([finest, *found])}), of which only the first would be read"
            )
            raise NotASlideError(path.name, reason, _APART)


def _is_reduced(size_px: _Size, whole_px: _Size) -> bool:
    """Whether it may be a level, as some programs write them: smaller by a whole number, but for rounding."""
    times = max(2, round(whole_px[0] / max(1, size_px[0])))
    return all(abs(side - whole / times) <= 1 for side, whole in zip(size_px, whole_px, strict=True))


def _listed(sizes_px: list[_Size]) -> str:
    return ", ".join(f"{width:,} x {height:,} px" for width, height in sizes_px)
