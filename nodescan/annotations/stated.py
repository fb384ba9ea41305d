"""What a file states of its outlines, as deposits.geojson does: sizes, to hold against what is measured, and cells."""

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely

from nodescan.annotations.groups import CLASSES
from nodescan.domain.classification import Metastasis, is_count_above_limit
from nodescan.domain.geometry import max_feret
from nodescan.domain.units import Micrometers
from nodescan.errors import AnnotationError

_LONGEST_UM = 1e6
"""A metre."""

_MOST = 1e9
"""Cells of a deposit of a metre."""

DIAMETER, DIAMETER_UNCERTAINTY, CUT_OFF = "Diameter um", "Diameter uncertainty um", "Cut off"
"""The measurements of deposits.geojson that state a deposit's greatest diameter, how uncertain it is, and (1, or not
there) that the deposit ends where nobody looked."""

CELLS, CELLS_UNCERTAINTY = "Cells", "Cells uncertainty"
"""Those of its tumour cells, where these were counted."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a file says of an outline, of all polygons of a feature as one; None for what it doesn't say.

    metastasis: the class that the outline is named after; cut_off: that it ends where nobody looked.
    """

    diameter_um: Micrometers | None = None
    uncertainty_um: Micrometers | None = None
    cut_off: bool = False
    cells: int | None = None
    cells_uncertainty: int | None = None
    metastasis: Metastasis | None = None

    @property
    def says_what(self) -> bool:
        """Whether it says more than how uncertain a size is."""
        return bool(self.diameter_um) or self.metastasis is not None


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
    """All that a GeoJSON feature of this class states. Cells count only beside a diameter, as in deposits.geojson.

    name: of the feature, in errors. Raises AnnotationError where a length, a count or a mark is none.
    """
    diameter_um, uncertainty_um = (stated_um(path, name, feature, one) for one in (DIAMETER, DIAMETER_UNCERTAINTY))
    cells, cells_uncertainty = (
        _stated_count(path, name, feature, one) if diameter_um else None for one in (CELLS, CELLS_UNCERTAINTY)
    )
    return Stated(
        diameter_um,
        uncertainty_um,
        cut_off=stated_cut_off(path, name, feature),
        cells=cells,
        cells_uncertainty=None if cells is None else cells_uncertainty,
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


def _stated_count(path: Path, name: str, feature: Mapping[str, object], measurement: str) -> int | None:
    stated = _measured(feature, measurement)
    if stated is None:
        return None
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not (0 <= stated < _MOST and stated % 1 == 0):
        said = reprlib.repr(stated)
        raise AnnotationError(f"{path.name}: {name} has a {measurement!r} that is no number of cells: {said}")
    return int(stated)


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


def cells_in(shape: shapely.Geometry, sizes: Sequence[StatedSize], *, rounding_px: float) -> tuple[int, int] | None:
    """Tumour cells in a deposit and their uncertainty, by what a file says of the outlines that lie whole in it.

    shape: of the deposit, level-0 px. None where none of them were counted, or not all of the deposit was: unless the
    count is clearly above the limit, which more cells would leave it.
    """
    near = [size for size in sizes if size.said.cells is not None and shapely.intersects(size.outline, shape)]
    if not near:
        return None
    grown = shapely.buffer(shape, rounding_px)
    whole = [size for size in near if shapely.covers(grown, shapely.get_parts(size.outline)).all()]
    cells = sum(size.said.cells or 0 for size in whole)
    uncertainty = sum(size.said.cells_uncertainty or 0 for size in whole)
    counted = shapely.buffer(shapely.union_all([shapely.get_parts(size.outline) for size in whole]), rounding_px)
    return (cells, uncertainty) if counted.covers(shape) or is_count_above_limit(cells, uncertainty) else None
