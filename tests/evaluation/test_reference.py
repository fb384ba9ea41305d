"""References are read as they are published, and refused where they contradict themselves."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodescan.domain.classification import Metastasis
from nodescan.domain.units import Spacing
from nodescan.errors import AnnotationError, UsageError
from nodescan.evaluation.lesion_files import OWN_OUTLINES
from nodescan.evaluation.lesions import measured_lesions
from nodescan.evaluation.reference import read_reference
from nodescan.mask_images import MASK_FORMATS
from nodescan.reports.geojson_report import write_geojson
from tests.patients.made_reports import write_csv
from tests.reports.factory import MICRO, result
from tests.slides.made_dicom import Level, write_level


def mask_png(path: Path, value: int = 255, *, empty: bool = False) -> Path:
    pixels = np.zeros((60, 80), dtype=np.uint8)
    if not empty:
        pixels[10:40, 20:50] = value
    Image.fromarray(pixels).save(path)
    return path


def square_xml(path: Path, side_px: int = 3200) -> Path:
    corners = [(640, 320), (640 + side_px, 320), (640 + side_px, 320 + side_px), (640, 320 + side_px)]
    points = "".join(f'<Coordinate Order="{n}" X="{x}" Y="{y}"/>' for n, (x, y) in enumerate(corners))
    path.write_text(
        '<?xml version="1.0"?><ASAP_Annotations><Annotations><Annotation Name="A" Type="Polygon" PartOfGroup="_0">'
        f"<Coordinates>{points}</Coordinates></Annotation></Annotations></ASAP_Annotations>"
    )
    return path


def test_the_outlines_of_one_slide_are_given_by_their_folder(tmp_path: Path) -> None:
    """Named alone they would say nothing of the other slides: the line says so, not that a CSV is damaged."""
    (tmp_path / "s_2.json").write_text('{"type": "FeatureCollection", "features": []}')
    for path in (square_xml(tmp_path / "s.xml"), mask_png(tmp_path / "s_mask.png"), tmp_path / "s_2.json"):
        with pytest.raises(UsageError, match=r"shows the lesions of one slide, .*; name the folder of such files"):
            read_reference(path)
    (tmp_path / "report.json").write_text('{"status": "complete"}')
    with pytest.raises(UsageError, match=r"^report\.json: is JSON, and --reference is a CSV; name a CSV file"):
        read_reference(tmp_path / "report.json")


def test_camelyon16s_own_table(shared: Path) -> None:
    """130 rows, test_049 left out and said so: 49 tumour and 80 normal slides remain."""
    found = read_reference(shared / "data" / "camelyon16" / "test_reference.csv")
    assert len(found.slides) == 129
    assert sum(bool(slide.tumour) for slide in found.slides.values()) == 49
    assert found.notes == ("Test_049 is left out: a duplicate of another slide",)
    assert found.find("test_001") is found.find("TEST_001")
    assert found.find("test_001").label is Metastasis.MACRO


def test_camelyon17s_own_table(shared: Path) -> None:
    """500 slides with a class, 100 patients with a stage."""
    found = read_reference(shared / "data" / "camelyon17" / "stage_labels.csv")
    assert (len(found.slides), len(found.nodes), len(found.stages)) == (500, 500, 100)


@pytest.mark.parametrize("value", [1, 255])
def test_masks_of_zero_and_one_or_255_are_the_same(tmp_path: Path, value: int) -> None:
    """Both are in use, and taking one for the other gives garbage."""
    mask_png(tmp_path / "Test_001_Mask.png", value)
    slide = read_reference(tmp_path).find("test_001")
    assert slide.tumour
    drawn = slide.lesions.mask(None)
    assert (int(drawn.tumour.sum()), drawn.origin, drawn.whole) == (900, (0, 0), True)


def test_outlines_are_drawn_at_level_5(tmp_path: Path) -> None:
    """A square of 3,200 level-0 px is 100 x 100 px at level 5, at its place, with and without the slide's size."""
    square_xml(tmp_path / "tumor_001.xml")
    file = read_reference(tmp_path).find("tumor_001").lesions
    whole = file.mask((6400, 4800))
    assert whole.tumour.shape == (150, 200)
    assert whole.tumour[10:110, 20:120].all()
    assert whole.tumour.sum() == 10_000
    part = file.mask(None)
    assert not part.whole
    rows, columns = np.nonzero(part.tumour)
    assert (rows.min() + part.origin[0], columns.min() + part.origin[1], len(rows)) == (10, 20, 10_000)


