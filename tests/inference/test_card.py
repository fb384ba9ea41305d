"""A card's name by its content: what bears on a finding counts, what only tells doesn't."""

import datetime
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from nodescan.domain.report import Untuned
from nodescan.errors import ModelError
from nodescan.inference.card import MOST_LOG_TEMPERATURE, Decision, ModelCard, load_card, packed_models, save_card
from nodescan.inference.predictor import open_predictor
from nodescan.slide_flags import model_flags

RELEASED = packed_models() / "pcam-p4m"

EDITS: dict[str, object] = {
    "architecture": "p4m-small",
    "weights_sha256": "0" * 64,
    "spacing_um": [0.45, 0.55],
    "core_px": 256,
    "margin_px": 48,
    "stride_px": 32,
    "mean": [0, 0, 0],
    "std": [0.24, 0.28, 0.22],
    "temperature": 0.8682,
    "int8_ranges": None,
}
"""Of each number that a network is fed or answers by, another one that a card may hold."""

DECISION_EDITS: dict[str, object] = {
    "smoothing_um": 0.0,
    "threshold": 0.07,
    "seed_threshold": 0.876,
    "size_correction_um": [],
    "size_uncertainty_um": 6.1,
    "coverage_factor": 1.0,
    "found_from_um": 150.0,
}

RETOLD: dict[str, object] = {
    "name": "mine",
    "training_data": "ours",
    "metrics": {},
    "limits": "none",
    "licence": "other",
}


def test_only_what_bears_on_a_finding_changes_the_cards_sha256() -> None:
    """Rule, temperature, geometry, colours and weights do; licence, praise and the model's name don't."""
    card = load_card(packed_models() / "pcam-p4m")
    decision = card.decision
    told = card.model_copy(
        update={"licence": "other", "limits": "none", "metrics": {}, "name": "x", "training_data": ""}
    )
    assert told.sha256() == card.sha256() == card.identity().card_sha256
    for change in ({"chosen_on": "other data"}, {"found_from_um": 900.0}, {"covered_on": "other data"}):
        assert card.model_copy(update={"decision": _with(decision, **change)}).as_tuned().sha256() == card.sha256()
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
    changed = [card.model_copy(update=change) for change in changes]
    assert len({each.as_tuned().sha256() for each in (card, *changed)}) == len(changes) + 1
    edited = {each.sha256() for each in changed}  # no slide is complete with these
    assert len(edited | {each.as_tuned().sha256() for each in (card, *changed)}) == 2 * len(changes)


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


def test_a_card_says_whether_its_uncertainty_was_measured() -> None:
    """The released one does; one that names no deposits, or was edited since, doesn't. It is the same model."""
    card = load_card(RELEASED)
    silent = card.model_copy(update={"decision": _with(card.decision, covered_on=None)})
    edited = card.model_copy(update={"decision": _with(card.decision, coverage_factor=1.0)})
    assert [each.identity().uncertainty_measured for each in (card, silent, edited)] == [True, False, False]
    assert silent.identity() == card.identity()


def test_the_released_card_is_as_tuning_left_it() -> None:
    """Its digest is the one that `tune` would write, on every platform and with every pydantic."""
    card = load_card(RELEASED)
    assert card.as_tuned() == card
    assert (card.untuned, card.identity().tuned, model_flags(card.identity())) == (None, True, ())


@pytest.mark.parametrize(
    ("key", "value"), [*EDITS.items(), *((f"decision.{key}", value) for key, value in DECISION_EDITS.items())]
)
def test_a_card_that_was_edited_after_tuning_is_not_tuned(tmp_path: Path, key: str, value: object) -> None:
    """With other colours or another magnification the same thresholds called a macrometastasis negative and whole."""
    card = load_card(_edited(tmp_path, key, value))
    assert card.untuned is Untuned.EDITED
    assert (card.identity().found_from_um, card.identity().tuned) == (None, False)
    assert card.sha256() != load_card(RELEASED).sha256()
    (flag,) = model_flags(card.identity())
    assert flag.code == "model_not_tuned"
    assert "(its card was edited since it was tuned)" in flag.message
    assert "Undo the edit or run python -m training tune from a checkout and scan again" in flag.message
    assert card.as_tuned().untuned is None


def test_what_only_tells_of_a_model_may_be_edited(tmp_path: Path) -> None:
    """Words; every other field of a card, and of its decision, is one that an edit is noticed of."""
    words = {**RETOLD, "decision.chosen_on": "our slides", "decision.covered_on": None}
    for number, (key, value) in enumerate(words.items()):
        assert load_card(_edited(tmp_path / str(number), key, value)).untuned is None
    named = {*EDITS, *RETOLD, "weights", "decision", "known_tissue", "tuned_sha256"}
    assert named == set(ModelCard.model_fields)
    assert {*DECISION_EDITS, "chosen_on", "covered_on"} == set(Decision.model_fields)


