"""A user's acceptance test: phantom slides with deposits of known size through the same batch as any slide."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nodescan.batch.progress import Viewer
from nodescan.batch.request import BatchRequest
from nodescan.batch.run import run_batch
from nodescan.domain.class_bounds import class_word
from nodescan.domain.deposits import Deposit
from nodescan.domain.report import SlideReport, Status
from nodescan.overwrite_checks import check_ours, not_ours
from nodescan.phantoms import TRUTH_HEAD, PhantomTruth, PlantedDeposit, is_phantom, make_phantom, truth_file
from nodescan.phantoms.canvas import PhantomPlan
from nodescan.phantoms.outlines import PAIR_GAP_UM, Shape
from nodescan.reports.html_report import REPORT_HTML
from nodescan.whole_files import prepare_folder, refuse_link


@dataclass(frozen=True, slots=True)
class Pair:
    """One deposit as planted and as measured, in um; None where there is no counterpart.

    gap_um: the gap to a second planted focus that was measured as one with it; None where there is no such focus.
    """

    planted_um: float | None
    measured_um: float | None = None
    gap_um: float | None = None

    @property
    def error_um(self) -> float | None:
        """None also for two foci measured as one: their common size is not an error of either."""
        if self.planted_um is None or self.measured_um is None or self.gap_um is not None:
            return None
        return self.measured_um - self.planted_um


@dataclass(frozen=True, slots=True)
class DemoSlide:
    """One phantom. expected: a word of Metastasis; found: a report's class_word()."""

    name: str
    expected: str
    found: str
    status: Status
    pairs: tuple[Pair, ...]
    page: Path

    @property
    def right(self) -> bool:
        return self.status is Status.COMPLETE and self.found == self.expected


def demo_plans() -> tuple[PhantomPlan, ...]:
    """The slides of `nodescan demo`: each class once, and two near foci that must stay two."""
    r, e, c, p = Shape.ROUND, Shape.ELONGATED, Shape.CRESCENT, Shape.PAIR
    return (
        PhantomPlan("negative", (), (), 0.5, 11),
        PhantomPlan("itc", (150.0,), (r,), 0.5, 12),
        PhantomPlan("micro-elongated-and-pair", (900.0, 320.0), (e, p), 0.5, 13),
        PhantomPlan("macro-crescent", (2600.0,), (c,), 0.5, 14),
    )


def run_demo(
    folder: Path, viewer: Viewer, *, model: str | None, device: str, command: tuple[str, ...]
) -> tuple[DemoSlide, ...]:
    """Make the phantoms, scan them, and set what was planted beside what was measured.

    folder: for `slides` and `results`. model: None for the released one. command: as of BatchRequest.
    Raises UsageError where a user's own file is called as a phantom, and OutputError where `slides` is a link; nothing
    is written before.
    """
    slides, results = folder / "slides", folder / "results"
    _check_ours(slides)
    prepare_folder(slides)
    made: dict[Path, PhantomTruth] = {}
    for plan in demo_plans():
        viewer.note(f"making phantom {plan.name}")
        path = _phantom_file(slides, plan)
        made[path] = make_phantom(path, plan)
    inputs = tuple(map(str, made))
    request = BatchRequest(inputs, results, model=model, device=device, command=command, slots=0, force=True)
    batch = run_batch(request, viewer)
    reports = {report.slide.path.name: report for report in batch.reports}
    return tuple(_compared(truth, reports[path.name], results) for path, truth in made.items())


def _phantom_file(slides: Path, plan: PhantomPlan) -> Path:
    return slides / f"{plan.name}.tif"


def _check_ours(slides: Path) -> None:
    """Raises UsageError where a file of a planned name isn't an earlier demo's: a phantom, with its truth beside it.

    A demo that was stopped may leave only the truth, which is written first.
    """
    refuse_link(slides)
    for plan in demo_plans():
        path = _phantom_file(slides, plan)
        truth = truth_file(path)
        check_ours(truth, TRUTH_HEAD)
        if os.path.lexists(path) and not (is_phantom(path) and truth.is_file()):
            raise not_ours(path)


def paired(planted: Sequence[PlantedDeposit], found: Sequence[Deposit]) -> tuple[Pair, ...]:
    """Each planted deposit, the largest first, with the most similar one found within its own diameter; then the
    rest."""
    left = list(found)
    matched: list[tuple[PlantedDeposit, Deposit | None]] = []
    for deposit in sorted(planted, key=lambda deposit: -deposit.diameter_um):
        near = [other for other in left if math.dist(other.centre_um, deposit.centre_um) <= deposit.diameter_um]
        match = min(near, key=partial(_unlikeness_um, deposit), default=None)
        if match is not None:
            left.remove(match)
        matched.append((deposit, match))
    missed = [deposit for deposit, match in matched if match is None]
    pairs = [
        Pair(deposit.diameter_um)
        if match is None
        else Pair(deposit.diameter_um, match.diameter_um, _gap_within_um(deposit, match, missed))
        for deposit, match in matched
    ]
    return (*pairs, *(Pair(None, deposit.diameter_um) for deposit in left))


def _gap_within_um(planted: PlantedDeposit, found: Deposit, missed: Sequence[PlantedDeposit]) -> float | None:
    """The gap between the planted focus and the other of its pair, if `found` is both as one; else None.

    It is both if its centre is nearer to the middle between them than to either, and if it is longer than the distance
    of their centres.
    """
    for other in missed:
        apart_um = math.dist(planted.centre_um, other.centre_um)
        gap_um = apart_um - (planted.diameter_um + other.diameter_um) / 2
        near = planted.shape is other.shape is Shape.PAIR and gap_um <= PAIR_GAP_UM + 1
        off_middle_um = abs(math.dist(found.centre_um, planted.centre_um) - math.dist(found.centre_um, other.centre_um))
        if near and off_middle_um < apart_um / 2 and found.diameter_um > apart_um:
            return gap_um
    return None


def _unlikeness_um(planted: PlantedDeposit, found: Deposit) -> float:
    """The difference in place and in size: a speck at the centre of a deposit is not that deposit."""
    return math.dist(found.centre_um, planted.centre_um) + abs(found.diameter_um - planted.diameter_um)


def _compared(truth: PhantomTruth, report: SlideReport, results: Path) -> DemoSlide:
    return DemoSlide(
        name=report.slide.path.stem,
        expected=truth.label,
        found=class_word(report),
        status=report.status,
        pairs=paired(truth.deposits, report.deposits),
        page=results / report.slide.slide_id / REPORT_HTML,
    )
