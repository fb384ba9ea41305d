"""Outlines are judged truly: a border drawn 20 um outside is said to be 20 um outside."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from nodescan.domain.decision import DecisionRule
from nodescan.domain.geometry import TileGeometry
from nodescan.errors import AnnotationError, UsageError
from training.mask_evaluation import MaskedImage, evaluate_masks, read_masked_images

RULE = DecisionRule(0.0, 0.5, 0.5, (), 0.0)


class RedIsTumour:
    """Answers the share of red pixels in each cell."""

    geometry = TileGeometry(core_px=256, margin_px=32, stride_px=16)
    decision = RULE

    def predict(self, tiles: np.ndarray) -> np.ndarray:
        core = tiles[:, 32:-32, 32:-32, 0] > 128
        n, m = core.shape[1] // 16, core.shape[2] // 16
        return core.reshape(len(core), n, 16, m, 16).mean(axis=(2, 4)).astype(np.float32)


def picture(grown_px: int) -> MaskedImage:
    """A disc of tumour; the picture shows it `grown_px` larger all around."""
    rows, columns = np.ogrid[:512, :512]
    distance = np.hypot(rows - 256, columns - 256)
    pixels = np.zeros((512, 512, 3), np.uint8)
    pixels[distance < 120 + grown_px] = (255, 0, 0)
    return MaskedImage("disc", pixels, distance < 120)


@pytest.mark.parametrize("grown_px", [-12, 0, 20])
def test_a_planted_bias_comes_back(grown_px: int) -> None:
    """The border's bias is the planted one, in um, within a quarter of a cell."""
    scores = evaluate_masks([picture(grown_px)], RedIsTumour(), spacing_um=0.94)
    assert scores.boundary_bias_um.value == pytest.approx(grown_px * 0.94, abs=4)


def test_a_perfect_outline_scores_near_one() -> None:
    """Dice and cell AUC of the truth itself."""
    scores = evaluate_masks([picture(0)], RedIsTumour(), spacing_um=0.94)
    assert scores.auc.value == 1
    assert scores.dice.value > 0.98


def test_a_masks_picture_must_be_there(tmp_path: Path) -> None:
    """A mask without its picture is named."""
    Image.fromarray(ndimage.zoom(np.zeros((4, 4), np.uint8), 8)).save(tmp_path / "a_mask.png")
    with pytest.raises(UsageError, match=r"a_mask.png: no picture named a"):
        read_masked_images(tmp_path)
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(UsageError, match=r"a.png: is not a readable image"):
        read_masked_images(tmp_path)
    Image.new("I;16", (32, 32)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"a.png: is grey of more than 8 bits"):
        read_masked_images(tmp_path)


DISC = np.hypot(*np.ogrid[-80:80, -80:80]) < 40
COLOURS = np.dstack([DISC * 255, ~DISC * 255, DISC * 0]).astype(np.uint8)
UNSEEN = np.dstack([DISC * 0] * 3 + [DISC * 255]).astype(np.uint8)
BLURRED = (ndimage.gaussian_filter(DISC.astype(float), 4) * 255).round().astype(np.uint8)


def saved(folder: Path, *masks: Image.Image) -> Path:
    """The folder, with a black picture beside every mask."""
    for number, mask in enumerate(masks):
        Image.new("RGB", mask.size).save(folder / f"{number}.png")
        mask.save(folder / f"{number}_mask.png")
    return folder


def grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8))


def white_background() -> Image.Image:
    image = Image.fromarray(DISC.astype(np.uint8), mode="P")
    image.putpalette([255, 255, 255, 200, 0, 0])
    return image


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        (Image.fromarray(UNSEEN), "is transparent in part"),
        (Image.fromarray(COLOURS), "is a colour image"),
        (white_background(), "its palette doesn't paint value 0 black"),
        (grey(BLURRED), "holds .* as on a blurred edge"),
    ],
)
def test_a_mask_that_measure_refuses_is_refused(tmp_path: Path, mask: Image.Image, why: str) -> None:
    """Else whatever isn't black, or nothing at all, would pass for tumour."""
    with pytest.raises(AnnotationError, match=rf"^0_mask.png: {why}"):
        read_masked_images(saved(tmp_path, mask))


def test_of_several_values_the_one_named_is_tumour(tmp_path: Path) -> None:
    """Within one mask or over all of a folder: 255 may be what nobody annotated, and 1 tissue."""
    empty_but_void = np.where(np.arange(160) < 50, 255, 0) * np.ones((160, 1))
    folder = saved(tmp_path, grey(DISC), grey(empty_but_void))
    with pytest.raises(UsageError, match=r"masks hold the values 0, 1, 255, and which .* --value of evaluate-masks"):
        read_masked_images(folder)
    first, second = read_masked_images(folder, value=1)
    assert (first.tumour == DISC).all()
    assert not second.tumour.any()
    with pytest.raises(UsageError, match=r"no pixel of its masks has the value 2; they hold 0, 1, 255"):
        read_masked_images(folder, value=2)


@pytest.mark.parametrize("mask", [grey(DISC * 255), grey(DISC), Image.fromarray(DISC.astype(np.uint16) * 1000)])
def test_the_one_value_beside_0_is_tumour(tmp_path: Path, mask: Image.Image) -> None:
    """Whichever it is, and in 16 bits too; a mask of 0 alone holds none."""
    first, second = read_masked_images(saved(tmp_path, mask, grey(DISC * 0)))
    assert (first.tumour == DISC).all()
    assert not second.tumour.any()


def test_where_nothing_is_tumour_and_nothing_drawn_there_is_no_dice() -> None:
    """Called 0, the best answer would pass for the worst."""
    blank = MaskedImage("blank", np.zeros((160, 160, 3), np.uint8), np.zeros((160, 160), bool))
    assert np.isnan(evaluate_masks([blank], RedIsTumour(), spacing_um=0.94).dice.value)
