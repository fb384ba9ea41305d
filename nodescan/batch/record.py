"""run.json: what a batch was asked to do, with which versions it ran, and how far it got."""

import errno
import glob
import os
import shlex
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath
from platform import python_version

from nodescan import __version__
from nodescan.config import Config
from nodescan.domain.report import NOT_FOR_CLINICAL_USE, RESULT_VERSION, SlideReport, Status
from nodescan.interfaces import PredictorFacts
from nodescan.machine import installed_version
from nodescan.reports.json_report import model_as_json
from nodescan.reports.made_with import HEX_SHOWN
from nodescan.slides.openslide_handles import library_versions
from nodescan.whole_files import json_bytes, output_errors, refuse_link, text_bytes, write_beside

RUN_JSON = "run.json"
RUN_LOG = "run.log"
SETTINGS = "settings"
RECORD_VERSION = 1

MADE_WITH = (__version__, RESULT_VERSION)
"""This process' nodescan: another may find by other rules."""

SOME_FOLDER = "<folder>"
"""Stands in the command for a folder outside the run's."""

SOME_ADDRESS = "<address>"
"""Stands in the command for that of a Dask scheduler."""

_PACKAGES = (
    "imagecodecs",
    "numpy",
    "openslide-bin",
    "openslide-python",
    "openvino",
    "scikit-image",
    "scipy",
    "shapely",
    "simplejpeg",
    "tifffile",
    "torch",
)
"""Packages that a finding can depend on. One that isn't installed under this name is left out."""

_ALWAYS = frozenset({"python", "nodescan", "openslide", *_PACKAGES})


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What holds for a whole run. command: as shown_command() gives it. asked: slide_id of all slides of the run; kept:
    of those whose report an earlier run made. redone: (slide_id, why) of each whose report of an earlier run this one
    replaces."""

    folder: Path
    command: tuple[str, ...]
    config: Config
    predictor: PredictorFacts
    reports: tuple[str, ...]
    asked: tuple[str, ...] = ()
    kept: frozenset[str] = frozenset()
    redone: tuple[tuple[str, str], ...] = ()
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock_start: float = field(default_factory=time.monotonic)

    def write(self, state: str, reports: Sequence[SlideReport]) -> None:
        """Write run.json and the settings. state: "running", "finished" or "interrupted". Raises OutputError.

        "redo" names the slides that have no result: those that failed, and those that the run has not reached, or never
        will if it was stopped. "redone" names all of `redone` from the beginning: one that "redo" names, too, has no
        new result.
        "device" is what the run began on, "devices" all that its slides were scanned on.
        """
        reached, failed = {report.slide.slide_id for report in reports}, set(to_redo(reports))
        why = dict(self.redone)
        own = [report for report in reports if report.slide.slide_id not in self.kept]
        content = {
            "record_version": RECORD_VERSION,
            "notice": NOT_FOR_CLINICAL_USE,
            "state": state,
            "command": list(self.command),
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self.clock_start, 3),
            "slides": {"asked": len(self.asked), "kept": len(self.kept), **_counts(reports)},
            "redo": [slide_id for slide_id in self.asked if slide_id in failed or slide_id not in reached],
            "redone": [{"slide_id": slide_id, "why": why[slide_id]} for slide_id in self.asked if slide_id in why],
            "reports": list(self.reports),
            "model": model_as_json(self.predictor.model),
            "result_version": RESULT_VERSION,
            "device": self.predictor.device,
            "devices": list(dict.fromkeys(report.provenance.device for report in own if report.provenance is not None)),
            "precision": self.predictor.precision,
            "batch_size": self.predictor.batch_size,
            "config": {"name": self.config.name, "sha256": self.config.sha256, "text": self.config.text},
            "versions": {**versions(self.predictor.device), **_of_gpus(own)},
        }
        self._keep_settings()
        write_beside(self.folder / RUN_JSON, json_bytes(content))

    def _keep_settings(self) -> None:
        """Write the settings' text under their sha256, where it isn't kept yet: run.json has those of the last run, and
        reports of earlier runs name theirs by the sha256 alone. Raises OutputError."""
        place = self.folder / SETTINGS
        with output_errors(place):
            refuse_link(place)
            place.mkdir(exist_ok=True)
        kept = place / f"{self.config.sha256[:HEX_SHOWN]}.yaml"
        if not kept.exists():
            write_beside(kept, text_bytes(self.config.text))


def to_redo(reports: Sequence[SlideReport]) -> tuple[str, ...]:
    """The slides without a result, by slide_id. Running the command again tries only these."""
    return tuple(report.slide.slide_id for report in reports if report.status.without_result)


def redo_command(command: Sequence[str]) -> str:
    """The command as typed, ready for a shell, without --force, so that it leaves whole reports as they are."""
    return shell_line([word for word in command if word != "--force"])


def shell_line(words: Sequence[str]) -> str:
    """Words quoted as the system's shell takes them."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def versions(device: str = "") -> dict[str, str]:
    """Package -> version, of Python, nodescan, the OpenSlide library and what else a finding can depend on.

    device: as a predictor describes it. Of a GPU the libraries and the driver are named, too, in a process that has
    torch: one that only hears of it from others has no need to load it.
    """
    gpu: dict[str, str] = {}
    if device.startswith("cuda") and "torch" in sys.modules:
        from nodescan.inference.device import gpu_versions  # noqa: PLC0415  torch is loaded where it computes alone

        gpu = gpu_versions()
    found = {package: installed_version(package) for package in _PACKAGES}
    said = {package: version for package, version in found.items() if version is not None}
    library, _ = library_versions()  # which may be the system's
    return {"python": python_version(), "nodescan": __version__, "openslide": library, **said, **gpu}


