"""Corrections of slides whose scanned part begins off the canvas' corner: places count from the canvas alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.slide import BoundsUm
from nodescan.domain.units import Micrometers
from nodescan.errors import UsageError
from nodescan.patients.corrections import apply_corrections
from nodescan.reports.places import centre
from nodescan.reports.report_reader import read_reports
from tests.patients.made_reports import disc, report, review_of, write_run

LARGE_UM, SMALL_UM = (4130.0, 3710.0), (5370.0, 4240.0)
"""Two deposits on the canvas, 1240 and 530 um apart."""


def corrected(folder: Path, corner_um: tuple[float, float], *rows: str) -> list[tuple[int, float]]:
    """Ids and diameters that a review leaves; 8 x 9 mm from this corner on were scanned."""
    found = report("s", (900.0, 420.0))
    bounds = BoundsUm(*map(Micrometers, (*corner_um, 8000.0, 9000.0)))
    discs = (disc(1, 900.0, LARGE_UM), disc(2, 420.0, SMALL_UM))
    made = replace(found, deposits=discs, info=replace(found.info, bounds_um=bounds))
    (slide,), _ = apply_corrections(read_reports(write_run(folder / "run", [made])), review_of(folder, *rows))
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


@pytest.mark.parametrize("corner_um", [FAR, ONE_OFF, NEAR, (0.0, 0.0)])
def test_centres_of_the_page_mean_what_they_say(tmp_path: Path, corner_um: tuple[float, float]) -> None:
    """Wherever the scanned part begins; and what is added stands elsewhere, to the last um that was scanned."""
    x, y = corner_um[0] + 8000, corner_um[1] + 9000
    for number, (at_um, left) in enumerate(((SMALL_UM, (1, 900.0)), (LARGE_UM, (2, 420.0)))):
        rows = (f"s,,{centre(at_um)},reject,,Dr A", f"s,,{x},{y},add,300,Dr A")
        assert corrected(tmp_path / str(number), corner_um, *rows) == sorted(
            [left, (3, 300.0)], key=lambda one: -one[1]
        )


def test_both_frames_may_mean_one_deposit(tmp_path: Path) -> None:
    """A scanned part that begins 20 um off leaves no doubt; one that begins nowhere else never asks."""
    for corner in ((20.0, 20.0), (0.0, 0.0)):
        assert corrected(tmp_path / f"{corner[0]:g}", corner, "s,,4110,3690,reject,,Dr A") == [(2, 420.0)]
