"""Exact values in the decisive cells alone give exactly the deposits of an exact map."""

import copy
import pickle
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.config import load_config
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit
from nodescan.domain.maps import ProbabilityMap, TissueMask
from nodescan.domain.units import Spacing
from nodescan.examination.second_look.decisive import decisive_cells, doubtful_on_glass, score_cells
from nodescan.examination.second_look.fast_map import FastMap, fast_map
from nodescan.imaging.detections import DetectionSettings, find_detections
from nodescan.imaging.doubts import gap_readings, larger_at_lower_threshold
from nodescan.imaging.segmentation import find_deposits, find_foci, smoothed_values
from nodescan.imaging.whole_map import glass_cells, is_constant

SPACING = Spacing(15.55, 15.5)
RULE = DecisionRule(32.0, 0.6, 0.8, ((84.7, 100.0), (207.5, 199.0)), 12.0)
SETTINGS = load_config().settings.segmentation

rules = st.builds(
    lambda smoothing, threshold, above: replace(
        RULE, smoothing_um=smoothing, threshold=threshold, seed_threshold=min(0.97, threshold + above)
    ),
    st.sampled_from([0.0, 16.0, 32.0]),
    st.sampled_from([0.2, 0.5, 0.6]),
    st.sampled_from([0.0, 0.1, 0.3]),
)


def rough_map(seed: int, rule: DecisionRule, *, holes: bool = False) -> ProbabilityMap:
    """Blobs of many sizes whose values lie about the thresholds, some of it not examined."""
    random = np.random.default_rng(seed)
    noise = sum(
        ndimage.gaussian_filter(random.normal(size=(50, 70)), sigma) * sigma for sigma in random.uniform(1, 7, size=3)
    )
    values = np.clip(rule.threshold + random.uniform(-0.2, 0.1) + noise * random.uniform(0.1, 0.4), 0, 1)
    examined = np.ones(values.shape, np.bool_)
    if holes:
        examined = ndimage.gaussian_filter(random.normal(size=values.shape), 3) > -0.1
    return ProbabilityMap(np.where(examined, values, 0).astype(np.float32), examined, SPACING)


def off(map_: ProbabilityMap, tolerance: float, seed: int) -> ProbabilityMap:
    """The map with every answer off by up to the tolerance, in patches and cell by cell."""
    random = np.random.default_rng(seed + 1)
    shape = map_.values.shape
    sign = np.sign(ndimage.gaussian_filter(random.normal(size=shape), random.choice([0.3, 4, 20])))
    values = map_.values + tolerance * sign * random.uniform(0.5, 0.999, shape)
    return replace(map_, values=np.where(map_.examined, np.clip(values, 0, 1), 0).astype(np.float32))


def all_fast(probability: ProbabilityMap, rule: DecisionRule, tolerance: float) -> FastMap:
    """What is known where the reference has answered nothing yet."""
    return fast_map(probability, rule, tolerance, np.zeros_like(probability.examined))


def settled(true: ProbabilityMap, fast: ProbabilityMap, rule: DecisionRule, tolerance: float) -> ProbabilityMap:
    cells = decisive_cells(all_fast(fast, rule, tolerance), certain=())
    return replace(fast, values=np.where(cells, true.values, fast.values))


def same(found: Sequence[Deposit], expected: Sequence[Deposit]) -> bool:
    """Equal in every field, down to the last bit; an outline's arrays don't compare as dataclasses do."""
    return pickle.dumps([copy.deepcopy(asdict(d)) for d in found]) == pickle.dumps(
        [copy.deepcopy(asdict(d)) for d in expected]
    )


