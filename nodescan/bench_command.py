"""`nodescan bench`: how fast this machine reads slides and runs the network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # a command imports what it needs when it runs, so that --help costs nothing
    from nodescan.bench import Speed

DONE = 0

SlideFile = Annotated[
    Path | None, typer.Argument(metavar="SLIDE", help="The slide to read; a phantom made for it if not given.")
]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME|FOLDER", help="The released model if not given.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda[:N]", help="Where the network runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def bench(slide: SlideFile = None, model: Model = None, device: Device = "auto", as_json: AsJson = False) -> int:
    """Measure reading, computing and both together, in megapixels a second."""
    import json
    from dataclasses import asdict

    from nodescan.bench import measure_speed
    from nodescan.progress import Viewer

    speed = measure_speed(slide, model=model, device=device, progress=Viewer())
    if as_json:
        print(json.dumps(asdict(speed), indent=2, allow_nan=False))
        return DONE
    for name, value in _rows(speed):
        print(f"{name:<18} {value}")
    return DONE


def _rows(speed: "Speed") -> tuple[tuple[str, str], ...]:
    return (
        ("device", f"{speed.device}, {speed.precision}"),
        ("tiles", f"{speed.tiles}"),
        ("tissue", f"{speed.tissue_megapixels:.2f} Mpx"),
        ("decode", f"{speed.decode_mpx_s:.1f} Mpx/s"),
        ("network", f"{speed.network_mpx_s:.1f} Mpx/s"),
        ("end to end", f"{speed.end_to_end_mpx_s:.1f} Mpx/s of tissue"),
        ("useful share", f"{speed.useful_share:.0%} of the pixels fed to the network are tissue"),
        ("efficiency", f"{speed.efficiency:.0%} of what decode and network allow together"),
    )
