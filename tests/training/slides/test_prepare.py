"""Masks and strata of prepared slides against planted truth, and what preparing refuses."""

import hashlib
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from nodescan.annotations import Outlines, read_outlines
from nodescan.annotations.outline_masks import rasterise
from nodescan.domain.flags import Flag
from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import Picture
from nodescan.domain.units import Spacing
from nodescan.errors import AnnotationError, NotASlideError, OutputError, SlideError, UnmeasurableError, UsageError
from nodescan.interfaces import Slide
from nodescan.overview import view_whole
from nodescan.scan_settings import OverviewSettings
from tests.fakes import silent
from tests.slides.made_files import reduced
from tests.test_level_check import mottled
from tests.training.made_runs import SAMPLE
from tests.training.made_slides import DISCS, SIDE_PX, SPACING_UM, Disc, row_of, write_asap, write_pyramid, write_slide
from training.__main__ import main
from training.camelyon.manifest import DataSlide, read_data_manifest, write_data_manifest
from training.patches.mosaics import IGNORED, cell_labels
from training.slides import checks as sound_slides
from training.slides import prepare as preparing
from training.slides.block_mask import draw_mask, load_block_mask
from training.slides.index import STRIDE_PX, IndexRow, Stratum, mask_file, open_cells, read_index
from training.slides.index_digest import index_digest
from training.slides.prepare import EDGE_UM, cell_strata, prepare
from training.slides.sampler import HARD_COLUMNS, Place, SlideSampler

LEVEL0, FRAME = Spacing.square(0.25), Spacing.square(1.0)


def drawn(name: str, side_px: float) -> str:
    """A feature of GeoJSON: a square of a class about (1000, 1000)."""
    low, high = 1000 - side_px / 2, 1000 + side_px / 2
    ring = [[low, low], [high, low], [high, high], [low, high], [low, low]]
    classified = f'"properties": {{"classification": {{"name": "{name}"}}}}'
    return f'{{"type": "Feature", {classified}, "geometry": {{"type": "Polygon", "coordinates": [{ring}]}}}}'


SWALLOWED = f"[{drawn('Tumor', 200)}, {drawn('Normal', 900)}]"
"""The whole node is outlined as normal, the tumour in it, too: what is normal is cut out last."""

SLIP = f"[{drawn('Tumor', 0.4)}]"
"""A click instead of an outline: smaller than a pixel of the mask."""


def entry(index: Path, slide_id: str) -> IndexRow:
    return next(row for row in read_index(index) if row.slide_id == slide_id)


def truth(discs: tuple[Disc, ...]) -> np.ndarray:
    """bool (SIDE_PX, SIDE_PX): pixels of the analysis frame whose centre lies in a deposit."""
    y, x = np.arange(SIDE_PX)[:, None] + 0.5, np.arange(SIDE_PX) + 0.5
    hits = [np.hypot(y - disc.y_px, x - disc.x_px) < disc.radius_px for disc in discs]
    return np.logical_or.reduce(hits)


@settings(max_examples=15, deadline=None)
@given(
    centres=st.lists(st.tuples(st.floats(0, 4000), st.floats(0, 10000), st.floats(20, 2500)), min_size=1, max_size=3),
    left=st.integers(-50, 1000),
    top=st.integers(-50, 2500),
)
def test_a_box_of_the_mask_is_that_part_of_the_outlines_drawn_whole(
    centres: list[tuple[float, float, float]], left: int, top: int
) -> None:
    """Blocks and bands change nothing, wherever deposits lie and whatever box is read; outside there is no tumour."""
    frame = (1000, 2500)
    rings = [shapely.Point(x, y).buffer(radius, quad_segs=20) for x, y, radius in centres]
    tumour = shapely.MultiPolygon(shapely.get_parts(shapely.union_all(rings)).tolist())
    outlines = Outlines("drawn", tumour, shapely.MultiPolygon())
    whole = np.zeros((2700, 1200), bool)
    whole[50:2550, 50:1050] = rasterise(outlines.lesions(), (2500, 1000), level0=LEVEL0, target=FRAME)
    mask = draw_mask(outlines.lesions(), frame, level0=LEVEL0, frame=FRAME)
    read = mask.read(PixelBox(left, top, 150, 140))
    inside_frame = np.zeros((2700, 1200), bool)
    inside_frame[50:2550, 50:1050] = True
    window = slice(top + 50, top + 190), slice(left + 50, left + 200)
    expected, counted = whole[window], inside_frame[window]
    read = read[: expected.shape[0], : expected.shape[1]]
    assert (read == expected)[counted].all()


