"""Sets of slides laid out of real validation patches, with deposits of known size: made once, and handed on."""

import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from nodescan.domain.classification import Metastasis
from nodescan.errors import UsageError
from nodescan.evaluation.lesion_files import planted_deposits
from nodescan.machine import memory_bytes, usable_cores
from nodescan.phantoms import TRUTH_ENDING, truth_file
from nodescan.phantoms.outlines import Shape
from nodescan.slides.slide_ids import real_path
from nodescan.whole_files import output_errors, remove_once_closed, write_beside, written_beside
from training.camelyon.manifest import digest_of
from training.patches.hdf5 import HDF5_SUFFIXES
from training.patches.labelled import ZIP_ERRORS, check_distinct, check_sizes, read_patches
from training.patches.mosaics import MosaicMaker, MosaicSettings
from training.tuning.composite_slide import make_composite_slide
from training.tuning.known_slides import KnownSlide

LABELS = (Metastasis.NONE, Metastasis.ITC, Metastasis.MICRO, Metastasis.MACRO)
SHAPES = (Shape.ROUND, Shape.ELONGATED, Shape.CRESCENT)
SIZES_UM = {Metastasis.ITC: (60.0, 190.0), Metastasis.MICRO: (250.0, 1900.0), Metastasis.MACRO: (2200.0, 5000.0)}

MOSAIC = MosaicSettings(tile_px=192, pool=400, kept=0.25, jpeg_share=0.5)
"""Slides are laid out of patches of one stain as tiles are; of tiles themselves none is made."""


_BYTES_A_SLIDE = 2_000_000_000
"""Of memory while a slide is laid out: it peaks at 1.4 GB, and the system needs some."""


def half_of(patches: Path, to: Path, *, half: int) -> Path:
    """Every second patch of a zip, by name, from the first (half 1) or the second (half 2), as a zip in `to`.

    One zip always gives the same bytes, by which make_composites knows its slides. Raises UsageError where the patches
    can't be read, where one is in the zip twice, or what is there is the half of other ones.
    """
    if half not in (1, 2):
        raise UsageError(f"--half is 1 or 2, not {half}")
    if patches.is_dir():
        raise UsageError(
            f"{patches}: is a folder; pack it into a zip, its folders normal and tumor within, and name that"
        )
    if patches.suffix in HDF5_SUFFIXES:
        raise UsageError(
            f"{patches}: is HDF5; slides are laid out of a zip: write its patches as images into folders normal and "
            "tumor, pack these, and name that"
        )
    target = to / f"{patches.stem}-half{half}.zip"
    try:
        of = f"half {half} of a zip of sha256 {digest_of(patches, 'sha256')}".encode()
        with zipfile.ZipFile(patches) as source:
            members = [member for member in source.infolist() if not member.is_dir()]
        names = sorted(member.filename for member in members)
        check_distinct(patches, names)
        check_sizes(patches, ((member.file_size, member.filename) for member in members))
        if not target.exists():
            to.mkdir(parents=True, exist_ok=True)
            with written_beside(target) as part, zipfile.ZipFile(patches) as source, zipfile.ZipFile(part, "w") as copy:
                copy.comment = of
                for name in names[half - 1 :: 2]:
                    copy.writestr(zipfile.ZipInfo(name), source.read(name))  # of no date
        with zipfile.ZipFile(target) as made:
            known = made.comment
    except ZIP_ERRORS as error:
        raise UsageError(f"{patches}: no zip of patches that can be read ({error})") from error
    if known != of:
        raise UsageError(
            f"{target}: is of another {patches.name} (one whose labels were corrected, too) or by an older nodescan; "
            f"name another folder with --work, or delete it with the slides {target.stem}-* beside it"
        )
    return target


def make_composites(tool: Path | None, patches: Path, seeds: Sequence[int], *, to: Path) -> list[KnownSlide]:
    """One slide a seed; the label goes round with the seed, sizes are log-uniform in its range.

    tool: a script that makes them, called with --patches ZIP --out S.tif --seed N --diameters-um SIZES; None:
    make_composite_slide does, with micro- and macrometastases that are round, elongated and crescents in turn. Those
    that are there already are not made again; raises UsageError where they are of another tool, of other settings or of
    other patches.
    """
    if tool is not None and not tool.is_file():
        raise UsageError(f"{tool}: no such script; leave --tool out, or name one that lays slides out of patches")
    name = patches.stem if tool else f"{patches.stem}-shaped"
    _check_maker(tool, patches, to, name)
    outs = {seed: to / f"{name}-{seed:03d}.tif" for seed in seeds}
    wanted = [seed for seed, out in outs.items() if not (truth_file(out).exists() and out.exists())]
    if wanted:
        make = partial(_by_tool, tool, patches) if tool else _by_ourselves(patches)
        with ThreadPoolExecutor(_at_once()) as pool:
            list(pool.map(lambda seed: make(outs[seed], seed), wanted))
    return [known_composite(out) for out in outs.values()]


