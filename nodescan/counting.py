"""Counts tumour cells where their number can change a class: in deposits that are isolated tumour cells by size."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.deposits import Deposit
from nodescan.domain.geometry import PixelBox
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError, UnmeasurableError
from nodescan.imaging.nuclei import NucleiSettings, count_nuclei
from nodescan.imaging.sizing import to_shape
from nodescan.interfaces import Slide

_MARGIN_UM = 15.0
"""Read around a deposit, so that nuclei at its edge are whole."""


def with_cell_counts(slide: Slide, deposits: Sequence[Deposit], settings: NucleiSettings) -> tuple[Deposit, ...]:
    """The deposits; those up to 0.2 mm with their tumour nuclei counted, and the class that follows from the count.

    Each is read on its own, so memory is bounded by 0.2 mm. More than 200 cells, less the uncertainty, make a
    micrometastasis (clinical-rules 1); nothing lowers a class. cells stays None, not assessed, where the slide has no
    magnification that nuclei can be counted at, or where the deposit can't be read.
    """
    if not any(deposit.metastasis is Metastasis.ITC for deposit in deposits):
        return tuple(deposits)
    try:
        spacing = slide.frame_spacing(settings.finest_um, settings.coarsest_um)
    except UnmeasurableError:
        return tuple(deposits)
    return tuple(_with_cells(slide, deposit, spacing=spacing, settings=settings) for deposit in deposits)


def _with_cells(slide: Slide, deposit: Deposit, *, spacing: Spacing, settings: NucleiSettings) -> Deposit:
    if deposit.metastasis is not Metastasis.ITC or not deposit.outline:
        return deposit
    box, inside = _rasterised(deposit, spacing)
    if not inside.any():
        return deposit
    try:
        pixels = slide.read(box, spacing)
    except RegionUnreadableError:
        return deposit
    found = count_nuclei(pixels, inside, spacing=spacing, settings=settings)
    return replace(deposit, cells=found, metastasis=classify(deposit.diameter_um, cells=found))


def _rasterised(deposit: Deposit, spacing: Spacing) -> tuple[PixelBox, NDArray[np.bool_]]:
    """What to read, and bool (height, width) of it: pixels whose centre lies inside the outline."""
    shape = to_shape(deposit.outline)
    west, north, east, south = shape.buffer(_MARGIN_UM).bounds
    left, top = math.floor(west / spacing.x), math.floor(north / spacing.y)
    box = PixelBox(left, top, math.ceil(east / spacing.x) - left, math.ceil(south / spacing.y) - top)
    x_um = (np.arange(box.left, box.right) + 0.5) * spacing.x
    y_um = (np.arange(box.top, box.bottom) + 0.5) * spacing.y
    shapely.prepare(shape)
    return box, np.asarray(shapely.contains_xy(shape, *np.meshgrid(x_um, y_um)), dtype=np.bool_)
