"""Outlines that pathologists drew: read in full, or refused by name."""

import json
import math

import numpy as np
import pytest
import shapely

from nodescan.annotations import Outlines, holds_geojson, read_outlines
from nodescan.annotations.outline_masks import rasterise
from nodescan.domain.classification import Metastasis
from nodescan.domain.units import Spacing
from nodescan.errors import AnnotationError
from nodescan.reports.wording import CLASS_WORDS

SQUARE = [(0, 0), (100, 0), (100, 100), (0, 100)]
INNER = [(20, 20), (60, 20), (60, 60), (20, 60)]


def asap(path, *annotations):
    """Writes (group, corners[, type]) as ASAP does."""
    lines = []
    for number, (group, corners, *kind) in enumerate(annotations):
        points = "".join(f'<Coordinate Order="{n}" X="{x}" Y="{y}" />' for n, (x, y) in enumerate(corners))
        lines.append(
            f'<Annotation Name="Annotation {number}" Type="{kind[0] if kind else "Polygon"}" PartOfGroup="{group}">'
            f"<Coordinates>{points}</Coordinates></Annotation>"
        )
    path.write_text(
        f'<?xml version="1.0"?><ASAP_Annotations><Annotations>{"".join(lines)}</Annotations></ASAP_Annotations>'
    )
    return path


def feature(coordinates, name=None, kind="Polygon"):
    properties = {"objectType": "annotation"} | ({"classification": {"name": name}} if name else {})
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def closed(corners):
    return [*corners, corners[0]]


def geojson(path, document):
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("group", ["_0", "_1", "Tumor", "tumor", "metastases"])
def test_tumour_groups_are_tumour(tmp_path, group):
    """Every name that CAMELYON16 and 17 give to tumour is tumour."""
    assert read_outlines(asap(tmp_path / "a.xml", (group, SQUARE))).lesions().area == 100**2


@pytest.mark.parametrize("found", [Metastasis.ITC, Metastasis.MICRO, Metastasis.MACRO])
def test_what_nodescan_wrote_can_be_measured_again(tmp_path, found):
    """deposits.geojson comes back from QuPath with its classes: each of them is tumour."""
    document = [feature([closed(SQUARE)], CLASS_WORDS[found])]
    assert read_outlines(geojson(tmp_path / "deposits.geojson", document)).lesions().area == 100**2


def test_an_unknown_class_says_what_each_known_one_means(tmp_path):
    """Whoever renames an outline must see which names are tumour, which are cut out and which are left out."""
    document = [feature([closed(SQUARE)], "Stroma")]
    with pytest.raises(AnnotationError, match=r"'Stroma'.*tumour is tumour; .*normal is cut out.*none is left out"):
        read_outlines(geojson(tmp_path / "a.geojson", document))


@pytest.mark.parametrize("group", ["_2", "Exclusion", "normal"])
def test_exclusions_are_cut_out_wherever_they_stand_in_the_file(tmp_path, group):
    """An exclusion is cut out of tumour that comes before or after it."""
    before = read_outlines(asap(tmp_path / "a.xml", (group, INNER), ("_0", SQUARE)))
    after = read_outlines(asap(tmp_path / "b.xml", ("_0", SQUARE), (group, INNER)))
    assert before.lesions().area == after.lesions().area == 100**2 - 40**2


def test_tumour_that_is_cut_out_whole_is_refused(tmp_path):
    """As where normal tissue is outlined around it: it was "negative"."""
    path = asap(tmp_path / "a.xml", ("Tumor", INNER), ("normal", SQUARE))
    with pytest.raises(AnnotationError, match=r"a\.xml: all its tumour lies within outlines that are cut out of it"):
        read_outlines(path)
    both = asap(tmp_path / "b.xml", ("Tumor", INNER), ("Tumor", [(200, 0), (300, 0), (300, 9)]), ("normal", SQUARE))
    gone = "1 outline of tumour in what is cut out of it, so that nothing is left of them: annotation 'Annotation 0'"
    assert read_outlines(both).notes == (gone,)


