"""Connects to a Dask scheduler and its workers, and says in one line what is wrong with them."""

import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import distributed
from distributed.comm.addressing import normalize_address, resolve_address

from nodescan.batch.cluster.processes import ClusterJob
from nodescan.batch.cluster.task import answered, look
from nodescan.batch.progress import Viewer
from nodescan.errors import ClusterError, UsageError

RESTART = "what is finished stays; see that the scheduler runs, then run the same command again"

_CONNECTING_S = 15.0
_CLOSING_S = 5.0
_LOOKING_S = 120.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to scan. address: of the scheduler, "tcp://host:port".

    stall_s: after so long without any worker the run ends, and a slide without progress is failed. device: as
    ScanJob's.
    """

    address: str
    stall_s: float
    device: str = "auto"

    @property
    def resources(self) -> dict[str, float]:
        """What a task asks of its worker: a GPU where one is asked for by name."""
        return {"GPU": 1} if self.device.startswith("cuda") else {}


@contextmanager
def connected(address: str) -> Iterator[distributed.Client]:
    """A client of the scheduler. Raises UsageError for what is no address, ClusterError where nobody answers."""
    _silence_dask()
    if not address.strip():  # Dask would start a cluster of its own
        raise UsageError("--scheduler: no address is given; it looks like tcp://host:8786")
    try:
        resolve_address(normalize_address(address))  # a client made in vain holds up the program's end for 30 s
        client = distributed.Client(address, timeout=_CONNECTING_S, set_as_default=False, name="nodescan")
    except (ValueError, TypeError, ImportError, FutureWarning) as error:
        raise UsageError(
            f"--scheduler {address}: no address of a Dask scheduler ({error}); e.g. tcp://host:8786"
        ) from None
    except OSError as error:
        why = "nobody answers" if isinstance(error, TimeoutError) else (error.strerror or "nobody answers")
        raise ClusterError(
            f"--scheduler {address}: no Dask scheduler can be reached there ({why}); start one with: dask scheduler"
        ) from None
    try:
        yield client
    finally:
        with suppress(Exception):  # of a scheduler that is gone
            client.close(timeout=_CLOSING_S)


def first_workers(client: distributed.Client, cluster: Cluster, viewer: Viewer) -> dict[str, Any]:
    """The workers there are, by address; where there is none yet, they are waited for. Raises ClusterError."""
    ends, told = time.monotonic() + cluster.stall_s, False
    while True:
        try:
            workers = workers_of(client, cluster)
            if not workers and workers_of(client, replace(cluster, device="auto")):
                raise no_worker(cluster)
        except TimeoutError as error:
            raise silent_scheduler(cluster, error) from error
        except OSError:
            raise ClusterError(f"{cluster.address}: the Dask scheduler stopped; {RESTART}") from None
        if workers:
            return workers
        if time.monotonic() >= ends:
            raise no_worker(cluster)
        if not told:
            viewer.note(f"{cluster.address}: no worker has joined yet; waiting")
            told = True
        time.sleep(0.5)


def workers_of(client: distributed.Client, cluster: Cluster) -> dict[str, Any]:
    """Address -> what the scheduler knows of each worker that has the resources.

    Raises TimeoutError where it doesn't answer for stall_s: Dask itself would wait for ever.
    """
    workers = answered(partial(client.scheduler_info, n_workers=-1), cluster.stall_s)["workers"]
    return {
        address: facts
        for address, facts in workers.items()
        if all(facts.get("resources", {}).get(name, 0) >= amount for name, amount in cluster.resources.items())
    }


def no_worker(cluster: Cluster) -> ClusterError:
    """Says what to start."""
    option, kind = (' --resources "GPU=1"', " that offers a GPU") if cluster.resources else ("", "")
    return ClusterError(
        f"{cluster.address}: there is no Dask worker{kind}; start some with: dask worker {cluster.address}{option}; "
        "what is finished stays"
    )


def silent_scheduler(cluster: Cluster, error: Exception) -> ClusterError:
    """The error for a scheduler that neither answers nor refuses. error: raised instead of an answer."""
    met = "" if isinstance(error, TimeoutError) else f" ({type(error).__name__}: {' '.join(str(error).split())[:300]})"
    return ClusterError(f"{cluster.address}: the Dask scheduler doesn't answer{met}; {RESTART}")


def tasks_on_machines(workers: dict[str, Any]) -> dict[str, int]:
    """Address of a worker -> tasks at a time of all the workers on its machine."""
    tasks: dict[str, int] = {}
    for facts in workers.values():
        tasks[facts["host"]] = tasks.get(facts["host"], 0) + facts["nthreads"]
    return {address: tasks[facts["host"]] for address, facts in workers.items()}


def check_workers(client: distributed.Client, job: ClusterJob, workers: list[str]) -> None:
    """Raises ClusterError where a worker can't work for the run, before any slide is failed for it."""
    thread = ThreadPoolExecutor(1)
    try:
        asked = thread.submit(client.run, look, job, workers=workers, on_error="return")
        answers = cast("dict[str, object]", asked.result(_LOOKING_S))
    except Exception as error:  # whatever Dask, or a machine without this program, can raise
        raise ClusterError(
            f"the Dask workers don't answer ({type(error).__name__}: {error}); see their logs"
        ) from error
    finally:
        thread.shutdown(wait=False)
    for address, answer in answers.items():
        if isinstance(answer, ImportError):
            raise ClusterError(
                f"the worker {address} has no nodescan ({answer}); install the same as here on all machines"
            )
        if isinstance(answer, Exception):
            raise ClusterError(f"the worker {address} doesn't work ({type(answer).__name__}: {answer}); see its log")
        if answer:
            raise ClusterError(str(answer))


def _silence_dask() -> None:
    """What is wrong is said here in one line; Dask's own lines are for those who set NODESCAN_DASK_LOG."""
    if "NODESCAN_DASK_LOG" in os.environ:
        return
    for name in ("distributed", *(name for name in logging.root.manager.loggerDict if name.startswith("distributed."))):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
