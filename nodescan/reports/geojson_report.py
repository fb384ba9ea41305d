"""deposits.geojson: the deposits as QuPath annotations, in the frame QuPath shows; written, and read back."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import shapely
from numpy.typing import NDArray

from nodescan.annotations.stated import CUT_OFF, DIAMETER, DIAMETER_UNCERTAINTY
from nodescan.domain.deposits import Deposit
from nodescan.domain.report import SlideReport, SlideResult
from nodescan.domain.slide import SlideInfo
from nodescan.errors import UsageError
from nodescan.given_files import found_bytes
from nodescan.imaging.sizing import polygons_in, to_shape
from nodescan.reports.json_values import DAMAGE
from nodescan.reports.palette import deposit_colours
from nodescan.reports.report_reader import StoredReport
from nodescan.reports.wording import found_words
from nodescan.strict_json import strict_json
from nodescan.whole_files import text_bytes, write_beside

DEPOSITS_GEOJSON = "deposits.geojson"

_DEPOSIT_NAME = re.compile(r"Deposit (\d+)")
"""As _feature names each."""

_SIMPLIFY_FROM_POINTS = 2000
"""Smaller outlines are written as they are; larger ones make QuPath slow to open and edit."""

_SIMPLIFY_UM = 0.5
"""Largest shift of a simplified outline: about a level-0 pixel at x20, well below any uncertainty of a size."""

_GRID_PX = 0.01
"""Coordinates are written to a hundredth of a level-0 pixel."""


def write_geojson(result: SlideResult, folder: Path) -> None:
    """Write deposits.geojson: level-0 pixels with the bounds offset subtracted, because QuPath shows the bounds only.

    A slide that was never looked at gets none: an empty list would read as "nothing there".
    """
    report = result.report
    if report.info is None or not report.looked_at:
        return
    info = report.info
    features = [_feature(deposit, info, report) for deposit in report.deposits]
    content = {"type": "FeatureCollection", "features": features}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    write_beside(folder / DEPOSITS_GEOJSON, text_bytes(text))


def read_deposit_shapes(report: StoredReport) -> Mapping[int, shapely.Geometry] | None:
    """Deposit id -> outline in um from the canvas' top left; None where deposits.geojson was not written.

    Raises UsageError where the file is damaged, or holds other deposits than the report: it was edited since.
    """
    path, info = report.folder / DEPOSITS_GEOJSON, report.info
    if info is None or not path.is_file():
        return None
    scale, shown_from_px = np.array([info.spacing.x, info.spacing.y]), info.shown_from_px
    try:
        features = strict_json(found_bytes(path))["features"]
        shapes = [
            shapely.transform(
                shapely.geometry.shape(feature["geometry"]), lambda points: (points + shown_from_px) * scale
            )
            for feature in features
        ]
        return dict(zip(_numbers_of(features, report), shapes, strict=True))
    except (OSError, *DAMAGE) as error:
        said = error if isinstance(error, OSError | ValueError) else "not every feature has a name and an outline"
        name = f"{path.parent.name}/{path.name}"
        raise UsageError(f"{name}: is damaged ({said}); run the slide again with --force") from error


def deposit_shape(deposit: Deposit) -> shapely.MultiPolygon:
    """The deposit's outline as valid polygons, in um.

    A contour that touches itself at a corner is split there, its area stays. Raises ValueError on an outline
    that holds no area.
    """
    drawn = polygons_in(to_shape(deposit.outline))
    shape = shapely.union_all([shapely.make_valid(polygon, method="structure") for polygon in drawn])
    if shapely.get_num_coordinates(shape) > _SIMPLIFY_FROM_POINTS:
        shape = shapely.simplify(shape, _SIMPLIFY_UM, preserve_topology=True)
    polygons = polygons_in(shape)
    if not polygons:
        raise ValueError(f"deposit {deposit.id} has an outline without area")
    return shapely.MultiPolygon(polygons)


def _feature(deposit: Deposit, info: SlideInfo, report: SlideReport) -> dict[str, object]:
    name = found_words(deposit, report)
    return {
        "type": "Feature",
        "id": str(uuid5(NAMESPACE_URL, f"nodescan:{report.slide.slide_id}:{deposit.id}")),
        "geometry": _geometry(deposit, info),
        "properties": {
            "objectType": "annotation",
            "name": f"Deposit {deposit.id}",
            "classification": {"name": name, "color": list(deposit_colours(report)[deposit.metastasis])},
            "isLocked": False,
            "measurements": _measurements(deposit),
        },
    }


def _measurements(deposit: Deposit) -> dict[str, float]:
    measured = {
        DIAMETER: deposit.diameter_um,
        DIAMETER_UNCERTAINTY: deposit.diameter_uncertainty_um,
        "Area um^2": deposit.area_um2,
        "Probability mean": deposit.probability_mean,
        "Probability max": deposit.probability_max,
        "Cells": deposit.cells and deposit.cells.number,
        CUT_OFF: 1 if deposit.cut_off else None,
    }
    return {name: float(value) for name, value in measured.items() if value is not None}


def _geometry(deposit: Deposit, info: SlideInfo) -> dict[str, object]:
    """A Polygon or MultiPolygon, rings closed, exteriors counter-clockwise and holes clockwise (RFC 7946, 3.1.6)."""

    def to_pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
        """points : float64 (n, 2), um on the canvas -> float64 (n, 2), level-0 px in QuPath's frame."""
        return points / np.array([info.spacing.x, info.spacing.y]) - info.shown_from_px

    shape = shapely.set_precision(shapely.transform(deposit_shape(deposit), to_pixels), _GRID_PX)
    rings = [_rings(shapely.geometry.polygon.orient(polygon, sign=1.0)) for polygon in polygons_in(shape)]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def _rings(polygon: shapely.Polygon) -> list[list[list[float]]]:
    """Exterior first, then holes, each closed."""
    return [
        [[round(float(x), 2), round(float(y), 2)] for x, y in ring.coords]
        for ring in (polygon.exterior, *polygon.interiors)
    ]


def _numbers_of(features: Sequence[Mapping[str, Mapping[str, str]]], report: StoredReport) -> list[int]:
    """Which deposit each is. Raises ValueError where not every deposit of the report is there once."""
    numbers = [_deposit_number(feature) for feature in features]
    if sorted(numbers) != sorted(deposit.id for deposit in report.deposits):
        raise ValueError("it holds other deposits than report.json")
    return numbers


def _deposit_number(feature: Mapping[str, Mapping[str, str]]) -> int:
    found = _DEPOSIT_NAME.fullmatch(feature["properties"]["name"])
    if found is None:
        raise ValueError(f"{feature['properties']['name']!r} names no deposit")
    return int(found[1])
