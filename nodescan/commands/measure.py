"""`nodescan measure`: the deposits in a mask image or an outline file."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodescan.commands.grouped_help import PIXEL_SIZE
from nodescan.commands.options import COMPLETE, check_there, number, positive
from nodescan.commands.tables import print_json, print_table, spacing_words
from nodescan.domain.units import MicronsPerPixel, Spacing, plain_number
from nodescan.errors import UsageError
from nodescan.streams import tell

if TYPE_CHECKING:  # a command imports what it needs when it runs, so that --help costs nothing
    from nodescan.measurement import Measurement

CELLS_NOT_ASSESSED = "cell count not assessed"
"""Said beside every class that rests on size alone (clinical-rules 1)."""

OUTLINE_ALONE = "± covers only how the outline is drawn, not whether the tumour really ends there"
"""Said beside sizes of a file that states no uncertainty of its own."""

NOTHING_MARKED = "a file without marks does not make the slide negative: it doesn't say what was examined"
"""Said where a file holds no deposit, as that of a slide of which little could be read."""


_BETWEEN = "x"
"""Stands between x and y as in what is printed. A comma would take 1,1 for 1 x 1, where it was meant as 1.1."""


def _spacing(word: str) -> Spacing:
    """How --mpp's word is read: one number for both sides, or "0.25x0.26". Raises UsageError for what is neither."""
    if _BETWEEN not in word:
        return Spacing.square(positive(number("--mpp")(word), "--mpp"))
    try:
        across, down = (MicronsPerPixel(plain_number(side)) for side in word.split(_BETWEEN))
        return Spacing(across, down)
    except ValueError:
        raise UsageError(
            f"--mpp: {word!r} is no width and height of a pixel above 0; write them as in 0.25x0.26, with points"
        ) from None


Mask = Annotated[
    Path,
    typer.Argument(metavar="MASK", readable=False, help="Mask image, or outlines as ASAP XML or QuPath GeoJSON."),
]
Mpp = Annotated[
    Spacing | None,
    typer.Option(
        "--mpp",
        metavar="UM|XxY",
        parser=_spacing,
        help="Pixel size (um per pixel; for outlines, at full resolution), or its width and height, as in 0.25x0.26. "
        "Takes precedence over the file's own value.",
        rich_help_panel=PIXEL_SIZE,
    ),
]
Value = Annotated[
    int | None,
    typer.Option("--value", metavar="N", help="Pixel value that marks tumour.", show_default="every value except 0"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON with the same keys as report.json.")]


def measure(mask: Mask, mpp: Mpp = None, value: Value = None, as_json: AsJson = False) -> int:
    """Measure the deposits in a mask image or an outline file, and classify them by size."""
    check_there(mask)
    from nodescan.config import load_config
    from nodescan.domain.units import Micrometers
    from nodescan.measurement import measure_file

    gap_um = Micrometers(load_config().settings.segmentation.joining_gap_um)
    print_measurement(measure_file(mask, mpp=mpp, value=value, joining_gap_um=gap_um), as_json=as_json)
    return COMPLETE


def print_measurement(measurement: "Measurement", *, as_json: bool) -> None:
    """Deposits, sizes and class of one mask or outline file, as a table or with the names of report.json."""
    from nodescan.domain.flags import DOUBTS
    from nodescan.domain.report import NOT_FOR_CLINICAL_USE
    from nodescan.domain.verdict import deciding
    from nodescan.reports.wording import badges, bound_words, size_words

    if as_json:
        print_json(_as_json(measurement))
        return
    near = deciding(measurement.deposits)
    rows = [
        (
            str(deposit.id),
            size_words(deposit),
            f"{deposit.area_um2 / 1e6:.4f} mm2",
            ", ".join((deposit.metastasis.word, *badges(deposit, near))),
        )
        for deposit in measurement.deposits
    ]
    if rows:
        print_table(("deposit", "greatest diameter", "area", "class"), rows)
    said = "no deposit"
    if measurement.deposits:
        size = bound_words(size_words(measurement.deposits[0]), at_least=measurement.size_at_least)
        count = len(measurement.deposits)
        said = f"{measurement.class_word}, largest {size}, deposits: {count}; {CELLS_NOT_ASSESSED}"
    tell(f"{measurement.source.name}: {said}")
    tell(f"pixel size {spacing_words(measurement.spacing, measurement.spacing_source)}")
    for note in (*(flag.message for flag in measurement.flags if flag.code in DOUBTS), *_notes(measurement)):
        tell(f"note: {note}")
    tell(NOT_FOR_CLINICAL_USE)


def _as_json(measurement: "Measurement") -> dict[str, object]:
    from nodescan.domain.report import NOT_FOR_CLINICAL_USE
    from nodescan.reports.json_report import SCHEMA_VERSION, deposits_as_json

    return {
        "schema_version": SCHEMA_VERSION,
        "notice": NOT_FOR_CLINICAL_USE,
        "slide_id": measurement.source.stem,
        "metastasis": measurement.metastasis.word if measurement.deposits else None,
        "at_least": measurement.at_least,
        "largest_deposit_um": measurement.largest_deposit_um,
        "n_foci": len(measurement.deposits),
        "deposits": deposits_as_json(measurement.deposits),
        "flags": [asdict(flag) for flag in measurement.flags],
        "spacing_um": [float(measurement.spacing.x), float(measurement.spacing.y)],
        "spacing_source": measurement.spacing_source,
        "notes": [*_notes(measurement), CELLS_NOT_ASSESSED],
    }


def _notes(measurement: "Measurement") -> tuple[str, ...]:
    if not measurement.deposits:
        return (*measurement.notes, NOTHING_MARKED)
    return measurement.notes if measurement.as_stated else (*measurement.notes, OUTLINE_ALONE)
