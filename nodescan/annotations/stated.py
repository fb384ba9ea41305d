"""What a file states of its outlines, as deposits.geojson does: sizes and classes, held against what is measured."""

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely

from nodescan.annotations.features import CLASSES
from nodescan.domain.classification import Metastasis
from nodescan.domain.geometry import max_feret
from nodescan.domain.units import Micrometers
from nodescan.errors import AnnotationError

_LONGEST_UM = 1e6
"""A metre."""

DIAMETER, DIAMETER_UNCERTAINTY, CUT_OFF = "Diameter um", "Diameter uncertainty um", "Cut off"
"""The measurements of deposits.geojson that state a deposit's greatest diameter, how uncertain it is, and (1, or not
there) that the deposit ends where nobody looked."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a file says of an outline, of all polygons of a feature as one; None for what it doesn't say.

    metastasis: the class that the outline is named after; cut_off: that it ends where nobody looked.
    """

    diameter_um: Micrometers | None = None
    uncertainty_um: Micrometers | None = None
    cut_off: bool = False
    metastasis: Metastasis | None = None


NOTHING = Stated()


@dataclass(frozen=True, slots=True)
class StatedSize:
    """outline: of all polygons of the feature `name`, level-0 px; said: of them as one."""

    name: str
    outline: shapely.Geometry
    said: Stated

    @property
    def um_per_px(self) -> float | None:
        """The spacing at which the outline, from end to end over all its polygons, has the diameter that is stated."""
        if not self.said.diameter_um:
            return None
        return self.said.diameter_um / max_feret(shapely.get_coordinates(self.outline)).diameter_um


def stated_of(path: Path, name: str, feature: Mapping[str, object], group: str | None) -> Stated:
    """All that a GeoJSON feature of this class states; its cells aren't read, as an outline may be drawn anew.

    name: of the feature, in errors. Raises AnnotationError where a length or a mark is none.
    """
    diameter_um, uncertainty_um = (stated_um(path, name, feature, one) for one in (DIAMETER, DIAMETER_UNCERTAINTY))
    return Stated(
        diameter_um,
        uncertainty_um,
        cut_off=stated_cut_off(path, name, feature),
        metastasis=None if group is None else CLASSES.get(group.casefold()),
    )


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
    known = [size.um_per_px for size in sizes if size.um_per_px is not None]
    return float(np.median(known)) if known else None