@pytest.mark.parametrize("spacing_um", [0.1, 0.243])
def test_a_lesion_grows_as_far_where_the_size_of_its_slide_is_not_known(tmp_path: Path, spacing_um: float) -> None:
    """At the finest spacing, too, the window around the outlines is wide enough."""
    square_xml(tmp_path / "S.xml")
    file = read_reference(tmp_path).find("S").lesions
    drawn = file.mask((6400, 4800)), file.mask(None)
    ends = [np.argwhere(measured_lesions(mask.tumour, spacing_um).labels).max(axis=0) + mask.origin for mask in drawn]
    assert ends[0].tolist() == ends[1].tolist()


def test_a_lesion_off_its_slide_is_refused(tmp_path: Path) -> None:
    """No system could find it; one that only reaches over the edge is drawn as far as the slide goes."""
    square_xml(tmp_path / "tumor_001.xml")
    file = read_reference(tmp_path).find("tumor_001").lesions
    assert file.mask((672, 4800)).tumour.sum() == 100
    with pytest.raises(
        AnnotationError, match=r"tumor_001\.xml: a lesion at 640, 320 px lies off its slide of 640 x 4800"
    ):
        file.mask((640, 4800))


def test_planted_truth_is_a_reference(tmp_path: Path) -> None:
    """Discs by centre and diameter, and outlines where there are any."""
    truth = {
        "um_per_px": 0.5,
        "label": "macro",
        "deposits": [
            {"centre_um": [3000, 3000], "diameter_um": 2600},
            {"centre_um": [8000, 3000], "diameter_um": 100, "outline_um": [[7950, 3000], [8050, 3000], [8000, 3020]]},
        ],
    }
    (tmp_path / "p1.truth.json").write_text(json.dumps(truth))
    slide = read_reference(tmp_path).find("p1")
    assert (slide.tumour, slide.label, slide.largest_um) == (True, Metastasis.MACRO, 2600)
    sizes = [deposit.diameter_um for deposit in slide.lesions.deposits(Spacing.square(0.5))]
    assert sizes == pytest.approx([2600, 100])


def test_in_a_folder_of_tumour_masks_the_rest_is_normal(tmp_path: Path) -> None:
    """As in the challenge; but a slide whose name says tumour should have had its mask."""
    mask_png(tmp_path / "test_001_mask.png")
    found = read_reference(tmp_path)
    assert found.find("test_002").tumour is False
    assert found.find("tumor_002") is None


def test_what_is_not_read_in_a_folder_is_told(tmp_path: Path) -> None:
    """Its slide would count as normal; a picture beside its mask is no one's mistake."""
    mask_png(tmp_path / "a_mask.png")
    mask_png(tmp_path / "a.png")
    assert read_reference(tmp_path).notes == ()
    mask_png(tmp_path / "b_mask.bmp")
    (tmp_path / "c.json").write_text("[]")
    assert read_reference(tmp_path).notes[0] == "not read, as no masks, outlines or labels: b_mask.bmp, c.json"
    write_csv(tmp_path / "labels.csv", "slide_id,label", "a,tumor", "c,tumor")
    assert read_reference(tmp_path).notes[-1].endswith("b_mask.bmp, c.json")


@pytest.mark.parametrize("name", ["c-mask.png", "c_mask.bmp", "c.json"])
def test_no_slide_is_normal_for_want_of_a_mask_while_a_file_is_not_read(tmp_path: Path, name: str) -> None:
    """That file may be its mask by another name: a tumour slide counted as normal, its deposit as a false positive."""
    mask_png(tmp_path / "a_mask.png")
    assert read_reference(tmp_path).find("c").tumour is False
    (tmp_path / name).write_text('{"deposits": []}')
    found = read_reference(tmp_path)
    assert (found.find("a").tumour, found.find("c")) == (True, None)
    assert found.notes[0].endswith(name)
    assert found.notes[1].startswith("slides without a mask or outline are not assumed normal")


