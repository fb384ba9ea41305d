"""Tells whether a run still has the data that it was begun with: digests of slides, labels and hard negatives."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from training.slides.block_mask import load_block_mask
from training.slides.index import IndexRow, ignored_file, mask_file, open_cells
from training.slides.sampler import Place


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


def hard_digest(places: Sequence[Place], share: float) -> str:
    """sha256 of the hard negatives of a run, in their order, and of their share of the normal places; "" of none."""
    if not places or share == 0:
        return ""
    drawn = [(place.slide, place.x_px, place.y_px) for place in places], share
    return hashlib.sha256(repr(drawn).encode()).hexdigest()
