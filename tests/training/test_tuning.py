"""Which rule a tuning ends with."""

from pathlib import Path

import numpy as np
import pytest

from nodescan.config import load_config
from nodescan.domain.classification import Metastasis
from nodescan.domain.decision import DecisionRule
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Spacing
from nodescan.errors import UsageError
from training import tuning
from training.discs import as_scores, found_from_um, told_apart
from training.known_slides import Known, KnownSlide, SlideScore, summarise
from training.tuning import Trial, size_correction, steadiest, tune
from training.untuned import UNTUNED

SLIDES = (
    KnownSlide("tumour", Path("tumour.tif"), (Known.disc((480.0, 480.0), 400.0),)),
    KnownSlide("normal", Path("normal.tif"), ()),
)


def trial(
    smoothing_um: float, *missed: int, seed: float = 0.9, false_deposits: int = 0, size_um: float = 3000.0
) -> Trial:
    """What a rule scores on 20 normal slides and 20 with a deposit of 3 mm, of which it misses some."""
    none, macro = Metastasis.NONE, Metastasis.MACRO
    normal = [SlideScore(none, none, (), (), (), false_deposits)] * 20
    found = [
        SlideScore(macro, none, (3000.0,), (None,), (None,), 0)
        if number in missed
        else SlideScore(macro, macro, (3000.0,), (size_um,), (100.0,), 0)
        for number in range(20)
    ]
    scores = (*normal, *found)
    return Trial(DecisionRule(smoothing_um, 0.6, seed, (), 0.0), scores, summarise(scores))


def test_a_trial_is_worth_its_kappa_its_negatives_and_its_false_deposits() -> None:
    """Of all slides, and of a draw of them; a draw of one class has no kappa."""
    one = trial(24.0, 0, 1, false_deposits=1)
    assert one.worth == pytest.approx(one.scores.kappa.value + 0.2 - 0.03 * 0.5)
    draws = np.array([[*range(20), *range(22, 40), 22, 22], [20, *range(39)], [0] * 40])
    worths = one.worths(draws)
    assert worths[0] == pytest.approx(1.2 - 0.03 * 0.5)
    assert np.isnan(worths[2])


def test_of_equal_rules_the_smoothest_is_chosen() -> None:
    """Rules that miss another deposit each can't be told apart; one that misses four more of the same slides can."""
    best, equal, worse = trial(24.0, 0), trial(40.0, 1, false_deposits=1), trial(56.0, 0, 1, 2, 3, 4)
    assert best.worth > equal.worth > worse.worth
    assert steadiest([best, equal, worse]) is equal


def test_of_the_smoothest_the_highest_seed_threshold_is_chosen() -> None:
    """What takes more to be called a deposit hangs less on single patches; worse than the best by too much is out."""
    best, equal = trial(40.0, 0, seed=0.8), trial(40.0, 1, false_deposits=1, seed=0.85)
    assert steadiest([best, equal, trial(40.0, 0, 1, 2, 3, 4, seed=0.9)]) is equal


def test_no_rule_is_chosen_for_being_blinder() -> None:
    """Fewer false deposits make up for one that is missed: smoother, hardly worse, and still not chosen."""
    seeing, blinder = trial(24.0, 0, false_deposits=1), trial(40.0, 0, 1)
    assert abs(seeing.worth - blinder.worth) < 0.06
    assert steadiest([seeing, blinder]) is seeing


def test_of_the_smoothest_the_one_with_the_truest_sizes_is_chosen() -> None:
    """Equal in smoothing and classes: 3 % of error in size beats 5 %."""
    rough, true = trial(40.0, size_um=3150.0), trial(40.0, size_um=3090.0)
    assert steadiest([rough, true]) is true


def test_discs_of_a_network_that_never_saw_phantoms_say_nothing_of_sizes() -> None:
    """All of a phantom called tumour, one length whatever is planted: no size is corrected by that."""
    planted = (100.0, 150.0, 190.0, 250.0, 400.0)
    assert not told_apart([(size, 694.13) for size in planted])
    assert not told_apart([(size, None) for size in planted])
    assert told_apart([(size, size + 12) for size in planted] + [(100.0, None), (100.0, 700.0)])


@pytest.mark.parametrize(
    ("missed", "found_from"),
    [((100.0, 150.0), 200.0), ((), 100.0), ((150.0,), 200.0), ((100.0, 190.0, 250.0), 400.0), ((400.0,), None)],
)
def test_from_which_size_on_every_disc_is_found(missed: tuple[float, ...], found_from: float | None) -> None:
    """A size counts where no disc of it or above was missed, rounded up to 50 um; what finds anything says nothing."""
    sizes = (100.0, 150.0, 190.0, 199.0, 250.0, 400.0)
    found = [(size, size + 5.0) for size in sizes]
    assert found_from_um([*found, *((size, None) for size in missed)]) == found_from
    assert found_from_um([(size, 694.0) for size in sizes]) is None


def test_pairs_of_the_correction_rise_after_rounding_too() -> None:
    """Lengths that differ by less than is written on the card make no second pair."""
    scores = as_scores([(100.0, 694.13)] * 3 + [(150.0, 694.14)] * 3)
    table, _ = size_correction(scores)
    assert table == ((694.1, 100.0),)


@pytest.fixture
def few_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """One smoothing and threshold, with all seed thresholds above it: the whole grid takes half a minute."""
    monkeypatch.setattr(tuning, "_LOWEST_RULES", (DecisionRule(16.0, 0.5, 0.5, (), 0.0),))


@pytest.mark.usefixtures("few_rules")
def test_where_no_rule_finds_a_known_deposit_none_is_chosen() -> None:
    """A network that sees nothing, or all of it elsewhere, gets no rule: the blindest would be the best of all."""
    settings = load_config(None).settings.segmentation
    with pytest.raises(UsageError, match=r"finds none of the 1 known deposits by any rule"):
        tune(SLIDES, [disc_map(0.01), disc_map(0.01)], settings)


@pytest.mark.usefixtures("few_rules")
def test_a_rule_that_finds_nothing_is_not_among_those_to_choose_from() -> None:
    """Answers of 0.79 at most: seed thresholds above find nothing. One found deposit tells no spread of sizes."""
    trials = tune(SLIDES, [disc_map(0.79), disc_map(0.01)], load_config(None).settings.segmentation)
    assert trials
    assert max(trial.rule.seed_threshold for trial in trials) < 0.8
    assert {trial.rule.size_uncertainty_um for trial in trials} == {UNTUNED.size_uncertainty_um}


@pytest.mark.parametrize(("lengths", "spread"), [((), 25.0), ((210.0, 190.0), 25.0), ((210.0, 190.0, 230.0), 14.8)])
def test_a_spread_is_told_from_three_deposits_on(lengths: tuple[float, ...], spread: float) -> None:
    """Of none it was 0.0 um: sizes without any uncertainty from a model that nothing is known of."""
    _, left = size_correction(as_scores([(200.0 * (1 + 9 * n), 200.0 * 9 * n + um) for n, um in enumerate(lengths)]))
    assert left == spread


def disc_map(inside: float) -> ProbabilityMap:
    """A map of 960 um, a cell of 16 um each; what it answers within SLIDES' deposit, 0.01 elsewhere."""
    y, x = np.mgrid[:60, :60] * 16.0 + 8.0
    values = np.where(np.hypot(y - 480, x - 480) < 200, inside, 0.01).astype(np.float32)
    return ProbabilityMap(values, np.ones((60, 60), bool), Spacing.square(16.0))
