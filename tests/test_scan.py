"""One slide from file to report: what is planted is found, and what can't be seen is never called negative."""

from dataclasses import replace
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan import slide_flags
from nodescan.batch.progress import Viewer, outcome
from nodescan.config import load_config
from nodescan.domain.classification import Metastasis
from nodescan.domain.decision import DecisionRule
from nodescan.domain.flags import FLAGS, Flag
from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import NotExamined, ProbabilityMap, TissueMask
from nodescan.domain.report import SlideReport, Status, Untuned
from nodescan.domain.units import Spacing
from nodescan.examination import Examination, examine
from nodescan.examination.tile_batches import TileReader
from nodescan.examination.tile_plan import plan
from nodescan.imaging.pieces import find_pieces
from nodescan.reports.first_look import look_first
from nodescan.reports.places import marked_places
from nodescan.reports.sentences import answer, how_sure
from nodescan.scan import Finding, report_of
from nodescan.slide_flags import CutOff, edge_and_glass_flags
from tests.fakes import PINK, PURPLE, ColourPredictor
from tests.painted import SIZE_PX, SPACING, PaintedSlide, painted, scan


def test_a_planted_disc_comes_back_in_size_class_and_place() -> None:
    """A disc of 320 px at 0.95 um/px is a micrometastasis of 304 um in the middle of the canvas."""
    slide = PaintedSlide(painted(320))
    result = scan(slide)
    report = result.report
    assert report.status is Status.COMPLETE
    assert report.metastasis is Metastasis.MICRO
    assert report.n_foci == 1
    assert report.largest_deposit_um == pytest.approx(304, abs=15.2)  # a cell: the fake answers yes or no
    assert report.deposits[0].centre_um == pytest.approx((486, 486), abs=8)
    assert report.tissue_area_mm2 == pytest.approx((704 * 0.95e-3) ** 2, rel=0.2)
    assert report.detections[0].confidence > 0.9
    assert set(result.close_ups or {}) == {1}
    assert slide.closed


class Faint(ColourPredictor):
    """Sure of nothing."""

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.float32(0.4) * super().predict(tiles)


def test_a_slide_without_deposits_comes_with_pictures_of_its_likeliest_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of each that the page names; none where the lower magnifications may show something else."""
    result = scan(PaintedSlide(painted(320)), Faint())
    (found,) = marked_places(result.report)
    (picture,) = result.place_close_ups
    assert picture is not None
    height, width = picture.pixels.shape[:2]
    assert 0 < found.x_um - picture.left_um < width * picture.spacing.x
    assert 0 < found.y_um - picture.top_um < height * picture.spacing.y
    assert scan(PaintedSlide(painted(320))).place_close_ups == ()
    flags = (Flag("levels_disagree", "Levels disagree."),)
    monkeypatch.setattr("nodescan.scan.begin_level_check", lambda *_: lambda _: flags)
    assert scan(PaintedSlide(painted(320)), Faint()).place_close_ups == ()


def test_the_stain_is_judged_while_the_network_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It took a tenth of the time after the network. A network that waits for it gets it; what it says is told."""
    judged = Event()
    flag = Flag("not_he", "The stain does not look like H&E.")

    def stain_flags(*_: object) -> tuple[Flag, ...]:
        judged.set()
        return (flag,)

    class Waiting(ColourPredictor):
        def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
            assert judged.wait(30)
            return super().predict(tiles)

    monkeypatch.setattr(slide_flags, "stain_flags", stain_flags)
    report = scan(PaintedSlide(painted(320)), Waiting()).report
    assert flag in report.flags
    assert report.metastasis is None


def test_what_breaks_beside_the_network_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slide whose stain couldn't be judged has no result."""

    def stain_flags(*_: object) -> tuple[Flag, ...]:
        raise MemoryError

    monkeypatch.setattr(slide_flags, "stain_flags", stain_flags)
    with pytest.raises(MemoryError):
        scan(PaintedSlide(painted()))


def test_clean_tissue_is_negative_and_complete() -> None:
    """Where all tissue was examined and nothing found, the slide may be called negative."""
    report = scan(PaintedSlide(painted())).report
    assert (report.status, report.metastasis, report.examined_fraction) == (Status.COMPLETE, Metastasis.NONE, 1.0)


