"""python -m training as a user meets it: help, and mistakes told in one line."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from typer import Typer
from typer.testing import CliRunner

from nodescan.domain.report import Untuned
from nodescan.domain.units import Spacing
from nodescan.errors import AnnotationError, ModelError, NodescanError, OutputError, SlideError, UsageError, WorkerError
from nodescan.evaluation.bootstrap import share_of
from nodescan.inference.card import find_model, load_card, save_card
from nodescan.inference.predictor import open_predictor
from nodescan.inference.random_model import random_model
from tests.evaluation.made_lesions import planted
from tests.imaging.planted import CELL_UM, coverage, disc
from tests.training.made_patches import as_zip, unzipped
from training.__main__ import main
from training.camelyon.bucket import DownloadError
from training.commands import app as commands
from training.commands import models as model_commands
from training.commands.app import app
from training.commands.output import told
from training.fitting import export as export_module
from training.fitting import lightning_cli as fitting
from training.fitting.module import TumourModule
from training.model_cards.ablation import read_plan
from training.model_cards.model_card import check_composites, read_composite_scores, recipe_part
from training.tuning import card as card_tuning
from training.tuning import composites, eight_bits, kept_maps
from training.tuning.discs import disc_maps
from training.tuning.known_slides import KnownSlide

CONFIG = Path(__file__).parents[3] / "configs" / "train" / "pcam.yaml"


@pytest.mark.parametrize("name", ["pcam.yaml", "pcam-second.yaml", "pcam-third.yaml", "camelyon16.yaml"])
def test_a_configuration_names_every_setting_of_the_lesson(name: str) -> None:
    """None is left to a default in the code; what a run starts with is said on the command line."""
    content = yaml.safe_load((CONFIG.parent / name).read_text())
    assert {*content["model"], "init_from"} == {*signature(TumourModule).parameters}


def refused(capsys: pytest.CaptureFixture[str], *words: object, code: int = 2) -> str:
    """What a command says that ends with that exit code: one line."""
    assert main([str(word) for word in words]) == code
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@pytest.mark.parametrize("words", [("fit", "--help"), ("evaluate-patches", "x.h5", "--model", "pcam-p4m")])
def test_a_package_of_the_extra_that_is_missing_is_one_line(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after `pip install .`, by which nobody trains."""
    for name in (
        "lightning",
        "h5py",
        "training.fitting.lightning_cli",
        "training.patches.labelled",
        "training.scoring.patches",
    ):
        monkeypatch.setitem(sys.modules, name, None)
    assert "pip install '.[train]'" in refused(capsys, *words)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_what_cannot_be_printed_is_one_line() -> None:
    """As of nodescan's own commands."""
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "training", "--help"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=CONFIG.parents[2])
    assert done.stderr == "error: the output can't be written (No space left on device); send it elsewhere\n"
    assert done.returncode == 1


