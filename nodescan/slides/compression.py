"""How strongly a slide's JPEG tiles are compressed, told by their quantisation tables, and when that costs tumour."""

import statistics
from collections.abc import Sequence

from nodescan.domain.flags import Flag
from nodescan.domain.units import Spacing

_STANDARD = (16, 11, 12, 14, 12, 10, 16, 14, 13, 14)
"""The coarsest structures' steps of ITU T.81's luminance table (K.1), in zigzag order: libjpeg's at quality 50. Finer
ones end at 255 where quality is very low."""

_COARSEST_READ_UM = 1.05
"""No model is shown a much coarser level. The coarsest level up to here is the one that is read."""

_STRONG, _STRONG_REDUCED, _NOT_REDUCED_UM = 4.0, 8.0, 0.7
"""The flag is set from this coarseness on: quality 12, or 6 for levels finer than _NOT_REDUCED_UM, which are averaged
before the network sees them. Of 300 tumour patches the released model finds 79 % as they are, 77 % at quality 15, 66 %
at 10 and 62 % at 5; averaged by two after it, 79 % at 10, 69 % at 5 and 60 % at 3."""


def coarseness(steps: Sequence[int]) -> float | None:
    """How coarse luminance steps are, as a multiple of those of quality 50; None without steps. steps: in zigzag
    order."""
    if len(steps) < len(_STANDARD):
        return None
    return statistics.median(step / usual for step, usual in zip(steps, _STANDARD, strict=False))


def compression_flags(
    coarse: Sequence[float | None], sizes_px: Sequence[tuple[int, int]], spacing: Spacing
) -> tuple[Flag, ...]:
    """A `strong_compression` flag where the level that is read for the network lost too much; else ().

    coarse: of each level, what coarseness() says, none where it isn't known; sizes_px: (width, height) of them, the
    finest first, whose pixels have `spacing`.
    """
    read = [
        (um, steps)
        for (width, _), steps in zip(sizes_px, coarse, strict=False)
        if (um := spacing.mean * sizes_px[0][0] / width) <= _COARSEST_READ_UM
    ]
    um, steps = max(read, default=(0.0, None), key=lambda level: level[0])
    if steps is None or steps < (_STRONG if um >= _NOT_REDUCED_UM else _STRONG_REDUCED):
        return ()
    text = (
        f"The slide was compressed very strongly (JPEG quality {50 / steps:.0f}), and tumour is missed in such "
        "pictures. Scan or export it again at 70 or more. If nothing was found, look at it under the microscope."
    )
    return (Flag("strong_compression", text),)
