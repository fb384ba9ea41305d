"""Size figures of planted lesions: bias, limits, median error, recall and false deposits, worked out by hand."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from nodescan.domain.classification import Metastasis
from nodescan.domain.report import SlideReport, Status
from nodescan.evaluation.bootstrap import share_of
from nodescan.evaluation.compare import Comparison, SlideOutcome
from nodescan.evaluation.evaluation_files import evaluation_as_json
from nodescan.evaluation.figures import figures
from nodescan.evaluation.froc import FrocMode
from nodescan.evaluation.pairing import LesionMatch, Pairing
from nodescan.evaluation.reference import ReferenceSlide
from nodescan.evaluation.size_figures import SizeTask, largest, recall, sizes
from nodescan.evaluation.slide_results import Subject
from tests.evaluation.made_lesions import lesion
from tests.evaluation.occasions import made_of
from tests.patients.made_reports import report


def slide(lesions: Sequence[LesionMatch], *, false: int | None = 0, pieces: int = 0) -> SlideOutcome:
    truth = ReferenceSlide("s", tumour=bool(lesions), label=None)
    return SlideOutcome(truth, None, None, Pairing(tuple(lesions), false, pieces))


PLANTED = [
    slide([lesion(100, 110), lesion(1000, 600)]),
    slide([lesion(500)], false=2, pieces=1),
    slide([lesion(3000, 3300, at_least=True), lesion(400, 480)], false=1, pieces=2),
    slide([], false=3),
    slide([lesion(2500)], false=None),  # without a class
    SlideOutcome(ReferenceSlide("u", tumour=None, label=None), None, None, None),  # without lesions in the reference
]


def named(slides: Sequence[SlideOutcome], *, patient_ids: Sequence[str] = ()) -> tuple[SlideOutcome, ...]:
    """Each slide by a name of its own, and of its patient where these are given."""
    ids = patient_ids or [""] * len(slides)
    return tuple(
        replace(one, reference=replace(one.reference, slide_id=f"s{number}", patient_id=ids[number]))
        for number, one in enumerate(slides)
    )


def task(slides: Sequence[SlideOutcome], *, patient_ids: Sequence[str] = ()) -> SizeTask:
    found = sizes(named(slides, patient_ids=patient_ids))
    assert found is not None
    return found


def test_limits_and_median_error_of_three_pairs_by_hand() -> None:
    """Differences 10, -400 and 80 um: bias -310/3, variance 67,233.3; errors of 10, 40 and 20 %. 3.3 mm is no size."""
    found = task(PLANTED).agreement
    half = 1.96 * (134_466.667 / 2) ** 0.5
    for value, expected in (
        (found.bias.value, -310 / 3),
        (found.lower.value, -310 / 3 - half),
        (found.upper.value, -310 / 3 + half),
        (found.median_error.value, 0.2),
    ):
        assert value == pytest.approx(expected, rel=1e-6)
    assert found.bias.n == found.median_error.n == 5


def test_each_true_class_has_limits_of_its_own() -> None:
    """Errors of 10 and -10 um of small ones and of 200 and -200 of large: pooled limits hold neither. A class with one
    pair has none."""
    found = task(
        [slide([lesion(100, 110), lesion(150, 140), lesion(3000, 3200), lesion(4000, 3800), lesion(900, 910)])]
    )
    itc, micro, macro = found.by_class
    assert [one.pairs for one in (*found.by_class, found.agreement)] == [2, 1, 2, 5]
    assert (itc.upper.value, macro.upper.value) == (pytest.approx(1.96 * 200**0.5), pytest.approx(1.96 * 80_000**0.5))
    assert itc.upper.value < found.agreement.upper.value < macro.upper.value
    assert (micro.bias.value, micro.upper.value) == (None, None)


def test_the_share_of_sizes_that_hold_the_truth_by_hand() -> None:
    """Of four measurements with a "±" three; on the limit is within. One "at least" and one without "±" are none."""
    found = task(
        [
            slide([lesion(100, 110, uncertainty_um=10.0)]),
            slide([lesion(500, 480, uncertainty_um=30.0)]),
            slide([lesion(900, 950, uncertainty_um=40.0)]),
            slide([lesion(3000, 2900, uncertainty_um=150.0)]),
            slide([lesion(3000, 2000, uncertainty_um=10.0, at_least=True)]),
            slide([lesion(700, 900)]),
        ]
    )
    assert found.within == share_of(3, 4)
    assert [one.within for one in found.lesions] == [True, True, False, True, None, None]


def test_one_pair_has_no_bias_and_no_limits() -> None:
    """A difference alone tells no spread, though a resample that draws its slide twice has two of them."""
    found = task([slide([lesion(500, 520)]), slide([lesion(300)])]).agreement
    assert {(one.value, one.low, one.high) for one in (found.bias, found.lower, found.upper, found.median_error)} == {
        (None, None, None)
    }


def test_recall_by_class_of_the_truth() -> None:
    """Of one ITC one, of three micrometastases two, of two macrometastases one: the one "at least" is found, too."""
    assert task(PLANTED).recall == (share_of(1, 1), share_of(2, 3), share_of(1, 2))
    assert (task(PLANTED).recall_above.value, task(PLANTED).recall_above.n) == (3 / 5, 5)


def test_a_lesion_in_the_deposit_of_another_is_found_and_has_no_size() -> None:
    """Its tumour was called, so it isn't missed; its neighbour's length is no measurement of it."""
    both = [lesion(900, 1300, holds_others=True), lesion(300, merged=True)]
    found = task([slide(both), slide([lesion(400, 420)]), slide([lesion(800)])])
    assert (found.recall[1].value, found.recall[1].n) == (0.75, 4)
    assert found.classes.tolist() == [[0] * 5, [1, 1, 0, 2, 0], [0] * 5]
    assert found.agreement.bias.value == 210


def test_where_no_slide_is_known_recall_is_not_defined() -> None:
    """Neither is it where slides are known, and none has a lesion of the class."""
    for pairings in ([], [Pairing((), 0, 0)]):
        assert recall(pairings, {Metastasis.MICRO}) == share_of(0, 0)
        assert recall(pairings, {Metastasis.MICRO}).value is None


def test_lesions_of_one_slide_are_no_independent_cases() -> None:
    """Three of five, by slide 3 of 3 and 0 of 2: the variance by slide, 2 x 2 x 1.2^2 / 25, leaves 1.04 of five cases.
    The number it is of is that of the lesions, its denominator."""
    itc = lesion(100, 105)
    missed = lesion(100)
    recall = task([slide([itc] * 3), slide([missed] * 2)]).recall[0]
    assert (recall.value, recall.n) == (0.6, 5)
    assert (recall.low, recall.high) == (pytest.approx(0.0798, abs=1e-4), pytest.approx(0.9629, abs=1e-4))


def test_one_more_found_lesion_on_a_slide_takes_no_interval_away() -> None:
    """40 of 40 on 40 slides begin at 0.912; 41 of 41 with two on one slide count as 41^2 / 43, and begin no higher."""
    one, two = slide([lesion(500, 500)]), slide([lesion(500, 500), lesion(600, 600)])
    alone, more = (task(slides).recall[1] for slides in ([one] * 40, [*[one] * 39, two]))
    assert alone == share_of(40, 40)
    assert (more.value, more.low, more.high, more.n) == (1.0, pytest.approx(0.9105, abs=1e-4), 1.0, 41)


def test_slides_of_one_patient_are_no_independent_cases() -> None:
    """Four slides of two patients: their lesions, false deposits and sizes are drawn and counted by patient."""
    slides = [slide([lesion(500, size)], false=false) for size, false in ((510, 5), (530, 5), (None, 0), (None, 0))]
    apart, together = task(slides), task(slides, patient_ids=["P1", "P1", "P2", "P2"])
    assert (apart.recall[1], together.recall[1].n) == (share_of(2, 4), 4)
    assert together.recall[1].low == pytest.approx(share_of(1, 2).low, abs=0.06)
    assert (together.false_deposits.value, together.false_deposits.n) == (2.5, 2)
    assert (apart.false_deposits.value, apart.false_deposits.n) == (2.5, 4)
    assert (apart.agreement.bias.n, together.agreement.bias.n) == (4, 2)
    assert together.agreement.bias.low is None  # of one patient or of none, each time


def test_false_deposits_and_pieces() -> None:
    """0, 2, 1 and 3 on the four slides with a class; 1 and 2 further pieces of lesions that were found."""
    found = task(PLANTED)
    assert (found.false_deposits.value, found.false_deposits.n, found.pieces) == (1.5, 4, 3)
    low, high = found.false_deposits.low, found.false_deposits.high
    assert (low, high) == (0.5, pytest.approx(13.0595 / 4, abs=1e-4))  # the bootstrap's low end, Garwood's of 6 events
    unclassed = task([slide([lesion(2500)], false=None)])
    assert (unclassed.false_deposits.value, unclassed.false_deposits.n) == (None, 0)


def test_a_table_of_classes_has_the_truth_by_row() -> None:
    """1 mm read as 0.6 stays micro; 2.1 mm read as 1.9 is a macrometastasis found as a micrometastasis."""
    found = task([*PLANTED, slide([lesion(2100, 1900)])])
    assert found.classes.tolist() == [[0, 0, 1, 0, 0], [1, 0, 0, 2, 0], [1, 0, 0, 1, 1]]


def test_slides_that_show_no_lesion_have_no_size_figures() -> None:
    """Nothing to find tells nothing of sizes."""
    assert sizes([slide([], false=3)]) is None


def stated(slide_id: str, size_um: float | None, label: Metastasis | None, found: SlideReport | None) -> SlideOutcome:
    subject = None if found is None else Subject(slide_id, found, None)
    return SlideOutcome(ReferenceSlide(slide_id, True, label, size_um), subject, None, None)


def test_the_largest_of_each_slide_is_held_against_the_stated_size() -> None:
    """Where there is a class and a label. One "at least" is found and is no measurement; none found is no size."""
    cut = report("b", (1900.0, 300.0), status=Status.INCOMPLETE)
    cut = replace(cut, deposits=(replace(cut.deposits[0], cut_off=True), cut.deposits[1]))
    slides = [
        stated("a", 1000, Metastasis.MICRO, report("a", (950.0, 300.0))),
        stated("b", 3000, Metastasis.MACRO, cut),
        stated("c", 150, Metastasis.ITC, report("c")),
        stated("d", 500, Metastasis.MICRO, report("d", status=Status.INCOMPLETE)),  # without a class
        stated("e", 500, Metastasis.MICRO, None),  # not run
        stated("f", None, Metastasis.MICRO, report("f", (700.0,))),
        stated("g", 600, None, report("g", (700.0,))),
        stated("h", 400, Metastasis.MICRO, report("h", (440.0,))),
    ]
    found = largest(slides)
    assert found is not None
    assert [
        (one.slide_id, one.true_um, one.measured_um, one.measured_class, one.at_least) for one in found.lesions
    ] == [
        ("a", 1000, 950, Metastasis.MICRO, False),
        ("b", 3000, 1900, Metastasis.MICRO, True),
        ("c", 150, None, None, False),
        ("h", 400, 440, Metastasis.MICRO, False),
    ]
    assert [one.true_class for one in found.lesions] == [s.reference.label for s in (*slides[:3], slides[7])]
    assert found.n_stated == 7
    assert (found.agreement.bias.value, found.agreement.bias.n) == (-5, 4)
    assert found.agreement.median_error.value == pytest.approx(0.075)
    assert largest(slides[3:7]) is None


def test_each_size_figure_stands_under_its_name_in_json() -> None:
    """As above; six lesions, four of them found, one of these "at least"."""
    comparison = Comparison(FrocMode.EVERY_SLIDE, named(PLANTED), (), (), (), (), (), (), None, ())
    content = evaluation_as_json(comparison, figures(comparison), occasion=made_of("r"))["size_agreement"]
    assert isinstance(content, dict)
    half = 1.96 * (134_466.667 / 2) ** 0.5
    expected = {
        "bias_um": -310 / 3,
        "lower_limit_um": -310 / 3 - half,
        "upper_limit_um": -310 / 3 + half,
        "median_relative_error": 0.2,
        "false_deposits_per_slide": 1.5,
        "recall_itc": 1.0,
        "recall_micro": 2 / 3,
        "recall_macro": 0.5,
        "recall_micro_or_macro": 3 / 5,
        "n_pairs": 3,
        "recall_itc_n": 1,
        "recall_micro_n": 3,
        "recall_macro_n": 2,
        "recall_micro_or_macro_n": 5,
        "false_deposits_per_slide_n": 4,
    }
    assert {name: content[name] for name in expected} == pytest.approx(expected)
    by_class = content["by_class"]
    assert isinstance(by_class, dict)
    assert [by_class[name]["n_pairs"] for name in ("itc", "micro", "macro")] == [1, 2, 0]
    assert by_class["micro"]["bias_um"] == pytest.approx(-160.0)  # of -400 and 80
    assert (content["within_uncertainty"], content["n_with_uncertainty"]) == (None, 0)
    assert content["false_deposits_per_slide_interval"] == pytest.approx([0.5, 13.0595 / 4], abs=1e-4)
    assert [content[name] for name in ("n_lesions", "n_matched", "n_merged", "n_may_be_larger", "pieces")] == [
        6,
        4,
        0,
        1,
        3,
    ]
    words = [Metastasis.ITC.word, Metastasis.MICRO.word, Metastasis.MACRO.word]
    assert (content["confusion_rows"], content["confusion_columns"]) == (words, ["missed", "merged", *words])
    assert content["confusion"] == [[0, 0, 1, 0, 0], [1, 0, 0, 2, 0], [1, 0, 0, 0, 1]]