@given(rule=rules, seed=st.integers(0, 10**6), tolerance=st.sampled_from([0.005, 0.03, 0.08]), holes=st.booleans())
@settings(deadline=None, max_examples=20)
def test_deposits_are_those_of_the_exact_map(rule: DecisionRule, seed: int, tolerance: float, holes: bool) -> None:
    """Existence, class, size, its uncertainty, outline and probabilities: bit for bit, at every joining gap,
    and, where none are joined, what they may be parts of."""
    true = rough_map(seed, rule, holes=holes)
    half = settled(true, off(true, tolerance, seed), rule, tolerance)
    for gap_um in (0.0, 50.0):
        own = replace(SETTINGS, joining_gap_um=gap_um)
        foci, true_foci = find_foci(half, rule, own), find_foci(true, rule, own)
        found, expected = foci.deposits(), true_foci.deposits()
        assert same(found, expected)
        assert gap_readings(foci, found=found) == gap_readings(true_foci, found=expected)
        if not gap_um:
            assert larger_at_lower_threshold(foci, found=found) == larger_at_lower_threshold(true_foci, found=expected)


def disc(peak: float, radius_cells: float = 9.0) -> ProbabilityMap:
    rows, columns = np.ogrid[:120, :120]
    values = np.where(np.hypot(rows - 60, columns - 60) < radius_cells, peak, 0.02).astype(np.float32)
    return ProbabilityMap(values, np.ones(values.shape, np.bool_), SPACING)


@pytest.mark.parametrize("excess", [1e-6, 0.0, -1e-6])
def test_a_peak_on_the_seed_threshold_is_decided_by_exact_values(excess: float) -> None:
    """A disc that just reaches the seed threshold exists, one a millionth lower doesn't, whatever fast answers say."""
    rule = replace(RULE, smoothing_um=0.0, seed_threshold=0.8)
    true = disc(0.8 + excess)
    for shift in (-0.02, 0.02):
        fast = replace(true, values=np.clip(true.values + np.float32(shift), 0, 1))
        found = find_deposits(settled(true, fast, rule, 0.03), rule, SETTINGS)
        assert same(found, find_deposits(true, rule, SETTINGS))
        assert bool(found) == (excess >= 0)


def test_what_is_far_below_the_seed_is_left_alone() -> None:
    """Neither glass nor a disc that can't reach the seed threshold is answered twice."""
    assert not decisive_cells(all_fast(disc(0.7), RULE, 0.03), certain=()).any()
    found = decisive_cells(all_fast(disc(0.95), RULE, 0.03), certain=())
    assert found.any()
    assert found.mean() < 0.35


def test_a_certain_deposit_is_left_alone_unless_another_meets_it_in_a_corner() -> None:
    """Then outlines may part or join the two, and which of them is meant is decided by exact values."""
    rule, place = replace(RULE, smoothing_um=0.0), (20.5 * SPACING.x, 20.5 * SPACING.y)
    values = np.full((60, 60), 0.02, np.float32)
    values[15:26, 15:26] = 0.95
    alone = ProbabilityMap(values, np.ones(values.shape, np.bool_), SPACING)
    assert decisive_cells(all_fast(alone, rule, 0.03), certain=()).any()
    assert not decisive_cells(all_fast(alone, rule, 0.03), certain=[place]).any()
    in_corner, beside, faint = values.copy(), values.copy(), values.copy()
    in_corner[26:37, 26:37] = beside[15:26, 26:37] = 0.95
    faint[26:37, 26:37] = 0.7
    for met, left_alone in ((in_corner, False), (beside, True), (faint, True)):
        found = decisive_cells(all_fast(replace(alone, values=met), rule, 0.03), certain=[place])
        assert found.any() is np.bool_(not left_alone)
    apart = values.copy()
    apart[40:51, 40:51] = 0.95
    found = decisive_cells(all_fast(replace(alone, values=apart), rule, 0.03), certain=[place])
    assert found[40:51, 40:51].all()
    assert not found[:30, :30].any()


