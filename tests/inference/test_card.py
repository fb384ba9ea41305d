"""A card's name by its content: what bears on a finding counts, what only tells doesn't."""

from nodescan.inference.card import Decision, load_card, packed_models


def test_only_what_bears_on_a_finding_changes_the_cards_sha256() -> None:
    """Rule, temperature, geometry, colours and weights do; licence, praise and the model's name don't."""
    card = load_card(packed_models() / "pcam-p4m")
    decision = card.decision
    told = card.model_copy(
        update={"licence": "other", "limits": "none", "metrics": {}, "name": "x", "training_data": ""}
    )
    assert told.sha256() == card.sha256() == card.identity().card_sha256
    assert card.model_copy(update={"decision": _with(decision, chosen_on="other data")}).sha256() == card.sha256()
    changes = [
        {"temperature": card.temperature * 1.01},
        {"core_px": card.core_px * 2},
        {"mean": (0.1, 0.2, 0.3)},
        {"spacing_um": (0.9, 1.1)},
        {"weights_sha256": "0" * 64},
        {"decision": _with(decision, threshold=decision.threshold * 0.99)},
        {"decision": _with(decision, size_uncertainty_um=decision.size_uncertainty_um + 1)},
    ]
    assert len({card.sha256(), *(card.model_copy(update=change).sha256() for change in changes)}) == len(changes) + 1


def test_a_cards_sha256_is_the_same_wherever_it_is_read() -> None:
    """Read twice it has one name, of 64 hex digits."""
    folder = packed_models() / "pcam-p4m"
    assert load_card(folder).sha256() == load_card(folder).sha256()
    assert int(load_card(folder).sha256(), 16) >= 0
    assert len(load_card(folder).sha256()) == 64


def _with(decision: Decision, **change: object) -> Decision:
    return decision.model_copy(update=change)
