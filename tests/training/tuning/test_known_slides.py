"""Slides whose deposits are known: outlined ones of a manifest, and ones laid out of patches."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit, Detection
from nodescan.domain.flags import Flag
from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Micrometers
from nodescan.errors import AnnotationError, OutputError, SlideError, UsageError
from nodescan.evaluation.bootstrap import share_of
from nodescan.evaluation.pairing import Pairing
from nodescan.evaluation.reference import read_reference
from nodescan.imaging.sizing import deposit_of, greatest_diameter, numbered, to_shape
from nodescan.phantoms.outlines import Shape
from nodescan.slides import open_slide
from tests.evaluation.made_lesions import lesion, planted
from tests.fakes import held_on_windows, silent
from tests.slides.made_files import reduced
from tests.test_level_check import mottled
from tests.training.made_patches import png, zip_of
from tests.training.made_slides import DISCS, SIDE_PX, SPACING_UM, ZOOM, Disc, write_asap, write_pyramid
from training.camelyon.manifest import DataSlide, read_data_manifest
from training.patches.labelled import PATCH_SPACING_UM, Patches
from training.patches.mosaics import MosaicMaker
from training.slides import checks as sound_slides
from training.tuning.annotated_slides import annotated_slides
from training.tuning.composite_slide import make_composite_slide
from training.tuning.composites import MOSAIC, known_composite, linked, make_composites
from training.tuning.known_slides import KnownSlide, SlideScore, as_stated, recall_above_itc, score_slide, summarise

NORMAL, TUMOUR = (210, 150, 195), (110, 60, 150)


def rows_of(data_set: Path, split: str) -> list[DataSlide]:
    return [row for row in read_data_manifest(data_set / "manifest.csv") if row.split == split]


def patches() -> Patches:
    """Twenty of each class, of one colour and a grain."""
    rng = np.random.default_rng(0)
    tumour = np.arange(40) % 2 == 1
    colours = np.where(tumour[:, None], TUMOUR, NORMAL)[:, None, None]
    pixels = np.clip(colours + rng.normal(0, 20, (40, 96, 96, 1)), 0, 255).astype(np.uint8)
    return Patches(pixels, tumour, tuple(map(str, range(40))))


def zip_of_patches(path: Path) -> Path:
    """The patches as a zip of PNGs."""
    made = patches()
    labels = ("tumor" if tumour else "normal" for tumour in made.tumour)
    members = zip(made.names, labels, made.pixels, strict=True)
    return zip_of(path, {f"{label}/{name:>02}.png": png(pixels) for name, label, pixels in members})


def found(shapes: Sequence[shapely.Polygon]) -> list[Deposit]:
    return list(numbered([deposit_of(shape, greatest_diameter(shape), Micrometers(5.0)) for shape in shapes]))


def test_outlines_become_deposits_of_their_size_and_place(data_set: Path) -> None:
    """In um, one for each outline; a normal slide has none."""
    slides = {slide.name: slide for slide in annotated_slides(rows_of(data_set, "valid"), data_set, tell=silent)}
    assert set(slides) == {"tumor_002", "normal_002"}
    assert slides["normal_002"].label is Metastasis.NONE
    (known,), (disc,) = slides["tumor_002"].deposits, DISCS["tumor_002"]
    assert known.diameter_um == pytest.approx(2 * disc.radius_px * SPACING_UM, rel=0.001)
    centre = to_shape(known.outline).centroid
    assert (centre.x, centre.y) == pytest.approx((disc.x_px * SPACING_UM, disc.y_px * SPACING_UM), abs=0.5)
    assert slides["tumor_002"].label is Metastasis.MICRO


def test_slides_that_are_not_wholly_outlined_say_why_they_are_left_out(data_set: Path) -> None:
    """What is found beside their outlines may be tumour as well."""
    said: list[str] = []
    rows = [replace(row, split="valid") for row in read_data_manifest(data_set / "manifest.csv")]
    rows = [replace(row, annotation_key="") if row.slide_id == "tumor_001" else row for row in rows]
    slides = {slide.name for slide in annotated_slides(rows, data_set, tell=said.append)}
    assert slides == {"tumor_002", "normal_001", "normal_002", "normal_003"}
    for name in ("tumor_001", "tumor_010"):
        assert any(text.startswith(f"{name}: left out (") for text in said)


def test_an_excluded_slide_is_left_out_with_its_reason(data_set: Path) -> None:
    """Of either kind, however well it is outlined."""
    said: list[str] = []
    listed = read_data_manifest(data_set / "manifest.csv")
    rows = [replace(row, split="valid") for row in listed if row.slide_id != "tumor_010"]
    names = {"tumor_001", "normal_001"}
    rows = [replace(row, excluded=True, why="out of focus") if row.slide_id in names else row for row in rows]
    slides = {slide.name for slide in annotated_slides(rows, data_set, tell=said.append)}
    assert slides == {"tumor_002", "normal_002", "normal_003"}
    assert said == [f"{name}: left out (out of focus)" for name in ("tumor_001", "normal_001")]


def test_what_is_excluded_is_cut_out_of_a_deposit(data_set: Path, tmp_path: Path) -> None:
    """A strip of 20 px of the frame through the middle of a disc leaves two deposits, one on each side."""
    shutil.copytree(data_set, tmp_path / "data")
    rows, (disc,) = rows_of(data_set, "valid"), DISCS["tumor_002"]
    outlines = tmp_path / "data" / "CAMELYON16/annotations/tumor_002.xml"
    left, right, top, bottom = (ZOOM * px for px in (disc.x_px - 10, disc.x_px + 10, 0, SIDE_PX))
    corners = "".join(
        f'<Coordinate Order="{i}" X="{x}" Y="{y}"/>'
        for i, (x, y) in enumerate(((left, top), (right, top), (right, bottom), (left, bottom)))
    )
    strip = f'<Annotation Name="-" Type="Polygon" PartOfGroup="_2"><Coordinates>{corners}</Coordinates></Annotation>'
    outlines.write_text(outlines.read_text().replace("</Annotations>", f"{strip}</Annotations>"))
    (slide,) = (found for found in annotated_slides(rows, tmp_path / "data", tell=silent) if found.deposits)
    left_um, right_um = ((disc.x_px + side) * SPACING_UM for side in (-10, 10))
    one, two = sorted((to_shape(deposit.outline).bounds for deposit in slide.deposits), key=lambda bounds: bounds[0])
    assert (one[2], two[0]) == pytest.approx((left_um, right_um), abs=1)
    chord_um = 2 * (disc.radius_px**2 - 10**2) ** 0.5 * SPACING_UM
    assert [deposit.diameter_um for deposit in slide.deposits] == [pytest.approx(chord_um, rel=0.01)] * 2


def test_slides_with_outlines_that_say_nothing_are_left_out_and_it_is_said(data_set: Path, tmp_path: Path) -> None:
    """What is found in such an outline is neither right nor false."""
    shutil.copytree(data_set, tmp_path / "data")
    rows = [replace(row, split="valid") for row in read_data_manifest(data_set / "manifest.csv")]
    outlines = tmp_path / "data" / "CAMELYON16/annotations/tumor_001.xml"
    outlines.write_text(outlines.read_text().replace('"_0"', '"None"', 1))
    said: list[str] = []
    slides = {slide.name for slide in annotated_slides(rows, tmp_path / "data", tell=said.append)}
    assert slides == {"tumor_002", "normal_001", "normal_002", "normal_003"}
    assert [line[:19] for line in said if line.startswith("tumor_001")] == [
        "tumor_001: 1 outlin",
        "tumor_001: left out",
    ]


def test_a_tumour_slide_whose_file_outlines_none_is_refused(data_set: Path, tmp_path: Path) -> None:
    """Taken for normal, every deposit found on it would be false."""
    shutil.copytree(data_set, tmp_path / "data")
    rows = rows_of(data_set, "valid")
    (tumour,) = (row for row in rows if row.label != "negative")
    (tmp_path / "data" / tumour.annotation_key).write_text("<ASAP_Annotations><Annotations/></ASAP_Annotations>")
    with pytest.raises(AnnotationError, match="outlines no tumour, or cuts all of it out"):
        annotated_slides(rows, tmp_path / "data", tell=silent)


def test_a_slide_that_prepare_refuses_is_not_tuned_on(data_set: Path, tmp_path: Path) -> None:
    """Outlines on glass, another file than the manifest's, a level of another slide: what is found would be judged
    by a truth that isn't the slide's."""
    data = tmp_path / "data"
    shutil.copytree(data_set, data)
    tumour, normal = sorted(rows_of(data_set, "valid"), key=lambda row: row.label, reverse=True)
    with pytest.raises(SlideError, match=r"normal_002.tif: wrong checksum: its sha256 isn't the manifest's 0f0f0f0f0f"):
        annotated_slides([tumour, replace(normal, checksum="0f" * 32)], data, tell=silent)
    write_asap(data / tumour.annotation_key, (Disc(20, 20, 19),))
    with pytest.raises(AnnotationError, match=r"outlines tumour where its slide tumor_002.tif shows no tissue"):
        annotated_slides([tumour, normal], data, tell=silent)
    write_pyramid(data / normal.key, mottled(0), reduced(mottled(1), 2))
    with pytest.raises(SlideError, match="shows another picture than the full resolution"):
        annotated_slides([normal, tumour], data, tell=silent)


def test_a_pixel_size_that_the_nuclei_contradict_is_told_before_tuning(
    data_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All sizes that the correction is fitted to would be off by the same factor."""
    flag = Flag("nuclei_out_of_scale", "Cell nuclei look 0.5 times their usual size.")
    monkeypatch.setattr(sound_slides, "spacing_flags", lambda *_: (flag,))
    said: list[str] = []
    annotated_slides(rows_of(data_set, "valid"), data_set, tell=said.append)
    assert sorted(said) == [f"{name}: {flag.message}" for name in ("normal_002", "tumor_002")]


