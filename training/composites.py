"""Slides laid out of real validation patches, with deposits of known size: made, scanned, scored, and tuned on."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.deposits import Deposit
from nodescan.domain.units import Micrometers
from nodescan.errors import UsageError
from nodescan.evaluation import agreement
from nodescan.imaging.sizing import to_shape
from nodescan.reports.files import written_beside
from training.scores import Interval, bootstrap

LABELS = (Metastasis.NONE, Metastasis.ITC, Metastasis.MICRO, Metastasis.MACRO)
SIZES_UM = {Metastasis.ITC: (60.0, 190.0), Metastasis.MICRO: (250.0, 1900.0), Metastasis.MACRO: (2200.0, 5000.0)}


@dataclass(frozen=True, slots=True)
class Planted:
    """A disc of known diameter; centre in um from the canvas' top left."""

    centre_um: tuple[float, float]
    diameter_um: float


@dataclass(frozen=True, slots=True)
class Composite:
    """A slide file, its seed, and what was planted in it."""

    path: Path
    seed: int
    planted: tuple[Planted, ...]

    @property
    def label(self) -> Metastasis:
        return max((classify(Micrometers(p.diameter_um)) for p in self.planted), default=Metastasis.NONE)


@dataclass(frozen=True, slots=True)
class SlideScore:
    """One slide: true and found class, each planted disc's measured diameter (None: missed), deposits elsewhere."""

    truth: Metastasis
    found: Metastasis
    planted_um: tuple[float, ...]
    measured_um: tuple[float | None, ...]
    false_deposits: int


@dataclass(frozen=True, slots=True)
class CompositeScores:
    """Size errors: medians over found deposits, relative from 400 um up, in um below. recall: found, of any size."""

    kappa: Interval
    negative_called_negative: int
    negatives: int
    false_deposits: Interval
    recall_itc: Interval
    recall_micro: Interval
    recall_macro: Interval
    size_error_large: float
    size_error_small_um: float
    n: int


def half_of(patches: Path, to: Path, *, half: int) -> Path:
    """Every second patch of a zip, by name, from the first (half 1) or the second (half 2), as a zip in `to`."""
    if half not in (1, 2):
        raise UsageError(f"--half is 1 or 2, not {half}")
    target = to / f"{patches.stem}-half{half}.zip"
    try:
        of = f"half of a zip of {patches.stat().st_size} bytes".encode()
        if not target.exists():
            to.mkdir(parents=True, exist_ok=True)
            with written_beside(target) as part, zipfile.ZipFile(patches) as source, zipfile.ZipFile(part, "w") as copy:
                copy.comment = of
                names = sorted(name for name in source.namelist() if not name.endswith("/"))
                for name in names[half - 1 :: 2]:
                    copy.writestr(name, source.read(name))
        with zipfile.ZipFile(target) as made:
            known = made.comment
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{patches}: no zip of patches that can be read ({error})") from error
    if known != of:
        raise UsageError(f"{target}: is of another {patches.name}; name another folder with --work")
    return target


def make_composites(tool: Path, patches: Path, seeds: Sequence[int], *, to: Path) -> list[Composite]:
    """One slide a seed, by the given tool; the label goes round with the seed, sizes are log-uniform in its range."""
    if not tool.is_file():
        raise UsageError(f"{tool}: no such script; name the one that lays slides out of patches with --tool")
    to.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda seed: _composite(tool, patches, seed, to=to), seeds))


def _composite(tool: Path, patches: Path, seed: int, *, to: Path) -> Composite:
    out = to / f"{patches.stem}-{seed:03d}.tif"
    if not out.with_suffix(".truth.json").exists():
        sizes = ",".join(f"{size:.1f}" for size in _sizes_um(seed))
        command = [sys.executable, str(tool), "--patches", str(patches), "--out", str(out), "--seed", str(seed)]
        done = subprocess.run([*command, "--diameters-um", sizes], capture_output=True, text=True, check=False)
        if done.returncode:
            raise UsageError(f"{tool}: made no slide for seed {seed}: {done.stderr.strip().splitlines()[-1:]}")
    truth = json.loads(out.with_suffix(".truth.json").read_text())
    planted = tuple(Planted((d["centre_um"][0], d["centre_um"][1]), d["diameter_um"]) for d in truth["deposits"])
    return Composite(out, seed, planted)


