"""Corrections of slides whose scanned part begins off the canvas' corner: places count from the canvas alone."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.deposits import Detection
from nodescan.domain.slide import BoundsUm
from nodescan.domain.units import Micrometers
from nodescan.errors import UsageError
from nodescan.patients.corrections import apply_corrections
from nodescan.reports.places import centre
from nodescan.reports.report_reader import read_reports
from tests.patients.made_reports import disc, report, review_of, write_run

LARGE_UM, SMALL_UM = (4130.0, 3710.0), (5370.0, 4240.0)
"""Two deposits on the canvas, 1240 and 530 um apart."""


def corrected(
    folder: Path, corner_um: tuple[float, float], *rows: str, places: tuple[Detection, ...] = ()
) -> list[tuple[int, float]]:
    """Ids and diameters that a review leaves; 8 x 9 mm from this corner on were scanned."""
    found = report("s", (900.0, 420.0), detections=places)
    bounds = BoundsUm(*map(Micrometers, (*corner_um, 8000.0, 9000.0)))
    discs = (disc(1, 900.0, LARGE_UM), disc(2, 420.0, SMALL_UM))
    made = replace(found, deposits=discs, info=replace(found.info, bounds_um=bounds))
    (slide,), _ = apply_corrections(
        read_reports(write_run(folder / "run", [made])), review_of(folder, *rows), earlier=()
    )
    return [(deposit.id, deposit.diameter_um) for deposit in slide.deposits]


FAR, ONE_OFF, NEAR = (3100.0, 2300.0), (1240.0, 530.0), (400.0, 1500.0)
"""Corners of a scanned part: places of QuPath are off it; at the other deposit's on the canvas; at none."""


@pytest.mark.parametrize("action", ["reject,", "resize,2100", "accept,", "class,micro", "add,2100"])
@pytest.mark.parametrize(("x", "y"), [(1030, 1410), (3099, 9000), (11101, 9000), (9000, 11301)])
def test_a_centre_off_the_scanned_part_is_refused(tmp_path: Path, x: int, y: int, action: str) -> None:
    """QuPath gives deposit 1 as 1030, 1410; added there, a deposit would lie where nothing was scanned."""
    with pytest.raises(UsageError) as caught:
        corrected(tmp_path, FAR, f"s,,{x},{y},{action},Dr A")
    said = str(caught.value)
    assert f"line 2: the centre {x}, {y} um is outside of the scanned part of slide 's' (x 3100 to 11100" in said
    assert said.endswith("QuPath counts from the scanned part")


@pytest.mark.parametrize("action", ["reject,", "resize,700"])
def test_a_place_of_two_deposits_by_two_frames_means_neither(tmp_path: Path, action: str) -> None:
    """QuPath gives the small one's centre where the large one lies on the canvas: the large one was rejected."""
    with pytest.raises(
        UsageError, match=r"4128, 3712 um is at deposit 1 .* but at deposit 2 if .*; give the deposit_id"
    ):
        corrected(tmp_path, ONE_OFF, f"s,,4128,3712,{action},Dr A")


def test_a_place_of_qupath_without_a_deposit_on_the_canvas_is_refused(tmp_path: Path) -> None:
    """Whoever is told to add it is told too how centres count: else it would be counted twice."""
    with pytest.raises(UsageError, match=r"no deposit near 4970, 2740 um; .* QuPath counts from the scanned part"):
        corrected(tmp_path, NEAR, "s,,4970,2740,reject,,Dr A")


def test_what_is_added_at_a_deposit_of_qupath_is_refused(tmp_path: Path) -> None:
    """It would count twice."""
    with pytest.raises(UsageError, match=r"what is added is at deposit 2 .* read in QuPath") as told:
        corrected(tmp_path, NEAR, "s,,4970,2740,add,400,Dr A")
    assert str(told.value).endswith("If deposit 2 is meant, resize it; if not, accept or reject it in a row of its own")
    with pytest.raises(UsageError, match=r"what is added is at deposit 2 .* read in QuPath"):
        corrected(tmp_path / "beside", (NEAR[0], 0.0), "s,,4970,4240,add,400,Dr A")


@pytest.mark.parametrize(
    ("action", "left"), [("accept", [(1, 900.0), (2, 420.0), (3, 400.0)]), ("reject", [(1, 900.0), (3, 400.0)])]
)
def test_what_is_added_may_lie_where_qupath_has_a_deposit_with_a_row_of_its_own(
    tmp_path: Path, action: str, left: list[tuple[int, float]]
) -> None:
    """Accepted, the reader knows it to be another; rejected, it can't count twice. The rows' order doesn't matter."""
    rows = ("s,,4970,2740,add,400,Dr A", f"s,2,,,{action},,Dr A")
    assert corrected(tmp_path / "1", NEAR, *rows) == corrected(tmp_path / "2", NEAR, *reversed(rows)) == left


