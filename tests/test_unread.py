"""Tissue that the file won't give: a little makes a slide incomplete, much of it failed, and never negative."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nodescan.batch.slide_task import scan_one
from nodescan.domain.class_bounds import failed_if_unread
from nodescan.domain.geometry import PixelBox
from nodescan.domain.lengths import millimetres
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import NotASlideError, RegionUnreadableError, UnmeasurableError
from nodescan.interfaces import OpenSlideFile
from nodescan.reports import CHOICES, FILES
from nodescan.reports.csv_report import SUMMARY_COLUMNS, summary_row
from tests.batch.run_tools import slide_tools
from tests.fakes import PINK, PURPLE, Listener
from tests.reports.factory import read_aloud
from tests.schemas import REPORT, schema_of
from tests.test_scan import PaintedSlide

SPACING = Spacing.square(0.95)
TILES, CORE_PX = 10, 256


class TornSlide(PaintedSlide):
    """100 tiles at 0.95 um/px, all tissue, with a deposit of 300 um in tile 55; smaller ones have none.

    torn: tiles that can't be read at the analysis spacing, counted row by row. breaks: what fingerprint() raises.
    """

    def __init__(self, torn: frozenset[int], breaks: Exception | None = None, tiles: int = TILES) -> None:
        side = tiles * CORE_PX
        grain = np.random.default_rng(0).integers(-14, 15, (side, side, 1))
        pixels = np.clip(np.array(PINK) + grain, 0, 255).astype(np.uint8)
        pixels[:96] = pixels[:, :96] = pixels[-96:] = pixels[:, -96:] = 245
        rows, columns = np.ogrid[:side, :side]
        pixels[np.hypot(rows - 1408, columns - 1408) < 158] = PURPLE
        super().__init__(pixels)
        self.torn_tiles, self.breaks = torn, breaks
        self.ref = SlideRef("torn", Path("torn.tif"))

    def read(self, box: PixelBox, spacing: Spacing) -> np.ndarray:
        row, column = (box.top + box.height // 2) // CORE_PX, (box.left + box.width // 2) // CORE_PX
        if round(spacing.x / 0.95) == 1 and row * TILES + column in self.torn_tiles:
            raise RegionUnreadableError("torn.tif", "this area can't be decoded")
        return super().read(box, spacing)

    def fingerprint(self) -> str:
        if self.breaks is not None:
            raise self.breaks
        return super().fingerprint()


def scanned(out: Path, open_slide: OpenSlideFile, *, max_unread_percent: float = 5.0) -> SlideReport:
    tools = slide_tools(out, opening=open_slide, reports=CHOICES, max_unread_percent=max_unread_percent)
    return scan_one(SlideRef("torn", Path("torn.tif")), tools=tools, viewer=Listener())


def test_one_bad_tile_makes_a_slide_incomplete(tmp_path: Path) -> None:
    """1 % unread: what was found is a lower bound."""
    report = scanned(tmp_path, lambda _: TornSlide(frozenset({12})))
    assert (report.status, report.at_least) == (Status.INCOMPLETE, True)
    assert report.metastasis is not None
    assert report.unread_fraction == pytest.approx(0.01, abs=0.005)


def test_every_tenth_tile_bad_fails_the_slide_and_shows_what_was_found(tmp_path: Path) -> None:
    """No class and no score, but the deposit stands in every file, beside the reason, the map and the pictures."""
    report = scanned(tmp_path, lambda _: TornSlide(frozenset(range(3, 100, 10))))
    folder = tmp_path / "torn"
    assert (report.status, report.metastasis, report.at_least) == (Status.FAILED, None, False)
    assert report.flags[0].code == "too_much_unread"
    assert report.tumour_probability is None
    content = json.loads((folder / "report.json").read_text())
    assert list(schema_of(REPORT).iter_errors(content)) == []
    assert (content["status"], content["metastasis"], content["n_foci"]) == ("failed", None, 1)
    assert content["deposits"][0]["diameter_um"] == pytest.approx(300, abs=20)
    assert set(content["files"]) == FILES - {"report.json"}
    page = read_aloud((folder / "report.html").read_text())
    assert "No class, but tumour found" in page
    assert "more than the 5 % allowed" in page
    assert f"A deposit of at least {millimetres(report.deposits[0].diameter_um)} mm was found, but " in page
    assert "Negative" not in page
    row = dict(zip(SUMMARY_COLUMNS, summary_row(report, file="s.tif"), strict=True))
    assert (row["status"], row["metastasis"], row["n_foci"], row["tumour_probability"]) == ("failed", "", "1", "")
    assert scanned(tmp_path, lambda _: TornSlide(frozenset(range(3, 100, 10))), max_unread_percent=20).at_least


def test_the_share_that_is_allowed_is_still_allowed() -> None:
    """Exactly 5 % is incomplete, anything above fails; with nothing found there is no number of foci."""
    ref = SlideRef("s", Path("s.tif"))
    report = SlideReport(ref, Status.INCOMPLETE, None, False, examined_fraction=0.95, unread_fraction=0.05)
    assert failed_if_unread(report, 5.0) is report
    failed = failed_if_unread(replace(report, unread_fraction=np.nextafter(0.05, 1)), 5.0)
    assert failed.status is Status.FAILED
    assert dict(zip(SUMMARY_COLUMNS, summary_row(failed, file="s.tif"), strict=True))["n_foci"] == ""
    assert failed_if_unread(replace(report, unread_fraction=7 / 100), 7.0).status is Status.INCOMPLETE
    assert failed_if_unread(replace(report, unread_fraction=0.0), 0.0).status is Status.INCOMPLETE
    assert failed_if_unread(replace(report, unread_fraction=0.001), 0.0).status is Status.FAILED


def test_a_slide_of_which_nothing_could_be_read_says_a_hundred_percent() -> None:
    """Not 1e+02."""
    report = SlideReport(SlideRef("s", Path("s.tif")), Status.INCOMPLETE, None, False, unread_fraction=1.0)
    assert failed_if_unread(report, 5.0).flags[0].message.startswith("100 % of the tissue could not be read")


def _breaking(error: Exception) -> Callable[[SlideRef], TornSlide]:
    return lambda _: TornSlide(frozenset(), breaks=error, tiles=3)


@pytest.mark.parametrize("error", [NotASlideError("torn.tif", "its files can't be read any more"), ZeroDivisionError()])
def test_a_slide_that_fails_late_shows_its_overview(tmp_path: Path, error: Exception) -> None:
    """After all tiles were read, say: the page has the reason and the picture, and nothing that reads as a finding."""
    report = scanned(tmp_path, _breaking(error))
    assert report.status is Status.FAILED
    assert (tmp_path / "torn" / "overview.jpg").is_file()
    page = (tmp_path / "torn" / "report.html").read_text()
    assert "The whole slide at low magnification" in page
    assert "Not read" in page
    assert not (tmp_path / "torn" / "detections.csv").exists()


def test_a_slide_without_spacing_shows_a_picture_without_scale(tmp_path: Path) -> None:
    """It is opened once more under a spacing that is made up, for its picture alone."""
    given: list[float | None] = []

    def open_slide(ref: SlideRef) -> TornSlide:
        given.append(ref.mpp_um)
        if ref.mpp_um is None:
            raise UnmeasurableError("torn.tif", "no spacing", "give it with --mpp")
        return TornSlide(frozenset(), tiles=3)

    report = scanned(tmp_path, open_slide)
    assert (report.status, report.info, given[-1]) == (Status.UNMEASURABLE, None, 0.5)
    assert json.loads((tmp_path / "torn" / "report.json").read_text())["spacing_um"] is None
    assert (tmp_path / "torn" / "overview.jpg").is_file()


def test_a_slide_that_never_opens_has_a_page_without_picture(tmp_path: Path) -> None:
    """And the reason on it."""

    def refuse(_: SlideRef) -> TornSlide:
        raise NotASlideError("torn.tif", "it is no slide")

    assert scanned(tmp_path, refuse).flags[0].code == "not_a_slide"
    assert sorted(path.name for path in (tmp_path / "torn").iterdir()) == ["report.html", "report.json"]