def test_tuning_on_slides_that_were_learned_from_is_told(data_set: Path) -> None:
    """Once; slides of another split are tuned on without a word."""
    said: list[str] = []
    annotated_slides(rows_of(data_set, "valid"), data_set, tell=said.append)
    assert not said
    rows = [row for row in rows_of(data_set, "train") if row.exhaustive]
    annotated_slides(rows, data_set, tell=said.append)
    assert len([line for line in said if "belong to split train" in line and "too good" in line]) == 1


def test_nothing_can_be_chosen_on_slides_of_one_kind_or_missing_ones(data_set: Path, tmp_path: Path) -> None:
    """Both are said before any slide is examined."""
    rows = rows_of(data_set, "valid")
    with pytest.raises(UsageError, match="all tumour or all normal: both are needed"):
        annotated_slides([row for row in rows if row.label == "negative"], data_set, tell=silent)
    with pytest.raises(UsageError, match=r"tif: not there; `key` .* below --data.* \(public slides: python"):
        annotated_slides(rows, tmp_path, tell=silent)


def test_a_slide_is_scored_by_the_pairs_of_evaluation() -> None:
    """The deposit that covers a known one most is its own, the other is a piece, and one in none is false."""
    slide = KnownSlide("s", Path("s.tif"), planted(((1000, 1000), 400), ((5000, 1000), 150)))
    two = [shapely.Point(1000, 1150).buffer(100), shapely.Point(900, 1000).buffer(150)]
    score = score_slide(slide, found([*two, shapely.Point(3000, 3000).buffer(120)]))
    assert (score.truth, score.found) == (Metastasis.MICRO, Metastasis.MICRO)
    large, small = score.pairing.lesions
    assert (large.slide_id, large.true_um, large.measured_um) == ("s", 400, pytest.approx(300, abs=1))
    assert (small, score.missed) == (replace(lesion(150), slide_id="s"), 1)
    assert (score.pairing.false_deposits, score.pairing.pieces) == (1, 1)
    # 100 um short of the 400 planted
    for stated_um, within in ((99.0, 0.0), (101.0, 1.0)):
        told = Pairing((replace(large, uncertainty_um=stated_um), small), 1, 1)
        assert summarise([replace(score, pairing=told)]).size_within.value == within


