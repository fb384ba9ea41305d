"""Slides opened by a reader of their test's choice, whichever would come first; and what a TIFF tells of its tiles."""

from pathlib import Path

from nodescan.domain.slide import SlideRef
from nodescan.interfaces import Slide
from nodescan.slides import openslide_reader, tiff_reader
from nodescan.slides.framed_slide import FramedSlide
from nodescan.slides.stored import StoredSlide
from nodescan.slides.tiff_levels import checked_levels, tile_tables
from nodescan.slides.tile_cache import KEPT_BYTES
from nodescan.slides.tile_tables import TileTables


def open_tiff(ref: SlideRef, kept_bytes: int = KEPT_BYTES) -> Slide | None:
    """None where that reader leaves the file to OpenSlide."""
    opened = tiff_reader.open_tiff(ref.path, kept_bytes)
    return None if opened is None else FramedSlide(ref, opened, reader="tiff")


def open_with_openslide(ref: SlideRef, kept_bytes: int = KEPT_BYTES) -> Slide:
    return FramedSlide(ref, openslide_reader.open_with_openslide(ref.path, kept_bytes), reader="openslide")


def tables_of(path: Path, stored: StoredSlide) -> TileTables | None:
    """Which tiles the levels of a TIFF hold."""
    return tile_tables(checked_levels(path, stored), stored)