@pytest.mark.skipif(os.name != "posix", reason="Windows removes no folder that is in use")
@pytest.mark.parametrize("words", [("fit", "--config", "x.yaml"), ("average", "x.ckpt", "--to", "y.ckpt")])
def test_a_current_folder_that_was_removed_is_one_line(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of Lightning's commands, too."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert "the current folder can't be used" in refused(capsys, *words)


def test_help_lists_every_command_and_lightnings() -> None:
    """fit isn't ours, but a user looks for it here."""
    said = CliRunner().invoke(app, ["--help"]).output
    names = {command.name for command in app.registered_commands}
    assert {"download", "prepare", "mine", "export", "tune", "evaluate-patches", "model-card", "ablate"} <= names
    assert all(str(name) in said for name in names)
    assert "python -m training fit" in said


@pytest.mark.skipif(not hasattr(signal, "SIGTERM"), reason="signals as POSIX has them")
def test_a_signal_ends_a_command_in_order(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What it made for itself is cleared away, and one line says so."""
    left: list[str] = []
    stopped = Typer(add_completion=False)

    @stopped.command()
    def stop() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            left.append("in order")

    monkeypatch.setattr(commands, "app", stopped)
    assert (main([]), left) == (130, ["in order"])
    assert capsys.readouterr().err == "error: stopped by the user\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export"], "error: Missing argument 'checkpoint'; see python -m training export --help\n"),
        (["paint"], "error: No such command 'paint'; see python -m training --help\n"),
        (["export", "--colour"], "error: No such option: --colour; see python -m training export --help\n"),
    ],
)
def test_wrong_words_are_told_in_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As nodescan's own commands tell them, by the name that the program is called by."""
    assert main(words) == 2
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DownloadError("s.tif: is not in the bucket any more"), 1),
        (SlideError("s.tif", "is cut off"), 1),
        (AnnotationError("s.xml: outlines nothing"), 1),
        (UsageError("--seeds 'x'"), 2),
        (ModelError("m: no card.yaml there"), 2),
        (OutputError("m: the disk is full"), 1),
        (WorkerError("no thread can be started"), 1),
    ],
)
def test_errors_end_as_nodescans_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: NodescanError, code: int
) -> None:
    """1 where what was asked for failed, 2 where it can't be done; of Lightning's commands and of ours alike."""
    failing = Typer(add_completion=False)

    def fail(words: list[str] | None = None) -> None:
        raise error

    failing.command()(fail)
    monkeypatch.setattr(commands, "app", failing)
    monkeypatch.setattr(fitting, "fit", fail)
    for arguments in ([], ["fit"]):
        assert main(arguments) == code
        assert capsys.readouterr().err == f"error: {error}\n"


def test_what_an_error_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A file may be called anything: brackets stay as they are, what doesn't print is escaped."""
    assert told(UsageError("[red]a[/red]\x1b[2J.zip: no such file")) == 2
    assert capsys.readouterr().err == "error: [red]a[/red]\\x1b[2J.zip: no such file\n"


@pytest.mark.parametrize("name", [str(command.name) for command in app.registered_commands])
def test_every_command_explains_itself(name: str) -> None:
    """--help of each works without what the command needs when it runs."""
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0


def test_a_configuration_with_an_unknown_key_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File, key and where the right ones stand, not pages of usage; so is a file that isn't there."""
    content = yaml.safe_load(CONFIG.read_text())
    content["model"]["label_smoothness"] = 0.1
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(content))
    line = refused(capsys, "fit", "--config", wrong)
    assert line.startswith(f"error: {wrong}: ")
    assert "label_smoothness" in line
    assert line.endswith("python -m training fit --help lists what there is")
    assert "File does not exist" in refused(capsys, "fit", f"--config={tmp_path / 'nope.yaml'}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"data: {init_args: {index: i}}  # M\xfcller\n", "is not text in UTF-8 ("),
        ("data: {init_args: {index: i}}".encode("utf-16"), "is not text in UTF-8 ("),
        (b"data: [1\n", "is not valid YAML ("),
        (b"data:\n  init_args:\n    index: ''\n", "data.init_args.index is missing"),
        (b"", "data.init_args.index is missing"),
    ],
)
@pytest.mark.parametrize("command", [("sample",), ("mine", "--ckpt", "none.ckpt")])
def test_a_configuration_that_cannot_be_read_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], content: bytes, said: str
) -> None:
    """In one line; YAML that breaks off doesn't lack a key."""
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    assert refused(capsys, *command, "--config", path).startswith(f"error: {path}: {said}")


@pytest.mark.parametrize(
    ("content", "said"), [(b"base: M\xfcller\n", r"is not text in UTF-8 \("), (b"base: [1\n", r"is not valid YAML \(")]
)
@pytest.mark.parametrize("read", [read_plan, recipe_part])
def test_a_plan_or_recipe_that_cannot_be_read_says_why(
    tmp_path: Path, content: bytes, said: str, read: Callable[[Path], object]
) -> None:
    """What an ablation and a model card are made by."""
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=rf"c\.yaml: {said}"):
        read(path)


