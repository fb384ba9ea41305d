"""The model card says what was measured, shows the patches that were answered worst, and warns."""

import hashlib
import json
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from nodescan.domain.classification import Metastasis
from nodescan.errors import UsageError
from nodescan.evaluation.bootstrap import Estimate
from nodescan.evaluation.pairing import Pairing
from nodescan.inference.card import find_model, load_card
from nodescan.inference.predictor import open_predictor
from nodescan.inference.random_model import random_model
from tests.evaluation.made_lesions import lesion
from tests.fakes import ColourPredictor
from training.commands.card import RECIPE as RELEASED
from training.commands.card import model_card_command
from training.commands.output import flat
from training.model_cards import model_card
from training.model_cards.model_card import (
    CardSources,
    Measured,
    Speed,
    Words,
    _seconds_per_mm2,
    check_composites,
    check_recipe,
    figure,
    measure_speeds,
    read_composite_scores,
    recipe_part,
    render,
)
from training.model_cards.worst_patches import WorstPatch, contact_sheet, worst, worst_of, write_sheet, write_sheets
from training.patches.labelled import Patches
from training.provenance import ranges_chosen_on, temperature_chosen_on
from training.scoring.masks import MaskScores
from training.scoring.patches import scores_of
from training.tuning.discs import DiscBias
from training.tuning.known_slides import SlideScore, summarise

NONE, MICRO = Metastasis.NONE, Metastasis.MICRO
CONFIGS = Path(__file__).parents[3] / "configs" / "train"
RECIPE = [recipe_part(CONFIGS / name) for name in ("pcam.yaml", "pcam-second.yaml")]


SCORES = [
    SlideScore(MICRO, MICRO, Pairing((lesion(500.0, 520.0, uncertainty_um=30.0),), 1, 0)),
    SlideScore(NONE, NONE, Pairing((), 0, 0)),
]


def composites() -> dict[str, object]:
    """Figures of SCORES, without their intervals."""
    return {name: value for name, value in flat(summarise(SCORES)).items() if not name.endswith("_95")}


def shown(of: Measured | None = None, **changed: Any) -> str:
    """The card of a model, the released one if none is given: what a test doesn't name isn't stated."""
    stated = {"composites": None, "recipe": RECIPE, "pictures": None, "words": Words("not stated")}
    return render(of or measured(), **stated | changed)


@cache
def measured() -> Measured:
    rng = np.random.default_rng(0)
    truth = np.arange(200) < 100
    lone = scores_of(np.clip(rng.normal(0.3 + 0.4 * truth, 0.2), 0.01, 0.99), truth)
    interval = Estimate(0.91, 0.88, 0.94, 30)
    bias = Estimate(-5.0, -7.0, -3.0, 30)
    return Measured(
        card=load_card(find_model(None)),
        lone=lone,
        mosaic=lone,
        largest_difference=1e-7,
        worst=(WorstPatch("valid/normal/7.jpg", False, 4.3), WorstPatch("valid/tumor/8.jpg", True, -2.2)),
        masks=MaskScores(*[interval] * 4, *[bias] * 2, interval, *[bias] * 3, 30, 22478),
        discs=(DiscBias(100.0, 6, 6, None, None, None), DiscBias(400.0, 6, 0, 9.0, -1.5, 2.0)),
        speeds=(Speed("float32", 0.5, 1.25),),
        device="cpu (2 threads)",
        parameters=332_673,
        megabytes=0.7,
    )


def test_the_card_holds_every_section_and_warning() -> None:
    """Figures with intervals, what was chosen on what, the fall on other centres, and the notice."""
    pictures, words = ("docs/a.jpg", "docs/b.jpg"), Words("5 hours", "Looked at twice.\n")
    text = shown(composites=composites(), pictures=pictures, words=words)
    for said in (
        "not for clinical use",
        "optimistic",
        "0.930 at home to 0.727",
        "0.910 (0.880 to 0.940)",
        "-5.0 (-7.0 to -3.0)",
        "1 of 1",
        "| 100 | 6 | not defined",
        "| 400 | 0 | +9.0 | -1.5 | 2.0 |",
        "![Tumour patches that the model calls normal](docs/b.jpg)",
        "5 hours",
        "| float32 | 0.50 | 1.25 |",
        "laid out of among them.\nLooked at twice.\n",
    ):
        assert said in text, said
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_a_section_that_was_not_measured_says_so() -> None:
    """Never an empty table that reads as if nothing was found."""
    text = shown()
    assert "Not measured for this card" in text
    assert "commands were not named for this card" in text
    assert "holds no pictures of the worst answers" in text


