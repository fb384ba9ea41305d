"""The page of an evaluation: each figure by its name and in words, and where it lies in a plot."""

import html
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nodescan.domain.classification import Metastasis
from nodescan.evaluation.bootstrap import Estimate, number_words
from nodescan.evaluation.evaluation_page import key_facts, render
from nodescan.evaluation.figures import CLASSES, STAGES, class_task, figures
from nodescan.evaluation.froc import FrocCurve
from nodescan.evaluation.pairing import LesionMatch
from nodescan.evaluation.plots import bland_altman_plot, froc_plot, roc_plot
from nodescan.evaluation.size_figures import LargestTask, SizeAgreement, SizeTask
from nodescan.evaluation.slide_auc import RocCurve
from tests.evaluation.occasions import made_of
from tests.evaluation.test_evaluation_files import FIGURES, compared, figure
from tests.evaluation.test_operating_point import SLIDES, comparison

ITC, MICRO = Metastasis.ITC, Metastasis.MICRO
TOP, MIDDLE, BOTTOM = 14.0, 181.0, 348.0
LEFT, RIGHT = 62.0, 504.0


def pair(true_um: float, measured_um: float | None, kind: Metastasis = MICRO) -> LesionMatch:
    return LesionMatch("s", true_um, kind, measured_um, None if measured_um is None else kind)


NO_PAIRS = SizeAgreement(0, *[Estimate(None, None, None, 3)] * 4)
SIZES = SizeTask(
    lesions=(pair(900, 1000), pair(900, 1100), pair(100, None, ITC)),
    agreement=SizeAgreement(2, figure(150), figure(10), figure(290), figure(0.17)),
    by_class=(NO_PAIRS, SizeAgreement(2, figure(151), figure(11), figure(291), figure(0.18)), NO_PAIRS),
    within=figure(0.45),
    classes=np.array([[1, 0, 0, 0, 0], [0, 0, 0, 2, 0], [0, 0, 0, 0, 0]]),
    recall=(figure(0.3), figure(0.6), Estimate(None, None, None, 0)),
    recall_above=replace(figure(0.65), n=2),
    false_deposits=figure(0.25),
    n_classed=6,
    pieces=4,
)


@pytest.mark.parametrize(
    ("found", "form", "words"),
    [
        (Estimate(0.91234, 0.8, 0.9999, 5), {}, "0.912 (0.800 to 1.000)"),
        (Estimate(-12.34, -20.06, 3.0, 5), {"places": 1, "unit": " µm"}, "-12.3 µm (-20.1 to 3.0)"),
        (Estimate(4.0, -1.0, 9.04, 5), {"places": 1, "sign": True}, "+4.0 (-1.0 to +9.0)"),
        (Estimate(1.0, None, None, 5), {}, "1.000 (no interval)"),
        (Estimate(None, None, None, 0), {}, "not defined"),
    ],
)
def test_a_figure_is_written_with_its_interval(found: Estimate, form: dict[str, Any], words: str) -> None:
    """Three decimals, if no other number is asked for; what isn't known is no number."""
    assert number_words(found, **form) == words


def test_the_facts_at_the_top_are_the_figures() -> None:
    """Each under its own name, with what it is of."""
    largest = LargestTask(
        SIZES.lesions, replace(SIZES.agreement, bias=figure(77)), SIZES.by_class, figure(0.5), n_stated=5
    )
    facts = {fact.label: (fact.value, fact.note) for fact in key_facts(replace(FIGURES, sizes=SIZES, largest=largest))}
    assert facts["Slide AUC"] == (
        "0.910 (0.900 to 0.930)",
        "5 tumour, 6 normal slides; 1 without a score left out; 1 incomplete, scored by the part that was examined; "
        "the interval is approximate, because one kind has fewer than 30 slides",
    )
    assert facts["FROC score"][0] == "0.810 (0.800 to 0.830)"
    assert facts["FROC score"][1].startswith(
        "9 lesions, 8 slides; slides without a result: 1 normal left out, 1 tumour "
    )
    assert facts["Kappa of stages"] == ("0.730 (0.720 to 0.750)", "the 7 of 20 patients with a stage")
    assert facts["Kappa of slide classes"] == ("0.710 (0.700 to 0.730)", "7 slides with a class")
    assert facts["Right class"][0] == "0.720 (0.710 to 0.740)"
    assert facts["Bias of size"] == (
        "150.0 µm (150.0 to 150.0)",
        "measured minus true, 2 matched pairs measured whole",
    )
    assert facts["True size within ±"] == ("0.450 (0.440 to 0.470)", "share of 7 measured sizes; meant: 0.95")
    assert facts["Bias of largest size"] == (
        "77.0 µm (77.0 to 77.0)",
        "largest deposit of a slide, measured minus stated; 2 of 5 slides",
    )