def test_patches_of_one_label_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the folder or zip that holds them, before a network answers them; a model card is made of no such ones."""
    source = as_zip(tmp_path / "valid.zip", {"normal": 3})
    said = (
        f"error: {source}: all 3 patches are labelled normal, so nothing can be told apart; name patches of both labels"
    )
    assert refused(capsys, "evaluate-patches", source) == said
    folder = unzipped(source, tmp_path / "folder")
    assert refused(capsys, "evaluate-patches", folder) == said.replace(str(source), str(folder))
    words = ("--masks", tmp_path, "--recipe", CONFIG, "--to", tmp_path / "card.md")
    assert refused(capsys, "model-card", "--patches", source, *words) == said


def test_tune_needs_slides_whose_deposits_are_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Patches or outlined slides, one of the two, and the folder that these lie in."""
    neither = refused(capsys, "tune", "--model", tmp_path)
    assert "--patches ZIP, or --manifest CSV with --data DIR" in neither
    assert refused(capsys, "tune", "--model", tmp_path, "--patches", "a.zip", "--manifest", "m.csv") == neither
    told = refused(capsys, "tune", "--model", tmp_path, "--manifest", "m.csv")
    assert "--manifest needs --data, the folder below which the manifest's `key`" in told
    words = ("tune", "--model", tmp_path, "--manifest", "m.csv", "--data", tmp_path, "--split", "dev")
    assert "--split dev: choose from train, valid, test" in refused(capsys, *words)


@pytest.mark.parametrize(
    ("source", "option"),
    [
        ("--patches", "--data d"),
        ("--patches", "--slides tumor_*"),
        ("--patches", "--split test"),
        ("--manifest", "--tool t.py"),
        ("--manifest", "--seeds 1-4"),
    ],
)
def test_tune_takes_no_option_that_it_would_ignore(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, option: str
) -> None:
    """Whoever names slides, a split or seeds means to tune on these."""
    data = ("--data", tmp_path) if source == "--manifest" else ()
    line = refused(capsys, "tune", "--model", tmp_path, source, "any", *data, *option.split())
    assert line == f"error: {option.split(maxsplit=1)[0]} has no meaning with {source}; leave it out"


