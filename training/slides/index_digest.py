"""Tells whether an index still holds the data that a run was begun with: a digest of its slides and labels."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from training.slides.block_mask import load_block_mask
from training.slides.index import IndexRow, ignored_file, mask_file, open_cells


def index_digest(folder: Path, rows: Sequence[IndexRow]) -> str:
    """sha256 of what is learned from these slides: their order, pixels, frames, cells and masks, not where they lie.

    Raises UsageError where the files of a slide cannot be read.
    """
    digest = hashlib.sha256()
    for row in rows:
        facts = row.slide_id, row.split, row.exhaustive, row.fingerprint, row.spacing, row.width_px, row.height_px
        digest.update(repr((facts, row.counts)).encode())
        digest.update(open_cells(folder, row).tobytes())
        for file in (mask_file(folder, row.slide_id), ignored_file(folder, row.slide_id)):
            mask = load_block_mask(file)
            for part in (mask.kind, mask.number, mask.packed):
                digest.update(repr(part.shape).encode() + part.tobytes())
    return digest.hexdigest()
