"""LightningCLI over our module, with either kind of data: patches (PatchData) or slides (SlideData)."""

from argparse import ArgumentError
from pathlib import Path
from shlex import quote
from typing import Any, cast

import lightning
import torch
from jsonargparse import Namespace
from lightning import LightningDataModule
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_info

from nodescan.errors import NodescanError, OutputError, StoppedError, UsageError
from nodescan.inference.device import fast_dtype
from nodescan.interrupts import STOPPED
from nodescan.whole_files import remove_parts
from training.configurations import configuration_text, configurations_of
from training.fitting.broken_runs import (
    gpu_failure,
    how_to_go_on,
    how_to_start_again,
    met_by_worker,
    what_failed,
    with_less_at_once,
)
from training.fitting.checkpoint_writing import ValidatedFirst, WholeCheckpoints, WholeSteps
from training.fitting.checkpoints import read_checkpoint, steps_of
from training.fitting.module import TumourModule
from training.fitting.monitors import check_monitors, scores_of_validation
from training.fitting.quiet import leave_out_no_news
from training.fitting.resume import SameFolder, check_same_settings, last_checkpoint
from training.fitting.rivals import RIVALS
from training.fitting.run_length import SameLength, ValidatedOnce, why_stopped_early
from training.fitting.same_data import SameData
from training.fitting.trainer_flags import check_flags, flag_refused, interval_refused, leave_out_callbacks
from training.options import LIGHTNING

_ROOT = "--trainer.default_root_dir"

_STOPPED = (KeyboardInterrupt, SystemExit)
"""How Lightning ends on a signal: it makes an exit of code 0 or 1 of it, without a word."""


def fit(arguments: list[str]) -> LightningCLI:
    """Run LightningCLI: `fit --config FILE` and any of its flags; the data module is named by `class_path`.

    What it returns holds the trainer, the module as trained and the data module. Raises UsageError, naming the
    configuration, for what can't be understood in it.
    """
    configurations = configurations_of(arguments)
    for path in map(Path, configurations):
        if path.is_file():
            configuration_text(path)
    named = ", ".join(configurations) or arguments[0]
    leave_out_no_news()
    try:
        return TrainingCLI(
            TumourModule,
            LightningDataModule,
            subclass_mode_data=True,
            args=arguments,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={"exit_on_error": False, **{each: {"exit_on_error": False} for each in LIGHTNING}},
        )
    except (ArgumentError, MisconfigurationException) as error:
        reason = " ".join(str(error).split())
        way_out = f"python -m training {arguments[0]} --help lists what there is"
        raise UsageError(f"{named}: {reason}; {way_out}") from error
    except ValueError as error:
        refused = _refusal(error)
        if refused is None:
            raise
        raise UsageError(f"{named}: {refused}") from error


def _refusal(error: BaseException | None) -> UsageError | None:
    """What settings refused, which jsonargparse raises an error of its own over."""
    while error is not None and not isinstance(error, UsageError):
        error = error.__cause__ or error.__context__
    return error


