"""Runs in TIAToolbox's own Python: its PatchPredictor over slides with a TorchScript network, as its manual shows.

in_tiatoolbox.py OUT MODEL.pt PATCH_PX STRIDE_PX BATCH WORKERS SLIDE...
"""

import sys
from pathlib import Path

import numpy as np
import torch
from tiatoolbox.models.engine.io_config import IOPatchPredictorConfig
from tiatoolbox.models.engine.patch_predictor import PatchPredictor
from tiatoolbox.models.models_abc import ModelABC

SPACING_UM = 0.972
MEAN, STD = (0.70, 0.54, 0.69), (0.24, 0.28, 0.21)


class Scripted(ModelABC):
    """A TorchScript network with one logit, as TIAToolbox calls it."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.network = torch.jit.load(path)
        self.class_dict = {0: "normal", 1: "tumor"}
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tumour = torch.sigmoid(self.network((pixels / 255 - self.mean) / self.std))
        return torch.cat([1 - tumour, tumour], dim=1)

    @staticmethod
    def postproc(answers: np.ndarray) -> np.ndarray:
        return np.argmax(answers, axis=-1)

    @staticmethod
    def infer_batch(model: torch.nn.Module, batch_data: torch.Tensor, *, device: str = "cpu") -> np.ndarray:
        with torch.inference_mode():
            return model(batch_data.to(device).float().permute(0, 3, 1, 2)).cpu().numpy()


def main(out: str, model: str, numbers: list[int], slides: list[str]) -> None:
    patch_px, stride_px, batch, workers = numbers
    places = IOPatchPredictorConfig(
        input_resolutions=[{"units": "mpp", "resolution": SPACING_UM}],
        patch_input_shape=(patch_px, patch_px),
        stride_shape=(stride_px, stride_px),
    )
    engine = PatchPredictor(model=Scripted(model), batch_size=batch, num_workers=workers, device="cpu")
    engine.run(
        images=[Path(slide) for slide in slides],
        patch_mode=False,
        ioconfig=places,
        save_dir=Path(out),
        overwrite=True,
        output_type="qupath",
        return_probabilities=True,
        class_dict={0: "normal", 1: "tumor"},
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [int(word) for word in sys.argv[3:7]], sys.argv[7:])
