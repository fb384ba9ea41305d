"""A file whose magnifications contradict each other is never negative, and a sound one isn't accused."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from nodescan.domain.classification import Metastasis
from nodescan.domain.report import SlideReport, SlideResult, Status
from nodescan.domain.slide import SlideRef
from nodescan.interfaces import Slide
from nodescan.reports import write_reports
from nodescan.reports.first_look import look_first
from nodescan.reports.sentences import answer
from nodescan.slides import open_slide
from tests.painted import painted, scan_file
from tests.slides.made_files import reduced
from tests.slides.made_jpegs import Coding, write_jpegs
from tests.slides.openers import open_tiff, open_with_openslide
from tests.test_missing import written_in_lzw

CODES = {"levels_disagree", "another_picture"}


def result_of(path: Path, opened: Callable[[SlideRef], Slide] = open_slide, mpp_um: float | None = 0.95) -> SlideResult:
    ref = SlideRef("s", path, mpp_um=mpp_um, override_mpp=mpp_um is not None)
    return scan_file(ref, opened)


def report_of(path: Path, opened: Callable[[SlideRef], Slide] = open_slide, mpp_um: float | None = 0.95) -> SlideReport:
    return result_of(path, opened, mpp_um).report


def said(report: SlideReport) -> set[str]:
    return {flag.code for flag in report.flags} & CODES


def with_piece(side_px: int = 0) -> NDArray[np.uint8]:
    """A node, and beside it a square piece of tissue by itself; at 0.95 um/px."""
    pixels = np.concatenate([painted(), painted(glass_only=True)])
    if side_px:
        pixels[1500 : 1500 + side_px, 300 : 300 + side_px] = painted()[200 : 200 + side_px, 200 : 200 + side_px]
    return pixels


def test_a_piece_by_itself_that_the_coarse_level_lacks_makes_a_slide_incomplete(tmp_path: Path) -> None:
    """Whatever reads the file, and however it is compressed; with the piece it is negative."""
    jpeg, lzw = tmp_path / "jpeg.tif", tmp_path / "lzw.tif"
    lacking = [with_piece(320), reduced(with_piece(), 8)]
    write_jpegs(jpeg, lacking, Coding(tile_px=256))
    written_in_lzw(lzw, lacking)
    for path, opened in ((jpeg, open_tiff), (jpeg, open_with_openslide), (lzw, open_slide)):
        report = report_of(path, opened)
        assert (report.status, report.metastasis, said(report)) == (Status.INCOMPLETE, None, {"levels_disagree"})
        assert "may hold tissue that was not found" in " ".join(look_first(report))
    whole = [with_piece(320), reduced(with_piece(320), 8)]
    write_jpegs(jpeg, whole, Coding(tile_px=256))
    written_in_lzw(lzw, whole)
    for path in (jpeg, lzw):
        report = report_of(path)
        assert (report.status, report.metastasis, said(report)) == (Status.COMPLETE, Metastasis.NONE, set())


def test_what_was_found_beside_a_contradiction_is_a_lower_bound(tmp_path: Path) -> None:
    pixels = np.concatenate([painted(300), painted()])
    path = write_jpegs(
        tmp_path / "s.tif",
        [pixels, reduced(np.concatenate([painted(300), painted(glass_only=True)]), 8)],
        Coding(tile_px=256),
    )
    result = result_of(path)
    report = result.report
    assert not result.close_ups  # of large deposits they are of a lower magnification, too
    assert (report.status, report.metastasis, report.at_least) == (Status.INCOMPLETE, Metastasis.MICRO, True)
    assert "Tissue may have been missed, so the true class may be higher" in answer(report)


@pytest.mark.parametrize("shift_px", [40, 64])
def test_a_shifted_overview_is_told(tmp_path: Path, shift_px: int) -> None:
    """By 0.3 and 0.5 mm: tissue that it lays outside was shown for tissue nearby, and some of its tissue is glass."""
    pixels = painted()
    coarse = np.roll(reduced(pixels, 8), shift_px, axis=1)
    report = report_of(write_jpegs(tmp_path / "s.tif", [pixels, coarse], Coding(tile_px=256)))
    assert (report.status, report.metastasis) == (Status.INCOMPLETE, None)
    assert "levels_disagree" in said(report)


def test_a_label_in_a_magnifications_place_is_not_shown(tmp_path: Path) -> None:
    """Of a label page as long and wide as the slide's picture nothing stands on the page or in a file of its own."""
    label = np.full((128, 128, 3), 245, np.uint8)
    label[30:90, 20:110] = (255, 0, 255)
    path = write_jpegs(tmp_path / "s.tif", [painted(), label], Coding(tile_px=256))
    result = result_of(path)
    assert "levels_disagree" in said(result.report)
    write_reports(result, tmp_path / "out", may_move=lambda: None)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "No picture is shown" in page
    assert "image/jpeg" not in page
    assert not list((tmp_path / "out").glob("*.jpg")) + list((tmp_path / "out").glob("*.png"))


