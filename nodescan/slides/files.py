"""Which files on disk make up one slide, and the fingerprint over them."""

import hashlib
import math
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from nodescan.given_files import opened_found
from nodescan.slides.dicom_series import series_files
from nodescan.slides.readers import READERS

ENDS_BYTES = 256 * 1024
"""How much of each end of a file is hashed: headers and directories of every format lie there."""

BLOCKS, BLOCK_BYTES = 64, 16 * 1024
"""How much is hashed between the ends, in all files of a slide together. Where tiles are stored uncompressed two
slides of one scanner may agree in all sizes and in the glass at both ends; where a twentieth of their bytes is tissue,
64 blocks miss it with 4 % chance, a tenth with 0.1 %. 1 MiB in all: 5 ms more on a local disk, nothing of it cached."""

_GOLDEN = (5**0.5 - 1) / 2
"""The fractional parts of its multiples are spread evenly, and never in step with rows of tiles."""


def files_of_slide(path: Path) -> tuple[Path, ...]:
    """The index file and all that belongs to it, sorted; the index file alone for most formats. Raises OSError."""
    return tuple(sorted({path, *companions(path), *series_files(path)}))


def companions(path: Path) -> tuple[Path, ...]:
    """Files that are part of the slide but no slides, as its reader knows them. Raises OSError."""
    return tuple(file for reader in READERS for file in reader.companions(path))


def fingerprint_here(path: Path) -> str | None:
    """The fingerprint, None where the files can't be looked at now, as on a disk that is away."""
    try:
        return fingerprint(path)
    except OSError:
        return None


def fingerprint(path: Path) -> str:
    """sha256 over number, sizes and both ends of the slide's files and blocks in between, the same wherever they lie.

    A slide is gigabytes, so a change elsewhere in the same size goes unnoticed. Raises OSError, also for a pipe or a
    device, which could block for ever.
    """
    files = files_of_slide(path)
    digest = hashlib.sha256(f"{len(files)} files".encode())
    sizes: list[int] = []
    for file in files:
        with opened_found(file) as stream:
            size = os.fstat(stream.fileno()).st_size  # of what was opened: a network disk may remember an older one
            digest.update(f" {size} ".encode())
            digest.update(stream.read(ENDS_BYTES))
            stream.seek(max(ENDS_BYTES, size - ENDS_BYTES))
            digest.update(stream.read(ENDS_BYTES))
        sizes.append(size)
    for number, starts in _block_starts(sizes).items():
        with opened_found(files[number]) as stream:
            for start in starts:
                stream.seek(start)
                digest.update(stream.read(BLOCK_BYTES))
    return digest.hexdigest()


def _block_starts(sizes: Sequence[int]) -> dict[int, list[int]]:
    """Index of a file -> first bytes of its blocks: one in each of `BLOCKS` equal parts of what lies between the ends.

    sizes: of the files, in bytes. Files with little between their ends may have none. If there is less than the blocks
    need, they follow each other without a gap.
    """
    inner = [max(0, size - 2 * ENDS_BYTES) for size in sizes]
    begins = [0, *accumulate(inner)]
    count = min(BLOCKS, math.ceil(begins[-1] / BLOCK_BYTES))
    starts: dict[int, list[int]] = {}
    for block in range(count):
        part = begins[-1] / count
        place = int(block * part + (block * _GOLDEN) % 1 * max(0.0, part - BLOCK_BYTES))
        number = bisect_right(begins, place) - 1
        starts.setdefault(number, []).append(ENDS_BYTES + place - begins[number])
    return starts


def state_of(path: Path) -> str:
    """sha256 over name, size and time of change of the slide's files; "" where they can't be looked at.

    Unlike the fingerprint it notices a file that was written anew in the same size, and no copy shares it.
    """
    try:
        states = [(file.name, file.stat()) for file in files_of_slide(path)]
    except OSError:
        return ""
    said = "".join(f"{name}\0{state.st_size} {state.st_mtime_ns}\0" for name, state in states)
    return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()
