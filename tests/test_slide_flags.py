"""What a reader is told beside the findings, on both sides of every limit."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan import slide_flags
from nodescan.config import load_config
from nodescan.domain.classification import CellCount, Metastasis
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit
from nodescan.domain.flags import Flag
from nodescan.domain.maps import NotExamined, Picture, ProbabilityMap, TissueMask
from nodescan.domain.units import Spacing
from nodescan.examination import Examination
from nodescan.imaging.quality import Stain
from nodescan.imaging.segmentation import FoundFoci, find_foci
from nodescan.slide_flags import (
    CutOff,
    edge_and_glass_flags,
    examination_flags,
    mark_cut_off,
    pattern_flags,
    small_pale_flags,
    stain_flags,
    tissue_flags,
)
from tests.imaging.planted import CELL_UM, PLAIN, coverage, disc, either
from tests.reports.factory import ITC, MACRO, MICRO

SPACING = Spacing.square(CELL_UM)
RULE = DecisionRule(40.0, 0.5, 0.6, (), 5.0)


def examined(map_: ProbabilityMap) -> Examination:
    no_reasons = np.zeros(map_.examined.shape, np.uint8)
    stain = np.zeros((*no_reasons.shape, 2), dtype=np.float16)
    return Examination(map_, Spacing.square(1.0), map_.examined, no_reasons, stain, "float32")


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (NotExamined.BLURRED, "out_of_focus"),
        (NotExamined.UNREAD, "unread_tissue"),
        (NotExamined.HIDDEN, "tissue_under_ink"),
        (NotExamined.PALE, "too_pale"),
        (NotExamined.FAULTY, "badly_scanned"),
    ],
)
def test_tissue_that_was_not_examined_is_told_with_its_share(reason: NotExamined, code: str) -> None:
    """From a single cell on, since one makes the slide incomplete; all of it is 100 %, not 1e+02."""
    answers = np.linspace(0, 1, 40_000, dtype=np.float32).reshape(200, 200)
    whole = examined(ProbabilityMap(answers, np.ones(answers.shape, np.bool_), SPACING))
    assert examination_flags(whole) == ()
    for cells, share in ((1, "0.0025"), (180, "0.45"), (4_920, "12"), (40_000, "100")):
        left_out = (np.arange(40_000) < cells).reshape(answers.shape)
        (flag,) = examination_flags(replace(whole, reasons=left_out * np.uint8(reason)))
        assert (flag.code, flag.message.split(" % of the tissue ")[0]) == (code, share)


def test_each_stain_that_is_not_h_and_e_is_flagged_in_words_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """H&E itself is not flagged."""
    overview = Picture(np.full((8, 8, 3), 245, np.uint8), 0.0, 0.0, SPACING)
    tissue, settings = TissueMask(np.ones((8, 8), np.bool_), SPACING), load_config().settings
    said: dict[Stain, tuple[str, ...]] = {}
    for stain in Stain:
        monkeypatch.setattr(slide_flags, "stain_of", lambda *_, found=stain: found)
        said[stain] = tuple(flag.message for flag in stain_flags(overview, tissue, settings) if flag.code == "not_he")
    assert said.pop(Stain.HE) == ()
    assert [len(messages) for messages in said.values()] == [1] * len(said)
    assert len(set(said.values())) == len(said)
    assert all(word in said[Stain.BROWN][0] for word in ("DAB", "ink", "glue", "pigment"))


@pytest.mark.parametrize("reason", ["pen", "edge", "debris", "small"])
def test_an_area_that_was_left_out_is_flagged_with_its_size(reason: str) -> None:
    """0.6 mm2 of any kind is worth a look."""
    area = np.zeros((100, 100), np.bool_)
    area[:60] = True
    tissue = TissueMask(np.zeros_like(area), Spacing.square(10.0), ((reason, area),))
    overview = Picture(np.full((100, 100, 3), 245, np.uint8), 0.0, 0.0, tissue.spacing)
    none, left_out = tissue_flags(overview, tissue, load_config().settings)
    assert (none.code, left_out.code) == ("no_tissue", f"tissue_excluded_{reason}")
    assert left_out.message.startswith("0.6 mm2 ")


def test_deposits_that_are_cut_off_are_less_sure_whatever_cut_them() -> None:
    """By tissue that wasn't examined, by the end of the scan, or both: the smoothing is added; others stay."""
    alone = replace(MICRO, id=4)
    found = CutOff((1, 3), (2, 3)).marked((MACRO, MICRO, ITC, alone), RULE)
    assert [one.cut_off for one in found] == [True, True, True, False]
    for one, before in zip(found[:3], (MACRO, MICRO, ITC), strict=True):
        assert one.diameter_uncertainty_um == pytest.approx(math.hypot(before.diameter_uncertainty_um, 40))
    assert found[3] is alone


@pytest.mark.parametrize("lost", [False, True])
def test_a_deposit_beside_tissue_that_was_not_examined_is_cut_off(lost: bool) -> None:
    """One of two deposits ends where a tile could not be read; where all was read, neither does."""
    wanted = np.ones((40, 60), np.bool_)
    values, seen = np.zeros(wanted.shape, np.float32), wanted.copy()
    values[15:25, 10:20] = values[15:25, 40:48] = 0.9
    seen[10:30, 48:56] = not lost
    examination = replace(examined(ProbabilityMap(values, seen, SPACING)), wanted=wanted)
    if lost:
        examination = replace(examination, reasons=np.where(seen, np.uint8(0), np.uint8(NotExamined.UNREAD)))
    tissue = TissueMask(wanted, SPACING)
    rule = replace(RULE, smoothing_um=0.0)
    deposits, cut = mark_cut_off(foci_of(examination.probability).deposits(), examination, tissue, rule=rule)
    right = tuple(one.id for one in deposits if one.centre_um[0] > 30 * CELL_UM)
    assert len(right) == 1
    assert cut == CutOff(right if lost else (), ())
    codes = [flag.code for flag in edge_and_glass_flags(deposits, cut, examination, tissue, rule=rule)]
    assert codes == ["deposit_cut_off"] * lost


