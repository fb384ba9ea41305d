"""Where on a slide something lies, in words: the page and QuPath show the scanned part, and places count from there."""

from nodescan.domain.report import SlideReport


def place(point_um: tuple[float, float], report: SlideReport) -> str:
    """A place on the canvas in words that hold for the overview and for QuPath, which show the scanned part only."""
    x_um, y_um = in_scanned_part(point_um, report)
    return f"{x_um / 1000:.2f} mm from the left, {y_um / 1000:.2f} mm from the top of {what_is_shown(report)}"


def in_scanned_part(point_um: tuple[float, float], report: SlideReport) -> tuple[float, float]:
    """A place on the canvas, in um from the scanned part's top left."""
    if report.info is None:
        return point_um
    return point_um[0] - report.info.bounds_um.left, point_um[1] - report.info.bounds_um.top


def what_is_shown(report: SlideReport) -> str:
    """The name of what places on the page count from: a part of the canvas where the file says which was scanned."""
    info = report.info
    whole = info is None or (info.bounds_um.left == 0 and info.bounds_um.top == 0)
    return "the slide image" if whole else "the scanned part"


def for_corrections(report: SlideReport) -> str:
    """What to add to the page's centres in a table of corrections, which counts as report.json does; "" for nothing."""
    if report.info is None:
        return ""
    left_um, top_um = round(report.info.bounds_um.left), round(report.info.bounds_um.top)
    if left_um == top_um == 0:
        return ""
    return (
        f"Corrections count in um from the canvas, as report.json does: add {left_um} um to x and {top_um} um to y, or "
        "name a deposit by its number."
    )
