"""Points where tumour is likeliest: local maxima of the map, not deposits. Used for FROC, and shown to a reader
first."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from nodescan.domain.deposits import Deposit, Detection
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Limits, Micrometers, check_limits
from nodescan.imaging.components import components
from nodescan.imaging.segmentation import smoothed_values
from nodescan.imaging.sizing import to_shape

MOST_PLACES = 3
"""A reader can look at so many deposits, or places, in the first minute."""

STRONG = 0.5
"""If there are deposits, only places above this confidence count: tumour is likelier there than not."""

BESIDE_UM = 50.0
"""A reader who looks at a deposit also sees places this near to it."""


@dataclass(frozen=True, slots=True)
class DetectionSettings:
    """smoothing_um: sigma of the Gaussian before maxima are sought (0: none). spacing_um: two detections lie at least
    this far apart. floor: the lowest confidence listed (a list cut at 0.5 truncates the FROC curve)."""

    smoothing_um: Annotated[Micrometers, Limits(0, 200)]
    spacing_um: Annotated[Micrometers, Limits(5, 1000)]
    floor: Annotated[float, Limits(0.001, 0.999)]

    def __post_init__(self) -> None:
        check_limits(self)


def find_detections(probability: ProbabilityMap, settings: DetectionSettings) -> tuple[Detection, ...]:
    """Local maxima of the smoothed map, the most confident first.

    A cell is a candidate where the smoothed map is at least `floor` and highest among its neighbours and all cells
    within spacing_um along both axes; a plateau is represented by the cell nearest to its centroid, so a detection
    never leaves its lesion. From the most confident down, candidates nearer than spacing_um to one already taken are
    left out. The confidence is the smoothed value there, the place the cell's centre.
    """
    smoothed = smoothed_values(probability, settings.smoothing_um)
    spacing = probability.spacing
    reach = [2 * max(1, int(settings.spacing_um / side)) + 1 for side in (spacing.y, spacing.x)]
    highest = ndimage.maximum_filter(smoothed, size=reach, mode="constant", cval=0.0)
    row, column = _one_a_plateau((smoothed >= settings.floor) & (smoothed == highest))
    confidence = smoothed[row, column]
    order = np.lexsort((column, row, -confidence))
    x_um, y_um = (column[order] + 0.5) * spacing.x, (row[order] + 0.5) * spacing.y
    kept = _apart(np.column_stack((x_um, y_um)).astype(np.float64), settings.spacing_um)
    return tuple(Detection(float(confidence[order[index]]), float(x_um[index]), float(y_um[index])) for index in kept)


def likeliest_places(detections: Sequence[Detection], deposits: Sequence[Deposit]) -> tuple[Detection, ...]:
    """The places outside all deposits to look at first: at most MOST_PLACES, the likeliest first.

    If there are deposits, only places above STRONG that are farther than BESIDE_UM from each deposit.
    """
    places = sorted(detections, key=lambda detection: -detection.confidence)
    if deposits:
        outlines = shapely.STRtree([to_shape(deposit.outline) for deposit in deposits])
        places = [place for place in places if place.confidence > STRONG and not _is_near(place, outlines)]
    return tuple(places[:MOST_PLACES])


def _is_near(place: Detection, outlines: shapely.STRtree) -> bool:
    point = shapely.Point(place.x_um, place.y_um)
    return outlines.query(point, predicate="dwithin", distance=BESIDE_UM).size > 0


def _one_a_plateau(candidates: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(rows, columns) of one cell for each 8-connected group of candidates: the one nearest to the group's centroid."""
    labels, _ = components(candidates)
    row, column = np.nonzero(labels)
    group = labels[row, column] - 1
    size = np.bincount(group)
    centre_row, centre_column = (np.bincount(group, weights=along) / size for along in (row, column))
    distance = (row - centre_row[group]) ** 2 + (column - centre_column[group]) ** 2
    order = np.lexsort((column, row, distance, group))
    first = order[np.flatnonzero(np.diff(group[order], prepend=-1))]
    return row[first], column[first]


def _apart(points_um: NDArray[np.float64], spacing_um: Micrometers) -> list[int]:
    """Indices of points, taken in order, that are at least spacing_um from every one taken before."""
    if len(points_um) == 0:
        return []
    # a hair less than the spacing: exactly that far apart is far enough
    pairs = KDTree(points_um).query_pairs(spacing_um * (1 - 1e-9), output_type="ndarray")
    later = pairs[np.argsort(pairs[:, 0], kind="stable")]
    ends = np.searchsorted(later[:, 0], np.arange(len(points_um) + 1))
    taken = np.zeros(len(points_um), dtype=np.bool_)
    kept: list[int] = []
    for index, (start, stop) in enumerate(pairwise(ends.tolist())):
        if not taken[index]:
            kept.append(index)
            taken[later[start:stop, 1]] = True
    return kept
