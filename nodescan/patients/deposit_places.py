"""Which deposit a reader means by a place on the slide."""

import math

import shapely

from nodescan.domain.deposits import Deposit
from nodescan.patients.correction_rows import Correction
from nodescan.reports.report_reader import StoredReport, read_deposit_shapes

NEAR_UM = 50.0
"""A centre given by hand means the nearest deposit whose own centre, or outline, lies within this of it."""


def deposit_at(correction: Correction, original: StoredReport) -> int:
    """The id of the deposit at the centre that a row gives. Raises UsageError where there is none, or there are two."""
    assert correction.centre_um is not None
    x, y = correction.centre_um
    near = sorted(
        (_off_um(correction, deposit), deposit.id) for deposit in original.deposits if _is_at((x, y), deposit, original)
    )
    if not near:
        raise correction.where.error(f"slide {original.slide_id!r} has no deposit near {x:g}, {y:g} um; use add")
    if len(near) > 1 and near[1][0] - near[0][0] < NEAR_UM / 2:
        ids = ", ".join(str(number) for _, number in near)
        raise correction.where.error(f"deposits {ids} are all near {x:g}, {y:g} um; give the deposit_id")
    return near[0][1]


def may_mean_another(correction: Correction, original: StoredReport) -> bool:
    """Whether a row names a deposit of an earlier scan by what need not be the same deposit's in this one."""
    if correction.action == "add":
        return False
    if correction.centre_um is None:
        return True
    return all(_off_um(correction, deposit) > NEAR_UM for deposit in original.deposits)


def _off_um(correction: Correction, deposit: Deposit) -> float:
    """How far the centre that a row gives is from a deposit's own."""
    return math.dist(correction.centre_um or deposit.centre_um, deposit.centre_um)


def _is_at(place_um: tuple[float, float], deposit: Deposit, report: StoredReport) -> bool:
    """Whether a place means this deposit, by its outline; by its longest diameter where that wasn't written.

    A circle as wide as an elongated deposit reaches far off it, to where a small one may have been meant.
    """
    if math.dist(place_um, deposit.centre_um) <= NEAR_UM:
        return True
    if math.dist(place_um, deposit.centre_um) > deposit.diameter_um + NEAR_UM:
        return False
    outlines = read_deposit_shapes(report)
    outline = shapely.LineString(deposit.endpoints_um) if outlines is None else outlines.get(deposit.id)
    return outline is not None and bool(shapely.dwithin(outline, shapely.Point(place_um), NEAR_UM))
