"""What is planted in a file comes back through OpenSlide, in the analysis frame."""

import gc
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np
import openslide
import pytest

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import BoundsUm, SlideRef
from nodescan.domain.units import MicronsPerPixel, Spacing
from nodescan.errors import RegionUnreadableError, UnmeasurableError
from nodescan.interfaces import Slide
from nodescan.slides import open_slide, slide_facts
from nodescan.slides.openslide_handles import HandlePool, on_white
from nodescan.slides.openslide_reader import OpenSlideLevels
from nodescan.slides.stored import StoredSlide
from tests.slides.made_files import noise, spoil_tile, times_open, write_tiff
from tests.slides.made_jpegs import Coding, tissue_like, write_jpegs

NATIVE = Spacing.square(0.25)


def opened(path: Path, mpp_um: float | None = None, override_mpp: bool = False) -> Slide:
    return open_slide(SlideRef("s", path, mpp_um=mpp_um, override_mpp=override_mpp))


def halved(pixels: np.ndarray, times: int) -> np.ndarray:
    """Mean of blocks of times x times, what doesn't fill a block is dropped."""
    height, width = pixels.shape[0] // times, pixels.shape[1] // times
    blocks = pixels[: height * times, : width * times].reshape(height, times, width, times, 3)
    return np.floor(blocks.mean(axis=(1, 3)) + 0.5).astype(np.uint8)


@pytest.fixture
def pyramid(tmp_path: Path) -> tuple[Slide, np.ndarray, np.ndarray]:
    """800 x 600 px at 0.25 um/px with a level of a quarter whose pixels have nothing to do with level 0's."""
    fine, coarse = noise(800, 600), noise(200, 150, seed=1)
    return opened(write_tiff(tmp_path / "s.tif", [fine, coarse])), fine, coarse


def test_level_zero_comes_back_bit_for_bit_and_white_around_it(pyramid: tuple[Slide, np.ndarray, np.ndarray]):
    """The box overhangs the canvas on all sides."""
    slide, fine, _ = pyramid
    pixels = slide.read(PixelBox(-7, -5, 820, 611), NATIVE)
    assert np.array_equal(pixels[5:605, 7:807], fine)
    pixels[5:605, 7:807] = 255
    assert (pixels == 255).all()


def test_a_box_off_the_canvas_is_white(pyramid: tuple[Slide, np.ndarray, np.ndarray]):
    """On either side, however far."""
    slide, _, _ = pyramid
    for box in (PixelBox(-100, 0, 50, 50), PixelBox(10_000, 10_000, 50, 50)):
        assert (slide.read(box, NATIVE) == 255).all()


def test_a_level_that_fits_is_used_as_it_is(pyramid: tuple[Slide, np.ndarray, np.ndarray]):
    """The frame of a model for 0.9 to 1.0 um/px is the stored level at 1.0, not an average of level 0."""
    slide, _, coarse = pyramid
    spacing = slide.frame_spacing(0.9, 1.0)
    assert spacing == Spacing.square(1.0)
    assert slide.frame_size(spacing) == (200, 150)
    assert np.array_equal(slide.read(PixelBox(0, 0, 200, 150), spacing), coarse)
    assert np.array_equal(slide.read(PixelBox(37, 41, 100, 90), spacing), coarse[41:131, 37:137])


def test_between_levels_whole_blocks_are_averaged(pyramid: tuple[Slide, np.ndarray, np.ndarray]):
    """0.5 um/px is level 0 by two, 2 um/px the quarter by two."""
    slide, fine, coarse = pyramid
    assert np.array_equal(slide.read(PixelBox(3, 2, 90, 80), Spacing.square(0.5)), halved(fine, 2)[2:82, 3:93])
    assert np.array_equal(slide.read(PixelBox(0, 0, 100, 75), Spacing.square(2.0)), halved(coarse, 2))


