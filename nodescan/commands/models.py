"""`nodescan models`: the models at hand, with their cards."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodescan.commands.options import COMPLETE, AsJson
from nodescan.commands.tables import print_facts, print_json
from nodescan.streams import reader_may_leave, tell

if TYPE_CHECKING:  # a command imports what it needs when it runs, so that --help costs nothing
    from nodescan.inference.card import ModelCard


def models(as_json: AsJson = False) -> int:
    """List the installed models with their cards."""
    from nodescan.inference.card import list_models

    with reader_may_leave():
        if as_json:
            print_json(_as_json(list_models()))
        else:
            print_models(list_models())
    return COMPLETE


def print_models(cards: "Sequence[ModelCard]") -> None:
    """Each model with what its card says."""
    if not cards:
        tell("no models are installed; name a folder with a card and weights by --model")
    for card in cards:
        finest, coarsest = card.spacing_um
        rows = (
            ("model", card.name),
            ("architecture", card.architecture),
            ("spacing", f"{finest:g} to {coarsest:g} um/px, an answer every {card.stride_px} px"),
            ("threshold", f"{_levels(card)}, chosen on {card.decision.chosen_on}"),
            _found_from(card),
            *_unmeasured(card),
            ("trained on", card.training_data),
            *card.metrics.items(),
            ("limits", card.limits),
            ("licence", card.licence),
            ("weights", f"sha256 {card.weights_sha256}"),
        )
        print_facts(rows)


def _as_json(cards: "Sequence[ModelCard]") -> dict[str, object]:
    """The cards as their files hold them."""
    from nodescan.domain.report import NOT_FOR_CLINICAL_USE
    from nodescan.reports.json_report import SCHEMA_VERSION

    return {
        "schema_version": SCHEMA_VERSION,
        "notice": NOT_FOR_CLINICAL_USE,
        "models": [card.model_dump(mode="json") for card in cards],
    }


def _levels(card: "ModelCard") -> str:
    """The outline's threshold, and what its map has to reach for a deposit."""
    rule = card.decision
    smoothed = f" of the map smoothed by {rule.smoothing_um:g} um" if rule.smoothing_um else ""
    return f"{rule.threshold:g}{smoothed}; a deposit reaches {rule.seed_threshold:g} somewhere"


def _unmeasured(card: "ModelCard") -> tuple[tuple[str, str], ...]:
    from nodescan.reports.wording import UNMEASURED

    return () if card.identity().uncertainty_measured else (("±", UNMEASURED),)


def _found_from(card: "ModelCard") -> tuple[str, str]:
    found_from_um = card.identity().found_from_um
    if found_from_um is None:
        return "finds", f"not known ({card.untuned}), so no slide is complete with it"
    return "finds", f"every synthetic deposit, round or thin, of {found_from_um / 1000:g} mm and larger"
