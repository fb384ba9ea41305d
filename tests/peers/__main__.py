"""Sets the other systems up, times all on one slide, and prints a table: python -m tests.peers, or make bench-peers."""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nodescan.benchmarks.processes import Run
from nodescan.inference.random_model import random_model
from tests.peers.comparison import BATCH, Timed, compared, summarised, table
from tests.peers.environments import PATCH_PX, Place, find_place, make_slide, set_up
from tests.peers.systems import Setting, System, ours, tiatoolbox, timed, wsinfer

SETTINGS = (
    Setting(16, 0),
    Setting(16, 1),
    Setting(32, 0),
    Setting(32, 1),
    Setting(32, 2),
    Setting(64, 2),
    Setting(128, 2),
)
"""Tried once on one slide; the fastest is used. 0 workers: the process that computes reads, too, which leaves both
cores to the network meanwhile."""

STRIDE_PX = 32
LONGEST_DENSE_S = 600.0
"""A dense run that would take longer is reckoned from the patches that the sparse one answers a second."""


def main(words: Sequence[str] | None = None) -> int:
    """Time all systems; exit 1 where a target was missed."""
    asked = _parser().parse_args(words)
    place = find_place()
    set_up(place)
    if asked.set_up_only:
        return 0
    work = place.home / "bench"
    work.mkdir(parents=True, exist_ok=True)
    slide = make_slide(place, work)
    model = random_model(work / "resnet18", "resnet18")
    scratch = work / "scratch"
    systems = [
        ours(model),
        _best([wsinfer(place, setting) for setting in asked.settings], slide, scratch),
        _best([tiatoolbox(place, setting) for setting in asked.settings], slide, scratch),
    ]
    slides = _copies(slide, work / "slides")
    one: dict[str, list[Run]] = {system.name: [] for system in systems}
    several: dict[str, list[Run]] = {system.name: [] for system in systems}
    for turn in range(1, asked.rounds + 1):
        for system in systems:
            one[system.name].append(_say(turn, system, slides[:1], scratch))
            several[system.name].append(_say(turn, system, slides, scratch))
    found = [summarised(s.name, str(s.setting or "its own"), one[s.name], several[s.name]) for s in systems]
    dense_s, how = _dense(place, systems[2], found[2], slide, scratch=scratch)
    rows = compared(found[0], found[1:], dense_s={"TIAToolbox": dense_s})
    print(table(found, rows))
    print(f"\nTIAToolbox at a stride of {STRIDE_PX} px: {how}. Peers answer every {PATCH_PX} px, nodescan every 16.")
    content = {
        "slide": slide.name,
        "systems": [asdict(one) for one in found],
        "rows": [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in rows],
        "dense": how,
        "seconds": {name: [run.seconds for run in (*one[name], *several[name])] for name in one},
    }
    asked.out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0 if all(row.met for row in rows) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("bench-peers.json"))
    parser.add_argument("--set-up-only", action="store_true")
    parser.add_argument(
        "--settings",
        type=_settings,
        default=SETTINGS,
        metavar="BATCHxWORKERS,...",
        help="peers' settings to try, e.g. 16x0,64x2",
    )
    return parser


def _settings(words: str) -> tuple[Setting, ...]:
    return tuple(Setting(*(int(number) for number in word.split("x"))) for word in words.split(","))


def _best(systems: Sequence[System], slide: Path, scratch: Path) -> System:
    """The one that is fastest on one slide."""
    if len(systems) == 1:
        return systems[0]
    seconds = [_say(0, system, [slide], scratch).seconds for system in systems]
    return systems[seconds.index(min(seconds))]


def _copies(slide: Path, folder: Path) -> list[Path]:
    """The slide under several names: a batch. Links, so that no system finds a warmer file than another."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    copies = [folder / f"{slide.stem}-{number}{slide.suffix}" for number in range(1, BATCH + 1)]
    for copy in copies:
        copy.hardlink_to(slide)
    return copies


def _dense(place: Place, system: System, sparse: Timed, slide: Path, *, scratch: Path) -> tuple[float, str]:
    """Seconds a slide in a batch at a stride of STRIDE_PX, and how they were found. sparse: the system at PATCH_PX."""
    reckoned_s = sparse.per_slide_s * (PATCH_PX / STRIDE_PX) ** 2
    if reckoned_s > LONGEST_DENSE_S or system.setting is None:
        return reckoned_s, f"reckoned from patches a second, {(PATCH_PX // STRIDE_PX) ** 2} times as many"
    run = _say(0, tiatoolbox(place, system.setting, stride_px=STRIDE_PX), [slide], scratch)
    return run.seconds - sparse.start_s, f"one command of {run.seconds:.1f} s, run once, less its start"


def _say(turn: int, system: System, slides: Sequence[Path], scratch: Path) -> Run:
    run = timed(system, slides, scratch)
    setting = "" if system.setting is None else f" ({system.setting})"
    when = f"round {turn}: " if turn else ""
    size = f"{run.peak_rss_bytes / 1e9:.2f} GB"
    print(
        f"{when}{system.name}{setting}, {len(slides)} slide(s): {run.seconds:.1f} s, {size}",
        file=sys.stderr,
        flush=True,
    )
    return run


if __name__ == "__main__":
    sys.exit(main())
