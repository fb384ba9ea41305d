"""Changes of a patch that leave its label true: stain, light, focus, turn, scale, and what lies around its centre."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from nodescan.errors import UsageError
from nodescan.inference.equivariance import POSES, turned
from training.limits import check_number, check_settings
from training.patches.labelled import LABELLED_PX

_CENTRE_PX = 40
"""Of a patch: what its label speaks of, 32 px, and some px beside that."""

_LARGEST_SCALE = 0.5
"""Above, a patch may be shown at more than three times the size of another; at 1 all of it becomes one pixel. The
configurations have 0.15 at most."""


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """stain: spread (standard deviation) of the optical density's scale per colour; mix: of its mixing between colours.

    affine_share, blur_share, noise_share, context_share: how many of the patches each change is made to.
    scale: largest relative change of size. shift_px: largest shift; the middle stays in what the label speaks of.
    blend_share: how many patches are blended with another one (blended()); blend_strength: near 0 leaves one of the two
    nearly whole, 1 takes any weight as likely.
    pose_share: how many patches are shown in one of the eight turns and mirrors, drawn at random; of no use to networks
    that answer all eight alike.
    """

    stain: float
    mix: float
    light: float
    affine_share: float
    scale: float
    shift_px: float
    blur_share: float
    noise_share: float
    context_share: float
    blend_share: float
    blend_strength: float
    pose_share: float

    def __post_init__(self) -> None:
        check_settings("augment", self)
        check_number("augment.scale", self.scale, most=_LARGEST_SCALE)
        check_number("augment.shift_px", self.shift_px, most=LABELLED_PX / 2)
        if self.blend_share > 0 and self.blend_strength <= 0:
            raise UsageError(f"augment.blend_strength must be above 0, not {self.blend_strength:g}")

    def in_place(self) -> "AugmentSettings":
        """The changes that leave every pixel where it is, as the labels of a tile's cells need it."""
        return replace(self, affine_share=0.0, pose_share=0.0)


