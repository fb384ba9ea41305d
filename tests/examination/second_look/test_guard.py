"""Fast answers change no finding: what bears on one is the reference's, and a fast way that is off is not believed."""

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.batch.progress import Viewer
from nodescan.domain.geometry import PixelBox, TileGeometry, TileGrid
from nodescan.domain.maps import ProbabilityMap, TissueMask
from nodescan.domain.report import SlideResult, Status
from nodescan.domain.units import Micrometers, Spacing
from nodescan.errors import RegionUnreadableError
from nodescan.examination.second_look.guard import LEAST_FOR_SCORE, _distrust, recheck
from nodescan.examination.tile_pass import TileAnswers
from nodescan.examination.tile_plan import Survey
from nodescan.imaging.stitching import fitted_tiles
from nodescan.imaging.untrusted_areas import SHARES
from nodescan.interfaces import ApproximatePredictor, TilePredictor
from nodescan.scan import ScanTools, scan_slide
from nodescan.scan_settings import ScanSettings
from tests.examination.fast_fakes import Fast, Graded, InSmallTiles, findings, outlines, pale, spotted
from tests.fakes import PURPLE
from tests.painted import SETTINGS, PaintedSlide


def scanned(
    pixels: NDArray[np.uint8],
    predictor: TilePredictor,
    *,
    score_smoothing_um: float | None = None,
    slide_type: type[PaintedSlide] = PaintedSlide,
) -> SlideResult:
    """score_smoothing_um: of detections, so that few of these small tiles bear on one; None: as packed."""
    slide, settings = slide_type(pixels), SETTINGS
    even_pale = replace(settings.quality.pale, min_dark_share=0.0)
    settings = replace(settings, quality=replace(settings.quality, min_dark_share=0.0, pale=even_pale))
    if score_smoothing_um is not None:
        settings = replace(settings, detections=replace(settings.detections, smoothing_um=score_smoothing_um))
    return scan_slide(slide.ref, ScanTools(lambda _: slide, predictor, settings), progress=Viewer())


@cache
def spotted_by_reference(seed: int) -> SlideResult:
    return scanned(spotted(seed), Graded())


@cache
def pale_by_reference(tumour_px: int) -> SlideResult:
    return scanned(pale(tumour_px), Graded())


def in_float32(result: SlideResult) -> float:
    """Percent of the tissue."""
    share = re.fullmatch(r"fast, ([\d.]+) % of the tissue in float32", result.precision)
    assert share is not None
    return float(share[1])


@pytest.mark.parametrize("seed", range(4))
def test_noise_within_the_tolerance_changes_no_finding(seed: int) -> None:
    """Deposits, outlines, class and flags are the reference's, and the slide's probability as near as answers."""
    true = spotted_by_reference(seed)
    assert true.report.deposits
    for predictor in (Fast(0.049, seed=seed), Fast(0.049), Fast(-0.049)):
        found = scanned(spotted(seed), predictor)
        assert findings(found.report) == findings(true.report)
        assert found.report.tumour_probability == pytest.approx(true.report.tumour_probability, abs=0.05)
        assert found.precision.startswith("fast, ")


def test_only_what_bears_on_a_finding_is_answered_twice() -> None:
    """Of a slide with one deposit, what is around it; of a clean one what is about the highest and the lowest answer,
    and a few tiles' worth for the slide's probability. No tile as the fast way has them."""
    deposit, clean = Fast(0.01), Fast(0.01)
    found = scanned(np.concatenate([pale(120), pale()], axis=1), deposit)
    assert len(found.report.deposits) == 1
    assert 0 < in_float32(found) < 25
    few = scanned(np.tile(pale(), (1, 4, 1)), clean)
    tissue, score = 4 * 44**2, LEAST_FOR_SCORE * Graded.geometry.cells**2
    assert score < in_float32(few) / 100 * tissue < 1.6 * score
    assert deposit.reference.tiles == clean.reference.tiles == 0


def test_a_deposit_that_is_certain_is_not_answered_twice() -> None:
    """Far above both thresholds and far from a limit between classes, it keeps its fast answers, and its class."""
    true = pale_by_reference(560)
    predictor = Fast(0.01, smoothed_tolerance=0.012, seed=1)
    found = scanned(pale(560), predictor)
    assert [d.metastasis for d in found.report.deposits] == [d.metastasis for d in true.report.deposits]
    sizes = [result.report.deposits[0].diameter_um for result in (found, true)]
    assert sizes[0] == pytest.approx(sizes[1], abs=1)
    doubting = Fast(0.01, tolerance=0.3, smoothed_tolerance=0.3, seed=1)
    assert scanned(pale(560), doubting).report.deposits[0].diameter_um == sizes[1]
    assert predictor.second_look.tiles < doubting.second_look.tiles