def test_an_annotation_inside_another_is_refused(tmp_path):
    """Its corners counted as those of the outer one, too."""
    path = asap(tmp_path / "a.xml", ("Tumor", SQUARE), ("Tumor", INNER))
    text = path.read_text().replace("</Annotation>", "", 1)
    path.write_text(text.replace("</Annotation>", "</Annotation></Annotation>", 1))
    with pytest.raises(AnnotationError, match=r"a\.xml: annotation 'Annotation 0' has another one inside it"):
        read_outlines(path)


def test_group_none_is_ignored(tmp_path):
    """What belongs to no group is neither tumour nor cut out, whatever it is; what it encloses is known."""
    outlines = read_outlines(asap(tmp_path / "a.xml", ("_0", SQUARE), ("None", INNER), ("None", [(5, 5)], "Dot")))
    assert outlines.lesions().area == 100**2
    assert outlines.ignored.area == 40**2


@pytest.mark.parametrize("group", ["None", "Tumor", "Exclusion"])
def test_what_is_run_around_twice_is_whole(tmp_path, group):
    """A hand that goes round further than once draws no hole: neither into tumour nor into what says nothing."""
    angles = np.linspace(0, 4 * np.pi, 200)
    laps = [
        (200 + r * math.cos(a), 200 + r * math.sin(a))
        for a, r in zip(angles, 100 + 5 * np.sin(angles / 2), strict=True)
    ]
    outlines = read_outlines(asap(tmp_path / "a.xml", ("Tumor", [(500, 500), (600, 500), (600, 600)]), (group, laps)))
    found = {"None": outlines.ignored, "Tumor": outlines.tumour, "Exclusion": outlines.excluded}[group]
    assert found.contains(shapely.Point(200, 200))
    assert found.intersection(shapely.box(0, 0, 400, 400)).area == pytest.approx(math.pi * 100**2, rel=0.08)


def test_unknown_group_is_refused_by_name(tmp_path):
    """Whether "stroma" is tumour is not guessed."""
    path = asap(tmp_path / "a.xml", ("Strange", SQUARE))
    with pytest.raises(AnnotationError, match=r"a\.xml: annotation 'Annotation 0' belongs to 'Strange'"):
        read_outlines(path)


def test_a_derived_class_of_qupath_is_known_by_all_its_names(tmp_path):
    """ "Stroma: Positive" has names, not a name: it isn't an outline without a class, which would be tumour."""
    derived = feature([closed(SQUARE)])
    derived["properties"]["classification"] = {"names": ["Stroma", "Positive"], "color": [1, 2, 3]}
    with pytest.raises(AnnotationError, match="belongs to 'Stroma: Positive'"):
        read_outlines(geojson(tmp_path / "a.geojson", [derived]))


def test_a_coordinate_that_no_slide_has_is_refused(tmp_path):
    """It would be a macrometastasis of infinite length."""
    with pytest.raises(AnnotationError, match=r"a coordinate that no slide has: 1e\+200 px"):
        read_outlines(geojson(tmp_path / "a.geojson", [feature([closed([(0, 0), (1e200, 0), (5, 5)])])]))


def test_overlapping_outlines_count_once(tmp_path):
    """Tumour drawn twice is not more tumour."""
    assert read_outlines(asap(tmp_path / "a.xml", ("_0", SQUARE), ("_1", INNER))).lesions().area == 100**2


def test_corners_are_taken_in_their_stated_order(tmp_path):
    """The Order attribute decides, not the place in the file."""
    path = asap(tmp_path / "a.xml", ("_0", SQUARE))
    text = path.read_text()
    first, second = '<Coordinate Order="0" X="0" Y="0" />', '<Coordinate Order="1" X="100" Y="0" />'
    path.write_text(text.replace(first + second, second + first))
    assert read_outlines(path).notes == ()
    assert read_outlines(path).lesions().area == 100**2


