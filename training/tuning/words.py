"""What tuning tells on a terminal: the rules it compared, and what the model can do with the one it took."""

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from nodescan.domain.naming import how_many
from nodescan.evaluation.bootstrap import Estimate
from nodescan.inference.card import ModelCard
from nodescan.reports.wording import UNMEASURED
from training.tuning.known_slides import LARGE_UM, KnownSlide, SlideScores, as_stated
from training.tuning.rules import FEWEST_COVERED, Trial

_MOST_TRIALS = 10


def trials_words(trials: Sequence[Trial]) -> tuple[str, ...]:
    """The first rules and their scores, a line each. trials: the best first."""
    lines = (f"{_rule_words(trial)}: {_score_words(trial)}" for trial in trials[:_MOST_TRIALS])
    return f"the best of {how_many(len(trials), 'rule')}:", *lines


def unmeasured_words(found: int) -> str:
    """That "±" was not measured, with the number of deposits that were found and measured, and what to do."""
    return (
        f'"±" {UNMEASURED}: {how_many(found, "deposit")} found, {FEWEST_COVERED} are needed. '
        "To measure it: tune --only uncertainty, with --patches ZIP --seeds 1-100 or with more outlined slides"
    )


def tuned_words(card: ModelCard, known: Sequence[KnownSlide], folder: Path) -> str:
    """The last line of tuning: on what, what the model finds, whether its "±" was measured, and the next command."""
    deposits = sum(len(slide.deposits) for slide in known)
    return "; ".join(
        (
            f"{folder}: tuned on {how_many(len(known), 'slide')} with {how_many(deposits, 'deposit')}",
            _found_from_words(card),
            _uncertainty_words(card),
            f"now: nodescan run SLIDE --out RESULTS --model {quote(str(folder))}",
        )
    )


def _found_from_words(card: ModelCard) -> str:
    found_from_um = card.identity().found_from_um
    if found_from_um is None:
        return f"no slide will be complete with it ({card.untuned})"
    return f"finds every synthetic deposit from {found_from_um / 1000:.2f} mm on"


def _uncertainty_words(card: ModelCard) -> str:
    decision = card.decision
    if decision.covered_on is None:
        return '"±" was not measured'
    return f'"±" is {decision.coverage_factor:g} standard uncertainties, measured on {decision.covered_on}'


def _rule_words(trial: Trial) -> str:
    rule = trial.rule
    return f"smoothing {rule.smoothing_um:g} um, threshold {rule.threshold:g}, seed threshold {rule.seed_threshold:g}"


def _score_words(trial: Trial) -> str:
    scores = trial.scores
    said = (
        f"kappa {_figure(scores.kappa)}",
        f"{scores.negative_called_negative} of {how_many(scores.negatives, 'negative slide')} right",
        f"{_figure(scores.false_deposits)} false deposits a slide",
        f"{_hits(trial.recall)} deposits above 0.2 mm found",
        f"{_hits(scores.size_within)} sizes within their ±",
        *_size_errors(as_stated(scores)),
    )
    return ", ".join(said)


def _size_errors(scores: SlideScores) -> tuple[str, ...]:
    large, small_um = scores.size_error_large, scores.size_error_small_um
    limit = f"{LARGE_UM / 1000:g} mm"
    of_large, of_small = (how_many(count, "deposit") for count in (scores.n_from_400, scores.n_below_400))
    return (
        *([] if large is None else [f"median size error {large:.1%} of {of_large} from {limit} on"]),
        *([] if small_um is None else [f"median size error {small_um:.0f} um of {of_small} below {limit}"]),
    )


def _figure(found: Estimate) -> str:
    return "not defined" if found.value is None else f"{found.value:.2f}"


def _hits(share: Estimate) -> str:
    """ "2 of 3". share: one whose n is its denominator."""
    return f"{0 if share.value is None else round(share.value * share.n)} of {share.n}"