def augmented(pixels: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """pixels : uint8 (N, S, S, 3) RGB -> float32 (N, 3, S, S) in [0, 1], each patch changed at random."""
    density = -torch.log((pixels.permute(0, 3, 1, 2).float() + 1) / 256)
    density = _restained(density, settings, generator)
    image = (torch.exp(-density) * (256 / 255) - 1 / 255).clamp_(0, 1).contiguous(memory_format=torch.channels_last)
    if settings.pose_share > 0:  # else nothing is drawn: older runs are to be repeated number by number
        image = _some(image, settings.pose_share, generator, lambda part: _posed(part, generator))
    image = _some(image, settings.affine_share, generator, lambda part: _turned(part, settings, generator))
    image = _some(image, settings.blur_share, generator, lambda part: _blurred(part, generator))
    return _some(image, settings.noise_share, generator, lambda part: _noisy(part, generator))


def context_swapped(pixels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """A strip along one side, never touching the central _CENTRE_PX, is taken from another patch of the batch.

    pixels : uint8 (N, S, S, 3). The label speaks of the centre alone, so it stays true.
    """
    count, size = pixels.shape[:2]
    others = pixels[torch.randperm(count, generator=generator)]
    free = (size - _CENTRE_PX) // 2
    out = pixels.clone()
    for index in torch.nonzero(torch.rand(count, generator=generator) < share).flatten().tolist():
        width = int(torch.randint(6, free + 1, (), generator=generator))
        side = int(torch.randint(4, (), generator=generator))
        strip = slice(0, width) if side % 2 == 0 else slice(size - width, size)
        where = (index, strip) if side < 2 else (index, slice(None), strip)
        out[where] = others[where]
    return out


def cropped(image: Tensor, size_px: int, *, wander_px: int, generator: torch.Generator) -> Tensor:
    """float (N, C, S, S) -> (N, C, size_px, size_px), each piece's centre within wander_px of the patch's."""
    reach = min(wander_px, (image.shape[-1] - size_px) // 2)
    first = (image.shape[-1] - size_px) // 2 - reach
    corners = (first + torch.randint(2 * reach + 1, (len(image), 2), generator=generator)).tolist()
    pieces = [one[:, y : y + size_px, x : x + size_px] for one, (y, x) in zip(image, corners, strict=True)]
    return torch.stack(pieces).contiguous(memory_format=torch.channels_last)


def blended(
    image: Tensor, labels: Tensor, settings: AugmentSettings, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Some patches mixed with others of the batch, picture and label by one weight; float (N, C, S, S), float (N,).

    mixup (Zhang et al., ICLR 2018). The centres are mixed with centres, so the centre rule holds.
    """
    if settings.blend_share == 0:
        return image, labels
    count = len(image)
    chosen = torch.rand(count, generator=generator) < settings.blend_share
    weight = torch.where(chosen, _beta(count, settings.blend_strength, generator), 1.0)
    other = torch.randperm(count, generator=generator)
    share = weight.view(-1, 1, 1, 1)
    return image * share + image[other] * (1 - share), labels * weight + labels[other] * (1 - weight)


def _beta(count: int, strength: float, generator: torch.Generator) -> Tensor:
    """Weights of Beta(strength, strength), by Johnk's method: torch's own takes no generator."""
    drawn = torch.full((count,), 0.5)
    left = torch.arange(count)
    while len(left):
        x, y = torch.rand(2, len(left), generator=generator) ** (1 / strength)
        good = (x + y <= 1) & (x + y > 0)
        drawn[left[good]] = (x / (x + y))[good]
        left = left[~good]
    return drawn


def _some(image: Tensor, share: float, generator: torch.Generator, change) -> Tensor:
    """`change` made to a random share of the batch."""
    index = torch.nonzero(torch.rand(len(image), generator=generator) < share).flatten()
    if len(index):
        image[index] = change(image[index])
    return image


def _normal(shape: tuple[int, ...], spread: float, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator) * spread


def _restained(density: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Optical densities mixed by a random matrix near the identity: other dyes, other thickness, another scanner."""
    count = len(density)
    scale = torch.exp(_normal((count, 3, 1), settings.stain, generator))
    matrix = scale * (torch.eye(3) + _normal((count, 3, 3), settings.mix, generator))
    mixed = torch.bmm(matrix, density.flatten(2)) + _normal((count, 3, 1), settings.light, generator)
    return mixed.view_as(density)


def _posed(image: Tensor, generator: torch.Generator) -> Tensor:
    """Each mirrored or not, and turned by some quarters."""
    poses = torch.randint(POSES, (len(image),), generator=generator).tolist()
    return torch.stack([turned(one, pose) for one, pose in zip(image, poses, strict=True)])


def _turned(image: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Turned by any angle, scaled and shifted a little about the centre."""
    count, size = len(image), image.shape[-1]
    angle = torch.rand(count, generator=generator) * 2 * torch.pi
    scale = 1 + (torch.rand(count, generator=generator) * 2 - 1) * settings.scale
    shift = (torch.rand(count, 2, generator=generator) * 2 - 1) * settings.shift_px * 2 / size
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack([cosine, -sine, shift[:, 0], sine, cosine, shift[:, 1]], dim=1).view(count, 2, 3)
    grid = functional.affine_grid(theta, list(image.shape), align_corners=False)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _blurred(image: Tensor, generator: torch.Generator) -> Tensor:
    sigma = 0.3 + 1.0 * float(torch.rand((), generator=generator))
    steps = torch.arange(-3, 4, dtype=torch.float32)
    kernel = torch.exp(-(steps**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 7)
    padded = functional.pad(image, (3, 3, 3, 3), mode="reflect")
    return functional.conv2d(functional.conv2d(padded, kernel[..., None], groups=3), kernel[:, :, None], groups=3)


def _noisy(image: Tensor, generator: torch.Generator) -> Tensor:
    sigma = 0.03 * torch.rand(len(image), 1, 1, 1, generator=generator)
    return (image + sigma * torch.randn(image.shape, generator=generator)).clamp(0, 1)
