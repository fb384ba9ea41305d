"""Patches shown in part, and blended patches: what is shown still bears out the label."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nodescan.inference.equivariance import POSES, turned
from tests.training.made_patches import write_patches
from tests.training.made_runs import OFF, patch_data
from training.patches.augment import _beta, augmented, blended, cropped
from training.patches.datamodule import LABELLED_PX, TrainingBatches

SIDE_PX, CELL_PX = 96, 16
HALF = replace(OFF, blend_share=0.5)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rulers(count: int) -> Tensor:
    """float (count, 2, 96, 96): every pixel holds its own row and column."""
    row, column = torch.meshgrid(torch.arange(SIDE_PX), torch.arange(SIDE_PX), indexing="ij")
    return torch.stack([row, column]).float().expand(count, 2, SIDE_PX, SIDE_PX)


def flat(count: int) -> tuple[Tensor, Tensor]:
    """Patches of one colour each, equal to their labels: the blend's weights stand in its pixels."""
    labels = torch.rand(count, generator=seeded(9))
    return labels.view(-1, 1, 1, 1).expand(count, 3, 8, 8).clone(), labels


def test_the_piece_shown_keeps_its_cell_within_what_the_label_speaks_of() -> None:
    """Of 80 px, the middle cell lies inside of the central 32 px, and reaches both of their ends in x and in y."""
    wander_px = LABELLED_PX // 2 - CELL_PX // 2
    pieces = cropped(rulers(2000), 80, wander_px=wander_px, generator=seeded())
    cells = pieces[:, :, 32:48, 32:48]
    low, high = (SIDE_PX - LABELLED_PX) // 2, (SIDE_PX + LABELLED_PX) // 2 - 1
    for axis in range(2):
        assert cells[:, axis].min() == low
        assert cells[:, axis].max() == high


def test_a_piece_is_a_whole_square_of_its_own_patch() -> None:
    """Pixels stay side by side as they were, and none comes from another patch."""
    patches = rulers(50) + 1000 * torch.arange(50).view(-1, 1, 1, 1)
    pieces = cropped(patches, 80, wander_px=8, generator=seeded())
    corners = pieces[:, :, 0, 0]
    for number, (piece, (row, column)) in enumerate(zip(pieces, (corners % 1000).int().tolist(), strict=True)):
        assert torch.equal(piece, patches[number, :, row : row + 80, column : column + 80])


def test_rows_and_columns_wander_apart() -> None:
    """All 17 times 17 corners are met, each about as often."""
    corners = cropped(rulers(6000), 80, wander_px=8, generator=seeded())[:, :, 0, 0].int()
    count = torch.bincount(corners[:, 0] * 17 + corners[:, 1], minlength=289)
    assert len(count) == 289
    assert count.min() > 4
    assert count.max() < 50


def test_a_large_piece_wanders_only_as_far_as_the_patch_goes() -> None:
    """Of 92 px, two to each side; of the whole patch, nothing is left to choose."""
    corners = cropped(rulers(500), 92, wander_px=8, generator=seeded())[:, :, 0, 0]
    assert (corners.min(), corners.max()) == (0, 4)
    assert torch.equal(cropped(rulers(3), SIDE_PX, wander_px=8, generator=seeded()), rulers(3))


def test_labels_are_blended_by_the_weights_of_the_pixels() -> None:
    """Patches whose colour is their label: after blending it still is, in every pixel."""
    image, labels = flat(400)
    shown, told = blended(image, labels, replace(OFF, blend_share=1.0), seeded())
    torch.testing.assert_close(shown, told.view(-1, 1, 1, 1).expand_as(shown))
    assert not torch.allclose(told, labels, atol=0.01)
    assert labels.min() <= told.min()
    assert told.max() <= labels.max()


def test_the_stated_share_is_blended_and_the_rest_left_as_it_is() -> None:
    """About half of the patches, and those alone; nothing is added or taken away on average."""
    image, labels = flat(4000)
    shown, told = blended(image, labels, HALF, seeded())
    changed = told != labels
    assert changed.float().mean() == pytest.approx(0.5, abs=0.03)
    assert torch.equal(shown[~changed], image[~changed])
    assert told.mean() == pytest.approx(float(labels.mean()), abs=0.01)


def test_a_share_of_none_changes_nothing() -> None:
    """To the bit, picture and label."""
    image, labels = flat(64)
    shown, told = blended(image, labels, OFF, seeded())
    assert torch.equal(shown, image)
    assert torch.equal(told, labels)


