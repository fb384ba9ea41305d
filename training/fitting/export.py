"""From a checkpoint to a model folder that nodescan runs: card and safetensors, checked by reading them back."""

import hashlib
import os
import re
import tempfile
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from nodescan.domain.naming import few
from nodescan.errors import ModelError, UsageError
from nodescan.inference.card import CARD_FILE, MODEL_NAME, WEIGHTS_FILE, ModelCard, load_card, save_card
from nodescan.inference.made_tiles import MEAN, STD
from nodescan.inference.models import MODELS, build
from nodescan.inference.predictor import load_network
from nodescan.whole_files import output_errors
from training.fitting.checkpoints import are_sound, halved, read_checkpoint
from training.fitting.rivals import RIVALS
from training.fitting.transforms import as_image, normalised
from training.provenance import UNTUNED
from training.slides.index import SPACING_UM

CORE_PX = 512
"""Side of a tile's core: large enough that its margin costs little, small enough to follow the tissue's outline."""

LARGEST_DIFFERENCE = 0.01
"""In probability, of the exported copy from the checkpoint: half precision takes less."""


def export(checkpoint: Path, folder: Path, *, name: str, training_data: str) -> ModelCard:
    """Write `folder`/card.yaml and its weights in half precision, read them back and compare answers.

    Raises UsageError where the checkpoint isn't one of ours, the name none of a model, or the folder is refused (see
    model_replaced), ModelError where the copy answers differently.
    """
    if not re.fullmatch(MODEL_NAME, name):
        raise UsageError(
            f"{folder}: {name!r} can't be a model's name: it needs "
            "letters of a to z, digits, '.', '_' and '-' alone, a letter or digit first; choose another folder's name"
        )
    model_replaced(folder)
    architecture, net = _network_of(checkpoint)
    content = safetensors.torch.save({key: value.contiguous() for key, value in halved(net.state_dict()).items()})
    card = ModelCard(
        name=name,
        architecture=architecture,
        weights=WEIGHTS_FILE,
        weights_sha256=hashlib.sha256(content).hexdigest(),
        spacing_um=SPACING_UM,
        core_px=CORE_PX,
        margin_px=net.margin_px,
        stride_px=net.stride_px,
        mean=MEAN,
        std=STD,
        temperature=1.0,
        decision=UNTUNED,
        training_data=training_data,
        metrics={},
        limits="Research software: not for clinical use. H&E-stained sentinel lymph nodes of the breast only.",
        licence="Apache-2.0",
    )
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".export") as made:
            (Path(made) / WEIGHTS_FILE).write_bytes(content)
            save_card(card, Path(made))
            _compare(net.eval(), Path(made), checkpoint)
            for name_of_file in (WEIGHTS_FILE, CARD_FILE):
                os.replace(Path(made) / name_of_file, folder / name_of_file)
    return card


def model_replaced(folder: Path) -> ModelCard | None:
    """The card of the untuned model that an export into `folder` replaces; None where there is no model.

    Raises UsageError for a folder of other files, for a card that can't be read, and for a tuned model: an hour's work,
    and only its card has it.
    """
    with output_errors(folder):
        names = {file.name for file in folder.iterdir()} if folder.is_dir() else set[str]()
    if CARD_FILE not in names:
        others = sorted(name for name in names - {WEIGHTS_FILE} if not name.startswith("."))
        if others:
            raise UsageError(f"{folder}: holds other files ({few(others, 3)}) and no model; name a new or empty folder")
        return None
    try:
        card = load_card(folder)
    except ModelError as error:
        raise UsageError(f"{error}. It may be of a tuned model: correct it, or export into another folder") from error
    if card.decision.chosen_on != UNTUNED.chosen_on:
        raise UsageError(
            f"{folder}: holds a tuned model (its thresholds were chosen on {card.decision.chosen_on}); "
            "export into another folder, or move this one away first"
        )
    return card


def _network_of(checkpoint: Path) -> tuple[str, torch.nn.Module]:
    """The architecture's name, and the network with the checkpoint's weights."""
    architecture, weights = read_checkpoint(checkpoint)
    if architecture in RIVALS:
        raise UsageError(
            f"{checkpoint}: {architecture} networks can't be exported; those of {', '.join(sorted(MODELS))} can"
        )
    try:
        net = build(architecture)
        net.load_state_dict(weights)
    except ModelError as error:
        raise UsageError(f"{checkpoint}: {error}") from error
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(f"{checkpoint}: not the weights of a {architecture} network ({reason})") from error
    if not are_sound(weights):
        raise UsageError(f"{checkpoint}: holds weights that are no finite numbers; export an earlier checkpoint")
    return architecture, net


def _compare(net: torch.nn.Module, folder: Path, checkpoint: Path) -> None:
    """The folder's network must answer as the checkpoint's, but for what half precision takes."""
    copy = load_network(load_card(folder), folder)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3), dtype=np.uint8))
    with torch.inference_mode():
        image = normalised(as_image(pixels))
        difference = float((torch.sigmoid(net(image)) - torch.sigmoid(copy(image))).abs().max())
    if not difference <= LARGEST_DIFFERENCE:  # nor where it is no number
        raise ModelError(f"{checkpoint}: its copy's answers differ by {difference:.3f} from its own; none was written")
