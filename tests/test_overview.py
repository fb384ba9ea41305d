"""The slide at low magnification, and what can't be seen of it there."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan import overview as overview_module
from nodescan.batch.progress import Viewer
from nodescan.config import load_config
from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import TissueMask
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Micrometers, Spacing
from nodescan.errors import RegionUnreadableError, SlideError, UnmeasurableError
from nodescan.interfaces import Slide
from nodescan.overview import _with_unseen, overview_and_tissue, picture_of_failed, view_whole
from tests.fakes import PINK
from tests.painted import PaintedSlide, painted

SIZE_PX = 9600, 1200


class HalfSeen(PaintedSlide):
    """At low magnification its right end, from the second block on, can't be read."""

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        factor = round(spacing.x / 0.95)
        if factor > 1 and box.left > 0:
            raise RegionUnreadableError("painted.tif", "this area can't be decoded")
        return self.pixels[::factor, ::factor][box.top : box.bottom, box.left : box.right].copy()


def test_what_cannot_be_read_is_tissue_and_not_taken_for_never_scanned() -> None:
    """It stands white in the picture, as gaps do on tinted glass, and tissue runs into it."""
    width, height = SIZE_PX
    pixels = np.full((height, width, 3), 238, dtype=np.uint8)
    grain = np.random.default_rng(0).integers(-14, 15, (800, 2000, 1))
    pixels[200:1000, 7000:9000] = np.clip(np.array(PINK) + grain, 0, 255)
    overview, tissue = overview_and_tissue(HalfSeen(pixels), load_config().settings)
    first = 1024
    assert overview.pixels.shape[1] > first > 7000 / 8
    assert tissue.tissue[:, first:].all()
    assert tissue.unseen is not None
    assert tissue.unseen[:, first:].all()
    assert not tissue.unseen[:, :first].any()
    assert (tissue.cut, tissue.unscanned) == (None, None)


def test_what_could_not_be_seen_is_wanted_whatever_else_was_thought_of_it() -> None:
    """Neither left out nor hidden, unread beside what was unseen before; its white, 3 px around, is no missing data."""
    row = np.arange(20)[None]
    unread = row >= 12
    before = TissueMask(
        tissue=row < 4,
        spacing=Spacing.square(8.0),
        excluded=(("pen", (row >= 6) & (row < 14)),),
        hidden=row >= 16,
        unseen=row == 2,
        unscanned=row >= 5,
        cut=row >= 9,
    )
    after = _with_unseen(before, unread)
    assert (after.tissue == ((row < 4) | (row >= 12))).all()
    ((reason, left_out),) = after.excluded
    assert (reason, np.flatnonzero(left_out).tolist()) == ("pen", [*range(6, 12)])
    masks = (after.hidden, after.unseen, after.unread, after.unscanned)
    places = [None if mask is None else np.flatnonzero(mask).tolist() for mask in masks]
    assert places == [[], [2, *range(12, 20)], [*range(12, 20)], [*range(5, 9)]]
    assert after.cut is None
    assert _with_unseen(before, np.zeros_like(unread)) is before


@pytest.mark.parametrize("glass", [245, 255])
@pytest.mark.parametrize(("left_px", "cut"), [(0, False), (400, True)])
def test_tissue_that_runs_to_the_edge_of_what_was_scanned_is_cut(glass: int, left_px: int, cut: bool) -> None:
    """Beyond it a reader paints white, which tells nothing where the glass is white, too: the file's bounds do."""
    pixels = painted()
    pixels[pixels == 245] = glass
    pixels[:, :left_px] = 255
    slide = PaintedSlide(pixels)
    left, width = Micrometers(left_px * 0.95), Micrometers((1024 - left_px) * 0.95)
    slide.info = replace(slide.info, bounds_um=replace(slide.info.bounds_um, left=left, width=width))
    _, tissue = overview_and_tissue(slide, load_config().settings)
    assert (tissue.cut is not None) == cut
    if tissue.cut is not None:
        assert np.argwhere(tissue.cut)[:, 1].max() * 8 < left_px + 8


class Lost(PaintedSlide):
    """At low magnification none of it can be read. reads: how often that was tried."""

    reads = 0

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        self.reads += 1
        raise RegionUnreadableError("painted.tif", "this area can't be decoded")


