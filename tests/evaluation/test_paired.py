"""Two runs of the same slides: differences by hand, over slides that both have, drawn together."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nodescan.domain.classification import Metastasis
from nodescan.domain.report import ModelIdentity, Provenance
from nodescan.domain.units import Spacing
from nodescan.evaluation.compare import Comparison, SlideOutcome, Unpaired
from nodescan.evaluation.evaluation_files import write_evaluation
from nodescan.evaluation.evaluation_page import against_facts
from nodescan.evaluation.figures import figures
from nodescan.evaluation.froc import FrocMode
from nodescan.evaluation.left_out import left_out
from nodescan.evaluation.paired import Against, Difference, against
from nodescan.evaluation.pairing import Pairing
from nodescan.reports.made_with import made_with
from tests.evaluation.made_lesions import lesion
from tests.evaluation.occasions import made_of
from tests.evaluation.test_figures import FOUND_AS, classed, scored
from tests.patients.made_reports import report

NONE, ITC, MICRO, MACRO = Metastasis


def run(*slides: SlideOutcome) -> Comparison:
    return Comparison(FrocMode.EVERY_SLIDE, slides, (), (), (), (), (), (), None, ())


def differences(first: Comparison, second: Comparison) -> dict[str, Difference]:
    return {one.name: one for one in against(first, second, name="other").differences}


def test_aucs_are_compared_on_the_slides_that_both_scored() -> None:
    """Of two tumour and two normal slides one run has all four pairs in order, the other three. A slide that one run
    has no score of is in neither figure, whatever it would do to the other's."""
    first = run(
        scored("T1", 0.9, tumour=True),
        scored("t2", 0.8, tumour=True),
        scored("t3", 0.0, tumour=True),
        scored("n1", 0.2, tumour=False),
        scored("n2", 0.1, tumour=False),
    )
    second = run(
        scored("t1", 0.9, tumour=True),
        scored("t2", 0.3, tumour=True),
        scored("t3", None, tumour=True),
        scored("n1", 0.4, tumour=False),
        scored("n2", 0.1, tumour=False),
        scored("n3", 0.99, tumour=False),
    )
    found = differences(first, second)["slide_auc"]
    assert (found.first, found.second, found.apart.value, found.n_slides) == (1.0, 0.75, 0.25, 4)
    assert (found.apart.low, found.apart.high) == (0.0, 1.0)
    assert differences(second, first)["slide_auc"].apart.value == -0.25


def test_classes_and_recall_are_compared_by_hand() -> None:
    """One run has all four classes right; the other calls one micrometastasis negative, where chance has
    twice that, and finds two of three of them."""
    truth = (("a", NONE), ("b", MICRO), ("c", MICRO), ("d", NONE))
    lesions = {"b": ((500, 510), (400, 410)), "c": ((900, 910),)}

    def all_but(missed: str) -> Comparison:
        slides = []
        for name, label in truth:
            one = classed(name, label, report(name, () if name == missed else FOUND_AS[label]))
            own = [lesion(true, None if name == missed else size) for true, size in lesions.get(name, ())]
            slides.append(replace(one, pairing=Pairing(tuple(own), 0, 0)))
        return run(*slides)

    found = differences(all_but(""), all_but("c"))
    kappa, recall = found["kappa_of_slide_classes"], found["recall_micro"]
    # disagreement 4; chance: by truth 2 and 2, by calls 3 and 1, 4 x (2 x 1 + 2 x 3) / 4 = 8
    assert (kappa.first, kappa.second, kappa.n_slides) == (1.0, pytest.approx(1 - 4 / 8), 4)
    assert (recall.first, recall.second, recall.n_slides) == (1.0, pytest.approx(2 / 3), 2)
    assert recall.apart.value == pytest.approx(1 / 3)
    assert (recall.apart.low, recall.apart.high) == (0.0, 1.0)
    assert list(found) == ["slide_auc", "kappa_of_slide_classes", "recall_micro"]


