"""Diameters that a file states of what it outlines, as deposits.geojson does: held against what is measured there."""

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from nodescan.domain.geometry import max_feret
from nodescan.domain.units import Micrometers
from nodescan.errors import AnnotationError

_LONGEST_UM = 1e6
"""A metre."""


@dataclass(frozen=True, slots=True)
class StatedSize:
    """outline: of all polygons of the feature `name`, level-0 px; diameter_um: the greatest, stated of them as one."""

    name: str
    outline: shapely.Geometry
    diameter_um: Micrometers

    @property
    def um_per_px(self) -> float:
        """The spacing at which the outline, from end to end over all its polygons, has the diameter."""
        return self.diameter_um / max_feret(shapely.get_coordinates(self.outline)).diameter_um


def stated_um(path: Path, name: str, feature: Mapping[str, object], measurement: str) -> Micrometers | None:
    """One of a GeoJSON feature's measurements: an object, or (QuPath before 0.4) a list; None where it isn't there.

    name: of the feature, in errors. Raises AnnotationError where it is no length.
    """
    properties = feature.get("properties")
    measured = properties.get("measurements") if isinstance(properties, dict) else None
    if isinstance(measured, list):
        named = [one for one in measured if isinstance(one, dict) and isinstance(one.get("name"), str)]
        measured = {one["name"]: one.get("value") for one in named}
    stated = measured.get(measurement) if isinstance(measured, dict) else None
    if stated is None:
        return None
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not 0 <= stated < _LONGEST_UM:
        said = reprlib.repr(stated)
        raise AnnotationError(f"{path.name}: {name} has a {measurement!r} that is no length: {said}")
    return Micrometers(float(stated))


def by_feature(parts: Iterable[tuple[str, shapely.Geometry, Micrometers]]) -> tuple[StatedSize, ...]:
    """The sizes of features given polygon by polygon: name, outline in px, and what is stated of the whole feature."""
    found: dict[str, list[shapely.Geometry]] = {}
    sizes_um: dict[str, Micrometers] = {}
    for name, outline, diameter_um in parts:
        found.setdefault(name, []).extend(shapely.get_parts(outline))
        sizes_um[name] = diameter_um
    return tuple(
        StatedSize(name, shapely.GeometryCollection(outlines), sizes_um[name]) for name, outlines in found.items()
    )


def spacing_of_sizes(sizes: Sequence[StatedSize]) -> float | None:
    """The um per level-0 px that goes with most of the diameters, None where there is none."""
    return float(np.median([size.um_per_px for size in sizes])) if sizes else None
