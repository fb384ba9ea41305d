"""The interfaces between rooms, as Protocols: what a scan needs from a slide, a predictor and a report writer."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.decision import DecisionRule
from nodescan.domain.geometry import PixelBox, TileGeometry
from nodescan.domain.maps import CodedBytes
from nodescan.domain.report import ModelIdentity, SlideResult
from nodescan.domain.slide import SlideInfo, SlideRef
from nodescan.domain.units import Spacing


class Slide(Protocol):
    """An open slide. Levels and native pixels stay behind this door. Safe to read from several threads."""

    @property
    def ref(self) -> SlideRef: ...

    @property
    def info(self) -> SlideInfo: ...

    def frame_spacing(self, finest_um: float, coarsest_um: float) -> Spacing:
        """The spacing of the analysis frame for a model that accepts [finest_um, coarsest_um] um/px.

        A level, or one reduced by a whole number, inside the range and with x and y within 1 % is used as
        it is; else a square spacing in the middle of the range, by area resampling. Raises
        UnmeasurableError where the slide would have to be enlarged by more than 1.1.
        """
        ...

    def frame_size(self, spacing: Spacing) -> tuple[int, int]:
        """(width, height) in px of the frame at `spacing` that covers the whole canvas."""
        ...

    def same_pixels(self, one: Spacing, other: Spacing) -> bool:
        """Whether the frames at both spacings are made of the same stored pixels.

        Raises UnmeasurableError where the slide would have to be enlarged by more than 1.1.
        """
        ...

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        """uint8 (box.height, box.width, 3) RGB: the pixels of the frame at `spacing`, white outside the canvas.

        Raises RegionUnreadableError where the area can't be decoded; other areas stay readable.
        """
        ...

    def coded_bytes(self) -> CodedBytes | None:
        """How much is stored of each piece of the full resolution; None where the format doesn't tell."""
        ...

    def fingerprint(self) -> str:
        """sha256 over number, sizes, both ends and some blocks of the slide's files, the same wherever they lie.

        Raises SlideError where they can't be read any more.
        """
        ...

    def close(self) -> None: ...


class PredictorFacts(Protocol):
    """Facts about a network that may run in another process."""

    @property
    def model(self) -> ModelIdentity: ...

    @property
    def device(self) -> str: ...

    @property
    def precision(self) -> str: ...

    @property
    def batch_size(self) -> int: ...


class TilePredictor(PredictorFacts, Protocol):
    """A network that answers tiles.

    One thread at a time may ask it, and no process that was forked after a model was opened.
    """

    @property
    def geometry(self) -> TileGeometry: ...

    @property
    def decision(self) -> DecisionRule:
        """How this model's map turns into deposits."""
        ...

    @property
    def spacing_range_um(self) -> tuple[float, float]:
        """Finest and coarsest um/px the model accepts."""
        ...

    def start(self, tiles: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        """Begins to answer tiles; what it returns waits for the answers.

        uint8 (N, input_px, input_px, 3) RGB -> float32 (N, cells, cells) probabilities in [0, 1]. Both raise ModelError
        where a compiled network can't answer, and the first in a forked process. What torch itself raises is passed on.
        """
        ...


class KnownTissue(Protocol):
    """What tissue a network was trained on."""

    def unlike(self, fields: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """bool (M,): of the M fields that are stained enough to tell, which look unlike that tissue.

        fields : uint8 (N, 96, 96, 3) RGB, N >= M, at a spacing that the network accepts.
        """
        ...


def predict(predictor: TilePredictor, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The answers to tiles, waited for; see TilePredictor.start."""
    return predictor.start(tiles)()


@runtime_checkable
class ApproximatePredictor(TilePredictor, Protocol):
    """A predictor that is fast because its answers may be a little off. Findings must equal those of its reference."""

    @property
    def reference(self) -> TilePredictor: ...

    @property
    def second_look(self) -> TilePredictor:
        """The reference for a few cells: it may take smaller tiles, and gives the same answers."""
        ...

    @property
    def tolerance(self) -> float:
        """The most that an answer may differ from the reference's."""
        ...

    @property
    def smoothed_tolerance(self) -> float:
        """The same, of the map once smoothed as `decision` asks; no more than tolerance."""
        ...


class Progress(Protocol):
    """Told how a slide advances; whoever shows it decides how."""

    def slide_started(self, slide_id: str, tiles: int) -> None: ...

    def tiles_done(self, slide_id: str, tiles: int, megapixels: float) -> None: ...


OpenSlideFile = Callable[[SlideRef], Slide]

ReportWriter = Callable[[SlideResult, Path], None]
"""Writes one kind of file of one slide into its folder."""