def test_no_slide_is_complete_with_a_model_that_was_not_tuned() -> None:
    """Nothing found is no negative slide, and what is found a lower bound; the page says whose doubt it is."""
    untuned = ColourPredictor()
    untuned.model = replace(untuned.model, found_from_um=None, untuned=Untuned.EDITED)
    for disc_px, found in ((0, None), (320, Metastasis.MICRO)):
        report = scan(PaintedSlide(painted(disc_px)), untuned).report
        assert (report.status, report.metastasis, report.at_least) == (Status.INCOMPLETE, found, bool(found))
        (flag,) = [flag for flag in report.flags if flag.code == "model_not_tuned"]
        assert "edited since it was tuned" in flag.message
        assert "python -m training tune" in flag.message
        assert "not tuned" in look_first(report)[0]
        assert ("may have missed tumour, so the true class may be higher" if found else flag.message) in answer(report)


def test_unread_tissue_with_nothing_found_has_no_class() -> None:
    """A torn area makes the slide incomplete and takes its "negative" away."""
    report = scan(PaintedSlide(painted(), torn=PixelBox(300, 300, 10, 10))).report
    assert (report.status, report.metastasis, report.at_least) == (Status.INCOMPLETE, None, False)
    assert report.examined_fraction is not None
    assert 0 < report.examined_fraction < 1
    assert report.tumour_probability is not None  # of what was seen
    assert "unread_tissue" in {flag.code for flag in report.flags}


def test_unread_tissue_beside_a_deposit_makes_its_class_a_lower_bound() -> None:
    """What was found still stands, as "at least"."""
    report = scan(PaintedSlide(painted(320), torn=PixelBox(820, 820, 10, 10))).report
    assert (report.status, report.metastasis, report.at_least) == (Status.INCOMPLETE, Metastasis.MICRO, True)


def test_a_deposit_that_ends_where_tissue_was_not_read_is_cut_off() -> None:
    """Its size is a lower bound; that of one elsewhere on the slide isn't."""
    pixels = painted()
    rows, columns = np.ogrid[:SIZE_PX, :SIZE_PX]
    for top, left in ((320, 320), (704, 704)):
        disc = np.hypot(rows - top, columns - left) < 110
        pixels[disc] = np.clip(
            np.array(PURPLE) + np.random.default_rng(top).integers(-14, 15, (int(disc.sum()), 1)), 0, 255
        )
    report = scan(PaintedSlide(pixels, torn=PixelBox(704, 704, 200, 200))).report
    assert {(deposit.cut_off, deposit.centre_um[0] > 486) for deposit in report.deposits} == {
        (True, True),
        (False, False),
    }
    assert [flag.message for flag in report.flags if flag.code == "deposit_cut_off"] == [
        f"Deposit {next(d.id for d in report.deposits if d.cut_off)} borders on tissue that was not examined and may "
        "be larger. Measure under the microscope, or scan what is missing."
    ]


def concluded(missing: int, flags: tuple[Flag, ...] = ()) -> SlideReport:
    """Of 40,000 cells of tissue in which nothing was found, `missing` of them not examined, and what was said of it."""
    wanted = np.ones((200, 200), np.bool_)
    unread = np.zeros_like(wanted)
    unread.flat[:missing] = True
    cell = SPACING.scaled(16)
    map_ = ProbabilityMap(np.zeros(wanted.shape, np.float32), ~unread, cell)
    stain = np.zeros((*wanted.shape, 2), dtype=np.float16)
    looked = Examination(map_, SPACING, wanted, unread * np.uint8(NotExamined.UNREAD), stain, "float32")
    tissue = TissueMask(wanted, cell)
    finding = Finding(tissue, looked, (), (), flags, find_pieces(tissue))
    return report_of(PaintedSlide(painted(glass_only=True)), finding, ColourPredictor())


@pytest.mark.parametrize("code", sorted(FLAGS))
def test_a_flag_that_stops_complete_does_so(code: str) -> None:
    """Whoever gives it, and though all tissue was examined; no other flag does."""
    report = concluded(0, (Flag(code, "Scan the slide again."),))
    stopped = (Status.INCOMPLETE, None)
    expected = stopped if FLAGS[code].stops_complete else (Status.COMPLETE, Metastasis.NONE)
    assert (report.status, report.metastasis) == expected


def test_a_single_cell_that_was_not_examined_leaves_a_slide_incomplete() -> None:
    """However small a share of the tissue it is, negative can't be said."""
    report = concluded(missing=1)
    assert (report.status, report.metastasis) == (Status.INCOMPLETE, None)
    assert report.examined_fraction == 1 - 1 / 40_000
    whole = concluded(missing=0)
    assert (whole.status, whole.metastasis, whole.tumour_probability) == (Status.COMPLETE, Metastasis.NONE, 0.0)


