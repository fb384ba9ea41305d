"""Which rule a tuning ends with."""

import pytest

from nodescan.domain.decision import DecisionRule
from training.discs import as_scores, found_from_um, told_apart
from training.known_slides import SlideScores
from training.scores import Interval
from training.tuning import Trial, size_correction, steadiest


def trial(
    smoothing_um: float, kappa: float, *, seed: float = 0.9, spread: float = 0.05, size_error: float = 0.05
) -> Trial:
    around = Interval(kappa, kappa - spread, kappa + spread)
    nothing = Interval(0.0, 0.0, 0.0)
    scores = SlideScores(around, 0, 0, nothing, nothing, nothing, nothing, size_error, 10.0, nothing, 40)
    return Trial(DecisionRule(smoothing_um, 0.6, seed, (), 0.0), scores)


def test_of_equal_rules_the_smoothest_is_chosen() -> None:
    """0.93 with a standard error of 0.0255 can't be told from 0.91, but from 0.90; 40 um then beats 24 um."""
    best, equal, worse = trial(24.0, 0.93), trial(40.0, 0.91), trial(56.0, 0.90)
    assert steadiest([best, equal, worse]) is equal


def test_of_the_smoothest_the_highest_seed_threshold_is_chosen() -> None:
    """What takes more to be called a deposit hangs less on single patches; worse than the best by too much is out."""
    best, equal, worse = trial(40.0, 0.93, seed=0.8), trial(40.0, 0.91, seed=0.85), trial(40.0, 0.90, seed=0.9)
    assert steadiest([best, equal, worse]) is equal


def test_of_the_smoothest_the_one_with_the_truest_sizes_is_chosen() -> None:
    """Equal in smoothing and kappa: 3 % of error in size beats 5 %, and nothing found beats nobody."""
    rough, true, blind = trial(40.0, 0.9), trial(40.0, 0.9, size_error=0.03), trial(40.0, 0.9, size_error=float("nan"))
    assert steadiest([rough, blind, true]) is true


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
