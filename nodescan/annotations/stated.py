"""Diameters that a file states of what it outlines, as deposits.geojson does: held against what is measured there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from nodescan.domain.geometry import max_feret
from nodescan.domain.units import Micrometers


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