class TrainingCLI(LightningCLI):
    """Trains what the configuration says or nothing: a checkpoint to go on from must be there and must fit it."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Of Lightning's, those that a network is trained with; each costs half a second to set up."""
        return {name: skipped for name, skipped in LightningCLI.subcommands().items() if name in LIGHTNING}

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """As Lightning's. Where the command line names a root, what the configuration's loggers write goes there, too.

        Lightning writes logs and checkpoints to where the loggers say, and nothing to the root.
        """
        super().parse_arguments(parser, args)
        if any(word.partition("=")[0] == _ROOT for word in cast("list[str]", args)):
            trainer = self.config[self.config.subcommand].trainer
            for logger in _loggers(trainer):
                logger.init_args.save_dir = trainer.default_root_dir

    def _parse_ckpt_path(self) -> None:
        """Lightning would take architecture and learning rate from the checkpoint, over what was asked for."""

    def before_instantiate_classes(self) -> None:
        """Finds the checkpoint to go on from, leaves out callbacks that flags turn off, and computes in float32 where
        bfloat16 is slower.

        Raises UsageError where there is no such checkpoint, or it is of another network or rate, or for a flag of the
        trainer that can't be had. Lightning looks for `last` in the folder that the new run is about to make, and
        starts anew when it isn't there.
        """
        asked = self.config[self.subcommand]
        check_flags(asked.trainer, str(self.subcommand))
        for line in leave_out_callbacks(asked.trainer):
            rank_zero_info(line)
        if asked.trainer.precision == "bf16-mixed" and _slow_in_bfloat16(asked.trainer.accelerator):
            asked.trainer.precision = "32-true"
            rank_zero_info("float32 for bf16-mixed: this processor has no bfloat16, and would take many times as long")
        if asked.get("lr_scheduler") and not asked.get("optimizer"):
            raise UsageError("lr_scheduler is given without an optimizer, and would be ignored: name one, too")
        if not asked.get("ckpt_path"):
            return
        path = Path(asked.ckpt_path)
        if asked.ckpt_path == "last":
            path = last_checkpoint(_folder_of_runs(asked.trainer))
        found, _ = read_checkpoint(path)
        if found != asked.model.architecture:
            raise UsageError(f"{path}: is of architecture {found}, the run of {asked.model.architecture}")
        if self.subcommand == "fit":
            check_same_settings(path, asked)
        asked.ckpt_path = str(path)

    def instantiate_trainer(self, **arguments: Any) -> lightning.Trainer:
        """Lightning's. Raises UsageError for a strategy, an accelerator or devices that it can't make out."""
        try:
            return super().instantiate_trainer(**arguments)
        except (TypeError, ValueError) as error:
            refused = flag_refused(error, self.config[self.subcommand].trainer)
            if refused is None:
                raise
            raise refused from error

    def before_fit(self) -> None:
        """Has checkpoints written whole and once validated, and goes on from one where that is asked for.

        Raises UsageError where the run is to watch a score that it never makes.
        """
        schedule = self.config[self.subcommand].get("lr_scheduler")
        check_monitors(self.trainer, self.model, schedule=schedule)
        watched = scores_of_validation(self.trainer, schedule)
        if self.trainer.limit_val_batches == 0 and watched:
            raise UsageError(
                f"trainer.limit_val_batches is 0: the run is to watch {watched[0]}, which only validation tells; leave "
                "it out, or give a number above 0"
            )
        self.trainer.callbacks[:0] = [SameLength(), SameData(), WholeSteps(), ValidatedOnce(watched)]
        if type(self.trainer.strategy.checkpoint_io) is TorchCheckpointIO:  # Lightning's own, where none was asked for
            self.trainer.strategy.checkpoint_io = WholeCheckpoints()
        for callback in self.trainer.checkpoint_callbacks:
            if type(callback) is ModelCheckpoint and callback.every_n_epochs == 0:
                callback.__class__ = ValidatedFirst
        going_on_from = self.config[self.subcommand].get("ckpt_path")
        if going_on_from:
            self._go_on_from(Path(going_on_from))

    def _go_on_from(self, path: Path) -> None:
        """Keeps the run's checkpoints where they were: else it would forget which was the best. Says how far it is."""
        for callback in self.trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.dirpath is None:
                callback.dirpath = str(path.parent)
        self.trainer.callbacks[:0] = [SameFolder(path)]
        progress = _progress_in_words(path)
        if self.trainer.is_global_zero:
            remove_parts(path.parent)
            print(f"goes on from {path}, {progress}", flush=True)

    def fit(self, **arguments: Any) -> None:
        """Lightning's fit. What ends it says which checkpoint is left, and what a worker met is said in one line."""
        try:
            self.trainer.fit(**arguments)
        except _STOPPED as end:
            raise StoppedError(f"{STOPPED}; {how_to_go_on(self.trainer)}") from end
        except FloatingPointError as error:
            raise FloatingPointError(f"{error}; {how_to_start_again(self.trainer)}") from error
        except OutputError as error:
            what = str(error).rpartition("; ")[0]  # its remedy ends with "run again", which would begin anew
            raise OutputError(f"{what}; fix that, then {how_to_go_on(self.trainer)}") from error
        except (NodescanError, RuntimeError) as error:
            met = met_by_worker(error) or gpu_failure(
                error, self.trainer, full=with_less_at_once(self.trainer), again=how_to_go_on(self.trainer)
            )
            if met is None:
                raise
            raise met from error
        except ValueError as error:
            refused = interval_refused(error, self.trainer)
            if refused is None:
                raise
            raise refused from error
        except OSError as error:
            raise OutputError(f"{what_failed(error, self.trainer)}, then {how_to_go_on(self.trainer)}") from error

    def before_validate(self) -> None:
        """Raises UsageError where the network was never trained, or is to be shown nothing: its score says nothing;
        and where a checkpoint holds weights alone, which Lightning can't read.
        """
        asked = self.config[self.subcommand]
        if not (asked.get("ckpt_path") or asked.model.init_from):
            raise UsageError(
                "validate: the network would be an untrained one; name a checkpoint with --ckpt_path, or a model with "
                "--model.init_from"
            )
        if asked.get("ckpt_path"):
            steps_of(Path(asked.ckpt_path))
        if self.trainer.limit_val_batches == 0:
            raise UsageError("trainer.limit_val_batches is 0: nothing would be validated; leave it out")

    def validate(self, **arguments: Any) -> None:
        """Lightning's validate."""
        try:
            self.trainer.validate(**arguments)
        except _STOPPED as end:
            raise StoppedError(STOPPED) from end
        except RuntimeError as error:
            or_on_cpu = "or use --trainer.accelerator cpu"
            met = gpu_failure(
                error, self.trainer, full=f"end other programs on it, {or_on_cpu}", again=f"validate again, {or_on_cpu}"
            )
            if met is None:
                raise
            raise met from error
        except OSError as error:
            raise OutputError(what_failed(error, self.trainer)) from error

    def after_fit(self) -> None:
        """Says why the run ended early, where it did, and where the best checkpoint is."""
        if self.trainer.is_global_zero and (why := why_stopped_early(self.trainer)):
            print(why)
        for callback in self.trainer.checkpoint_callbacks:
            best, monitor = getattr(callback, "best_model_path", ""), getattr(callback, "monitor", None)
            if self.trainer.is_global_zero and best and monitor:
                score = float(getattr(callback, "best_model_score", None) or 0)
                print(f"best checkpoint, {monitor} {score:.4f}: {best}")
                if self.model.hparams["architecture"] not in RIVALS:
                    print(f"make a model of it: python -m training export {quote(best)} --to models/NAME")


