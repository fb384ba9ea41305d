"""A DICOM series is read only where all its levels are of one scan."""

import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import NotASlideError
from nodescan.slides import open_slide, slide_facts
from nodescan.slides.dicom_frames import checked_frames
from nodescan.slides.dicom_series import several_scans
from tests.slides.made_dicom import EXPLICIT, JPEG, Level, write_level, write_pyramid
from tests.slides.made_files import noise

ONE, OTHER = noise(768, 1024), noise(750, 1000, seed=1)


def refused(path: Path) -> str:
    """Why, the same from opening and from asking for facts."""
    with pytest.raises(NotASlideError) as caught:
        open_slide(SlideRef("s", path))
    with pytest.raises(NotASlideError):
        slide_facts(SlideRef("s", path))
    return str(caught.value)


def level(path: Path, pixels: NDArray[np.uint8], um: float, *, flavour: str = "VOLUME") -> Path:
    return write_level(path, Level(pixels, (um, um), instance=f"1.2.{path.stem[1:]}", flavour=flavour))


def test_two_pyramids_in_one_series_are_refused_and_read_in_folders_of_their_own(tmp_path: Path) -> None:
    """OpenSlide takes both for one slide: the overview would be one scan's, the finest pixels another's."""
    both = tmp_path / "both"
    path = write_pyramid(both, ONE, (1, 4), name="a", pyramid="1.1")
    write_pyramid(both, OTHER, (1, 4), name="b", pyramid="1.2")
    assert refused(path) == (
        "a1.dcm: its DICOM series holds several scans (2 pyramids), and one would stand for all; "
        "put the files of each scan into a folder of its own"
    )
    for name, pixels in (("a", ONE), ("b", OTHER)):
        for file in both.glob(f"{name}*.dcm"):
            (tmp_path / name).mkdir(exist_ok=True)
            shutil.copy(file, tmp_path / name)
        slide = open_slide(SlideRef("s", tmp_path / name / f"{name}1.dcm"))
        height, width = pixels.shape[:2]
        assert np.array_equal(slide.read(PixelBox(0, 0, width, height), Spacing.square(0.486)), pixels)


def test_a_second_picture_at_the_full_resolution_is_not_passed_over(tmp_path: Path) -> None:
    """A second scanned area without a pyramid's name: what is on it would be unread."""
    path = write_pyramid(tmp_path, ONE, (1, 4))
    level(tmp_path / "l9.dcm", noise(300, 400, seed=2), 0.6)
    assert "several scans (2 pictures at the full resolution, " in refused(path)
    assert "300 x 400 px of 0.6 um" in refused(path)


def test_a_level_of_another_area_is_not_taken_for_the_scans_own(tmp_path: Path) -> None:
    """Of the same shape, so that it would be stretched over the slide."""
    path = level(tmp_path / "l1.dcm", ONE, 0.5)
    level(tmp_path / "l2.dcm", noise(240, 320, seed=1), 1.25)
    assert "pictures of different areas, 768 x 1,024 px of 0.5 um; 240 x 320 px of 1.25 um" in refused(path)


@pytest.mark.parametrize("size", [(192, 256), (256, 256), (191, 255), (193, 257), (190, 254)])
def test_a_level_cut_or_padded_is_the_scans_own(tmp_path: Path, size: tuple[int, int]) -> None:
    """To whole pixels or tiles of 128."""
    level(tmp_path / "l1.dcm", ONE, 0.5)
    level(tmp_path / "l4.dcm", noise(*size), 2.0)
    assert several_scans(tmp_path / "l1.dcm") is None


def test_labels_copies_parts_and_another_series_are_no_second_scan(tmp_path: Path) -> None:
    """Each lies beside the slide in its folder."""
    path = write_pyramid(tmp_path, ONE, (1, 4))
    shutil.copy(path, tmp_path / "copy.dcm")
    level(tmp_path / "l8.dcm", noise(300, 300), 0.5, flavour="LABEL")
    write_level(tmp_path / "x.dcm", Level(OTHER, (0.5, 0.5), series="1.2.9", instance="1.9"))
    assert several_scans(path) is None
    for part, kept in (("a", tuple(range(20))), ("b", tuple(range(20, 48)))):
        parts = Level(OTHER, (0.5, 0.5), series="5.6", instance=f"1.9.{ord(part)}", concatenation="7.7", kept=kept)
        write_level(tmp_path / f"{part}.dcm", parts)
    assert several_scans(tmp_path / "a.dcm") is None
    assert several_scans(path) is None