@cache
def mottled(seed: int) -> NDArray[np.uint8]:
    """A node at 0.475 um/px with patches some 15 um wide, so that places in it can be told apart."""
    grain = np.random.default_rng(seed).integers(-45, 46, (80, 80)).astype(np.float32)
    spots = np.asarray(Image.fromarray(grain).resize((2560, 2560), Image.Resampling.BICUBIC))
    noise = np.random.default_rng(seed).integers(-14, 15, (2560, 2560))
    pixels = np.full((3072, 3072, 3), 245, np.uint8)
    pixels[256:2816, 256:2816] = np.clip(np.array((185, 132, 165), np.float32) + (spots + noise)[..., None], 0, 255)
    return pixels


def test_an_analysed_level_of_another_picture_leaves_no_class(tmp_path: Path) -> None:
    """Its outline is the same, and so is the overview's: tissue is where it should be."""
    one, other = mottled(0), mottled(1)
    for analysed, codes in ((one, set()), (other, {"another_picture"}), (one[:, ::-1], {"another_picture"})):
        levels = [one, reduced(analysed, 2), reduced(analysed, 16)]
        path = write_jpegs(tmp_path / "s.tif", levels, Coding(tile_px=256))
        result = result_of(path, mpp_um=0.475)
        report = result.report
        assert (said(report), result.overview is None) == (codes, bool(codes))
        assert report.status is (Status.INCOMPLETE if codes else Status.COMPLETE)
        assert report.metastasis is (None if codes else Metastasis.NONE)


def test_levels_that_were_made_otherwise_are_not_accused(tmp_path: Path) -> None:
    """Sharpened, lighter, darker, picked without averaging, moved by a pixel, or 3.9995 times as coarse."""
    one = mottled(0)
    half, sixteenth = reduced(one, 2), reduced(one, 16)

    def levels(change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        return [one, change(half), change(sixteenth)]

    image = Image.fromarray(one)
    kinds = {
        "sharp": levels(lambda p: np.asarray(Image.fromarray(p).filter(ImageFilter.UnsharpMask(2, 150, 0)))),
        "light": levels(lambda p: np.clip(p * 1.06, 0, 255).astype(np.uint8)),
        "dark": levels(lambda p: (p * 0.92).astype(np.uint8)),
        "nearest": [one, one[::2, ::2], one[::16, ::16]],
        "moved": levels(lambda p: np.roll(p, (1, 1), axis=(0, 1))),
        "ratio": [one, *(np.asarray(image.resize((round(3072 / by),) * 2)) for by in (1.9995, 15.8))],
    }
    found = {}
    for name, made in kinds.items():
        path = write_jpegs(tmp_path / f"{name}.tif", [np.ascontiguousarray(p) for p in made], Coding(tile_px=256))
        found[name] = said(report_of(path, mpp_um=0.475))
    assert found == {name: set() for name in kinds}


def test_phantoms_are_not_accused(phantom: Path) -> None:
    """With fat around the node."""
    assert said(report_of(phantom, mpp_um=None)) == set()


@pytest.mark.parametrize(("name", "mpp_um"), [("CMU-1-Small-Region.svs", None), ("tcga-cr-7395-01a-01-ts1.svs", 0.5)])
def test_real_slides_are_not_accused(shared: Path, name: str, mpp_um: float | None) -> None:
    assert said(report_of(shared / "data" / "slides" / name, mpp_um=mpp_um)) == set()
