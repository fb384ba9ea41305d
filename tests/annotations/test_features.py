"""What QuPath and other programs write into a GeoJSON feature beside its outline is heeded, or the file refused."""

import pytest

from nodescan.annotations import read_outlines
from nodescan.errors import AnnotationError
from tests.annotations.test_annotations import INNER, SQUARE, closed, feature, geojson


def made(corners=SQUARE, name=None, **said):
    """A feature of a polygon, with these properties and no other, and a class if it has a name."""
    one = feature([closed(corners)], name)
    one["properties"] = said | ({"classification": {"name": name}} if name else {})
    return one


def refusal(path, *features):
    with pytest.raises(AnnotationError) as caught:
        read_outlines(geojson(path / "a.geojson", list(features)))
    return str(caught.value)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"objectType": "cell"}, "2 cells"),
        ({"objectType": "detection"}, "2 detections"),
        ({"objectType": "tile"}, "2 tiles"),
        ({"objectType": "tmaCore", "isMissing": True}, "2 TMA cores"),
        ({"object_type": "tma_core"}, "2 TMA cores"),
        ({"type": "cell"}, "2 cells"),
        ({"objectType": "superpixel"}, "2 'superpixel' objects"),
    ],
)
@pytest.mark.parametrize("name", ["Tumor", "Normal", "Stroma", None])
def test_objects_that_are_no_annotations_are_refused(tmp_path, said, kind, name):
    """Cells that touch were one deposit, and a tissue core a micrometastasis, whatever their class."""
    objects = [made(INNER, name, **said) for _ in range(2)]
    assert refusal(tmp_path, made(name="Tumor", objectType="annotation"), *objects) == (
        f"a.geojson: holds {kind}, and only annotations are outlines of tumour, or of what is cut out of it; export "
        "the annotations alone (in QuPath, select them and export the selected objects)"
    )


@pytest.mark.parametrize(
    ("identity", "kind"),
    [
        ("PathCellObject", "1 cell"),
        ("PathDetectionObject", "1 detection"),
        ("PathTileObject", "1 tile"),
        ("TMACoreObject", "1 TMA core"),
    ],
)
def test_the_first_qupath_calls_the_kind_of_an_object_its_id(tmp_path, identity, kind):
    """A feature that says that it is an annotation is one, whatever its id."""
    assert f"a.geojson: holds {kind}, and only annotations" in refusal(tmp_path, made(name="Tumor") | {"id": identity})
    annotation = made(name="Tumor", objectType="annotation") | {"id": identity}
    assert read_outlines(geojson(tmp_path / "a.geojson", [annotation])).lesions().area == 100**2


def test_cells_to_be_ignored_are_ignored(tmp_path):
    """They count neither as tumour nor as what is cut out of it."""
    cell = made(INNER, "Ignore*", objectType="cell")
    path = geojson(tmp_path / "a.geojson", [made(name="Tumor", objectType="annotation"), cell])
    assert read_outlines(path).lesions().area == 100**2


@pytest.mark.parametrize("said", [{"objectType": "annotation"}, {"object_type": "annotation"}, {"type": "annotation"}])
@pytest.mark.parametrize("identity", ["PathAnnotationObject", "8c0a3d30-0b8f-4f4e-9d6f-0d4c2b1d0a00", 7])
def test_annotations_are_read_however_they_are_called(tmp_path, said, identity):
    """By any version of QuPath, and where no class was given."""
    path = geojson(tmp_path / "a.geojson", [made(**said) | {"id": identity}])
    assert read_outlines(path).lesions().area == 100**2


@pytest.mark.parametrize("key", ["childObjects", "children"])
@pytest.mark.parametrize("name", ["Tumor", "Ignore*"])
@pytest.mark.parametrize("inside", ["properties", "feature"])
def test_objects_inside_another_are_refused(tmp_path, key, name, inside):
    """A macrometastasis, or what was to be cut out, was passed over."""
    outer, child = made(INNER, name), [made(name="Tumor")]
    (outer["properties"] if inside == "properties" else outer)[key] = child
    assert refusal(tmp_path, made(name="Tumor"), outer) == (
        f"a.geojson: feature 1 has other objects inside it ({key!r}), which are not read; export each object as a "
        "feature of its own (in QuPath, without the hierarchy)"
    )
    (outer["properties"] if inside == "properties" else outer)[key] = []
    assert read_outlines(geojson(tmp_path / "a.geojson", [made(name="Tumor"), outer])).lesions().area == 100**2


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("label", "normal tissue", "'normal tissue'"),
        ("type", "Stroma", "'Stroma'"),
        ("class", "Artefact", "'Artefact'"),
        ("class", 1, "1"),
        ("Classification", "Necrosis", "'Necrosis'"),
        ("category", {"name": "Normal"}, "{'name': 'Normal'}"),
        ("annotation_type", "roi", "'roi'"),
        ("term", 0, "0"),
        ("terms", ["Normal"], "['Normal']"),
        ("className", "Normal", "'Normal'"),
        ("PartOfGroup", "None", "'None'"),
        ("className", "Stroma", "'Stroma'"),
    ],
)
def test_a_class_that_stands_elsewhere_is_not_passed_over(tmp_path, key, value, words):
    """Without QuPath's classification an outline counts as tumour: normal tissue was a macrometastasis."""
    assert refusal(tmp_path, made(**{key: value})) == (
        f"a.geojson: feature 0 says its class as {key!r} ({words}), not as QuPath's classification; write it as "
        f"classification, or, if it is tumour, delete its {key!r}"
    )