@pytest.mark.parametrize(
    "name",
    [
        *(f"c 1{ending}" for ending in (".geojson.zip", ".xml.gz", ".zip", ".qpdata", ".mha", ".nii.gz", "")),
        *(f"C_1{ending}" for ending in (".ndpi.ndpa", ".annotations", ".svg", ".txt", "_rois.zip", "-tumour.qpdata")),
    ],
)
def test_no_slide_is_normal_beside_an_unread_file_of_its_name(tmp_path: Path, name: str) -> None:
    """It may be the slide's outlines in a format that nodescan doesn't know."""
    mask_png(tmp_path / "a_mask.png")
    (tmp_path / name).write_text("")
    found = read_reference(tmp_path)
    doubted = found.for_run(["a", "b", "c_1"])
    assert [found.find(one) is None for one in ("b", "c_1")] == [False, False]
    assert [doubted.find(one) is None for one in ("b", "c_1")] == [True, True]
    assert doubted.notes[-1].startswith(f"slides without a mask or outline are not assumed normal, because {name} may")


@pytest.mark.parametrize("name", ["c.svs", "c.ndpi", "c1.zip", "ac.zip", "a.zip", "a.geojson.zip", "d.zip", "README"])
def test_an_unread_file_that_is_named_after_no_slide_in_doubt_leaves_slides_normal(tmp_path: Path, name: str) -> None:
    """A slide itself, a name that goes on, what belongs to a slide that has its mask, and to none of the run."""
    mask_png(tmp_path / "a_mask.png")
    (tmp_path / name).write_text("")
    assert read_reference(tmp_path).for_run(["a", "b", "c"]).find("c").tumour is False


def test_every_picture_that_a_mask_is_read_from_is_in_doubt_where_no_slide_is_in_that_format(tmp_path: Path) -> None:
    """JPEG 2000 was taken for a slide, and so its slide for normal. TIFF is what slides are in."""
    mask_png(tmp_path / "a_mask.png")
    endings = {ending for ending, name in Image.registered_extensions().items() if name in MASK_FORMATS}
    in_doubt = set()
    for ending in endings:
        (tmp_path / f"c{ending}").write_text("")
        in_doubt |= {ending} if read_reference(tmp_path).find("c") is None else set()
        (tmp_path / f"c{ending}").unlink()
    assert {".jp2", ".j2k", ".pgm", ".jfif"} < in_doubt
    assert in_doubt == endings - {".tif", ".tiff"}


def test_a_dicom_file_is_in_doubt_unless_it_is_of_a_slide(tmp_path: Path) -> None:
    """Masks are kept in DICOM, too. A slide's levels, and the picture of its label, are the slide itself."""
    mask_png(tmp_path / "a_mask.png")
    pixels = np.zeros((128, 128, 3), dtype=np.uint8)
    write_level(tmp_path / "c.dcm", Level(pixels, (0.25, 0.25), series="1.2.3", instance="1.2.3.1"))
    write_level(tmp_path / "c-label.dcm", Level(pixels, None, series="1.2.3", instance="1.2.3.2", flavour="LABEL"))
    assert read_reference(tmp_path).find("c").tumour is False
    (tmp_path / "c.dcm").unlink()
    found = read_reference(tmp_path)
    assert found.find("c") is None
    assert found.notes[1].startswith("slides without a mask or outline are not assumed normal, because c-label.dcm may")
    (tmp_path / "c-label.dcm").write_text("")
    assert read_reference(tmp_path).find("c") is None


def test_an_unread_file_is_of_the_longest_slide_that_it_is_named_after(tmp_path: Path) -> None:
    """Slide c is not in doubt for the outlines of slide c_1, which has a mask."""
    mask_png(tmp_path / "c_1_mask.png")
    (tmp_path / "c_1_rois.zip").write_text("")
    assert read_reference(tmp_path).for_run(["c", "c_1"]).find("c").tumour is False


