"""An ablation: one configuration with single values changed, each trained for a few steps and scored alike."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from nodescan.errors import UsageError
from nodescan.whole_files import write_beside
from training.camelyon.manifest import digest_of
from training.configurations import read_yaml
from training.fitting.lightning_cli import fit
from training.fitting.module import TumourModule, patch_logit
from training.fitting.rivals import parameters
from training.fitting.transforms import as_image
from training.model_cards.ablation_table import Earlier, Run, table
from training.patches.labelled import files_of

_WARM_UP_STEPS = 10


@dataclass(frozen=True, slots=True)
class Setting:
    """change: dotted keys of the base configuration and the values that they get; those of all settings among them."""

    name: str
    change: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AblationPlan:
    """base: a training configuration. results: folder of what is done. table: the Markdown file that is written."""

    base: Path
    steps: int
    seeds: tuple[int, ...]
    results: Path
    table: Path
    settings: tuple[Setting, ...]
    earlier: Earlier | None


class Clock(lightning.Callback):
    """Seconds a training step takes, the first ones left out."""

    def __init__(self) -> None:
        self._begun, self._now, self._from, self._steps = 0.0, 0.0, 0, 0

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self._steps += 1
        if self._steps == min(_WARM_UP_STEPS, max(trainer.max_steps - 1, 1)):
            self._begun = time.monotonic()
            self._from = self._steps
        self._now = time.monotonic()

    @property
    def seconds_per_step(self) -> float:
        return (self._now - self._begun) / max(self._steps - self._from, 1)


def read_plan(path: Path) -> AblationPlan:
    """The plan at `path`. Raises UsageError, naming the file, where it isn't one."""
    content = read_yaml(path)
    try:
        common = dict(content.get("common") or {})
        settings = tuple(Setting(str(each["name"]), {**common, **each["change"]}) for each in content["settings"])
        before = content.get("earlier")
        earlier = before and Earlier(before["note"], tuple((str(e["name"]), e["auc"]) for e in before["settings"]))
        plan = AblationPlan(
            base=Path(content["base"]),
            steps=int(content["steps"]),
            seeds=tuple(int(seed) for seed in content["seeds"]),
            results=Path(content["results"]),
            table=Path(content["table"]),
            settings=settings,
            earlier=earlier or None,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".replace("\n", " ")
        raise UsageError(f"{path}: not an ablation's plan ({reason})") from error
    if len({folder_name(setting.name) for setting in settings}) < len(settings):
        raise UsageError(f"{path}: two settings have one name; give each its own")
    for setting in settings:
        changed(read_yaml(plan.base), setting.change)
    return plan


def ablate(plan: AblationPlan, *, only: str | None, run: bool, tell: Callable[[str], None]) -> None:
    """Run what isn't done yet, setting by setting, and write the table after each; `only`: one setting's name.

    Raises UsageError where there is no such setting.
    """
    chosen = [setting for setting in plan.settings if only in (None, setting.name)]
    if not chosen:
        raise UsageError(f"--only {only}: no such setting; there are {', '.join(s.name for s in plan.settings)}")
    for setting in chosen if run else ():
        for seed in plan.seeds:
            if not is_done(plan, setting, seed):
                tell(f"{setting.name}, seed {seed}: {plan.steps} steps")
                train(plan, setting, seed, to=run_folder(plan, setting, seed))
                write_table(plan)
    tell(f"{plan.table}: {write_table(plan)} of {len(plan.settings)} settings done")


def train(plan: AblationPlan, setting: Setting, seed: int, *, to: Path) -> None:
    """Fit one setting and write its configuration, its answers on the validation patches, and result.json last."""
    content = changed(read_yaml(plan.base), setting.change)
    digest, patches = _digest(content), _digest_of_patches(content)
    content["seed_everything"] = content["data"]["init_args"]["plan"]["seed"] = seed
    content["trainer"] |= {
        "max_steps": plan.steps,
        "max_epochs": -1,
        "limit_val_batches": 0,
        "default_root_dir": str(to),
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "callbacks": [c for c in content["trainer"]["callbacks"] if "WeightAveraging" in c["class_path"]]
        + [{"class_path": "training.model_cards.ablation.Clock"}],
    }
    to.mkdir(parents=True, exist_ok=True)
    (to / "result.json").unlink(missing_ok=True)  # of another base, whose answers are about to be written over
    (to / "setting.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    cli = fit(["fit", "--config", str(to / "setting.yaml")])
    logit, truth = answers(cli.model, cli.datamodule.val_dataloader())
    np.savez(to / "answers.npz", logit=logit, truth=truth)
    clock = next(c for c in cli.trainer.callbacks if isinstance(c, Clock))  # pyright: ignore[reportAttributeAccessIssue]
    result = {
        "name": setting.name,
        "seed": seed,
        "steps": plan.steps,
        "change": dict(setting.change),
        "configuration_sha256": digest,
        "patches_sha256": patches,
        "seconds_per_step": clock.seconds_per_step,
        "parameters": parameters(cli.model.net),
    }
    write_beside(to / "result.json", json.dumps(result, indent=2).encode())


def answers(module: TumourModule, patches: DataLoader[Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """float32 (N,) logits and bool (N,) labels of the validation patches, in float32, as averaged by the run."""
    module.eval().float()
    logits, labels = [], []
    with torch.inference_mode():
        for pixels, label in patches:
            logits.append(patch_logit(module(as_image(pixels).to(module.device))).float().cpu())
            labels.append(label.bool())
    return torch.cat(logits).numpy(), torch.cat(labels).numpy()


def write_table(plan: AblationPlan) -> int:
    """Write the table of what is done; how many settings have all their seeds."""
    runs = [
        _read_run(run_folder(plan, setting, seed))
        for setting in plan.settings
        for seed in plan.seeds
        if is_done(plan, setting, seed)
    ]
    for run in runs:
        if not np.array_equal(run.truth, runs[0].truth):
            raise UsageError(
                f"{plan.results}: {runs[0].name}, seed {runs[0].seed}, and {run.name}, seed {run.seed}, were scored on "
                "different labels, so they can't be compared; delete the older folder and run it again"
            )
    plan.table.parent.mkdir(parents=True, exist_ok=True)
    text = table(runs, [setting.name for setting in plan.settings], plan.earlier, base=plan.base.as_posix())
    write_beside(plan.table, text.encode())
    done = [run.name for run in runs]
    return sum(done.count(setting.name) == len(plan.seeds) for setting in plan.settings)


def is_done(plan: AblationPlan, setting: Setting, seed: int) -> bool:
    """Whether there is a result of this very configuration, the base's with the setting's change, on these patches.

    One that doesn't say of which patches it is counts, and so does each where the patches aren't there.
    """
    content = changed(read_yaml(plan.base), setting.change)
    result = _result(run_folder(plan, setting, seed))
    if result.get("configuration_sha256") != _digest(content):
        return False
    known, now = result.get("patches_sha256"), _digest_of_patches(content)
    return known is None or now is None or known == now


def _result(folder: Path) -> dict[str, Any]:
    """What result.json says; nothing where it isn't there or was cut off: the setting is to be run again then."""
    try:
        return json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def run_folder(plan: AblationPlan, setting: Setting, seed: int) -> Path:
    """Where one run's results lie; another number of steps is another run."""
    return plan.results / f"{folder_name(setting.name)}-{plan.steps}-steps-seed-{seed}"


def folder_name(name: str) -> str:
    """A setting's name as a folder's."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def changed(content: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the values at dotted keys replaced. Raises UsageError for a key that it doesn't have."""
    if not isinstance(content, Mapping):
        raise UsageError("the base configuration holds no settings")
    made = deepcopy(dict(content))
    for key, value in change.items():
        *way, last = key.split(".")
        place: Any = made
        for step in way:
            place = place.get(step) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place:
            raise UsageError(f"{key}: the base configuration has no such key")
        place[last] = value
    return made


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _digest_of_patches(content: Mapping[str, Any]) -> str | None:
    """Over the bytes of all files that are trained and validated on; None where they aren't there."""
    data = content["data"]["init_args"]
    paths = [Path(path) for key in ("train", "valid") for path in data.get(key) or ()]
    try:
        stats = [(file, file.stat().st_size, file.stat().st_mtime_ns) for file in files_of(paths)]
        return _digest({"files": [_digest_of_file(*stat) for stat in stats]})
    except (UsageError, OSError):
        return None


@cache
def _digest_of_file(file: Path, _size: int, _time_ns: int) -> str:
    return digest_of(file, "sha256")


def _read_run(folder: Path) -> Run:
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    stored = np.load(folder / "answers.npz")
    return Run(
        name=result["name"],
        seed=result["seed"],
        steps=result["steps"],
        logit=stored["logit"].astype(np.float64),
        truth=stored["truth"],
        seconds_per_step=result["seconds_per_step"],
        parameters=result["parameters"],
    )
