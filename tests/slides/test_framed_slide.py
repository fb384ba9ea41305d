"""What an open slide asks of a reader, and what it makes of the answer."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import MicronsPerPixel, Spacing
from nodescan.errors import RegionUnreadableError, UnmeasurableError
from nodescan.slides.framed_slide import FramedSlide
from nodescan.slides.opened_file import OpenedFile
from nodescan.slides.stored import StoredSlide
from nodescan.slides.tile_tables import TileTable, TileTables
from tests.slides.made_files import noise

FINE, COARSE = noise(400, 300), noise(100, 75, seed=1)
NATIVE, REDUCED = (
    Spacing(MicronsPerPixel(0.25), MicronsPerPixel(0.26)),
    Spacing(MicronsPerPixel(1.0), MicronsPerPixel(1.04)),
)


@pytest.fixture(autouse=True)
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is asked for, and nothing else."""
    monkeypatch.chdir(tmp_path)
    Path("s.x").touch()


class Strict:
    """Levels of arrays that are asked for what they have alone; `torn`, of level 1, can't be decoded."""

    def __init__(self, torn: PixelBox | None = None) -> None:
        self._torn = torn
        self.closed = False

    def read_level(self, index: int, box: PixelBox) -> NDArray[np.uint8]:
        pixels = (FINE, COARSE)[index]
        whole = PixelBox(0, 0, pixels.shape[1], pixels.shape[0])
        assert box.common(whole) == box
        assert box.width
        assert box.height
        if index == 1 and self._torn is not None and box.common(self._torn).width and box.common(self._torn).height:
            raise RegionUnreadableError("s.x", "spoilt")
        return pixels[box.within(whole)]

    def close(self) -> None:
        self.closed = True


def framed(
    levels: Strict,
    tables: TileTables | None = None,
    *,
    coarseness: tuple[float | None, ...] = (),
    mpp: str = "0.25",
) -> FramedSlide:
    said = {"openslide.vendor": "x", "openslide.mpp-x": mpp, "openslide.mpp-y": "0.26"}
    stored = StoredSlide(said, ((400, 300), (100, 75)), (1.0, 4.0))
    return FramedSlide(SlideRef("s", Path("s.x")), OpenedFile(stored, levels, tables, coarseness), reader="strict")


@pytest.mark.parametrize(
    "box",
    [
        PixelBox(10, 20, 30, 40),
        PixelBox(-7, 20, 30, 40),
        PixelBox(10, -9, 30, 40),
        PixelBox(90, 20, 30, 40),
        PixelBox(10, 60, 30, 40),
        PixelBox(-5, -6, 120, 130),
        PixelBox(200, 10, 20, 20),
        PixelBox(10, 200, 20, 20),
        PixelBox(-30, 10, 20, 20),
        PixelBox(10, -30, 20, 20),
        PixelBox(100, 75, 5, 5),
    ],
)
def test_a_box_holds_the_slides_pixels_at_their_place_and_white_beyond(box: PixelBox) -> None:
    """At the reduced level, and scaled by four at the finest."""
    slide = framed(Strict())
    fine = PixelBox(4 * box.left, 4 * box.top, 4 * box.width, 4 * box.height)
    for pixels, each, spacing in ((COARSE, box, REDUCED), (FINE, fine, NATIVE)):
        expected = np.full((each.height, each.width, 3), 255, np.uint8)
        seen = each.common(PixelBox(0, 0, pixels.shape[1], pixels.shape[0]))
        expected[seen.within(each)] = pixels[seen.top : seen.bottom, seen.left : seen.right]
        assert np.array_equal(slide.read(each, spacing), expected)


def test_where_an_area_lies_that_can_not_be_decoded_is_said_in_um_of_the_slide() -> None:
    """x by x's spacing, y by y's."""
    slide = framed(Strict(torn=PixelBox(50, 50, 1, 1)))
    with pytest.raises(RegionUnreadableError) as caught:
        slide.read(PixelBox(50, 25, 20, 50), REDUCED)
    assert str(caught.value) == (
        "s.x: the area of 20 x 52 um at x 50, y 26 um can't be decoded (spoilt); copy the file again; if that doesn't "
        "help, scan the slide again"
    )
    assert slide.read(PixelBox(51, 25, 20, 50), REDUCED).shape == (50, 20, 3)


def test_a_lost_tile_is_not_asked_of_the_reader() -> None:
    """It would come as white: the level lacks it, and the finer one has it."""
    fine, coarse = (np.ones(4, np.uint64), np.array([1, 1, 1, 0], np.uint64))
    tables = TileTables(
        [
            TileTable(400, 300, 200, 150, fine, np.zeros(4, np.bool_)),
            TileTable(100, 75, 50, 38, coarse, np.zeros(4, np.bool_)),
        ],
        ((400, 300), (100, 75)),
    )
    slide = framed(Strict(), tables)
    with pytest.raises(RegionUnreadableError, match=r"\(a tile of level 1 is missing\)"):
        slide.read(PixelBox(40, 30, 20, 20), REDUCED)
    assert np.array_equal(slide.read(PixelBox(0, 0, 50, 38), REDUCED), COARSE[:38, :50])
    assert np.array_equal(slide.read(PixelBox(0, 0, 400, 300), NATIVE), FINE)


def test_coded_bytes_are_the_finest_tiles_lengths_at_their_size_in_um() -> None:
    """3 x 2 tiles of 150 x 200 px are 37.5 x 52 um each."""
    lengths = np.arange(6, dtype=np.uint64)
    table = TileTable(400, 300, 150, 200, lengths, np.zeros(6, np.bool_))
    coded = framed(Strict(), TileTables([table], ((400, 300),))).coded_bytes()
    assert coded is not None
    assert coded.values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (coded.spacing.x, coded.spacing.y) == pytest.approx((37.5, 52.0))
    assert framed(Strict()).coded_bytes() is None


def test_a_slide_that_can_not_be_measured_lets_its_levels_go() -> None:
    """And no other does before it is closed."""
    levels = Strict()
    with pytest.raises(UnmeasurableError):
        framed(levels, mpp="264.58")
    assert levels.closed
    levels = Strict()
    slide = framed(levels)
    assert not levels.closed
    slide.close()
    assert levels.closed


def test_strong_compression_of_the_level_that_is_read_is_said() -> None:
    """The reduced one is, at 1.02 um/px."""
    assert framed(Strict(), coarseness=(None, 3.0)).info.warnings == ()
    assert [flag.code for flag in framed(Strict(), coarseness=(None, 5.0)).info.warnings] == ["strong_compression"]
