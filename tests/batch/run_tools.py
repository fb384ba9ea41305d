"""What a run is carried out with, made from what a test gives."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nodescan.batch.executors import SlideExecutor
from nodescan.batch.limits import MAX_UNREAD_PERCENT
from nodescan.batch.progress import Viewer
from nodescan.batch.request import BatchRequest
from nodescan.batch.resume import ResumeOutcome
from nodescan.batch.run import BatchResult, scan_all
from nodescan.batch.slide_task import RunTools, SlideTools
from nodescan.batch.tools import ThisProcess
from nodescan.batch.worker_messages import ScanJob
from nodescan.config import load_config
from nodescan.domain.slide import SlideRef
from nodescan.interfaces import OpenSlideFile, TilePredictor
from nodescan.slides import open_slide
from tests.fakes import ColourPredictor


def slide_tools(
    folder: Path,
    predictor: TilePredictor | None = None,
    *,
    opening: OpenSlideFile = open_slide,
    reports: tuple[str, ...] = ("json", "html"),
    max_unread_percent: float = MAX_UNREAD_PERCENT,
) -> SlideTools:
    """What slides are scanned with into `folder`, by the packed settings, outside of any run."""
    config = load_config()
    job = ScanJob(folder, folder, "cpu", config.name, config.text, reports, max_unread_percent=max_unread_percent)
    return SlideTools(job, predictor or ColourPredictor(), config, opening)


def in_this_process(tools: SlideTools) -> RunTools:
    """A run whose slides are scanned by `tools`, one after another."""
    here = ThisProcess(tools)
    return RunTools(tools.job, tools.predictor, tools.config, BatchRequest((), tools.job.folder), here, Viewer())


def in_processes(executor: SlideExecutor, job: ScanJob) -> RunTools:
    """A run of `job`, with the packed settings, whose slides are scanned by the processes of `executor`."""
    return RunTools(job, executor.opened, load_config(), BatchRequest((), job.folder), executor, Viewer())


def scan_slides(refs: Sequence[SlideRef], tools: RunTools, viewer: Viewer) -> BatchResult:
    """Scan the slides, of which no run did any before, and tell the viewer."""
    return scan_all(refs, replace(tools, viewer=viewer), ResumeOutcome())
