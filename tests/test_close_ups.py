"""A close-up shows all of what is measured in it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.close_ups import begin_close_ups, begin_place_close_ups
from nodescan.domain.deposits import Deposit, Detection, Polygon
from nodescan.domain.geometry import PixelBox, max_feret
from tests.painted import SPACING, PaintedSlide, painted
from tests.patients.made_reports import disc


def comet() -> Deposit:
    """A disc with a long thin tail: its centre of gravity lies at one end."""
    turn = np.linspace(0.2, 2 * np.pi - 0.2, 60)
    ring: NDArray[np.float64] = np.array([300.0, 400.0]) + 60 * np.column_stack((np.cos(turn), np.sin(turn)))
    ring = np.concatenate([ring, [[780.0, 400.0]]])
    size = max_feret(ring)
    return replace(
        disc(1, float(size.diameter_um), (305.0, 400.0)),
        endpoints_um=(size.start_um, size.end_um),
        outline=(Polygon(ring),),
    )


@pytest.mark.parametrize("deposit", [comet(), disc(1, 100.0, (400.0, 400.0))], ids=["comet", "disc"])
def test_both_ends_of_the_diameter_lie_in_the_picture(deposit: Deposit) -> None:
    """With room around them."""
    picture = begin_close_ups(PaintedSlide(painted()), [deposit], SPACING)()[1]
    height, width = picture.pixels.shape[:2]
    for x, y in (*deposit.endpoints_um, *deposit.outline[0].exterior):
        assert 0.05 * width < (x - picture.left_um) / picture.spacing.x < 0.95 * width
        assert 0.05 * height < (y - picture.top_um) / picture.spacing.y < 0.95 * height


def test_a_place_lies_in_the_middle_of_its_picture() -> None:
    """Of each place, in their order, with 150 um around it."""
    places = [Detection(0.8, 400.0, 300.0), Detection(0.3, 500.0, 450.0)]
    pictures = begin_place_close_ups(PaintedSlide(painted()), places, SPACING)()
    for place, picture in zip(places, pictures, strict=True):
        height, width = picture.pixels.shape[:2]
        middle = (
            picture.left_um + width / 2 * picture.spacing.x,
            picture.top_um + height / 2 * picture.spacing.y,
        )
        assert middle == pytest.approx((place.x_um, place.y_um), abs=2)
        assert width * picture.spacing.x == pytest.approx(300, abs=2)


def test_a_deposit_beside_what_cannot_be_read_keeps_its_close_up() -> None:
    """What can be read of it is shown, the rest is hatched; without anything to show there is no picture."""
    deposit, whole = disc(1, 100.0, (400.0, 400.0)), PaintedSlide(painted())
    torn = PaintedSlide(painted(), PixelBox(440, 0, 5000, 5000))
    sound, cut = (begin_close_ups(slide, [deposit], SPACING)()[1] for slide in (whole, torn))
    edge = 440 - round(cut.left_um / SPACING.x)
    seen = edge // 32 * 32
    assert (cut.pixels[:, :seen] == sound.pixels[:, :seen]).all()
    assert set(np.unique(cut.pixels[:, edge:])) == {90, 255}
    assert begin_close_ups(PaintedSlide(painted(), PixelBox(0, 0, 5000, 5000)), [deposit], SPACING)() == {}
