"""A run on a Dask cluster: its workers looked at, the model open, and slides scanned as on one machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nodescan.cluster.connection import (
    Cluster,
    check_workers,
    connected,
    first_workers,
    resources_for,
    tasks_on_machines,
)
from nodescan.cluster.executor import ClusterExecutor, LostTwice
from nodescan.cluster.processes import ClusterJob
from nodescan.config import Config
from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.errors import LockLostError, SlideError
from nodescan.inference.card import load_card, packed_models
from nodescan.progress import Viewer
from nodescan.resume import RunRules, run_rules
from nodescan.slide_task import RemotePredictor, lost_slide
from nodescan.worker_messages import ScanJob


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterTools:
    """What holds for every slide of a run that a cluster scans: a slide_task.RunTools."""

    folder: Path
    config: Config
    reports: tuple[str, ...]
    command: tuple[str, ...]
    rules: RunRules
    predictor: RemotePredictor
    executor: ClusterExecutor
    stage: Path | None = None

    @property
    def pending(self) -> int:
        return self.executor.tasks_at_once

    def scan(self, ref: SlideRef, viewer: Viewer) -> SlideReport:
        try:
            return self.executor.scan(ref, viewer)
        except LostTwice as lost:
            return lost_slide(ref, lost.error, tools=self, viewer=viewer)
        except LockLostError:
            raise
        except SlideError as error:
            if type(error) is not SlideError:
                raise
            return lost_slide(ref, error, tools=self, viewer=viewer)


@contextmanager
def cluster_tools(
    job: ScanJob, config: Config, cluster: Cluster, *, command: tuple[str, ...], viewer: Viewer
) -> Iterator[ClusterTools]:
    """The cluster, with its workers looked at and the model open on one.

    Raises ClusterError, ModelError or DeviceError, before any slide, where it can't do the run's work.
    """
    model = load_card(job.model).identity()
    with connected(cluster.address) as client:
        workers = first_workers(client, cluster, resources_for(job.device), viewer)
        absolute = replace(job, folder=job.folder.absolute(), model=job.model.absolute())
        name = job.model.name if absolute.model.parent == packed_models() else str(absolute.model)
        sent = ClusterJob(absolute, name, model, cluster.stall_s, tasks_on_machines(workers))
        check_workers(client, sent, list(workers))
        tasks = sum(worker["nthreads"] for worker in workers.values())
        machines = len({worker["host"] for worker in workers.values()})
        viewer.note(f"{cluster.address}: workers: {len(workers)}, machines: {machines}, slides at a time: {tasks}")
        executor = ClusterExecutor(client, sent, cluster, viewer)
        opened = executor.opened
        try:
            yield ClusterTools(
                folder=job.folder,
                config=config,
                reports=job.reports,
                command=command,
                rules=run_rules(job.folder, job.run_id, max_unread_percent=job.max_unread_percent),
                predictor=RemotePredictor(model, opened.device, opened.precision, opened.batch_size),
                executor=executor,
            )
        finally:
            executor.stop()
