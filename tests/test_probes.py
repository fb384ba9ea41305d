"""Where a slide is looked at beside its tissue, and how its magnifications are laid over one another."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nodescan.config import load_config
from nodescan.domain.flags import Flag
from nodescan.domain.geometry import PixelBox, TileGeometry, TileGrid
from nodescan.domain.maps import CodedBytes, Picture, ProbabilityMap, TissueMask
from nodescan.domain.units import MicronsPerPixel, Spacing
from nodescan.errors import RegionUnreadableError
from nodescan.examination import Examination
from nodescan.examination.tile_plan import Survey
from nodescan.imaging.untrusted_areas import SHARES
from nodescan.level_check import LEAST_LIKENESS, begin_level_check, likeness_of_levels
from tests.painted import PaintedSlide

FINE, ANALYSED, OVERVIEW = Spacing(MicronsPerPixel(0.48), MicronsPerPixel(0.5)), Spacing.square(0.96), Spacing.square(8)
GLASS = 245


class Layered(PaintedSlide):
    """A slide of two magnifications: fine : uint8 (2400, 2000, 3) at 0.48 x 0.5 um; analysed: at 0.96 um, 1000 x 1250.

    torn: what can't be read of the fine one. reads: boxes of the fine one that were asked for.
    """

    def __init__(self, fine: NDArray[np.uint8], analysed: NDArray[np.uint8], coded: CodedBytes | None = None) -> None:
        super().__init__(fine)
        self.info = replace(self.info, spacing=FINE)
        self.analysed, self.coded = analysed, coded
        self.reads: list[PixelBox] = []

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        if spacing == FINE:
            self.reads.append(box)
            if self.torn is not None and box.common(self.torn).width and box.common(self.torn).height:
                raise RegionUnreadableError("layered.tif", "this area can't be decoded")
        held = self.pixels if spacing == FINE else self.analysed
        pixels = np.full((box.height, box.width, 3), 255, np.uint8)
        seen = box.common(PixelBox(0, 0, held.shape[1], held.shape[0]))
        pixels[seen.within(box)] = held[seen.top : seen.bottom, seen.left : seen.right]
        return pixels

    def coded_bytes(self) -> CodedBytes | None:
        return self.coded


def scaled(pixels: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize(size_px, Image.Resampling.BOX))


def mottled(seed: int) -> NDArray[np.uint8]:
    """Tissue all over with patches of 15 um, at 0.48 x 0.5 um."""
    patches = np.random.default_rng(seed).integers(90, 190, (80, 64, 1), dtype=np.uint8).repeat(3, axis=2)
    return np.asarray(Image.fromarray(patches).resize((2000, 2400), Image.Resampling.BICUBIC))


def view_of(analysed: NDArray[np.uint8], tissue: NDArray[np.bool_] | None = None) -> tuple[Picture, TissueMask]:
    """The overview at 8 um, 120 x 150 px; all of it tissue unless `tissue` says otherwise."""
    overview = Picture(scaled(analysed, (120, 150)), 0.0, 0.0, OVERVIEW)
    where = np.ones((150, 120), np.bool_) if tissue is None else tissue
    return overview, TissueMask(where, OVERVIEW, dark=where, glass=(GLASS, GLASS, GLASS))


def test_a_reduction_is_like_the_full_resolution_and_another_picture_is_not() -> None:
    """Whose pixels aren't square; mirrored, turned, of another slide, or shifted by 0.1 mm it is another."""
    fine = mottled(0)
    analysed = scaled(fine, (1000, 1250))
    others = (analysed[:, ::-1], analysed[::-1], scaled(mottled(1), (1000, 1250)), np.roll(analysed, 104, axis=(0, 1)))
    found = likeness_of_levels(Layered(fine, analysed), *view_of(analysed), ANALYSED)
    assert found is not None
    assert found > 0.95
    for other in others:
        found = likeness_of_levels(Layered(fine, other), *view_of(analysed), ANALYSED)
        assert found is not None
        assert found < 0.5 * LEAST_LIKENESS


OBLONG = Spacing(MicronsPerPixel(0.96), MicronsPerPixel(1.0))
"""Twice FINE: 1000 x 1200 px of it show the slide."""


