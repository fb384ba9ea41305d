"""Counts tumour nuclei inside an outline: haematoxylin by colour deconvolution, then blobs of a nucleus' size."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2hed  # pyright: ignore[reportUnknownVariableType]
from skimage.feature import peak_local_max  # pyright: ignore[reportUnknownVariableType]

from nodescan.domain.classification import CellCount
from nodescan.domain.units import Limits, Micrometers, Spacing, check_limits


@dataclass(frozen=True, slots=True)
class NucleiSettings:
    """How nuclei are told from their surroundings, and how far a count may be off.

    finest_um, coarsest_um: spacings in um/px that nuclei are counted at; a coarser slide is not counted.
    diameter_um: of the blobs with the strongest response, a small tumour nucleus. Lymphocytes are smaller, respond less
    and merge.
    separation_um: of two peaks at most this far apart the stronger counts.
    min_contrast: least response of a nucleus in standard deviations of the response inside the outline, so that the
    stain's strength doesn't matter.
    min_strength: least response in units of haematoxylin of scikit-image's deconvolution, so that noise is never a
    nucleus.
    uncertainty_share: of the count.
    """

    finest_um: Annotated[float, Limits(0.05, 1)]
    coarsest_um: Annotated[float, Limits(0.05, 1)]
    diameter_um: Annotated[Micrometers, Limits(3, 40)]
    separation_um: Annotated[Micrometers, Limits(0.5, 20)]
    min_contrast: Annotated[float, Limits(0, 5)]
    min_strength: Annotated[float, Limits(0.0001, 0.1)]
    uncertainty_share: Annotated[float, Limits(0, 0.99)]

    def __post_init__(self) -> None:
        check_limits(self)
        if self.finest_um > self.coarsest_um:
            raise ValueError(f"finest_um ({self.finest_um:g}) can't be above coarsest_um ({self.coarsest_um:g})")


def count_nuclei(
    pixels: NDArray[np.uint8], inside: NDArray[np.bool_], *, spacing: Spacing, settings: NucleiSettings
) -> CellCount:
    """Nuclei whose centre lies inside. With an uncertainty_share of 0.4 the interval held 16 of 20 counts by eye, and
    every phantom tried.

    pixels : uint8 (H, W, 3) RGB; inside : bool (H, W), the deposit; both with some um around it, so that nuclei at the
    edge are whole. The Laplacian of a Gaussian answers most to blobs of diameter 2 sqrt(2) sigma (Lindeberg 1998).
    Raises ValueError where the two differ in size.
    """
    if pixels.shape[:2] != inside.shape:
        raise ValueError(f"pixels {pixels.shape} and inside {inside.shape} differ in size")
    if not inside.any():
        return CellCount(0, 0)
    answer = _blobs(pixels, spacing, settings.diameter_um)
    least = max(settings.min_contrast * float(answer[inside].std()), settings.min_strength)
    peaks = cast(
        "NDArray[np.int64]",
        cast("Any", peak_local_max)(
            answer,
            min_distance=max(1, round(settings.separation_um / spacing.mean)),
            threshold_abs=least,
            exclude_border=False,
        ),
    )
    count = int(np.count_nonzero(inside[peaks[:, 0], peaks[:, 1]]))
    return CellCount(count, math.ceil(settings.uncertainty_share * count))


def _blobs(pixels: NDArray[np.uint8], spacing: Spacing, diameter_um: float) -> NDArray[np.float64]:
    """float64 (H, W): haematoxylin of a blob of this diameter above its surroundings, in units of `rgb2hed`."""
    stains = cast("NDArray[np.float64]", cast("Any", rgb2hed)(pixels))
    sigma_um = diameter_um / (2 * math.sqrt(2))
    sigma_px = (sigma_um / spacing.y, sigma_um / spacing.x)
    along_y = ndimage.gaussian_filter(stains[..., 0], sigma_px, order=(2, 0)) * sigma_px[0] ** 2
    along_x = ndimage.gaussian_filter(stains[..., 0], sigma_px, order=(0, 2)) * sigma_px[1] ** 2
    return -(along_y + along_x)
