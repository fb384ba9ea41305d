"""A card's name by its content: what bears on a finding counts, what only tells doesn't."""

import math
import re
import shutil
from pathlib import Path

import pytest
import yaml

from nodescan.errors import ModelError
from nodescan.inference.card import MOST_LOG_TEMPERATURE, Decision, load_card, packed_models, save_card


def test_only_what_bears_on_a_finding_changes_the_cards_sha256() -> None:
    """Rule, temperature, geometry, colours and weights do; licence, praise and the model's name don't."""
    card = load_card(packed_models() / "pcam-p4m")
    decision = card.decision
    told = card.model_copy(
        update={"licence": "other", "limits": "none", "metrics": {}, "name": "x", "training_data": ""}
    )
    assert told.sha256() == card.sha256() == card.identity().card_sha256
    for change in ({"chosen_on": "other data"}, {"found_from_um": 900.0}, {"covered_on": "other data"}):
        assert card.model_copy(update={"decision": _with(decision, **change)}).sha256() == card.sha256()
    changes = [
        {"temperature": card.temperature * 1.01},
        {"core_px": card.core_px * 2},
        {"mean": (0.1, 0.2, 0.3)},
        {"spacing_um": (0.9, 1.1)},
        {"weights_sha256": "0" * 64},
        {"decision": _with(decision, threshold=decision.threshold * 0.99)},
        {"decision": _with(decision, size_uncertainty_um=decision.size_uncertainty_um + 1)},
        {"decision": _with(decision, coverage_factor=decision.coverage_factor + 1)},
        {"decision": _with(decision, found_from_um=None)},  # no slide is complete then
    ]
    assert len({card.sha256(), *(card.model_copy(update=change).sha256() for change in changes)}) == len(changes) + 1


def test_from_which_size_on_a_model_finds_all_stands_on_its_card_or_nowhere(tmp_path: Path) -> None:
    """The released model says it; of a card without the field nothing is made up, and it is another model's."""
    folder = packed_models() / "pcam-p4m"
    card = load_card(folder)
    assert card.identity().found_from_um == 550.0
    assert (card.identity().smoothing_um, card.identity().seed_threshold) == (40.0, 0.875)
    text = (folder / "card.yaml").read_text()
    (tmp_path / "card.yaml").write_text(text.replace("  found_from_um: 550.0\n", ""))
    silent = load_card(tmp_path)
    assert silent.identity().found_from_um is None
    assert (card.identity().tuned, silent.identity().tuned) == (True, False)
    assert silent.identity() != card.identity()


def test_a_cards_sha256_is_the_same_wherever_it_is_read(tmp_path: Path) -> None:
    """A copy has it, too, also one with another system's line ends and its fields in another order."""
    here, copy = packed_models() / "pcam-p4m", shutil.copytree(packed_models() / "pcam-p4m", tmp_path / "copy")
    fields = yaml.safe_load((copy / "card.yaml").read_text(encoding="utf-8"))
    turned = yaml.safe_dump(dict(reversed(fields.items())), sort_keys=False, line_break="\r\n")
    (copy / "card.yaml").write_bytes(turned.encode())
    assert (copy / "card.yaml").read_bytes() != (here / "card.yaml").read_bytes()
    assert load_card(copy).sha256() == load_card(here).sha256()
    assert re.fullmatch("[0-9a-f]{64}", load_card(copy).sha256())


def _with(decision: Decision, **change: object) -> Decision:
    return decision.model_copy(update=change)


@pytest.mark.parametrize(
    "change",
    [
        {"std": (-0.24, 0.28, 0.21)},
        {"std": (0.0, 0.28, 0.21)},
        {"mean": (float("nan"), 0.5, 0.5)},
        {"temperature": float("inf")},
        {"core_px": 16_000_000},
        {"decision": {"smoothing_um": float("nan")}},
        {"decision": {"size_uncertainty_um": float("inf")}},
        {"decision": {"coverage_factor": 0.5}},
        {"decision": {"found_from_um": 0.0}},
        {"decision": {"found_from_um": 0.55}},
        {"decision": {"found_from_um": 550_000}},
        {"decision": {"size_uncertainty_um": 6e6}},
        {"decision": {"size_correction_um": [[107.7, -150.0], [400.0, 10.0]]}},
        {"decision": {"size_correction_um": [[107.7, 100.0], [3000.0, 150.0]]}},
        {"decision": {"size_correction_um": [[3000.0, 1400.0]]}},
        {"decision": {"size_correction_um": [[0.18, 0.15], [0.3, 0.25]]}},
        {"decision": {"size_uncertainty_um": 0.006}},
        {"temperature": 8.7},
        {"temperature": 1e-9},
        {"std": (0.0024, 0.28, 0.21)},
        {"int8_ranges": [1e-9] * 12},
    ],
)
def test_a_card_with_numbers_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    """A slip of sign in the colours' spread called a tumour negative; the key is named."""
    content = load_card(packed_models() / "pcam-p4m").model_dump(mode="json")
    if "decision" in change:
        content["decision"] |= change["decision"]
    else:
        content |= {key: list(value) if isinstance(value, tuple) else value for key, value in change.items()}
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ModelError, match=r"card\.yaml: "):
        load_card(tmp_path)


@pytest.mark.parametrize("log_temperature", [-MOST_LOG_TEMPERATURE, MOST_LOG_TEMPERATURE])
def test_what_tuning_may_choose_a_card_may_hold(tmp_path: Path, log_temperature: float) -> None:
    """The ends of the temperature, rounded as there, and sizes off by half of a deposit seen in part."""
    card = load_card(packed_models() / "pcam-p4m")
    rule = _with(card.decision, size_correction_um=((107.7, 150.0), (2000.0, 3000.0)), size_uncertainty_um=0.1)
    chosen = card.model_copy(update={"temperature": round(math.exp(log_temperature), 4), "decision": rule})
    save_card(chosen, tmp_path)
    assert load_card(tmp_path) == chosen


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("  threshold: 0.7\n  threshold: 0.5", "key 'threshold' stands twice"),
        ("  threshold: 0_7", "write '0_7' as a plain decimal number"),
    ],
)
def test_a_card_is_read_as_strictly_as_settings(tmp_path: Path, text: str, reason: str) -> None:
    """Of a key given twice the last one counted, in silence."""
    card = (packed_models() / "pcam-p4m" / "card.yaml").read_text(encoding="utf-8")
    (tmp_path / "card.yaml").write_text(card.replace("  threshold: 0.7", text))
    with pytest.raises(ModelError, match=rf"card\.yaml: can't be read as a model card \({reason}"):
        load_card(tmp_path)