def test_pixels_that_arent_square_are_made_square(tmp_path: Path):
    """0.5 by 0.475 um/px read at 1 by 0.95 is averaged in pairs; the frame of a model is square."""
    fine = noise(400, 200)
    path = write_tiff(tmp_path / "s.tif", [fine], mpp_um=(0.5, 0.475))
    slide = opened(path)
    assert (slide.info.spacing.x, slide.info.spacing.y) == pytest.approx((0.5, 0.475))
    spacing = slide.frame_spacing(0.9, 1.0)
    assert spacing == Spacing.square(0.95)
    assert slide.frame_size(spacing) == (211, 100)  # 400 * 0.5 / 0.95 and 200 * 0.475 / 0.95
    exact = Spacing(MicronsPerPixel(1.0), MicronsPerPixel(0.95))
    assert np.array_equal(slide.read(PixelBox(0, 0, 200, 100), exact), halved(fine, 2))


def test_a_planted_square_has_its_size_and_place_in_um_at_every_spacing(tmp_path: Path):
    """A black square of 60 um at (40, 20) um, scanned at 0.3 by 0.31 um/px, measured by its grey mass and centre."""
    fine = np.full((500, 500, 3), 255, np.uint8)
    y, x = (np.arange(500) + 0.5) * 0.31, (np.arange(500) + 0.5) * 0.3
    fine[np.ix_((y > 20) & (y < 80), (x > 40) & (x < 100))] = 0
    slide = opened(write_tiff(tmp_path / "s.tif", [fine], mpp_um=(0.3, 0.31)))
    for um_per_px in (0.31, 0.62, 0.97, 1.7, 8.0):
        spacing = Spacing.square(um_per_px)
        dark = (255.0 - slide.read(PixelBox(0, 0, *slide.frame_size(spacing)), spacing)[..., 0]) / 255
        inside = dark[: int(150 / um_per_px), : int(145 / um_per_px)]  # the last pixels are half canvas, half white
        assert inside.sum() * um_per_px**2 == pytest.approx(60 * 60, rel=0.015)
        assert (inside.sum(0) @ (np.arange(inside.shape[1]) + 0.5)) / inside.sum() * um_per_px == pytest.approx(
            70, abs=0.3
        )
        assert (inside.sum(1) @ (np.arange(inside.shape[0]) + 0.5)) / inside.sum() * um_per_px == pytest.approx(
            50, abs=0.3
        )


def test_a_level_of_not_quite_a_quarter_stays_in_place_to_the_far_end(tmp_path: Path):
    """1,999 x 1,503 px with a level of 500 x 375 (3.998 and 4.008): its pixel i is the frame's pixel i everywhere.

    OpenSlide shifts by up to half a level-0 pixel, an eighth of the level's: on a slope of 1 a pixel that is
    less than one grey value, and an edge keeps its place.
    """
    x, y = np.meshgrid(np.arange(500), np.arange(375))
    level = np.stack([x % 250, y % 250, np.where((x >= 471) & (y >= 351), 0, 255)], axis=-1).astype(np.uint8)
    slide = opened(write_tiff(tmp_path / "s.tif", [np.zeros((1503, 1999, 3), np.uint8), level]))
    spacing = slide.frame_spacing(0.9, 1.0)
    assert spacing == Spacing.square(1.0)
    pixels = slide.read(PixelBox(0, 0, 500, 375), spacing).astype(int)
    steps = np.abs(pixels[..., :2] - level[..., :2])
    smooth = (x % 250 > 0) & (x % 250 < 249) & (y % 250 > 0) & (y % 250 < 249)
    assert steps[1:-1, 1:-1][smooth[1:-1, 1:-1]].max() <= 1
    assert (pixels[352:374, 472:499, 2] == 0).all()
    assert (pixels[:350, :, 2] == 255)[:, :499].all()
    assert (pixels[:374, :470, 2] == 255).all()


def test_halves_equal_the_whole_where_openslide_resamples(tmp_path: Path):
    """Bit for bit, although the downsample isn't whole."""
    path = write_tiff(tmp_path / "s.tif", [np.zeros((1601, 1801, 3), np.uint8), noise(900, 800, seed=1)])
    slide, spacing = opened(path), Spacing.square(0.5)
    whole = slide.read(PixelBox(300, 200, 412, 590), spacing)
    assert whole.std() > 50
    for cut in (1, 130, 212, 411):
        left = slide.read(PixelBox(300, 200, cut, 590), spacing)
        right = slide.read(PixelBox(300 + cut, 200, 412 - cut, 590), spacing)
        assert np.array_equal(np.hstack([left, right]), whole)


