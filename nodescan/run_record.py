"""run.json: what was asked of a batch, with what it ran, and how far it got."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PureWindowsPath
from platform import python_version

from nodescan import __version__
from nodescan.config import Config
from nodescan.domain.report import NOT_FOR_CLINICAL_USE, SlideReport, Status
from nodescan.interfaces import TilePredictor
from nodescan.reports.files import write_beside

RUN_JSON = "run.json"
RECORD_VERSION = 1

_PACKAGES = ("numpy", "openslide-bin", "openslide-python", "scikit-image", "scipy", "tifffile", "torch")
"""What a finding can depend on."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What holds for a whole run. command: the arguments as typed; it is written without folders outside the run's."""

    folder: Path
    command: tuple[str, ...]
    config: Config
    predictor: TilePredictor
    reports: tuple[str, ...]
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock_start: float = field(default_factory=time.monotonic)

    def write(self, state: str, asked: int, reports: Sequence[SlideReport]) -> None:
        """Write run.json. state: "running", "finished" or "interrupted". Raises OutputError."""
        model = self.predictor.model
        content = {
            "record_version": RECORD_VERSION,
            "notice": NOT_FOR_CLINICAL_USE,
            "state": state,
            "command": [without_folders(word, self.folder) for word in self.command],
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self.clock_start, 3),
            "slides": {"asked": asked, **_counts(reports)},
            "reports": list(self.reports),
            "model": {
                "name": model.name,
                "architecture": model.architecture,
                "weights_sha256": model.weights_sha256,
                "threshold": float(model.threshold),
            },
            "device": self.predictor.device,
            "precision": self.predictor.precision,
            "batch_size": self.predictor.batch_size,
            "config": {"name": self.config.name, "sha256": self.config.sha256, "text": self.config.text},
            "versions": versions(),
        }
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_beside(self.folder / RUN_JSON, text.encode())


def versions() -> dict[str, str]:
    """Package -> version, of Python, nodescan and what a finding can depend on."""
    return {"python": python_version(), "nodescan": __version__, **_installed(_PACKAGES)}


def without_folders(word: str, folder: Path) -> str:
    """One word of the command line without its folders, since they may name a patient; those inside `folder` stay."""
    option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    if "/" not in value and "\\" not in value:
        return word
    place, root = Path(value).resolve(), folder.resolve()
    if place == root:
        return f"{option}{equals}."
    inside = place.is_relative_to(root)
    return f"{option}{equals}{place.relative_to(root).as_posix() if inside else PureWindowsPath(value).name}"


def _counts(reports: Sequence[SlideReport]) -> dict[str, int]:
    found = Counter(report.status for report in reports)
    return {status.value: found[status] for status in Status}


def _installed(packages: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a system package of another name, or none: then it is not said
            continue
    return found