@pytest.mark.parametrize("pictures", [None, ("a.jpg", "b.jpg")])
def test_the_worst_answers_stand_by_their_names(pictures: tuple[str, str] | None) -> None:
    """With pictures or without; without them the card says who can draw them, and how."""
    text = shown(pictures=pictures)
    assert "| normal | `valid/normal/7.jpg` | 0.987 | +4.3 |\n| tumour | `valid/tumor/8.jpg` | 0.100 | -2.2 |\n" in text
    command = "python -m training model-card --patches PATCHES --masks MASKS --pictures FOLDER --to FILE"
    assert (command in text) is (pictures is None)
    assert command.replace("card ", "card --model MODEL ") in shown(of_a_lab())
    assert "CAMELYON's slides" in text or pictures
    assert "No validation patch was answered wrongly" in shown(replace(measured(), worst=()))


def test_a_size_that_another_card_found_is_not_the_card_s() -> None:
    """From which size on all is found stands there of a tuned model alone, as in a report."""
    sources = {"composites": None, "recipe": RECIPE, "pictures": None, "words": Words("not stated")}
    found = "every deposit, disc, elongated or crescent, was found from 550 um on"
    of_edited = replace(measured(), card=measured().card.model_copy(update={"mean": (0.6, 0.5, 0.6)}))
    assert found in render(measured(), **sources)
    text = render(of_edited, **sources)
    assert "550 um" not in text
    assert "isn't known (its card was edited since it was tuned): no slide is complete" in text


def test_the_recipe_says_what_began_with_what_and_who_taught(tmp_path: Path) -> None:
    """As the configurations have it: nothing of one model's history stands in another's card."""
    content = yaml.safe_load((CONFIGS / "pcam.yaml").read_text())
    content["model"]["architecture"], content["data"]["init_args"]["augment"]["pose_share"] = "residual", 1.0
    (tmp_path / "teacher.yaml").write_text(yaml.safe_dump(content))
    content = yaml.safe_load((CONFIGS / "pcam.yaml").read_text())
    content["model"] |= {"init_from": "runs/first.ckpt", "teachers": ["a.ckpt", "b.ckpt"], "teacher_share": 0.6}
    (tmp_path / "taught.yaml").write_text(yaml.safe_dump(content))
    recipe = [recipe_part(path) for path in (tmp_path / "teacher.yaml", tmp_path / "taught.yaml")]
    words = Words("not stated", commands="fit the teacher\naverage both\n")
    text = shown(recipe=recipe, words=words)
    for said in (
        "| architecture | `residual` | `p4m` |",
        "| starts with the weights of (where the configuration says so) |  | `runs/first.ckpt` |",
        "| teachers: how far labels are drawn to their answers | none | `a.ckpt`, `b.ckpt`: 0.6 |",
        "| share shown in a pose drawn from all eight | 1.0 | 0.0 |",
        "```\nfit the teacher\naverage both\n```\n",
    ):
        assert said in text, said
    assert "starts with" not in shown()


@pytest.mark.parametrize("name", ["camelyon16.yaml", "pcam.yaml", "pcam-third.yaml"])
def test_every_configuration_can_be_a_recipe(tmp_path: Path, name: str) -> None:
    """Of slides, too, whose batches hold no phantoms; what it leaves out is what the module starts with."""
    content = yaml.safe_load((CONFIGS / name).read_text())
    del content["model"]["label_smoothing"]
    (tmp_path / name).write_text(yaml.safe_dump(content))
    recipe = [recipe_part(tmp_path / name)]
    text = shown(recipe=recipe)
    assert "| label smoothing, tiles' weight | 0.0, 0.3 |" in text
    assert ("| phantoms among the tiles | none |" in text) == (name == "camelyon16.yaml")


def test_the_released_models_commands_fit_its_recipe() -> None:
    """docs/recipe.sh trains with every configuration that its card names, in their order."""
    commands = (CONFIGS.parents[1] / "docs" / "recipe.sh").read_text(encoding="utf-8")
    named = [word for word in commands.split() if word.startswith("configs/train/")]
    assert named == [path.as_posix() for path in RELEASED]


def test_a_figure_with_its_interval_in_words() -> None:
    """Value and both ends; a sign where it is asked for; None is not defined, and a number alone has no interval."""
    assert figure(Estimate(0.92912, 0.92, 0.938, 9)) == "0.929 (0.920 to 0.938)"
    assert figure(Estimate(4.0, -1.0, 9.04, 9), places=1, sign=True) == "+4.0 (-1.0 to +9.0)"
    assert figure(None) == figure(Estimate(None, None, None, 0)) == "not defined"
    assert figure(0.0231) == "0.023"


def test_the_card_shows_what_a_figure_was_made_of() -> None:
    """Found classes by true ones, deposits beside medians, and no median where few were measured."""
    told = composites()
    text = shown(composites=told)
    assert "| median size error, found deposits from 400 um up | 4.0 %, of 1 |" in text
    assert "| median size error, found deposits below 400 um | none stated of 0 |" in text
    assert "| negative | 1 | 0 | 0 | 0 |\n| ITC | 0 | 0 | 0 | 0 |\n| micro | 0 | 0 | 1 | 0 |\n" in text
    assert "60 to 190, 250 to 1,900 and 2,200 to 5,000 um long" in text


