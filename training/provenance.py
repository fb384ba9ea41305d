"""What may be said of where a model's weights and numbers come from: of the released one all, of another its card's."""

from pathlib import Path

from nodescan.domain.report import Untuned
from nodescan.errors import UsageError
from nodescan.inference.card import Decision, ModelCard, find_model, load_card

UNMEASURED_FACTOR = 2.8
"""How many standard uncertainties "±" is on the card of a model for which it was not measured: as many as on the
released model's card, where 44 found deposits ask for them. With two, as for normal errors of known parts, "±" holds
the true size of 32 of 40 held-back deposits (docs/decisions.md). Nothing says that another model's sizes are truer."""

UNTUNED = Decision(
    smoothing_um=20.0,
    threshold=0.5,
    seed_threshold=0.5,
    size_correction_um=(),
    size_uncertainty_um=25.0,
    coverage_factor=UNMEASURED_FACTOR,
    chosen_on="nothing: not tuned yet",
)
"""What a model starts with; the tuning commands replace it."""

COMPOSITES = "composites of every second validation patch"
OUTLINED = "outlined slides"
"""How a card's chosen_on names the slides that its decision was chosen on."""

NOT_STATED = "not stated"


def check_kept(card: ModelCard, folder: Path, *, part: str | None) -> None:
    """Raise UsageError where only a part is to be chosen anew, and what is kept was chosen for another card.

    part: what `tune --only` names; None: all is chosen anew. int8's ranges, say, measured under other colours, would be
    trusted by every scan.
    """
    if part is not None and card.untuned is Untuned.EDITED:
        raise UsageError(
            f"{folder}: {card.untuned}, so what --only {part} keeps may not hold any more; "
            "put the card back as it was, or tune without --only"
        )


def is_released(card: ModelCard) -> bool:
    """Whether its weights are those that nodescan comes with, however it was tuned since."""
    return card.weights_sha256 == load_card(find_model(None)).weights_sha256


def temperature_chosen_on(card: ModelCard) -> str:
    """In words. `tune` fits it to labelled patches alone; `export` writes 1."""
    if card.temperature == 1:
        return "nothing: as it was exported"
    return "the validation patches" if COMPOSITES in card.decision.chosen_on else NOT_STATED


def ranges_chosen_on(card: ModelCard) -> str:
    """In words: `tune` measures them on the slides that it chooses thresholds on."""
    if card.int8_ranges is None:
        return "none: it doesn't answer in eight bits"
    slides = card.decision.chosen_on.partition(";")[0]
    if COMPOSITES in slides:
        return "tiles of slides laid out of every second validation patch, and of phantoms"
    return f"tiles of {slides}, and of phantoms" if OUTLINED in slides else NOT_STATED
