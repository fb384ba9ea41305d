"""Outlines are judged truly: a border drawn 20 um outside is said to be 20 um outside."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from nodescan.domain.decision import DecisionRule
from nodescan.domain.geometry import TileGeometry
from nodescan.errors import AnnotationError, UsageError
from training.scoring.masks import (
    Answer,
    MaskedImage,
    answer,
    border_distances,
    evaluate_masks,
    is_near,
    read_masked_images,
)

RULE = DecisionRule(0.0, 0.5, 0.5, (), 0.0)


class RedIsTumour:
    """Answers the share of red pixels in each cell."""

    geometry = TileGeometry(core_px=256, margin_px=32, stride_px=16)
    decision = RULE

    def start(self, tiles: np.ndarray) -> Callable[[], np.ndarray]:
        core = tiles[:, 32:-32, 32:-32, 0] > 128
        n, m = core.shape[1] // 16, core.shape[2] // 16
        return lambda: core.reshape(len(core), n, 16, m, 16).mean(axis=(2, 4)).astype(np.float32)


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


@pytest.mark.parametrize("moved_px", [-7, 0, 1, 5])
def test_each_pixel_of_a_border_lies_where_it_was_drawn(moved_px: int) -> None:
    """A straight border, moved: both sides of it, all along, in um and exactly; the picture's edge is no border."""
    columns = np.ones((30, 1)) * np.arange(80)
    drawn = Answer(np.zeros((1, 1)), np.zeros((1, 1)), columns < 40, columns < 40 + moved_px)
    assert border_distances(drawn, 0.5).tolist() == pytest.approx([moved_px * 0.5] * 60)


@pytest.mark.parametrize(("far_px", "counts"), [(100, True), (101, False)])
def test_a_border_far_from_any_true_one_is_none_that_is_misplaced(far_px: int, counts: bool) -> None:
    """Up to 100 um: beyond, a deposit may have been made up, and where its border lies says nothing."""
    columns = np.ones((30, 1)) * np.arange(160)
    drawn = Answer(np.zeros((1, 1)), np.zeros((1, 1)), columns < 40, columns < 40 + far_px)
    assert is_near(border_distances(drawn, 1.0)).tolist() == [counts] * 60


def test_what_the_bias_leaves_out_is_told_beside_it() -> None:
    """Of two pictures one has a false deposit far away: its border is left out of the bias, and stands in the share
    that was left out, in the bias of all, and in the mean distance of all."""
    image = picture(0)
    image.pixels[40:104, 40:104] = (255, 0, 0)
    pictures = [picture(10), image]
    parts = [border_distances(answer(each, RedIsTumour(), spacing_um=0.94, rule=RULE), 0.94) for each in pictures]
    every = np.concatenate(parts)
    near = every[np.abs(every) <= 100]
    found = evaluate_masks(pictures, RedIsTumour(), spacing_um=0.94)
    assert 0 < found.boundary_left_out.value == pytest.approx(1 - len(near) / len(every))
    assert found.boundary_bias_um.value == pytest.approx(near.mean())
    assert found.boundary_bias_of_all_um.value == pytest.approx(every.mean())
    assert found.boundary_distance_um.value == pytest.approx(np.abs(near).mean())
    assert found.boundary_distance_of_all_um.value == pytest.approx(np.abs(every).mean())


def test_dice_stands_beside_that_of_calling_all_tumour() -> None:
    """448 x 448 px are judged. Of two pictures, half and a quarter tumour, the second is missed: the mean over both is
    a half, and of calling every pixel tumour twice the tumour over tumour and pixels. One that has none and shows none
    has no Dice."""
    columns = np.ones((512, 1)) * np.arange(512)
    half, quarter, none = columns < 256, columns < 32 + 112, columns < 0
    red = [np.dstack([shown * 255, shown * 0, shown * 0]).astype(np.uint8) for shown in (half, none, none)]
    pictures = [MaskedImage("p", pixels, truth) for pixels, truth in zip(red, (half, quarter, none), strict=True)]
    found = evaluate_masks(pictures, RedIsTumour(), spacing_um=0.94)
    assert found.dice_by_picture.value == pytest.approx(0.5)
    assert found.dice.value == pytest.approx(2 * 0.5 / (0.75 + 0.5))
    assert found.dice_of_all_tumour.value == pytest.approx(2 * 0.75 / (0.75 + 3))


def test_without_a_true_border_no_drawn_one_is_misplaced() -> None:
    """All of the picture is tumour, or none of it."""
    drawn = np.arange(80) < 40 * np.ones((30, 1))
    for truth in (drawn | True, drawn & False):
        assert not len(border_distances(Answer(np.zeros((1, 1)), np.zeros((1, 1)), truth, drawn), 0.5))