class Signs(Viewer):
    """Counts the signs of life."""

    seen = 0

    def tiles_done(self, slide_id: str, tiles: int, megapixels: float) -> None:
        self.seen += 1


def test_a_level_that_is_lost_is_not_narrowed_down_for_long() -> None:
    """A failed read may take long: of 16 blocks there are few, where all would be 1,360, and each is a sign of life."""
    slide, signs = Lost(np.broadcast_to(np.uint8(0), (8 * 4096, 8 * 4096, 3))), Signs()
    _, unseen = view_whole(slide, load_config().settings.overview, signs)
    assert unseen.all()
    assert 200 < slide.reads < 250
    assert signs.seen >= slide.reads


def test_a_slide_that_takes_more_memory_than_is_free_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it takes any: a machine without memory ends processes, and whose is chance. What fits is read."""
    slide, settings = PaintedSlide(painted()), load_config().settings.overview
    picture, _ = view_whole(slide, settings)
    needed = 16 * picture.pixels.shape[0] * picture.pixels.shape[1]
    monkeypatch.setattr(overview_module, "free_memory_bytes", lambda: needed)
    assert np.array_equal(view_whole(slide, settings)[0].pixels, picture.pixels)
    monkeypatch.setattr(overview_module, "free_memory_bytes", lambda: needed - 1)
    with pytest.raises(SlideError, match=r"a slide of 1 x 1 mm takes 0.0 GB of memory, and 0.0 GB are free; use fewer"):
        view_whole(slide, settings)


class Direct(PaintedSlide):
    """A slide of 7.6 um/px, whose pixels are the overview's, and of which `torn` can't be read."""

    def frame_spacing(self, finest_um: float, coarsest_um: float) -> Spacing:
        return Spacing.square(7.6)

    def frame_size(self, spacing: Spacing) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[0]

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        whole = PixelBox(0, 0, *self.frame_size(spacing))
        assert box.common(whole) == box, "a box within the slide"
        if self.torn is not None and box.common(self.torn).width and box.common(self.torn).height:
            raise RegionUnreadableError("painted.tif", "this area can't be decoded")
        return self.pixels[box.within(whole)]


def test_the_view_is_the_slide_pixel_by_pixel_from_its_top_left() -> None:
    """Of several blocks each way, the last of them narrower."""
    pixels = np.random.default_rng(0).integers(0, 256, (1500, 2300, 3), dtype=np.uint8)
    signs = Signs()
    picture, unseen = view_whole(Direct(pixels), load_config().settings.overview, signs)
    assert np.array_equal(picture.pixels, pixels)
    assert (picture.left_um, picture.top_um, picture.spacing) == (0, 0, Spacing.square(7.6))
    assert not unseen.any()
    assert signs.seen


def test_what_can_not_be_read_is_narrowed_down_and_white() -> None:
    """To squares of 128 px at most; all that lies apart from them is shown."""
    pixels = np.random.default_rng(0).integers(0, 250, (1500, 2300, 3), dtype=np.uint8)
    torn = PixelBox(1300, 400, 40, 10)
    picture, unseen = view_whole(Direct(pixels, torn), load_config().settings.overview)
    rows, columns = np.nonzero(unseen)
    assert unseen[torn.within(PixelBox(0, 0, 2300, 1500))].all()
    assert (columns.max() - columns.min() + 1, rows.max() - rows.min() + 1) == (128, 128)
    assert (picture.pixels[unseen] == 255).all()
    assert np.array_equal(picture.pixels[~unseen], pixels[~unseen])


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_tissue_is_cut_at_each_edge_of_what_was_scanned(side: str) -> None:
    """Along that edge alone, within a pixel, though tissue touches all four: the others lie beyond glass."""
    pixels = painted()
    pixels[pixels == 245] = 255
    ends = {"left": np.s_[:, :400], "right": np.s_[:, 624:], "top": np.s_[:400], "bottom": np.s_[624:]}
    pixels[ends[side]] = 255
    slide = PaintedSlide(pixels)
    left, top = (Micrometers(400 * 0.95 if side == name else 0.0) for name in ("left", "top"))
    width, height = (
        Micrometers((624 if side in names else 1024) * 0.95) for names in (("left", "right"), ("top", "bottom"))
    )
    bounds = replace(slide.info.bounds_um, left=left, top=top, width=width, height=height)
    slide.info = replace(slide.info, bounds_um=bounds)
    _, tissue = overview_and_tissue(slide, load_config().settings)
    assert tissue.cut is not None
    places = np.argwhere(tissue.cut)[:, 1 if side in ("left", "right") else 0]
    edge = 400 / 8 if side in ("left", "top") else 624 / 8
    assert edge - 2 <= places.min() <= places.max() <= edge + 2
    assert len(places) > 0.9 * 704 / 8
    slide.info = replace(slide.info, bounds_um=PaintedSlide(pixels).info.bounds_um)
    _, tissue = overview_and_tissue(slide, load_config().settings)
    assert tissue.cut is None


@pytest.mark.parametrize("torn", [None, PixelBox(0, 0, 200, 300), PixelBox(0, 0, 10, 10)])
def test_a_failed_slide_is_shown_from_whatever_can_be_read(torn: PixelBox | None) -> None:
    """Without a spacing, too; of one that can't be read at all there is no picture."""
    pixels = np.random.default_rng(0).integers(0, 250, (300, 200, 3), dtype=np.uint8)
    slide, asked = Direct(pixels, torn), []

    def opened(ref: SlideRef) -> Slide:
        asked.append((ref.mpp_um, ref.override_mpp))
        if ref.mpp_um is None:
            raise UnmeasurableError("painted.tif", "it has no spacing", "give one")
        return slide

    picture = picture_of_failed(slide.ref, open_slide=opened, settings=load_config().settings.overview)
    assert [each[1] for each in asked] == [False, True]
    assert slide.closed
    if torn is not None and torn.width == 200:
        assert picture is None
    else:
        assert picture is not None
        assert np.array_equal(picture.pixels[150:], pixels[150:])


