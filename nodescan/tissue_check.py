"""Looks at fields all over a slide's tissue: has the scan a fault, and does the tissue look like what the model knows?

A network answers whatever it is shown.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from nodescan.domain.flags import MAY_BE_NONE, Flag
from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import TissueMask
from nodescan.errors import RegionUnreadableError
from nodescan.imaging import whole_faults as limits
from nodescan.imaging.places import FIELD_PX, spread_places
from nodescan.imaging.whole_faults import WholeFaults, has_texture, measure_faults
from nodescan.interfaces import KnownTissue, Slide

_FIELDS, _FEWEST = 48, 16

_USUALLY_UNLIKE = 0.2
"""Share of unlike fields that known tissue has at most: 0 to 0.08 of five centres' regions, 0.13 of 30 tiles of another
slide, 0 to 0.13 of 39 composites, 0 to 0.06 of 22 phantoms. Of skin (CMU-1) it is 0.63, of a carcinoma of head and neck
(TCGA, no pixel size) 0.77 at 0.25 um/px, 0.47 at 0.5."""

_GRIDS = {2: ("every 2 pixels", 7.9), 3: ("one other distance", 4.9), 8: ("every 8 pixels", 5.6)}
"""By the period in px: where the steps lie, and how strong they are in sound scans at most."""

_BY_CHANCE = 0.001
"""How often so many fields of such tissue may be beyond it."""


@dataclass(frozen=True, slots=True)
class FieldCheck:
    """What was seen in the fields of a slide. faults: each in words; unlike_share: of the fields that are unlike the
    tissue that the model knows, 0 for no more than chance gives."""

    faults: tuple[str, ...] = ()
    unlike_share: float = 0.0

    def flags(self, *, found: bool) -> tuple[Flag, ...]:
        """Faults, then unlike tissue. found: whether there are deposits, which may be none."""
        may_be_none = f" {MAY_BE_NONE}" if found else ""
        told = (
            Flag("scan_fault", _fault_message(self.faults, may_be_none)),
            Flag("unlike_training", _unlike_message(self.unlike_share, may_be_none, faulty=bool(self.faults))),
        )
        return tuple(flag for flag in told if flag.message)


def check_fields(
    slide: Slide, tissue: TissueMask, known: KnownTissue | None, spacing_range_um: tuple[float, float]
) -> FieldCheck:
    """Reads some fields all over the tissue, at the spacing that the network sees.

    known: None where nobody measured what the model knows. spacing_range_um: the finest and the coarsest that the
    network accepts. Nothing is told where there is too little tissue to tell. Raises UnmeasurableError as
    Slide.frame_spacing does.
    """
    spacing = slide.frame_spacing(*spacing_range_um)
    boxes: list[PixelBox] = []
    read: list[NDArray[np.uint8]] = []
    for box in spread_places(tissue, spacing, side_px=FIELD_PX, most=_FIELDS):
        with suppress(RegionUnreadableError):
            read.append(slide.read(box, spacing))
            boxes.append(box)
    if len(read) < _FEWEST:
        return FieldCheck()
    fields, corners = np.stack(read), np.array([(box.top, box.left) for box in boxes])
    clear, faults = has_texture(fields), list[str]()
    if clear.sum() >= _FEWEST:
        faults += _fault_words(measure_faults(fields[clear], corners[clear], spacing.mean, tissue.glass))
    return FieldCheck(tuple(faults), 0.0 if known is None else _unlike_share(known.unlike(fields)))


def _unlike_share(unlike: NDArray[np.bool_]) -> float:
    usual = unlike.size < _FEWEST or bdtrc(unlike.sum() - 1, unlike.size, _USUALLY_UNLIKE) >= _BY_CHANCE
    return 0.0 if usual else float(unlike.mean())


def _fault_words(found: WholeFaults) -> Iterator[str]:
    """Each fault with its number. Rows out of place and colours apart repeat the picture, too."""
    colours_apart = found.colour_shift_um > limits.MOST_COLOUR_SHIFT_UM
    rows_off, across = found.rows_off > limits.MOST_ROWS_OFF, found.across_lines > limits.MOST_ACROSS_LINES
    if colours_apart:
        yield f"two of its colours lie {found.colour_shift_um:.1f} um apart (sound scans: at most 0.4)"
    if rows_off:
        yield f"{100 * found.rows_off:.0f} % of its rows of pixels are out of place (sound scans: at most 6 %)"
    elif across:
        yield (
            f"its rows of pixels are far out of place (fine structure across them is {100 * found.across_lines:.0f} % "
            "of the coarse; sound scans: at most 17 %)"
        )
    period = max(found.grid, key=lambda one: found.grid[one] / limits.MOST_GRID[one])
    if found.grid[period] > limits.MOST_GRID[period]:
        at, usual = _GRIDS[period]
        yield (
            f"it was enlarged or strongly compressed (steps at {at} are {found.grid[period]:.1f} times those elsewhere;"
            f" sound scans: at most {usual})"
        )
    elif found.fine_share < limits.LEAST_FINE:
        yield (
            f"it was enlarged, or is out of focus everywhere (fine structure is {100 * found.fine_share:.2f} % of the "
            "coarse; sound scans: at least 1 %)"
        )
    elif found.ghost > limits.MOST_GHOST and not (colours_apart or rows_off or across):
        yield f"a second picture lies over the first, displaced ({found.ghost:.2f}; sound scans: at most 0.12)"
    if found.cut_off > limits.MOST_CUT_OFF:
        share = f"{100 * found.cut_off:.0f} %"
        yield f"it is overexposed (red is white in {share} of the stained pixels; sound scans: at most 3.5 %)"


def _fault_message(faults: Sequence[str], may_be_none: str) -> str:
    """What the faults do to the result, and what to do; "" without any."""
    if not faults:
        return ""
    return (
        f"The scan has a fault: {'; '.join(faults)}. Tumour may be missed, and sizes may be wrong.{may_be_none} "
        "Scan or export the slide again, or read it under the microscope."
    )


def _unlike_message(share: float, may_be_none: str, *, faulty: bool) -> str:
    """That so much of the tissue is unlike the training tissue; "" for none. faulty: what that does is told already."""
    if not share:
        return ""
    seen = (
        f"{100 * share:.0f} % of the tissue looks unlike the tissue that the model was trained on (usually at most "
        f"{100 * _USUALLY_UNLIKE:.0f} %)."
    )
    if faulty:
        return f"{seen} The fault of the scan may be the reason. It may also be other tissue, or another stain."
    return (
        f"{seen} It may be other tissue than a lymph node, another stain, or a fault of the scan or the file, such as "
        f"blur.{may_be_none} Tumour may be missed. Compare the scan with the slide under the microscope."
    )
