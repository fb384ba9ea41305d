"""Phantom slides hold exactly what their truth says."""

import errno
import json
import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import openslide
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from shapely import contains_xy
from shapely.geometry import Polygon

from nodescan.domain.geometry import PixelBox
from nodescan.errors import OutputError, UsageError
from nodescan.phantoms import PhantomTruth, PlantedDeposit, make_phantom, plan_phantom
from nodescan.phantoms.canvas import PhantomCanvas, PhantomPlan
from nodescan.phantoms.look import Look
from nodescan.phantoms.node import DEPOSIT_GAP_UM, plan_node, scene_of
from nodescan.phantoms.outlines import PlacedOutline, Shape, outline_of, tumour_pixels
from nodescan.phantoms.texture import draw

ROUND_AND_PAIR = PhantomPlan("small", (150.0, 90.0), (Shape.ROUND, Shape.PAIR), 0.5, 3)


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PhantomTruth]:
    """A slide with a disc of 150 um and a pair of 90 um."""
    path = tmp_path_factory.mktemp("phantom") / "small.tif"
    return path, make_phantom(path, ROUND_AND_PAIR)


def level(path: Path, index: int, box: PixelBox) -> NDArray[np.float64]:
    """RGB of a box in the pixels of one level, as OpenSlide reads it."""
    with openslide.OpenSlide(path) as handle:
        scale = round(handle.level_downsamples[index])
        pixels = handle.read_region((box.left * scale, box.top * scale), index, (box.width, box.height))
    return np.asarray(pixels.convert("RGB"), dtype=np.float64)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(list(Shape)), st.floats(40, 9000), st.floats(0, 2 * math.pi))
def test_outlines_have_the_diameter_asked_for(shape: Shape, diameter_um: float, turn: float) -> None:
    """The greatest distance between any two points of an outline, compared one by one, is its diameter."""
    points = outline_of(shape, diameter_um, turn)
    assert cdist(points, points).max() == pytest.approx(diameter_um, rel=1e-9)


def test_truth_beside_the_slide_states_what_was_planted(slide: tuple[Path, PhantomTruth]) -> None:
    """The JSON's outlines measure, by brute force, the diameters that it and the plan state."""
    path, _ = slide
    truth = json.loads(path.with_name("small.truth.json").read_text())
    assert [d["diameter_um"] for d in truth["deposits"]] == [150.0, 90.0, 90.0]
    assert [d["shape"] for d in truth["deposits"]] == ["round", "pair", "pair"]
    for deposit in truth["deposits"]:
        outline = np.array(deposit["outline_um"])
        assert cdist(outline, outline).max() == pytest.approx(deposit["diameter_um"], abs=0.01)
        ring = Polygon(outline)
        assert deposit["area_um2"] == pytest.approx(ring.area, rel=1e-4)
        assert deposit["centre_um"] == pytest.approx(ring.centroid.coords[0], abs=0.01)
    assert (truth["slide"], truth["um_per_px"], truth["label"]) == ("small.tif", 0.5, "itc")


def test_a_pair_stays_thirty_micrometres_apart_and_others_far(slide: tuple[Path, PhantomTruth]) -> None:
    """The two foci of a pair lie 30 um apart edge to edge; any other two deposits at least the stated gap."""
    disc, first, second = (Polygon(deposit.outline_um) for deposit in slide[1].deposits)
    assert first.distance(second) == pytest.approx(30.0, abs=0.01)
    assert min(disc.distance(first), disc.distance(second)) >= DEPOSIT_GAP_UM


def test_openslide_reads_spacing_and_size(slide: tuple[Path, PhantomTruth]) -> None:
    """OpenSlide finds the planned spacing in the file, and levels that halve exactly."""
    path, truth = slide
    with openslide.OpenSlide(path) as handle:
        assert float(handle.properties["openslide.mpp-x"]) == pytest.approx(0.5, rel=1e-6)
        assert float(handle.properties["openslide.mpp-y"]) == pytest.approx(0.5, rel=1e-6)
        assert handle.dimensions == (truth.width_px, truth.height_px)
        assert handle.level_downsamples == tuple(2.0**k for k in range(handle.level_count))
        assert max(handle.level_dimensions[-1]) <= 1024