@pytest.mark.parametrize(("off_um", "refused"), [(0.9, False), (1.1, True)])
def test_a_likeliest_place_of_the_page_is_none_of_qupath(tmp_path: Path, off_um: float, refused: bool) -> None:
    """The page prints it in whole um, as corrections count, wherever QuPath has a deposit."""
    places = (Detection(0.9, 9000.0, 9000.0), Detection(0.6, 4970.0, 2740.0 - off_um))
    row = "s,,4970,2740,add,300,Dr A"
    if refused:
        with pytest.raises(UsageError, match="is at deposit 2"):
            corrected(tmp_path, NEAR, row, places=places)
    else:
        assert corrected(tmp_path, NEAR, row, places=places) == [(1, 900.0), (2, 420.0), (3, 300.0)]


def test_damaged_places_of_the_page_are_told(tmp_path: Path) -> None:
    """They are read only where they decide."""
    found = report("s", (900.0,))
    bounds = BoundsUm(*map(Micrometers, (*NEAR, 8000.0, 9000.0)))
    made = replace(found, deposits=(disc(1, 420.0, SMALL_UM),), info=replace(found.info, bounds_um=bounds))
    run = write_run(tmp_path / "run", [made])
    (run / "s" / "detections.csv").write_text("confidence,x,y\n0.9,1\n", encoding="utf-8")
    for row, told in (("s,,4970,2740,add,300,Dr A", "s/detections.csv: is damaged"), ("s,,7000,7000,add,300,Dr A", "")):
        with pytest.raises(UsageError, match=told) if told else nullcontext():
            apply_corrections(read_reports(run), review_of(tmp_path / told[:1], row), earlier=())


@pytest.mark.parametrize(("apart_um", "meant"), [(20.0, True), (1.5, False)])
def test_a_centre_of_the_page_means_its_deposit_beside_another(tmp_path: Path, apart_um: float, meant: bool) -> None:
    """Unless the other's centre is within a um as well: then neither is meant."""
    found = report("s", (900.0, 420.0))
    beside = disc(2, 420.0, (LARGE_UM[0] + apart_um, LARGE_UM[1]))
    reports = read_reports(write_run(tmp_path, [replace(found, deposits=(disc(1, 900.0, LARGE_UM), beside))]))
    rows = review_of(tmp_path / "c", f"s,,{LARGE_UM[0] + min(apart_um, 2) / 2:g},{LARGE_UM[1]:g},reject,,Dr A")
    if meant:
        (slide,), _ = apply_corrections(reports, rows, earlier=())
        assert [deposit.id for deposit in slide.deposits] == [2]
    else:
        with pytest.raises(UsageError, match=r"deposits 1, 2 are all near"):
            apply_corrections(reports, rows, earlier=())


@pytest.mark.parametrize("corner_um", [FAR, ONE_OFF, NEAR, (0.0, 0.0)])
def test_centres_of_the_page_mean_what_they_say(tmp_path: Path, corner_um: tuple[float, float]) -> None:
    """Wherever the scanned part begins; and what is added may lie at its first um and at its last."""
    for number, (at_um, left) in enumerate(((SMALL_UM, (1, 900.0)), (LARGE_UM, (2, 420.0)))):
        x, y = corner_um[0] + 8000 * number, corner_um[1] + 9000 * number
        rows = (f"s,,{centre(at_um)},reject,,Dr A", f"s,,{x},{y},add,300,Dr A")
        assert corrected(tmp_path / str(number), corner_um, *rows) == sorted(
            [left, (3, 300.0)], key=lambda one: -one[1]
        )


def test_a_place_that_is_one_of_the_canvas_alone_means_its_deposit(tmp_path: Path) -> None:
    """Read by eye, 10 um off its centre: counted as QuPath does it is at none."""
    assert corrected(tmp_path, NEAR, f"s,,{LARGE_UM[0] + 10:g},{LARGE_UM[1]:g},reject,,Dr A") == [(2, 420.0)]


def test_what_is_added_within_a_deposit_stands_where_both_frames_are_one(tmp_path: Path) -> None:
    """30 um off its centre: QuPath says nothing else there."""
    row = f"s,,{LARGE_UM[0] + 30:g},{LARGE_UM[1]:g},add,300,Dr A"
    assert corrected(tmp_path, (0.0, 0.0), row) == [(1, 900.0), (2, 420.0), (3, 300.0)]


def test_both_frames_may_mean_one_deposit(tmp_path: Path) -> None:
    """A scanned part that begins 20 um off leaves no doubt; one that begins nowhere else never asks."""
    for corner in ((20.0, 20.0), (0.0, 0.0)):
        assert corrected(tmp_path / f"{corner[0]:g}", corner, "s,,4110,3690,reject,,Dr A") == [(2, 420.0)]
