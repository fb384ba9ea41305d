"""`nodescan bench`: how fast this machine reads slides and runs the network, and what else was promised of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodescan.commands.options import COMPLETE, AsJson, Device, Model, Mpp, OverrideMpp, check_one_slide, check_spacing
from nodescan.commands.tables import print_json
from nodescan.errors import UsageError
from nodescan.streams import tell

if TYPE_CHECKING:  # a command imports what it needs when it runs, so that --help costs nothing
    from nodescan.benchmarks.growth import GrowthPoint, LinearFit
    from nodescan.benchmarks.scan_runs import ScanRun
    from nodescan.benchmarks.speed import Speed
    from nodescan.domain.slide import SlideRef


class What(StrEnum):
    """What is measured."""

    SPEED = "speed"
    MEMORY = "memory"
    TIME = "time"
    MAP = "map"
    MARGINS = "margins"
    PRECISION = "precision"


SlideFile = Annotated[
    Path | None, typer.Argument(metavar="SLIDE", help="The slide to read.", show_default="a synthetic slide")
]
Whatever = Annotated[
    What,
    typer.Option(
        "--what",
        help="speed: reading, computing, both, and a whole run; memory: peak memory with two huge slides at a time; "
        "time: seconds against tissue area; map: time for segmentation and measuring; margins: errors at tile borders; "
        "precision: largest difference from float32.",
    ),
]
Areas = Annotated[
    str | None,
    typer.Option(
        "--tissue-mm2",
        metavar="MM2,...",
        help="Tissue on each huge slide that --what memory and --what time make.",
        show_default="100 for memory; 10,50,100 for time",
    ),
]


def bench(
    slide: SlideFile = None,
    model: Model = None,
    device: Device = "auto",
    what: Whatever = What.SPEED,
    tissue_mm2: Areas = None,
    mpp: Mpp = None,
    override_mpp: OverrideMpp = False,
    as_json: AsJson = False,
) -> int:
    """Measure how fast this machine reads slides and runs the network, in megapixels per second.

    --what chooses another measurement.
    """
    from nodescan.batch.progress import PlainViewer

    if tissue_mm2 is not None and what not in (What.MEMORY, What.TIME):
        raise UsageError(f"--tissue-mm2: applies to --what memory and time, not to {what}; leave it out")
    if slide is not None and what in (What.MEMORY, What.TIME, What.MAP):
        raise UsageError(f"{slide}: --what {what} makes its own slides or map; leave the slide out")
    check_spacing(mpp, override_mpp)
    ref = _ref(slide, mpp, override_mpp)
    viewer = PlainViewer()
    if what is What.SPEED:
        from nodescan.benchmarks.speed import measure_speed

        speed = measure_speed(ref, model=model, device=device, progress=viewer)
        return _show(asdict(speed), _rows(speed), as_json=as_json)
    if what in (What.MEMORY, What.TIME):
        areas = _areas(tissue_mm2 or ("100" if what is What.MEMORY else "10,50,100"))
        slots = 2 if what is What.MEMORY else 1
        if what is What.MEMORY:
            from nodescan.benchmarks.processes import check_memory_told

            check_memory_told()
        return _growth(areas, model, device, slots=slots, tell=viewer.note, as_json=as_json)
    if what is What.MAP:
        return _map(model, as_json=as_json)
    if ref is None:
        raise UsageError(f"bench --what {what}: needs a slide; name one")
    if what is What.MARGINS:
        return _margins(ref, model, as_json=as_json)
    return _precision(ref, model, device, tell=viewer.note, as_json=as_json)


def _ref(slide: Path | None, mpp: float | None, override_mpp: bool) -> "SlideRef | None":
    """The slide that was named. Raises UsageError where it isn't there, or a pixel size is given for none."""
    from nodescan.domain.slide import SlideRef

    if slide is None:
        if mpp is not None:
            raise UsageError("--mpp: needs a slide, and none is named; name one, or leave --mpp out")
        return None
    check_one_slide(slide)
    return SlideRef(slide.stem, slide, mpp_um=mpp, override_mpp=override_mpp)


def _growth(
    areas_mm2: Sequence[float],
    model: str | None,
    device: str,
    *,
    slots: int,
    tell: Callable[[str], None],
    as_json: bool,
) -> int:
    from nodescan.benchmarks.growth import MEMORY_LIMIT_BYTES, fit_line, measure_growth

    points = measure_growth(areas_mm2, slots=slots, model=model, device=device, tell=tell)
    fit = fit_line(points)
    found = {
        "points": [asdict(point) for point in points],
        "fit": None if fit is None else asdict(fit),
        "memory_limit_bytes": MEMORY_LIMIT_BYTES,
    }
    return _show(found, _growth_rows(points, fit), as_json=as_json)


def _map(model: str | None, *, as_json: bool) -> int:
    from nodescan.benchmarks.after_network import time_map
    from nodescan.config import load_config
    from nodescan.inference.card import find_model, load_card

    card = load_card(find_model(model))
    times = time_map(card.decision.rule(), card.geometry(), load_config().settings)
    rows = (
        ("map", f"{times.width_mm:g} x {times.height_mm:g} mm, {times.cells:,} cells, {times.deposits} deposits"),
        ("stitch", f"{times.stitch_s:.2f} s"),
        ("deposits", f"{times.deposits_s:.2f} s to segment, label and measure"),
        ("detections", f"{times.detections_s:.2f} s"),
        ("joining gaps", f"{times.gaps_s:.2f} s"),
        ("lower threshold", f"{times.wholes_s:.2f} s"),
        ("together", f"{times.total_s:.2f} s, allowed {times.limit_s:g}"),
    )
    return _show({**asdict(times), "total_s": times.total_s}, rows, as_json=as_json)


