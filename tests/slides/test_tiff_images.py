"""A generic TIFF is one slide: its finest image is measured by its own resolution, and none is passed over."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from nodescan.domain.slide import SlideRef
from nodescan.errors import NotASlideError, UnmeasurableError
from nodescan.slides import open_slide, slide_facts

COMPRESSIONS = ("jpeg", "deflate")


def tiff(path: Path, *images: tuple[int, int, float, int], compression: str) -> SlideRef:
    """images: width and height in px, um/px, and the type of each image (1: reduced)."""
    with tifffile.TiffWriter(path) as file:
        for width, height, um_per_px, kind in images:
            pixels = np.random.default_rng(0).integers(100, 200, (height, width, 3), dtype=np.uint8)
            resolution = (1e4 / um_per_px, 1e4 / um_per_px)
            file.write(
                pixels,
                tile=(256, 256),
                photometric="rgb",
                compression=compression,
                subfiletype=kind,
                resolution=resolution,
                resolutionunit="CENTIMETER",
            )
    return SlideRef("s", path)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_second_image_of_full_size_is_not_passed_over(tmp_path: Path, compression: str) -> None:
    """Another section, or the slide behind a picture of its label: the first alone would be called negative."""
    sections = tiff(tmp_path / "s.tif", (1024, 768, 0.5, 0), (1000, 800, 0.5, 0), compression=compression)
    for opened in (open_slide, slide_facts):
        with pytest.raises(NotASlideError, match=r"several images of full size \(1,024 x 768 px, 1,000 x 800 px\)"):
            opened(sections)
    behind = tiff(tmp_path / "b.tif", (256, 256, 0.5, 0), (1024, 768, 0.5, 0), compression=compression)
    with pytest.raises(NotASlideError, match="only the first would be read"):
        open_slide(behind)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_levels_without_the_reduced_bit_and_small_pictures_are_passed_over(tmp_path: Path, compression: str) -> None:
    """As some programs write a pyramid's levels, and labels: the first image is the slide."""
    slide = open_slide(tiff(tmp_path / "s.tif", (1024, 768, 0.5, 0), (512, 384, 1.0, 0), compression=compression))
    assert (slide.info.width_px, slide.info.spacing.x) == (1024, pytest.approx(0.5))
    slide.close()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_first_images_resolution_is_not_a_finer_ones(tmp_path: Path, compression: str) -> None:
    """Small level first: its 1 um/px would make everything four times as long."""
    ref = tiff(tmp_path / "s.tif", (256, 192, 1.0, 0), (1024, 768, 0.25, 1), compression=compression)
    with pytest.raises(UnmeasurableError):
        open_slide(ref)
    given = SlideRef("s", ref.path, mpp_um=0.25)
    slide = open_slide(given)
    assert (slide.info.width_px, slide.info.spacing.x) == (1024, 0.25)
    slide.close()