class Asked:
    """A HandlePool of two levels that keeps what it was asked for; its pixels tell their places."""

    def __init__(self, slide_format: str, downsample: float) -> None:
        sizes_px = ((600, 500), (150, 125))
        self.stored = StoredSlide({"openslide.vendor": slide_format}, sizes_px, (1.0, downsample))
        self.boxes: list[PixelBox] = []

    def read_level(self, index: int, box: PixelBox) -> np.ndarray:
        self.boxes.append(box)
        rows, columns = np.mgrid[box.top : box.bottom, box.left : box.right]
        opaque = np.full(rows.shape, 255)
        return np.stack([rows % 256, columns % 256, np.full(rows.shape, index), opaque], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("slide_format", "downsample", "resampled"),
    [
        ("hamamatsu", 4.0, (False, False)),
        ("hamamatsu", 3.9995, (False, True)),
        ("mirax", 4.0, (True, True)),
        ("trestle", 4.0, (True, True)),
        ("ventana", 4.0, (True, True)),
    ],
)
def test_what_openslide_resamples_is_always_cut_at_the_same_places(
    tmp_path: Path, slide_format: str, downsample: float, resampled: tuple[bool, bool]
):
    """Blocks of 128 px, the last as wide as the level has it; else overlapping boxes would differ."""
    box = PixelBox(100, 20, 50, 110)
    blocks = {0: [(0, 0, 128, 128), (128, 0, 128, 128), (0, 128, 128, 128), (128, 128, 128, 128)]}
    blocks[1] = [(0, 0, 128, 125), (128, 0, 22, 125)]
    for index, in_blocks in enumerate(resampled):
        asked = Asked(slide_format, downsample)
        levels = OpenSlideLevels(tmp_path / "s.x", cast(HandlePool, asked))
        seen = box.common(PixelBox(0, 0, *asked.stored.sizes_px[index]))
        pixels = levels.read_level(index, seen)
        assert asked.boxes == ([PixelBox(*block) for block in blocks[index]] if in_blocks else [seen])
        assert (pixels[..., 0] == np.arange(seen.top, seen.bottom)[:, None]).all()
        assert (pixels[..., 1] == np.arange(seen.left, seen.right)).all()
        assert (pixels[..., 2] == index).all()


def test_jpeg_tiles_come_back_as_near_as_jpeg_keeps_them(tmp_path: Path):
    """Flat patches of 32 px survive compression to within a few grey values, in their places."""
    patches = np.random.default_rng(3).integers(40, 216, (12, 16, 3))
    fine = np.kron(patches, np.ones((32, 32, 1))).astype(np.uint8)
    slide = opened(write_tiff(tmp_path / "s.tif", [fine], compression="jpeg"))
    pixels = slide.read(PixelBox(0, 0, 512, 384), NATIVE)
    centres = pixels[16::32, 16::32].astype(int)
    assert np.abs(centres - patches).max() <= 6


@pytest.mark.parametrize("compression", ["deflate", "jpeg"])
def test_one_bad_tile_loses_its_own_area_only_for_every_thread(tmp_path: Path, compression: str):
    """Eight threads read all tiles four times: each read that touches tile 17 fails, every other one is right."""
    fine = np.kron(np.random.default_rng(5).integers(40, 216, (12, 16, 3)), np.ones((64, 64, 1))).astype(np.uint8)
    path = write_tiff(tmp_path / "s.tif", [fine], compression=compression)
    truth = opened(path).read(PixelBox(0, 0, 1024, 768), NATIVE)
    spoil_tile(path, level=0, tile=17)  # row 2, column 1 of 8
    slide = opened(path)
    boxes = [PixelBox(x, y, 128, 128) for y in range(0, 768, 128) for x in range(0, 1024, 128)] * 4
    barrier = threading.Barrier(8)

    def read_some(start: int) -> list[tuple[PixelBox, np.ndarray | None]]:
        barrier.wait()
        results: list[tuple[PixelBox, np.ndarray | None]] = []
        for box in boxes[start::8]:
            try:
                results.append((box, slide.read(box, NATIVE)))
            except RegionUnreadableError:
                results.append((box, None))
        return results

    with ThreadPoolExecutor(8) as threads:
        results = [result for part in threads.map(read_some, range(8)) for result in part]
    lost = {(box.left, box.top) for box, pixels in results if pixels is None}
    assert lost == {(128, 256)}
    assert sum(pixels is None for _, pixels in results) == 4
    for box, pixels in results:
        if pixels is not None:
            assert np.array_equal(pixels, truth[box.top : box.bottom, box.left : box.right])