def linked(composites: Sequence[Composite], to: Path) -> None:
    """The slides and their truth in a folder of their own, without using the disk twice where it knows hard links.

    Raises UsageError where the folder holds other truths: evaluation would count their slides as not run.
    """
    to.mkdir(parents=True, exist_ok=True)
    files = [file for c in composites for file in (c.path, c.path.with_suffix(".truth.json"))]
    others = sorted({path.name for path in to.glob("*.truth.json")} - {file.name for file in files})
    if others:
        raise UsageError(f"{to}: holds {others[0]} of another set of slides; name an empty folder")
    for file in files:
        if (to / file.name).exists():
            continue
        try:
            os.link(file, to / file.name)
        except OSError:
            shutil.copyfile(file, to / file.name)


def score_slide(composite: Composite, deposits: Sequence[Deposit]) -> SlideScore:
    """Which planted discs were found, and what else. A deposit that touches a disc is its own; the largest counts."""
    shapes = [to_shape(deposit.outline) for deposit in deposits]
    discs = [shapely.Point(p.centre_um).buffer(p.diameter_um / 2) for p in composite.planted]
    measured = []
    for disc in discs:
        touching = [d.diameter_um for d, shape in zip(deposits, shapes, strict=True) if shape.intersects(disc)]
        measured.append(max(touching, default=None))
    false = sum(not any(shape.intersects(disc) for disc in discs) for shape in shapes)
    found = max((deposit.metastasis for deposit in deposits), default=Metastasis.NONE)
    planted = tuple(p.diameter_um for p in composite.planted)
    return SlideScore(composite.label, found, planted, tuple(measured), false)


def summarise(scores: Sequence[SlideScore]) -> CompositeScores:
    """All figures over the slides, with intervals by resampling slides."""
    truth, found = (np.array([int(getattr(s, name)) for s in scores]) for name in ("truth", "found"))
    false = np.array([s.false_deposits for s in scores], dtype=float)
    pairs = [(p, m) for s in scores for p, m in zip(s.planted_um, s.measured_um, strict=True) if m is not None]
    large = [abs(m - p) / p for p, m in pairs if p >= 400]
    small = [abs(m - p) for p, m in pairs if p < 400]
    return CompositeScores(
        kappa=bootstrap(lambda index: quadratic_kappa(truth[index], found[index]), len(scores)),
        negative_called_negative=int(((truth == 0) & (found == 0)).sum()),
        negatives=int((truth == 0).sum()),
        false_deposits=bootstrap(lambda index: float(false[index].mean()), len(scores)),
        recall_itc=_recall(scores, Metastasis.ITC),
        recall_micro=_recall(scores, Metastasis.MICRO),
        recall_macro=_recall(scores, Metastasis.MACRO),
        size_error_large=float(np.median(large)) if large else float("nan"),
        size_error_small_um=float(np.median(small)) if small else float("nan"),
        n=len(scores),
    )


def quadratic_kappa(truth: NDArray[np.int_], found: NDArray[np.int_], classes: int = 4) -> float:
    """Cohen's kappa with quadratic weights. Raises ValueError where chance alone can't disagree."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (truth, found), 1)
    kappa = agreement.quadratic_kappa(table)
    if not np.isfinite(kappa):
        raise ValueError("kappa is not defined where all are of one class")
    return kappa


def _sizes_um(seed: int) -> list[float]:
    """What is planted on the slide of a seed: nothing, or one disc of the label's range."""
    label = LABELS[seed % 4]
    if label is Metastasis.NONE:
        return []
    low, high = SIZES_UM[label]
    return [float(np.exp(np.random.default_rng(seed).uniform(np.log(low), np.log(high))))]


def _recall(scores: Sequence[SlideScore], label: Metastasis) -> Interval:
    """Share of planted discs of a class that some deposit touches."""
    hits = np.array(
        [
            m is not None
            for s in scores
            for p, m in zip(s.planted_um, s.measured_um, strict=True)
            if classify(Micrometers(p)) is label
        ],
        dtype=float,
    )
    if not len(hits):
        return Interval(float("nan"), float("nan"), float("nan"))
    return bootstrap(lambda index: float(hits[index].mean()), len(hits))