def test_a_model_that_cannot_be_tuned_is_told_before_any_slide(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such folder, or a packed model by its name, whose card isn't the user's: slides would take an hour."""
    monkeypatch.setattr(model_commands, "_outlined", lambda *_: pytest.fail("slides were read"))
    for name in (tmp_path / "no", "pcam-p4m"):
        line = refused(capsys, "tune", "--model", name, "--manifest", "m.csv", "--data", tmp_path)
        assert f"{name}: no card.yaml there; a model is a folder with a card and its weights" in line


def test_nothing_is_tuned_on_composites_of_one_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No kappa would be defined; a range of seeds that is none is refused, too."""
    model = random_model(tmp_path / "model", "p4m-small")
    monkeypatch.setattr(composites, "half_of", lambda *_, **__: tmp_path / "half.zip")
    monkeypatch.setattr(composites, "make_composites", lambda *_, **__: [KnownSlide("s", tmp_path / "s.tif", ())])
    words = ("tune", "--model", model, "--patches", tmp_path / "p.zip", "--seeds")
    assert "1 slides to tune on, all tumour or all normal: both are needed" in refused(capsys, *words, "4-4")
    assert "--seeds '5-3': the first is above the last; write 3-5" in refused(capsys, *words, "5-3")


def test_a_card_that_cannot_be_written_is_told_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder, or below a file: minutes of measuring would be lost."""
    (tmp_path / "file").write_text("")
    words = ("model-card", "--patches", tmp_path / "none.zip", "--masks", tmp_path, "--to")
    assert "is a folder; name the file to write with --to" in refused(capsys, *words, tmp_path)
    assert "file: can't be written" in refused(capsys, *words, tmp_path / "file" / "CARD.md", code=1)


def test_commands_that_are_told_can_be_pasted(data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder's name with a space, or an umlaut and brackets, is one word of them."""
    monkeypatch.chdir(tmp_path)
    index, model, made = "Größe (alt)", "my models/mine", "a set"
    monkeypatch.setattr(composites, "half_of", lambda *_, **__: tmp_path / "half.zip")
    monkeypatch.setattr(composites, "make_composites", lambda *_, **__: [])
    monkeypatch.setattr(export_module, "export", lambda *_, **__: load_card(find_model(None)))
    manifest, slides = ("--manifest", str(data_set / "manifest.csv")), ("--slides", "normal_001")
    commands = (
        ("prepare", *manifest, *slides, "--data", str(data_set), "--to", index),
        ("export", "c.ckpt", "--to", model),
        ("make-composites", "--patches", "p.zip", "--to", made),
    )
    said = [CliRunner().invoke(app, command).output for command in commands]
    told = [
        line.rpartition(word)[2]
        for text, word in zip(said, ("fit with", "use:", "Next:"), strict=True)
        for line in (text.strip(),)
    ]
    assert [shlex.split(text) for text in told] == [
        ["--data.init_args.index", index],
        ["python", "-m", "training", "tune", "--model", model],
        ["nodescan", "run", made, "--out", f"{made}-scan", "nodescan", "evaluate", f"{made}-scan", "--reference", made],
    ]


def test_a_model_of_another_magnification_is_not_shown_phantoms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would answer, and its sizes be corrected by that: refused before a slide is made or opened."""
    monkeypatch.setattr(model_commands, "_laid_out", lambda *_: pytest.fail("slides were made"))
    model = random_model(tmp_path / "model", "p4m-small")
    save_card(load_card(model).model_copy(update={"spacing_um": (0.45, 0.5)}), model)
    words = "phantoms of 0.97 um/px, which is not within the model's 0.45 to 0.5 um/px"
    assert words in refused(capsys, "measure-discs", "--model", model)
    assert words in refused(capsys, "tune", "--model", model, "--patches", "p.zip")
    assert words in refused(capsys, "tune", "--model", model, "--patches", "p.zip", "--only", "decision")
    with pytest.raises(UsageError, match=words):
        disc_maps(open_predictor(model, precision="float32"), [1])


def test_mining_writes_over_no_file_but_an_earlier_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused before a slide is looked at: the checkpoint, a manifest, a slide; an earlier list is made anew."""
    config = tmp_path / "mine.yaml"
    config.write_text("data: {init_args: {index: idx}}")
    checkpoint, listed = tmp_path / "c.ckpt", tmp_path / "manifest.csv"
    listed.write_text("slide_id,patient_id\n")
    checkpoint.write_bytes(b"weights")
    words = ("mine", "--config", config, "--ckpt", checkpoint, "--to")
    assert "what is read would be lost" in refused(capsys, *words, checkpoint)
    assert "nodescan didn't write it" in refused(capsys, *words, listed)
    listed.write_text("slide_id,left_px,top_px,width_px,height_px,probability\r\n")
    assert "c.ckpt: not a checkpoint" in refused(capsys, *words, listed)


def test_a_tuning_that_fails_leaves_the_card_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new temperature under thresholds chosen at another one would be a model that nobody tuned."""
    model = random_model(tmp_path / "model", "p4m-small")
    before = (model / "card.yaml").read_bytes()

    def choose(draft: Path, *_: object, **__: object) -> None:
        assert draft != model
        (draft / "card.yaml").write_text("half done")
        raise UsageError("the disk is full")

    monkeypatch.setattr(model_commands, "_outlined", lambda *_: ([], "none"))
    monkeypatch.setattr(eight_bits, "with_ranges", lambda draft, _: load_card(draft))
    monkeypatch.setattr(card_tuning, "_choose", choose)
    assert "the disk is full" in refused(capsys, "tune", "--model", model, "--manifest", "m.csv", "--data", tmp_path)
    assert (model / "card.yaml").read_bytes() == before


def test_the_decision_alone_is_chosen_on_float32_s_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card's temperature and ranges stay, so these answers are what a scan's are held to."""
    model = random_model(tmp_path / "model", "p4m-small")
    asked = list[object]()
    monkeypatch.setattr(model_commands, "_laid_out", lambda *_: ([], "none"))
    monkeypatch.setattr(card_tuning, "_calibrate", lambda *_: pytest.fail("the temperature was fitted"))
    monkeypatch.setattr(eight_bits, "with_ranges", lambda *_: pytest.fail("ranges were measured"))
    monkeypatch.setattr(card_tuning, "_choose", lambda *_, precision: asked.append(precision))
    done = CliRunner().invoke(app, ["tune", "--model", str(model), "--patches", "p.zip", "--only", "decision"])
    assert done.exit_code == 0
    assert asked == ["float32"]


def test_how_wide_uncertainties_must_be_is_measured_on_the_rule_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """39 found deposits that are 400 um long and measured as that, but for some that are said to be 200 um long."""
    model = random_model(tmp_path / "model", "p4m-small")
    before = load_card(model)
    slides = [KnownSlide(f"s{n}", Path(f"s{n}.tif"), planted(((480.0, 480.0), 400.0))) for n in range(39)]
    negative = KnownSlide("none", Path("none.tif"), ())
    map_ = coverage(disc((480, 480), 400), (60, 60), Spacing.square(CELL_UM))
    monkeypatch.setattr(card_tuning, "probability_map", lambda path, *_, cache: path.stem == "none" or map_)

    def tuned(*known: KnownSlide) -> tuple[str, ...]:
        monkeypatch.setattr(model_commands, "_laid_out", lambda *_: (known, "made-up slides"))
        return "tune", "--model", str(model), "--patches", "p.zip", "--only", "uncertainty"

    line = refused(capsys, *tuned(negative, *slides[1:]))
    assert "38 known deposits are found, and 39 are needed" in line
    assert load_card(model) == before
    assert CliRunner().invoke(app, tuned(negative, *slides)).exit_code == 0
    assert load_card(model).decision.coverage_factor == 2.0
    slides[:2] = [replace(slide, deposits=planted(((480.0, 480.0), 200.0))) for slide in slides[:2]]
    assert CliRunner().invoke(app, tuned(*slides)).exit_code == 0
    decision = load_card(model).decision
    assert decision.coverage_factor == pytest.approx(8.9)
    assert decision.covered_on == "39 deposits found of made-up slides"
    assert decision.chosen_on == before.decision.chosen_on
    assert decision.rule() == replace(before.decision.rule(), coverage_factor=decision.coverage_factor)
    assert load_card(model).untuned is Untuned.NEVER
    whole = before.decision.model_copy(update={"found_from_um": 550.0})
    save_card(before.model_copy(update={"decision": whole}).as_tuned(), model)
    assert CliRunner().invoke(app, tuned(*slides)).exit_code == 0
    assert load_card(model).decision.coverage_factor == pytest.approx(8.9)
    assert load_card(model).untuned is None
    kept = load_card(model)
    slides[:2] = [replace(slide, deposits=planted(((480.0, 480.0), 900.0))) for slide in slides[:2]]
    line = refused(capsys, *tuned(*slides))
    assert "coverage_factor: Input should be less than 20" in line
    assert load_card(model) == kept


@pytest.mark.parametrize("part", ["decision", "uncertainty"])
@pytest.mark.parametrize("change", [{"mean": (0.6, 0.5, 0.6)}, {"tuned_sha256": None}])
def test_no_part_is_chosen_anew_beside_what_was_chosen_for_another_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], part: str
) -> None:
    """Or an edited card would be a tuned one by `--only uncertainty`, its thresholds never looked at."""
    model = shutil.copytree(find_model(None), tmp_path / "model")
    save_card(load_card(model).model_copy(update=change), model)
    before = (model / "card.yaml").read_bytes()
    line = refused(capsys, "tune", "--model", model, "--patches", "p.zip", "--only", part)
    assert "edited since it was tuned" in line
    assert f"what --only {part} keeps may not hold any more; put the card back as it was, or tune without" in line
    assert (model / "card.yaml").read_bytes() == before


