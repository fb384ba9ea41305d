"""What is exported is whole and sound, or nothing is."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nodescan.errors import ModelError, OutputError, UsageError
from nodescan.inference.card import load_card, save_card
from nodescan.inference.models import MODELS, build
from nodescan.inference.predictor import open_predictor
from tests.training.made_runs import made_checkpoint
from training.commands.app import app
from training.fitting import export as export_module
from training.fitting.checkpoints import starting_weights
from training.fitting.export import export


@pytest.mark.parametrize("spoilt", [float("nan"), float("inf"), 1e6])
def test_weights_that_are_no_numbers_are_not_exported(tmp_path: Path, spoilt: float) -> None:
    """Neither what training spoilt nor what half precision can't hold; the model that stood there stays."""
    export(made_checkpoint(tmp_path / "good.ckpt"), tmp_path / "model", name="model", training_data="none")
    before = {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()}
    bad = made_checkpoint(tmp_path / "bad.ckpt", change=lambda _, w: w.ndim > 1 and w.view(-1)[:1].fill_(spoilt))
    with pytest.raises(UsageError, match=r"bad.ckpt: holds weights that are no finite numbers"):
        export(bad, tmp_path / "model", name="model", training_data="none")
    assert {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()} == before


def test_a_long_run_is_exported(tmp_path: Path) -> None:
    """Its counters of batches are beyond what half precision holds, and come back as they were."""
    path = made_checkpoint(
        tmp_path / "long.ckpt", "resnet18", change=lambda name, w: name.endswith("_tracked") and w.fill_(70_001)
    )
    export(path, tmp_path / "model", name="model", training_data="none")
    _, weights = starting_weights(str(tmp_path / "model"))
    assert int(weights["stem_norm.num_batches_tracked"]) == 70_001


def test_a_copy_that_answers_otherwise_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers are compared before the model gets its place."""
    checkpoint = made_checkpoint(tmp_path / "one.ckpt", seed=1)
    monkeypatch.setattr(export_module, "load_network", lambda card, folder: build("p4m-small").eval())
    with pytest.raises(ModelError, match=r"one.ckpt: its copy's answers differ by \d\.\d+ from its own"):
        export(checkpoint, tmp_path / "model", name="model", training_data="none")
    assert list((tmp_path / "model").iterdir()) == []


def test_a_new_export_replaces_the_old_one_whole(tmp_path: Path) -> None:
    """Card and weights fit each other afterwards, and nothing else lies there."""
    for seed in (1, 2):
        checkpoint = made_checkpoint(tmp_path / f"{seed}.ckpt", seed=seed)
        card = export(checkpoint, tmp_path / "model", name="model", training_data=f"run {seed}")
    assert {file.name for file in (tmp_path / "model").iterdir()} == {"card.yaml", "weights.safetensors"}
    model = open_predictor(tmp_path / "model", device="cpu").model
    assert model.weights_sha256 == card.weights_sha256
    assert (card.tuned_sha256, model.tuned) == (None, False)


@pytest.mark.parametrize("name", ["my model", "modèle", "-m", ""])
def test_a_name_that_no_model_can_have_is_refused(tmp_path: Path, name: str) -> None:
    """With the rule for names, and before anything is written."""
    with pytest.raises(UsageError, match=f"{name!r} can't be a model's name: it needs"):
        export(made_checkpoint(tmp_path / "one.ckpt"), tmp_path / "model", name=name, training_data="none")
    assert not (tmp_path / "model").exists()


def test_a_place_that_is_a_file_is_named(tmp_path: Path) -> None:
    """One line, and the file stays."""
    (tmp_path / "model").write_text("a file")
    with pytest.raises(OutputError, match="model: can't be written"):
        export(made_checkpoint(tmp_path / "one.ckpt"), tmp_path / "model", name="model", training_data="none")
    assert (tmp_path / "model").read_text() == "a file"


def test_a_tuned_model_is_not_replaced(tmp_path: Path) -> None:
    """What tuning chose stands on the card alone."""
    checkpoint = made_checkpoint(tmp_path / "one.ckpt")
    card = export(checkpoint, tmp_path / "model", name="model", training_data="none")
    decision = card.decision.model_copy(update={"chosen_on": "60 composites"})
    save_card(card.model_copy(update={"decision": decision}), tmp_path / "model")
    with pytest.raises(UsageError, match=r"tuned model .*60 composites"):
        export(checkpoint, tmp_path / "model", name="model", training_data="none")
    assert load_card(tmp_path / "model").decision.chosen_on == "60 composites"


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    """A slip of --to would leave a model among somebody's slides. Hidden files and weights alone are no reason."""
    checkpoint = made_checkpoint(tmp_path / "one.ckpt")
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in (".DS_Store", "weights.safetensors"):
        (mine / name).write_text("")
    export(checkpoint, mine, name="mine", training_data="none")
    (mine / "notes.txt").write_text("beside a model")
    export(checkpoint, mine, name="mine", training_data="none")
    (mine / "card.yaml").unlink()
    with pytest.raises(UsageError, match=r"mine: holds other files \(notes.txt\) and no model; name a new or empty"):
        export(checkpoint, mine, name="mine", training_data="none")
    assert not (mine / "card.yaml").exists()


def test_a_card_that_cannot_be_read_is_not_replaced(tmp_path: Path) -> None:
    """It may be a tuned model's, with a slip of the hand in it."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "card.yaml").write_text("name: [mine\n")
    with pytest.raises(UsageError, match=r"card.yaml: can't be read .* It may be of a tuned model: correct it, or"):
        export(made_checkpoint(tmp_path / "one.ckpt"), tmp_path / "model", name="model", training_data="none")
    assert (tmp_path / "model" / "card.yaml").read_text() == "name: [mine\n"


def test_the_command_says_which_model_it_replaces(tmp_path: Path) -> None:
    """The second time, by its weights."""
    words = ["export", str(made_checkpoint(tmp_path / "one.ckpt")), "--to", str(tmp_path / "model")]
    assert "in place of" not in CliRunner().invoke(app, words).output
    old = load_card(tmp_path / "model").weights_sha256[:12]
    told = CliRunner().invoke(app, words).output
    assert f", in place of the untuned model {old}; tune it before use" in told


def test_a_network_that_is_for_training_alone_is_not_exported(tmp_path: Path) -> None:
    """With the names of those that can be."""
    checkpoint = made_checkpoint(tmp_path / "one.ckpt", "p4m-half")
    said = f"p4m-half networks can't be exported; those of {', '.join(sorted(MODELS))} can"
    with pytest.raises(UsageError, match=said):
        export(checkpoint, tmp_path / "model", name="model", training_data="none")
    assert not (tmp_path / "model").exists()
