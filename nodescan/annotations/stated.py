"""Diameters that a file states of what it outlines, as deposits.geojson does: held against what is measured there."""

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely

from nodescan.domain.geometry import max_feret
from nodescan.domain.units import Micrometers
from nodescan.errors import AnnotationError

DIAMETER, DIAMETER_UNCERTAINTY, CUT_OFF = "Diameter um", "Diameter uncertainty um", "Cut off"
"""The measurements of deposits.geojson that state a deposit's greatest diameter, how uncertain it is, and (1, or not
there) that the deposit ends where nobody looked."""

_LONGEST_UM = 1e6
"""A metre."""


@dataclass(frozen=True, slots=True)
class StatedSize:
    """outline: of all polygons of the feature `name`, level-0 px; diameter_um: the greatest, stated of them as one.

    cut_off: the file states, too, that it ends where nobody looked.
    """

    name: str
    outline: shapely.Geometry
    diameter_um: Micrometers
    cut_off: bool = False

    @property
    def um_per_px(self) -> float:
        """The spacing at which the outline, from end to end over all its polygons, has the diameter."""
        return self.diameter_um / max_feret(shapely.get_coordinates(self.outline)).diameter_um


def stated_um(path: Path, name: str, feature: Mapping[str, object], measurement: str) -> Micrometers | None:
    """One of a GeoJSON feature's measurements; None where it isn't there.

    name: of the feature, in errors. Raises AnnotationError where it is no length.
    """
    stated = _measured(feature, measurement)
    if stated is None:
        return None
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not 0 <= stated < _LONGEST_UM:
        said = reprlib.repr(stated)
        raise AnnotationError(f"{path.name}: {name} has a {measurement!r} that is no length: {said}")
    return Micrometers(float(stated))


def stated_cut_off(path: Path, name: str, feature: Mapping[str, object]) -> bool:
    """Whether a GeoJSON feature's measurements say, by 1 or 0, that it is cut off; it isn't where none does.

    name: of the feature, in errors. Raises AnnotationError where it is another number, or none.
    """
    stated = _measured(feature, CUT_OFF)
    if stated not in (None, 0, 1):
        raise AnnotationError(f"{path.name}: {name} has a {CUT_OFF!r} that is not 0 or 1: {reprlib.repr(stated)}")
    return stated == 1


def _measured(feature: Mapping[str, object], measurement: str) -> object:
    """One of a feature's measurements: an object, or (QuPath before 0.4) a list; None where it isn't there."""
    properties = feature.get("properties")
    measured = properties.get("measurements") if isinstance(properties, dict) else None
    if isinstance(measured, list):
        named = [one for one in measured if isinstance(one, dict) and isinstance(one.get("name"), str)]
        measured = {one["name"]: one.get("value") for one in named}
    return measured.get(measurement) if isinstance(measured, dict) else None


def by_feature(parts: Iterable[StatedSize]) -> tuple[StatedSize, ...]:
    """The sizes of features given polygon by polygon: of each its own outline, and what the whole feature states."""
    found: dict[str, list[shapely.Geometry]] = {}
    whole: dict[str, StatedSize] = {}
    for part in parts:
        found.setdefault(part.name, []).extend(shapely.get_parts(part.outline))
        whole[part.name] = part
    return tuple(replace(whole[name], outline=shapely.GeometryCollection(outlines)) for name, outlines in found.items())


def spacing_of_sizes(sizes: Sequence[StatedSize]) -> float | None:
    """The um per level-0 px that goes with most of the diameters, None where there is none."""
    return float(np.median([size.um_per_px for size in sizes])) if sizes else None