def test_an_unreadable_area_says_where_it_is_without_the_folder(tmp_path: Path):
    """In um from the canvas' top left; folders may hold names."""
    path = write_tiff(tmp_path / "s.tif", [noise(512, 512)])
    spoil_tile(path, level=0, tile=5)
    with pytest.raises(
        RegionUnreadableError, match=r"^s.tif: the area of 32 x 32 um at x 32, y 32 um can't be decoded"
    ) as e:
        opened(path).read(PixelBox(128, 128, 128, 128), NATIVE)
    assert str(tmp_path) not in str(e.value)


def test_a_file_that_vanishes_while_open_makes_areas_unreadable_not_white(tmp_path: Path):
    """A slide on a network drive that goes away must not turn into glass."""
    path = write_tiff(tmp_path / "s.tif", [noise(2048, 512)])
    slide = opened(path)
    path.unlink()
    with pytest.raises(RegionUnreadableError):
        slide.read(PixelBox(0, 0, 2048, 512), NATIVE)


def test_a_slide_cut_off_at_its_end_opens_with_a_warning_and_loses_only_what_is_gone(tmp_path: Path):
    """The full resolution stands last in the file, and its last tiles are missing."""
    fine = noise(512, 512)
    path = write_tiff(tmp_path / "s.tif", [noise(128, 128), fine])
    path.write_bytes(path.read_bytes()[:-100])
    slide = opened(path, mpp_um=0.25)  # the first image states its own resolution, not that of the last
    assert [flag.code for flag in slide.info.warnings] == ["file_cut_off"]
    assert np.array_equal(slide.read(PixelBox(0, 0, 384, 384), NATIVE), fine[:384, :384])
    with pytest.raises(RegionUnreadableError):
        slide.read(PixelBox(384, 384, 128, 128), NATIVE)


def test_what_was_never_scanned_is_white():
    """Transparent pixels are put on white by their share."""
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 51]]], np.uint8)
    assert on_white(rgba).tolist() == [[[10, 20, 30], [255, 255, 255], [204, 224, 244]]]


def test_the_info_says_what_the_file_says(tmp_path: Path):
    """Without bounds in the file, the whole canvas counts as scanned."""
    info = opened(write_tiff(tmp_path / "s.tif", [noise(400, 200)], mpp_um=(0.25, 0.26))).info
    assert (info.format, info.reader, info.width_px, info.height_px) == ("generic-tiff", "openslide", 400, 200)
    assert (info.spacing.x, info.spacing.y, info.spacing_source) == (pytest.approx(0.25), pytest.approx(0.26), "file")
    assert info.bounds_um == BoundsUm(0, 0, pytest.approx(100), pytest.approx(52))


def test_an_unmeasurable_slide_is_refused_but_its_facts_are_told(tmp_path: Path):
    """`nodescan info` says why it can't be measured; with a spacing given it opens."""
    path = write_tiff(tmp_path / "s.tif", [noise(400, 200), noise(100, 50)], mpp_um=None)
    with pytest.raises(UnmeasurableError, match="--mpp UM"):
        opened(path)
    facts = slide_facts(SlideRef("s", path))
    assert (facts.info, facts.sizes_px) == (None, ((400, 200), (100, 50)))
    assert "--mpp UM" in facts.unmeasurable
    given = slide_facts(SlideRef("s", path, mpp_um=0.5))
    assert given.info is not None
    assert (given.info.spacing, given.info.spacing_source) == (Spacing.square(0.5), "user")
    assert given.unmeasurable == ""
    assert opened(path, mpp_um=0.5).info.spacing_source == "user"


def test_reading_a_closed_slide_is_an_error(tmp_path: Path):
    """And closing twice is none."""
    slide = opened(write_tiff(tmp_path / "s.tif", [noise(128, 128)]))
    slide.close()
    slide.close()
    with pytest.raises(ValueError, match=r"s\.tif is closed"):
        slide.read(PixelBox(0, 0, 10, 10), NATIVE)


