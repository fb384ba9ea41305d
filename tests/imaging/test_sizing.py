"""Which outlines belong together."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
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


def test_specks_belong_together_up_to_the_gap_and_no_further() -> None:
    """Two of 1 um, one right of and below the other by 40 to 80 um, at a gap of 75 um between their corners."""
    for step in range(40, 81):
        specks = [box(0, 0, 1, 1), box(step, step, step + 1, step + 1)]
        one_group = specks[0].distance(specks[1]) <= 75
        assert joined(specks, Micrometers(75.0)) == (((0, 1),) if one_group else ((0,), (1,)))


def test_links_have_indices_that_every_scipy_groups() -> None:
    """Of 64-bit ones, which shapely gives, scipy 1.11.1 makes one group of all, without an error."""
    for gap_um in (0.0, 50.0):
        links = sizing._links([box(0, 0, 10, 10), box(10, 0, 20, 10)], Micrometers(gap_um))
        assert {links.row.dtype, links.col.dtype} == {np.dtype(np.int32)}


PLACES = st.tuples(st.integers(0, 300), st.integers(0, 300))
FRAMES = st.tuples(PLACES, st.integers(1, 40), st.integers(1, 40), st.booleans())


@given(st.lists(FRAMES, max_size=40), st.sampled_from([0.0, 1.0, 7.0, 25.0, 75.0]))
def test_shapes_belong_together_as_all_their_distances_say(
    frames: list[tuple[tuple[int, int], int, int, bool]], gap_um: float
) -> None:
    """By the distance of every two of them, boxes and hollow frames, one in another's hole among them."""
    boxes = [(box(x, y, x + wide, y + high), hollow) for (x, y), wide, high, hollow in frames]
    shapes = [one.buffer(60).difference(one.buffer(50)) if hollow else one for one, hollow in boxes]
    groups = [{number} for number in range(len(shapes))]
    for one, other in combinations(range(len(shapes)), 2):
        if shapes[one].distance(shapes[other]) <= gap_um:
            joint = groups[one] | groups[other]
            for member in joint:
                groups[member] = joint
    assert {tuple(sorted(group)) for group in groups} == set(joined(shapes, Micrometers(gap_um)))


def test_specks_of_one_crowd_are_not_measured_against_one_another() -> None:
    """Each of 1,600 specks has 160 others within 75 um; two such crowds far apart are two groups."""
    specks = [
        box(x, y, x + 2, y + 2) for left in (0, 900) for x in range(left, left + 400, 10) for y in range(0, 400, 10)
    ]
    assert sizing._links(specks, Micrometers(75.0)).nnz < 2 * len(specks)
    assert joined(specks, Micrometers(75.0)) == (tuple(range(1600)), tuple(range(1600, 3200)))