@pytest.mark.parametrize(
    ("name", "key", "value", "words"),
    [
        ("Tumor", "label", "normal", "'normal'"),
        ("Tumor", "category", {"name": "Normal"}, "{'name': 'Normal'}"),
        ("Tumor", "terms", ["Normal"], "['Normal']"),
        ("Tumor", "className", "Ignore*", "'Ignore*'"),
        ("Tumor", "PartOfGroup", "_2", "'_2'"),
        ("Normal", "Class", "Metastases", "'Metastases'"),
        ("Ignore*", "label", "tumour", "'tumour'"),
        ("Micrometastasis", "type", "macro", "'macro'"),
    ],
)
def test_two_classes_that_contradict_each_other_are_refused(tmp_path, name, key, value, words):
    """Normal tissue that one program calls so was a macrometastasis, as another calls it tumour."""
    said = (
        f"a.geojson: feature 0 is {name!r} by its classification, but says {key!r} ({words}); correct one of them, or "
        f"delete its {key!r}"
    )
    one = made(name=name)
    one["properties"][key] = value
    assert refusal(tmp_path, one) == said


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("label", "Tumour"),
        ("label", "normal tissue"),
        ("type", "macro"),
        ("class", 1),
        ("PartOfGroup", "None"),
        ("category", None),
        ("stain", "normal"),
        ("title", "Normal"),
    ],
)
def test_what_contradicts_no_class_leaves_it_as_it_is(tmp_path, key, value):
    """The same in other words, a name that isn't known, no group, and what is no class."""
    path = geojson(tmp_path / "a.geojson", [made(name="Tumor", **{key: value})])
    assert read_outlines(path).lesions().area == 100**2


def test_a_class_beside_the_properties_is_not_passed_over(tmp_path):
    """Some programs write it into the feature itself."""
    assert "feature 0 says its class as 'class_name' ('Normal')" in refusal(tmp_path, made() | {"class_name": "Normal"})
    both = made(name="Tumor", label="Tumor") | {"label": "Normal"}
    assert "feature 0 is 'Tumor' by its classification, but says 'label' ('Normal')" in refusal(tmp_path, both)


@pytest.mark.parametrize("said", [{"type": "polygon"}, {"type": "Rectangle"}, {"title": "Normal lymph node"}])
def test_a_shape_or_a_title_is_no_class(tmp_path, said):
    """Nor does it take an outline out of what is tumour."""
    assert read_outlines(geojson(tmp_path / "a.geojson", [made(**said)])).lesions().area == 100**2


@pytest.mark.parametrize("value", [None, "", [], {}])
def test_an_empty_property_says_no_class(tmp_path, value):
    """As where an export writes a column for every outline."""
    outlines = read_outlines(geojson(tmp_path / "a.geojson", [made(label=value)]))
    assert outlines.notes == ("1 outline without a class, counted as tumour: feature 0",)


@pytest.mark.parametrize("found", [{"label": "Necrosis"}, {}, {"name": None}, {"names": []}, ""])
def test_a_classification_that_names_nothing_is_refused(tmp_path, found):
    """It counted as tumour."""
    said = refusal(tmp_path, made(classification=found))
    assert said.startswith("a.geojson: feature 0 has a classification that names no class: ")
    assert said.endswith("; give it a class, such as Tumor")


def test_a_classification_of_zero_is_a_class_that_is_not_known(tmp_path):
    """It counted as an outline without a class, which is tumour."""
    assert "feature 0 belongs to '0', and whether that is tumour is not known" in refusal(
        tmp_path, made(classification=0)
    )


def in_plane(one, **plane):
    one["geometry"]["plane"] = plane
    return one


@pytest.mark.parametrize("other", [{"z": 3, "t": 0}, {"z": 0, "t": 3}])
def test_outlines_of_several_planes_are_refused(tmp_path, other):
    """Two micrometastases, one above the other, were one macrometastasis."""
    said = refusal(tmp_path, made(name="Tumor"), in_plane(made(INNER, "Tumor"), c=-1, **other))
    assert said == (
        f"a.geojson: its outlines lie in 2 planes (z 0, t 0; z {other['z']}, t {other['t']}), and would be measured "
        "as one; export those of one plane alone"
    )


def test_a_plane_that_is_not_the_first_is_told(tmp_path):
    """What to be ignored lies elsewhere, and a first plane that is written, are no matter."""
    first = in_plane(made(name="Tumor"), c=-1, z=0, t=0)
    path = geojson(tmp_path / "a.geojson", [first, made(INNER, "Normal"), in_plane(made(name="Ignore*"), z=1, t=0)])
    assert not any("plane" in note for note in read_outlines(path).notes)
    second = in_plane(made(name="Tumor"), c=-1, z=2, t=0)
    assert read_outlines(geojson(tmp_path / "a.geojson", [second])).notes == (
        "the outlines lie in the plane z 2, t 0, not in the first; measured as if there were no other",
    )
