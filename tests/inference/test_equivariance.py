"""The eight-pose network answers alike however the tissue lies, and alike in a tile as on a lone patch."""

import pytest
import torch

from nodescan.inference.equivariance import POSES, GroupConv, Lift, turned
from nodescan.inference.models import P4MNet


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
    """A change outside of a cell's field of view leaves its answer as it was, one just inside moves it."""
    net, patch = tiny(), torch.rand(1, 3, 96, 96, dtype=torch.float64)
    before = net(patch)[0, 0, 0]
    outside, inside = patch.clone(), patch.clone()
    outside[..., 80:] = 0
    inside[..., 76:80] = 0
    assert net(outside)[0, 0, 0] == before
    assert net(inside)[0, 0, 0] != before


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
