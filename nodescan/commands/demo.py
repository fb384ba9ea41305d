"""`nodescan demo`: phantoms scanned, planted beside measured."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodescan.commands.options import COMPLETE, NOT_COMPLETE, Device, Model, stops_told, words_typed
from nodescan.commands.tables import print_table
from nodescan.domain.lengths import millimetres
from nodescan.packed_files import packed_file
from nodescan.streams import printing, tell

if TYPE_CHECKING:  # a command imports what it needs when it runs, so that --help costs nothing
    from nodescan.demo import DemoSlide, Pair

NOT_FOUND = f"not found: missed, or measured as one with a focus only 30 um away ({packed_file('docs/limits.md')})"
"""Said under a table in which a deposit has no size."""


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the slides and their results.")] = Path(
        "nodescan-demo"
    ),
    model: Model = None,
    device: Device = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", help="Show only the table and errors.")] = False,
) -> int:
    """Make synthetic slides with deposits of known size, scan them, and compare planted with measured sizes."""
    from nodescan.batch.viewers import open_viewer
    from nodescan.demo import run_demo
    from nodescan.inference.card import find_model

    find_model(model)  # what is named wrongly is told before phantoms are made for half a minute
    if device not in ("auto", "cpu"):  # those are there, and torch takes seconds to load
        from nodescan.inference.device import choose_device

        choose_device(device)
    with stops_told(out / "results"):
        viewer = open_viewer(quiet=quiet, folder=out)
        slides = run_demo(out, viewer, model=model, device=device, command=words_typed())
    with printing(f"they are in {out / 'results'}"):
        print_demo(slides)
    return COMPLETE if all(slide.right for slide in slides) else NOT_COMPLETE


def print_demo(slides: "Sequence[DemoSlide]") -> None:
    """Planted beside measured for each deposit, and the page of each slide."""
    rows = [
        (
            slide.name if first else "",
            *_sizes(pair),
            slide.expected if first else "",
            slide.found if first else "",
        )
        for slide in slides
        for first, pair in _marked(slide.pairs)
    ]
    print_table(("phantom", "planted", "measured", "error", "class expected", "class found"), rows)
    if any(pair.planted_um and pair.measured_um is None for slide in slides for pair in slide.pairs):
        tell(NOT_FOUND)
    for slide in slides:
        tell(f"{slide.name}: {slide.page}")
    wrong = [slide.name for slide in slides if not slide.right]
    tell(f"wrong or incomplete: {', '.join(wrong)}" if wrong else "every class is right")


def _marked(pairs: "Sequence[Pair]") -> "Iterable[tuple[bool, Pair | None]]":
    """Each pair, marked where it is the slide's first; a slide without deposits has one empty row."""
    return ((index == 0, pair) for index, pair in enumerate(pairs or (None,)))


def _sizes(pair: "Pair | None") -> tuple[str, str, str]:
    if pair is None:
        return ("none", "none", "")
    planted = "none" if pair.planted_um is None else f"{millimetres(pair.planted_um)} mm"
    measured = "not found" if pair.measured_um is None else f"{millimetres(pair.measured_um)} mm"
    if pair.gap_um is not None:
        return (planted, measured, f"two foci {pair.gap_um:.0f} um apart, measured as one")
    return (planted, measured, "" if pair.error_um is None else f"{pair.error_um:+.0f} um")