def test_two_corners_of_one_order_are_refused(tmp_path):
    """Which comes first isn't known: sorted by their places they would make another outline."""
    path = asap(tmp_path / "a.xml", ("_0", SQUARE))
    text = path.read_text()
    path.write_text(text.replace('Order="3"', 'Order="1"'))
    with pytest.raises(AnnotationError, match="has two corners of one Order"):
        read_outlines(path)
    path.write_text(text.replace("</Coordinates>", '<Coordinate Order="0" X="0" Y="0" /></Coordinates>'))
    assert read_outlines(path).lesions().area == 100**2, "a ring closed by its first corner is whole"


def test_an_outline_that_crosses_itself_is_repaired_aloud(tmp_path):
    """A bow tie keeps both its wings, and the notes name it."""
    outlines = read_outlines(asap(tmp_path / "a.xml", ("_0", [(0, 0), (100, 100), (100, 0), (0, 100)])))
    assert outlines.lesions().area == pytest.approx(5000)
    assert outlines.notes[0].startswith("1 outline with borders that cross")
    assert "annotation 'Annotation 0'" in outlines.notes[0]


def star(corners):
    """A ring whose every line crosses nearly every other."""
    turns = [2 * math.pi * step * (corners // 2) / corners for step in range(corners)]
    return [(50_000 + 40_000 * math.cos(turn), 50_000 + 40_000 * math.sin(turn)) for turn in turns]


@pytest.mark.parametrize("group", ["Tumor", "Ignore*"])
def test_a_ring_that_crosses_itself_without_end_is_refused_unmended(tmp_path, group, monkeypatch):
    """2,001 corners took more than a minute to mend; a ring drawn twice, or a scribble, is mended."""
    mended = []
    mend = shapely.make_valid
    monkeypatch.setattr(shapely, "make_valid", lambda *args, **kwargs: mended.append(1) or mend(*args, **kwargs))
    with pytest.raises(AnnotationError, match=r"a\.geojson: feature 0 crosses itself thousands of times"):
        read_outlines(geojson(tmp_path / "a.geojson", [feature([closed(star(2001))], group)]))
    assert not mended
    circle = [(1000 * math.cos(turn / 500), 1000 * math.sin(turn / 500)) for turn in range(3000)]
    for corners in (star(51), circle + circle):
        drawn = [feature([closed(corners)], group), feature([closed(SQUARE)], "Tumor")]
        read_outlines(geojson(tmp_path / "b.geojson", drawn))
    assert mended


def test_a_file_without_tumour_says_so(tmp_path):
    """Nothing outlined is read as nothing outlined, aloud; so is normal tissue that a file outlines alone."""
    for annotations in ([], [("normal", SQUARE)]):
        outlines = read_outlines(asap(tmp_path / "a.xml", *annotations))
        assert outlines.lesions().is_empty
        assert outlines.notes == ("the file outlines no tumour",)


@pytest.mark.parametrize("group", ["None", "Ignore*"])
def test_a_file_whose_outlines_all_say_nothing_is_refused(tmp_path, group):
    """Whether they are tumour isn't known: measured, scored or learned from, its slide would be negative."""
    with pytest.raises(AnnotationError) as caught:
        read_outlines(asap(tmp_path / "a.xml", (group, SQUARE), ("normal", INNER)))
    assert str(caught.value) == (
        "a.xml: no outline of it says that it is tumour (1 outline in no group, or to be ignored); put them into a "
        "group or class, such as Tumor or Normal, or delete them"
    )


BAD_ASAP = {
    "two corners": (("_0", [(0, 0), (5, 5)]), "annotation 'Annotation 0' has fewer than three corners"),
    "one place thrice": (("_0", [(1, 1)] * 3), "has fewer than three corners"),
    "a line": (("_0", [(0, 0), (5, 5), (9, 9)]), "all its corners on a line"),
    "nan": (("_0", [(0, 0), (9, 0), ("nan", 9)]), "a coordinate that is not a number: 'nan'"),
    "comma": (("_0", [(0, 0), (9, 0), ("1,5", 9)]), "a coordinate that is not a number: '1,5'"),
    "grouped digits": (("_0", [(0, 0), (9, 0), ("1_5", 9)]), "a coordinate that is not a number: '1_5'"),
    "next to nothing": (("_0", [(0, 0), (1e-9, 0), (0, 1e-9)]), "is smaller than a thousandth of a pixel; delete it"),
    "a dot": (("_0", [(0, 0)], "Dot"), "is a Dot, which has no area"),
}


@pytest.mark.parametrize("name", BAD_ASAP)
def test_bad_outlines_are_refused_by_file_and_name(tmp_path, name):
    """Each bad outline stops the reading, with the file, the outline and the reason."""
    annotation, reason = BAD_ASAP[name]
    with pytest.raises(AnnotationError, match=r"^a\.xml: annotation 'Annotation 0'") as caught:
        read_outlines(asap(tmp_path / "a.xml", annotation))
    assert reason in str(caught.value)


BAD_XML = {
    "not XML": ("Hello", "not XML"),
    "empty": ("", "not XML"),
    "cut off": ('<?xml version="1.0"?><ASAP_Annotations><Annotations>', "not XML"),
    "not ASAP": ("<Annotations/>", "'Annotations', not 'ASAP_Annotations'\\); export the outlines as GeoJSON, or as"),
    "entities": ('<!DOCTYPE a [<!ENTITY b "bbbb">]><ASAP_Annotations>&b;</ASAP_Annotations>', "entities"),
}


@pytest.mark.parametrize("name", BAD_XML)
def test_bad_xml_is_refused(tmp_path, name):
    """What isn't ASAP's XML, or could blow up, is refused in one line."""
    text, reason = BAD_XML[name]
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(AnnotationError, match=reason):
        read_outlines(tmp_path / "a.xml")


def test_missing_file_and_unknown_suffix_are_refused(tmp_path):
    """The text names the file."""
    with pytest.raises(AnnotationError, match=r"gone\.xml: can't be read"):
        read_outlines(tmp_path / "gone.xml")
    with pytest.raises(AnnotationError, match=r"a\.csv: outlines are read from"):
        read_outlines(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "wrap",
    [lambda f: {"type": "FeatureCollection", "features": [f]}, lambda f: [f], lambda f: f],
    ids=["collection", "list", "single feature"],
)
def test_geojson_comes_in_three_shapes(tmp_path, wrap):
    """A collection, a bare list and one feature give the same outlines, holes and all."""
    path = geojson(tmp_path / "a.geojson", wrap(feature([closed(SQUARE), closed(INNER)], "Tumor")))
    assert read_outlines(path).lesions().area == 100**2 - 40**2


OUTLINE = feature([closed(SQUARE)])


@pytest.mark.parametrize(
    ("document", "holds"),
    [
        ({"type": "FeatureCollection", "features": []}, True),
        (OUTLINE, True),
        ([OUTLINE, OUTLINE], True),
        ([OUTLINE, {"type": "Report"}], False),
        ([OUTLINE, 3], False),
        ([], False),
        ({"status": "negative"}, False),
    ],
)
def test_other_json_than_features_holds_no_outlines(tmp_path, document, holds):
    """Of a list all have to be features."""
    assert holds_geojson(geojson(tmp_path / "a.json", document)) is holds


def test_geojson_multipolygon_has_all_its_parts(tmp_path):
    """Each part of a MultiPolygon is tumour."""
    away = [(x + 500, y) for x, y in INNER]
    path = geojson(tmp_path / "a.json", [feature([[closed(SQUARE)], [closed(away)]], "Tumor", "MultiPolygon")])
    assert read_outlines(path).lesions().area == 100**2 + 40**2


def test_geojson_normal_is_cut_out_and_ignore_is_ignored(tmp_path):
    """A class that says normal or ignore is not tumour."""
    features = [feature([closed(SQUARE)], "Tumor"), feature([closed(INNER)], "Normal")]
    ignored = feature([closed([(x + 500, y) for x, y in SQUARE])], "Ignore*")
    outlines = read_outlines(geojson(tmp_path / "a.geojson", [*features, ignored])).on_canvas((40.0, 30.0))
    assert outlines.lesions().area == 100**2 - 40**2
    assert outlines.ignored.area == 100**2
    assert outlines.ignored.bounds[0] - outlines.tumour.bounds[0] == 500


@pytest.mark.parametrize("kind", ["Point", "LineString"])
def test_what_has_no_area_and_is_to_be_ignored_is_told(tmp_path, kind):
    """As in ASAP XML; a file that holds nothing else was read as one of a slide without tumour."""
    ignored = feature([[5, 5], [9, 9]] if kind == "LineString" else [5, 5], "Ignore*", kind)
    outlines = read_outlines(geojson(tmp_path / "a.geojson", [feature([closed(SQUARE)], "Tumor"), ignored]))
    assert outlines.lesions().area == 100**2
    assert outlines.notes == ("1 outline in no group, or to be ignored, left out: feature 1",)
    with pytest.raises(
        AnnotationError, match=r"^b\.geojson: no outline of it says that it is tumour \(1 outline in no"
    ):
        read_outlines(geojson(tmp_path / "b.geojson", [ignored]))


def test_geojson_without_class_counts_as_tumour_aloud(tmp_path):
    """An outline without class is what the user wants measured; the notes say so."""
    outlines = read_outlines(geojson(tmp_path / "a.geojson", [feature([closed(SQUARE)])]))
    assert outlines.lesions().area == 100**2
    assert outlines.notes == ("1 outline without a class, counted as tumour: feature 0",)


BAD_GEOJSON = {
    "not closed": ([feature([SQUARE], "Tumor")], "feature 0 has a ring that is not closed"),
    "two corners": ([feature([[(0, 0), (1, 1), (0, 0)]], "Tumor")], "feature 0 has fewer than three corners"),
    "no rings": ([feature([], "Tumor")], "feature 0 has fewer than three corners"),
    "a point": ([feature([1, 2], "Tumor", "Point")], "feature 0 is a Point"),
    "no polygons": ([feature([], "Tumor", "MultiPolygon")], "feature 0 has fewer than three corners"),
    "text": ([feature("here", "Tumor")], "feature 0 has coordinates of the wrong shape"),
    "one number": ([feature([[[1], [2], [1]]], "Tumor")], "a corner without x and y"),
    "nan": ([feature([closed([(0, 0), (math.nan, 1), (1, 1)])], "Tumor")], "not a number: nan"),
    "true": ([feature([closed([(0, 0), (True, 1), (1, 5)])], "Tumor")], "not a number: True"),
    "no geometry": ([{"type": "Feature", "properties": {}}], "feature 0 has no geometry"),
    "no feature": ({"type": "Something"}, "feature 0 is no GeoJSON feature"),
    "a number": (42, "no GeoJSON"),
    "features of a kind": ({"type": "FeatureCollection", "features": "many"}, "no GeoJSON"),
    "a huge number": ([feature([closed([(0, 0), (10**400, 1), (1, 1)])], "Tumor")], "not a number: 1000"),
    "unknown class": ([feature([closed(SQUARE)], "Stroma")], "belongs to 'Stroma'"),
}


@pytest.mark.parametrize("name", BAD_GEOJSON)
def test_bad_geojson_is_refused_by_file_and_place(tmp_path, name):
    """Each bad feature stops the reading, with file, feature and reason."""
    document, reason = BAD_GEOJSON[name]
    with pytest.raises(AnnotationError, match=r"^a\.geojson: ") as caught:
        read_outlines(geojson(tmp_path / "a.geojson", document))
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "feature",
    ['"properties": {"classification": {"names": [@]}}', '"properties": {"measurements": {"Diameter um": @}}'],
)
def test_what_is_nested_deep_is_refused(tmp_path, feature):
    """JSON that can just be read, but not be said."""
    deep = "[" * 900 + "]" * 900
    geometry = '"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]}'
    (tmp_path / "a.geojson").write_text(f'[{{"type": "Feature", {geometry}, {feature.replace("@", deep)}}}]')
    with pytest.raises(AnnotationError, match=r"^a\.geojson: "):
        read_outlines(tmp_path / "a.geojson")


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe\x00", b"[" * 100_000], ids=["cut", "empty", "bytes", "deep"])
def test_what_is_not_json_is_refused(tmp_path, content):
    """A file that isn't JSON is an annotation error, not a crash."""
    (tmp_path / "a.geojson").write_bytes(content)
    with pytest.raises(AnnotationError, match="not JSON"):
        read_outlines(tmp_path / "a.geojson")


def test_outlines_that_stand_twice_are_not_guessed(tmp_path):
    """JSON's last word would hold: a second list, empty, and the tumour is gone."""
    document = {"type": "FeatureCollection", "features": [feature([closed(SQUARE)], "Tumor")]}
    text = geojson(tmp_path / "a.geojson", document).read_text()
    assert read_outlines(tmp_path / "a.geojson").lesions().area == 100**2
    (tmp_path / "a.geojson").write_text(text.rstrip().removesuffix("}") + ', "features": []}')
    with pytest.raises(AnnotationError, match=r"^a\.geojson: not JSON \(the key 'features' stands twice"):
        read_outlines(tmp_path / "a.geojson")


def outlines_of(tmp_path, *annotations) -> Outlines:
    return read_outlines(asap(tmp_path / "a.xml", *annotations))


def test_rasterised_pixels_are_those_whose_centre_is_inside(tmp_path):
    """Each pixel of the mask agrees with the polygon at its centre, holes and a repaired crossing included."""
    import shapely  # noqa: PLC0415

    ragged = [(3, 5), (171, 22), (90, 60), (188, 177), (60, 120), (11, 190)]
    outlines = outlines_of(tmp_path, ("_0", ragged), ("_2", [(60, 50), (100, 90), (61, 99)]))
    mask = rasterise(outlines.lesions(), (51, 49), level0=Spacing.square(0.25), target=Spacing(1.0, 0.9))
    rows, columns = np.mgrid[:51, :49] + 0.5
    expected = shapely.contains_xy(outlines.lesions(), columns * 4.0, rows * 3.6)
    assert np.array_equal(mask, expected)
    assert mask.any()


def test_rasterising_crops_what_lies_outside(tmp_path):
    """An outline that overhangs the canvas fills it to the border and no further."""
    mask = rasterise(
        outlines_of(tmp_path, ("_0", [(-50, -50), (40, -50), (40, 500), (-50, 500)])).lesions(),
        (10, 10),
        level0=Spacing.square(1.0),
        target=Spacing.square(10.0),
    )
    assert mask[:, :4].all()
    assert not mask[:, 4:].any()
    away = outlines_of(tmp_path, ("_0", [(900, 900), (950, 900), (950, 950)]))
    assert not rasterise(away.lesions(), (10, 10), level0=Spacing.square(1.0), target=Spacing.square(10.0)).any()


def test_real_outlines_are_rasterised_within_1_percent(shared):
    """All 27 real files at 1.944 um/px: areas within 1 % of the polygons' own."""
    files = sorted((shared / "data/camelyon16/annotations").glob("*.xml"))
    assert len(files) == 27
    for path in files:
        lesions = read_outlines(path).lesions()
        shape = (math.ceil(lesions.bounds[3] / 8) + 1, math.ceil(lesions.bounds[2] / 8) + 1)
        mask = rasterise(lesions, shape, level0=Spacing.square(0.243), target=Spacing.square(8 * 0.243))
        assert np.count_nonzero(mask) * 64 == pytest.approx(lesions.area, rel=0.01), path.name