def test_a_known_deposit_within_another_one_s_is_found_and_needs_no_place() -> None:
    """A satellite that the deposit of a macrometastasis reaches: called tumour, and no size of its own."""
    slide = KnownSlide("s", Path("s.tif"), planted(((2000, 2000), 2200), ((3300, 2000), 300)))
    score = score_slide(slide, found([shapely.box(900, 1500, 3400, 2500)]), places=[])
    assert [(match.merged, match.is_found) for match in score.pairing.lesions] == [(False, True), (True, True)]
    assert (score.missed, score.named) == (0, 0)
    told = summarise([score])
    assert (told.recall_macro.value, told.recall_micro.value, told.size_error_small_um) == (1.0, 1.0, None)


def test_a_missed_deposit_may_lie_at_a_place_that_the_page_names() -> None:
    """49 um beside it is seen with it, 51 um is not; one that is found needs no place."""
    slide = KnownSlide("s", Path("s.tif"), planted(*(((1000 * n, 1000), 100) for n in (1, 2, 3))))
    places = [Detection(0.8, 1000.0, 1000.0), Detection(0.7, 2000.0, 1099.0), Detection(0.6, 3000.0, 1101.0)]
    score = score_slide(slide, found([shapely.Point(1000, 1000).buffer(40)]), places=places)
    assert (score.missed, score.named) == (2, 1)
    assert summarise([score]).missed_named == share_of(1, 2)
    unasked = score_slide(slide, [])
    assert (unasked.missed, unasked.named) == (3, None)
    assert summarise([unasked]).missed_named.value is None