class Pyramid(PaintedSlide):
    """Levels of 0.95, 1.9, 3.8 and 7.6 um/px, kept by how many times each is reduced; `lost` of 7.6 can't be read.

    pixels: alike in blocks of 8 x 8, so that every level shows the same.
    """

    def __init__(self, pixels: NDArray[np.uint8], lost: PixelBox) -> None:
        super().__init__(pixels)
        self.levels = {times: pixels[::times, ::times].copy() for times in (1, 2, 4, 8)}
        self.lost = {8: lost}
        self.finer_px = 0

    def frame_spacing(self, finest_um: float, coarsest_um: float) -> Spacing:
        spacings = (Spacing.square(0.95 * times) for times in self.levels)
        return next(spacing for spacing in spacings if finest_um <= spacing.x <= coarsest_um)

    def same_pixels(self, one: Spacing, other: Spacing) -> bool:
        first, second = (max(times for times in self.levels if times <= each.x / 0.949) for each in (one, other))
        return first == second

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        times = round(spacing.x / 0.95)
        met = box.common(self.lost.get(times, PixelBox(0, 0, 0, 0)))
        if met.width and met.height:
            raise RegionUnreadableError("painted.tif", "this area can't be decoded")
        whole = PixelBox(0, 0, *self.levels[times].shape[1::-1])
        seen, pixels = box.common(whole), np.full((box.height, box.width, 3), 255, np.uint8)
        pixels[seen.within(box)] = self.levels[times][seen.within(whole)]
        self.finer_px += box.width * box.height if times < 8 else 0
        return pixels


MODEL_UM = 0.9, 1.0


