"""A predictor whose answers may be a little off: by how much, and the reference that findings must equal."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import TileGeometry
from nodescan.inference.card import ModelCard
from nodescan.inference.tile_streams import Answer, Lanes, started
from nodescan.interfaces import TilePredictor

TOLERANCE = {"bfloat16": 0.06, "float16": 0.012, "int8": 0.14, "int8-16": 0.16}
"""How far off a cell's probability is assumed to be at most, by precision.

About twice the largest difference measured with pcam-p4m. bfloat16: 0.025, in PyTorch and in OpenVINO alike, on tiles
of composites of real patches (10,240 cells, 41 % of them between 0.2 and 0.8) and made-up ones. int8: 0.067, on the
321,830 cells of two such slides; int8-16: 0.074, on the 365,568 of two, and 0.078 on tiles. It is no bound: other
weights may be further off, and cells that float32 doesn't answer too aren't checked. So a model is tried when it is
tuned or opened (training/tuning/eight_bits.py, distrust), and wherever both answered a slide they are compared
(nodescan/examination/second_look/). To measure a model or machine: `nodescan bench --what precision`.

float16, of GPUs: 2.8 times what was emulated on a CPU, as no GPU was at hand. Rounded each, as cuDNN does, were
weights, biases, what a convolution is fed with, its sum, and that with the bias added. It was off by 0.0042 on 20,480
cells of such a slide, by 0.0034 on 7,840 of real tissue and by 0.0043 on made-up tiles (bfloat16 so: 0.052, 0.043,
0.032); nothing was above 12, and float16 ends at 65,504.
"""

SMOOTHED_TOLERANCE, SMOOTHED_FROM_UM = 0.03, 32.0
"""How far off a value of the smoothed map is assumed to be at most, in every precision: at least twice the largest
difference measured (sigma 40 um): 0.0122 in int8, on 13 composites, and 0.015 in int8-16, on the two slides. Rounding
errs to both sides, so a mean is nearer. Where every second block of 4 to 60 cells is exact it is no further off. If a
rule smooths by less than SMOOTHED_FROM_UM, a cell's tolerance stands."""

SECOND_LOOK_CORE_PX = 272
"""17 cells of 16 px, so that the cells around one end of a deposit's diameter are one tile. Larger tiles answer more
unneeded cells, smaller ones have more margin. On seven composites the network gets the same number of pixels for 240 to
288 px, and a sixth more for 224."""


def second_look_tile(card: ModelCard) -> TileGeometry:
    """The tiles in which single cells are answered again: small ones where a cell's answer is the same in any tile.

    In a network that pads it isn't the same: such a network is asked in tiles of its own size.
    """
    tile = card.geometry()
    return tile if tile.padded else replace(tile, core_px=min(SECOND_LOOK_CORE_PX, tile.core_px))


class FastPredictor:
    """Answers within `tolerance` of `reference`, a float32 predictor of the same model, or so it was measured.

    second_look: the reference, in tiles of second_look_tile().
    """

    def __init__(self, reference: TilePredictor, second_look: TilePredictor, lanes: Lanes) -> None:
        self.reference, self.second_look = reference, second_look
        self.model, self.geometry, self.decision = reference.model, reference.geometry, reference.decision
        self.spacing_range_um = reference.spacing_range_um
        self.batch_size, self.device = reference.batch_size, reference.device
        self.precision, self.tolerance = lanes.precision, TOLERANCE[lanes.precision]
        self._lanes = lanes

    @property
    def smoothed_tolerance(self) -> float:
        """As tolerance, of the map once smoothed as the model's decision asks."""
        smooth = self.decision.smoothing_um >= SMOOTHED_FROM_UM
        return min(SMOOTHED_TOLERANCE, self.tolerance) if smooth else self.tolerance

    def start(self, tiles: NDArray[np.uint8]) -> Answer:
        return started(self._lanes, tiles)