@pytest.fixture
def node_mm(monkeypatch: pytest.MonkeyPatch) -> tuple[float, float]:
    """Height and width of a node that is made in a quarter of the time."""
    small = 2.5, 3.5
    monkeypatch.setattr("training.tuning.composite_slide.NODE_MM", small)
    return small


def test_every_figure_of_six_slides_by_hand() -> None:
    """Truth negative twice, ITC, micro, macro, micro; found negative, ITC, ITC, micro, macro, negative: disagreement
    1 + 4 where chance has (2 x 15 + 7 + 2 x 11 + 27) / 6. Errors from 0.4 mm on are shares, below it um."""
    none, itc, micro, macro = Metastasis
    slides = (
        (none, none, (), 0),
        (none, itc, (), 2),
        (itc, itc, (lesion(100, 130, uncertainty_um=20),), 0),
        (micro, micro, (lesion(400, 440, uncertainty_um=50), lesion(300, 290, uncertainty_um=5)), 1),
        (macro, macro, (lesion(3000, 2100, uncertainty_um=900),), 0),
        (micro, none, (lesion(500),), 0),
    )
    found = summarise(
        [SlideScore(true, said, Pairing(lesions, false, 0), named=1) for true, said, lesions, false in slides[-1:]]
        + [SlideScore(true, said, Pairing(lesions, false, 0)) for true, said, lesions, false in slides[:-1]]
    )
    assert found.kappa.value == pytest.approx(1 - 5 / (86 / 6))
    assert (found.negative_called_negative, found.negatives, found.n) == (1, 2, 6)
    assert found.false_deposits.value == 0.5
    assert found.class_table == ((1, 1, 0, 0), (0, 1, 0, 0), (1, 0, 1, 0), (0, 0, 0, 1))
    assert (found.n_from_400, found.n_below_400) == (2, 2)
    assert (found.size_error_large, found.size_error_small_um) == (pytest.approx(0.2), 20)
    assert (found.n_from_400, found.n_below_400) == (2, 2)
    assert (found.recall_micro.value, found.recall_micro.n) == (2 / 3, 3)  # of three, though drawn by slide
    expected = ((found.recall_itc, 1, 1), (found.recall_macro, 1, 1), (found.size_within, 2, 4))
    for interval, hits, n in (*expected, (found.missed_named, 1, 1)):
        assert interval == share_of(hits, n)