def test_a_score_takes_one_cell_that_was_examined() -> None:
    """With a single one the network has looked; without any it says nothing."""
    assert [concluded(missing=count).tumour_probability for count in (39_999, 40_000)] == [0.0, None]


def test_what_the_file_warns_of_is_told_in_the_report() -> None:
    """First of all flags: every size may hang on it."""
    slide = PaintedSlide(painted(glass_only=True))
    warning = Flag("spacing_overridden", "Measured with the given 0.95 um/px instead of the file's 0.5 um/px.")
    slide.info = replace(slide.info, warnings=(warning,))
    flags = scan(slide).report.flags
    assert flags[0] == warning
    assert [flag.code for flag in flags] == ["spacing_overridden", "no_tissue"]


def test_glass_alone_is_incomplete_not_negative() -> None:
    """No tissue found is a flagged result without a class, and without a score: 0 would say that it was looked at."""
    report = scan(PaintedSlide(painted(glass_only=True))).report
    assert (report.status, report.metastasis) == (Status.INCOMPLETE, None)
    assert report.tumour_probability is None
    assert [flag.code for flag in report.flags] == ["no_tissue"]


def test_a_network_that_always_says_the_same_gives_no_class() -> None:
    """Constant output is a broken model, whatever it says."""

    class Constant(ColourPredictor):
        def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.full((len(tiles), self.geometry.cells, self.geometry.cells), 0.01, np.float32)

    report = scan(PaintedSlide(painted()), Constant()).report
    assert (report.status, report.metastasis) == (Status.INCOMPLETE, None)
    assert "constant_output" in {flag.code for flag in report.flags}


def test_what_was_marked_on_a_slide_that_can_t_be_judged_is_no_finding() -> None:
    """An area of ITC size on brown tissue: neither its size nor its cells are flagged, and no number speaks of it."""
    brown = painted(196)
    tissue = brown[..., 1] < 225
    brown[tissue, 2] = brown[tissue, 1] // 2
    brown[4::8, 4::8] = 245  # light comes through, or it would be ink
    report = scan(PaintedSlide(brown)).report
    assert report.deposits
    assert {flag.code for flag in report.flags} == {"not_he"}
    assert (report.largest_deposit_um, report.known_foci, outcome(report)) == (None, None, "incomplete")
    assert (report.tumour_probability, bool(report.detections)) == (None, True)


