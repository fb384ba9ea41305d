"""What commands say on a terminal: small tables, from findings to words."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from nodescan.domain.lengths import millimetres
from nodescan.domain.report import NOT_FOR_CLINICAL_USE, Status
from nodescan.measurement import Measurement
from nodescan.phantoms import PhantomTruth
from nodescan.reports.files import json_text
from nodescan.reports.json_report import SCHEMA_VERSION, deposits_as_json
from nodescan.reports.wording import largest_words, size_words
from nodescan.run_record import redo_command, to_redo
from nodescan.slides.facts import SlideFacts

if TYPE_CHECKING:  # both know torch, and a command that measures a mask needn't wait for it
    from nodescan.batch import BatchResult
    from nodescan.demo import DemoResult, Pair
    from nodescan.inference.card import ModelCard

CELLS_NOT_ASSESSED = "cell count not assessed"
"""Said beside every class that rests on size alone (clinical-rules 1)."""

OUTLINE_ALONE = "± is of drawing the outline alone, not of how sure it is that the tumour ends there"
"""Said beside sizes of a file that states no uncertainty of its own."""

_SPACING_SOURCES = {
    "file": "file",
    "tiff": "file's TIFF resolution tags",
    "user": "command line",
    "user-override": "command line, against the file",
}

_PIPE_WIDTH = 160
"""Columns of a table that goes to a file or a pipe, where nothing says how wide it may be."""


def print_batch(result: "BatchResult", command: Sequence[str] = ()) -> None:
    """Status, class, size and flags of each slide, where the reports are, and what tries the failed ones again.

    command: the words as typed.
    """
    rows = [
        (
            report.slide.slide_id,
            report.status.value,
            report.class_word,
            largest_words(report),
            ", ".join(flag.code for flag in report.flags),
        )
        for report in result.reports
    ]
    _print_table(("slide", "status", "class", "largest", "flags"), rows)
    complete = sum(report.status is Status.COMPLETE for report in result.reports)
    kept = f", {result.kept} of them kept from an earlier run" if result.kept else ""
    _print(f"{complete} of {len(result.reports)} complete{kept}. Reports: {result.folder}, rows: {result.summary}")
    failed = to_redo(result.reports)
    if failed and command:
        mended = "once mended"
        if any(report.status is Status.UNMEASURABLE for report in result.reports):
            mended += " (--mpp UM, or the manifest's column mpp, where a file has no pixel size)"
        _print(f"without a result: {', '.join(failed)}; {mended}, this tries just these: {redo_command(command)}")
    _print(NOT_FOR_CLINICAL_USE)


def print_demo(result: "DemoResult") -> None:
    """Planted beside measured for each deposit, and the page of each slide."""
    rows = [
        (
            slide.name if first else "",
            *_sizes(pair),
            slide.expected if first else "",
            slide.found if first else "",
        )
        for slide in result.slides
        for first, pair in _marked(slide.pairs)
    ]
    _print_table(("phantom", "planted", "measured", "error", "class expected", "class found"), rows)
    for slide in result.slides:
        _print(f"{slide.name}: {slide.page}")
    wrong = [slide.name for slide in result.slides if not slide.right]
    _print("every class is right" if result.right else f"wrong or incomplete: {', '.join(wrong)}")


def print_measurement(measurement: Measurement, *, as_json: bool) -> None:
    """Deposits, sizes and class of one mask or outline file, as a table or with the names of report.json."""
    if as_json:
        print(json_text(_measurement_as_json(measurement)), end="")
        return
    rows = [
        (
            str(deposit.id),
            size_words(deposit),
            f"{deposit.area_um2 / 1e6:.4f} mm2",
            deposit.metastasis.word + (", borderline" if deposit.borderline else ""),
        )
        for deposit in measurement.deposits
    ]
    if rows:
        _print_table(("deposit", "greatest diameter", "area", "class"), rows)
    largest = measurement.largest_deposit_um
    size = "no deposit" if largest is None else f"largest {millimetres(largest)} mm"
    count = len(measurement.deposits)
    _print(f"{measurement.source.name}: {measurement.metastasis.word}, {size}, foci: {count}; {CELLS_NOT_ASSESSED}")
    spacing = measurement.spacing
    _print(f"spacing {spacing.x:g} x {spacing.y:g} um/px, from the {_source(measurement.spacing_source)}")
    for note in _notes(measurement):
        _print(f"note: {note}")


def print_phantom(truth: PhantomTruth, path: Path) -> None:
    """What was planted, and the size and place of the slide."""
    rows = [
        (
            deposit.shape.value,
            f"{deposit.diameter_um:.1f} um",
            f"{deposit.centre_um[0]:.0f}, {deposit.centre_um[1]:.0f}",
        )
        for deposit in truth.deposits
    ]
    if rows:
        _print_table(("shape", "greatest diameter", "centre x, y (um)"), rows)
    _print(f"{path}: {truth.width_px} x {truth.height_px} px at {truth.um_per_px:g} um/px, class {truth.label}")
    _print(f"truth: {path.with_name(path.stem + '.truth.json')}")


def print_facts(facts: SlideFacts, path: Path) -> None:
    """What the file tells, and whether it can be measured."""
    rows = [
        ("format", f"{facts.format} (read by {facts.reader})"),
        ("size", f"{facts.width_px} x {facts.height_px} px, {len(facts.sizes_px)} levels"),
        ("objective", "unknown" if facts.objective_power is None else f"{facts.objective_power:g} x"),
    ]
    spacing, bounds = facts.spacing, facts.bounds_um
    if spacing is not None and facts.spacing_source is not None:
        source = _source(facts.spacing_source)
        width_mm, height_mm = facts.width_px * spacing.x / 1000, facts.height_px * spacing.y / 1000
        rows.append(("spacing", f"{spacing.x:g} x {spacing.y:g} um/px, from the {source}"))
        rows.append(("canvas", f"{width_mm:.2f} x {height_mm:.2f} mm"))
    if bounds is not None:
        size = f"{bounds.width / 1000:.2f} x {bounds.height / 1000:.2f} mm"
        rows.append(("scanned part", f"{size}, {bounds.left / 1000:.2f} mm right and {bounds.top / 1000:.2f} mm down"))
    rows.append(("can be measured", "yes" if facts.measurable else f"no: {facts.unmeasurable}"))
    rows += [("note", warning.message) for warning in facts.warnings]
    _print_facts((("slide", path.name), *rows))


def print_models(cards: "Sequence[ModelCard]") -> None:
    """Each model with what its card says."""
    if not cards:
        _print("no models at hand: name a folder with a card and weights by --model")
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
        _print_facts(rows)


def _levels(card: "ModelCard") -> str:
    """The outline's threshold, and what its map has to reach for a deposit."""
    rule = card.decision
    smoothed = f" of the map smoothed by {rule.smoothing_um:g} um" if rule.smoothing_um else ""
    return f"{rule.threshold:g}{smoothed}, where that reaches {rule.seed_threshold:g}"


