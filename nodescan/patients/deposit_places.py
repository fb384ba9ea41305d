"""Which deposit a reader means by a place on the slide, and whether one of the size that is given can lie there."""

import math
from collections.abc import Collection

import shapely

from nodescan.csv_rows import CsvRow
from nodescan.domain.deposits import Deposit
from nodescan.patients.correction_rows import Correction, Place
from nodescan.reports.detections import read_detection_places
from nodescan.reports.geojson_report import read_deposit_shapes
from nodescan.reports.places import scanned_from_um
from nodescan.reports.report_reader import StoredReport

NEAR_UM = 50.0
"""A centre given by hand means the nearest deposit whose own centre, or outline, lies within this of it."""

_COPIED_UM = 1.0
"""A centre that was copied from a page, which prints whole um, lies within this of the deposit's own."""

_FRAME = (
    "Centres count in um (not pixels) from the top left of the whole slide image, as on the slide's page and in "
    "report.json; QuPath counts from the scanned part"
)


def check_on_slide(place_um: Place, original: StoredReport, where: CsvRow) -> None:
    """Raise UsageError for a centre off the scanned part: it is of another slide or frame, or in pixels."""
    if original.info is None:
        return
    (x, y), scanned = place_um, original.info.bounds_um
    if scanned.left <= x <= scanned.right and scanned.top <= y <= scanned.bottom:
        return
    raise where.error(
        f"the centre {x:g}, {y:g} um is outside of the scanned part of slide {original.slide_id!r} "
        f"(x {scanned.left:.0f} to {scanned.right:.0f}, y {scanned.top:.0f} to {scanned.bottom:.0f} um). {_FRAME}"
    )


def check_size_on_slide(correction: Correction, original: StoredReport, target: int) -> None:
    """Raise UsageError for a size longer than the scanned part of the slide is from corner to corner.

    Unless it is of a deposit, `target`, that is cut off: that one goes on where nothing was scanned, and the reader saw
    the glass. original: as scanned; where the slide was never opened, its size isn't known.
    """
    if original.info is None or correction.size_um is None:
        return
    scanned = original.info.bounds_um
    longest_um = math.hypot(scanned.width, scanned.height)
    cut_off = any(deposit.cut_off for deposit in original.deposits if deposit.id == target)
    if cut_off or correction.size_um <= longest_um:
        return
    raise correction.where.error(
        f"value is {correction.size_um:g} um, but slide {original.slide_id!r} is {scanned.width:.0f} x "
        f"{scanned.height:.0f} um, {longest_um:.0f} um from corner to corner. Check slide_id and value; write sizes in "
        "um (2 mm is 2000). Only a deposit that is cut off can be resized beyond the slide"
    )


def deposit_at(place_um: Place, original: StoredReport, where: CsvRow) -> int:
    """The id of the deposit at the centre that a row gives.

    Raises UsageError where there is none, or there are two, or another if the centre counts from the scanned part, as
    QuPath does.
    """
    (x, y), near = place_um, _near(place_um, original)
    if not near:
        raise where.error(
            f"slide {original.slide_id!r} has no deposit near {x:g}, {y:g} um; use add for a new one. {_FRAME}"
        )
    copied = [number for off_um, number in near if off_um <= _COPIED_UM]
    if len(copied) == 1:
        return copied[0]
    if len(near) > 1 and near[1][0] - near[0][0] < NEAR_UM / 2:
        ids = ", ".join(str(number) for _, number in near)
        raise where.error(f"deposits {ids} are all near {x:g}, {y:g} um; give the deposit_id")
    meant, in_qupath = near[0][1], _near(_counted_in_qupath(place_um, original), original)
    if in_qupath and in_qupath[0][1] != meant:
        raise where.error(
            f"{x:g}, {y:g} um is at deposit {meant} of slide {original.slide_id!r}, but at deposit {in_qupath[0][1]} "
            f"if it was read in QuPath. {_FRAME}; give the deposit_id"
        )
    return meant


def check_frame_of_added(correction: Correction, original: StoredReport, named: Collection[int]) -> None:
    """Raise UsageError where what is added lies at a deposit if its centre was read in QuPath: it would count twice.

    named: ids of deposits that have rows of their own, a rejection included: the reader knows these to be others. A
    centre that was copied from the page's likeliest places is none of QuPath's.
    """
    place_um = correction.deposit
    if not isinstance(place_um, tuple) or not any(scanned_from_um(original)):
        return
    there = [number for _, number in _near(_counted_in_qupath(place_um, original), original) if number not in named]
    if not there or _is_copied(place_um, original):
        return
    (x, y), number = place_um, there[0]
    raise correction.where.error(
        f"the centre {x:g}, {y:g} um of what is added is at deposit {number} of slide {original.slide_id!r} if it was "
        f"read in QuPath. {_FRAME}. If deposit {number} is meant, resize it; if not, accept or reject it in a row of "
        "its own"
    )


def may_mean_another(correction: Correction, original: StoredReport) -> bool:
    """Whether a row names a deposit of an earlier scan by what need not be the same deposit's in this one.

    One that was added is of no scan; this is not asked of it. A whole slide is the glass, however it was scanned. Of
    which file a row is, `Applied.other_file` says.
    """
    named = correction.deposit
    if named is None:
        return False
    return isinstance(named, int) or all(math.dist(named, one.centre_um) > NEAR_UM for one in original.deposits)


def _counted_in_qupath(place_um: Place, report: StoredReport) -> Place:
    """On the canvas, um: a place that was counted from the scanned part."""
    left_um, top_um = scanned_from_um(report)
    return place_um[0] + left_um, place_um[1] + top_um


def _is_copied(place_um: Place, report: StoredReport) -> bool:
    """Whether a place is that of a detection, as the page prints the likeliest of them."""
    return any(math.dist(place_um, found_um) <= _COPIED_UM for found_um in read_detection_places(report))


def _near(place_um: Place, report: StoredReport) -> list[tuple[float, int]]:
    """How far, in um, each deposit's centre is from a place that may mean it, and its id; the nearest first."""
    return sorted(
        (math.dist(place_um, deposit.centre_um), deposit.id)
        for deposit in report.deposits
        if _is_at(place_um, deposit, report)
    )


def _is_at(place_um: Place, deposit: Deposit, report: StoredReport) -> bool:
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
