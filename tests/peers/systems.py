"""One run of each system: the command, the cores it may use, its time by the clock and its memory."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nodescan.benchmarks.processes import Run, run_watched
from tests.peers.environments import PATCH_PX, REPOSITORY, Place

CORES = 2


@dataclass(frozen=True, slots=True)
class Setting:
    """Tiles in a batch and processes that read beside the network; ours chooses both itself."""

    batch: int
    workers: int

    def __str__(self) -> str:
        return f"batch {self.batch}, workers {self.workers}"


@dataclass(frozen=True, slots=True)
class System:
    """A system to time. command: from slides and an empty folder to the words to run.

    results: matches, in that folder, at least one file for each slide that was done.
    """

    name: str
    command: Callable[[Sequence[Path], Path], list[str]]
    results: str
    setting: Setting | None = None


def ours(model: Path) -> System:
    """nodescan as a user runs it: all reports, an answer every 16 px."""
    program = "import sys; from nodescan.cli import main; sys.exit(main())"

    def command(slides: Sequence[Path], out: Path) -> list[str]:
        words = ["run", *slides, "--out", out / "results", "--model", model, "--device", "cpu", "--quiet"]
        return [sys.executable, "-c", program, *map(str, words)]

    return System("nodescan", command, "results/*/report.json")


def wsinfer(place: Place, setting: Setting) -> System:
    """WSInfer over a folder that links to the slides; an answer every 96 px."""

    def command(slides: Sequence[Path], out: Path) -> list[str]:
        folder = out / "slides"
        folder.mkdir()
        for slide in slides:
            (folder / slide.name).symlink_to(slide.resolve())
        words = ["--wsi-dir", folder, "--results-dir", out / "results"]
        words += ["--model-path", place.network / "model.pt", "--config", place.network / "config.json"]
        words += ["--batch-size", setting.batch, "--num-workers", setting.workers]
        return [str(place.wsinfer), "run", *map(str, words)]

    return System("WSInfer", command, "results/model-outputs-csv/*.csv", setting)


def tiatoolbox(place: Place, setting: Setting, *, stride_px: int = PATCH_PX) -> System:
    """TIAToolbox's PatchPredictor; an answer every stride_px."""
    program = REPOSITORY / "tests" / "peers" / "in_tiatoolbox.py"

    def command(slides: Sequence[Path], out: Path) -> list[str]:
        numbers = [PATCH_PX, stride_px, setting.batch, setting.workers]
        words = [program, out / "results", place.network / "model.pt", *numbers, *slides]
        return [str(place.tiatoolbox_python), *map(str, words)]

    name = "TIAToolbox" if stride_px == PATCH_PX else f"TIAToolbox, stride {stride_px} px"
    return System(name, command, "results/**/*.*", setting)


def timed(system: System, slides: Sequence[Path], scratch: Path) -> Run:
    """Run a system on slides, on CORES cores, and throw its results away. Raises RuntimeError where it fails."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    words = system.command(slides, scratch)
    if hasattr(os, "sched_setaffinity"):  # Linux: the processes of the system inherit it
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:CORES]))
    run = run_watched(words, environment={"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": str(CORES)})
    done = len(list(scratch.glob(system.results)))
    shutil.rmtree(scratch, ignore_errors=True)
    problem = failure(system.name, run, done=done, asked=len(slides))
    if problem:
        raise RuntimeError(problem)
    return replace(run, output="")


def failure(name: str, run: Run, *, done: int, asked: int) -> str:
    """Why a run doesn't count, "" where it does: some systems leave out a slide and exit 0. done, asked: slides."""
    if run.exit_code == 0 and done >= asked:
        return ""
    last = "\n".join(run.output.strip().splitlines()[-15:])
    return f"{name} failed (exit code {run.exit_code}, results of {done} of {asked} slides):\n{last}"
