"""How time and memory grow with the tissue on a slide of 100,000 x 200,000 px."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import linregress

from nodescan.benchmarks.scan_runs import scan
from nodescan.benchmarks.sparse_slide import make_sparse_slide
from nodescan.domain.naming import how_many
from nodescan.errors import NodescanError, UsageError
from nodescan.machine import temporary_folder

MEMORY_LIMIT_BYTES = 2_500_000_000
"""Summed over processes, two slides in flight, on a CPU."""


@dataclass(frozen=True, slots=True)
class GrowthPoint:
    """One `nodescan run`. tissue_mm2: of each slide, as found; seconds: a slide, from opening it to its report."""

    slides: int
    tissue_mm2: float
    seconds: float
    first_tile_s: float
    peak_rss_bytes: int


@dataclass(frozen=True, slots=True)
class LinearFit:
    """seconds = intercept_s + slope_s_per_mm2 * mm2 by least squares; r2: the share of the variance it explains."""

    slope_s_per_mm2: float
    intercept_s: float
    r2: float


def measure_growth(
    areas_mm2: Sequence[float], *, slots: int, model: str | None, device: str, tell: Callable[[str], None]
) -> tuple[GrowthPoint, ...]:
    """Scan `slots` slides at a time for each area of tissue, and watch the processes' memory.

    Raises UsageError for an area that no such slide has, NodescanError where a slide isn't complete: its figures would
    be of something else.
    """
    points: list[GrowthPoint] = []
    with temporary_folder("nodescan-bench-") as folder:
        for area_mm2 in areas_mm2:
            tell(f"{how_many(slots, 'slide')} of 100,000 x 200,000 px with {area_mm2:g} mm2 of tissue")
            slides = [folder / f"{area_mm2:g}mm2-{number}.tif" for number in range(slots)]
            try:
                for slide in slides:
                    make_sparse_slide(slide, area_mm2)
            except ValueError as error:
                raise UsageError(f"--tissue-mm2: {error}; give areas from 1 to 400") from error
            run = scan(slides, model=model, device=device, options=("--slots", slots))
            for slide in run.slides:
                if not slide.sound:
                    raise NodescanError(
                        f"nodescan run: {slide.words}, though nothing is wrong with it; see nodescan doctor"
                    )
            found = [slide.tissue_mm2 for slide in run.slides]
            seconds = float(np.mean([slide.seconds for slide in run.slides]))
            point = GrowthPoint(slots, float(np.mean(found)), seconds, run.first_tile_s, run.peak_rss_bytes)
            tell(f"{point.tissue_mm2:.1f} mm2 found: {point.seconds:.1f} s, {point.peak_rss_bytes / 1e9:.2f} GB")
            points.append(point)
    return tuple(points)


def fit_line(points: Sequence[GrowthPoint]) -> LinearFit | None:
    """Seconds over area; None for fewer than two areas."""
    areas = np.array([point.tissue_mm2 for point in points])
    seconds = np.array([point.seconds for point in points])
    if len(np.unique(areas)) < 2:
        return None
    fit = linregress(areas, seconds)
    r2 = fit.rvalue**2 if np.ptp(seconds) > 0 else 1.0
    return LinearFit(float(fit.slope), float(fit.intercept), float(r2))