def test_the_same_numbers_in_another_spelling_are_no_edit(tmp_path: Path) -> None:
    """0.70 for 0.7, 40 for 40.0; nor does it matter in which floats a number was chosen, as it is read as Python's."""
    text = (RELEASED / "card.yaml").read_text(encoding="utf-8")
    other = text.replace("threshold: 0.7\n", "threshold: 0.70\n").replace("um: 40.0\n", "um: 40\n")
    assert other.count("0.70\n") == other.count("um: 40\n") == 1
    (tmp_path / "card.yaml").write_text(other, encoding="utf-8")
    card = load_card(tmp_path)
    assert card.untuned is None
    numpys = {"mean": tuple(np.float64(value) for value in card.mean)}
    assert card.model_copy(update=numpys).as_tuned() == card
    whole = card.model_copy(update={"mean": (0, 0, 0)}).as_tuned()
    save_card(whole, tmp_path)
    assert load_card(tmp_path) == whole
    assert load_card(tmp_path).untuned is None


def test_a_card_says_why_it_is_not_tuned(tmp_path: Path) -> None:
    """Its digest taken away; never tuned; tuned, but no phantom found, which no later line can mend."""
    card = load_card(_edited(tmp_path / "a", "tuned_sha256", None))
    assert card.untuned is Untuned.EDITED
    exported = card.model_copy(update={"decision": _with(card.decision, found_from_um=None)})
    failed = exported.as_tuned()
    for each in (exported, failed):
        assert each.untuned is Untuned.NEVER
        (flag,) = model_flags(each.identity())
        assert "(not tuned, or failed on phantoms)" in flag.message
        assert "undo" not in flag.message
    assert failed.model_copy(update={"decision": card.decision}).untuned is Untuned.EDITED


def test_a_network_that_is_opened_knows_that_its_card_was_edited(tmp_path: Path) -> None:
    """What a scan asks is the predictor."""
    model = open_predictor(_edited(tmp_path, "mean", [0, 0, 0]), device="cpu", precision="float32").model
    assert (model.tuned, model.why_untuned) == (False, Untuned.EDITED)


def _edited(folder: Path, key: str, value: object) -> Path:
    """A copy of the released model in `folder`, a value of its card edited. key: dotted; value: None takes it out."""
    copy = shutil.copytree(RELEASED, folder / "model")
    content = yaml.safe_load((copy / "card.yaml").read_text(encoding="utf-8"))
    *part, last = key.split(".")
    where = content[part[0]] if part else content
    assert where[last] != value
    where[last] = value
    (copy / "card.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return copy


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
        {"decision": {"coverage_factor": 20.0}},
        {"decision": {"coverage_factor": 28}},
        {"decision": {"coverage_factor": 1e9}},
        {"decision": {"found_from_um": 0.0}},
        {"decision": {"found_from_um": 0.55}},
        {"decision": {"found_from_um": 550_000}},
        {"decision": {"size_uncertainty_um": 6e6}},
        {"decision": {"size_correction_um": [[107.7, -150.0], [400.0, 10.0]]}},
        {"decision": {"size_correction_um": [[107.7, 100.0], [3000.0, 150.0]]}},
        {"decision": {"size_correction_um": [[3000.0, 1400.0]]}},
        {"decision": {"size_correction_um": [[107.7, 150.0], [150_000.0, 150_000.0]]}},
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
    """The ends of the temperature, rounded as there, sizes off by half of a deposit seen in part, and a wide "±"."""
    card = load_card(packed_models() / "pcam-p4m")
    sizes = {"size_correction_um": ((107.7, 150.0), (2000.0, 3000.0)), "size_uncertainty_um": 0.1}
    rule = _with(card.decision, **sizes, coverage_factor=19.9)
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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"std": [True, 0.28, 0.21]}, "std.0: should be a valid number, not True"),
        ({"mean": [0.5, "0.5", 0.5]}, "mean.1: should be a valid number, not '0.5'"),
        ({"int8_ranges": [True] * 12}, "int8_ranges.0: should be a valid number, not True"),
        ({"core_px": "512"}, "core_px: should be a valid integer, not '512'"),
        ({"decision": {"smoothing_um": False}}, "decision.smoothing_um: should be a valid number, not False"),
        ({"licence": datetime.date(2026, 1, 2)}, "can't be read as a model card (2026-01-02 would be a date"),
        ({"licence": None}, "licence: should be a valid string, not None"),
        ({"Licence": "x"}, "Licence: unknown key, remove it or correct its spelling"),
    ],
)
def test_no_word_of_a_card_is_taken_for_a_number(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    """True is no 1 and text no number: the network would be fed with other colours than it was taught on."""
    content = load_card(packed_models() / "pcam-p4m").model_dump(mode="json")
    changed = {**content["decision"], **change["decision"]} if "decision" in change else content["decision"]
    (tmp_path / "card.yaml").write_text(yaml.safe_dump({**content, **change, "decision": changed}))
    with pytest.raises(ModelError, match=rf"card\.yaml: {re.escape(reason)}.*"):
        load_card(tmp_path)
