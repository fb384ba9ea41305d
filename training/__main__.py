"""python -m training: fit a network with Lightning, export it, tune it, judge it."""

import sys

LIGHTNING = ("fit", "validate", "test", "predict")


def main(arguments: list[str]) -> None:
    """fit, validate and test are LightningCLI's own; every other command is training.commands'."""
    if arguments and arguments[0] in LIGHTNING:
        from lightning.pytorch.cli import LightningCLI  # noqa: PLC0415  seconds to import, needed here alone

        from training.datamodule import PatchData  # noqa: PLC0415
        from training.module import TumourModule  # noqa: PLC0415

        LightningCLI(TumourModule, PatchData, args=arguments, save_config_kwargs={"overwrite": True})
    else:
        from training.commands import run  # noqa: PLC0415

        sys.exit(run(arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
