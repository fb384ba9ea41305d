"""`nodescan phantom`: a synthetic slide with deposits of known size."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodescan.commands.options import COMPLETE, number, positive
from nodescan.commands.tables import print_table
from nodescan.errors import UsageError
from nodescan.streams import tell

if TYPE_CHECKING:  # a command imports what it needs when it runs, so that --help costs nothing
    from nodescan.phantoms import PhantomTruth


Out = Annotated[
    Path,
    typer.Argument(metavar="OUT.tif", help="The slide to write. A JSON file beside it lists the planted deposits."),
]
Diameters = Annotated[
    str,
    typer.Option(
        "--diameters-um",
        metavar="UM,UM,...",
        help='Greatest diameters of the deposits to plant, such as 150,900,2600. "" plants none.',
    ),
]
PixelSize = Annotated[
    float,
    typer.Option(
        "--spacing", metavar="UM", parser=number("--spacing"), help="Pixel size at full resolution (um per pixel)."
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="The same seed gives the same slide.")]


def phantom(out: Out, diameters: Diameters, spacing: PixelSize = 0.25, seed: Seed = 0) -> int:
    """Write a synthetic slide with deposits of known size, and a JSON file that lists them."""
    planted = tuple(_diameter_um(word) for word in diameters.split(",") if word.strip())
    from nodescan.phantoms import make_phantom, plan_phantom, truth_file

    for path in (out, truth_file(out)):
        if path.exists():
            raise UsageError(f"{path}: already exists; choose another name, or remove it first")
    plan = plan_phantom(planted, spacing_um=positive(spacing, "--spacing"), seed=seed)
    print_phantom(make_phantom(out, plan), out)
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
    tell(f"{path}: {truth.width_px} x {truth.height_px} px at {truth.um_per_px:g} um/px, class {truth.label}")
    tell(f"truth: {truth_file(path)}")


def _diameter_um(word: str) -> float:
    """One of the diameters, separated by commas. Raises UsageError unless it is a number above 0."""
    try:
        return positive(float(word), "--diameters-um")
    except ValueError:
        raise UsageError(f"--diameters-um: {word.strip()!r} is not a number; separate numbers by commas") from None