def test_composite_scores_are_read_as_they_were_printed(tmp_path: Path) -> None:
    """What evaluate-composites --json prints comes back with its intervals; anything else is refused by name."""
    scores = summarise(SCORES)
    path = tmp_path / "composites.json"
    path.write_text(json.dumps(flat(scores)))
    found = read_composite_scores(path)
    assert found["false_deposits"].value == 0.5
    assert set(found) == set(asdict(scores))
    assert found["recall_micro"].n == scores.recall_micro.n == 1
    assert found["recall_itc"].value is None
    path.write_text(json.dumps(flat(summarise(SCORES[1:]))))
    assert read_composite_scores(path)["size_error_large"] is None
    path.write_text("[]")
    with pytest.raises(UsageError, match=r"composites\.json: not what evaluate-composites --json prints"):
        read_composite_scores(path)


def test_composite_scores_of_another_model_are_not_vouched_for(tmp_path: Path) -> None:
    """Nor those of patches that thresholds were tuned on, of other patches, or that don't say."""
    card = load_card(find_model(None))
    patches, path = tmp_path / "valid.zip", tmp_path / "composites.json"
    patches.write_bytes(b"patches")
    own = {
        "weights_sha256": card.weights_sha256,
        "card_sha256": card.sha256(),
        "patches_sha256": hashlib.sha256(b"patches").hexdigest(),
        "half": 2,
    }
    path.write_text(json.dumps(own))
    check_composites(path, card, patches)
    for change in ({"half": 1}, {"card_sha256": "0" * 64}, {"weights_sha256": "0" * 64}, {"patches_sha256": ""}):
        path.write_text(json.dumps(own | change))
        with pytest.raises(UsageError, match=f"composites.json: .* is another {next(iter(change))}"):
            check_composites(path, card, patches)
    path.write_text("{}")
    with pytest.raises(UsageError, match="doesn't say its weights_sha256"):
        check_composites(path, card, patches)


def test_what_was_trained_on_is_not_guessed_at() -> None:
    """Where nobody stated it, the validation patches may be of the same slides."""
    untold = measured().card.model_copy(update={"training_data": "not stated"})
    for card, words in ((untold, "whether of other slides"), (measured().card, "split: other slides")):
        text = shown(replace(measured(), card=card))
        assert (words in text, "isn't stated" in text) == (True, card is untold)


def of_a_lab(**decision: object) -> Measured:
    """Figures of a model that nodescan doesn't come with, tuned on outlined slides."""
    released = measured()
    told = {"chosen_on": "4 outlined slides of split valid of mine.csv; the smoothest of 164", "covered_on": None}
    changed = {
        "name": "mine",
        "architecture": "p4m-small",
        "weights_sha256": "0" * 64,
        "temperature": 1.0,
        "training_data": "not stated",
        "decision": released.card.decision.model_copy(update=told | decision),
    }
    return replace(released, card=released.card.model_copy(update=changed))


def test_the_card_of_a_labs_model_claims_nothing_of_the_released_ones_training() -> None:
    """What isn't known of it is not stated: no data set, no recipe, nothing fitted to patches."""
    pictures = ("a.jpg", "b.jpg")
    text = shown(of_a_lab(), composites=composites(), recipe=[], pictures=pictures)
    released = shown(composites=composites(), pictures=pictures)
    for claim in (
        "CAMELYON16 (CC0)",
        "highest AUC",
        "all validation patches",
        "two centres",
        "tiles of one slide",
        "pcam",
    ):
        assert claim in released
        assert claim not in text
    for said in (
        "| trained on | not stated | not stated |",
        "| weights (which checkpoint, or the mean of which) | not stated |",
        "| temperature (1.0) | nothing: as it was exported |",
        "| ranges for int8 | tiles of 4 outlined slides of split valid of mine.csv, and of phantoms |",
        "Not stated: the configurations were not named for this card (`--recipe`).",
    ):
        assert said in text, said


def test_temperature_and_ranges_are_ascribed_to_what_they_were_chosen_on() -> None:
    """Composites are laid out of patches, whose labels the temperature is fitted to; outlined slides leave it."""
    laid_out = of_a_lab(chosen_on="8 composites of every second validation patch, seeds 1-8; the smoothest").card
    fitted = laid_out.model_copy(update={"temperature": 0.9})
    assert temperature_chosen_on(laid_out) == "nothing: as it was exported"
    assert temperature_chosen_on(fitted) == "the validation patches"
    assert temperature_chosen_on(of_a_lab().card.model_copy(update={"temperature": 0.9})) == "not stated"
    assert ranges_chosen_on(laid_out).startswith("tiles of slides laid out of every second validation patch")
    assert ranges_chosen_on(laid_out.model_copy(update={"int8_ranges": None})).startswith("none")
    assert ranges_chosen_on(of_a_lab(chosen_on="nothing: not tuned yet").card) == "not stated"


