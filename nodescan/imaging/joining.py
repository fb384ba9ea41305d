"""How the largest deposit and the class would change if foci across a small gap were one."""

from collections.abc import Sequence

import shapely
from shapely.geometry.base import BaseGeometry

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.deposits import Deposit
from nodescan.domain.doubts import JOINING_GAPS_UM, GapReading, gap_reading
from nodescan.domain.units import Micrometers
from nodescan.imaging.segmentation import FoundFoci
from nodescan.imaging.sizing import greatest_diameter, joined, to_shape


def gap_readings(foci: FoundFoci, *, found: Sequence[Deposit]) -> tuple[GapReading, ...]:
    """One reading for the settings' own gap, which decides, then one for each other of 0, 25, 50 and 75 um.

    found: the deposits at the settings' own gap. Joined anew for every other gap, because specks that are too small
    alone count once joined. A macrometastasis stays one whatever is joined to it, so then the first reading is all.
    """
    own = foci.settings.joining_gap_um
    decides = gap_reading(own, found)
    if decides.metastasis is Metastasis.MACRO and own == 0:
        return (decides,)
    others = [gap_reading(gap_um, foci.deposits(gap_um)) for gap_um in JOINING_GAPS_UM if gap_um != own]
    return (decides, *others)


def outline_gap_readings(found: Sequence[Deposit], own_gap_um: Micrometers) -> tuple[GapReading, ...]:
    """The same of deposits that somebody else outlined, found with this gap: by the outlines that are at hand."""
    decides = gap_reading(own_gap_um, found)
    if len(found) < 2 or decides.metastasis is Metastasis.MACRO:
        return (decides,)
    shapes = [to_shape(deposit.outline) for deposit in found]
    return (decides, *(_joined_reading(shapes, gap_um) for gap_um in JOINING_GAPS_UM if gap_um > own_gap_um))


def _joined_reading(shapes: Sequence[BaseGeometry], gap_um: Micrometers) -> GapReading:
    groups = [shapely.GeometryCollection([shapes[one] for one in group]) for group in joined(shapes, gap_um)]
    largest_um = max(greatest_diameter(group).diameter_um for group in groups)
    return GapReading(gap_um, largest_um, classify(largest_um))