def test_both_ends_of_a_certain_deposit_are_answered_twice() -> None:
    """Its length is then the reference's to a twentieth of a micrometre, though not all of it was answered again."""
    fast = Fast(0.01, smoothed_tolerance=0.012)
    found, expected = (one.report.deposits[0] for one in (scanned(pale(560), fast), pale_by_reference(560)))
    assert found.diameter_um == pytest.approx(expected.diameter_um, abs=0.05)
    assert np.allclose(found.endpoints_um, expected.endpoints_um, atol=0.05)
    assert found.area_um2 != expected.area_um2


def test_whether_a_deposit_is_cut_off_is_the_references() -> None:
    """So near to the edge of the scan that its class is "at least"; by its fast answers it would just not be."""
    fast = Fast(-0.01, smoothed_tolerance=0.012)
    lowest_um = [
        max(y for polygon in outlines(one.report.deposits) for _, y in polygon)
        for one in (scanned(pale(560), fast), pale_by_reference(560))
    ]
    reach_um = 1.5 * 16 * 0.95 + 10  # a cell and a half, and half of what the rule's correction moves an outline
    assert lowest_um[0] < lowest_um[1] - 0.5

    class Cut(PaintedSlide):
        def __init__(self, pixels: NDArray[np.uint8]) -> None:
            super().__init__(pixels)
            bounds = replace(self.info.bounds_um, height=Micrometers(sum(lowest_um) / 2 + reach_um))
            self.info = replace(self.info, bounds_um=bounds)

    found, true = (scanned(pale(560), one, slide_type=Cut).report for one in (fast, Graded()))
    assert true.at_least
    assert (found.at_least, found.flags) == (true.at_least, true.flags)


@pytest.mark.parametrize(("middle", "torn"), [(560, (706, 500)), (605, (706, 500)), (780, (985, 500))])
def test_what_was_read_the_first_time_is_not_lost_the_second(middle: int, torn: tuple[int, int]) -> None:
    """Tiles of a second look may reach damage that the slide's own don't touch."""
    pixels = pale()
    rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    pixels[(np.hypot(rows - 512, columns - middle) < 115) & (columns < 864)] = PURPLE
    pixels[::2, ::2, 1] += 3

    class Torn(PaintedSlide):
        def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
            self.torn = PixelBox(*torn, 4, 40)
            return super().read(box, spacing)

    class Large(Graded):
        geometry = TileGeometry(core_px=224, margin_px=32, stride_px=16)

    found, true = (scanned(pixels, one, slide_type=Torn) for one in (Fast(0.01, second_look=Large()), Graded()))
    assert findings(found.report) == findings(true.report)
    assert found.report.unread_fraction == true.report.unread_fraction


def test_what_cannot_be_read_a_second_time_is_not_examined() -> None:
    """As when a disk fails in between: the fast answer is not taken for the reference's, nor for none."""

    class Failing(PaintedSlide):
        gone = False

        def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
            self.gone |= box.width == InSmallTiles.geometry.input_px
            if self.gone:
                raise RegionUnreadableError("painted.tif", "the disk is gone")
            return super().read(box, spacing)

    assert scanned(pale(160), Fast(0.01)).report.metastasis is not None
    found = scanned(pale(160), Fast(0.01), slide_type=Failing)
    assert (found.report.status, found.report.metastasis) == (Status.INCOMPLETE, None)
    assert "unread_tissue" in {flag.code for flag in found.report.flags}


def test_smoothed_answers_that_are_off_by_more_are_not_believed() -> None:
    """Each cell within its tolerance, but all of them to one side."""
    found = scanned(spotted(1), Fast(0.04, smoothed_tolerance=0.03))
    assert findings(found.report) == findings(spotted_by_reference(1).report)
    assert found.precision == "float32 (fast, smoothed, was off by 0.04, more than the 0.03 it is trusted with)"


