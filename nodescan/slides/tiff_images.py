"""The pictures in a TIFF, by its directories, and whether exactly one of them is a scan: a file must be one slide."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from nodescan.domain.slide import AS_FINE
from nodescan.errors import NotASlideError
from nodescan.ome_xml import has_pixels_elsewhere, scans_px
from nodescan.slides.conversion import alone, apart, tiled_copy
from nodescan.slides.stored import StoredSlide, listed
from nodescan.slides.tiff_directories import CutOffTiffError, Directory, Tag, directories_of

_REDUCED, _MASK = 1, 4
"""Bits of NewSubfileType (TIFF 6.0, section 8)."""


@dataclass(frozen=True, slots=True)
class TiffPicture:
    """One directory. page: its number, from 0 on; size_px: width and height; samples: a pixel; mask: whether it tells
    which pixels of another are to be shown; description: b"" of all but the first."""

    page: int
    size_px: tuple[int, int]
    samples: int
    tiled: bool
    reduced: bool
    mask: bool
    description: bytes

    @property
    def is_level(self) -> bool:
        """Whether OpenSlide takes it for a level, if the file is a generic TIFF to it."""
        return self.tiled and (self.page == 0 or self.reduced)


def pictures(path: Path) -> tuple[TiffPicture, ...]:
    """In the file's order; none of what is no TIFF, or ends before its directories. Raises OSError."""
    try:
        return tuple(_picture(stream, page, each) for page, (stream, each) in enumerate(directories_of(path)))
    except CutOffTiffError:
        return ()


def is_reduced(stream: BinaryIO, directory: Directory) -> bool:
    """Whether it says that it is another picture, with fewer pixels. Raises CutOffTiffError."""
    return bool(directory.number(stream, Tag.SUBFILE_TYPE, 0) & _REDUCED)


def _picture(stream: BinaryIO, page: int, directory: Directory) -> TiffPicture:
    return TiffPicture(
        page,
        (directory.number(stream, Tag.WIDTH, 0), directory.number(stream, Tag.HEIGHT, 0)),
        samples=directory.number(stream, Tag.SAMPLES, 1),
        tiled=Tag.TILE_WIDTH in directory.entries,
        reduced=is_reduced(stream, directory),
        mask=bool(directory.number(stream, Tag.SUBFILE_TYPE, 0) & _MASK),
        description=b"" if page else _description(stream, directory),
    )


def _description(stream: BinaryIO, directory: Directory) -> bytes:
    try:
        return directory.raw(stream, Tag.DESCRIPTION).rstrip(b"\0")
    except CutOffTiffError:  # it lies beyond the file's end, which says nothing of the pictures
        return b""


_FULL_SIZE = 0.75
"""Share of a slide's sides that only its finest level exceeds in both: no other level, and no picture of a label."""

_AS_RGB = "export it from its program as one picture in RGB, or of planes of focus the best alone"
"""Where each is of one colour, as channels and planes are."""

_Size = tuple[int, int]


def as_one_slide(path: Path, stored: StoredSlide) -> StoredSlide:
    """OpenSlide's facts about the slide, without those that belong to another image of the file.

    For a generic TIFF OpenSlide takes the resolution from the first directory. If a later one is the finest level, the
    result has no resolution. Pictures that OpenSlide ignores are kept in pictures_px.

    Raises NotASlideError where one of those pictures is a scan, or of full size, where the file tells of a scan that
    it doesn't hold, and where several levels are of the full resolution: one of them would stand for all. Raises it
    where a mask is kept beside the slide, and OSError where the file can't be read.
    """
    finest = [(level.width_px, level.height_px) for level in stored.levels() if level.factor_x < AS_FINE]
    if len(finest) > 1:
        reason = f"holds several pictures at the full resolution ({listed(finest)}), as planes of focus are"
        raise NotASlideError(path.name, reason, "save each of them as a file of its own")
    if stored.format != "generic-tiff":
        return stored
    found = pictures(path)
    levels = [picture for picture in found if picture.is_level]
    if not levels:
        return stored
    whole = max(levels, key=lambda level: level.size_px)
    _check_others(path, whole, found)
    _check_masks(path, whole, found)
    others = [picture.size_px for picture in found if picture.tiled and not picture.is_level]
    further = tuple(size for size in others if not _is_reduced(size, whole.size_px))
    stored = replace(stored, pictures_px=further)
    if levels[0].size_px[0] == whole.size_px[0]:
        return stored
    unsaid = ("openslide.mpp-x", "openslide.mpp-y", "tiff.XResolution", "tiff.YResolution", "tiff.ImageDescription")
    return replace(stored, properties={key: text for key, text in stored.properties.items() if key not in unsaid})