def random_pixels(side_px: int = 4096) -> NDArray[np.uint8]:
    """Of 16 x 16 px each."""
    small = np.random.default_rng(0).integers(1, 255, (side_px // 16, side_px // 16, 3), dtype=np.uint8)
    return small.repeat(16, axis=0).repeat(16, axis=1)


@pytest.mark.parametrize("also_lost", [(), (4,), (4, 2), (4, 2, 1)])
def test_what_the_overviews_level_lost_is_shown_by_the_next_that_can_be_read(also_lost: tuple[int, ...]) -> None:
    """As the lost level would have shown it; what no level shows is unseen."""
    slide = Pyramid(random_pixels(), PixelBox(130, 140, 20, 20))
    for times in also_lost:
        slide.lost[times] = PixelBox(1040 // times, 1120 // times, 160 // times, 160 // times)
    picture, unseen = view_whole(slide, load_config().settings.overview, analysed_um=MODEL_UM)
    assert np.array_equal(picture.pixels[~unseen], slide.levels[8][~unseen])
    assert unseen.any() == (also_lost == (4, 2, 1))
    assert unseen.sum() <= 128**2
    assert slide.finer_px <= 128**2 * 8**2 + 128**2 * 20


def test_a_sound_overview_is_read_once() -> None:
    slide = Pyramid(random_pixels(), PixelBox(0, 0, 0, 0))
    view_whole(slide, load_config().settings.overview, analysed_um=MODEL_UM)
    assert slide.finer_px == 0


@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize(
    ("levels", "analysed_um", "trusted"),
    [
        ((1, 2, 8), MODEL_UM, True),
        ((1, 8), MODEL_UM, False),
        ((1, 2, 8), (1.8, 2.0), False),
        ((1, 2, 8), None, False),
    ],
)
def test_pure_colour_is_trusted_where_another_level_is_analysed(
    colour: int, levels: tuple[int, ...], analysed_um: tuple[float, float] | None, trusted: bool
) -> None:
    """The analysed level's white says nothing of whether that level lost something. Other colours were scanned."""
    pixels = random_pixels()
    pixels[:, :1024] = colour
    slide = Pyramid(pixels, PixelBox(0, 0, 256, 512))
    slide.levels = {times: slide.levels[times] for times in levels}
    picture, unseen = view_whole(slide, load_config().settings.overview, analysed_um=analysed_um)
    assert unseen[:, :128].all() == unseen.any() == (not trusted)
    assert not unseen[:, 128:].any()
    assert (picture.pixels[:, :128] == (colour if trusted else 255)).all()
    assert np.array_equal(picture.pixels[:, 128:], slide.levels[8][:, 128:])


def test_white_beside_what_is_lost_is_looked_at_in_finer_levels() -> None:
    """A reader that finds a lost tile by its middle passes over the rest of it as white."""
    slide = Pyramid(random_pixels(), PixelBox(0, 0, 128, 128))
    shown = slide.levels[8].copy()
    slide.levels[8][:128, 128:256] = 255
    picture, unseen = view_whole(slide, load_config().settings.overview, analysed_um=MODEL_UM)
    assert not unseen.any()
    assert np.array_equal(picture.pixels, shown)


@pytest.mark.parametrize("why", ["lost at every level", "beyond the limit"])
def test_white_beside_what_is_lost_is_unseen_where_no_finer_level_confirms_it(
    monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """It may be of the lost tile, and tissue; glass would never be looked at."""
    slide = Pyramid(random_pixels(), PixelBox(0, 0, 128, 128))
    slide.levels[8] = slide.levels[8].copy()
    slide.levels[8][:128, 128:256] = 255
    if why == "beyond the limit":
        monkeypatch.setattr(overview_module, "_MOST_FINER_PX", 0)
    for times in (4, 2, 1):
        slide.lost[times] = PixelBox(0, 0, 2048 // times, 1024 // times)
    _, unseen = view_whole(slide, load_config().settings.overview, analysed_um=MODEL_UM)
    assert unseen[:128, :256].all()
    assert unseen.sum() == 128 * 256


def test_white_glass_does_not_use_up_what_lost_parts_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four losses far apart on white glass: all are read from a finer level before any white is."""
    glass = np.full((512, 512, 3), 255, np.uint8)
    slide = Pyramid(glass.repeat(8, axis=0).repeat(8, axis=1), PixelBox(0, 0, 0, 0))
    for level, pixels in slide.levels.items():
        pixels[: 512 * 8 // level // 4] = 200
    slide.lost[8] = PixelBox(0, 0, 512, 20)
    monkeypatch.setattr(overview_module, "_MOST_FINER_PX", 512 * 128 * 2**2)
    picture, unseen = view_whole(slide, load_config().settings.overview, analysed_um=MODEL_UM)
    assert not unseen[:128].any()
    assert (picture.pixels[:20] == 200).all()


def test_finer_levels_are_read_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole level that is lost: what lies beyond the limit stays unseen, and isn't told as glass."""
    slide = Pyramid(random_pixels(), PixelBox(0, 0, 512, 512))
    most_px = 100 * 4**2 * 128
    monkeypatch.setattr(overview_module, "_MOST_FINER_PX", most_px)
    picture, unseen = view_whole(slide, load_config().settings.overview, analysed_um=MODEL_UM)
    assert slide.finer_px <= most_px
    assert 0 < unseen.mean() < 1
    assert np.array_equal(picture.pixels[~unseen], slide.levels[8][~unseen])