def test_a_fast_way_that_is_off_by_more_is_not_believed() -> None:
    """The reference then answers the whole slide, and the report says why."""
    true = spotted_by_reference(1)
    found = scanned(spotted(1), Fast(0.06))
    assert findings(found.report) == findings(true.report)
    assert found.probability is not None
    assert true.probability is not None
    assert np.array_equal(found.probability.values, true.probability.values)
    assert found.precision == "float32 (fast was off by 0.06, more than the 0.05 it is trusted with)"


@pytest.mark.parametrize("answer", [0.0, 0.03, 1.0, float("nan")])
def test_a_broken_fast_way_hides_nothing(answer: float) -> None:
    """One that says the same everywhere, or nothing that is a probability, costs time and no deposit."""
    found = scanned(pale(160), Fast(0.0, answer=answer))
    assert findings(found.report) == findings(pale_by_reference(160).report)
    assert found.precision.startswith("float32 (")


@pytest.mark.parametrize("seed", range(6))
def test_the_slides_probability_is_the_references(seed: int) -> None:
    """Where a few faint spots in different tiles come into question, none of them a deposit."""
    pixels = pale()
    for index, (row, column) in enumerate(((224, 224), (224, 480), (480, 224), (480, 480))):
        pixels[row : row + 64, column : column + 64] = (150, 100 - index, 170)
    true = scanned(pixels, Graded(), score_smoothing_um=16.0)
    assert true.report.deposits == ()
    assert 0.4 < (true.report.tumour_probability or 0) < 0.6
    found = scanned(pixels, Fast(0.049, seed=seed), score_smoothing_um=16.0)
    assert found.report.tumour_probability == true.report.tumour_probability


@pytest.mark.parametrize("green", [69, 70])
def test_a_slide_on_the_limit_is_decided_by_the_reference(green: int) -> None:
    """A blot whose answer lies a hundredth above or below the seed threshold is found, or not, as in float32."""
    pixels = pale()
    pixels[448:576, 448:576] = (110, green, 150)
    pixels[448:576:2, 448:576:2, 1] += 1
    true = scanned(pixels, Graded())
    for error in (-0.049, 0.049):
        assert findings(scanned(pixels, Fast(error)).report) == findings(true.report)


def test_the_constant_output_flag_is_the_references() -> None:
    """A network that nearly always says the same is flagged, or not, by its exact answers."""

    class Flat(Graded):
        spread = 0.0

        def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
            return (0.03 + self.spread * super().predict(tiles)).astype(np.float32)

    class Apart(Flat):
        spread = 0.002

    for reference, flagged in ((Flat(), True), (Apart(), False)):
        predictor = Fast(0.02, seed=3, reference=reference, second_look=reference)
        predictor._own = reference
        found = scanned(spotted(0), predictor)
        assert ("constant_output" in {flag.code for flag in found.report.flags}) == flagged


def asked_again(
    values: NDArray[np.float32],
    predictor: Fast,
    *,
    unexamined: NDArray[np.bool_],
    tissue: NDArray[np.bool_],
    settings: ScanSettings = SETTINGS,
) -> NDArray[np.bool_]:
    """bool (H, W): the cells that the reference is asked for, which answers just so.

    values, tissue : (H, W); unexamined : bool (H, W), cells that the first look couldn't show.
    """
    spacing = Spacing.square(0.95)
    cell = spacing.scaled(16)
    grid = TileGrid(16 * values.shape[1], 16 * values.shape[0], predictor.geometry)
    survey = Survey(grid, spacing, tissue, fitted_tiles(grid, np.ones_like(tissue)), TissueMask(tissue, cell))
    map_ = ProbabilityMap(np.where(unexamined, np.float32(0), values), ~unexamined, cell)
    none = np.zeros(values.shape, np.uint8)
    first = TileAnswers(map_, none, none, np.zeros((*values.shape, SHARES), np.float16))
    asked = np.zeros_like(tissue)

    def about(cells: NDArray[np.bool_]) -> TileAnswers:
        assert not (cells & asked).any()
        assert not (cells & unexamined).any()
        asked[cells] = True
        return replace(first, probability=replace(map_, examined=cells & map_.examined))

    _, precision = recheck(first, survey, about, predictor=predictor, settings=settings)
    assert re.fullmatch(r"fast, [\d.]+ % of the tissue in float32", precision)
    return asked


def with_deposit() -> NDArray[np.float32]:
    """A disc of 0.56 mm that nothing puts in question, to the left."""
    rows, columns = np.ogrid[:64, :160]
    return np.where(np.hypot(rows - 32, columns - 32) < 18.5, 0.95, 0.05).astype(np.float32)


