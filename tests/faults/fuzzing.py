"""Mutated slides through the whole of `nodescan run`, many to a batch, in worker processes under supervision."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from nodescan.cli import main
from tests.faults.accounting import account, check_lines, rows
from tests.faults.mutations import SOURCES, Layout, layout_of, mutated
from tests.faults.room import COMPLETE, NOT_COMPLETE, Room, check, heard
from tests.faults.scene import Scene

IN_ONE_BATCH = 25
SLOTS = 2
STALL_MINUTES, BATCH_LIMIT_S = 0.5, 300.0
"""A slide of 384 px that takes longer hangs, and so does a batch."""


@dataclass(frozen=True, slots=True)
class Source:
    """A slide that nothing is wrong with yet."""

    suffix: str
    content: bytes
    layout: Layout


def fuzz_cases(number: int, seed: int) -> Iterator[Scene]:
    """`number` mutations, half of a TIFF and half of an SVS, in batches. The n-th has the seed `seed` + n."""
    with TemporaryDirectory() as folder:
        sources = []
        for suffix, make in SOURCES.items():
            path = make(Path(folder) / f"source.{suffix}")
            sources.append(Source(suffix, path.read_bytes(), layout_of(path)))
    half = -(-number // 2)
    for source, count in zip(sources, (half, number - half), strict=True):
        for start in range(0, count, IN_ONE_BATCH):
            seeds = range(seed + start, seed + min(start + IN_ONE_BATCH, count))
            name = f"fuzz {source.suffix} seeds {seeds.start} to {seeds.stop - 1}"
            act = partial(_scan, source=source, seeds=seeds)
            yield Scene(name, "each one accounted for, in one line", act, BATCH_LIMIT_S)


def _scan(room: Room, *, source: Source, seeds: range) -> str:
    """One batch of mutations and a good slide, which must come out complete."""
    names = []
    for seed in seeds:
        path = room.slides / f"m{seed:05}.{source.suffix}"
        path.write_bytes(mutated(source.content, source.layout, seed))
        names.append(path.stem)
    good = room.good("zz_good.tif")
    options = (
        *("--slots", str(SLOTS), "--stall-minutes", str(STALL_MINUTES), "--reports", "json,html"),
        *("--max-unread", "100"),  # so that slides with a single bad tile go all the way
    )
    with heard() as said, room.wired():
        code = main(["run", str(room.slides), *room.options(*options)])
    lines = said()
    check_lines(lines)
    check(code in (COMPLETE, NOT_COMPLETE), f"exit code {code}: {' | '.join(lines)}")
    account(room.out, [*names, good.stem], reports=("json", "html"))
    table = {row["slide_id"]: row for row in rows(room.out)}
    check(table[good.stem]["status"] == "complete", f"the good slide is {table[good.stem]['status']}")
    lost = [name for name, row in table.items() if row["flags"] in ("stalled", "worker_died")]
    check(not lost, f"no slide may cost its process or its time: {'; '.join(table[name]['reason'] for name in lost)}")
    return ", ".join(
        f"{count} {status}" for status, count in sorted(Counter(r["status"] for r in table.values()).items())
    )
