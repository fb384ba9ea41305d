"""Whether a deposit of the size that a reader gives can lie on its slide."""

import math

from nodescan.patients.correction_rows import Correction
from nodescan.reports.report_reader import StoredReport


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
