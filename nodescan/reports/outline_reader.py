"""Reads deposits.geojson back: the outlines that a report's deposits have."""

import json
import re
from collections.abc import Mapping, Sequence

import numpy as np
import shapely

from nodescan.errors import UsageError
from nodescan.reports.geojson_report import DEPOSITS_GEOJSON
from nodescan.reports.json_values import DAMAGE
from nodescan.reports.report_reader import StoredReport

_DEPOSIT_NAME = re.compile(r"Deposit (\d+)")


def read_deposit_shapes(report: StoredReport) -> Mapping[int, shapely.Geometry] | None:
    """Deposit id -> outline in um from the canvas' top left; None where deposits.geojson was not written.

    Raises UsageError where the file is damaged, or holds other deposits than the report: it was edited since.
    """
    path, info = report.folder / DEPOSITS_GEOJSON, report.info
    if info is None or not path.is_file():
        return None
    scale, shown_from_px = np.array([info.spacing.x, info.spacing.y]), info.shown_from_px
    try:
        features = json.loads(path.read_bytes())["features"]
        shapes = [
            shapely.transform(
                shapely.geometry.shape(feature["geometry"]), lambda points: (points + shown_from_px) * scale
            )
            for feature in features
        ]
        return dict(zip(_numbers_of(features, report), shapes, strict=True))
    except (OSError, *DAMAGE) as error:
        raise UsageError(f"{path.parent.name}/{path.name}: is damaged ({error}); run the slide again") from error


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