def test_a_small_difference_shows_though_both_intervals_overlap() -> None:
    """Two runs whose scores are alike but for a little that one adds to noise: each AUC's interval holds the other's
    value, and the interval of their difference doesn't hold 0."""
    rng = np.random.default_rng(1)
    tumour = np.arange(300) < 150
    shared = np.where(tumour, 1.2, 0.0) + rng.normal(0, 1, 300)
    noisy = shared + rng.normal(0, 0.5, 300)
    one, other = (
        run(*(scored(f"s{n}", float(v), tumour=bool(t)) for n, (v, t) in enumerate(zip(values, tumour, strict=True))))
        for values in (shared, noisy)
    )
    own, theirs = (figures(each).slide_task.auc for each in (one, other))
    assert own.low < theirs.value < own.value < theirs.high
    assert differences(one, other)["slide_auc"].apart.low > 0


def test_slides_of_one_patient_are_drawn_together_here_too() -> None:
    """Four slides of two patients are two units."""
    slides = [scored(f"s{n}", 0.2 * n, tumour=n > 1) for n in range(4)]
    named = [replace(s, reference=replace(s.reference, patient_id=p)) for s, p in zip(slides, "1212", strict=True)]
    assert differences(run(*named), run(*named))["slide_auc"].apart.n == 2


def test_no_kappa_is_told_of_normal_slides_alone() -> None:
    """As of one run: a tumour slide without a class is missing in it."""
    slides = [classed("a", NONE, report("a")), classed("b", None, report("b", (900.0,)))]
    assert "kappa_of_slide_classes" not in differences(run(*slides), run(*slides))


def test_lesions_of_another_true_size_are_not_compared() -> None:
    """Of a slide that the runs measured with other pixel sizes: what is micro to one is macro to the other."""
    runs = []
    for sizes in ((900, 1800), (1100, 2300)):
        one = classed("a", MICRO, report("a", (900.0,)))
        runs.append(run(replace(one, pairing=Pairing(tuple(lesion(size, size) for size in sizes), 0, 0))))
    assert "recall_micro" not in differences(*runs)


def test_lesions_are_compared_only_with_themselves() -> None:
    """One run's micrometastasis is the other's macrometastasis, and one of isolated tumour cells takes its place: as
    many, but not the same ones."""
    runs = []
    for sizes in ((1900, 195), (2100, 215)):
        one = classed("a", MICRO, report("a", (1900.0,)))
        runs.append(run(replace(one, pairing=Pairing(tuple(lesion(size, size) for size in sizes), 0, 0))))
    assert not [name for name in differences(*runs) if name.startswith("recall_")]


def measured(pixel_um: float, *sizes: float) -> Comparison:
    """A run of slide a, whose lesions have these sizes at this pixel size, and of slide b, where both runs agree."""
    found = report("a", (900.0,))
    at = replace(found, info=replace(found.info, spacing=Spacing.square(pixel_um)))
    slides = (classed("a", MICRO, at), classed("b", MICRO, report("b", (900.0,))))
    return run(
        replace(slides[0], pairing=Pairing(tuple(lesion(size, size) for size in sizes), 0, 0)),
        replace(slides[1], pairing=Pairing((lesion(500, 500),), 0, 0)),
    )


def test_slides_whose_lesions_are_not_compared_are_named_with_the_reason(tmp_path: Path) -> None:
    """In the JSON, on the page and among what the terminal says is left out; a slide that is compared is not."""
    first, second = measured(0.25, 1800.0, 900.0), measured(0.5, 3600.0, 1800.0)
    found = replace(figures(first), against=against(first, second, name="other"))
    write_evaluation(first, found, tmp_path, occasion=made_of("r"))
    reason = "pixel size 0.25 um/px here and 0.5 um/px in other, so different lesions count as micro or macro"
    content = json.loads((tmp_path / "evaluation.json").read_text())["against"]
    assert content["slides_without_lesions_compared"] == [{"slide_id": "a", "reason": reason}]
    assert content["recall_micro"]["n_slides"] == 1
    label = "Slides whose lesions the comparison with other leaves out"
    assert (label, "1", f"a ({reason})") in [(fact.label, fact.value, fact.note) for fact in left_out(first, found)]
    page = " ".join((tmp_path / "evaluation.html").read_text().split())
    assert label in page
    assert f"a ({reason})" in page
    same = replace(found, against=against(first, first, name="other"))
    assert not [fact for fact in left_out(first, same) if fact.label == label]