def test_tumour_on_glass_is_open_only_near_its_limit() -> None:
    """Where a fifth of the tumour can't lie on glass either way, cells near the threshold decide nothing."""
    tissue = np.zeros((120, 120), np.bool_)
    tissue[:, :60] = True
    glass = glass_cells(TissueMask(tissue, SPACING), disc(0.9))
    assert glass[:, 61:].all()
    assert not glass[:, :59].any()
    values: NDArray[np.float32] = np.where(glass, 0.05, 0.9).astype(np.float32)
    map_ = ProbabilityMap(values, np.ones_like(glass), SPACING)
    assert not doubtful_on_glass(map_, glass, 0.6, 0.03).any()
    values[:, 60:80] = 0.59
    assert doubtful_on_glass(map_, glass, 0.6, 0.03).sum() == 20 * 120
    assert not doubtful_on_glass(map_, glass, 0.6, 0.005).any()


def test_constant_output_is_told_with_and_without_slack() -> None:
    """A spread of a tenth of a thousandth is none; with slack, one that may be no more than that."""
    assert is_constant(disc(0.02))
    assert not is_constant(disc(0.04))
    assert is_constant(disc(0.04), slack=0.03)


@given(seed=st.integers(0, 10**6), tolerance=st.sampled_from([0.005, 0.03, 0.08]), holes=st.booleans())
@settings(deadline=None, max_examples=40)
def test_the_highest_confidence_is_that_of_the_exact_map(seed: int, tolerance: float, holes: bool) -> None:
    """Exact values in the score's cells alone give it, bit for bit, and none where the exact map reaches no floor."""
    true = rough_map(seed, RULE, holes=holes)
    fast = off(true, tolerance, seed)
    highest = float(smoothed_values(true, 16.0).max())
    for floor in (0.05, highest, float(np.nextafter(np.float32(highest), np.float32(1)))):
        if not 0.001 <= floor <= 0.999:
            continue
        own = DetectionSettings(16.0, 75.0, floor)
        cells = score_cells(fast, own, tolerance) > 0
        half = replace(fast, values=np.where(cells, true.values, fast.values))
        best = max((found.confidence for found in find_detections(half, own)), default=0.0)
        assert best == (highest if highest >= floor else 0.0)


def asked(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The cells that exact values are needed of, where no deposit is certain, without smoothing."""
    map_ = ProbabilityMap(values, np.ones(values.shape, np.bool_), SPACING)
    return decisive_cells(all_fast(map_, replace(RULE, smoothing_um=0.0), 0.03), certain=())


@pytest.mark.parametrize(("bridge", "needed"), [(0.26, False), (0.28, True), (0.32, True)])
def test_a_bridge_that_may_join_pieces_far_below_the_threshold_is_decisive(bridge: float, needed: bool) -> None:
    """Two deposits of 1.2 mm are pieces of one of 2.6 mm if the map between them reaches 0.3."""
    values = np.zeros((14, 190), np.float32)
    values[5:9, 10:90] = values[5:9, 100:180] = 1.0
    values[6, 90:100] = bridge
    assert asked(values)[6, 94:96].all() == needed


def test_what_joins_two_foci_that_meet_in_a_corner_far_below_the_threshold_is_decisive() -> None:
    """The outline parts them, so they may be pieces of a longer deposit; one focus is no piece of another."""
    values = np.zeros((20, 190), np.float32)
    values[4:8, 10:80] = values[8:12, 80:150] = 0.9
    values[9, 150:180] = 0.32
    assert asked(values)[9, 150:180].all()
    values[6:10, 78:82] = 0.9
    assert not asked(values)[9, 170:180].any()


@pytest.mark.parametrize("seed", [0.78, 0.82])
def test_all_that_joins_a_single_cell_at_the_seed_threshold_is_decisive(seed: float) -> None:
    """Whether there is a deposit at all hangs on that cell, and its "±" on what joins it at 0.5."""
    values = np.zeros((20, 60), np.float32)
    values[6:12, 6:12] = 0.7
    values[8, 8] = seed
    values[8, 12:50] = 0.51
    assert asked(values)[8, 6:50].all()