def test_a_single_patient_node_or_slide_is_named_in_the_singular() -> None:
    """And patients of whom no slide was run are among those that the kappa of stages could have been of."""
    task = class_task([("negative", "negative")], CLASSES)
    stages = class_task([("pN0", "pN0"), ("pN1", "")], STAGES)
    found = replace(FIGURES, slide_classes=task, node_classes=task, stages=stages)
    notes = {fact.label: fact.note for fact in key_facts(found)}
    assert notes["Kappa of slide classes"] == "1 slide with a class"
    assert notes["Kappa of node classes"] == "1 node with a class"
    assert notes["Kappa of stages"] == "the 1 of 2 patients with a stage"
    notes = {fact.label: fact.note for fact in key_facts(replace(found, n_stages_not_run=2))}
    assert notes["Kappa of stages"] == "the 1 of 4 patients with a stage"
    one = class_task([("pN0", "pN0")], STAGES)
    assert {fact.label: fact.note for fact in key_facts(replace(found, stages=one))}["Kappa of stages"] == "1 patient"


def test_numbers_with_their_intervals_do_not_break_on_a_phone() -> None:
    """The table of calls scrolls sideways there, instead of setting one share on three lines."""
    calls = figures(comparison(*SLIDES)).calls
    page = render(compared(), replace(FIGURES, calls=calls), occasion=made_of("r"))
    (phone,) = re.findall(r"@media screen and \(max-width: 640px\) \{ \.pair.*", page)
    assert ".pair .across td { white-space: nowrap; }" in phone
    assert '<section class="card whole across" aria-label="At the operating point">' in page


def test_what_is_not_defined_stands_in_one_line_and_no_curve_is_drawn_of_a_handful() -> None:
    """The masthead says whose figures these are; how they were made stands under Provenance."""
    few = replace(FIGURES.lesion_task, n_lesions=4)
    sizes = replace(SIZES, agreement=NO_PAIRS)
    pages = [
        " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL).split())
        for figures_ in (replace(FIGURES, lesion_task=few, sizes=sizes), FIGURES)
        for page in [render(compared(), figures_, occasion=made_of("r"))]
    ]
    said = "Not defined: Bias of size (measured minus true, 0 matched pairs measured whole)."
    drawn = "FROC, lesions."
    assert [
        (said in page, drawn in page, "FROC is not drawn: a curve needs at least 5 lesions, not 4." in page)
        for page in pages
    ] == [
        (True, False, True),
        (False, True, False),
    ]
    assert "Not defined Bias, Lower limit of agreement, Upper limit of agreement, Median error" in pages[0]
    assert all(page.index("Wilson's") > page.index("Provenance") for page in map(html.unescape, pages))