def test_heavy_blur_counts_as_not_examined() -> None:
    """A slide whose tissue is out of focus is incomplete, and says so."""
    pixels = painted()
    rng = np.random.default_rng(2)
    coarse = rng.integers(0, 2, (44, 44)).repeat(16, axis=0).repeat(16, axis=1)  # nuclei-sized blotches
    tissue = np.where(coarse[..., None] == 1, np.array(PURPLE), np.array(PINK)).astype(float)
    kernel = np.exp(-(np.arange(-18, 19) ** 2) / (2 * 6.0**2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        tissue = np.apply_along_axis(lambda line: np.convolve(line, kernel, mode="same"), axis, tissue)
    pixels[160:864, 160:864] = tissue.astype(np.uint8)
    report = scan(PaintedSlide(pixels)).report
    assert report.status is Status.INCOMPLETE
    assert report.metastasis is not Metastasis.NONE
    assert "out_of_focus" in {flag.code for flag in report.flags}


@pytest.mark.parametrize(("side", "status"), [(96, Status.COMPLETE), (260, Status.INCOMPLETE)])
def test_a_speck_out_of_focus_is_examined(side: int, status: Status) -> None:
    """A block or two, as under a hair, leave a slide complete, their tumour found; a smear of 0.25 mm doesn't."""
    pixels = painted()
    pixels[400 : 400 + side, 400 : 400 + side] = PURPLE
    result = scan(PaintedSlide(pixels))
    assert result.report.status is status
    assert result.report.deposits
    inside = slice((400 + side // 2) // 16 - 1, (400 + side // 2) // 16 + 2)
    assert result.probability.examined[inside, inside].all() == (status is Status.COMPLETE)


def faded(pixels: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
    """With so much of its optical density left, over glass of 245."""
    return np.round(245 * (pixels / 245) ** strength).astype(np.uint8)


def told_of_not_examined(report: SlideReport, share: float) -> str:
    """The code of its one flag, which says how much of the tissue wasn't examined; nothing was found in the rest."""
    assert (report.status, report.metastasis) == (Status.INCOMPLETE, None)
    assert report.examined_fraction == pytest.approx(1 - share, abs=0.05)
    (flag,) = report.flags
    assert float(flag.message.split(" %")[0]) == pytest.approx(100 * (1 - report.examined_fraction), abs=1)
    return flag.code


def test_a_faded_section_beside_a_good_one_is_never_negative() -> None:
    """Its tumour is too pale for the network; the slide is incomplete, says so, and says how much of it."""
    good, other = painted(), faded(painted(320), 0.25)
    result = scan(PaintedSlide(np.concatenate([good, other], axis=1)))
    assert told_of_not_examined(result.report, 0.5) == "too_pale"
    where = np.flatnonzero(result.probability.examined[32])
    assert where.max() < 64  # cells; the good section ends at 54


@pytest.mark.parametrize("fault", ["dark", "row", "column"])
def test_a_badly_scanned_area_is_never_negative(fault: str) -> None:
    """Half of its light, or one line of its pixels again and again: the slide is incomplete, and says how much."""
    pixels = np.concatenate([painted(), painted(320)], axis=1)
    bad = pixels[192:832, 1216:1856]  # all of the tumour, and tissue around it
    bad[:] = {"dark": bad // 2, "row": bad[300:301], "column": bad[:, 300:301]}[fault]
    result = scan(PaintedSlide(pixels))
    assert told_of_not_examined(result.report, 0.38) == "badly_scanned"
    assert result.probability.examined[14:50, 14:50].all()
    assert not result.probability.examined[16:48, 80:112].any()


def in_a_disc(pixels: NDArray[np.uint8], changed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The first, but for a disc of 0.48 mm in its middle."""
    rows, columns = np.ogrid[:SIZE_PX, :SIZE_PX]
    return np.where((np.hypot(rows - 512, columns - 512) < 253)[..., None], changed, pixels)


def test_a_small_faded_area_over_tumour_is_told_with_its_place() -> None:
    """The slide stays complete: collagen without nuclei looks so, too. On the slide as it is nothing is told."""
    pixels = painted(320)
    report = scan(PaintedSlide(in_a_disc(pixels, faded(pixels, 0.25)))).report
    assert (report.status, report.metastasis) == (Status.COMPLETE, Metastasis.NONE)
    (flag,) = report.flags
    assert flag.code == "small_pale_area"
    assert float(flag.message.split("An area of ")[1].split(" mm2")[0]) == pytest.approx(0.18, abs=0.03)
    assert "(0.49 mm from the left, 0.49 mm from the top of what was scanned)" in flag.message
    assert look_first(report) == (f"{flag.message} It counts as examined.",)
    sound = scan(PaintedSlide(pixels)).report
    assert sound.flags == ()
    assert not any("pale" in said for said in (*look_first(sound), *how_sure(sound)))


@pytest.mark.parametrize(
    ("transmitted", "code"),
    [((0.4, 0.45, 1.0), "tissue_under_ink"), ((1.0, 0.4, 0.4), "tissue_under_ink"), ((0.5,) * 3, "badly_scanned")],
)
def test_a_small_area_that_lets_little_light_through_is_never_negative(
    transmitted: tuple[float, float, float], code: str
) -> None:
    """Blue ink, red ink and grey, of 0.48 mm: their middle was not examined, and the slide says why."""
    pixels = painted(320)
    pixels[4::8, 4::8] = 245  # between nuclei
    result = scan(PaintedSlide(in_a_disc(pixels, (pixels * np.array(transmitted)).astype(np.uint8))))
    assert result.report.status is Status.INCOMPLETE
    assert code in {flag.code for flag in result.report.flags}
    assert not result.probability.examined[24:40, 24:40].any()
    assert result.probability.examined[12:16, 12:52].all()


def test_a_deposit_beside_a_faded_section_is_a_lower_bound() -> None:
    """What was found in the good section stands, as "at least"."""
    report = scan(PaintedSlide(np.concatenate([painted(320), faded(painted(), 0.25)], axis=1))).report
    assert (report.status, report.metastasis, report.at_least) == (Status.INCOMPLETE, Metastasis.MICRO, True)


def test_a_section_a_little_paler_than_another_is_judged() -> None:
    """Sections differ: a tenth less density makes nothing incomplete."""
    pair = np.concatenate([painted(), faded(painted(), 0.9)], axis=1)
    report = scan(PaintedSlide(pair)).report
    assert (report.status, report.metastasis, report.flags) == (Status.COMPLETE, Metastasis.NONE, ())


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_changes_nothing(batch_size: int) -> None:
    """Speed knobs may not change a finding."""
    predictor = ColourPredictor()
    predictor.batch_size = batch_size
    expected = scan(PaintedSlide(painted(320))).report.deposits[0]
    found = scan(PaintedSlide(painted(320)), predictor).report.deposits[0]
    assert (found.diameter_um, found.centre_um) == (expected.diameter_um, expected.centre_um)


def inked(pixels: NDArray[np.uint8], rows: slice, columns: slice) -> NDArray[np.uint8]:
    """With a solid mark of blue ink."""
    ink = pixels.copy()
    grain = np.random.default_rng(2).integers(-8, 9, (*ink[rows, columns].shape[:2], 1))
    ink[rows, columns] = np.clip(np.array((40, 120, 200)) + grain, 0, 255)
    return ink


def test_a_stroke_of_ink_across_tumour_makes_its_size_a_lower_bound() -> None:
    """What lies under it was not examined, so the two ends that are seen may be one deposit."""
    slide = PaintedSlide(inked(painted(500), slice(300, 724), slice(400, 624)))
    report = scan(slide).report
    assert (report.status, report.at_least) == (Status.INCOMPLETE, True)
    assert {"tissue_under_ink", "deposit_cut_off"} <= {flag.code for flag in report.flags}
    assert report.examined_fraction == pytest.approx(1 - 424 * 224 / 704**2, abs=0.04)


def test_tissue_under_a_dot_of_ink_is_never_negative() -> None:
    """A marked lesion may be all under the mark."""
    result = scan(PaintedSlide(inked(painted(200), slice(400, 624), slice(400, 624))))
    assert (result.report.status, result.report.metastasis) == (Status.INCOMPLETE, None)
    assert "tissue_under_ink" in {flag.code for flag in result.report.flags}
    assert result.tissue is not None
    assert result.tissue.hidden is not None
    hidden_um2 = np.count_nonzero(result.tissue.hidden) * result.tissue.spacing.pixel_area_um2
    assert hidden_um2 == pytest.approx((224 * 0.95) ** 2, rel=0.2)


@pytest.mark.parametrize(("pixels", "examined"), [(128, True), (129, False)])
def test_a_cell_that_ink_hides_for_the_most_part_is_not_examined(pixels: int, examined: bool) -> None:
    """Of its 256 pixels half may lie under ink; one more, and the cell counts as hidden."""
    tissue = np.zeros((SIZE_PX, SIZE_PX), np.bool_)
    tissue[320:352, 320:352] = True
    hidden = np.zeros_like(tissue)
    hidden[320:336, 336:352] = (np.arange(256) < pixels).reshape(16, 16)
    mask = TissueMask(tissue & ~hidden, SPACING, hidden=hidden)
    slide, predictor = PaintedSlide(painted()), ColourPredictor()
    reader = TileReader(slide, plan(slide, mask, predictor))
    looked = examine(reader, predictor=predictor, settings=load_config().settings, progress=Viewer())
    assert looked.wanted[20:22, 20:22].all()
    assert looked.probability.examined[20:22, 20:22].tolist() == [[True, examined], [True, True]]
    assert looked.share_of(NotExamined.HIDDEN) == (0 if examined else 0.25)
    assert looked.share_of(NotExamined.UNREAD) == looked.share_of(NotExamined.BLURRED) == 0


def test_ink_on_glass_hides_nothing() -> None:
    """Beside the tissue, it leaves the slide complete."""
    report = scan(PaintedSlide(inked(painted(), slice(10, 110), slice(200, 800)))).report
    assert (report.status, report.metastasis) == (Status.COMPLETE, Metastasis.NONE)


def test_tissue_across_a_strip_that_was_never_scanned_is_not_whole() -> None:
    """The strip hides tumour: what is left on both sides is no negative slide."""
    pixels = painted(100)
    pixels[420:604] = 255
    report = scan(PaintedSlide(pixels)).report
    assert (report.status, report.metastasis) == (Status.INCOMPLETE, None)
    assert report.unread_fraction == pytest.approx(184 / 704, abs=0.06)
    assert [flag.code for flag in report.flags] == ["unread_tissue"]


def test_a_deposit_that_runs_into_ink_at_a_nodes_edge_may_be_larger() -> None:
    """What ink hides at an edge isn't known: the slide is complete, its class a lower bound, and both are told."""
    pixels = painted(300)
    pixels[500:] = (30, 140, 80)
    report = scan(PaintedSlide(pixels)).report
    assert {"deposit_cut_off", "tissue_meets_ink"} <= {flag.code for flag in report.flags}
    assert (report.status, report.at_least, report.deposits[0].cut_off) == (Status.COMPLETE, True, True)
    pixels = painted(300)
    pixels[900:] = (30, 140, 80)
    report = scan(PaintedSlide(pixels)).report
    assert not {"deposit_cut_off", "tissue_meets_ink"} & {flag.code for flag in report.flags}
    assert (report.status, report.at_least) == (Status.COMPLETE, False)


@pytest.mark.parametrize("fill", [0, 255])
def test_a_deposit_cut_by_the_end_of_the_scan_within_the_canvas_may_be_larger(fill: int) -> None:
    """Its size is less sure by what smoothing adds where a map ends."""

    class Smoothing(ColourPredictor):
        decision = DecisionRule(40.0, 0.5, 0.6, (), 5.0)

    whole = scan(PaintedSlide(painted(300)), Smoothing()).report.deposits[0]
    pixels = painted(300)
    pixels[520:] = fill
    report = scan(PaintedSlide(pixels), Smoothing()).report
    assert {"deposit_cut_off", "tissue_cut_off"} <= {flag.code for flag in report.flags}
    assert (report.status, report.at_least, report.deposits[0].cut_off) == (Status.COMPLETE, True, True)
    assert report.deposits[0].diameter_uncertainty_um > 1.2 * whole.diameter_uncertainty_um
    assert not whole.cut_off


def test_a_deposit_at_the_edge_of_what_was_scanned_may_be_larger() -> None:
    """The slide is complete, and says so."""
    pixels = painted()
    random = np.random.default_rng(0)
    pixels[160:864, 864:] = np.clip(np.array(PINK) + random.integers(-14, 15, (704, 160, 1)), 0, 255)
    pixels[480:560, 700:] = np.clip(np.array(PURPLE) + random.integers(-28, 29, (80, 324, 1)), 0, 255)
    report = scan(PaintedSlide(pixels)).report
    assert report.status is Status.COMPLETE
    assert [flag.message for flag in report.flags if flag.code == "deposit_cut_off"] == [
        "Deposit 1 lies at the edge of what was scanned and may be larger. Measure under the microscope, or scan "
        "what is missing."
    ]
    pixels[:, 944:] = 245
    assert "deposit_cut_off" not in {flag.code for flag in scan(PaintedSlide(pixels)).report.flags}


def test_deposits_that_are_cut_off_are_all_counted() -> None:
    """Eight are named, the others counted."""
    nothing, spacing = np.zeros((4, 4), np.bool_), Spacing.square(1.0)
    map_ = ProbabilityMap(np.zeros((4, 4), np.float32), nothing, spacing)
    stain = np.zeros((*nothing.shape, 2), dtype=np.float16)
    looked = Examination(map_, spacing, nothing, nothing.astype(np.uint8), stain, "float32")
    cut = CutOff(by_unexamined=tuple(range(1, 11)), by_edge=(3,))
    flags = edge_and_glass_flags((), cut, looked, TissueMask(nothing, spacing), rule=ColourPredictor.decision)
    assert [flag.message.partition(". ")[0] for flag in flags] == [
        "Deposits 1, 2, 3, 4, 5, 6, 7, 8 and 2 more border on tissue that was not examined and may be larger",
        "Deposit 3 lies at the edge of what was scanned and may be larger",
    ]


def test_deposits_of_two_sections_on_a_slide_lie_in_two_pieces() -> None:
    """Two sections of 0.9 mm, 0.4 mm apart, with a deposit each."""
    section = np.random.default_rng(0).integers(-14, 15, (940, 940, 1)) + np.array(PINK)
    section[400:560, 400:560] = PURPLE
    pixels = np.full((1100, 2500, 3), 245, np.uint8)
    for left in (80, 1440):
        pixels[80:1020, left : left + 940] = np.clip(section, 0, 255)
    report = scan(PaintedSlide(pixels)).report
    assert report.tissue_pieces == 2
    assert sorted(deposit.piece or 0 for deposit in report.deposits) == [1, 2]
    assert len({(deposit.piece, deposit.centre_um[0] > 1200) for deposit in report.deposits}) == 2
