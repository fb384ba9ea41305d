"""What holds for every reader: a row of READERS needs one of MADE, and is tested by it."""

import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError, SlideError
from nodescan.interfaces import Slide
from nodescan.slides import open_slide, slide_facts
from nodescan.slides.discovery import find_slides
from nodescan.slides.files import files_of_slide, fingerprint
from nodescan.slides.readers import READERS
from tests.slides import made_dicom
from tests.slides.made_files import overwrite, reduced
from tests.slides.made_jpegs import Coding, write_jpegs

WIDTH, HEIGHT, SPACING_UM = 640, 512, 0.25
NATIVE = Spacing.square(SPACING_UM)
WHOLE = PixelBox(0, 0, WIDTH, HEIGHT)

NEAR = 3.0
"""Grey values that JPEG changes in the mean of the picture, whose squares fill JPEG's blocks (measured: 0 and 1.1).
One pixel to a side changes 9.6, white in the place of a tile of 128 px 6.6."""


def picture() -> NDArray[np.uint8]:
    """uint8 (HEIGHT, WIDTH, 3): squares of 8 px, each of a grey of its own, and none of them white."""
    squares = np.random.default_rng(1).integers(0, 230, (HEIGHT // 8, WIDTH // 8), dtype=np.uint8)
    return np.repeat(np.kron(squares, np.ones((8, 8), np.uint8))[..., None], 3, axis=2)


def tiff(folder: Path) -> Path:
    levels = [picture(), reduced(picture(), 4)]
    return write_jpegs(folder / "s.tif", levels, Coding(subsampling="444"))


def dicom(folder: Path) -> Path:
    """Of the formats of OpenSlide one with a file for each level."""
    for factor in (1, 4):
        um = SPACING_UM * factor
        level = made_dicom.Level(
            reduced(picture(), factor), (um, um), instance=f"1.2.{factor}", syntax=made_dicom.JPEG_2000
        )
        made_dicom.write_level(folder / f"s{factor}.dcm", level)
    return folder / "s1.dcm"


MADE: dict[str, Callable[[Path], Path]] = {"tiff": tiff, "openslide": dicom}
"""Reader -> writes a slide of picture() at SPACING_UM into an empty folder, in files of some KB, several where the
format has several; the path is the one that a user names."""


@pytest.fixture(params=[reader.name for reader in READERS])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A reader's name, and a slide for it."""
    folder = tmp_path / "slides"
    folder.mkdir()
    return request.param, MADE[request.param](folder)


def opened(path: Path) -> Slide:
    return open_slide(SlideRef("s", path))


def written(path: Path) -> list[Path]:
    """All files that MADE wrote for the slide."""
    return sorted(file for file in path.parent.rglob("*") if file.is_file())


def difference(pixels: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    return float(np.abs(pixels.astype(int) - truth).mean())


def test_it_reads_the_slide_and_a_folder_search_finds_it_once(made: tuple[str, Path]) -> None:
    """What is told before reading agrees with the open slide; parts of it are no slides of their own."""
    name, path = made
    facts = slide_facts(SlideRef("s", path))
    with closing(opened(path)) as slide:
        assert (slide.info.reader, facts.reader) == (name, name)
        assert (slide.info.width_px, slide.info.height_px) == (WIDTH, HEIGHT)
        assert slide.info.spacing.mean == pytest.approx(SPACING_UM, rel=1e-3)
        assert facts.info == slide.info
    (ref,) = find_slides([str(path.parent)], mpp_um=None, override_mpp=False)
    assert ref.path == path


def test_pixels_are_at_their_place_and_white_is_around_them(made: tuple[str, Path]) -> None:
    """To the pixel: the truth, moved by one in any direction, is farther from what is read."""
    truth = picture()
    with closing(opened(made[1])) as slide:
        pixels = slide.read(PixelBox(-24, -16, WIDTH + 60, HEIGHT + 50), NATIVE)
    inside = pixels[16 : 16 + HEIGHT, 24 : 24 + WIDTH].copy()
    assert difference(inside, truth) < NEAR
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        assert difference(inside, np.roll(truth, (y, x), (0, 1))) > 2 * NEAR
    pixels[16 : 16 + HEIGHT, 24 : 24 + WIDTH] = 255
    assert (pixels == 255).all()


@pytest.mark.parametrize("spacing_um", [SPACING_UM, 1.7 * SPACING_UM, 4 * SPACING_UM])
def test_a_box_in_two_halves_is_the_box_read_whole(made: tuple[str, Path], spacing_um: float) -> None:
    """Cut inside a tile, across and down, at levels as they are stored and between them."""
    spacing = Spacing.square(spacing_um)
    with closing(opened(made[1])) as slide:
        whole = slide.read(PixelBox(5, 7, 140, 110), spacing)
        left, right = (slide.read(PixelBox(x, 7, wide, 110), spacing) for x, wide in ((5, 55), (60, 85)))
        top, bottom = (slide.read(PixelBox(5, y, 140, high), spacing) for y, high in ((7, 63), (70, 47)))
    assert np.array_equal(np.hstack([left, right]), whole)
    assert np.array_equal(np.vstack([top, bottom]), whole)


def test_what_is_damaged_can_not_be_read_and_the_rest_can(made: tuple[str, Path]) -> None:
    """512 bytes of zeros in the middle of the largest file cost an area, not the slide."""
    path = made[1]
    largest = max(written(path), key=lambda file: file.stat().st_size)
    overwrite(largest, largest.stat().st_size // 2, bytes(512))
    truth, parts = picture(), list(WHOLE.blocks(128, 128))
    with closing(opened(path)) as slide:
        with pytest.raises(RegionUnreadableError, match=path.name):
            slide.read(WHOLE, NATIVE)
        read = 0
        for box in parts:
            try:
                pixels = slide.read(box, NATIVE)
            except RegionUnreadableError:
                continue
            read += 1
            assert difference(pixels, truth[box.top : box.bottom, box.left : box.right]) < NEAR
    assert 0 < read < len(parts)


def test_what_is_missing_is_not_white(made: tuple[str, Path]) -> None:
    """Without one of its files the slide has the same pixels, or an error says that it can't be read."""
    path, truth = made[1], picture()
    for file in written(path):
        aside = file.rename(path.parent.parent / "aside")
        with suppress(SlideError), closing(opened(path)) as slide:
            assert difference(slide.read(WHOLE, NATIVE), truth) < NEAR, f"without {file.name}"
        aside.rename(file)


def test_a_slide_that_is_closed_can_not_be_read(made: tuple[str, Path]) -> None:
    """Not even what has been read before."""
    slide = opened(made[1])
    slide.read(WHOLE, NATIVE)
    slide.close()
    with pytest.raises(ValueError, match="closed"):
        slide.read(WHOLE, NATIVE)


def test_a_changed_byte_in_any_file_changes_the_fingerprint(made: tuple[str, Path]) -> None:
    """Of all that was written for the slide. A run would keep its report of other pixels."""
    path = made[1]
    assert list(files_of_slide(path)) == written(path)
    with closing(opened(path)) as slide:
        before = slide.fingerprint()
    assert fingerprint(path) == before
    for file in written(path):
        whole = file.read_bytes()
        middle = len(whole) // 2
        file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        assert fingerprint(path) != before, file.name
        file.write_bytes(whole)


def test_all_files_together_are_the_slide_anywhere(made: tuple[str, Path], tmp_path: Path) -> None:
    """As `--stage` copies them."""
    path = made[1]
    for file in files_of_slide(path):
        place = tmp_path / "copy" / file.relative_to(path.parent)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    with closing(opened(path)) as slide, closing(opened(tmp_path / "copy" / path.name)) as copy:
        assert np.array_equal(slide.read(WHOLE, NATIVE), copy.read(WHOLE, NATIVE))
        assert slide.fingerprint() == copy.fingerprint()