@pytest.mark.parametrize("step", ["_laid_out", "_cover"])
def test_a_card_that_is_edited_while_it_is_tuned_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """That takes an hour: whether slides are made or thresholds chosen, the edit is neither lost nor tuned in part."""
    model = shutil.copytree(find_model(None), tmp_path / "model")
    edited = load_card(model).model_copy(update={"temperature": 2.0})

    def at_step(*_: object) -> tuple[list[KnownSlide], str]:
        save_card(edited, model)
        return [], "none"

    monkeypatch.setattr(model_commands, "_laid_out", lambda *_: ([], "none"))
    monkeypatch.setattr(model_commands if step == "_laid_out" else card_tuning, step, at_step)
    line = refused(capsys, "tune", "--model", model, "--patches", "p.zip", "--only", "uncertainty")
    assert "card.yaml was changed while the model was tuned, and is left as it is now; tune it again" in line
    assert load_card(model) == edited


def test_patches_of_another_magnification_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The network would answer them all the same."""
    line = refused(capsys, "evaluate-patches", tmp_path / "p.zip", "--mpp", "0.25")
    assert "--mpp 0.25 is not within the model's 0.9 to 1 um/px; resample it" in line


def test_composite_slides_are_scored_one_by_one_and_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disc that is found, one that is missed, and a slide without any: a line each, then the figures of all."""
    deposits = planted(((480.0, 480.0), 400.0))
    slides = [KnownSlide(name, Path(f"{name}.tif"), deposits) for name in "ab"] + [KnownSlide("c", Path("c.tif"), ())]
    map_ = coverage(disc((480, 480), 400), (60, 60), Spacing.square(CELL_UM))
    blank = replace(map_, values=0 * map_.values)
    card = load_card(find_model(None))
    model = SimpleNamespace(weights_sha256=card.weights_sha256, card_sha256=card.sha256())
    predictor = SimpleNamespace(decision=card.decision.rule(), model=model)
    monkeypatch.setattr("nodescan.inference.slots.open_in_slot", lambda *_, **__: (predictor, 1))
    monkeypatch.setattr(composites, "half_of", lambda patches, *_, **__: patches)
    monkeypatch.setattr(composites, "make_composites", lambda *_, **__: slides)
    monkeypatch.setattr(kept_maps, "probability_map", lambda path, *_, cache: map_ if path.stem == "a" else blank)
    patches = tmp_path / "p.zip"
    patches.write_bytes(b"patches")
    asked = "evaluate-composites", "--patches", str(patches)
    lines = CliRunner().invoke(app, asked).output.splitlines()
    assert [line.split()[:7] for line in lines[:3]] == [
        ["a", "micro", "found", "micro", "right", "0", "false"],
        ["b", "micro", "found", "negative", "WRONG", "0", "false"],
        ["c", "negative", "found", "negative", "right", "0", "false"],
    ]
    assert re.fullmatch(r"400 -> 3\d\d um", lines[0].split("false  ")[1])
    assert lines[1].endswith("400 -> missed (0 of 1 missed named)")
    written = tmp_path / "scores.json"
    written.write_text(CliRunner().invoke(app, (*asked, "--json")).output)
    scores = read_composite_scores(written)
    check_composites(written, card, patches)
    assert scores["recall_micro"] == replace(share_of(1, 2), low=0.0945, high=0.9055)
    assert (scores["missed_named"].value, scores["false_deposits"].value, scores["n"]) == (0.0, 0.0, 3)
    assert (scores["size_error_large"], scores["n_from_400"]) == (None, 1)
