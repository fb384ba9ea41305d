"""prepare warns of a label that contradicts the longest outline of its slide."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from nodescan.annotations import Outlines
from nodescan.domain.units import Spacing
from tests.training.made_slides import DISCS, row_of, write_asap, write_slide
from training.slides.checks import label_doubts
from training.slides.prepare import prepare

LEVEL0 = Spacing.square(0.25)


def discs(*diameters_um: float) -> Outlines:
    """Discs side by side, in px of LEVEL0."""
    shapes = [
        shapely.Point(20_000.0 * number, 0).buffer(um / 0.25 / 2, quad_segs=64)
        for number, um in enumerate(diameters_um, start=1)
    ]
    return Outlines("drawn", shapely.MultiPolygon(shapes), shapely.MultiPolygon())


@pytest.mark.parametrize(
    ("label", "diameters_um", "said"),
    [
        ("itc", (90, 1200), "labelled itc, but its longest outline is 1.20 mm (micro by size)"),
        ("micro", (2600,), "labelled micro, but its longest outline is 2.60 mm (macro by size)"),
        ("macro", (900, 150), "labelled macro, but its longest outline is 0.90 mm (micro by size)"),
        ("micro", (150,), "labelled micro, but its longest outline is 0.15 mm (itc by size)"),
        ("itc", (200.1, 60), ""),
        ("macro", (2500, 90), ""),
        ("tumour", (2500,), ""),
    ],
)
def test_a_label_is_compared_with_the_longest_outline(label: str, diameters_um: tuple[float, ...], said: str) -> None:
    """A size within a pixel of a limit contradicts nothing, nor does a label that names no size."""
    doubts = label_doubts(replace(row_of("tumor_001"), label=label), discs(*diameters_um), LEVEL0)
    assert [line.partition(";")[0] for line in doubts] == ([said] if said else [])


@pytest.mark.parametrize(("label", "warned"), [("macro", False), ("itc", True)])
def test_what_is_not_outlined_may_be_larger(label: str, warned: bool) -> None:
    """Where not all tumour is outlined, only an outline that is too large contradicts the label."""
    partly = replace(row_of("tumor_010"), label=label)
    assert bool(label_doubts(partly, discs(900), LEVEL0)) is warned


def test_prepare_says_so_and_prepares_the_slide(tmp_path: Path) -> None:
    """A warning: which of the two is wrong is for the user to say."""
    row = replace(row_of("tumor_002"), label="itc")
    write_slide(tmp_path / row.key, DISCS["tumor_002"], seed=1)
    write_asap(tmp_path / row.annotation_key, DISCS["tumor_002"])
    told: list[str] = []
    (entry,) = prepare([row], tmp_path, tmp_path / "index", tell=told.append)
    assert np.isclose(entry.lesion_mm2, np.pi * (140 * 0.972e-3) ** 2, rtol=0.02)
    assert any("tumor_002: labelled itc, but its longest outline is 0.27 mm" in line for line in told)
