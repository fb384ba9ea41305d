"""deposits.geojson: valid outlines where QuPath shows them."""

import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import shape

from nodescan.annotations.features import ROLES, Role
from nodescan.domain.deposits import Polygon
from nodescan.domain.geometry import max_feret
from nodescan.reports.geojson_report import deposit_shape, write_geojson
from nodescan.reports.palette import UNJUDGED
from tests.reports.factory import BOUNDS, ITC, MACRO, SPACING, VARIANTS, ellipse, result


def _features(path: Path) -> list[dict]:
    content = json.loads((path / "deposits.geojson").read_text())
    assert content["type"] == "FeatureCollection"
    return content["features"]


def _um(points: list[list[float]]) -> np.ndarray:
    """QuPath's pixels back to um on the full canvas."""
    return np.array(points) * [SPACING.x, SPACING.y] + [BOUNDS.left, BOUNDS.top]


def test_outlines_stand_where_qupath_shows_them(macro_folder: Path) -> None:
    """Pixels of level 0 from the top left of the bounds: shifted and scaled back they are the planted outline."""
    ring = _features(macro_folder)[0]["geometry"]["coordinates"][0]
    outline = _um(ring)
    assert max_feret(outline).diameter_um == pytest.approx(MACRO.diameter_um, abs=0.02)
    assert outline.min(axis=0) == pytest.approx(MACRO.outline[0].exterior.min(axis=0), abs=0.01)
    assert outline.max(axis=0) == pytest.approx(MACRO.outline[0].exterior.max(axis=0), abs=0.01)


def test_a_feature_is_what_qupath_reads(macro_folder: Path) -> None:
    """An annotation with a UUID, a named colour and measurements as an object of numbers."""
    feature = _features(macro_folder)[0]
    properties = feature["properties"]
    assert str(UUID(feature["id"])) == feature["id"]
    assert properties["objectType"] == "annotation"
    assert properties["classification"] == {"name": "Macrometastasis", "color": [179, 18, 48]}
    assert properties["measurements"]["Diameter um"] == 2624.0
    assert "Cells" not in properties["measurements"]


def test_what_was_marked_on_a_slide_that_was_not_judged_has_no_class(tmp_path: Path) -> None:
    """Neither its class' name nor its colour; nodescan measures the outline all the same."""
    write_geojson(VARIANTS["not_he"](), tmp_path)
    (feature,) = _features(tmp_path)
    assert feature["properties"]["classification"] == {"name": "Not judged", "color": list(UNJUDGED)}
    assert ROLES["not judged"] is Role.TUMOUR


def test_rings_are_closed_and_turn_as_rfc_7946_says(macro_folder: Path) -> None:
    """Exteriors counter-clockwise, holes clockwise, the last point the first, the hole's area missing."""
    for feature in _features(macro_folder):
        polygon = shape(feature["geometry"])
        assert polygon.is_valid
        assert polygon.exterior.is_ccw
        assert not any(hole.is_ccw for hole in polygon.interiors)
        assert all(ring[0] == ring[-1] for ring in feature["geometry"]["coordinates"])
    holed = shape(_features(macro_folder)[0]["geometry"])
    assert len(holed.interiors) == 1
    assert holed.area * SPACING.pixel_area_um2 == pytest.approx(MACRO.area_um2, rel=1e-3)


def test_ids_are_the_same_on_every_run_and_differ_between_slides(tmp_path: Path) -> None:
    """Slide and deposit decide them."""
    ids = []
    for number, slide in enumerate(("a", "a", "b")):
        (tmp_path / str(number)).mkdir()
        write_geojson(result((MACRO, ITC), slide_id=slide), tmp_path / str(number))
        ids.append([feature["id"] for feature in _features(tmp_path / str(number))])
    assert ids[0] == ids[1]
    assert len({*ids[0], *ids[2]}) == 4


def test_a_joined_deposit_is_one_feature_of_two_polygons(tmp_path: Path) -> None:
    """A joining gap leaves one deposit with two outlines: a MultiPolygon that keeps both areas."""
    other = ellipse(1, (9000.0, 6000.0), 152.0)
    write_geojson(result((replace(ITC, outline=(*ITC.outline, *other.outline)),)), tmp_path)
    (feature,) = _features(tmp_path)
    assert feature["geometry"]["type"] == "MultiPolygon"
    assert shape(feature["geometry"]).is_valid
    assert shape(feature["geometry"]).area * SPACING.pixel_area_um2 == pytest.approx(2 * ITC.area_um2, rel=1e-2)


def test_an_outline_that_touches_itself_becomes_valid_and_keeps_its_area() -> None:
    """A figure of eight is split at its waist."""
    eight = np.array([[0, 0], [10, 10], [20, 0], [20, 20], [10, 10], [0, 20]], dtype=np.float64)
    valid = deposit_shape(replace(ITC, outline=(Polygon(eight),)))
    assert valid.is_valid
    assert valid.area == pytest.approx(200.0)


def test_an_outline_without_area_is_an_error() -> None:
    """A deposit is never dropped in silence."""
    line = np.array([[0, 0], [10, 0], [20, 0]], dtype=np.float64)
    with pytest.raises(ValueError, match="deposit 3 has an outline without area"):
        deposit_shape(replace(ITC, outline=(Polygon(line),)))


@settings(max_examples=15, deadline=None)
@given(st.integers(2500, 9000), st.floats(500, 4000))
def test_a_very_large_outline_moves_by_half_a_micrometre_at_most(points: int, radius_um: float) -> None:
    """Fewer points, every one of the old outline within 0.5 um of the new."""
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    rough = radius_um * (1 + 0.1 * np.sin(9 * angles))
    ring = np.stack([rough * np.cos(angles), rough * np.sin(angles)], axis=1) + 9000
    simple = deposit_shape(replace(ITC, outline=(Polygon(ring),)))
    corners = len(simple.geoms[0].exterior.coords)
    assert simple.is_valid
    assert corners < points / 2
    assert simple.hausdorff_distance(shape({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})) <= 0.5 + 1e-6


@pytest.mark.parametrize("variant", ["failed", "unmeasurable", "nothing_examined"])
def test_a_slide_nobody_looked_at_has_no_outlines_file(variant: str, tmp_path: Path) -> None:
    """An empty collection would read as "nothing there"."""
    write_geojson(VARIANTS[variant](), tmp_path)
    assert not list(tmp_path.iterdir())
