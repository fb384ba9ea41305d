"""Where on a slide something lies: in words, to find it by eye, and in the numbers that corrections take."""

from nodescan.domain.deposits import Detection
from nodescan.domain.naming import place_words
from nodescan.domain.report import Outcome, SlideReport
from nodescan.imaging.detections import likeliest_places

LETTERS = "abc"
"""Of marked places, the likeliest first."""


def marked_places(report: SlideReport) -> tuple[Detection, ...]:
    """The likeliest places of a slide on which no deposit was found: the overview marks them with LETTERS."""
    if report.deposits or report.outcome is not Outcome.JUDGED:
        return ()
    return likeliest_places(report.detections, ())


def score_words(found: Detection, seed: float | None) -> str:
    """A place's score, and what a deposit needs where that is more: "score 0.82; a deposit needs 0.875".

    seed: that of the model, None where it isn't known or isn't to be said.
    """
    needed = "" if seed is None or found.confidence >= seed else f"; a deposit needs {seed:g}"
    return f"score {found.confidence:.2f}{needed}"


def place(point_um: tuple[float, float], report: SlideReport) -> str:
    """A place on the canvas in words that hold for the overview and for QuPath, which show the scanned part only."""
    left_um, top_um = scanned_from_um(report)
    shown = "the scanned part" if left_um or top_um else "the slide image"
    return place_words((point_um[0] - left_um, point_um[1] - top_um), shown)


def short_place(point_um: tuple[float, float], report: SlideReport) -> str:
    """The same in short, beside what `places_from` says."""
    left_um, top_um = scanned_from_um(report)
    return f"x {(point_um[0] - left_um) / 1000:.2f}, y {(point_um[1] - top_um) / 1000:.2f} mm"


def places_from(report: SlideReport) -> str:
    """Where short places count from."""
    shown = "scanned part" if any(scanned_from_um(report)) else "slide image"
    return f"x and y count from the top left of the {shown}."


def centre(point_um: tuple[float, float]) -> str:
    """A place on the canvas as report.json counts it and a table of corrections takes it, in um: "5200, 4300"."""
    return f"{point_um[0]:.0f}, {point_um[1]:.0f}"


def counted_from(report: SlideReport) -> str:
    """What the page's centres count from, and where the scanned part begins if that is elsewhere."""
    said = "Centres count from the top left of the whole slide image, as in corrections and report.json."
    scanned_um = scanned_from_um(report)
    if not any(scanned_um):
        return said
    return f"{said} The overview and QuPath show only the scanned part, which begins at {centre(scanned_um)} µm."


def scanned_from_um(report: SlideReport) -> tuple[float, float]:
    """Where on the canvas the scanned part begins, x and y in um; at the canvas' corner if the file says nothing."""
    return (0.0, 0.0) if report.info is None else (report.info.bounds_um.left, report.info.bounds_um.top)