def test_a_deposit_is_certain_unless_it_may_border_on_tissue_that_was_not_examined() -> None:
    """By its outline on the highest values, a cell and a half away; one of glass, or farther off, is nothing to it."""
    tissue = np.ones((64, 160), np.bool_)
    tissue[:, 56:] = False
    predictor = Fast(0.0, smoothed_tolerance=0.1)
    for column, certain in ((51, False), (52, False), (53, True), (55, True), (56, True), (150, True)):
        gone = np.zeros_like(tissue)
        gone[32, column] = True
        asked = asked_again(with_deposit(), predictor, unexamined=gone, tissue=tissue)
        assert asked[32, 32] is np.bool_(not certain)
        assert asked.any()


def test_the_ends_of_a_certain_deposit_are_asked_for_once_and_only_where_they_were_examined() -> None:
    """Beside glass that wasn't, which would be asked for again and again."""
    rows, columns = np.ogrid[:64, :160]
    values = np.where(np.hypot(1.3 * (rows - 32), columns - 32) < 18.5, 0.95, 0.05).astype(np.float32)
    tissue = np.broadcast_to(columns < 54, values.shape)
    predictor = Fast(0.0, smoothed_tolerance=0.012)
    asked = asked_again(values, predictor, unexamined=~tissue, tissue=tissue)
    assert asked[32, 53]
    assert not asked[32, 32]


def test_of_a_slide_of_which_nothing_was_examined_nothing_is_asked() -> None:
    """As where no tile can be read; that it is incomplete is told elsewhere."""
    whole = np.ones((64, 160), np.bool_)
    assert not asked_again(with_deposit(), Fast(0.0), unexamined=whole, tissue=whole).any()


@pytest.mark.parametrize(("smoothing_um", "asked"), [(15.9, True), (16.0, False), (40.0, False)])
def test_detections_that_are_smoothed_less_than_deposits_are_trusted_less(smoothing_um: float, asked: bool) -> None:
    """The lower of two faint spots may be the likeliest detection if cells are off by 0.05, not if by 0.012."""
    values = np.full((64, 160), 0.05, np.float32)
    values[21:27, 21:27], values[21:27, 101:107] = 0.6, 0.52
    whole = np.ones(values.shape, np.bool_)
    settings = replace(SETTINGS, detections=replace(SETTINGS.detections, smoothing_um=smoothing_um))
    predictor = Fast(0.0, smoothed_tolerance=0.012)
    found = asked_again(values, predictor, unexamined=~whole, tissue=whole, settings=settings)
    assert found[21, 21]
    assert found[24, 104] is np.bool_(asked)


SLOPE = np.linspace(0, 1, 1600, dtype=np.float32).reshape(40, 40)
ALL, NONE = np.ones((40, 40), np.bool_), np.zeros((40, 40), np.bool_)
CHESS = np.where(np.indices((40, 40)).sum(axis=0) % 2, np.float32(1), np.float32(-1))
"""Every other cell above, and below."""

OFF, SMOOTHED = "fast was off by ", "fast, smoothed, was off by 0.04, more than the 0.03 it is trusted with"
ALIKE = "answers were nearly the same everywhere"


def spike(height: float) -> NDArray[np.float32]:
    """One cell's."""
    values = np.zeros((40, 40), np.float32)
    values[20, 20] = height
    return values


