"""How strongly tiles are compressed is told by their tables, and said where it costs tumour."""

import io
from pathlib import Path

import pytest
from PIL import Image

from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.slides import open_slide
from nodescan.slides.compression import coarseness, compression_flags
from nodescan.slides.jpeg_tiles import luma_steps, shared_tables
from tests.slides.made_files import noise, write_tiff

STANDARD = (16, 11, 12, 14, 12, 10, 16, 14, 13, 14)
SIZES = ((4000, 3000), (2000, 1500), (1000, 750))


def jpeg(quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(noise(64, 64)).save(file, "JPEG", quality=quality)
    return file.getvalue()


@pytest.mark.parametrize("quality", [5, 10, 15, 25, 50])
def test_libjpegs_quality_is_read_off_its_tables(quality: int) -> None:
    """In steps of quality 50, as libjpeg scales them."""
    assert coarseness(luma_steps(jpeg(quality), b"")) == pytest.approx(50 / quality, rel=0.05)
    assert coarseness(luma_steps(jpeg(90), b"")) == pytest.approx(0.2, rel=0.1)


def test_a_tiles_own_tables_replace_the_shared_ones() -> None:
    """Where it has none the shared ones count; where none are known, nothing is said."""
    own, shared = jpeg(50), shared_tables(jpeg(10))
    place = own.index(b"\xff\xdb")
    bare = own[:place] + own[own.index(b"\xff\xc0") :]
    assert coarseness(luma_steps(own, shared)) == 1
    assert coarseness(luma_steps(bare, shared)) == 5
    assert luma_steps(bare, b"") == ()
    assert coarseness(()) is None


@pytest.mark.parametrize(
    ("coarse", "um", "said"),
    [
        ((1.0, 1.0, 4.0), 0.25, True),
        ((1.0, 1.0, 3.99), 0.25, False),
        ((9.0, 9.0, 1.0), 0.25, False),  # these two aren't read
        ((1.0, 1.0, 9.0), 0.5, False),  # too coarse to be read
        ((1.0, 4.0, 1.0), 0.5, True),
        ((8.0, 1.0, 1.0), 0.6, True),  # averaged before it is shown
        ((7.99, 1.0, 1.0), 0.6, False),
        ((1.0, 1.0, None), 0.25, False),
        ((), 0.25, False),
    ],
)
def test_the_level_that_is_read_counts(coarse: tuple[float | None, ...], um: float, said: bool) -> None:
    """What is averaged by two or more before it is shown may be coarser."""
    assert [flag.code for flag in compression_flags(coarse, SIZES, Spacing.square(um))] == ["strong_compression"] * said


@pytest.mark.parametrize(("quality", "said"), [(10, True), (30, False), (80, False)])
def test_a_slide_tells_of_its_compression(tmp_path: Path, quality: int, said: bool) -> None:
    """Aperio's scanners write quality 30: that is nothing unusual."""
    pixels, packing = noise(512, 512), {"compression": "jpeg", "compressionargs": {"level": quality}}
    path = write_tiff(tmp_path / "slide.tif", [pixels], mpp_um=(1.0, 1.0), tile_px=256, **packing)
    slide = open_slide(SlideRef("slide", path))
    flags = {flag.code: flag.message for flag in slide.info.warnings}
    slide.close()
    assert ("strong_compression" in flags) == said
    assert not said or "(JPEG quality 10)" in flags["strong_compression"]


def test_a_scanners_slide_is_not_accused(shared: Path) -> None:
    """CMU-1, of quality 30."""
    slide = open_slide(SlideRef("cmu", shared / "data" / "slides" / "CMU-1-Small-Region.svs"))
    assert slide.info.reader == "tiff"
    assert slide.info.warnings == ()
    slide.close()
