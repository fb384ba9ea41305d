"""Outlines are judged truly: a border drawn 20 um outside is said to be 20 um outside."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from nodescan.domain.decision import DecisionRule
from nodescan.domain.geometry import TileGeometry
from nodescan.errors import UsageError
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
    with pytest.raises(UsageError, match=r"a.png: not a readable image"):
        read_masked_images(tmp_path)


def test_a_mask_held_in_transparency_is_refused(tmp_path: Path) -> None:
    """Its colours are black throughout: the picture would pass for one without tumour."""
    Image.new("RGB", (160, 160)).save(tmp_path / "a.png")
    mask = np.zeros((160, 160, 4), np.uint8)
    mask[:80, :, 3] = 255
    Image.fromarray(mask).save(tmp_path / "a_mask.png")
    with pytest.raises(UsageError, match=r"a_mask.png: is empty but for its transparency"):
        read_masked_images(tmp_path)


def test_where_nothing_is_tumour_and_nothing_drawn_there_is_no_dice() -> None:
    """Called 0, the best answer would pass for the worst."""
    blank = MaskedImage("blank", np.zeros((160, 160, 3), np.uint8), np.zeros((160, 160), bool))
    assert np.isnan(evaluate_masks([blank], RedIsTumour(), spacing_um=0.94).dice.value)
