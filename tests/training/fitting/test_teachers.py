"""Distilling: a learner's labels are drawn to its teachers' answers, and it takes nothing else of them."""

from pathlib import Path

import pytest
import torch

from nodescan.errors import UsageError
from nodescan.inference.models import build
from tests.training.made_runs import made_checkpoint
from training.fitting.module import TumourModule, fixed_statistics
from training.fitting.rivals import ResidualNet, build_any
from training.fitting.teachers import Teachers, patch_logit
from training.fitting.transforms import normalised
from training.patches.mosaics import IGNORED
from training.patches.numbered_batches import Batch


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("teachers")
    made = (
        made_checkpoint(folder / f"{name}.ckpt", name, seed=seed) for seed, name in ((1, "residual"), (2, "p4m-small"))
    )
    return [str(path) for path in made]


def pictures(count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 80, 80, generator=torch.Generator().manual_seed(3))


def module_with(teachers: list[str] | None, *, share: float = 0.5, tile_weight: float = 0.0) -> TumourModule:
    torch.manual_seed(4)
    return TumourModule("p4m-small", 0.001, 0.0, tile_weight, teachers=teachers, teacher_share=share)


def batch_of(labels: torch.Tensor) -> Batch:
    return Batch(pictures(len(labels)), labels, torch.zeros(1, 3, 80, 80), torch.full((1, 1, 1), IGNORED))


def test_several_teachers_are_asked_by_their_mean_logit(sources: list[str]) -> None:
    """Not by their mean probability: one that is sure counts for more."""
    image = normalised(pictures())
    alone = [Teachers([source]).probability(image) for source in sources]
    together = Teachers(sources).probability(image)
    assert torch.allclose(together.logit(), (alone[0].logit() + alone[1].logit()) / 2, atol=1e-5)
    assert not torch.allclose(alone[0], alone[1], atol=1e-3)


def test_labels_are_drawn_to_the_answer_by_the_share(sources: list[str]) -> None:
    """Almost at 0 they are the labels, at 1 the answer, and between on the line between."""
    labels = torch.tensor([0.0, 1.0, 0.3, 1.0])
    said = Teachers(sources).probability(normalised(pictures()))
    for share in (1e-9, 0.25, 1.0):
        drawn = module_with(sources, share=share)._taught(batch_of(labels))
        assert torch.allclose(drawn, labels + share * (said - labels), atol=1e-6)
    assert module_with(None)._taught(batch_of(labels)) is labels


def test_what_teaches_is_neither_trained_nor_kept(sources: list[str]) -> None:
    """It has no part in the learner's parameters or checkpoints, nor do its own statistics move."""
    module = module_with(sources)
    plain = module_with(None)
    assert list(module.state_dict()) == list(plain.state_dict())
    assert len(list(module.parameters())) == len(list(plain.parameters()))
    before = [value.clone() for net in module.teachers.nets for value in net.state_dict().values()]
    module.train()
    module._taught(batch_of(torch.ones(4)))
    after = [value for net in module.teachers.nets for value in net.state_dict().values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize(("side_px", "read"), [(80, 1), (96, 2), (112, 1), (128, 2), (160, 2)])
def test_a_patch_is_answered_by_the_cells_of_its_centre(side_px: int, read: int) -> None:
    """Of a large patch, too, whose label says nothing of what lies around them."""
    cells = torch.zeros(1, (side_px - 64) // 16, (side_px - 64) // 16)
    edge = (cells.shape[-1] - read) // 2
    cells[:, edge : edge + read, edge : edge + read] = 3.0
    assert patch_logit(cells).tolist() == [3.0]
    assert patch_logit(3.0 - cells).tolist() == [0.0]


def test_teachers_without_a_share_are_refused() -> None:
    """They would be loaded, and teach nothing, and nothing would say so."""
    with pytest.raises(UsageError, match=r"model\.teacher_share: is 0, so model\.teachers would teach nothing"):
        module_with(["pcam-p4m"], share=0.0)


def test_a_teacher_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Before anything is trained."""
    with pytest.raises(UsageError, match=r"gone\.ckpt: no such checkpoint"):
        module_with([str(tmp_path / "gone.ckpt")])


def test_without_weight_tiles_are_not_looked_at() -> None:
    """A teacher's network answers whole pictures: there are no cells that a tile's labels could be laid on."""
    module = TumourModule("residual", 0.001, 0.0, 0.0)
    lone, tiles = module._answers(batch_of(torch.ones(4)))
    assert lone.shape == (4, 1, 1)
    assert tiles is None


@pytest.mark.parametrize("architecture", ["p4m-small", "resnet18", "plain"])
def test_tiles_of_their_own_size_move_no_statistics(architecture: str) -> None:
    """Whichever norm a network has; where the tiles can't be answered it goes on learning all the same."""
    net = build_any(architecture).train()
    norms = [layer for layer in net.modules() if hasattr(layer, "running_mean")]
    before = [norm.running_mean.clone() for norm in norms]
    with fixed_statistics(net):
        net(torch.rand(2, 3, 96, 96))
    assert norms
    assert all(torch.equal(norm.running_mean, mean) for norm, mean in zip(norms, before, strict=True))
    with pytest.raises(RuntimeError, match="channels"), fixed_statistics(net):
        net(torch.rand(2, 1, 96, 96))
    assert all(norm.training for norm in norms)


def test_the_residual_network_answers_for_the_middle_of_its_picture() -> None:
    """From 80 px at most: what lies around them changes nothing, what lies within does."""
    net = ResidualNet().eval()
    image = torch.rand(1, 3, 96, 96)
    other = image.clone()
    other[..., :8, :] = 0
    inside = image.clone()
    inside[..., 40:56, 40:56] = 0
    with torch.no_grad():
        said, around, within, cut = (net(x) for x in (image, other, inside, image[..., 8:-8, 8:-8]))
    assert torch.allclose(said, around)
    assert torch.allclose(said, cut, atol=1e-6)
    assert not torch.allclose(said, within, atol=1e-4)
    assert build("p4m").margin_px == net.margin_px