def _at_once() -> int:
    """How many slides are made at once, by cores and memory."""
    room = (memory_bytes() or 0) // _BYTES_A_SLIDE
    return max(1, min(usable_cores(), room))


def _check_maker(tool: Path | None, patches: Path, to: Path, name: str) -> None:
    """Notes what makes the slides of that name, and of what. Raises UsageError where others are there."""
    what = tool.read_bytes() if tool else repr(MOSAIC).encode()
    digest = hashlib.sha256(what + repr((SIZES_UM, SHAPES)).encode()).hexdigest()
    try:
        of = digest_of(patches, "sha256")
    except OSError as error:
        raise UsageError(f"{patches}: no zip of patches that can be read ({error})") from error
    made_by = f"{'a tool' if tool else 'built in'}, sha256 {digest}\nof patches, sha256 {of}\n".encode()
    note = to / f"{name}.made_by.txt"
    with output_errors(note):
        to.mkdir(parents=True, exist_ok=True)
        if note.is_file() and note.read_bytes() == made_by:
            return
    if any(to.glob(f"{glob.escape(name)}-[0-9]*{TRUTH_ENDING}")):
        raise UsageError(
            f"{to}: holds slides {name}-* that another tool or version made, or that are of other patches (labels that "
            "were corrected since, too); name another folder with --work, or delete them"
        )
    write_beside(note, made_by)


def known_composite(path: Path) -> KnownSlide:
    """A slide that lies beside its S.truth.json (`deposits` with `centre_um`, `diameter_um`, `outline_um`)."""
    truth = json.loads(truth_file(path).read_text(encoding="utf-8"))
    return KnownSlide(path.stem, path, planted_deposits(truth["deposits"]))


def _by_tool(tool: Path, patches: Path, out: Path, seed: int) -> None:
    sizes = ",".join(f"{size:.1f}" for size in _sizes_um(seed))
    command = [sys.executable, str(tool), "--patches", str(patches), "--out", str(out), "--seed", str(seed)]
    done = subprocess.run([*command, "--diameters-um", sizes], capture_output=True, text=True, check=False)
    files = (truth_file(out), out)
    lacking = [file.name for file in files if not file.is_file()]
    if done.returncode or lacking:
        for file in files:  # half of a slide would be taken as made
            file.unlink(missing_ok=True)
        said = "".join(done.stderr.strip().splitlines()[-1:]) or f"it wrote no {' and no '.join(lacking)}"
        raise UsageError(f"{tool}: made no slide for seed {seed}: {said}")


def _by_ourselves(patches: Path) -> Callable[[Path, int], None]:
    maker = MosaicMaker(read_patches([patches]), MOSAIC)
    return lambda out, seed: make_composite_slide(out, maker, _sizes_um(seed), seed=seed, shape=_shape(seed))


def linked(composites: Sequence[KnownSlide], to: Path) -> None:
    """The slides and their truth in a folder of their own, without using the disk twice where it knows hard links.

    Older files of the same names are replaced. Raises UsageError where the folder holds other truths: evaluation would
    count their slides as not run; OutputError where it can't be written to.
    """
    with output_errors(to):
        to.mkdir(parents=True, exist_ok=True)
    files = [file for c in composites for file in (c.path, truth_file(c.path))]
    others = sorted({path.name for path in to.glob(f"*{TRUTH_ENDING}")} - {file.name for file in files})
    if others:
        raise UsageError(f"{to}: holds {others[0]} of another set of slides; name an empty folder")
    for file in files:
        place = to / file.name
        if real_path(place) == real_path(file):
            continue
        with output_errors(place):
            remove_once_closed(place)
            try:
                os.link(file, place)
            except OSError:
                shutil.copyfile(file, place)


def _sizes_um(seed: int) -> list[float]:
    """What is planted on the slide of a seed: nothing, or one deposit of the label's range."""
    label = LABELS[seed % 4]
    if label is Metastasis.NONE:
        return []
    low, high = SIZES_UM[label]
    return [float(np.exp(np.random.default_rng(seed).uniform(np.log(low), np.log(high))))]


def _shape(seed: int) -> Shape:
    """Every shape of every label in turn; what is as small as isolated tumour cells is round."""
    return SHAPES[seed // len(LABELS) % len(SHAPES)] if LABELS[seed % 4] > Metastasis.ITC else Shape.ROUND