def test_what_can_be_no_mask_leaves_slides_normal(tmp_path: Path) -> None:
    """Texts, records, folders, and the slides themselves lie beside masks: the one without a mask is the normal one."""
    mask_png(tmp_path / "a_mask.png")
    for name in ("README.txt", "LICENSE", "Thumbs.db", "a.tif", "b.tif", "normal_001.svs"):
        (tmp_path / name).write_text("")
    (tmp_path / "slides").mkdir()
    assert read_reference(tmp_path).find("b").tumour is False


def test_a_schema_is_no_geojson(tmp_path: Path) -> None:
    """Its "type" is a list."""
    mask_png(tmp_path / "a_mask.png")
    (tmp_path / "schema.json").write_text('{"type": ["object", "null"]}')
    assert "schema.json" in read_reference(tmp_path).notes[0]


def test_geojson_has_two_endings_and_other_json_is_told(tmp_path: Path) -> None:
    """Tools write .json as well; a report beside the outlines, or a file cut short, ends nothing."""
    ring = [[640, 320], [3840, 320], [3840, 3520], [640, 320]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}}
    documents = {"a": {"type": "FeatureCollection", "features": [feature]}, "b": [feature], "c": feature}
    for name, document in documents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    assert [read_reference(tmp_path).find(name).tumour for name in "abc"] == [True, True, True]
    (tmp_path / "report.json").write_text('{"schema_version": 1, "deposits": []}')
    (tmp_path / "d.json").write_text('{"type": "FeatureColl')
    (tmp_path / "e.json").write_text("[" * 100_000)
    found = read_reference(tmp_path)
    assert set(found.slides) == {"a", "b", "c"}
    assert "d.json, e.json, report.json" in found.notes[0]


def test_a_mask_larger_than_any_slides_at_level_5_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the limit of every mask, 179 million pixels, before its pixels are read."""
    assert 2 * Image.MAX_IMAGE_PIXELS < 200e6
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", mask_pixels := 80 * 60)
    mask_png(tmp_path / "a_mask.png")
    assert read_reference(tmp_path).slides["a"].tumour
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", mask_pixels // 2 - 1)
    with pytest.raises(AnnotationError, match=r"^a_mask\.png: larger than .* reduce it to 1 um/px or coarser"):
        read_reference(tmp_path)


def test_a_mask_of_several_planes_is_refused(tmp_path: Path) -> None:
    """With an empty first one its slide counted as normal."""
    empty, tumour = (Image.fromarray(np.full((60, 80), value, dtype=np.uint8)) for value in (0, 255))
    empty.save(tmp_path / "a_mask.tif", save_all=True, append_images=[tumour])
    with pytest.raises(AnnotationError, match=r"a_mask\.tif: holds 2 images of its size or larger"):
        read_reference(tmp_path)


def test_outlines_that_all_say_nothing_make_no_slide_normal(tmp_path: Path) -> None:
    """Tumour in no group was "0 tumour, 1 normal slides", also where a table calls the slide normal."""
    outlines = square_xml(tmp_path / "a.xml")
    outlines.write_text(outlines.read_text().replace('"_0"', '"None"'))
    with pytest.raises(AnnotationError, match=r"^a\.xml: no outline of it says that it is tumour \(1 outline in no"):
        read_reference(tmp_path)
    write_csv(tmp_path / "labels.csv", "slide_id,label", "a,normal", "b,tumor")
    with pytest.raises(AnnotationError, match=r"^a\.xml: no outline of it says that it is tumour"):
        read_reference(tmp_path)


@pytest.mark.parametrize("labels", [(), ("slide_id,label", "a,tumor", "b,tumor")])
def test_what_is_noted_of_outlines_is_told_with_the_name_of_their_file(tmp_path: Path, labels: tuple[str, ...]) -> None:
    """Lesions that were left out, and outlines that count as tumour for want of a class, with a table and without."""
    one = square_xml(tmp_path / "a.xml").read_text()
    left_out = one[one.index("<Annotation ") : one.index("</Annotations>")].replace('"_0"', '"None"')
    (tmp_path / "a.xml").write_text(one.replace("</Annotations>", f"{left_out}</Annotations>"))
    ring = [[640, 320], [3840, 320], [3840, 3520], [640, 320]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    (tmp_path / "b.geojson").write_text(json.dumps({"type": "Feature", "geometry": geometry, "properties": {}}))
    if labels:
        write_csv(tmp_path / "labels.csv", *labels)
    assert read_reference(tmp_path).notes == (
        "a.xml: 1 outline in no group, or to be ignored, left out: annotation 'A'",
        "b.geojson: 1 outline without a class, counted as tumour: feature 0",
    )


def test_what_leaves_outlines_as_drawn_is_told_once_for_all_files(tmp_path: Path) -> None:
    """Most of CAMELYON's files have a border that crosses itself; a folder may have a file for every normal slide."""
    bow_tie = square_xml(tmp_path / "x.xml").read_text().replace('X="3840" Y="320"', 'X="3900" Y="9000"')
    (tmp_path / "x.xml").unlink()
    for name in "abcdefg":
        (tmp_path / f"{name}.xml").write_text(bow_tie)
    for name in "hi":
        (tmp_path / f"{name}.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    assert read_reference(tmp_path).notes == (
        "a.xml, b.xml, c.xml, d.xml, e.xml and 2 more: outlines with borders that cross, repaired with nothing cut off",
        "h.geojson, i.geojson: the file outlines no tumour",
    )


