"""python -m training: fit a network with Lightning, export it, and judge it."""

import sys

from lightning.pytorch.cli import LightningCLI

from training.datamodule import PatchData
from training.module import TumourModule


def main(arguments: list[str]) -> None:
    """fit, validate and test are Lightning's own."""
    LightningCLI(TumourModule, PatchData, args=arguments, save_config_kwargs={"overwrite": True})


if __name__ == "__main__":
    main(sys.argv[1:])
