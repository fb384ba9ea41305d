"""What follows the network: planted foci come back, and sharing work between joining gaps changes nothing."""

from dataclasses import replace

import numpy as np
import pytest

from nodescan.benchmarks import after_network
from nodescan.benchmarks.after_network import planted_answers, time_map
from nodescan.config import load_config
from nodescan.domain.decision import DecisionRule
from nodescan.domain.doubts import JOINING_GAPS_UM
from nodescan.domain.geometry import TileGeometry
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Micrometers, Spacing
from nodescan.imaging.segmentation import find_deposits, find_foci

RULE = DecisionRule(16.0, 0.6, 0.9, ((84.7, 100.0), (207.5, 199.0), (415.7, 400.0)), 12.2)
GEOMETRY = TileGeometry(256, 32, 16)


FOCI_UM = (600.0, 300.0, *[150.0] * 24)


@pytest.fixture(autouse=True)
def few_foci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(after_network, "_FOCI_UM", FOCI_UM)


def planted() -> ProbabilityMap:
    """Foci of several sizes, some of them near each other, on 3 x 3 mm."""
    answers = planted_answers(GEOMETRY, (3.0, 3.0))
    return ProbabilityMap(answers, np.ones_like(answers, dtype=np.bool_), Spacing.square(15.552))


def test_gaps_tried_on_one_tracing_give_what_each_gives_alone() -> None:
    """Deposit by deposit, outlines included, whatever order the gaps come in."""
    map_, settings = planted(), load_config().settings.segmentation
    foci = find_foci(map_, RULE, settings)
    numbers = []
    for gap_um in reversed(JOINING_GAPS_UM):
        alone = find_deposits(map_, RULE, replace(settings, joining_gap_um=Micrometers(gap_um)))
        together = foci.deposits(Micrometers(gap_um))
        numbers.append(len(together))
        assert [d.id for d in together] == list(range(1, len(together) + 1))
        for one, other in zip(together, alone, strict=True):
            assert replace(one, outline=()) == replace(other, outline=())
            for part, same in zip(one.outline, other.outline, strict=True):
                assert np.array_equal(part.exterior, same.exterior)
    assert len(set(numbers)) > 1  # some join


def test_every_step_is_timed_on_a_map_of_the_size_asked_for() -> None:
    """Whole cores: 8 x 6 mm are 32 x 24 cores of 249 um."""
    times = time_map(RULE, GEOMETRY, load_config().settings, size_mm=(8.0, 6.0))
    assert times.cells == 32 * 24 * 16 * 16
    assert times.deposits > 5
    steps_s = times.stitch_s, times.deposits_s, times.detections_s, times.gaps_s, times.wholes_s
    assert min(steps_s) > 0
    assert times.total_s == pytest.approx(sum(steps_s))