@pytest.mark.parametrize("names", ["a", "abc"])
def test_nodescans_own_outlines_as_a_reference_are_told(tmp_path: Path, names: str) -> None:
    """A run scored against its own deposits.geojson is perfect; a reader's outlines state no uncertainty."""
    write_geojson(result((MICRO,)), tmp_path)
    own = (tmp_path / "deposits.geojson").read_text(encoding="utf-8")
    (tmp_path / "deposits.geojson").unlink()
    for name in names:
        (tmp_path / f"{name}.geojson").write_text(own, encoding="utf-8")
    (tmp_path / "z.geojson").write_text(own.replace("Diameter uncertainty um", "Length"), encoding="utf-8")
    told = ", ".join(f"{name}.geojson" for name in names)
    assert read_reference(tmp_path).notes == (f"{told}: {OWN_OUTLINES}",)


def test_in_a_folder_that_shows_normal_slides_the_rest_is_unknown(tmp_path: Path) -> None:
    """One empty mask says that normal slides are listed too."""
    mask_png(tmp_path / "test_001_mask.png")
    mask_png(tmp_path / "test_002_mask.png", empty=True)
    found = read_reference(tmp_path)
    assert found.find("test_002").tumour is False
    assert found.find("test_003") is None


def test_a_table_in_the_folder_says_which_slides_there_are(tmp_path: Path) -> None:
    """Masks of slides that it doesn't list are told of and not used."""
    write_csv(tmp_path / "labels.csv", "slide_id,label", "test_001,tumor", "test_002,normal")
    mask_png(tmp_path / "test_001_mask.png")
    mask_png(tmp_path / "test_009_mask.png")
    found = read_reference(tmp_path)
    assert set(found.slides) == {"test_001", "test_002"}
    assert found.slides["test_001"].lesions is not None
    assert "test_009_mask.png shows a slide that labels.csv doesn't list" in found.notes[0]


NEGATIVE = (False, Metastasis.NONE, None)