def test_a_level_of_a_scale_that_isnt_whole_is_told_and_not_read(tmp_path: Path) -> None:
    """Its own spacing fits; but it isn't squeezed into place."""
    path = level(tmp_path / "l1.dcm", ONE, 0.5)
    level(tmp_path / "l3.dcm", noise(226, 301), 1.7)
    slide = open_slide(SlideRef("s", path))
    assert [flag.code for flag in slide.info.warnings] == ["level_ignored"]


@pytest.mark.parametrize("kept", [None, tuple(range(48))], ids=["full", "sparse"])
@pytest.mark.parametrize("syntax", [EXPLICIT, JPEG])
def test_a_second_optical_path_is_not_passed_over(tmp_path: Path, kept: tuple[int, ...] | None, syntax: str) -> None:
    """OpenSlide shows the first path of full tiles, the last of sparse ones: tumour in the other would be unseen."""
    both = Level(ONE, (0.5, 0.5), kept=kept, paths=2, syntax=syntax)
    assert refused(write_level(tmp_path / "a.dcm", both)) == (
        "a.dcm: its DICOM series holds several scans (2 optical paths), and one would stand for all; "
        "export each of them as a series of its own, and each series into a folder of its own"
    )
    write_level(tmp_path / "a.dcm", replace(both, paths=1))
    open_slide(SlideRef("s", tmp_path / "a.dcm")).close()


@pytest.mark.parametrize("kept", [None, tuple(range(48))], ids=["full", "sparse"])
@pytest.mark.parametrize("syntax", [EXPLICIT, JPEG])
def test_more_frames_than_tiles_are_not_passed_over(tmp_path: Path, kept: tuple[int, ...] | None, syntax: str) -> None:
    """Some share a place, whatever the file says of light and focus; also where a level is split over files."""
    level = Level(ONE, (0.5, 0.5), kept=kept, doubled=True, syntax=syntax)
    assert "several scans (49 frames for the 48 tiles of a level)" in refused(write_level(tmp_path / "a.dcm", level))
    for name, part in (("a", tuple(range(47))), ("b", (46, 47))):
        parts = Level(ONE, (0.5, 0.5), kept=part, syntax=syntax, instance=f"1.9.{ord(name)}", concatenation="7.7")
        write_level(tmp_path / f"{name}.dcm", parts)
    assert "several scans (49 frames for the 48 tiles of a level)" in refused(tmp_path / "a.dcm")


@pytest.mark.parametrize("syntax", [EXPLICIT, JPEG])
def test_two_frames_in_one_place_are_refused_though_others_were_left_out(tmp_path: Path, syntax: str) -> None:
    """The last would stand for both, and a deposit in the first be unseen."""
    level = Level(ONE, (0.5, 0.5), kept=tuple(range(5, 40)), doubled=True, syntax=syntax)
    path = write_level(tmp_path / "a.dcm", level)
    with pytest.raises(NotASlideError, match=r"^a\.dcm: its .* several frames for the place of one tile"):
        open_slide(SlideRef("s", path))
    write_level(path, replace(level, doubled=False))
    shutil.copy(path, tmp_path / "copy.dcm")
    open_slide(SlideRef("s", path)).close()


@pytest.mark.parametrize(("first", "second", "sound"), [((0, 1, 2), (3, 4), True), ((0, 1, 2), (2, 3), False)])
def test_parts_of_a_level_do_not_share_a_place(
    tmp_path: Path, first: tuple[int, ...], second: tuple[int, ...], sound: bool
) -> None:
    """A sparse level that is split over two files."""
    for name, kept in (("a", first), ("b", second)):
        part = Level(ONE, (0.5, 0.5), kept=kept, instance=f"1.9.{ord(name)}", concatenation="7.7")
        write_level(tmp_path / f"{name}.dcm", part)
    with nullcontext() if sound else pytest.raises(NotASlideError, match="several frames for the place of one tile"):
        checked_frames(tmp_path / "a.dcm", ((768, 1024),))
