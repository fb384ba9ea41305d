"""Chooses what a model's card holds beside its weights: int8's ranges, temperature, thresholds, sizes and their "±"."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import typer
from pydantic import ValidationError

from nodescan.config import load_config
from nodescan.errors import UsageError
from nodescan.imaging.segmentation import find_deposits
from nodescan.inference.card import CARD_FILE, Decision, checked_weights, load_card, save_card
from nodescan.inference.predictor import open_predictor
from nodescan.inference.slots import open_in_slot
from nodescan.inference.tile_streams import Precision
from nodescan.machine import made_temporary
from nodescan.whole_files import write_beside
from training.options import Tuned
from training.patches.labelled import read_patches
from training.provenance import check_kept
from training.scoring.patches import calibrated
from training.tuning.discs import (
    DISC_SEEDS_TUNED,
    check_phantoms_fit,
    disc_maps,
    found_from_um,
    measured_discs,
    thin_maps,
)
from training.tuning.eight_bits import with_ranges
from training.tuning.kept_maps import maps_of, probability_map
from training.tuning.known_slides import KnownSlide, SlideScore, measured_lesions, score_slide
from training.tuning.rules import FEWEST_COVERED, coverage_factor, steadiest, tune
from training.tuning.words import trials_words, tuned_words, unmeasured_words

_PHANTOMS_MISSED = (
    "phantoms: every rule among the best misses them, or takes a whole phantom for tumour; no slide will be complete "
    "(model_not_tuned). Start from a network that knows phantoms (--model.init_from pcam-p4m) with fewer steps or a "
    "lower --model.learning_rate, or teach it phantoms (plan.phantom_share); then export and tune it"
)


def rewrite_card(
    model: Path,
    source: Callable[[], tuple[list[KnownSlide], str]],
    only: Tuned | None,
    patches: Path | None,
    work: Path,
) -> str:
    """Rewrite the card of a model, all of it or nothing, by what the source's slides tell; returns that in a line.

    Raises UsageError where the card is changed meanwhile: that takes an hour.
    """
    card = load_card(model)
    begun_with = (model / CARD_FILE).read_bytes()
    check_kept(card, model, part=only)
    checked_weights(card, model)  # before the slides, which take long
    if only is not Tuned.UNCERTAINTY:
        check_phantoms_fit(card.spacing_um)
    with made_temporary("nodescan-tune-") as folder:  # that there is none is told before the slides, too
        known, described = source()
        _check_unchanged(model / CARD_FILE, begun_with)
        draft = Path(shutil.copytree(model, Path(folder) / "model"))
        if only is None:
            if patches is not None:
                _calibrate(draft, patches)
            save_card(with_ranges(draft, [slide.path for slide in known]), draft)
        if only is Tuned.UNCERTAINTY:
            _cover(draft, known, described, work)
        else:
            _choose(draft, known, described, work, precision="auto" if only is None else "float32")
        _check_unchanged(model / CARD_FILE, begun_with)
        write_beside(model / CARD_FILE, (draft / CARD_FILE).read_bytes())
    return tuned_words(load_card(model), known, model)


def _check_unchanged(card: Path, begun_with: bytes) -> None:
    """Raises UsageError where the file of a card isn't what tuning began with, an hour ago: its edit would be lost."""
    if card.read_bytes() != begun_with:
        raise UsageError(f"{card} was changed while the model was tuned, and is left as it is now; tune it again")


def _calibrate(model: Path, patches: Path) -> None:
    """Write the temperature on the card of a model."""
    reference = open_predictor(model, precision="float32")
    save_card(calibrated(load_card(model), reference, read_patches([patches])), model)


def _choose(model: Path, known: list[KnownSlide], described: str, work: Path, *, precision: Precision) -> None:
    """Write the decision on the card of a model. precision: "auto" answers fast and unguarded."""
    card = load_card(model)
    predictor = open_predictor(model, precision=precision, rough=precision == "auto")
    maps = []
    for number, slide in enumerate(known, start=1):
        maps.append(probability_map(slide.path, predictor, cache=maps_of(card, work)))
        typer.echo(f"{number}/{len(known)} {slide.name}: {slide.label.word}, examined")
    discs = disc_maps(predictor, DISC_SEEDS_TUNED)
    settings = load_config(None).settings.segmentation
    trials = tune(known, maps, settings, discs=discs)
    for line in trials_words(trials):
        typer.echo(line)
    planted = [*discs, *thin_maps(predictor, DISC_SEEDS_TUNED)]
    found_from_of = cache(lambda rule: found_from_um(measured_discs(planted, rule, settings)))
    best = steadiest(trials, sees_phantoms=lambda rule: found_from_of(rule) is not None)
    chosen_on = f"{described}; the smoothest within a standard error of the best of {len(trials)}"
    found_from, measured = found_from_of(best.rule), best.scores.size_within.n
    covered_on = f"{measured} deposits found of {described}" if measured >= FEWEST_COVERED else None
    if covered_on is None:
        typer.echo(unmeasured_words(measured))
    if found_from is None:
        typer.echo(_PHANTOMS_MISSED)
    with _fits_on_card(model):
        decision = Decision.of(best.rule, chosen_on=chosen_on, covered_on=covered_on, found_from_um=found_from)
    save_card(card.model_copy(update={"decision": decision}).as_tuned(), model)


def _cover(model: Path, known: list[KnownSlide], described: str, work: Path) -> None:
    """Write the coverage factor that a scan's sizes of known deposits ask for on the card of a model.

    Raises UsageError where too few are found.
    """
    card = load_card(model)
    predictor, _ = open_in_slot(model, device="auto", slot=0)  # as a scan opens it
    standard = replace(card.decision.rule(), coverage_factor=1.0)
    settings = load_config(None).settings.segmentation
    scores: list[SlideScore] = []
    for slide in (slide for slide in known if slide.deposits):
        map_ = probability_map(slide.path, predictor, cache=maps_of(card, work))
        scores.append(score_slide(slide, find_deposits(map_, standard, settings)))
        typer.echo(f"{slide.name}: {slide.label.word}, examined")
    measured = measured_lesions(scores)
    if len(measured) < FEWEST_COVERED:
        raise UsageError(
            f"{len(measured)} known deposits are found, and {FEWEST_COVERED} are needed to tell how far off sizes are; "
            "name more --seeds or --slides"
        )
    rule = replace(standard, coverage_factor=coverage_factor(measured))
    told = {"coverage_factor": rule.coverage_factor, "covered_on": f"{len(measured)} deposits found of {described}"}
    with _fits_on_card(model):
        decision = Decision.model_validate(card.decision.model_dump() | told)
    covered = card.model_copy(update={"decision": decision})
    save_card(covered if card.tuned_sha256 is None else covered.as_tuned(), model)


@contextmanager
def _fits_on_card(model: Path) -> Iterator[None]:
    """Around the making of a Decision: numbers that a card can't hold become a UsageError that names the model."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        why = f"{key}: {first['msg']}" if key else first["msg"]
        raise UsageError(
            f"{model}: what was chosen can't stand on a card ({why}); tune on other --slides, or with --patches"
        ) from error