def test_a_cards_size_correction_moves_the_border_by_half_of_it() -> None:
    """Diameters that are 30 um too long are borders 15 um too far out, on the largest deposits as the card has them."""

    class Corrected(RedIsTumour):
        decision = DecisionRule(0.0, 0.5, 0.5, ((100.0, 90.0), (1030.0, 1000.0)), 0.0)

    found = evaluate_masks([picture(20), picture(8)], Corrected(), spacing_um=0.94)
    raw, corrected = found.boundary_bias_raw_um, found.boundary_bias_um
    assert raw.value == pytest.approx(14 * 0.94, abs=4)
    assert [raw.value - corrected.value, raw.low - corrected.low, raw.high - corrected.high] == pytest.approx([15] * 3)


def test_the_bias_of_pictures_is_the_mean_of_all_their_borders() -> None:
    """A long border that is right weighs more than a short one; a picture without tumour has none."""
    blank = MaskedImage("blank", np.zeros((512, 512, 3), np.uint8), np.zeros((512, 512), bool))
    one, other = picture(20), picture(0)
    parts = [border_distances(answer(each, RedIsTumour(), spacing_um=0.94, rule=RULE), 0.94) for each in (one, other)]
    found = evaluate_masks([one, blank, other], RedIsTumour(), spacing_um=0.94)
    assert found.boundary_bias_um.value == pytest.approx(np.concatenate(parts).mean())
    assert found.n == 3


def test_cells_count_that_are_wholly_in_or_wholly_out() -> None:
    """28 x 28 cells, ten columns tumour and one half of it. A cell of each kind that is taken for the other costs 1 AUC
    pair, and ties with all others of its answer."""
    columns = np.ones((512, 1)) * np.arange(512)
    truth = columns < 32 + 10 * 16 + 8
    red = truth.copy()
    red[32:48, 32:48] = False
    red[32:48, 400:416] = True
    image = MaskedImage("half", np.dstack([red * 255, red * 0, red * 0]).astype(np.uint8), truth)
    found = evaluate_masks([image], RedIsTumour(), spacing_um=0.94)
    tumour, normal = 28 * 10, 28 * 17
    right = (tumour - 1) * (normal - 1) + ((tumour - 1) + (normal - 1)) / 2
    assert found.cells == tumour + normal
    assert found.auc.value == pytest.approx(right / (tumour * normal))


def test_a_drawn_mask_lies_as_its_picture_does() -> None:
    """Rows are rows: of a picture wider than high, with tumour at its lower left, the truth is drawn."""
    truth = np.zeros((320, 512), bool)
    truth[160:, :200] = True
    image = MaskedImage("corner", np.dstack([truth * 255, truth * 0, truth * 0]).astype(np.uint8), truth)
    drawn = answer(image, RedIsTumour(), spacing_um=0.94, rule=RULE)
    assert drawn.truth.shape == drawn.drawn.shape == (256, 448)
    assert (drawn.drawn == drawn.truth).mean() > 0.99


def test_dice_is_of_all_pictures_together() -> None:
    """Twice the common area over both areas; a picture of nothing but a false deposit costs, too."""
    false = picture(0)
    images = [picture(-12), MaskedImage("false", false.pixels, np.zeros_like(false.tumour))]
    answers = [answer(image, RedIsTumour(), spacing_um=0.94, rule=RULE) for image in images]
    truth, drawn = (np.concatenate([getattr(each, name).ravel() for each in answers]) for name in ("truth", "drawn"))
    found = evaluate_masks(images, RedIsTumour(), spacing_um=0.94).dice.value
    assert found == pytest.approx(2 * (truth & drawn).sum() / (truth.sum() + drawn.sum()))
    assert found == pytest.approx(2 * 108**2 / (120**2 + 108**2 + 120**2), abs=0.01)


@pytest.mark.parametrize(("size", "there"), [((80, 95), True), ((79, 512), False), ((512, 79), False)])
def test_a_picture_holds_a_cell_and_the_margin_on_both_sides(size: tuple[int, int], there: bool) -> None:
    """80 px are one cell of 16 between margins of 32; a smaller picture is refused, by name."""
    image = MaskedImage("small", np.zeros((*size, 3), np.uint8), np.zeros(size, bool))
    if there:
        assert answer(image, RedIsTumour(), spacing_um=0.94, rule=RULE).share.shape == (1, 1)
        return
    with pytest.raises(UsageError, match="small: too small; the model needs 80 px at least"):
        answer(image, RedIsTumour(), spacing_um=0.94, rule=RULE)


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


def test_a_folder_without_masks_is_named(tmp_path: Path) -> None:
    """Figures of no picture would be none; and a mask of another size than its picture is of another picture."""
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match=r"no pictures with a _mask\.png beside them"):
            read_masked_images(folder)
    Image.new("RGB", (160, 150)).save(tmp_path / "a.png")
    Image.new("L", (160, 160)).save(tmp_path / "a_mask.png")
    with pytest.raises(UsageError, match=r"a_mask\.png: \(160, 160\) px, but its picture has \(150, 160\)"):
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
        (grey(BLURRED), "holds .* at blurred edges"),
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
    assert evaluate_masks([blank], RedIsTumour(), spacing_um=0.94).dice.value is None
