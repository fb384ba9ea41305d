"""What a run is carried out with, made from what a test gives."""

from nodescan.batch.executors import SlideExecutor
from nodescan.batch.slide_task import RunTools, SlideTools
from nodescan.batch.tools import ThisProcess
from nodescan.batch.worker_messages import ScanJob
from nodescan.config import load_config


def in_this_process(tools: SlideTools) -> RunTools:
    """A run whose slides are scanned by `tools`, one after another."""
    here = ThisProcess(tools)
    return RunTools(tools.folder, tools.predictor, tools.config, tools.reports, rules=tools.rules, executor=here)


def in_processes(executor: SlideExecutor, job: ScanJob) -> RunTools:
    """A run of `job`, with the packed settings, whose slides are scanned by the processes of `executor`."""
    return RunTools(job.folder, executor.opened, load_config(), job.reports, rules=job.rules, executor=executor)