@pytest.mark.parametrize(
    ("first", "off", "compared", "why"),
    [
        (SLOPE, spike(0.0499), ALL, ""),
        (SLOPE, spike(0.06), ALL, OFF + "0.06, more than the 0.05 it is trusted with"),
        (SLOPE, spike(-0.06), ALL, OFF + "0.06, more than the 0.05 it is trusted with"),
        (SLOPE, spike(0.5), spike(1) == 0, ""),
        (SLOPE, 0.049 * CHESS, ALL, ""),
        (SLOPE, 0.04 * np.ones_like(SLOPE), ALL, SMOOTHED),
        (SLOPE, -0.04 * np.ones_like(SLOPE), ALL, SMOOTHED),
        (0 * SLOPE, 0 * SLOPE, ALL, ALIKE),
        (0 * SLOPE, 0.02 * CHESS, ALL, ALIKE),
        (0 * SLOPE, 0 * SLOPE, NONE, ALIKE),
        (0.09 * SLOPE, 0 * SLOPE, ALL, ""),
        (0.09 * SLOPE, 0 * SLOPE, NONE, ALIKE),
        (0.09 * SLOPE, 0 * SLOPE, spike(1) > 0, ALIKE),
        (0.12 * SLOPE, 0 * SLOPE, spike(1) > 0, ""),
        (0.12 * SLOPE, 0 * SLOPE, NONE, ""),
    ],
)
def test_a_fast_way_is_distrusted_by_what_both_answered(
    first: NDArray[np.float32], off: NDArray[np.float32], compared: NDArray[np.bool_], why: str
) -> None:
    """A cell beyond its tolerance, to either side; cells off to one side; answers alike that none were held against.

    Noise within the tolerance, and differences of what the reference didn't answer, are nothing.
    """
    cell = Spacing.square(0.95 * 16)
    maps = [ProbabilityMap((0.2 + values).astype(np.float32), ALL, cell) for values in (first, first - off)]
    assert _distrust(*maps, compared, Fast(0.0, smoothed_tolerance=0.03)) == why


@pytest.mark.parametrize("state", ["certain", "decisive", "no deposit"])
def test_how_much_tumour_lies_on_glass_is_the_references_where_there_is_a_deposit(state: str) -> None:
    """Cells on glass about the threshold decide whether that is told; without a deposit nothing is told of them."""
    values, tissue, gone = with_deposit(), np.ones((64, 160), np.bool_), np.zeros((64, 160), np.bool_)
    tissue[:, 110:] = False
    values[20:40, 120:150] = 0.48
    if state == "no deposit":  # but some that is as high as a deposit's outline
        values[:, :110] = 0.05
        values[20:50, 20:50] = 0.7
    gone[60, 100] = state == "decisive"
    asked = asked_again(values, Fast(0.0, smoothed_tolerance=0.012), unexamined=gone, tissue=tissue)
    on_glass = np.zeros_like(asked)
    on_glass[20:40, 120:150] = True
    assert (asked & (np.arange(160) >= 110))[on_glass].all() is np.bool_(state != "no deposit")
    assert not (asked & (np.arange(160) >= 110))[~on_glass].any()


@pytest.mark.parametrize(("second_look", "side"), [(InSmallTiles(), 5), (Graded(), 1)])
def test_every_two_hundredth_tile_is_compared_whatever_it_shows(second_look: Graded, side: int) -> None:
    """A tile's worth of a second look from its first cell on; one cell of it where the whole tile is answered again."""
    values = np.full((18 * 16, 25 * 16), 0.02, np.float32)
    values[30, 40] = 0.4
    whole = np.ones(values.shape, np.bool_)
    predictor = Fast(0.0, tolerance=0.01, smoothed_tolerance=0.01, second_look=second_look)
    asked = asked_again(values, predictor, unexamined=~whole, tissue=whole)
    assert asked[30, 40]
    asked[:64, :80] = False  # about the highest answer
    expected = np.zeros_like(asked)
    for tile in (200, 400):
        row, column = 16 * ((tile - 1) // 25), 16 * ((tile - 1) % 25)
        expected[row : row + side, column : column + side] = True
    assert np.array_equal(asked, expected)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 159), (63, 0), (1, 1), (63, 159), (30, 80)])
def test_the_highest_answer_is_compared_wherever_it_lies(row: int, column: int) -> None:
    """With what lies within two cells of it, as far as the map goes, though it bears on nothing."""
    values = np.random.default_rng(1).uniform(0, 0.3, (64, 160)).astype(np.float32)
    values[row, column] = 0.4
    whole = np.ones(values.shape, np.bool_)
    no_score = replace(SETTINGS, detections=replace(SETTINGS.detections, floor=0.9))
    predictor = Fast(0.0, tolerance=0.01, smoothed_tolerance=0.01, second_look=InSmallTiles())
    rows, columns = np.ogrid[:64, :160]
    asked = asked_again(values, predictor, unexamined=~whole, tissue=whole, settings=no_score)
    assert np.array_equal(asked, (abs(rows - row) <= 2) & (abs(columns - column) <= 2))


def test_the_fake_stands_behind_the_door() -> None:
    """What examine() asks for is what these tests hand it."""
    assert isinstance(Fast(0.0), ApproximatePredictor)
    assert not isinstance(Graded(), ApproximatePredictor)