def _slow_in_bfloat16(accelerator: str) -> bool:
    """Whether the run is on a processor that only imitates bfloat16: with AVX2, torch 2.14 takes nine times as long.

    One with AVX-512 is left to what was asked for.
    """
    on_cpu = accelerator == "cpu" or (
        accelerator == "auto" and not (torch.cuda.is_available() or torch.backends.mps.is_available())
    )
    return on_cpu and fast_dtype(torch.device("cpu")) is None and torch.backends.cpu.get_cpu_capability() != "AVX512"


def _loggers(trainer: Namespace) -> list[Namespace]:
    """The loggers of a configuration that are told where to write."""
    named = trainer.logger if isinstance(trainer.logger, list) else [trainer.logger]
    return [each for each in named if isinstance(each, Namespace) and "save_dir" in each.get("init_args", {})]


def _folder_of_runs(trainer: Namespace) -> Path:
    """The folder of a configuration's runs: Lightning puts checkpoints beside the first logger's files."""
    return Path(next((each.init_args.save_dir for each in _loggers(trainer)), trainer.default_root_dir) or ".")


def _progress_in_words(checkpoint: Path) -> str:
    """How far the run of a checkpoint is, in words: the newest may be of an earlier run, and that one at its end."""
    done, planned = steps_of(checkpoint)
    if planned is None:
        return f"step {done}"
    over = "; that run is complete: leave out --ckpt_path to start a new one" if done >= planned else ""
    return f"step {done} of {planned}{over}"
