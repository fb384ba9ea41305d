"""LightningCLI over our module, with either kind of data: patches (PatchData) or slides (SlideData)."""

from lightning import LightningDataModule
from lightning.pytorch.cli import LightningCLI

from training.module import TumourModule


def fit(arguments: list[str]) -> LightningCLI:
    """Run LightningCLI: `fit --config FILE` and any of its flags; the data module is named by `class_path`.

    What it returns holds the trainer, the module as trained and the data module.
    """
    return LightningCLI(
        TumourModule,
        LightningDataModule,
        subclass_mode_data=True,
        args=arguments,
        save_config_kwargs={"overwrite": True},
    )