@pytest.mark.parametrize(
    ("lines", "expected", "n_nodes"),
    [
        (
            ["slide_id,label,largest_deposit_um", "a,MACRO,2600", "b,negative,", "c,itc,150", "d,Tumor,", "e,NORMAL,"],
            {
                "a": (True, Metastasis.MACRO, 2600.0),
                "b": NEGATIVE,
                "c": (True, Metastasis.ITC, 150.0),
                "d": (True, None, None),
                "e": NEGATIVE,
            },
            0,
        ),
        (
            ["Test_001,Tumor,IDC,Macro", "Test_002,normal,none,None", "TEST_049,Tumor,IDC,Micro", "t,TUMOR,IDC,micro"],
            {
                "Test_001": (True, Metastasis.MACRO, None),
                "Test_002": NEGATIVE,
                "t": (True, Metastasis.MICRO, None),
            },
            0,
        ),
        (
            ["PATIENT_ID,slide_id,label,largest_deposit_um", "P1,a,itc,150", "P1,b,negative,0", "P2,c,macro,2600"],
            {"a": (True, Metastasis.ITC, 150.0), "b": NEGATIVE, "c": (True, Metastasis.MACRO, 2600.0)},
            3,
        ),
        (
            [
                "patient,stage",
                "p_1.zip,pN1mi",
                *(f"p_1_node_{node}.tif,{'micro' if node == 4 else 'negative'}" for node in range(5)),
            ],
            {**{f"p_1_node_{node}": NEGATIVE for node in range(4)}, "p_1_node_4": (True, Metastasis.MICRO, None)},
            5,
        ),
    ],
)
def test_what_a_table_says_of_each_slide(
    tmp_path: Path, lines: list[str], expected: dict[str, tuple[bool, Metastasis | None, float | None]], n_nodes: int
) -> None:
    """Tumour or not, its class and its size, in each of the four formats, however words are written."""
    found = read_reference(write_csv(tmp_path / "r.csv", *lines))
    told = {slide.slide_id: (slide.tumour, slide.label, slide.largest_um) for slide in found.slides.values()}
    assert told == expected
    assert len(found.nodes) == n_nodes
    assert found.stages == ({"p_1": "pN1mi"} if n_nodes == 5 else {})
    left_out = any(line.startswith("TEST_049") for line in lines)
    assert found.notes == (("TEST_049 is left out: a duplicate of another slide",) if left_out else ())
    assert not found.has_lesions


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["slide_id,label", "a,tumor", "a,normal"], "line 3: the slide 'a' stands there twice"),
        (
            ["slide_id,label", "a,malignant"],
            "label is 'malignant'; write negative, itc, micro, macro, or tumor or normal",
        ),
        (["slide_id,label", ",tumor"], "slide_id is empty"),
        (["slide_id,label,largest_deposit_um", "a,macro,2.6"], "is it in mm?"),
        (["slide_id,label,largest_deposit_um", "a,tumor,2600"], "has a size beside 'tumor'; write its class"),
        (["slide_id,label,largest_deposit_um", "a,normal,2600"], "has a size beside 'normal'; write its class"),
        (["slide_id,label,size", "a,macro,2600"], "unknown column 'size'"),
        (["Test_001,Tumor,IDC,None"], "contradict each other"),
        (["Test_001,Tumor,IDC,Macro", "Test_002,Tumor,IDC"], "is not name,Tumor|Normal,histology,None|Micro|Macro"),
        (["Test_001,Tumor,IDC,Macro", ",Tumor,IDC,Macro"], "has an empty cell"),
        (["Test_001,Tumor,IDC,Macro", "Test_002,,IDC,Macro"], "has an empty cell"),
        (["Test_001,Tumor,IDC,Macro", "Test_002,Tumor,IDC,"], "has an empty cell"),
        (
            ["slide_id,patient_id,node_id,label", "a,P1,1,itc", "b,P1,2,Tumor"],
            "line 3: label is 'Tumor', and a table with patient_id needs classes; write negative, itc, micro, macro, "
            "or leave only the columns slide_id and label",
        ),
        (["label;slide_id;patient_id", "normal;a;P1"], "line 2: label is 'normal', and a table with patient_id needs"),
        (["patient_id,node_id,label", "P1,1,itc"], "slide_id is empty; evaluation needs to know which slide it is"),
        (["slide_id,label", "a:1,tumor", "a_1,tumor"], "'a_1' and 'a:1' are both 'a_1' in reports"),
        (["Test_001,Tumor,IDC,Macro", "Test_001,Tumor,IDC,Macro"], "line 2: the slide 'Test_001' stands there twice"),
        (["Test_001,Tumor,IDC,Macro", "Test_002,Tumour?,IDC,Macro"], "1 is 'Tumour?'"),
        (["patient_id,slide_id,label", "P1,a,itc", "P2,a,itc"], "belongs to two patients"),
    ],
)
def test_what_is_wrong_in_a_table_is_named(tmp_path: Path, lines: list[str], message: str) -> None:
    """Duplicates, unknown spellings, units."""
    with pytest.raises(UsageError) as caught:
        read_reference(write_csv(tmp_path / "r.csv", *lines))
    assert message in str(caught.value)