def _of_gpus(reports: Sequence[SlideReport]) -> dict[str, str]:
    """What the slides' processes said that is no package's version; of several machines each that differs."""
    found: dict[str, dict[str, None]] = {}
    for report in reports:
        for name, version in () if report.provenance is None else report.provenance.versions.items():
            if name not in _ALWAYS:
                found.setdefault(name, {})[version] = None
    return {name: "; ".join(each) for name, each in found.items()}


def keep_in_log(folder: Path, slide_id: str, text: str) -> None:
    """Add to run.log what went wrong under a slide, for a bug report; where the disk refuses, it isn't kept.

    Nor is it where something else stands in the log's place: a link, another name of a file elsewhere, a pipe.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with (
        suppress(OSError),
        open(folder / RUN_LOG, "a", encoding="utf-8", errors="backslashreplace", opener=_opened_here) as log,
    ):
        log.write(f"{now} {slide_id}\n{text}\n")


def _opened_here(path: str, flags: int) -> int:
    kept_here = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # Windows has neither
    descriptor = os.open(path, flags | kept_here, 0o666)
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file of its own", path)
    return descriptor


def shown_command(command: Sequence[str], folder: Path) -> tuple[str, ...]:
    """The arguments as typed, without folders outside the run's `folder`.

    To be asked for when a run begins: what is typed is meant from the working directory, which may be gone later.
    """
    return (*command[:2], *(without_folders(word, folder) for word in command[2:]))


def without_folders(word: str, folder: Path) -> str:
    """One word of the command line without its folders, since they may name a patient; those inside `folder` stay.
    Nor does it tell the address of a machine.

    A pattern that matches folders, as `Muell*`, is left out too: it tells how their names begin.
    """
    option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    if "://" in value:
        return f"{option}{equals}{SOME_ADDRESS}"
    place, root = Path(os.path.realpath(value)), Path(os.path.realpath(folder))
    is_folder = bool(value) and (place.is_dir() or value.endswith(("/", "\\")) or _meets_folders(value))
    if "/" not in value and "\\" not in value and not is_folder:
        return word
    if place == root:
        return f"{option}{equals}."
    if place.is_relative_to(root):
        return f"{option}{equals}{place.relative_to(root).as_posix()}"
    return f"{option}{equals}{SOME_FOLDER if is_folder else PureWindowsPath(value).name}"


def _meets_folders(pattern: str) -> bool:
    """Whether it is a pattern, and a folder is among what it matches."""
    return glob.has_magic(pattern) and any(glob.iglob(f"{pattern}{os.sep}"))


def _counts(reports: Sequence[SlideReport]) -> dict[str, int]:
    found = Counter(report.status for report in reports)
    return {status.value: found[status] for status in Status}