def test_masks_of_prepared_slides_equal_the_planted_discs(index: Path) -> None:
    """Within the pixels that a polygon of 180 corners leaves out of a disc."""
    for slide_id in ("tumor_001", "tumor_002"):
        mask = load_block_mask(mask_file(index, slide_id)).read(PixelBox(0, 0, SIDE_PX, SIDE_PX))
        wrong = mask ^ truth(DISCS[slide_id])
        around = sum(2 * math.pi * disc.radius_px for disc in DISCS[slide_id])
        assert wrong.sum() < 0.05 * around


def test_strata_lie_where_the_planted_outline_says(index: Path) -> None:
    """Distance of each cell's middle from the outline, in um, against its stratum; every kind is there."""
    row, reach = entry(index, "tumor_001"), EDGE_UM
    assert all(row.counts[stratum] for stratum in Stratum if stratum != Stratum.ELSEWHERE)
    cells, start = open_cells(index, row), 0
    for stratum, count in zip(Stratum, row.counts, strict=True):
        y, x = np.divmod(cells[start : start + count].astype(float), row.columns)
        start += count
        middle = ((y + 0.5) * STRIDE_PX, (x + 0.5) * STRIDE_PX)
        gaps = [np.hypot(middle[0] - d.y_px, middle[1] - d.x_px) - d.radius_px for d in DISCS["tumor_001"]]
        gap_um = np.min(gaps, axis=0) * SPACING_UM
        cell_um = STRIDE_PX * SPACING_UM * math.sqrt(2)
        low, high = {
            Stratum.INSIDE: (-math.inf, -reach),
            Stratum.EDGE_TUMOUR: (-reach, 0),
            Stratum.EDGE_NORMAL: (0, reach),
            Stratum.NEAR: (reach, 500),
            Stratum.ELSEWHERE: (500, math.inf),
        }[stratum]
        assert ((gap_um > low - cell_um) & (gap_um < high + cell_um)).all()


def test_a_slide_that_is_not_outlined_exhaustively_has_no_normal_cells(index: Path) -> None:
    """Only its outlined deposit is drawn from; its other one, which nobody outlined, and all between is not."""
    row = entry(index, "tumor_010")
    assert row.inside > 0
    assert row.edge_normal == row.near == row.elsewhere == 0


def test_a_negative_slide_is_elsewhere_all_over_its_tissue(index: Path) -> None:
    """Tissue area and cells agree, and nothing else is there."""
    row = entry(index, "normal_001")
    assert row.counts[:4] == (0, 0, 0, 0)
    cell_mm2 = (STRIDE_PX * SPACING_UM) ** 2 / 1e6
    assert row.elsewhere * cell_mm2 == pytest.approx(row.tissue_mm2, rel=0.1)
    radius_um = 0.44 * SIDE_PX * SPACING_UM + 40  # tissue is found with a rim of 32 um, on pixels of 16
    assert row.tissue_mm2 == pytest.approx(math.pi * radius_um**2 / 1e6, rel=0.05)


def test_cells_beside_tissue_are_never_drawn_from() -> None:
    """Glass has no stratum, whatever the outline says."""
    shares = np.zeros((9, 9), np.float32)
    shares[3:6, 3:6] = 1
    tissue = np.zeros((9, 9), bool)
    tissue[:, :5] = True
    strata = cell_strata(shares, tissue, Spacing.square(15.5), exhaustive=True)
    assert (strata[:, 5:] == -1).all()
    assert (strata[3:6, 3:5] == Stratum.EDGE_TUMOUR).all()
    assert strata[0, 4] == Stratum.EDGE_NORMAL
    assert strata[0, 0] == Stratum.NEAR


