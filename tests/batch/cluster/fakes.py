"""A Dask cluster of real processes on this machine, and openers for its workers; nothing here knows torch.

Openers leave marks in the folder that the environment variable names, which the workers were started with.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

from nodescan.inference.card import load_card
from tests.batch.worker_fakes import Touchy
from tests.waiting import PATIENCE_S, until

REPOSITORY = Path(__file__).parents[3]
MARKS = "NODESCAN_TEST_MARKS"


def open_holding_once(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    """The first that sees tumour goes no further."""
    mark("opened")
    return opened(folder, lambda: None if marks("held") else _hold())


def open_holding_twice(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    return opened(folder, lambda: None if len(marks("held")) >= 2 else _hold())


def open_dying(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    """Whoever sees tumour dies."""

    def die() -> None:
        mark("died")
        os.kill(os.getpid(), signal.SIGKILL)

    return opened(folder, die)


def open_quietly(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    return opened(folder, lambda: None)


def opened(folder: Path, at_tumour: Callable[[], None]) -> tuple[Touchy, int]:
    """A predictor that goes by the name of the folder's model, as the reports of a run must."""
    predictor = Touchy(at_tumour)
    predictor.model = load_card(folder).identity()
    return predictor, 1


def _hold() -> None:
    mark("held")
    time.sleep(600)


def mark(what: str) -> None:
    """Leave word of this process and of the Dask worker that started it."""
    text = f"{os.getpid()} {os.getppid()}"
    beside = Path(os.environ[MARKS]) / f".{token_hex(6)}"
    beside.write_text(text, encoding="ascii")
    beside.rename(beside.with_name(f"{what}-{token_hex(6)}"))


def marks(what: str, folder: Path | None = None) -> list[tuple[int, int]]:
    """(worker process, Dask worker) of each mark, oldest first."""
    place = folder or Path(os.environ[MARKS])
    found = sorted(place.glob(f"{what}-*"), key=lambda path: path.stat().st_mtime_ns)
    return [(int(a), int(b)) for a, b in (path.read_text(encoding="ascii").split() for path in found)]


@dataclass
class Farm:
    """A scheduler and its workers. folder: for marks and logs. listens: the addresses at which the scheduler does."""

    folder: Path
    listens: str = "127.0.0.1"
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def ready(self, workers: int) -> "Farm":
        """Have a scheduler, and just so many workers, and no marks."""
        for what in ("opened", "held", "died"):
            for path in self.folder.glob(f"{what}-*"):
                path.unlink()
        if self.scheduler is None or self.scheduler.poll() is not None:
            self.end()
            with socket.socket() as free:
                free.bind((self.listens, 0))
                self.port = free.getsockname()[1]
            listen = ["--host", self.listens, "--port", str(self.port), "--no-dashboard"]
            self.scheduler = self.start("scheduler", listen)
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        for worker in self.workers[workers:]:
            kill(worker)
        del self.workers[workers:]
        while len(self.workers) < workers:
            self.add()
        self.wait_for(workers)
        return self

    def add(self, *options: str, before: Sequence[str] = (), address: str = "") -> subprocess.Popen[bytes]:
        plain = ["--nthreads", "1", "--no-dashboard", "--no-nanny", "--local-directory", str(self.folder)]
        worker = self.start("worker", [address or self.address, *plain, *options], before)
        self.workers.append(worker)
        return worker

    def start(self, what: str, options: Sequence[str], before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY), MARKS: str(self.folder)}
        with (self.folder / f"{what}.log").open("ab") as log:
            command = [*before, sys.executable, "-m", "dask", what, *options]
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.folder)

    def wait_for(self, workers: int) -> None:
        from distributed import Client  # noqa: PLC0415  slow to import, and an extra

        with Client(self.address, timeout=PATIENCE_S, set_as_default=False) as client:
            until(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) == workers, self.logs)

    def miss(self, host: str) -> None:
        """Have the scheduler take the workers of a host for silent, as it does by itself after 5 minutes."""
        from distributed import Client  # noqa: PLC0415  slow to import, and an extra

        with Client(self.address, timeout=PATIENCE_S, set_as_default=False) as client:
            client.run_on_scheduler(see_silent, host)

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in self.folder.glob("*.log"))

    def end(self) -> None:
        for process in [*self.workers, *([self.scheduler] if self.scheduler else [])]:
            kill(process)
        self.workers, self.scheduler = [], None


async def see_silent(host: str, dask_scheduler: Any) -> None:
    """Run in the scheduler."""
    for worker in dask_scheduler.workers.values():
        if worker.host == host:
            worker.last_seen = 0.0
    await dask_scheduler.check_worker_ttl()


def kill(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(PATIENCE_S)
