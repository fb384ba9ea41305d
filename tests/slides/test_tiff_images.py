"""A generic TIFF is one slide: its finest image is measured by its own resolution, and none is passed over."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import NotASlideError, UnmeasurableError
from nodescan.slides import open_slide, slide_facts
from tests.slides.made_jpegs import APERIO, Coding, write_jpegs

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


def flat(width: int, height: int, value: int) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_planes_of_focus_are_not_taken_for_levels(tmp_path: Path) -> None:
    """Of three planes at full resolution the last was read, in focus or not; in another order none is."""
    fine, coarse = flat(1024, 768, 100), flat(256, 192, 100)
    stack = write_jpegs(tmp_path / "s.svs", [fine, fine, fine, coarse, coarse], Coding(), description=APERIO)
    for opened in (open_slide, slide_facts):
        with pytest.raises(NotASlideError, match=r"several pictures at the full resolution \(1,024 x 768 px, 1,024"):
            opened(SlideRef("s", stack))
    mixed = write_jpegs(tmp_path / "m.svs", [fine, coarse, fine, coarse], Coding(), description=APERIO)
    with pytest.raises(NotASlideError, match="levels are out of order, as where planes of focus"):
        open_slide(SlideRef("s", mixed))


def ome(path: Path, *images: tuple[int, int, float | None, str]) -> SlideRef:
    """An OME-TIFF as converters write it. images: width and height in px, um/px, and the name of each image."""
    with tifffile.TiffWriter(path, ome=True) as file:
        for width, height, um_per_px, name in images:
            size = {"PhysicalSizeX": um_per_px, "PhysicalSizeY": um_per_px} if um_per_px else {}
            levels = {"tile": (256, 256), "photometric": "rgb", "compression": "deflate"}
            file.write(flat(width, height, 150), metadata={"axes": "YXS", "Name": name} | size, subifds=1, **levels)
            file.write(flat(width // 2, height // 2, 150), subfiletype=1, **levels)
    return SlideRef("s", path)


def test_a_smaller_second_scan_in_ome_tiff_is_not_passed_over(tmp_path: Path) -> None:
    """A section of half the first one's size, as fine: the first alone would be called negative."""
    scenes = ome(tmp_path / "s.ome.tif", (2048, 1024, 0.5, "scene #1"), (900, 600, 0.55, "scene #2"))
    for opened in (open_slide, slide_facts):
        with pytest.raises(
            NotASlideError, match=r"several images of full resolution \(2,048 x 1,024 px, 900 x 600 px\)"
        ):
            opened(scenes)


def test_pictures_of_label_and_glass_in_ome_tiff_are_named(tmp_path: Path) -> None:
    """Coarser ones, those without a pixel size, and those whose names tell, whatever their pixel size."""
    pictures = ((700, 600, 0.5, "label image"), (600, 300, None, "far"), (500, 300, 2.0, "series 3"))
    slide = open_slide(ome(tmp_path / "s.ome.tif", (2048, 1024, 0.5, "scan"), *pictures))
    (flag,) = slide.info.warnings
    assert flag.code == "level_ignored"
    assert "(700 x 600 px, 600 x 300 px, 500 x 300 px)" in flag.message
    assert (slide.info.width_px, slide.info.spacing) == (2048, Spacing.square(0.5))
    slide.close()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_another_pictures_level_is_not_squeezed_over_the_slide(tmp_path: Path, compression: str) -> None:
    """A section of the slide's shape, and its half, 2.93 times smaller than the slide: overviews were of that."""
    images = ((2048, 2048, 0.5, 0), (1024, 1024, 1.0, 1), (1400, 1400, 0.5, 0), (700, 700, 1.0, 1))
    ref = tiff(tmp_path / "s.tif", *images, compression=compression)
    slide = open_slide(ref)
    (flag,) = slide.info.warnings
    assert "(700 x 700 px, 1,400 x 1,400 px)" in flag.message
    pixels = slide.read(PixelBox(0, 0, 341, 341), Spacing.square(3.0))
    assert pixels.std() < 12  # the mean of 3 x 3 px of a level of noise; of the 700 px it would be that of 1
    slide.close()
