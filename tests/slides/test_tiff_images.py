"""A generic TIFF is one slide: its finest image is measured by its own resolution, and none is passed over."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tifffile

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import NotASlideError, UnmeasurableError
from nodescan.slides import open_slide, slide_facts
from tests.slides.made_files import overwrite
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


def described(*images: tuple[int, int, float, str], inside: tuple[str, ...] = ()) -> str:
    """OME-XML of these images, as ome() takes them. inside: of each one's Pixels, "<TiffData/>" where not given."""
    texts = [
        f'<Image ID="Image:{index}" Name="{name}"><Pixels SizeX="{width}" SizeY="{height}" PhysicalSizeX="{um}" '
        f'PhysicalSizeY="{um}">{inside[index] if inside else "<TiffData/>"}</Pixels></Image>'
        for index, (width, height, um, name) in enumerate(images)
    ]
    return f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{"".join(texts)}</OME>'


def converted(path: Path, description: str) -> SlideRef:
    """A pyramid of one picture, of 1024 x 768 px, as vips writes it from the first of a file's."""
    layout = {"tile": (256, 256), "photometric": "rgb", "compression": "deflate", "metadata": None}
    with tifffile.TiffWriter(path) as file:
        file.write(flat(1024, 768, 150), description=description, **layout)
        file.write(flat(512, 384, 150), subfiletype=1, **layout)
    return SlideRef("s", path)


@pytest.mark.parametrize("size", [(1024, 768), (900, 600)])
def test_a_scan_that_a_conversion_left_out_is_missed(tmp_path: Path, size: tuple[int, int]) -> None:
    """vips converts one picture, and copies what the file said of all: the other scan was unread, and negative."""
    kept = described((1024, 768, 0.5, "scene #1"), (*size, 0.5, "scene #2"))
    for opened in (open_slide, slide_facts):
        with pytest.raises(NotASlideError) as caught:
            opened(converted(tmp_path / "s.tif", kept))
        text = str(caught.value)
        assert f"tells of a further scan ({size[0]:,} x {size[1]} px) that the file doesn't hold" in text
        assert "`vips tiffsave s.tif s-alone.tif --tile --pyramid --compression jpeg --Q 90 --strip`" in text


SCAN = (1024, 768, 0.5, "scan")


@pytest.mark.parametrize(
    "told",
    [
        described(SCAN),
        described(SCAN, (1024, 768, 8.0, "far"), (1024, 768, 0.5, "label image"), (600, 400, 0.5, "macro image")),
        described(SCAN, (512, 384, 0.5, "scan"), (341, 256, 0.5, "scan"), (256, 192, 0.5, "scan")),
        described(
            SCAN,
            (900, 600, 0.5, "scene #2"),
            inside=tuple(f'<TiffData><UUID FileName="{name}.tif">urn:uuid:{name}</UUID></TiffData>' for name in "ab"),
        ),
        described(SCAN, (900, 600, 0.5, "scene #2"), inside=("<TiffData/>", "<MetadataOnly/>")),
        described((2048, 1536, 1.0, "macro"), (1024, 768, 0.5, "scan")),
    ],
    ids=["alone", "label and glass", "levels", "in other files", "without pixels", "glass first"],
)
def test_what_is_no_scan_of_the_file_is_not_missed(tmp_path: Path, told: str) -> None:
    """Pictures of label and glass, a pyramid's levels told of as images, and what other files hold."""
    slide = open_slide(converted(tmp_path / "s.tif", told))
    assert (slide.info.width_px, slide.info.spacing) == (1024, Spacing.square(0.5))
    slide.close()


def test_a_second_scan_that_isnt_in_tiles_is_not_passed_over(tmp_path: Path) -> None:
    """Readers see tiled pictures alone."""
    with tifffile.TiffWriter(tmp_path / "s.tif") as file:
        file.write(flat(1024, 768, 150), tile=(256, 256), photometric="rgb", metadata=None)
        file.write(flat(1000, 700, 150), photometric="rgb", metadata=None)
    with pytest.raises(NotASlideError, match=r"several images of full size .* with N = 0, 1"):
        open_slide(SlideRef("s", tmp_path / "s.tif"))


def test_a_stack_of_many_planes_is_told_in_a_line(tmp_path: Path) -> None:
    """Forty sizes and numbers would fill the screen."""
    with tifffile.TiffWriter(tmp_path / "s.tif") as file:
        for _ in range(40):
            file.write(flat(256, 256, 150), tile=(256, 256), photometric="rgb", metadata=None)
    with pytest.raises(NotASlideError, match=r"\(256 x 256 px, .* and 37 more\).* N = 0, .* and 34 more") as caught:
        open_slide(SlideRef("s", tmp_path / "s.tif"))
    assert len(str(caught.value)) < 500


def test_a_grey_picture_beside_the_slide_is_no_second_scan(tmp_path: Path) -> None:
    """Such as a map of tissue; saved as a file of its own it would be no slide."""
    tiff(tmp_path / "s.tif", (1024, 768, 0.5, 0), compression="deflate")
    with tifffile.TiffWriter(tmp_path / "s.tif", append=True) as file:
        file.write(flat(1024, 768, 150)[..., 0], photometric="minisblack", metadata=None)
    with closing(open_slide(SlideRef("s", tmp_path / "s.tif"))) as slide:
        assert (slide.info.width_px, slide.info.height_px) == (1024, 768)


