"""From seconds of single runs to rows that say how many times faster, beside what was promised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from nodescan.benchmarks.processes import Run

BATCH = 3
"""Slides in the longer command: two of them are what it takes beyond the short one."""

TARGETS = {"per slide in a batch": 5.0, "one cold command": 3.0, "per slide at a stride of 32 px": 50.0}


@dataclass(frozen=True, slots=True)
class Timed:
    """Medians of a system's runs. per_slide_s: what each further slide takes, (BATCH slides - one) / (BATCH - 1)."""

    name: str
    setting: str
    command_s: float
    per_slide_s: float
    peak_rss_bytes: int

    @property
    def start_s(self) -> float:
        """What a command takes beside its slides: it is the same however densely a slide is answered."""
        return self.command_s - self.per_slide_s


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. ratio: theirs / ours."""

    what: str
    peer: str
    ours_s: float
    theirs_s: float
    target: float

    @property
    def ratio(self) -> float:
        return self.theirs_s / self.ours_s

    @property
    def met(self) -> bool:
        return self.ratio >= self.target


def summarised(name: str, setting: str, one: Sequence[Run], several: Sequence[Run]) -> Timed:
    """one, several: runs over one slide and over BATCH slides, round by round."""
    beyond = [(long.seconds - short.seconds) / (BATCH - 1) for short, long in zip(one, several, strict=True)]
    return Timed(
        name,
        setting,
        command_s=median(run.seconds for run in one),
        per_slide_s=median(beyond),
        peak_rss_bytes=round(median(run.peak_rss_bytes for run in several)),
    )


def compared(ours: Timed, peers: Sequence[Timed], *, dense_s: Mapping[str, float]) -> tuple[Row, ...]:
    """A row for each peer and each target. dense_s: peer -> seconds a slide at a stride of 32 px."""
    batch, cold, dense = TARGETS
    rows = [Row(batch, peer.name, ours.per_slide_s, peer.per_slide_s, TARGETS[batch]) for peer in peers]
    rows += [Row(cold, peer.name, ours.command_s, peer.command_s, TARGETS[cold]) for peer in peers]
    rows += [Row(dense, name, ours.per_slide_s, seconds, TARGETS[dense]) for name, seconds in dense_s.items()]
    return tuple(rows)


def table(timed: Sequence[Timed], rows: Sequence[Row]) -> str:
    """Markdown: what each system took, then how they compare."""
    lines = ["| system | setting | one command | per slide in a batch | peak memory |", "|---|---|---|---|---|"]
    lines += [
        f"| {one.name} | {one.setting} | {one.command_s:.1f} s | {one.per_slide_s:.2f} s | "
        f"{one.peak_rss_bytes / 1e9:.2f} GB |"
        for one in timed
    ]
    lines += ["", "| against | what | theirs | ours | times faster | target |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {row.peer} | {row.what} | {row.theirs_s:.1f} s | {row.ours_s:.2f} s | {row.ratio:.1f} | "
        f"{row.target:g}, {'met' if row.met else 'missed'} |"
        for row in rows
    ]
    return "\n".join(lines)
