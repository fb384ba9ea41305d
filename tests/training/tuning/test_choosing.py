"""What choosing a decision writes on a model's card, and what it tells."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from nodescan.domain.decision import DecisionRule
from nodescan.domain.units import Spacing
from nodescan.errors import OutputError
from nodescan.inference.card import find_model, load_card
from nodescan.inference.random_model import random_model
from tests.evaluation.made_lesions import planted
from tests.imaging.planted import CELL_UM, coverage, disc
from training.options import Tuned
from training.tuning import card as card_tuning
from training.tuning import rules as tuning
from training.tuning.card import rewrite_card
from training.tuning.known_slides import KnownSlide
from training.tuning.words import tuned_words


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that sees every planted disc of 400 um as it is; one smoothing and threshold, in threads."""
    map_ = coverage(disc((480, 480), 400), (60, 60), Spacing.square(CELL_UM))
    blank = coverage(disc((480, 480), 400), (60, 60), Spacing.square(CELL_UM))
    blank.values[:] = 0
    monkeypatch.setattr(card_tuning, "open_predictor", lambda *_, **__: SimpleNamespace())
    monkeypatch.setattr(card_tuning, "probability_map", lambda path, *_, **__: blank if path.stem == "none" else map_)
    monkeypatch.setattr(card_tuning, "disc_maps", lambda *_: [])
    monkeypatch.setattr(card_tuning, "thin_maps", lambda *_: [])
    monkeypatch.setattr(card_tuning, "found_from_um", lambda _: 800.0)
    monkeypatch.setattr(tuning, "_LOWEST_RULES", (DecisionRule(16.0, 0.5, 0.5, (), 0.0, coverage_factor=1.0),))
    monkeypatch.setattr(tuning, "ProcessPoolExecutor", lambda **_: ThreadPoolExecutor())


def slides(deposits: int) -> tuple[list[KnownSlide], str]:
    known = [KnownSlide(f"s{n}", Path(f"s{n}.tif"), planted(((480.0, 480.0), 400.0))) for n in range(deposits)]
    return [*known, KnownSlide("none", Path("none.tif"), ())], "made-up slides"


@pytest.mark.usefixtures("chosen")
@pytest.mark.parametrize(
    ("deposits", "covered_on", "factor"), [(3, None, 2.8), (39, "39 deposits found of made-up slides", 2.0)]
)
def test_a_card_names_the_deposits_that_its_uncertainty_was_measured_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], deposits: int, covered_on: str | None, factor: float
) -> None:
    """Three are too few: the card claims nothing, its factor is the released model's, and `tune` says so."""
    model = random_model(tmp_path / "model", "p4m-small")
    rewrite_card(model, lambda: slides(deposits), Tuned.DECISION, None, tmp_path)
    card = load_card(model)
    assert (card.decision.covered_on, card.decision.coverage_factor) == (covered_on, factor)
    assert card.identity().uncertainty_measured is (covered_on is not None)
    words = "but that was not measured for this model: 3 deposits found, 39 are needed."
    assert (words in capsys.readouterr().out) is (covered_on is None)


def test_no_folder_for_the_draft_is_told_before_the_slides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Making them takes an hour."""
    model = random_model(tmp_path / "model", "p4m-small")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match=r"no place for temporary files .*set TMPDIR"):
        rewrite_card(model, lambda: pytest.fail("slides are made"), Tuned.DECISION, None, tmp_path)


@pytest.mark.usefixtures("chosen")
def test_tuning_tells_its_rules_and_its_end_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each of the best ten rules, and one that says what comes next; no object of Python's."""
    model = random_model(tmp_path / "a model", "p4m-small")
    last = rewrite_card(model, lambda: slides(3), Tuned.DECISION, None, tmp_path)
    assert last == (
        f"{model}: tuned on 4 slides with 3 deposits; finds every synthetic deposit from 0.80 mm on; "
        f"\"±\" was not measured; now: nodescan run SLIDE --out RESULTS --model '{model}'"
    )
    said = capsys.readouterr().out
    head, *lines = said.splitlines()[4:-1]
    assert head == "the best of 14 rules:"
    assert len(lines) == 10
    assert lines[0].startswith("smoothing 16 um, threshold 0.5, seed threshold 0.5: kappa 1.00, 1 of 1 negative slide")
    for words in (
        "0.00 false deposits a slide",
        "3 of 3 deposits above 0.2 mm found",
        "3 of 3 sizes within their ±",
    ):
        assert words in lines[0]
    assert "(" not in lines[0]


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        ({}, '; finds every synthetic deposit from 0.55 mm on; "±" is 2.8 standard uncertainties, measured on 44 dep'),
        ({"found_from_um": None}, "; no slide will be complete with it (not tuned, or failed on phantoms); "),
        ({"covered_on": None}, '; "±" was not measured; now: nodescan run SLIDE'),
    ],
)
def test_the_last_line_says_what_the_card_says(decision: dict[str, object], words: str) -> None:
    """Which deposits it finds or that no slide will be complete, and what "±" was measured on or that it wasn't."""
    card = load_card(find_model(None))
    changed = card.model_copy(update={"decision": card.decision.model_copy(update=decision)}).as_tuned()
    assert words in tuned_words(changed, slides(1)[0], Path("models/mine"))
