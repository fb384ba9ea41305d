"""Which deposit a reader means by a place on the slide.

Places count from the canvas, as in report.json. The page and QuPath show the scanned part alone and count from its
corner: where that is not the canvas' own, a place copied from them lies elsewhere, maybe on another deposit.
"""

import math
from collections.abc import Collection

import shapely

from nodescan.domain.deposits import Deposit
from nodescan.domain.slide import BoundsUm
from nodescan.patients.correction_rows import Correction
from nodescan.reports.geojson_report import read_deposit_shapes
from nodescan.reports.report_reader import StoredReport

NEAR_UM = 50.0
"""A centre given by hand means the nearest deposit whose own centre, or outline, lies within this of it."""

_FRAMES = (
    "Centres in corrections count from the canvas' top left, as in report.json; the page and QuPath count from the "
    "scanned part"
)


def check_on_slide(correction: Correction, original: StoredReport) -> None:
    """Raise UsageError for a centre off the scanned part: it is of another slide or frame, or in pixels."""
    info = original.info
    if info is None or correction.centre_um is None:
        return
    x, y = correction.centre_um
    if not (0 <= x <= info.width_um and 0 <= y <= info.height_um):
        raise correction.where.error(
            f"the centre {x:g}, {y:g} um is not on slide {original.slide_id!r}, which is {info.width_um:.0f} x "
            f"{info.height_um:.0f} um; write it in um (not pixels) from the canvas' top left, as in report.json"
        )
    if _in_bounds((x, y), info.bounds_um):
        return
    scanned = info.bounds_um
    moved = _from_scanned_part((x, y), original)
    meant = moved is not None and _in_bounds(moved, scanned)
    raise correction.where.error(
        f"the centre {x:g}, {y:g} um is outside of the scanned part of slide {original.slide_id!r} "
        f"(x {scanned.left:.0f} to {scanned.right:.0f}, y {scanned.top:.0f} to {scanned.bottom:.0f} um). {_FRAMES}"
        + (f"; did you mean {_words(moved)} um{_named(_near(moved, original))}?" if moved and meant else "")
    )


def deposit_at(correction: Correction, original: StoredReport) -> int:
    """The id of the deposit at the centre that a row gives.

    Raises UsageError where there is none, or there are two, or another if the centre counts from the scanned part.
    """
    assert correction.centre_um is not None
    x, y = correction.centre_um
    near, moved = _near((x, y), original), _from_scanned_part((x, y), original)
    there = [] if moved is None else _near(moved, original)
    if not near and moved is not None and there:
        raise correction.where.error(
            f"slide {original.slide_id!r} has no deposit near {x:g}, {y:g} um. {_FRAMES}; did you mean "
            f"{_words(moved)} um{_named(there)}?"
        )
    if not near:
        raise correction.where.error(f"slide {original.slide_id!r} has no deposit near {x:g}, {y:g} um; use add")
    if len(near) > 1 and near[1][0] - near[0][0] < NEAR_UM / 2:
        ids = ", ".join(str(number) for _, number in near)
        raise correction.where.error(f"deposits {ids} are all near {x:g}, {y:g} um; give the deposit_id")
    meant = near[0][1]
    if there and there[0][1] != meant:
        raise correction.where.error(
            f"{x:g}, {y:g} um is at deposit {meant} of slide {original.slide_id!r}, but at deposit {there[0][1]} if it "
            f"was read off the page or QuPath. {_FRAMES}; give the deposit_id"
        )
    return meant


def check_frame_of_added(correction: Correction, original: StoredReport, kept: Collection[int]) -> None:
    """Raise UsageError where what is added lies on a deposit if its centre counts from the scanned part.

    kept: ids of deposits that other rows speak of, rejected ones aside. Of those the reader knows.
    """
    if correction.action != "add" or correction.centre_um is None:
        return
    moved = _from_scanned_part(correction.centre_um, original)
    there = [] if moved is None else [found for found in _near(moved, original) if found[1] not in kept]
    if moved is None or not there:
        return
    (x, y), number = correction.centre_um, there[0][1]
    raise correction.where.error(
        f"the added deposit's centre {x:g}, {y:g} um is at deposit {number} if it was read off the page or QuPath. "
        f"{_FRAMES}, where that deposit is at {_words(moved)} um. Resize deposit {number} if it is meant; "
        f"if not, accept it in a row of its own"
    )


def may_mean_another(correction: Correction, original: StoredReport) -> bool:
    """Whether a row names a deposit of an earlier scan by what need not be the same deposit's in this one."""
    if correction.action == "add":
        return False
    centre_um = correction.centre_um
    return centre_um is None or all(math.dist(centre_um, one.centre_um) > NEAR_UM for one in original.deposits)


def _from_scanned_part(place_um: tuple[float, float], report: StoredReport) -> tuple[float, float] | None:
    """On the canvas, um: a place counted from the scanned part's top left. None where that is the canvas' own."""
    if report.info is None:
        return None
    bounds = report.info.bounds_um
    if bounds.left == 0 and bounds.top == 0:
        return None
    return place_um[0] + bounds.left, place_um[1] + bounds.top


def _in_bounds(place_um: tuple[float, float], bounds: BoundsUm) -> bool:
    x, y = place_um
    return bounds.left <= x <= bounds.right and bounds.top <= y <= bounds.bottom


def _words(place_um: tuple[float, float]) -> str:
    return f"{place_um[0]:.0f}, {place_um[1]:.0f}"


def _named(near: list[tuple[float, int]]) -> str:
    return f" (deposit {near[0][1]})" if near else ""


def _near(place_um: tuple[float, float], report: StoredReport) -> list[tuple[float, int]]:
    """How far, in um, each deposit's centre is from a place that may mean it, and its id; the nearest first."""
    return sorted(
        (math.dist(place_um, deposit.centre_um), deposit.id)
        for deposit in report.deposits
        if _is_at(place_um, deposit, report)
    )


def _is_at(place_um: tuple[float, float], deposit: Deposit, report: StoredReport) -> bool:
    """Whether a place means this deposit, by its outline; by its longest diameter where that wasn't written.

    A circle as wide as an elongated deposit reaches far off it, to where a small one may have been meant.
    """
    off_um = math.dist(place_um, deposit.centre_um)
    if off_um <= NEAR_UM:
        return True
    if off_um > deposit.diameter_um + NEAR_UM:
        return False
    outlines = read_deposit_shapes(report)
    outline = shapely.LineString(deposit.endpoints_um) if outlines is None else outlines.get(deposit.id)
    return outline is not None and bool(shapely.dwithin(outline, shapely.Point(place_um), NEAR_UM))
