"""`nodescan phantom`, `info` and `models`: a synthetic slide, what a slide's file tells, and the models at hand."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodescan.errors import UsageError
from nodescan.options import COMPLETE, NOT_COMPLETE, Mpp, OverrideMpp, check_spacing, check_there, positive
from nodescan.tables import print_facts, print_table, print_text, spacing_words

if TYPE_CHECKING:  # a command imports what it needs when it runs, so that --help costs nothing
    from nodescan.domain.slide import SlideRef
    from nodescan.inference.card import ModelCard
    from nodescan.phantoms import PhantomTruth
    from nodescan.slides.facts import SlideFacts


def phantom(
    out: Annotated[Path, typer.Argument(metavar="OUT.tif", help="The slide to write; its truth goes beside it.")],
    diameters: Annotated[
        str,
        typer.Option(
            "--diameters-um", metavar="UM,UM,...", help='Greatest diameters to plant, e.g. 150,900,2600; "" for none.'
        ),
    ],
    spacing: Annotated[float, typer.Option("--spacing", metavar="UM", help="Pixel size at level 0.")] = 0.25,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed gives the same slide.")] = 0,
) -> int:
    """Write a synthetic slide with deposits of known size, and its truth as JSON."""
    planted = tuple(_diameter_um(word) for word in diameters.split(",") if word.strip())
    from nodescan.phantoms import make_phantom, plan_phantom, truth_file

    for path in (out, truth_file(out)):
        if path.exists():
            raise UsageError(f"{path}: is there already; choose another name, or remove it first")
    plan = plan_phantom(planted, spacing_um=positive(spacing, "--spacing"), seed=seed)
    print_phantom(make_phantom(out, plan), out)
    return COMPLETE


def info(
    slide: Annotated[Path, typer.Argument(metavar="SLIDE", help="A slide file.")],
    mpp: Mpp = None,
    override_mpp: OverrideMpp = False,
) -> int:
    """Show a slide's format, size, spacing and where it came from, and whether it can be measured."""
    check_there(slide)
    check_spacing(mpp, override_mpp)
    from nodescan.domain.slide import SlideRef
    from nodescan.slides import slide_facts

    ref = SlideRef(slide_id=slide.stem, path=slide, mpp_um=mpp, override_mpp=override_mpp)
    facts = slide_facts(ref)
    if facts.measurable:
        facts = replace(facts, unmeasurable=_too_coarse(ref))
    print_slide(facts, slide)
    return NOT_COMPLETE if facts.unmeasurable else COMPLETE


def _too_coarse(ref: "SlideRef") -> str:
    """Why the released model can't be shown the slide at its spacing; "" where it can."""
    from nodescan.errors import UnmeasurableError
    from nodescan.inference.card import find_model, load_card
    from nodescan.slides import open_slide

    with closing(open_slide(ref)) as slide:
        try:
            slide.frame_spacing(*load_card(find_model(None)).spacing_um)
        except UnmeasurableError as error:
            return f"{error.reason}; {error.remedy}"
    return ""


def models() -> int:
    """List the models at hand, with their cards."""
    from nodescan.inference.card import list_models

    print_models(list_models())
    return COMPLETE


def print_phantom(truth: "PhantomTruth", path: Path) -> None:
    """What was planted, and the size and place of the slide."""
    from nodescan.phantoms import truth_file

    rows = [
        (
            deposit.shape.value,
            f"{deposit.diameter_um:.1f} um",
            f"{deposit.centre_um[0]:.0f}, {deposit.centre_um[1]:.0f}",
        )
        for deposit in truth.deposits
    ]
    if rows:
        print_table(("shape", "greatest diameter", "centre x, y (um)"), rows)
    print_text(f"{path}: {truth.width_px} x {truth.height_px} px at {truth.um_per_px:g} um/px, class {truth.label}")
    print_text(f"truth: {truth_file(path)}")


def print_slide(facts: "SlideFacts", path: Path) -> None:
    """What the file tells, and whether it can be measured."""
    rows = [
        ("format", f"{facts.format} (read by {facts.reader})"),
        ("size", f"{facts.width_px} x {facts.height_px} px, {len(facts.sizes_px)} levels"),
        ("objective", "unknown" if facts.objective_power is None else f"{facts.objective_power:g} x"),
    ]
    spacing, bounds = facts.spacing, facts.bounds_um
    if spacing is not None and facts.spacing_source is not None:
        width_mm, height_mm = facts.width_px * spacing.x / 1000, facts.height_px * spacing.y / 1000
        rows.append(("spacing", spacing_words(spacing, facts.spacing_source)))
        rows.append(("canvas", f"{width_mm:.2f} x {height_mm:.2f} mm"))
    if bounds is not None:
        size = f"{bounds.width / 1000:.2f} x {bounds.height / 1000:.2f} mm"
        rows.append(("scanned part", f"{size}, {bounds.left / 1000:.2f} mm right and {bounds.top / 1000:.2f} mm down"))
    rows.append(("can be measured", f"no: {facts.unmeasurable}" if facts.unmeasurable else "yes"))
    rows += [("note", warning.message) for warning in facts.warnings]
    print_facts((("slide", path.name), *rows))


def print_models(cards: "Sequence[ModelCard]") -> None:
    """Each model with what its card says."""
    if not cards:
        print_text("no models at hand: name a folder with a card and weights by --model")
    for card in cards:
        finest, coarsest = card.spacing_um
        rows = (
            ("model", card.name),
            ("architecture", card.architecture),
            ("spacing", f"{finest:g} to {coarsest:g} um/px, an answer every {card.stride_px} px"),
            ("threshold", f"{_levels(card)}, chosen on {card.decision.chosen_on}"),
            *_found_from(card.decision.found_from_um),
            ("trained on", card.training_data),
            *card.metrics.items(),
            ("limits", card.limits),
            ("licence", card.licence),
            ("weights", f"sha256 {card.weights_sha256}"),
        )
        print_facts(rows)


def _levels(card: "ModelCard") -> str:
    """The outline's threshold, and what its map has to reach for a deposit."""
    rule = card.decision
    smoothed = f" of the map smoothed by {rule.smoothing_um:g} um" if rule.smoothing_um else ""
    return f"{rule.threshold:g}{smoothed}, where that reaches {rule.seed_threshold:g}"


def _found_from(found_from_um: float | None) -> Sequence[tuple[str, str]]:
    if found_from_um is None:
        return ()
    return (("finds", f"every synthetic deposit, round or thin, from {found_from_um / 1000:g} mm on"),)


def _diameter_um(word: str) -> float:
    """One of the diameters, separated by commas. Raises UsageError unless it is a number above 0."""
    try:
        return positive(float(word), "--diameters-um")
    except ValueError:
        raise UsageError(f"--diameters-um: {word.strip()!r} is not a number; separate numbers by commas") from None
