"""probability.ome.tif read back as a viewer reads it."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.report import SlideResult
from nodescan.domain.units import MicronsPerPixel, Spacing
from nodescan.reports import map_report
from nodescan.reports.map_report import write_map
from tests.peak_memory import peak_bytes
from tests.reports.factory import VARIANTS

SPACING = Spacing(MicronsPerPixel(15.5), MicronsPerPixel(15.75))


@pytest.fixture(scope="module")
def planted() -> ProbabilityMap:
    """One small hot spot, one area that was not examined; sides that don't halve evenly."""
    values = np.full((701, 1003), 0.125, dtype=np.float32)
    examined = np.ones(values.shape, dtype=bool)
    values[333, 555] = 0.9375
    examined[:64, :128] = False
    values[~examined] = 0
    return ProbabilityMap(values, examined, SPACING)


@pytest.fixture(scope="module")
def written(planted: ProbabilityMap, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("map")
    write_map(SlideResult(VARIANTS["failed"]().report, planted), folder)
    return folder / "probability.ome.tif"


def test_the_lines_of_the_documents_make_a_table_of_the_examined_cells(
    written: Path, planted: ProbabilityMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with its centre in um and what the network said there."""
    monkeypatch.chdir(written.parent)
    told = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
    exec(told.partition("```python\n")[2].partition("```")[0], {})
    cells = np.loadtxt("cells.csv", delimiter=",", skiprows=1)
    assert len(cells) == planted.examined.sum()
    (spot,) = cells[cells[:, 2] > 0.5]
    assert spot.tolist() == [555.5 * SPACING.x, 333.5 * SPACING.y, 0.9375]


def test_both_channels_come_back_exactly(written: Path, planted: ProbabilityMap) -> None:
    """Level 0 is the map, float32, without loss."""
    with tifffile.TiffFile(written) as tiff:
        assert tiff.is_ome
        assert tiff.series[0].axes == "CYX"
        values, examined = tiff.series[0].asarray()
        assert tiff.pages[0].is_tiled
    assert np.array_equal(values, planted.values)
    assert np.array_equal(examined, planted.examined)


def test_it_tells_nothing_of_the_machine_that_wrote_it(written: Path, planted: ProbabilityMap, tmp_path: Path) -> None:
    """The same map again is the same file; tifffile would put the time and a network card's address into it."""
    write_map(SlideResult(VARIANTS["failed"]().report, planted), tmp_path)
    assert (tmp_path / "probability.ome.tif").read_bytes() == written.read_bytes()


def test_the_pyramid_halves_until_one_tile_holds_it(written: Path) -> None:
    """Each level is half the last, rounded up."""
    with tifffile.TiffFile(written) as tiff:
        shapes = [level.shape for level in tiff.series[0].levels]
    assert shapes == [(2, 701, 1003), (2, 351, 502), (2, 176, 251)]


@pytest.mark.parametrize(
    ("shape", "levels"), [((256, 200), [(256, 200), (128, 100)]), ((1, 2), [(1, 2), (1, 1)]), ((1, 1), [(1, 1)])]
)
def test_a_small_map_is_a_pyramid_too(shape: tuple[int, int], levels: list[tuple[int, int]], tmp_path: Path) -> None:
    """Though one tile holds it; a map of one cell cannot be halved."""
    small = ProbabilityMap(np.full(shape, 0.5, np.float32), np.ones(shape, bool), SPACING)
    write_map(SlideResult(VARIANTS["failed"]().report, small), tmp_path)
    with tifffile.TiffFile(tmp_path / "probability.ome.tif") as tiff:
        assert [level.shape[1:] for level in tiff.series[0].levels] == levels
        assert np.array_equal(tiff.series[0].asarray()[0], small.values)


def test_a_small_deposit_stays_visible_in_every_level(written: Path) -> None:
    """The highest probability is kept; not examined stays not examined."""
    with tifffile.TiffFile(written) as tiff:
        for index, level in enumerate(tiff.series[0].levels):
            values, examined = level.asarray()
            assert values[333 >> index, 555 >> index] == 0.9375
            assert examined[0, 0] == 0
            assert examined[-1, -1] == 1


def test_size_origin_and_names_are_those_of_the_map(written: Path) -> None:
    """PhysicalSize in um, the origin at the canvas' top left, channels probability and examined."""
    with tifffile.TiffFile(written) as tiff:
        root = ElementTree.fromstring(tiff.ome_metadata)
        resolution = tiff.pages[0].tags["XResolution"].value
    pixels = next(element for element in root.iter() if element.tag.endswith("Pixels"))
    names = [element.get("Name") for element in root.iter() if element.tag.endswith("Channel")]
    planes = [element for element in root.iter() if element.tag.endswith("Plane")]
    assert (float(pixels.get("PhysicalSizeX")), float(pixels.get("PhysicalSizeY"))) == (15.5, 15.75)
    assert pixels.get("PhysicalSizeXUnit") == "µm"
    assert names == ["probability", "examined"]
    assert {float(plane.get("PositionX")) for plane in planes} == {0.0}
    assert resolution[0] / resolution[1] == pytest.approx(10_000 / 15.5)


def test_a_slide_without_a_map_gets_no_file(tmp_path: Path) -> None:
    """Nothing is written that would look like a map."""
    write_map(VARIANTS["failed"](), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("side", [1400, 1401])
def test_a_large_map_is_held_once(side: int) -> None:
    """Its two channels, and a third of them again in smaller levels; an odd side costs a channel more for a moment."""
    planes = np.zeros((side, side), np.float32), np.zeros((side, side), bool)
    peak = peak_bytes(lambda: map_report._pyramid(ProbabilityMap(*planes, SPACING)))
    assert peak < 15 * side**2
