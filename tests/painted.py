"""Slides that are arrays, painted so that ColourPredictor knows what is tumour on them, and their scan."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.batch.progress import Viewer
from nodescan.config import load_config
from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import CodedBytes
from nodescan.domain.report import SlideResult
from nodescan.domain.slide import BoundsUm, SlideInfo, SlideRef, SpacingSource
from nodescan.domain.units import Micrometers, Spacing
from nodescan.errors import RegionUnreadableError, UnmeasurableError
from nodescan.interfaces import OpenSlideFile, Slide, TilePredictor
from nodescan.scan import ScanTools, scan_slide
from nodescan.slides import open_slide
from tests.fakes import PINK, PURPLE, ColourPredictor

SETTINGS = load_config().settings
"""The packed ones."""

SPACING = Spacing.square(0.95)
SIZE_PX = 1024


class PaintedSlide:
    """A slide that is an array at 0.95 um/px. Areas that touch `torn` can't be read at the analysis spacing."""

    def __init__(self, pixels: NDArray[np.uint8], torn: PixelBox | None = None) -> None:
        self.pixels, self.torn = pixels, torn
        self.closed = False
        self.ref = SlideRef("painted", Path("painted.tif"))
        height, width = pixels.shape[:2]
        bounds = BoundsUm(Micrometers(0), Micrometers(0), Micrometers(width * 0.95), Micrometers(height * 0.95))
        self.info = SlideInfo("painted", "array", width, height, SPACING, SpacingSource.FILE, bounds)

    def frame_spacing(self, finest_um: float, coarsest_um: float) -> Spacing:
        for spacing in (SPACING, SPACING.scaled(8)):
            if finest_um <= spacing.x <= coarsest_um:
                return spacing
        raise UnmeasurableError("painted", "its finest level is 0.95 um/px")

    def same_pixels(self, one: Spacing, other: Spacing) -> bool:
        return True

    def frame_size(self, spacing: Spacing) -> tuple[int, int]:
        factor = round(spacing.x / 0.95)
        return self.pixels.shape[1] // factor, self.pixels.shape[0] // factor

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        factor = round(spacing.x / 0.95)
        if factor == 1 and self.torn is not None and box.common(self.torn).width and box.common(self.torn).height:
            raise RegionUnreadableError("painted.tif", "this area can't be decoded")
        whole = self.pixels[::factor, ::factor]
        frame = PixelBox(0, 0, whole.shape[1], whole.shape[0])
        pixels, seen = np.full((box.height, box.width, 3), 255, np.uint8), box.common(frame)
        pixels[seen.within(box)] = whole[seen.within(frame)]
        return pixels

    def coded_bytes(self) -> CodedBytes | None:
        return None

    def fingerprint(self) -> str:
        return "f" * 64

    def close(self) -> None:
        self.closed = True


def painted(tumour_px: int = 0, *, glass_only: bool = False, tissue: tuple[int, int, int] = PINK) -> NDArray[np.uint8]:
    """Pink tissue with grain on glass, and a disc of tumour of that diameter in its middle."""
    pixels = np.full((SIZE_PX, SIZE_PX, 3), 245, np.uint8)
    if glass_only:
        return pixels
    grain = np.random.default_rng(0).integers(-14, 15, (704, 704, 1))
    pixels[160:864, 160:864] = np.clip(np.array(tissue) + grain, 0, 255)
    rows, columns = np.ogrid[:SIZE_PX, :SIZE_PX]
    disc = np.hypot(rows - 512, columns - 512) < tumour_px / 2
    speckle = np.random.default_rng(1).integers(-14, 15, (int(disc.sum()), 1))
    pixels[disc] = np.clip(np.array(PURPLE) + speckle, 0, 255)
    return pixels


def scan(slide: Slide, predictor: TilePredictor | None = None) -> SlideResult:
    """By the packed settings; predictor: a ColourPredictor if none is given."""
    return scan_file(slide.ref, lambda _: slide, predictor)


def scan_file(ref: SlideRef, opened: OpenSlideFile = open_slide, predictor: TilePredictor | None = None) -> SlideResult:
    """As scan(), of a file."""
    predictor = predictor or ColourPredictor()
    return scan_slide(ref, ScanTools(opened, predictor, SETTINGS), progress=Viewer())