def test_reduced_levels_show_the_same_place(slide: tuple[Path, PhantomTruth]) -> None:
    """Around a deposit, each level equals the means of level 0 over its pixels, and no shift fits better."""
    path, truth = slide
    left, top = (int(value / truth.um_per_px / 64) * 8 - 64 for value in truth.deposits[0].centre_um)
    for index, scale in ((1, 2), (2, 4), (3, 8)):
        box = PixelBox(left * 8 // scale, top * 8 // scale, 128, 128)
        fine = level(path, 0, PixelBox(box.left * scale, box.top * scale, 128 * scale, 128 * scale))
        means = fine.reshape(128, scale, 128, scale, 3).mean(axis=(1, 3, 4))  # grey: JPEG halves the colours' detail
        coarse = level(path, index, box).mean(axis=2)
        error = np.abs(coarse - means).mean()
        assert error < 4
        assert abs((coarse - means).mean()) < 0.7
        for axis in (0, 1):
            assert min(np.abs(np.roll(coarse, step, axis) - means).mean() for step in (-1, 1)) > 2 * error


def test_the_slide_shows_what_the_canvas_draws(slide: tuple[Path, PhantomTruth]) -> None:
    """Pixels in the file equal those drawn for the same box alone, but for JPEG: no strip or tile is misplaced."""
    path, truth = slide
    canvas = PhantomCanvas(ROUND_AND_PAIR)
    for deposit in truth.deposits:
        x, y = (int(value / truth.um_per_px) - 100 for value in deposit.centre_um)
        box = PixelBox(x, y, 200, 200)
        assert np.abs(level(path, 0, box) - canvas.read(box)).mean() < 6


@pytest.mark.parametrize("spacing_um", [0.25, 0.5, 1.0])
def test_a_box_read_in_two_halves_equals_the_whole(spacing_um: float) -> None:
    """No seam: cells that cross the border of two boxes are drawn the same in both."""
    canvas = PhantomCanvas(replace(ROUND_AND_PAIR, spacing_um=spacing_um))
    centre = canvas.node.outlines[0].outline_um.mean(axis=0)
    left, top = (int(value / spacing_um / 4) * 4 - 100 for value in centre)
    whole = canvas.read(PixelBox(left, top, 200, 200))
    halves = [canvas.read(PixelBox(left + step, top, 100, 200)) for step in (0, 100)]
    np.testing.assert_array_equal(np.concatenate(halves, axis=1), whole)
    assert whole.std() > 20


def test_same_seed_same_pixels_other_seed_others() -> None:
    """Two canvases of one plan draw the same pixels; another seed draws others."""
    box = PixelBox(1500, 1500, 256, 256)
    first, again, other = (
        PhantomCanvas(plan).read(box) for plan in (ROUND_AND_PAIR, ROUND_AND_PAIR, replace(ROUND_AND_PAIR, seed=4))
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(list(Shape)), st.floats(40, 300), st.floats(0, 7), st.floats(-90, 90))
def test_tumour_pixels_are_those_inside_the_outline(shape: Shape, diameter: float, turn: float, shift: float) -> None:
    """Pixel by pixel, the mask agrees with another library's point-in-polygon test, also where it is cut off."""
    placed = PlacedOutline(shape, diameter, np.add(outline_of(shape, diameter, turn), (400 + shift, 400 - 0.7 * shift)))
    box, um_per_px = PixelBox(600, 620, 420, 400), 0.5
    x, y = np.meshgrid(np.arange(600, 1020) + 0.5, np.arange(620, 1020) + 0.5)
    expected = contains_xy(Polygon(placed.outline_um), x * um_per_px, y * um_per_px)
    assert np.count_nonzero(tumour_pixels((placed,), box, um_per_px) != expected) <= 2  # centres on the line itself


def test_planting_changes_pixels_inside_the_outline_and_nowhere_else() -> None:
    """Drawn with and without its tumour, a scene differs in every part of the outline and in no pixel outside."""
    node = plan_node(((Shape.CRESCENT, 250.0),), np.random.default_rng(5))
    left, top = (int(value) for value in node.outlines[0].outline_um.min(axis=0) / 0.5)
    box = PixelBox(left - 30, top - 30, 560, 560)
    look = Look.drawn(np.random.default_rng(5), spread=0.5)
    scene = scene_of(node, box, 0.5, 9)
    planted = draw(scene, look)
    bare = draw(replace(scene, tumour=np.zeros_like(scene.tumour)), look)
    inside = tumour_pixels(node.outlines, box, 0.5)
    changed = (planted.light != bare.light).any(axis=2)
    assert not changed[~inside].any()
    assert changed[inside].mean() > 0.99
    assert len(bare.nuclei_px) == 0


def test_nuclei_in_the_truth_are_those_drawn(slide: tuple[Path, PhantomTruth]) -> None:
    """Drawing only a deposit's surroundings plants as many tumour nuclei as its truth states, all inside it."""
    truth = slide[1]
    for deposit in truth.deposits:
        canvas = PhantomCanvas(ROUND_AND_PAIR)
        low, high = deposit.outline_um.min(axis=0) / 0.5, deposit.outline_um.max(axis=0) / 0.5
        box = PixelBox(int(low[0]) - 4, int(low[1]) - 4, *(int(size) + 8 for size in high - low))
        canvas.read(box)
        points = canvas.nuclei_um()
        assert contains_xy(Polygon(deposit.outline_um), *points.T).all()
        assert 5 < deposit.nuclei == len(points)


@pytest.mark.parametrize(
    ("diameter_um", "nuclei", "label"),
    [(200.0, 90, "itc"), (200.5, 90, "micro"), (200.0, 201, "micro"), (2000.0, 9000, "micro"), (2000.5, 9000, "macro")],
)
def test_label_is_the_class_of_the_largest(diameter_um: float, nuclei: int, label: str) -> None:
    """Limits belong to the smaller class, and more than 200 cells make a micrometastasis."""
    outline = outline_of(Shape.ROUND, diameter_um, 0.0)
    small, large = (
        PlantedDeposit(Shape.ROUND, size, (0.0, 0.0), 1.0, cells, outline)
        for size, cells in ((60.0, 10), (diameter_um, nuclei))
    )
    assert PhantomTruth("a.tif", 1, 1, 0.5, 0, (small, large)).label == label
    assert PhantomTruth("a.tif", 1, 1, 0.5, 0, ()).label == "negative"


@pytest.mark.parametrize(
    ("diameters_um", "spacing_um", "words"),
    [
        ((-5.0,), 0.5, "round deposit of a phantom measures 40 to 12000 um, not -5"),
        ((math.nan,), 0.5, "not nan"),
        ((math.inf,), 0.5, "not inf"),
        ((150.0,), 1.3, "spacing must lie within 0.1 to 1.2 um/px, not 1.3"),
        ((150.0,), math.nan, "spacing must lie within 0.1 to 1.2 um/px, not nan"),
        ((9000.0,) * 9, 0.5, "no room for 9 deposits"),
        ((5000.0,), 0.1, "choose a coarser spacing than 0.1 um/px"),
    ],
)
def test_what_cannot_be_planted_is_refused(
    diameters_um: tuple[float, ...], spacing_um: float, words: str, tmp_path: Path
) -> None:
    """Each impossible wish is one line that says what is wrong, and nothing is written."""
    with pytest.raises(UsageError, match=words):
        make_phantom(tmp_path / "a.tif", plan_phantom(diameters_um, spacing_um=spacing_um, seed=0))
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A missing folder, a folder of the slide's name and a wrong suffix are refused before anything is drawn."""
    plan = plan_phantom((), spacing_um=1.0, seed=0)
    with pytest.raises(OutputError, match="missing doesn't exist; make it first"):
        make_phantom(tmp_path / "missing" / "a.tif", plan)
    (tmp_path / "b.tif").mkdir()
    with pytest.raises(OutputError, match="a folder of that name"):
        make_phantom(tmp_path / "b.tif", plan)
    with pytest.raises(UsageError, match=r"ends in \.tif"):
        make_phantom(tmp_path / "a.png", plan)


def test_a_disk_that_is_read_only_is_named_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no want of permission, which nobody could give."""

    def read_only(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    monkeypatch.setattr("nodescan.phantoms.canvas.PhantomCanvas.read", lambda *_: pytest.fail("it is drawn"))
    with pytest.raises(OutputError, match=r"a\.tif: can't be written \(Read-only file system\); choose an output"):
        make_phantom(tmp_path / "a.tif", plan_phantom((), spacing_um=1.0, seed=0))


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk is full halfway, neither slide nor truth nor a partial file remains."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nodescan.phantoms.canvas.PhantomCanvas.read", full)
    with pytest.raises(OutputError, match="No space left on device"):
        make_phantom(tmp_path / "a.tif", plan_phantom((), spacing_um=1.0, seed=0))
    assert not list(tmp_path.iterdir())
