"""Whatever text stands in a table or a settings file, reading it ends in a result or in a NodescanError of one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodescan.annotations import read_asap, read_geojson
from nodescan.config import default_config_path, load_config
from nodescan.errors import NodescanError
from nodescan.inference.card import load_card
from nodescan.manifest import COLUMNS
from nodescan.patients.manifest_run import manifest_slides
from nodescan.patients.slide_rows import read_slide_rows

LONGEST_ERROR = 5000
"""Characters: a file's own words may be quoted, but not without end."""

EXAMPLES = settings(max_examples=150, deadline=None)

_CELLS = st.one_of(
    st.sampled_from(["a.tif", "../a.tif", "P1", "left", "yes", "no", "0", "1", "0.25", "CK", "H&E", "", " "]),
    st.text(max_size=12),
    st.floats().map(str),
    st.integers().map(str),
)
_TABLES = st.lists(st.lists(_CELLS, max_size=len(COLUMNS)).map(",".join), max_size=5).map("\n".join)
_HEADED = st.tuples(st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True).map(",".join), _TABLES).map("\n".join)
_YAML = st.recursive(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            ["overview", "2001-99-99", "!!int x", "!!float ''", "!!timestamp x", "!!bool x", "0b_", ".nan"]
        ),
        st.sampled_from(
            ["&a", "*a", "<<", "? x", "- ", "| ", "'", '"', "%TAG", "---", "...", "#", "\t", "\0", "\ud800"]
        ),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(": ".join),
        st.lists(inner, max_size=4).map(lambda parts: f"[{', '.join(parts)}]"),
        st.lists(inner, max_size=4).map("\n".join),
        st.lists(st.tuples(inner, inner).map(": ".join), max_size=4).map(lambda parts: f"{{{', '.join(parts)}}}"),
    ),
)


def ends_well(read: Callable[[Path], object], path: Path, content: bytes) -> None:
    """Read the file; only a NodescanError of one short line may come out of it."""
    path.write_bytes(content)
    try:
        read(path)
    except NodescanError as error:
        said = str(error)
    else:
        return
    assert path.name in said
    assert len(said) < LONGEST_ERROR


def slides_of(path: Path) -> object:
    """A manifest as `nodescan run --manifest` reads it."""
    return manifest_slides(read_slide_rows(path), mpp_um=None, override_mpp=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parsing")


@EXAMPLES
@given(text=st.one_of(_HEADED, _TABLES, st.text()))
@example("path,patient_id\na\0b.tif,P")
@example(f"path,patient_id\n{'x' * 5000}.tif,P")
@example(f"path,patient_id,nodes_removed\na.tif,P,{'9' * 5000}")
@example(f"path,patient_id\n{'x' * 200_000},P")
@example('path,patient_id\n"a.tif,P')
@example("path,patient_id\r\r\na.tif,P")
@example("path,patient_id,mpp\na.tif,P,1e999")
@example("path,patient_id\n.,P")
def test_any_text_as_manifest(folder: Path, text: str) -> None:
    """A table that can't be read is refused with its line, never met with a traceback."""
    ends_well(slides_of, folder / "manifest.csv", text.encode("utf-8", "surrogatepass"))


@EXAMPLES
@given(content=st.binary(max_size=200))
def test_any_bytes_as_manifest(folder: Path, content: bytes) -> None:
    """Also where the file is no text."""
    ends_well(slides_of, folder / "bytes.csv", b"path,patient_id\n" + content)


@EXAMPLES
@given(text=st.one_of(_YAML, st.text()))
@example("a: " + "[" * 20_000)
@example("overview: 2001-99-99")
@example("overview: !!int x")
@example("overview: !!int ''")
@example("overview: !!bool x")
@example("overview: !!timestamp x")
@example(f"overview: {'9' * 5000}")
@example('overview: "\\uD800"')
@example("overview: 0b_")
@example("? [a, b]\n: c")
@example("<<: 1")
@example("overview: " + "1:" * 400 + "1.0")
@example("overview: 0x" + "f" * 5000)
def test_any_text_as_settings(folder: Path, text: str) -> None:
    """Settings that can't be read are refused with the key or the line."""
    ends_well(load_config, folder / "config.yaml", text.encode("utf-8", "surrogatepass"))


@EXAMPLES
@given(data=st.data())
def test_settings_with_one_place_changed(folder: Path, data: st.DataObject) -> None:
    """The packed settings with a few characters replaced are read or refused."""
    text = default_config_path().read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 40))
    put = data.draw(st.one_of(_YAML, st.text(max_size=5)))
    changed = text[:start] + put + text[start + length :]
    ends_well(load_config, folder / "changed.yaml", changed.encode("utf-8", "surrogatepass"))


@settings(EXAMPLES, max_examples=60)
@given(text=st.one_of(_YAML, st.text()))
@example("name: 2001-99-99")
@example("name: !!timestamp x")
@example("name: " + "[" * 20_000)
@example("temperature: " + "1:" * 400 + "1.0")
@example("temperature: 0x" + "f" * 5000)
def test_any_text_as_model_card(folder: Path, text: str) -> None:
    """A card that can't be read is refused by name."""
    (folder / "model").mkdir(exist_ok=True)
    card = folder / "model" / "card.yaml"
    ends_well(lambda path: load_card(path.parent), card, text.encode("utf-8", "surrogatepass"))


_GEOJSON_WORDS = ["type", "features", "geometry", "coordinates", "properties", "classification", "name"]
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=5), st.sampled_from(["Polygon", "Feature"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(_GEOJSON_WORDS), inner),
    ),
)


@EXAMPLES
@given(content=_JSON)
@example({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, float("inf")], [1, 1]]]}})
@example({"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": None, "properties": None}]})
@example({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[0, 0]]]}, "properties": {}})
def test_any_json_as_outlines(folder: Path, content: object) -> None:
    """Outlines that can't be understood are refused, naming the outline."""
    ends_well(read_geojson, folder / "outlines.geojson", json.dumps(content).encode())


@EXAMPLES
@given(text=st.text(), x=st.text(max_size=6), group=st.text(max_size=6))
@example("", "1e999", "_0")
@example("<!DOCTYPE a []>", "1", "_0")
def test_any_text_in_asap_xml(folder: Path, text: str, x: str, group: str) -> None:
    """So are those of ASAP."""
    whole = (
        f'<ASAP_Annotations><Annotations><Annotation Name="a" Type="Polygon" PartOfGroup="{group}"><Coordinates>'
        f'<Coordinate Order="0" X="{x}" Y="1"/></Coordinates></Annotation></Annotations></ASAP_Annotations>'
    )
    ends_well(read_asap, folder / "outlines.xml", (text + whole).encode("utf-8", "surrogatepass"))
