"""The eight-pose network answers alike however the tissue lies, and alike in a tile as on a lone patch."""

import numpy as np
import pytest
import torch

from nodescan.inference.equivariance import POSES, GroupConv, Lift, turned
from nodescan.inference.folding import Plain
from nodescan.inference.made_tiles import MEAN, STD
from nodescan.inference.models import P4MNet
from nodescan.inference.p4m_group import KERNEL_OF


def tiny() -> P4MNet:
    torch.manual_seed(0)
    net = P4MNet((4, 6, 8, 8))
    with torch.no_grad():  # running statistics that do something
        net.train()(torch.rand(4, 3, 112, 112))
    return net.double().eval()


@pytest.mark.parametrize("pose", range(POSES))
def test_turning_the_patch_turns_the_answers_alone(pose: int) -> None:
    """The logits of a turned or mirrored patch are the turned or mirrored logits."""
    net, patch = tiny(), torch.rand(1, 3, 112, 112, dtype=torch.float64)
    torch.testing.assert_close(net(turned(patch, pose)), turned(net(patch), pose))


def test_a_cell_sees_its_eighty_pixels_and_no_more() -> None:
    """The first cell's answer depends on pixels 0 to 79 each way, first and last among them, and on nothing else."""
    net, patches = tiny(), torch.rand(24, 3, 96, 96, dtype=torch.float64, requires_grad=True)
    net(patches)[:, 0, 0].sum().backward()
    rows, columns = torch.nonzero(patches.grad.abs().sum(dim=(0, 1)), as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 79, 0, 79)


def test_answers_in_a_tile_are_those_of_the_lone_patch() -> None:
    """Laid into a larger tile at a multiple of the stride, a patch is answered as when it stood alone."""
    net, patch = tiny(), torch.rand(1, 3, 96, 96, dtype=torch.float64)
    tile = torch.rand(1, 3, 192, 192, dtype=torch.float64)
    tile[..., 32:128, 48:144] = patch
    torch.testing.assert_close(net(tile)[0, 2:4, 3:5], net(patch)[0])


def test_a_lifted_kernel_holds_each_pose_once() -> None:
    """The plain kernels are the eight turned copies of the learned one, feature by feature."""
    lift = Lift(3, 2, 3)
    kernel = lift.kernel().unflatten(0, (2, POSES))
    for pose in range(POSES):
        torch.testing.assert_close(kernel[1, pose], turned(lift.weight[1], pose))


def test_a_group_convolution_keeps_the_order_of_poses() -> None:
    """Turning an image before lifting and convolving turns the maps and permutes the poses of each feature alike."""
    torch.manual_seed(1)
    lift, conv, image = Lift(3, 2, 3), GroupConv(2, 3, 3), torch.rand(1, 3, 9, 9)
    plain = conv(lift(image)).unflatten(1, (3, POSES))
    for pose in range(POSES):
        moved = conv(lift(turned(image, pose))).unflatten(1, (3, POSES))
        pairs = [
            [torch.allclose(moved[0, 0, i], turned(plain[0, 0, j], pose), atol=1e-5) for j in range(POSES)]
            for i in range(POSES)
        ]
        assert all(sum(row) == 1 for row in pairs)


def test_folded_into_plain_convolutions_it_answers_the_same() -> None:
    """Fed with bytes, the plain network's probabilities are those of the network it was made of."""
    net, pixels = tiny(), torch.randint(0, 256, (2, 3, 112, 112)).double()
    plain = Plain(net, mean=MEAN, std=STD, temperature=1.7).double()
    mean, std = torch.tensor(MEAN).double(), torch.tensor(STD).double()
    normalised = (pixels / 255 - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    expected = torch.sigmoid(net(normalised) / 1.7)
    torch.testing.assert_close(plain(pixels).double(), expected, atol=1e-6, rtol=0)


def test_kernels_and_gradients_are_those_of_picking_by_index() -> None:
    """Each pose is read with the kernels that the table names: to the bit, and so are the gradients."""
    torch.manual_seed(2)
    conv = GroupConv(3, 4, 3)
    seen = torch.randn(4 * POSES, 3 * POSES, 3, 3)
    conv.kernel().backward(seen)
    picked = conv.weight.detach().clone().requires_grad_()
    table = torch.from_numpy(np.array(KERNEL_OF))
    poses = torch.stack([turned(picked[:, :, table[pose]], pose) for pose in range(POSES)], dim=1)
    kernel = poses.flatten(2, 3).flatten(0, 1)
    kernel.backward(seen)
    assert torch.equal(conv.kernel(), kernel)
    assert conv.weight.grad is not None
    assert picked.grad is not None
    assert torch.equal(conv.weight.grad, picked.grad)