def _margins(slide: "SlideRef", model: str | None, *, as_json: bool) -> int:
    from nodescan.benchmarks.margins import margin_table, study_margins

    studies = study_margins(slide, model=model)
    if as_json:
        print_json([asdict(study) for study in studies])
    else:
        print(margin_table(studies))
    return COMPLETE


def _precision(slide: "SlideRef", model: str | None, device: str, *, tell: Callable[[str], None], as_json: bool) -> int:
    from nodescan.benchmarks.precision import measure_precision

    found = measure_precision(slide, model=model, device=device, tell=tell)
    rows = [
        (
            one.way,
            f"{one.precision}: largest {one.largest:.2g}, 99.9 % within {one.p999:.2g} of float32 over {one.cells:,} "
            f"cells; {'unguarded' if one.tolerance is None else f'trusted within {one.tolerance:g}'}",
        )
        for one in found
    ]
    rows = rows or [("float32", "the only precision in which this device runs this model")]
    return _show({"differences": [asdict(one) for one in found]}, rows, as_json=as_json)


def _rows(speed: "Speed") -> list[tuple[str, str]]:
    rows = [
        ("device", f"{speed.device}, {speed.precision}"),
        ("reader", speed.reader),
        ("tiles", f"{speed.tiles}"),
        ("tissue", f"{speed.tissue_megapixels:.2f} Mpx"),
        ("decode", f"{speed.decode_mpx_s:.1f} Mpx/s"),
        ("network", f"{speed.network_mpx_s:.1f} Mpx/s"),
        ("network pass", f"{speed.end_to_end_mpx_s:.1f} Mpx/s of tissue, with reading and guard"),
        ("useful share", f"{speed.useful_share:.0%} of the pixels fed to the network are tissue"),
        ("efficiency", f"{speed.efficiency:.0%} of what decoding and the network together allow"),
        ("answered in", speed.answered),
        (
            "guard",
            f"{speed.guard_s:.2f} s after all tiles were answered; efficiency {speed.first_pass_efficiency:.0%} before",
        ),
    ]
    if speed.limits is not None:
        each, best = speed.limits.gflop_per_mpx, speed.limits.matrix_gflop_s
        reached = each * speed.network_mpx_s
        rows.append(("network's work", f"{each:.1f} GFLOP per Mpx"))
        how = f" (reckoned: {speed.limits.reckoned})" if speed.limits.reckoned else ""
        rows.append(
            ("arithmetic", f"{reached:.0f} GFLOP/s, {reached / best:.0%} of a large matrix product's {best:.0f}{how}")
        )
    if speed.file_to_report_mpx_s is not None:
        rows.append(("file to report", f"{speed.file_to_report_mpx_s:.1f} Mpx/s of tissue, of a slide in a run"))
    return rows if speed.command is None else rows + _command_rows(speed.command)


def _command_rows(run: "ScanRun") -> list[tuple[str, str]]:
    return [
        ("first tile", f"{run.first_tile_s:.2f} s after the start of `nodescan run`"),
        ("whole command", f"{run.seconds:.1f} s"),
        ("after network", f"{max(slide.after_network_s for slide in run.slides):.2f} s to stitch, measure and write"),
        ("peak memory", f"{run.peak_rss_bytes / 1e9:.2f} GB, summed over processes"),
    ]


def _growth_rows(points: Sequence["GrowthPoint"], fit: "LinearFit | None") -> list[tuple[str, str]]:
    from nodescan.benchmarks.growth import MEMORY_LIMIT_BYTES
    from nodescan.domain.naming import how_many

    rows = [
        (
            f"{point.tissue_mm2:.1f} mm2",
            f"{point.seconds:.1f} s a slide, {point.peak_rss_bytes / 1e9:.2f} GB, "
            f"{how_many(point.slides, 'slide')} at a time",
        )
        for point in points
    ]
    if fit is not None:
        line = f"{fit.intercept_s:.2f} s + {fit.slope_s_per_mm2:.3f} s for each mm2, R2 {fit.r2:.4f}"
        rows.append(("time", line))
    peak = max(point.peak_rss_bytes for point in points)
    allowed = f"allowed {MEMORY_LIMIT_BYTES / 1e9:.1f} with two slides on a CPU"
    return [*rows, ("peak memory", f"{peak / 1e9:.2f} GB, {allowed}")]


def _areas(words: str) -> tuple[float, ...]:
    try:
        areas = tuple(float(word) for word in words.split(","))
    except ValueError:
        areas = ()
    if not areas or not all(0 < area < float("inf") for area in areas):
        raise UsageError(f"--tissue-mm2: {words!r} is not a list of areas; give numbers above 0 separated by commas")
    return areas


def _show(found: dict[str, Any], rows: Sequence[tuple[str, str]], *, as_json: bool) -> int:
    if as_json:
        from nodescan.batch.record import versions
        from nodescan.domain.versions import RESULT_VERSION

        print_json({**found, "result_version": RESULT_VERSION, "versions": versions(found.get("device", ""))})
    else:
        for name, value in rows:
            tell(f"{name:<18} {value}")
    return COMPLETE
