"""Which outlines belong together."""

import numpy as np
from shapely import box

from nodescan.domain.units import Micrometers
from nodescan.imaging import sizing
from nodescan.imaging.sizing import joined


def test_what_lies_far_apart_stays_apart() -> None:
    """Two boxes 490 um apart, and one that touches the first: two groups, at a gap of 0 and of 50 um."""
    boxes = [box(0, 0, 10, 10), box(500, 0, 510, 10), box(10, 0, 20, 10)]
    for gap_um in (0.0, 50.0):
        assert joined(boxes, Micrometers(gap_um)) == ((0, 2), (1,))
    assert joined(boxes, Micrometers(480.0)) == ((0, 1, 2),)


def test_links_have_indices_that_every_scipy_groups() -> None:
    """Of 64-bit ones, which shapely gives, scipy 1.11.1 makes one group of all, without an error."""
    links = sizing._links([box(0, 0, 10, 10), box(10, 0, 20, 10)], Micrometers(0.0))
    assert {links.row.dtype, links.col.dtype} == {np.dtype(np.int32)}
    assert links.toarray().tolist() == [[1, 1], [1, 1]]