def test_a_median_of_fewer_than_ten_errors_is_not_stated() -> None:
    """Neither from 400 um up nor below; of ten it is."""
    for large, small in ((10, 9), (9, 10)):
        lesions = *[lesion(500, 550, uncertainty_um=9)] * large, *[lesion(300, 320, uncertainty_um=9)] * small
        found = summarise([SlideScore(Metastasis.MICRO, Metastasis.MICRO, Pairing(lesions, 0, 0))])
        stated = as_stated(found)
        assert (found.size_error_large, found.size_error_small_um) == (pytest.approx(0.1), 20)
        assert (stated.n_from_400, stated.n_below_400) == (large, small)
        assert (stated.size_error_large is None, stated.size_error_small_um is None) == (large < 10, small < 10)


def test_recall_above_isolated_tumour_cells_leaves_these_out() -> None:
    """Of 0.1, 0.2, 0.3 and 3 mm, of which 0.2 and 0.3 were missed: 0.2 mm is not above 0.2 mm."""
    lesions = lesion(3000, 2900), lesion(300), lesion(200), lesion(100, 90)
    scores = [SlideScore(one.true_class, one.true_class, Pairing((one,), 0, 0)) for one in lesions]
    assert recall_above_itc(scores) == share_of(1, 2)


def test_figures_of_slides_without_deposits_are_no_numbers() -> None:
    """No recall, no error: neither 0 nor 1."""
    found = summarise([SlideScore(Metastasis.NONE, Metastasis.NONE, Pairing((), 0, 0))] * 2)
    empty = (found.kappa.value, found.recall_micro.value, found.size_error_large, found.size_error_small_um)
    assert empty == (None,) * 4
    assert found.size_within.value is None


@pytest.mark.parametrize(("shape", "share_of_disc"), [(Shape.ROUND, 1.0), (Shape.CRESCENT, 0.282)])
def test_a_composite_holds_what_its_truth_says(
    tmp_path: Path, node_mm: tuple[float, float], shape: Shape, share_of_disc: float
) -> None:
    """Read back through nodescan: tumour where the deposits are, normal tissue beside them, glass outside the node."""
    path = tmp_path / "c.tif"
    make_composite_slide(path, MosaicMaker(patches(), MOSAIC), (900.0, 300.0), seed=3, shape=shape)
    known = known_composite(path)
    assert [d.diameter_um for d in known.deposits] == [900.0, 300.0]
    for deposit in known.deposits:
        outline = to_shape(deposit.outline)
        assert greatest_diameter(outline).diameter_um == pytest.approx(deposit.diameter_um, abs=0.3)
        disc_um2 = np.pi / 4 * deposit.diameter_um**2
        assert outline.area / disc_um2 == pytest.approx(share_of_disc, abs=0.005)
    assert known.label is Metastasis.MICRO
    assert shapely.distance(*(to_shape(deposit.outline) for deposit in known.deposits)) >= 600
    slide = open_slide(SlideRef("c", path))
    try:
        spacing = slide.frame_spacing(0.9, 1.0)
        assert spacing.x == pytest.approx(PATCH_SPACING_UM, rel=1e-4)
        picture = slide.read(PixelBox(0, 0, *slide.frame_size(spacing)), spacing)[..., 1].astype(float)
    finally:
        slide.close()
    y, x = ((np.arange(0, count, 3) + 0.5) * PATCH_SPACING_UM for count in picture.shape)
    union = shapely.union_all([to_shape(d.outline) for d in known.deposits])
    shapely.prepare(areas := [union, union.buffer(80)])
    tumour, within = (shapely.contains_xy(area, *np.meshgrid(x, y)) for area in areas)
    assert abs(picture[::3, ::3][tumour].mean() - TUMOUR[1]) < 6
    assert abs(picture[::3, ::3][within & ~tumour].mean() - NORMAL[1]) < 8
    assert picture[:200, :200].mean() == pytest.approx(242, abs=1)
    share = (picture < 220).mean() * picture.size * PATCH_SPACING_UM**2 / 1e6
    assert share == pytest.approx(np.pi / 4 * node_mm[0] * node_mm[1], rel=0.03)