def test_one_seed_gives_one_result_and_another_seed_another() -> None:
    """Blending and cutting draw from the generator handed in, and from nothing else."""
    image, labels = flat(64)
    one, two, three = (blended(image, labels, HALF, seeded(seed))[1] for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    one, two, three = (cropped(rulers(64), 80, wander_px=8, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


@pytest.mark.parametrize("strength", [0.2, 0.4, 1.0, 2.0])
def test_weights_follow_their_distribution(strength: float) -> None:
    """Mean 1/2, variance 1 / (4 (2 s + 1)) and mean fourth moment are those of Beta(s, s)."""
    drawn = _beta(40_000, strength, seeded())
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert drawn.mean() == pytest.approx(0.5, abs=0.01)
    assert drawn.var() == pytest.approx(1 / (4 * (2 * strength + 1)), rel=0.03)
    fourth = 1.0
    for step in range(4):
        fourth *= (strength + step) / (2 * strength + step)
    assert (drawn**4).mean() == pytest.approx(fourth, rel=0.05)


def test_a_strength_of_one_takes_any_weight_as_likely() -> None:
    """Every tenth of the way holds a tenth of the weights."""
    count = torch.histc(_beta(40_000, 1.0, seeded()), bins=10, min=0, max=1)
    assert count.min() > 3700
    assert count.max() < 4300


def test_batches_show_as_much_of_a_patch_as_the_plan_says(tmp_path: Path) -> None:
    """80 px of 96, the same piece of the same patch each time the batch is asked for."""
    data = patch_data(write_patches(tmp_path / "patches.zip"))
    data.setup("fit")
    whole = TrainingBatches(data.train, data.plan, data.maker, OFF).batch(3)
    batches = TrainingBatches(data.train, replace(data.plan, patch_px=80), data.maker, OFF)
    batch = batches.batch(3)
    assert whole.patches.shape == (8, 3, 96, 96)
    assert batch.patches.shape == (8, 3, 80, 80)
    assert torch.equal(batch.patches, batches.batch(3).patches)
    assert torch.equal(batch.labels, whole.labels)
    for piece, patch in zip(batch.patches, whole.patches, strict=True):
        windows = patch.unfold(1, 80, 1).unfold(2, 80, 1)
        assert (windows == piece[:, None, None]).all(dim=(0, 3, 4)).sum() == 1


def test_labels_of_blended_batches_are_shares_of_tumour(tmp_path: Path) -> None:
    """Between 0 and 1; those of patches that were not blended stay 0 or 1."""
    data = patch_data(write_patches(tmp_path / "patches.zip"))
    data.setup("fit")
    batches = TrainingBatches(data.train, data.plan, data.maker, HALF)
    labels = torch.cat([batches.batch(number).labels for number in range(12)])
    assert ((labels >= 0) & (labels <= 1)).all()
    between = (labels > 1e-6) & (labels < 1 - 1e-6)
    assert 0.1 < between.float().mean() < 0.4


def test_patches_are_shown_in_every_pose_and_no_other() -> None:
    """A network without that symmetry has to learn each of the eight turns and mirrors from pictures."""
    picture = torch.randint(256, (SIDE_PX, SIDE_PX, 3), dtype=torch.uint8, generator=seeded())
    shown = augmented(picture.expand(400, -1, -1, -1), replace(OFF, pose_share=1.0), seeded())
    upright = picture.permute(2, 0, 1) / 255
    poses = [turned(upright, pose) for pose in range(POSES)]
    which = [[torch.allclose(one, pose, atol=1e-5) for pose in poses] for one in shown]
    assert {sum(row) for row in which} == {1}
    assert min(torch.tensor(which).sum(dim=0)) > 25
    assert torch.allclose(augmented(picture[None], OFF, seeded())[0], upright, atol=1e-5)


def test_tiles_are_changed_in_place() -> None:
    """The labels of their cells stay where they are, so the pixels must."""
    picture = torch.randint(256, (1, SIDE_PX, SIDE_PX, 3), dtype=torch.uint8, generator=seeded())
    moving = replace(OFF, affine_share=1.0, scale=0.2, shift_px=9.0, pose_share=1.0)
    upright = picture.permute(0, 3, 1, 2) / 255
    assert not torch.allclose(augmented(picture, moving, seeded()), upright, atol=0.1)
    assert torch.allclose(augmented(picture, moving.in_place(), seeded()), upright, atol=1e-5)