def test_a_description_beyond_the_file_s_end_hides_no_second_scan(tmp_path: Path) -> None:
    """The pictures are told by other fields."""
    tiff(tmp_path / "s.tif", (1024, 768, 0.5, 0), (1000, 800, 0.5, 0), compression="deflate")
    with tifffile.TiffFile(tmp_path / "s.tif") as file:
        entry = file.pages[0].tags["ImageDescription"].offset
    overwrite(tmp_path / "s.tif", entry + 8, (2**31).to_bytes(4, "little"))
    with pytest.raises(NotASlideError, match="several images of full size"):
        open_slide(SlideRef("s", tmp_path / "s.tif"))


@pytest.mark.parametrize("kind", ["strips", "jpeg2000", "big-endian"])
def test_advice_to_convert_does_not_drop_a_second_scan(tmp_path: Path, kind: str) -> None:
    """A converter takes the first picture alone: of equal size, or of a size that OME-XML calls as fine."""
    layouts = {"jpeg2000": {"tile": (256, 256), "compression": "jpeg2000"}, "big-endian": {"tile": (256, 256)}}
    order = ">" if kind == "big-endian" else "<"
    for second, said in (((1000, 700), "full size"), ((500, 300), "full resolution")):
        with tifffile.TiffWriter(tmp_path / "s.tif", byteorder=order) as file:
            layout = {"photometric": "rgb", "metadata": None} | layouts.get(kind, {})
            file.write(flat(1024, 768, 150), description=described(SCAN, (*second, 0.5, "scene #2")), **layout)
            file.write(flat(*second, 150), **layout)
        with pytest.raises(NotASlideError) as caught:
            open_slide(SlideRef("s", tmp_path / "s.tif"))
        assert f"several images of {said} (1,024 x 768 px, {second[0]:,} x {second[1]} px)" in str(caught.value)
        assert "each of them as a file of its own: `vips tiffsave s.tif[page=N] s-N.tif --tile" in str(caught.value)


def test_advice_to_convert_names_the_largest_picture(tmp_path: Path) -> None:
    """The first is that of the label."""
    with tifffile.TiffWriter(tmp_path / "s.tif") as file:
        for size in ((200, 100), (1024, 768)):
            file.write(flat(*size, 150), photometric="rgb", metadata=None)
    with pytest.raises(NotASlideError, match=r"convert it with `vips tiffsave s\.tif\[page=1\] s-tiled\.tif --tile"):
        open_slide(SlideRef("s", tmp_path / "s.tif"))


@pytest.mark.parametrize("tiled", [False, True])
def test_channels_in_pages_of_their_own_are_to_be_exported_as_one_picture(tmp_path: Path, tiled: bool) -> None:
    """Each by itself would be grey."""
    with tifffile.TiffWriter(tmp_path / "s.tif") as file:
        for value in (150, 100, 120):
            grey, tile = flat(1024, 768, value)[..., 0], (256, 256) if tiled else None
            file.write(grey, photometric="minisblack", tile=tile, metadata=None)
    with pytest.raises(NotASlideError, match=r"several images of full size .*; export it .* as one picture in RGB"):
        open_slide(SlideRef("s", tmp_path / "s.tif"))


MASK = 4
"""Of NewSubfileType."""


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_mask_beside_the_picture_is_named_with_the_way_out(tmp_path: Path, compression: str) -> None:
    """As GDAL writes transparency: it isn't a second image, and its reduced copies are no levels."""
    path = masked(tmp_path / "s.tif", tiled=True, compression=compression)
    for opened in (open_slide, slide_facts):
        with pytest.raises(NotASlideError) as caught:
            opened(SlideRef("s", path))
        assert str(caught.value) == (
            "s.tif: holds a mask beside its picture, as GDAL writes it, which would be taken for a part of the slide; "
            "keep the picture alone: `vips tiffsave s.tif s-tiled.tif --tile --pyramid --compression jpeg --Q 90`"
        )


def test_the_mask_of_a_picture_that_is_to_be_converted_is_no_second_scan(tmp_path: Path) -> None:
    """The conversion leaves it out, as it should."""
    path = masked(tmp_path / "s.tif", tiled=False, compression="deflate")
    with pytest.raises(NotASlideError, match=r"plain TIFF.*convert it with `vips tiffsave s\.tif s-tiled\.tif "):
        open_slide(SlideRef("s", path))


def masked(path: Path, *, tiled: bool, compression: str) -> Path:
    """A picture of 1024 x 768 px and its mask, then both at half the size."""
    sizes, another_page = ((1024, 768), (512, 384)), 2
    layout = {"tile": (256, 256) if tiled else None, "metadata": None}
    with tifffile.TiffWriter(path) as file:
        for reduced, (width, height) in enumerate(sizes):
            colours, mask = flat(width, height, 150), flat(width, height, 1)[..., 0]
            file.write(colours, photometric="rgb", subfiletype=reduced, compression=compression, **layout)
            file.write(mask, photometric="minisblack", subfiletype=another_page | reduced, **layout)
    with tifffile.TiffFile(path, mode="r+b") as file:
        for reduced, page in enumerate(file.pages[1::2]):
            page.tags["NewSubfileType"].overwrite(MASK | reduced)
    return path