def test_a_ref_can_be_sent_to_another_process(tmp_path: Path):
    """It holds no handle."""
    slide = opened(write_tiff(tmp_path / "s.tif", [noise(128, 128)]))
    assert pickle.loads(pickle.dumps(slide.ref)) == slide.ref


def test_handles_are_let_go_with_the_slide(tmp_path: Path):
    """A batch of thousands of slides doesn't run out of open files."""
    path = write_tiff(tmp_path / "s.tif", [noise(256, 256)])
    before = times_open(path)
    slide = opened(path)
    slide.read(PixelBox(0, 0, 256, 256), NATIVE)
    slide.close()
    gc.collect()
    assert times_open(path) == before


def test_a_real_aperio_slide_is_read_as_openslide_sees_it(shared: Path):
    """CMU-1-Small-Region: 0.499 um/px from the file, analysed at 0.998 as level 0 by two."""
    slide = opened(shared / "data/slides/CMU-1-Small-Region.svs")
    assert (slide.info.format, slide.info.spacing, slide.info.spacing_source) == (
        "aperio",
        Spacing.square(0.499),
        "file",
    )
    spacing = slide.frame_spacing(0.9, 1.0)
    assert spacing == Spacing.square(0.998)
    assert slide.frame_size(spacing) == (1110, 1484)
    native = slide.read(PixelBox(1000, 1200, 400, 300), Spacing.square(0.499))
    assert native.std() > 10
    assert np.array_equal(slide.read(PixelBox(500, 600, 200, 150), spacing), halved(native, 2))


def test_a_real_slide_without_spacing_needs_one_and_its_odd_level_fits_level_zero(shared: Path):
    """TCGA: 4,443 px with a level of 2,221 (2.0005): read at 0.5 um/px, it lies on level 0 averaged in pairs."""
    path = shared / "data/slides/tcga-cr-7395-01a-01-ts1.svs"
    with pytest.raises(UnmeasurableError, match="--mpp UM"):
        opened(path)
    slide = opened(path, mpp_um=0.25)
    assert slide.frame_spacing(0.45, 0.55) == Spacing.square(0.5)
    box = PixelBox(1800, 1400, 300, 300)
    level = slide.read(box, Spacing.square(0.5)).astype(float)
    native = slide.read(PixelBox(3600, 2800, 600, 600), Spacing.square(0.25))
    pairs = halved(native, 2).astype(float)
    errors = {
        (dx, dy): np.abs(level[10:-10, 10:-10] - pairs[10 + dy : 290 + dy, 10 + dx : 290 + dx]).mean()
        for dx in (-1, 0, 1)
        for dy in (-1, 0, 1)
    }
    assert min(errors, key=errors.get) == (0, 0)


def test_a_picture_among_the_levels_is_told_and_not_read(tmp_path: Path):
    """The level after it is read by its own number."""
    whole = np.full((512, 640, 3), 200, np.uint8)
    label, small = np.full((150, 300, 3), 30, np.uint8), np.full((128, 160, 3), 100, np.uint8)
    ref = SlideRef("s", write_tiff(tmp_path / "s.tif", [whole, label, small]))
    assert [flag.code for flag in slide_facts(ref).warnings] == ["level_ignored"]
    slide = open_slide(ref)
    assert [flag.code for flag in slide.info.warnings] == ["level_ignored"]
    assert slide.read(PixelBox(0, 0, 160, 128), Spacing.square(1.0)).max() == 100
    assert slide.read(PixelBox(0, 0, 320, 256), Spacing.square(0.5)).min() == 200
    slide.close()


@pytest.mark.parametrize(("kept_bytes", "held"), [(0, 0), (1000, 256 * 256 * 4), (2**20, 2**20)])
def test_a_tile_larger_than_the_cache_is_kept(
    tmp_path: Path, kept_bytes: int, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSlide would decode it anew for every read; who keeps nothing keeps nothing of it either."""
    path = write_jpegs(tmp_path / "s.tif", [tissue_like(600, 520)], Coding(tile_px=256))
    made, cache = list[int](), openslide.OpenSlideCache

    def recorded(capacity: int) -> openslide.OpenSlideCache:
        made.append(capacity)
        return cache(capacity)

    monkeypatch.setattr(openslide, "OpenSlideCache", recorded)
    HandlePool(path, kept_bytes=kept_bytes).close()
    assert made[-1] == held