def test_cell_shares_are_the_share_of_tumour_pixels(index: Path) -> None:
    """The strata's shares and the labels that the network learns come from one mask and one grid."""
    mask = load_block_mask(mask_file(index, "tumor_002"))
    shares = mask.cell_shares(STRIDE_PX, (SIDE_PX // STRIDE_PX, SIDE_PX // STRIDE_PX))
    pixels = mask.read(PixelBox(-32, -32, SIDE_PX + 64, SIDE_PX + 64))
    labels = cell_labels(pixels, margin_px=32, stride_px=STRIDE_PX)
    assert ((labels == 1) == (shares >= 0.5)).all()
    assert ((labels == 0) == (shares == 0)).all()


def test_prepared_slides_are_kept_until_something_changes(data_set: Path, tmp_path: Path) -> None:
    """A second run does nothing; with other outlines the slide is prepared again."""
    data = tmp_path / "data"
    row = row_of("tumor_002")
    write_slide(data / row.key, DISCS["tumor_002"], seed=1)
    write_asap(data / row.annotation_key, DISCS["tumor_002"])
    (first,) = prepare([row], data, tmp_path / "index", tell=silent)
    told: list[str] = []
    assert prepare([row], data, tmp_path / "index", tell=told.append) == (first,)
    assert "prepared already" in told[0]
    write_asap(data / row.annotation_key, (Disc(450, 330, 70),))
    (second,) = prepare([row], data, tmp_path / "index", tell=silent)
    assert second.lesion_mm2 == pytest.approx(first.lesion_mm2 / 4, rel=0.02)


def test_slides_are_prepared_again_by_a_nodescan_that_reads_them_otherwise(
    data_set: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where tissue is found or outlines are read in another way, what is there is of the old one."""
    copy = Path(shutil.copytree(index, tmp_path / "index"))
    rows = read_data_manifest(data_set / "manifest.csv")
    for name in ("RESULT_VERSION", "_OUTLINES_VERSION"):
        told: list[str] = []
        prepare(rows, data_set, copy, tell=told.append)
        assert all("prepared already" in line for line in told)
        monkeypatch.setattr(preparing, name, getattr(preparing, name) + 1)
        prepare(rows, data_set, copy, tell=told.append)
        assert not any("prepared already" in line for line in told[len(rows) :])


def test_a_slide_whose_levels_show_two_pictures_is_not_learned_from(tmp_path: Path) -> None:
    """Outlines are drawn on the full resolution, patches taken from the level of another: labels would be chance."""
    row = row_of("normal_001")
    one, other = mottled(0), mottled(1)
    for analysed in (other, one[:, ::-1]):
        write_pyramid(tmp_path / row.key, one, reduced(analysed, 2))
        with pytest.raises(SlideError, match="shows another picture than the full resolution"):
            prepare([row], tmp_path, tmp_path / "index", tell=silent)
    write_pyramid(tmp_path / row.key, one, reduced(one, 2))
    assert prepare([row], tmp_path, tmp_path / "index", tell=silent)


def test_a_pixel_size_that_the_nuclei_contradict_is_told(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a scan tells it, each time: the network would be taught tissue at half or twice its size."""
    flag = Flag("nuclei_out_of_scale", "Cell nuclei look 0.5 times their usual size.")
    monkeypatch.setattr(sound_slides, "spacing_flags", lambda *_: (flag,))
    for _ in range(2):
        said: list[str] = []
        prepare([row_of("normal_001")], data_set, tmp_path, tell=said.append)
        assert said[1:] == [f"1/1 normal_001: {flag.message}"]
    assert said[0] == "1/1 normal_001: prepared already"
    assert entry(tmp_path, "normal_001").notes == flag.message


def test_a_second_prepare_into_a_folder_is_refused_while_the_first_works(data_set: Path, tmp_path: Path) -> None:
    """Each would write the index without the other's slides."""
    rows = read_data_manifest(data_set / "manifest.csv")
    to, said = tmp_path / "index", list[str]()

    def meanwhile(_: str) -> None:
        with pytest.raises(OutputError) as refused:
            prepare(rows[3:], data_set, to, tell=silent)
        said.append(str(refused.value))

    prepare(rows[:3], data_set, to, tell=meanwhile)
    assert said
    assert all(line.startswith(f"{to}: another run (process ") for line in said)
    prepare(rows[3:], data_set, to, tell=silent)
    assert len(read_index(to)) == len(rows)


def test_a_slide_of_tumour_without_outlines_is_left_out_and_said(data_set: Path, tmp_path: Path) -> None:
    """It can give neither tumour nor normal tissue."""
    told: list[str] = []
    rows = [replace(row_of("tumor_001"), annotation_key="", why="nobody outlined it"), row_of("normal_001")]
    kept = prepare(rows, data_set, tmp_path, tell=told.append)
    assert [row.slide_id for row in kept] == ["normal_001"]
    assert told[0] == "tumor_001: left out, nothing is outlined (nobody outlined it)"
    with pytest.raises(UsageError, match="none of the slides can be sampled from"):
        prepare(rows[:1], data_set, tmp_path, tell=silent)


def test_missing_slides_are_named_before_any_work(data_set: Path, tmp_path: Path) -> None:
    """Slide and outlines alike, with the way out."""
    rows = [
        row_of("normal_001"),
        replace(row_of("tumor_001"), slide_id="gone", key="a/gone.tif", annotation_key="a.xml"),
    ]
    with pytest.raises(
        UsageError, match=r"a/gone.tif, .*a.xml: not there; `key` and `annotation_key` are places below --data"
    ):
        prepare(rows, data_set, tmp_path, tell=silent)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_slide_is_named(tmp_path: Path) -> None:
    """A download that is HTML, say."""
    row = row_of("normal_001")
    (tmp_path / row.key).parent.mkdir(parents=True)
    (tmp_path / row.key).write_text("<html>no such key</html>")
    with pytest.raises(NotASlideError, match=r"normal_001.tif: not a slide"):
        prepare([row], tmp_path, tmp_path / "index", tell=silent)


@pytest.mark.parametrize("x_px", [20, 70])
def test_outlines_beside_all_tissue_are_refused(data_set: Path, tmp_path: Path, x_px: int) -> None:
    """Drawn at another magnification, say: what was meant would be taught as normal. One that reaches tissue is not."""
    row = row_of("tumor_001")
    (tmp_path / row.key).parent.mkdir(parents=True)
    (tmp_path / row.key).symlink_to(data_set / row.key)
    write_asap(tmp_path / row.annotation_key, (Disc(x_px, SIDE_PX / 2 if x_px > 20 else 20, 19),))
    if x_px > 20:
        assert prepare([row], tmp_path, tmp_path / "index", tell=silent)[0].edge_tumour
    else:
        with pytest.raises(AnnotationError, match=r"tumor_001.tif shows no tissue; it belongs to another slide, or"):
            prepare([row], tmp_path, tmp_path / "index", tell=silent)


@pytest.mark.parametrize(
    ("outlined", "said"),
    [
        ((Disc(120, 120, 90),), "6[0-9] % of the outlined tumour lies where the slide shows no tissue; check that"),
        ((Disc(120, 120, 90), Disc(448, 448, 200)), ""),
        ((Disc(50, SIDE_PX / 2, 15),), ""),
    ],
    ids=["mostly on glass", "little of all", "some cells at the rim"],
)
def test_outlines_mostly_on_glass_are_told(
    data_set: Path, tmp_path: Path, outlined: tuple[Disc, ...], said: str
) -> None:
    """They may be another slide's. Not some tumour cells at the rim of tissue, over which an outline reaches."""
    row = row_of("tumor_001")
    (tmp_path / row.key).parent.mkdir(parents=True)
    (tmp_path / row.key).symlink_to(data_set / row.key)
    write_asap(tmp_path / row.annotation_key, outlined)
    told: list[str] = []
    prepare([row], tmp_path, tmp_path / "index", tell=told.append)
    notes = [line for line in told if "of the outlined tumour" in line]
    assert len(notes) == bool(said)
    assert re.search(said, "".join(notes))


def test_what_of_the_overview_cannot_be_read_is_said(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tissue there is not in the index, and nobody would know why."""

    def view_torn(slide: Slide, chosen: OverviewSettings) -> tuple[Picture, np.ndarray]:
        picture, unread = view_whole(slide, chosen)
        unread[: unread.shape[0] // 2] = True
        return picture, unread

    monkeypatch.setattr("training.slides.checks.view_whole", view_torn)
    told: list[str] = []
    prepare([row_of("normal_001")], data_set, tmp_path / "index", tell=told.append)
    assert re.search(r"normal_001: (49|50)\.\d% of the overview can't be read, and nothing is drawn", told[-1])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("o.xml", None, "an outline at x 3700 to 3900, y 100 to 300 px lies outside of its slide tumor_001.tif"),
        ("o.xml", "<ASAP_Annotations><Annotations/></ASAP_Annotations>", "outlines no tumour, or cuts all of it out"),
        ("o.geojson", SWALLOWED, "all its tumour lies within outlines that are cut out of it"),
        ("o.geojson", SLIP, "outlines no tumour, or cuts all of it out"),
        (
            "o.xml",
            '<ASAP_Annotations><Annotations><Annotation Name="A" Type="Polygon" PartOfGroup="_0"><Coordinates>'
            '<Coordinate Order="0" X="1" Y="1"/><Coordinate Order="1" X="9" Y="9"/>'
            "</Coordinates></Annotation></Annotations></ASAP_Annotations>",
            "has fewer than three corners",
        ),
        (
            "o.geojson",
            '[{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [90, 0], [90, 90]]]}}]',
            "has a ring that is not closed",
        ),
    ],
)
def test_outlines_that_do_not_fit_their_slide_are_refused(
    data_set: Path, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    """Outside of the slide, nothing outlined, no polygon, unclosed: the text names the file."""
    row = replace(row_of("tumor_001"), annotation_key=name)
    (tmp_path / row.key).parent.mkdir(parents=True)
    (tmp_path / row.key).symlink_to(data_set / row.key)
    if content is None:
        write_asap(tmp_path / name, (Disc(300, 300, 50), Disc(1900, 100, 50)))
    else:
        (tmp_path / name).write_text(content)
    with pytest.raises(AnnotationError) as caught:
        prepare([row], tmp_path, tmp_path / "index", tell=silent)
    assert said in str(caught.value)
    assert name in str(caught.value)


def test_an_index_that_is_not_whole_is_refused(index: Path, tmp_path: Path) -> None:
    """No index, a row of words, cells that don't match: the text says to run prepare again."""
    with pytest.raises(UsageError, match=r"no index.csv there; make it with python -m training prepare"):
        read_index(tmp_path)
    with pytest.raises(UsageError, match=r"no index.csv there; make it with python -m training prepare"):
        read_index(index / "index.csv")
    text = (index / "index.csv").read_text()
    (tmp_path / "index.csv").write_text(text.replace(",896,", ",wide,", 1))
    with pytest.raises(UsageError, match=r"index.csv: row 2 can't be read .*delete it, run prepare again"):
        read_index(tmp_path)
    row = entry(index, "normal_001")
    np.save(tmp_path / "normal_001.cells.npy", np.zeros(7, np.uint32))
    with pytest.raises(UsageError, match=r"holds uint32 \(7,\), index.csv says"):
        open_cells(tmp_path, row)


@pytest.mark.parametrize("name", ["normal_001.cells.npy", "normal_001.mask.npz", "normal_001.ignored.npz"])
def test_damaged_files_of_an_index_are_made_anew(data_set: Path, tmp_path: Path, name: str) -> None:
    """Cut off anywhere, or a byte of its head another one: refused by name until prepare has mended it."""
    rows = [row_of("normal_001")]
    (row,) = prepare(rows, data_set, tmp_path, tell=silent)
    whole = (tmp_path / name).read_bytes()
    damaged = [whole[:length] for length in (0, 3, 9, 60, len(whole) - 1)]
    damaged += [whole[:at] + byte + whole[at + 1 :] for at in range(128) for byte in (b"\0", b"(", b"a", b"\xff")]
    for content in damaged:
        (tmp_path / name).write_bytes(content)
        try:
            cells, mask = open_cells(tmp_path, row), load_block_mask(mask_file(tmp_path, "normal_001"))
        except UsageError:
            continue
        assert (cells.dtype, len(cells), mask.tumour_px) == (np.uint32, sum(row.counts), 0)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match=f"{name}: .*run prepare again"):
        _ = open_cells(tmp_path, row) if name.endswith("npy") else load_block_mask(tmp_path / name)
    prepare(rows, data_set, tmp_path, tell=silent)
    assert (tmp_path / name).read_bytes() == whole
    assert not list(tmp_path.glob(".*"))


def test_masks_of_real_outlines_have_their_area(shared: Path) -> None:
    """Drawn at the analysis spacing on a frame as large as the slides', each within 1 % of its polygons' exact area."""
    files = sorted((shared / "data/camelyon16/annotations").glob("*.xml"))
    level0, frame = Spacing.square(0.243), Spacing.square(0.972)
    assert files
    for file in files:
        lesions = read_outlines(file).lesions()
        mask = draw_mask(lesions, (30_000, 56_000), level0=level0, frame=frame)
        assert mask.tumour_px == pytest.approx(lesions.area / 16, rel=0.01), file.name


def prepared(data_set: Path, to: Path) -> None:
    prepare([row_of(name) for name in ("tumor_001", "normal_001")], data_set, to, tell=silent)


@pytest.mark.parametrize("end", [KeyboardInterrupt(), OutputError("no space left")])
def test_a_slide_whose_preparing_ended_midway_is_not_prepared_already(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    """Its new mask lay under the old row: with the old outlines put back, labels would be those of the others."""
    data, index, row = tmp_path / "data", tmp_path / "index", row_of("tumor_002")
    shutil.copytree(data_set, data)
    prepare([row, row_of("normal_001")], data, index, tell=silent)
    right, mask = (data / row.annotation_key).read_bytes(), mask_file(index, "tumor_002")
    right_px = load_block_mask(mask).tumour_px
    write_asap(data / row.annotation_key, (Disc(450, 330, 70),))

    def ended(*_: object) -> Path:
        raise end

    with monkeypatch.context() as patched:
        patched.setattr(preparing, "ignored_file", ended)
        with pytest.raises(type(end)):
            prepare([row], data, index, tell=silent)
    assert load_block_mask(mask).tumour_px < right_px / 2
    assert [kept.slide_id for kept in read_index(index)] == ["normal_001"]
    (data / row.annotation_key).write_bytes(right)
    prepare([row], data, index, tell=silent)
    assert load_block_mask(mask).tumour_px == right_px


def test_what_fails_costs_its_own_slide_only(data_set: Path, tmp_path: Path) -> None:
    """The others are in the index, one that was there before isn't any more, and the run ends with an error."""
    data, index = tmp_path / "data", tmp_path / "index"
    shutil.copytree(data_set, data)
    prepared(data, index)
    (data / row_of("tumor_001").annotation_key).write_text("<html/>")
    told: list[str] = []
    rows = [row_of(name) for name in ("tumor_001", "tumor_002", "normal_001")]
    with pytest.raises(AnnotationError, match=r"tumor_001.xml: is XML, but not of ASAP"):
        prepare(rows, data, index, tell=told.append)
    assert {row.slide_id for row in read_index(index)} == {"tumor_002", "normal_001"}
    assert told[0].startswith("1/3 tumor_001: failed: tumor_001.xml: ")
    (data / row_of("tumor_002").annotation_key).write_text("<html/>")
    with pytest.raises(SlideError, match=r"^2 of 3 slides can't be prepared, the others are: tumor_001.xml: "):
        prepare(rows, data, index, tell=silent)
    assert [row.slide_id for row in read_index(index)] == ["normal_001"]


def test_a_slide_that_is_excluded_leaves_the_index(data_set: Path, tmp_path: Path) -> None:
    """A fault that was found later is not trained on any more."""
    prepared(data_set, tmp_path)
    told: list[str] = []
    rows = [row_of("normal_001"), replace(row_of("tumor_001"), excluded=True, why="drawn on the wrong slide")]
    prepare(rows, data_set, tmp_path, tell=told.append)
    assert [row.slide_id for row in read_index(tmp_path)] == ["normal_001"]
    assert told[0].startswith("tumor_001: taken out of the index")


def test_a_slide_that_left_the_manifest_is_told(
    data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be another manifest's, so it stays; one that --slides passes over isn't named."""
    prepared(data_set, tmp_path / "index")
    words = ["--data", str(data_set), "--to", str(tmp_path / "index"), "--slides", "normal_001"]
    for names, told in ((("tumor_001", "normal_001"), False), (("normal_001",), True)):
        write_data_manifest([row_of(name) for name in names], tmp_path / "m.csv")
        assert main(["prepare", "--manifest", str(tmp_path / "m.csv"), *words]) == 0
        said = capsys.readouterr().out
        assert ("tumor_001: not in m.csv, but still in the index, and trained on; to be rid" in said) is told
        assert "2 slides" in said


@pytest.mark.parametrize(
    ("patients", "said"),
    [(("", ""), "patient_id is empty for 2 of 2 slides: whether"), (("anna", ""), "empty for 1 of 2 slides: whether")],
)
def test_slides_of_nobody_are_told(
    data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], patients: tuple[str, str], said: str
) -> None:
    """One patient may be learned from and tested on under two names; where all are known nothing is said."""
    words = ["prepare", "--manifest", str(tmp_path / "m.csv"), "--data", str(data_set), "--to", str(tmp_path / "index")]
    for names, told in ((patients, True), (("anna", "berta"), False)):
        of = zip(("tumor_001", "normal_001"), names, strict=True)
        write_data_manifest([replace(row_of(slide), patient_id=name) for slide, name in of], tmp_path / "m.csv")
        assert main(words) == 0
        out = capsys.readouterr().out
        assert (f"{said} a patient is in two splits isn't checked" in out) is told
        assert ("patient_id" in out) is told


def test_an_index_of_two_manifests_keeps_a_patient_in_one_split(data_set: Path, tmp_path: Path) -> None:
    """Refused before any work, naming patient and slides; with all of the patient's slides moved it is taken."""
    rows = [replace(row_of(name), patient_id="anna", split="train") for name in ("tumor_001", "normal_001")]
    prepare(rows, data_set, tmp_path, tell=silent)
    moved = [replace(row, split="valid") for row in rows]
    with pytest.raises(
        UsageError, match="patient 'anna' is in split 'valid' with tumor_001, in 'train' with normal_001"
    ):
        prepare(moved[:1], data_set, tmp_path, tell=silent)
    assert {row.split for row in read_index(tmp_path)} == {"train"}
    prepare(moved, data_set, tmp_path, tell=silent)
    assert {row.split for row in read_index(tmp_path)} == {"valid"}
    text = (tmp_path / "index.csv").read_text()
    (tmp_path / "index.csv").write_text(text.replace(",valid,", ",train,", 1))
    with pytest.raises(UsageError, match="patient 'anna' is in split"):
        read_index(tmp_path)


def outlined_in_part(data_set: Path, folder: Path, group: str) -> DataSlide:
    """tumor_001 in `folder`, as exhaustively outlined; its first disc is in a group, and a square beside both."""
    row = row_of("tumor_001")
    (folder / row.key).parent.mkdir(parents=True, exist_ok=True)
    (folder / row.key).symlink_to(data_set / row.key)
    write_asap(folder / row.annotation_key, DISCS["tumor_001"])
    text = (folder / row.annotation_key).read_text()
    corners = "".join(
        f'<Coordinate Order="{i}" X="{x}" Y="{y}"/>'
        for i, (x, y) in enumerate(((1200, 400), (1500, 400), (1500, 700), (1200, 700)))
    )
    square = (
        f'<Annotation Name="?" Type="Polygon" PartOfGroup="{group}"><Coordinates>{corners}</Coordinates></Annotation>'
    )
    (folder / row.annotation_key).write_text(text.replace("</Annotations>", f"{square}</Annotations>"))
    return row


def test_what_an_outline_without_a_class_encloses_is_neither_tumour_nor_normal(data_set: Path, tmp_path: Path) -> None:
    """It may be either: no patch whose label speaks of it is drawn, no cell of a tile is labelled, and it is said."""
    row, told = outlined_in_part(data_set, tmp_path, "None"), list[str]()
    negative = row_of("normal_001")
    (tmp_path / negative.key).symlink_to(data_set / negative.key)
    prepare([row, negative], tmp_path, tmp_path / "index", tell=told.append)
    assert told[1] == "1/2 tumor_001: 1 outline in no group, or to be ignored, left out: annotation '?'"
    (tmp_path / "plain").mkdir()
    prepare([row_of("tumor_001")], data_set, tmp_path / "plain", tell=silent)
    drawn, known = entry(tmp_path / "index", "tumor_001"), entry(tmp_path / "plain", "tumor_001")
    assert drawn.counts[:2] == known.counts[:2]
    normal = open_cells(tmp_path / "index", drawn)[sum(drawn.counts[:2]) :].astype(int)
    y, x = (cell * STRIDE_PX for cell in np.divmod(normal, drawn.columns))
    assert not ((x + 32 > 600) & (x - 16 < 750) & (y + 32 > 200) & (y - 16 < 350)).any()
    assert len(normal) > 1000
    sampler = SlideSampler(tmp_path / "index", "train", SAMPLE)
    number = [found.slide_id for found in sampler.rows].index("tumor_001")
    _, cells = sampler.tile(Place(number, 750, 350, Stratum.NEAR), 192, margin_px=32)
    assert (cells[:4, :4] == IGNORED).all()
    assert not cells[4:].any()
    assert not cells[:, 4:].any()
    hard = tmp_path / "hard.csv"
    hard.write_text(f"{','.join(HARD_COLUMNS)}\ntumor_001,627,202,96,96,0.9\n")
    with pytest.raises(
        UsageError, match=r"row 2: tumor_001: .*middle, 675, 250 px, lies in an outline that says nothing"
    ):
        SlideSampler(tmp_path / "index", "train", SAMPLE, hard_negatives=hard)


@pytest.mark.parametrize("group", ["None", "_2"])
def test_an_exclusion_off_its_slide_is_refused_and_one_over_the_rim_is_not(
    data_set: Path, tmp_path: Path, group: str
) -> None:
    """It was drawn on another slide, so that something is missing here; a rim is drawn over by hand. So it is with what
    says nothing."""
    row = outlined_in_part(data_set, tmp_path, group)
    file = tmp_path / row.annotation_key
    over = file.read_text().replace('X="1500"', 'X="9000"')
    file.write_text(over)
    prepare([row], tmp_path, tmp_path / "index", tell=silent)
    file.write_text(over.replace('X="1200"', 'X="8000"'))
    with pytest.raises(
        AnnotationError, match="an outline at x 8000 to 9000, y 400 to 700 px lies outside of its slide"
    ):
        prepare([row], tmp_path, tmp_path / "index", tell=silent)


def test_a_tumour_slide_whose_outlines_all_say_nothing_is_refused_with_the_way_out(
    data_set: Path, tmp_path: Path
) -> None:
    """A group that was never chosen in ASAP."""
    row = outlined_in_part(data_set, tmp_path, "None")
    text = (tmp_path / row.annotation_key).read_text()
    (tmp_path / row.annotation_key).write_text(text.replace('"_0"', '"None"'))
    with pytest.raises(AnnotationError, match=r"\(3 outlines in no group, or to be ignored\); put them into"):
        prepare([row], tmp_path, tmp_path / "index", tell=silent)


@pytest.mark.parametrize(
    ("name", "said"), [("again.tif", r"both are .*normal_001\.tif"), ("copy.tif", "their files have the same content")]
)
def test_one_slide_is_in_one_split_whatever_it_is_called(data_set: Path, tmp_path: Path, name: str, said: str) -> None:
    """A link to a slide of the index, or a copy of it: it would be tested on what was learned."""
    row = row_of("normal_001")
    (tmp_path / "data").mkdir()
    other = replace(row, slide_id="other", key=name, split="valid")
    (tmp_path / "data" / name).symlink_to(data_set / row.key)
    if name == "copy.tif":
        (tmp_path / "data" / name).unlink()
        shutil.copy(data_set / row.key, tmp_path / "data" / name)
    prepare([row], data_set, tmp_path / "index", tell=silent)
    told = (
        rf"(other|normal_001) \(split '\w+'\) and (other|normal_001) \(split '\w+'\) are one slide, {said}: give both "
    )
    with pytest.raises(UsageError, match=f"{told}one split, or write yes into the `excluded` of one$"):
        prepare([other], tmp_path / "data", tmp_path / "index", tell=silent)
    assert [found.slide_id for found in read_index(tmp_path / "index")] == ["normal_001"]
    prepare([replace(other, split="train")], tmp_path / "data", tmp_path / "index", tell=silent)
    assert len(read_index(tmp_path / "index")) == 2


def test_a_slide_of_another_checksum_than_the_manifests_is_refused(data_set: Path, tmp_path: Path) -> None:
    """The right one is taken; a wrong one costs that slide, also where it was prepared before the sum was known."""
    row = row_of("normal_001")
    prepare([row], data_set, tmp_path, tell=silent)
    with pytest.raises(
        SlideError, match=r"normal_001.tif: wrong checksum: its sha256 isn't the manifest's 0f0f0f0f0f0f\.\.\.; fetch"
    ):
        prepare([replace(row, checksum="0f" * 32)], data_set, tmp_path, tell=silent)
    assert read_index(tmp_path) == ()
    right = hashlib.md5((data_set / row.key).read_bytes()).hexdigest()
    prepare([replace(row, checksum=right)], data_set, tmp_path, tell=silent)
    assert len(read_index(tmp_path)) == 1


@pytest.mark.parametrize("slides", [("normal_001",), ("normal_001", "normal_003")])
def test_a_wrong_checksum_ends_prepare_as_it_ends_a_download(
    data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], slides: tuple[str, ...]
) -> None:
    """The command is right and the file isn't: exit code 1, for one slide or several."""
    rows = [replace(row_of(name), checksum=f"{n}f" * 32) for n, name in enumerate(slides)]
    write_data_manifest([*rows, row_of("tumor_001")], tmp_path / "m.csv")
    words = ["prepare", "--manifest", str(tmp_path / "m.csv"), "--data", str(data_set), "--to", str(tmp_path / "index")]
    assert main(words) == 1
    assert "normal_001.tif: wrong checksum: " in capsys.readouterr().err
    assert [row.slide_id for row in read_index(tmp_path / "index")] == ["tumor_001"]


def test_a_checksum_that_is_filled_in_later_leaves_the_order_and_what_is_prepared(
    data_set: Path, tmp_path: Path
) -> None:
    """A run that was begun before goes on; the sum is compared once, and the slide isn't prepared again for it."""
    rows = read_data_manifest(data_set / "manifest.csv")
    prepare(rows, data_set, tmp_path, tell=silent)
    before, row = read_index(tmp_path), rows[0]
    summed = replace(row, checksum=hashlib.sha256((data_set / row.key).read_bytes()).hexdigest())
    told: list[str] = []
    prepare([summed], data_set, tmp_path, tell=told.append)
    assert told == [f"1/1 {row.slide_id}: prepared already"]
    assert index_digest(tmp_path, read_index(tmp_path)) == index_digest(tmp_path, before)
    assert [found.checksum for found in read_index(tmp_path) if found.checksum] == [summed.checksum]


def test_the_order_of_an_index_is_that_of_its_ids(data_set: Path, tmp_path: Path) -> None:
    """Whichever slide was prepared last, or again."""
    for name in ("tumor_001", "normal_003", "normal_001"):
        prepare([row_of(name)], data_set, tmp_path, tell=silent)
    mask_file(tmp_path, "normal_001").unlink()
    prepare([row_of("normal_001")], data_set, tmp_path, tell=silent)
    assert [row.slide_id for row in read_index(tmp_path)] == ["normal_001", "normal_003", "tumor_001"]


def test_a_slide_without_spacing_is_refused_without_an_option_that_is_not_there(tmp_path: Path) -> None:
    """prepare has no --mpp."""
    row = row_of("normal_001")
    (tmp_path / row.key).parent.mkdir(parents=True)
    pixels = np.full((512, 512, 3), 200, np.uint8)
    tifffile.imwrite(tmp_path / row.key, pixels, tile=(256, 256), photometric="rgb", metadata=None)
    with pytest.raises(UnmeasurableError) as caught:
        prepare([row], tmp_path, tmp_path / "index", tell=silent)
    assert "--mpp" not in str(caught.value)
    assert "write its resolution into the file's tags, or write yes into its `excluded`" in str(caught.value)


def test_a_slide_too_coarse_to_train_on_is_told_the_only_spacing(tmp_path: Path) -> None:
    """Another model, which a scan of it would be told to use, is what is to be trained here."""
    row, pixels = row_of("normal_001"), np.full((512, 512, 3), 200, np.uint8)
    (tmp_path / row.key).parent.mkdir(parents=True)
    resolution = {"resolution": (1e4 / 1.2, 1e4 / 1.2), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / row.key, pixels, tile=(256, 256), photometric="rgb", metadata=None, **resolution)
    with pytest.raises(
        UnmeasurableError, match=r"1\.2 um/px, too coarse .*; models are trained and tuned at 0\.9 to 1 um/px alone"
    ):
        prepare([row], tmp_path, tmp_path / "index", tell=silent)


def test_a_place_that_cannot_be_written_to_is_named(data_set: Path, tmp_path: Path) -> None:
    """A file where the index should be a folder, in one line."""
    (tmp_path / "index").write_text("a file")
    with pytest.raises(OutputError, match="index: can't be written"):
        prepared(data_set, tmp_path / "index")