def _found_from(found_from_um: float | None) -> Sequence[tuple[str, str]]:
    if found_from_um is None:
        return ()
    return (("finds", f"every disc planted when it was tuned, from {found_from_um / 1000:g} mm on"),)


def _print_facts(rows: "Iterable[tuple[str, str]]") -> None:
    for name, value in rows:
        _print(f"{name + ':':<17} {value}")


def _source(spacing_source: str) -> str:
    return _SPACING_SOURCES.get(spacing_source, spacing_source)


def _measurement_as_json(measurement: Measurement) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": NOT_FOR_CLINICAL_USE,
        "slide_id": measurement.source.stem,
        "metastasis": measurement.metastasis.word,
        "largest_deposit_um": measurement.largest_deposit_um,
        "n_foci": len(measurement.deposits),
        "deposits": deposits_as_json(measurement.deposits),
        "spacing_um": [float(measurement.spacing.x), float(measurement.spacing.y)],
        "spacing_source": measurement.spacing_source,
        "notes": [*_notes(measurement), CELLS_NOT_ASSESSED],
    }


def _notes(measurement: Measurement) -> tuple[str, ...]:
    alone = () if measurement.as_stated or not measurement.deposits else (OUTLINE_ALONE,)
    return (*measurement.notes, *alone)


def _marked(pairs: "Sequence[Pair]") -> "Iterable[tuple[bool, Pair | None]]":
    """Each pair, marked where it is the slide's first; a slide without deposits has one empty row."""
    return ((index == 0, pair) for index, pair in enumerate(pairs or (None,)))


def _sizes(pair: "Pair | None") -> tuple[str, str, str]:
    if pair is None:
        return ("none", "none", "")
    planted = "none" if pair.planted_um is None else f"{pair.planted_um:.0f} um"
    measured = "not found" if pair.measured_um is None else f"{pair.measured_um:.0f} um"
    return (planted, measured, "" if pair.error_um is None else f"{pair.error_um:+.0f} um")


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    console = _console()
    console.print(table, markup=False)


def _print(text: str) -> None:
    _console().print(text, markup=False, highlight=False, soft_wrap=True)


def _console() -> Console:
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