def test_what_is_wrong_in_a_folder_is_named(tmp_path: Path) -> None:
    """Two files for one slide, two tables, nothing at all, a grey mask, a colour mask, no such place."""
    with pytest.raises(UsageError, match="no such file or folder"):
        read_reference(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"holds no <slide>_mask\.png"):
        read_reference(tmp_path)
    mask_png(tmp_path / "a_mask.png", 128)
    with pytest.raises(AnnotationError, match="0 and 1, or 0 and 255, not 0, 128"):
        read_reference(tmp_path)
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "a_mask.png")
    with pytest.raises(AnnotationError, match="colour image"):
        read_reference(tmp_path)
    alpha = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    alpha.putpixel((4, 4), (0, 0, 0, 255))
    alpha.save(tmp_path / "a_mask.png")
    with pytest.raises(AnnotationError, match="is transparent in part"):
        read_reference(tmp_path)
    (tmp_path / "a_mask.png").unlink()
    Image.new("CMYK", (8, 8), (255, 255, 255, 0)).save(tmp_path / "a_mask.tif")
    with pytest.raises(AnnotationError, match="is in CMYK"):
        read_reference(tmp_path)
    (tmp_path / "a_mask.tif").unlink()
    mask_png(tmp_path / "a_mask.png")
    square_xml(tmp_path / "a.xml")
    with pytest.raises(UsageError, match="both show the lesions of one slide"):
        read_reference(tmp_path)
    (tmp_path / "a.xml").unlink()
    for name in ("x.csv", "y.csv"):
        write_csv(tmp_path / name, "slide_id,label", "a,tumor")
    with pytest.raises(UsageError, match="holds 2 CSV files"):
        read_reference(tmp_path)


def test_real_annotations_are_a_reference(shared: Path) -> None:
    """27 tumour slides, and whatever else was run is normal, as in the challenge."""
    found = read_reference(shared / "data" / "camelyon16" / "annotations")
    assert len(found.slides) == 27
    assert all(slide.tumour for slide in found.slides.values())
    assert found.find("normal_001").tumour is False


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("um_per_px", float("inf")),
        ("um_per_px", 10**400),
        ("um_per_px", 0),
        ("um_per_px", 1e-300),
        ("deposits", [{"centre_um": [0, 10**400], "diameter_um": 100}]),
        ("deposits", [{"centre_um": [0, 1e300], "diameter_um": 100}]),
        ("deposits", [{"centre_um": [0, 0], "diameter_um": float("nan")}]),
        ("deposits", [{"diameter_um": 1, "outline_um": "here"}]),
        ("deposits", ["here"]),
        ("deposits", 5),
        ("label", []),
    ],
)
def test_a_truth_with_what_cannot_be_is_refused(tmp_path: Path, place: str, value: object) -> None:
    """In one line that names the file."""
    truth = {"um_per_px": 0.5, "label": "itc", "deposits": [{"centre_um": [99, 99], "diameter_um": 90}]}
    truth |= {place: value}
    (tmp_path / "s.truth.json").write_text(json.dumps(truth))
    with pytest.raises(AnnotationError, match=r"^s\.truth\.json: is no truth of planted deposits"):
        read_reference(tmp_path)
    (tmp_path / "s.truth.json").write_text("[" * 100_000)
    with pytest.raises(AnnotationError, match=r"^s\.truth\.json: is no truth of planted deposits"):
        read_reference(tmp_path)


@pytest.mark.parametrize(("size_um", "found"), [(200.0, Metastasis.ITC), (2000.0, Metastasis.MICRO)])
def test_a_planted_lesion_has_the_size_and_class_that_were_planted(
    tmp_path: Path, size_um: float, found: Metastasis
) -> None:
    """On the limit, too: the corners of its outline are rounded to either side."""
    outline = [[1000, 1000], [1000.001 + size_um, 1000], [1000 + size_um / 2, 1000 + size_um / 4]]
    planted = {"centre_um": [1000 + size_um / 2, 1050], "diameter_um": size_um, "outline_um": outline}
    (tmp_path / "s.truth.json").write_text(json.dumps({"um_per_px": 0.5, "label": "itc", "deposits": [planted]}))
    (deposit,) = read_reference(tmp_path).find("s").lesions.deposits(Spacing.square(0.5))
    assert (deposit.diameter_um, deposit.metastasis) == (size_um, found)