def test_size_figures_and_tables_stand_on_the_page() -> None:
    """By name; a class of which there is no lesion has no share of them found."""
    page = render(compared(), replace(FIGURES, sizes=SIZES), occasion=made_of("r"))
    text = " ".join(re.sub(r"<style>.*?</style>|<svg.*?</svg>|<[^>]+>", " ", page, flags=re.DOTALL).split())
    for said in (
        "Lesions matched 2 of 3 4 more deposits are pieces of these lesions",
        "Bias 150.0 µm (150.0 to 150.0) measured minus true, 2 matched pairs measured whole",
        "Lower limit of agreement 10.0 µm",
        "Upper limit of agreement 290.0 µm",
        "True size within ± 0.450 (0.440 to 0.470) share of 7 measured sizes; meant: 0.95",
        "itc 0 not defined not defined not defined not defined micro 2 151.0 µm (151.0 to 151.0) 11.0 µm",
        "Median error 0.170 (0.160 to 0.190)",
        "Found isolated tumour cells 0.300 (0.290 to 0.320)",
        "Found micrometastases 0.600 (0.590 to 0.620) share of 7 of that true class",
        "Found above 0.2 mm 0.650 (0.640 to 0.670) share of 2 such lesions",
        "False deposits per slide 0.250 (0.240 to 0.270) deposits that touch no lesion; 6 slides",
    ):
        assert said in text
    assert "Found macrometastases" not in text
    for at, value in zip(("0.25", "0.5", "1", "2", "4", "8"), range(1, 7), strict=True):
        assert f" {at} 0.{value}00 (" in text


def places(svg: str) -> list[tuple[float, float, str]]:
    """Each dot: x, y, and its words."""
    found = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)".*?<title>(.*?)</title>', svg)
    return [(float(x), float(y), words) for x, y, words in found]


def lines(svg: str) -> list[list[tuple[float, float]]]:
    """The points of each line."""
    found = re.findall(r'<polyline points="([^"]+)"', svg)
    return [[(float(x), float(y)) for x, y in (point.split(",") for point in line.split())] for line in found]


def test_sizes_lie_in_the_plot_where_their_differences_are() -> None:
    """From -400 to 400 um, as the upper limit is 290: a difference of 0 in the middle, of 200 a quarter up; the means
    of 1 mm at the left end. Bias and limits are drawn at their values, too."""
    agreement = SizeAgreement(3, figure(100), figure(-90), figure(290), figure(0.1))
    svg = bland_altman_plot([pair(1000, 1000), pair(900, 1100), pair(500, None)], agreement)
    assert places(svg) == [
        (LEFT, MIDDLE, "s: 1.00 mm, measured 1.00 mm"),
        (LEFT, pytest.approx(MIDDLE - (MIDDLE - TOP) / 2), "s: 0.90 mm, measured 1.10 mm"),
    ]
    heights = [line[0][1] for line in lines(svg)]
    assert heights == pytest.approx([MIDDLE - value / 400 * (MIDDLE - TOP) for value in (100, 290, -90)], abs=0.01)
    for words in ("bias +100", "upper limit +290", "lower limit -90"):
        assert words in svg


def test_curves_run_through_their_points() -> None:
    """ROC: over the diagonal of chance, from corner to corner. FROC: the six points where they are read, and no line
    between two points where none is reached."""
    chance, curve = lines(roc_plot(RocCurve(np.array([0, 0, 1.0]), np.array([0, 0.5, 1.0]))))
    assert chance[0] == curve[0] == (LEFT, BOTTOM)
    assert chance[-1] == curve[-1] == (RIGHT, TOP)
    assert curve[1] == (LEFT, MIDDLE)
    froc = FrocCurve(np.array([0, 1.0, 4.0]), np.array([0.0, 0.5, 1.0]))
    read = [0.0, 0.0, 0.5, None, 1.0, 1.0]
    dots = places(froc_plot(froc, read, steps=True))
    step = (RIGHT - LEFT) / 7  # from 1/8 to 16, each twice the last
    assert [(x, y) for x, y, _ in dots] == [
        (pytest.approx(LEFT + step * place, abs=0.01), height)
        for place, height in ((1, BOTTOM), (2, BOTTOM), (3, MIDDLE), (5, TOP), (6, TOP))
    ]
    assert dots[2][2] == "1 false positives per slide: 0.500"
    (stepped,), (joined,) = (lines(froc_plot(froc, read, steps=steps)) for steps in (True, False))
    assert {y for _, y in stepped} == {BOTTOM, MIDDLE, TOP}
    assert len({y for _, y in joined}) > 100