def test_a_deposit_without_room_is_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(UsageError, match="no room for a deposit of 5900 um in a node of 6 x 8 mm"):
        make_composite_slide(tmp_path / "c.tif", MosaicMaker(patches(), MOSAIC), (5900.0,), seed=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("disk", ["numbered", "unnumbered"])
def test_an_older_slide_of_the_same_name_is_replaced(tmp_path: Path, disk: str, request: pytest.FixtureRequest) -> None:
    """Made again from other patches, a set would be judged by its former slides."""
    (tmp_path / "work").mkdir()
    slide, truth = tmp_path / "work" / "s.tif", tmp_path / "work" / "s.truth.json"
    slide.write_text("old")
    truth.write_text("{}")
    known = [KnownSlide("s", slide, ())]
    linked(known, tmp_path / "set")
    slide.unlink()
    slide.write_text("new")
    if disk == "unnumbered":
        request.getfixturevalue(disk)
    linked(known, tmp_path / "set")
    linked(known, tmp_path / "set")
    assert (tmp_path / "set" / "s.tif").read_text() == "new"
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file: can't be written"):
        linked(known, tmp_path / "file")


def test_on_windows_an_older_slide_that_is_open_for_a_moment_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a virus scanner."""
    (tmp_path / "work").mkdir()
    (tmp_path / "set").mkdir()
    (tmp_path / "work" / "s.tif").write_text("new")
    (tmp_path / "work" / "s.truth.json").write_text("{}")
    (tmp_path / "set" / "s.tif").write_text("old")
    held_on_windows(monkeypatch, "s.tif")
    linked([KnownSlide("s", tmp_path / "work" / "s.tif", ())], tmp_path / "set")
    assert (tmp_path / "set" / "s.tif").read_text() == "new"


@pytest.mark.usefixtures("node_mm")
def test_sets_made_without_a_tool_are_a_reference_for_evaluate(tmp_path: Path) -> None:
    """The label goes round with the seed, the shape with the label; asked again, nothing is made anew."""
    archive = zip_of_patches(tmp_path / "p.zip")
    made = make_composites(None, archive, [4, 6], to=tmp_path / "work")
    assert [slide.label for slide in made] == [Metastasis.NONE, Metastasis.MICRO]
    times = [slide.path.stat().st_mtime_ns for slide in made]
    again = make_composites(None, archive, [4, 6], to=tmp_path / "work")
    assert [slide.path.stat().st_mtime_ns for slide in again] == times
    linked(made, tmp_path / "set")
    labels = {name: found.label for name, found in read_reference(tmp_path / "set").slides.items()}
    assert labels == {"p-shaped-004": Metastasis.NONE, "p-shaped-006": Metastasis.MICRO}
    truth = json.loads(made[1].path.with_suffix(".truth.json").read_text())
    assert (truth["label"], truth["deposits"][0]["shape"]) == ("micro", "elongated")