def test_places_are_those_of_dense_tissue_where_pixels_are_not_square() -> None:
    """Two rows of three at the slide's lower right; all else is glass, which tells nothing. A place is 27 px of the
    overview wide and 28 high."""
    fine = np.full((2400, 2000, 3), GLASS, np.uint8)
    fine[84 * 16 :, 450:] = mottled(0)[84 * 16 :, 450:]
    analysed = scaled(fine, (1000, 1200))
    tissue = np.zeros((150, 120), np.bool_)
    tissue[84:, 27:] = True
    slide = Layered(fine, analysed)
    found = likeness_of_levels(slide, *view_of(analysed, tissue), OBLONG)
    assert found is not None
    assert found > 0.95
    assert len(slide.reads) == 6
    for box in slide.reads:
        assert fine[box.top : box.bottom, box.left : box.right].std() > 10


@pytest.mark.parametrize(("places", "told"), [(3, False), (4, True), (8, True)])
def test_fewer_than_four_places_tell_nothing(places: int, told: bool) -> None:
    """One is 0.2 mm wide, 27 px of the overview."""
    fine = mottled(0)
    analysed = scaled(fine, (1000, 1250))
    tissue = np.zeros((150, 120), np.bool_)
    tissue[27 : 27 * (2 + places // 8), : 27 * min(places, 4)] = True
    found = likeness_of_levels(Layered(fine, analysed), *view_of(analysed, tissue), ANALYSED)
    assert (found is not None) == told
    assert found is None or found > 0.95


def test_places_that_can_not_be_read_are_left_out() -> None:
    """Half of eight in two rows: those on the right begin at 900 px of the full resolution."""
    fine = mottled(0)
    analysed = scaled(fine, (1000, 1250))
    tissue = np.zeros((150, 120), np.bool_)
    tissue[: 27 * 2, : 27 * 4] = True
    slide = Layered(fine, analysed)
    slide.torn = PixelBox(0, 0, 900 - 40, 2400)
    found = likeness_of_levels(slide, *view_of(analysed, tissue), ANALYSED)
    assert found is not None
    assert found > 0.95
    slide.torn = PixelBox(0, 0, 900 + 40, 2400)
    assert likeness_of_levels(slide, *view_of(analysed, tissue), ANALYSED) is None


PIECES = Spacing(MicronsPerPixel(120.0), MicronsPerPixel(200.0))
"""8 across and 6 down."""

TILE = TileGeometry(core_px=160, margin_px=0, stride_px=16)
GRID = TileGrid(1000, 1250, TILE)


def flags(
    piece: tuple[int, int] | None,
    hidden_um: tuple[float, float, float],
    *,
    analysed: NDArray[np.uint8] | None = None,
    examined: bool = False,
    torn: PixelBox | None = None,
) -> tuple[tuple[Flag, ...], Layered]:
    """Of a slide with tissue in its first 400 um, as the overview shows it, and a square that the full resolution
    alone shows.

    piece: (row, column) of that on which the file spends as many bytes as on tissue; hidden_um: left, top and side.
    """
    fine = np.full((2400, 2000, 3), GLASS, np.uint8)
    fine[:800] = mottled(0)[:800]
    shown = scaled(fine, (1000, 1250))
    left, top, side = hidden_um
    rows, columns = ((round(um / px), round((um + side) / px)) for um, px in ((top, FINE.y), (left, FINE.x)))
    fine[slice(*rows), slice(*columns)] = 60
    values = np.full((6, 8), 50, np.uint64)
    values[:2] = 1000
    if piece is not None:
        values[piece] = 1000
    slide = Layered(fine, shown if analysed is None else analysed, CodedBytes(values, PIECES))
    slide.torn = torn
    where = np.zeros((150, 120), np.bool_)
    where[:50] = True
    overview, tissue = view_of(shown, where)
    wanted = np.zeros(GRID.map_shape, np.bool_)
    wanted[: 400 // 15] = True
    survey = Survey(GRID, ANALYSED, wanted, (), tissue)
    tell = begin_level_check(slide, overview, survey, load_config().settings.quality)
    none = np.zeros(GRID.map_shape, np.bool_)
    seen = wanted if examined else none
    answers = ProbabilityMap(np.zeros(GRID.map_shape, np.float32), seen, ANALYSED.scaled(16))
    stain = np.zeros((*GRID.map_shape, SHARES), np.float16)
    return tell(Examination(answers, ANALYSED, wanted, none.astype(np.uint8), stain, "float32")), slide


@pytest.mark.parametrize(("row", "column"), [(3, 7), (4, 4), (5, 0)])
def test_tissue_that_the_overview_lacks_is_seen_where_the_file_spends_bytes_on_it(row: int, column: int) -> None:
    """A square of 0.15 mm in the middle of any piece of 120 x 200 um, at the slide's borders, too."""
    middle_um = (column + 0.5) * 120, (row + 0.5) * 200
    (flag,), _ = flags((row, column), (max(0, middle_um[0] - 75), middle_um[1] - 75, 150.0))
    assert flag.code == "levels_disagree"
    area_mm2 = float(flag.message.split(": ")[1].split(" mm2")[0])
    assert area_mm2 == pytest.approx(0.15**2 if 0 < column < 7 else 0.135 * 0.15, rel=0.3)


def test_what_no_bytes_tell_of_is_not_read_and_a_sound_slide_not_accused() -> None:
    """A probe is 0.25 to 0.5 mm wide: 16 cells of 15.4 um, as a piece is 200."""
    assert flags(None, (450.0, 900.0, 150.0))[0] == ()
    said, slide = flags((4, 4), (0.0, 100.0, 150.0))
    assert said == ()
    probe = slide.reads[-1]
    assert probe.width * FINE.x == pytest.approx(16 * 15.36, abs=1)
    assert probe.height * FINE.y == pytest.approx(16 * 15.36, abs=1)
    assert (probe.left + probe.width / 2) * FINE.x == pytest.approx(4.5 * 120, abs=16)
    assert (probe.top + probe.height / 2) * FINE.y == pytest.approx(4.5 * 200, abs=16)


@pytest.mark.parametrize("own", [ANALYSED, OBLONG])
@pytest.mark.parametrize("piece_um", [(480.0, 300.0), (300.0, 480.0)])
def test_a_probe_covers_its_piece_wherever_that_lies(piece_um: tuple[float, float], own: Spacing) -> None:
    """But for a cell of 16 um, where cells aren't square either: tissue at a piece's end is as much in it."""
    pieces = Spacing(MicronsPerPixel(piece_um[0]), MicronsPerPixel(piece_um[1]))
    glass = np.full((2400, 2000, 3), GLASS, np.uint8)
    size_px = round(960 / own.x), round(1200 / own.y)
    grid = TileGrid(*size_px, TILE)
    none = np.zeros((150, 120), np.bool_)
    overview, tissue = view_of(glass, none)
    survey = Survey(grid, own, np.zeros(grid.map_shape, np.bool_), (), tissue)
    shape = round(1200 / pieces.y), round(960 / pieces.x)
    for row, column in ((shape[0] - 1, 0), (0, shape[1] - 1)):
        values = np.full(shape, 50, np.uint64)
        values[row, column] = 1000
        slide = Layered(glass, scaled(glass, size_px), CodedBytes(values, pieces))
        begin_level_check(slide, overview, survey, load_config().settings.quality)(unseen(grid, own))
        (probe,) = slide.reads
        assert probe.width <= 2 * 33 * 16
        assert probe.left * FINE.x < column * pieces.x + 16
        assert probe.top * FINE.y < row * pieces.y + 16
        assert probe.right * FINE.x > min(960, (column + 1) * pieces.x) - 16
        assert probe.bottom * FINE.y > min(1200, (row + 1) * pieces.y) - 16


def unseen(grid: TileGrid, own: Spacing) -> Examination:
    """Of nothing."""
    none = np.zeros(grid.map_shape, np.bool_)
    answers = ProbabilityMap(np.zeros(grid.map_shape, np.float32), none, own.scaled(16))
    stain = np.zeros((*grid.map_shape, SHARES), np.float16)
    return Examination(answers, own, none, none.astype(np.uint8), stain, "float32")


def test_a_probe_that_can_not_be_read_tells_nothing() -> None:
    """Unread tissue is told elsewhere, where it is wanted."""
    assert flags((4, 4), (465.0, 825.0, 150.0), torn=PixelBox(1000, 1700, 100, 100))[0] == ()


def test_tissue_of_the_overview_that_the_full_resolution_shows_as_glass_is_told() -> None:
    """Cells that were examined and have no stain, in 400 um of 960; where nothing was examined nothing is known."""
    (flag,), _ = flags(None, (0.0, 0.0, 0.0), examined=True)
    assert flag.code == "levels_disagree"
    assert float(flag.message.split(": ")[1].split(" mm2")[0]) == pytest.approx(0.96 * 0.4, rel=0.15)


def test_an_analysed_magnification_of_another_picture_is_told() -> None:
    """And that alone, as its tissue lies where it should."""
    said, _ = flags(None, (0.0, 0.0, 0.0), analysed=scaled(mottled(3), (1000, 1250)))
    assert [flag.code for flag in said] == ["another_picture"]