def test_slides_that_one_run_has_no_sizes_of_are_named_as_not_compared() -> None:
    """With what that run lacks, and which run it is."""
    first = measured(0.25, 900.0)
    bare = replace(first.slides[0], pairing=None, unpaired="has no deposits.geojson")
    second = replace(first, slides=(bare, first.slides[1]))
    assert against(first, second, name="other").unpaired == (Unpaired("a", "has no deposits.geojson in other"),)
    assert against(second, first, name="other").unpaired == (Unpaired("a", "has no deposits.geojson"),)
    counted = replace(first.slides[0], unpaired="incomplete; its lesions count as missed")
    missed = replace(first, slides=(counted, first.slides[1]))
    assert against(missed, second, name="other").unpaired == (Unpaired("a", "has no deposits.geojson in other"),)


def test_four_discordant_lesions_exclude_0_on_however_many_slides() -> None:
    """The share of resamples without any of them is (1 - 4/n)^n, below the 0.025 that the lower end is read at. With
    three it is above."""
    for n, few, excluded in ((12, 4, True), (60, 4, True), (60, 3, False)):
        sizes = [[lesion(500, 510)] if number >= few else [lesion(500)] for number in range(n)]
        slides = [scored(f"s{number}", 0.5, tumour=True) for number in range(n)]
        first = run(*(replace(one, pairing=Pairing((lesion(500, 510),), 0, 0)) for one in slides))
        second = run(*(replace(one, pairing=Pairing(tuple(own), 0, 0)) for one, own in zip(slides, sizes, strict=True)))
        apart = differences(first, second)["recall_micro"].apart
        assert apart.value == pytest.approx(few / n)
        assert (apart.low > 0) is excluded
        assert ((1 - few / n) ** n < 0.025) is excluded


def test_it_stands_in_the_json_on_the_page_and_on_the_terminal(tmp_path: Path) -> None:
    """Both values, the difference with its interval and sign, and of how many slides."""
    first = run(scored("t", 0.9, tumour=True), scored("n", 0.1, tumour=False), scored("m", 0.2, tumour=False))
    second = run(scored("t", 0.9, tumour=True), scored("n", 0.1, tumour=False), scored("m", 0.95, tumour=False))
    compared = against(first, second, name="other")
    found = replace(figures(first), against=compared)
    write_evaluation(first, found, tmp_path, occasion=made_of("r"))
    content = json.loads((tmp_path / "evaluation.json").read_text())["against"]
    assert (content["run"], content["slide_auc"]["this"], content["slide_auc"]["other"]) == ("other", 1.0, 0.5)
    assert content["slide_auc"]["difference"] == 0.5
    assert content["slide_auc"]["difference_interval"] == [0.0, 1.0]
    assert content["slide_auc"]["n_slides"] == 3
    page = (tmp_path / "evaluation.html").read_text()
    assert "Compared with other" in page
    assert "+0.500 (+0.000 to +1.000)" in page
    made = made_with(ModelIdentity("m2", "a", "cd" * 32, 0.5), Provenance({}, "9" * 64, "", "cpu", "float32", "", 1.0))
    own = replace(compared, made_with=made)
    assert own.made_words == f"m2 (weights {'cd' * 6}, threshold 0.5), own settings (99999999)"
    write_evaluation(first, replace(found, against=own), tmp_path, occasion=made_of("r"))
    assert f"The other run is other ({own.made_words})." in (tmp_path / "evaluation.html").read_text()
    assert compared.made_words == ""
    (fact,) = against_facts(Against("other", None, compared.differences[:1]))
    assert (fact.label, fact.value) == ("Slide AUC, difference", "+0.500 (+0.000 to +1.000)")
    assert fact.note == "less that of other; 3 slides of both"