def scan_page(path: Path) -> int:
    """Which of the directories of a TIFF that OpenSlide declines is the slide: the largest picture, 0 where none is.

    Raises NotASlideError where another is a scan, or of full size, and OSError where the file can't be read.
    """
    found = pictures(path)
    shown = [picture for picture in found if not picture.mask]
    whole = max(shown, key=lambda picture: (picture.size_px[0] * picture.size_px[1], picture.samples), default=None)
    if whole is None:
        return 0
    _check_others(path, whole, found)
    return whole.page


def _check_others(path: Path, whole: TiffPicture, found: Sequence[TiffPicture]) -> None:
    """Raises NotASlideError where an image beside the whole is another scan, or the file tells of one it doesn't hold.

    found: all pictures of the file.
    """
    coloured = min(whole.samples, 3)  # what is grey beside it, such as a map of tissue, is no scan
    shown = [picture for picture in found if picture.samples >= coloured and not (picture.reduced or picture.mask)]
    others = [picture for picture in shown if picture is not whole]
    large = [other for other in others if _is_large(other, whole)]
    scans = scans_px(found[0].description)
    fine = [other for other in others if other.size_px in scans[1:]]
    for kind, images in (("full size", large), ("full resolution", fine)):
        if images:
            sizes = listed([image.size_px for image in (whole, *images)])
            reason = f"holds several images of {kind} ({sizes}), of which only the first would be read"
            bands = all(image.samples == 1 for image in (whole, *images))
            pages = sorted(image.page for image in (whole, *images))
            raise NotASlideError(path.name, reason, _AS_RGB if bands else apart(path, pages))
    held, told = Counter(picture.size_px for picture in found), Counter(scans)
    lacking = {size for size in scans[1:] if held[size] < told[size] and not _is_reduced(size, scans[0])}
    if lacking and not has_pixels_elsewhere(found[0].description):
        reason = f"its OME-XML tells of a further scan ({listed(sorted(lacking))}) that the file doesn't hold"
        remedy = f"give the file it was made from; or, if all scans are in files of their own, {alone(path)}"
        raise NotASlideError(path.name, reason, remedy)


def _check_masks(path: Path, whole: TiffPicture, found: Sequence[TiffPicture]) -> None:
    """Raises NotASlideError where a mask is as large as the whole, or reduced: OpenSlide takes that for a level."""
    masks = [picture for picture in found if picture.mask and picture.tiled]
    if any(mask.reduced or _is_large(mask, whole) for mask in masks):
        reason = "holds a mask beside its picture, as GDAL writes it, which would be taken for a part of the slide"
        raise NotASlideError(path.name, reason, f"keep the picture alone: {tiled_copy(path, whole.page)}")


def _is_large(other: TiffPicture, whole: TiffPicture) -> bool:
    return all(_FULL_SIZE * a < b for a, b in zip(whole.size_px, other.size_px, strict=True))


def _is_reduced(size_px: _Size, whole_px: _Size) -> bool:
    """Whether it may be a level, as some programs write them: smaller by a whole number, but for rounding."""
    times = max(2, round(whole_px[0] / max(1, size_px[0])))
    return all(abs(side - whole / times) <= 1 for side, whole in zip(size_px, whole_px, strict=True))