@pytest.mark.parametrize(("side", "codes"), [(0, []), (26, ["small_pale_area"])])
def test_a_pale_area_too_small_to_count_as_not_examined_is_told(side: int, codes: list[str]) -> None:
    """0.16 mm2 without anything dark in 4 mm2 of tissue."""
    map_ = ProbabilityMap(np.zeros((128, 128), np.float32), np.ones((128, 128), np.bool_), SPACING)
    stain = np.ones((128, 128, 2), dtype=np.float16)
    stain[40 : 40 + side, 40 : 40 + side, 1] = 0
    told = small_pale_flags(replace(examined(map_), shares=stain), load_config().settings.quality.pale)
    assert [flag.code for flag in told] == codes


def glass_flags(values: NDArray[np.float32], deposits: tuple[Deposit, ...] = (MICRO,)) -> tuple[Flag, ...]:
    """Of a slide whose cells from the sixth column on are glass."""
    tissue = np.zeros(values.shape, np.bool_)
    tissue[:, :5] = True
    looked = examined(ProbabilityMap(values, np.ones(values.shape, np.bool_), SPACING))
    return edge_and_glass_flags(deposits, CutOff((), ()), looked, TissueMask(tissue, SPACING), rule=RULE)


def test_tumour_on_glass_is_told_above_a_fifth() -> None:
    """One cell of five isn't, two of six are; what was called tumour begins at the threshold itself."""
    values = np.zeros((4, 10), np.float32)
    values[0, :4] = values[0, 7] = 0.5
    assert glass_flags(values) == ()
    values[1, 7] = 0.5
    (flag,) = glass_flags(values)
    assert (flag.code, flag.message.split(" %")[0]) == ("tumour_on_glass", "33")
    values[1, 7] = 0.49
    assert glass_flags(values) == ()


def test_nothing_lies_on_glass_where_there_is_no_deposit_or_no_tumour() -> None:
    """High cells too few for a deposit are no finding, and a deposit that a reader added may have none."""
    values = np.zeros((4, 10), np.float32)
    assert glass_flags(values) == ()
    values[0, 7] = 0.9
    assert glass_flags(values, ()) == ()


def foci_of(map_: ProbabilityMap) -> FoundFoci:
    return find_foci(map_, PLAIN, load_config().settings.segmentation)


def gap_flags(foci: FoundFoci, found: tuple[Deposit, ...] | None = None) -> list[str]:
    """found: its deposits, if they aren't as they were found."""
    return [flag.code for flag in pattern_flags(foci.deposits() if found is None else found, foci)]


def test_a_class_that_only_the_settings_gap_gives_is_told() -> None:
    """Two discs of 1.2 mm, 60 um apart, are a macrometastasis across 75 um, and a micrometastasis each."""
    map_ = coverage(either(disc((800, 700), 1200), disc((2060, 700), 1200)), (90, 180), SPACING)
    foci = find_foci(map_, PLAIN, replace(load_config().settings.segmentation, joining_gap_um=75.0))
    assert [one.metastasis for one in foci.deposits()] == [Metastasis.MACRO]
    gap, joined = pattern_flags(foci.deposits(), foci)
    assert (gap.code, joined.code) == ("joining_gap", "foci_joined")
    assert "With a gap of 0 µm: 1.20 mm, micro" in gap.message


def test_joining_never_lowers_the_class_that_counts_gave() -> None:
    """A focus of 150 um that its cells make a micrometastasis is one for every gap, so the class hangs on none."""
    foci = foci_of(coverage(disc((400, 400), 150), (60, 60), SPACING))
    (small,) = foci.deposits()
    assert small.metastasis is Metastasis.ITC
    assert gap_flags(foci) == []
    by_cells = replace(small, cells=CellCount(400, 50), metastasis=Metastasis.MICRO)
    assert gap_flags(foci, (by_cells,)) == []


def test_a_class_that_joining_raises_is_told() -> None:
    """Two foci of 150 um, 40 um apart, are isolated tumour cells, and a micrometastasis once they are one."""
    foci = foci_of(coverage(either(disc((400, 400), 150), disc((590, 400), 150)), (60, 60), SPACING))
    assert [one.metastasis for one in foci.deposits()] == [Metastasis.ITC] * 2
    assert gap_flags(foci) == ["joining_gap"]


def test_near_foci_that_ran_together_and_a_dispersed_pattern_are_told_of_a_scan() -> None:
    """Two of 1.1 mm that overlap a little are macro as one, micro each; twelve of 90 um lie over 2 mm."""
    pair = coverage(either(disc((700, 700), 1100), disc((1780, 700), 1100)), (90, 160), SPACING)
    many = coverage(either(*(disc((100 + 180 * number, 300), 90) for number in range(12))), (40, 150), SPACING)
    assert "may_be_two_foci" in gap_flags(foci_of(pair))
    assert "dispersed_pattern" in gap_flags(foci_of(many))