def test_only_the_released_model_has_its_recipe_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another model's stays empty; what is named is taken, in its order."""
    asked = list[CardSources]()

    def note(sources: CardSources, _: Path) -> Measured:
        asked.append(sources)
        return measured()

    monkeypatch.setattr(model_card, "write_model_card", note)
    own = random_model(tmp_path / "own", "p4m-small")
    for model, recipe in ((None, None), (str(own), None), (str(own), [Path("a.yaml"), Path("b.yaml")])):
        model_card_command(tmp_path, tmp_path, model=model, recipe=recipe)
    assert [sources.recipe for sources in asked] == [RELEASED, (), (Path("a.yaml"), Path("b.yaml"))]


def test_a_recipe_of_another_network_is_refused() -> None:
    """The last one made the model; one before may have made its teacher."""
    small = {**RECIPE[0], "model": {**RECIPE[0]["model"], "architecture": "p4m-small"}}
    check_recipe([RECIPE[0], small], of_a_lab().card)
    check_recipe([], of_a_lab().card)
    with pytest.raises(UsageError, match=r"pcam\.yaml: trains a network p4m, and mine is p4m-small; give --recipe"):
        check_recipe([small, RECIPE[0]], of_a_lab().card)


def test_the_worst_answers_come_first() -> None:
    """Only wrong ones: a normal patch above 0, a tumour patch below; at most as many as asked for."""
    logit = np.array([3.0, -2.0, 0.5, -4.0, 5.0, -1.0])
    truth = np.array([False, True, False, True, True, True])
    assert worst(logit, truth, count=2) == ([0, 2], [3, 1])


def test_the_worst_answers_are_named_whatever_the_name(tmp_path: Path) -> None:
    """Those on the pictures, in their order. A name can't break the table that it stands in."""
    pixels = np.zeros((3, 96, 96, 3), np.uint8)
    patches = Patches(pixels, np.array([False, True, False]), ("normal/a|b`\n.jpg", "tumor/c.jpg", "normal/d.jpg"))
    answers = np.array([1.0, -3.0, 2.0])
    found = worst_of(patches, answers)
    assert [(patch.name, patch.tumour, patch.logit) for patch in found] == [
        ("normal/d.jpg", False, 2.0),
        ("normal/a|b`\n.jpg", False, 1.0),
        ("tumor/c.jpg", True, -3.0),
    ]
    assert found[1].cell == "`normal/a\\|b'\\n.jpg`"
    assert [file.is_file() for file in write_sheets(patches, answers, tmp_path / "sheets")] == [True, True]


def test_a_contact_sheet_shows_the_patches_it_names(tmp_path: Path) -> None:
    """Each patch stands in its place; none at all is still a picture."""
    pixels = np.stack([np.full((96, 96, 3), value, np.uint8) for value in (40, 200)])
    patches = Patches(pixels, np.array([True, False]), ("a.jpg", "b.jpg"))
    sheet = np.asarray(contact_sheet(patches, (1, 0), np.array([-1.0, 1.0])))
    assert (sheet[20, 20, 0], sheet[20, 8 + 200 + 20, 0]) == (200, 40)
    write_sheet(contact_sheet(patches, (), np.array([])), tmp_path / "docs" / "none.jpg")
    assert Image.open(tmp_path / "docs" / "none.jpg").size[0] > 96


@pytest.mark.parametrize(("batch_size", "asked"), [(2, 4), (32, 32)])
def test_speed_is_that_of_whole_batches(batch_size: int, asked: int) -> None:
    """A GPU that is handed four tiles of 32 is mostly idle."""
    predictor = ColourPredictor()
    predictor.batch_size, shown = batch_size, []
    answer = predictor.predict
    predictor.predict = lambda tiles: shown.append(len(tiles)) or answer(tiles)
    per_mm2 = _seconds_per_mm2(predictor)
    assert shown == [asked]
    assert per_mm2 > 0


def test_speed_is_measured_in_every_format_that_the_machine_has(tmp_path: Path) -> None:
    """float32 first, and never the same format twice."""
    folder = random_model(tmp_path / "model", "p4m-small", core_px=64)
    speeds = measure_speeds(folder, load_card(folder).geometry())
    fastest = open_predictor(folder, rough=True).precision
    assert [speed.precision for speed in speeds] == list(dict.fromkeys(["float32", fastest]))
    assert all(0 < speed.mm2_per_second < np.inf and 0 < speed.beside_resnet18 < np.inf for speed in speeds)
