"""The model card: one YAML file beside the weights that says what a network accepts, answers and was taught."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nodescan.domain.decision import NORMAL_FACTOR, DecisionRule
from nodescan.domain.geometry import TileGeometry
from nodescan.domain.report import ModelIdentity, Untuned
from nodescan.errors import ModelError
from nodescan.given_files import found_bytes
from nodescan.inference.p4m_group import FEATURES
from nodescan.strict_yaml import StrictLoader, what_is_wrong

CARD_FILE, WEIGHTS_FILE = "card.yaml", "weights.safetensors"
"""The name of the weights in a folder that is made here. A card may give another name."""

DEFAULT_MODEL = "pcam-p4m"
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

_MOST_CARD_BYTES, _MOST_WEIGHTS_BYTES = 1_000_000, 4_000_000_000
"""The released card has 1,880; 11 million weights, as ResNet-18 has, take 45 MB."""

_Fraction = Annotated[float, Field(ge=0, le=1)]
_Spacing = Annotated[float, Field(ge=0.1, le=4)]
_Spread = Annotated[float, Field(ge=0.01, le=1)]
"""Standard deviation of colours in [0, 1]: at most 0.5, or 1 if they aren't scaled; of slides 0.2 to 0.3."""
_Range = Annotated[float, Field(ge=0.01, le=1e4)]
"""Of what a layer is fed with; the released network's are 7 to 16."""
_Pixels = Annotated[int, Field(ge=0, le=8192)]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

MOST_LOG_TEMPERATURE = 2.0
"""In both directions: calibration can't correct a network that is too sure, or too unsure, by more than e^2."""

_Temperature = Annotated[
    float, Field(ge=0.999 * math.exp(-MOST_LOG_TEMPERATURE), le=1.001 * math.exp(MOST_LOG_TEMPERATURE))
]

LEAST_UNCERTAINTY_UM = 0.1
"""Tuning tells sizes to this; "0.006" is one in mm."""

COVERAGE_BELOW = 10 * NORMAL_FACTOR
"""A coverage factor as large as this has its decimal point in the wrong place: tuning writes NORMAL_FACTOR or more. The
released model's is 2.8. 0.95 of all errors lie within 4.5 standard deviations, whatever their distribution (Chebyshev's
inequality); the rest allows for a standard uncertainty that is too small."""

_LEAST_DIAMETER_UM, _MOST_OFF_UM, _MOST_SMOOTHINGS = 10.0, 200.0, 3.0
"""Of a size correction: a cell's diameter, so what is smaller is in mm; and how far off a size may be, what the map's
smoothing adds apart. The released model's are off by 42 um at most, the label's dilation being 30; of large deposits
that a network sees in part it may be half of the true size."""

_MOST_DIAMETER_UM = 20_000.0
"""No node is much larger; a larger size is one in nm, or a slip."""

_WORDS = {"chosen_on", "covered_on"}
_TOLD = {*_WORDS, "found_from_um"}
"""What a decision tells beside its numbers."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Decision(_Part):
    """How the map turns into deposits; see DecisionRule for each number, and ModelIdentity for found_from_um.

    covered_on: the deposits that coverage_factor was measured on; None: it was not measured for this model.
    """

    smoothing_um: float
    threshold: _Fraction
    seed_threshold: _Fraction
    size_correction_um: tuple[tuple[float, float], ...]
    size_uncertainty_um: Annotated[float, Field(ge=LEAST_UNCERTAINTY_UM, le=_MOST_OFF_UM)]
    coverage_factor: Annotated[float, Field(ge=1, lt=COVERAGE_BELOW)] = NORMAL_FACTOR
    chosen_on: str
    covered_on: str | None = None
    found_from_um: Annotated[float, Field(ge=_LEAST_DIAMETER_UM, le=_MOST_DIAMETER_UM)] | None = None

    @model_validator(mode="after")
    def _corrects_what_can_be(self) -> "Decision":
        for measured, true in self.size_correction_um:
            most = max(_MOST_OFF_UM + _MOST_SMOOTHINGS * self.smoothing_um, true / 2)
            if not _LEAST_DIAMETER_UM <= true <= _MOST_DIAMETER_UM or abs(measured - true) > most:
                raise ValueError(
                    f"size_correction_um calls {measured:g} um {true:g}: not within {most:g} um, or no deposit's size"
                )
        return self

    @staticmethod
    def of(rule: DecisionRule, *, chosen_on: str, covered_on: str | None, found_from_um: float | None) -> "Decision":
        """A rule with what a card says about it: the fields of the same names."""
        return Decision(**asdict(rule), chosen_on=chosen_on, covered_on=covered_on, found_from_um=found_from_um)

    def rule(self) -> DecisionRule:
        return DecisionRule(**self.model_dump(exclude=_TOLD))


class Known(_Part):
    """The tissue that a network was taught: its file's sha256, and of what it was measured. See known_tissue.py."""

    sha256: _Sha256
    measured_on: str


class ModelCard(_Part):
    """What stands in a model folder's card.yaml.

    spacing_um: finest and coarsest um/px accepted. core_px, margin_px, stride_px: see TileGeometry. mean, std:
    of the input's colours in [0, 1]. temperature divides the logits, so that probabilities are calibrated. int8_ranges:
    see quantisation.input_ranges; without them the network isn't run in eight bits. tuned_sha256: see `as_tuned`; None
    before tuning.
    """

    name: Annotated[str, Field(pattern=MODEL_NAME)]
    architecture: str
    weights: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors$")]
    weights_sha256: _Sha256
    spacing_um: tuple[_Spacing, _Spacing]
    core_px: _Pixels
    margin_px: _Pixels
    stride_px: _Pixels
    mean: tuple[_Fraction, _Fraction, _Fraction]
    std: tuple[_Spread, _Spread, _Spread]
    temperature: _Temperature
    int8_ranges: tuple[_Range, ...] | None = None
    known_tissue: Known | None = None
    decision: Decision
    tuned_sha256: _Sha256 | None = None
    training_data: str
    metrics: dict[str, str]
    limits: str
    licence: str

    @model_validator(mode="after")
    def _fits_together(self) -> "ModelCard":
        if not self.spacing_um[0] <= self.spacing_um[1]:
            raise ValueError("spacing_um must be finest first, coarsest second")
        self.geometry()
        self.decision.rule()
        return self

    def geometry(self) -> TileGeometry:
        return TileGeometry(self.core_px, self.margin_px, self.stride_px, padded=self.architecture not in FEATURES)

    @property
    def untuned(self) -> Untuned | None:
        """Why this card doesn't say what its network finds; None if it does. decision and found_from_um are valid only
        for the card that they were chosen for."""
        if self.tuned_sha256 is None and self.decision.found_from_um is None:
            return Untuned.NEVER
        if self.tuned_sha256 != self._tuning_sha256():
            return Untuned.EDITED
        return Untuned.NEVER if self.decision.found_from_um is None else None

    def as_tuned(self) -> "ModelCard":
        """This card, with a digest of everything that tuning chose and depended on, so that later edits are noticed.

        For the last step of tuning only.
        """
        # As it will be read: a number of another kind would make another digest.
        card = ModelCard.model_validate(self.model_dump(mode="json"))
        return card.model_copy(update={"tuned_sha256": card._tuning_sha256()})

    def identity(self) -> ModelIdentity:
        untuned = self.untuned
        return ModelIdentity(
            name=self.name,
            architecture=self.architecture,
            weights_sha256=self.weights_sha256,
            threshold=self.decision.threshold,
            card_sha256=self.sha256(),
            found_from_um=None if untuned else self.decision.found_from_um,
            smoothing_um=self.decision.smoothing_um,
            seed_threshold=self.decision.seed_threshold,
            untuned=untuned,
            uncertainty_measured=self.decision.covered_on is not None and untuned is not Untuned.EDITED,
        )

    def sha256(self) -> str:
        """Over every value that can change a finding, in a fixed order, without mere descriptions of the model.

        Whether it is tuned is included, because without tuning no slide is complete.
        """
        content = self.model_dump(mode="json", exclude={**_aside(_TOLD), "known_tissue": {"measured_on"}})
        if self.untuned is not None:
            content["tuned"] = False
        return _digest(content)

    def network_sha256(self) -> str:
        """Over every value that the network's answers depend on, so not over the decision, which comes after."""
        return _digest(self.model_dump(mode="json", exclude={**_aside(set()), "decision": True}))

    def _tuning_sha256(self) -> str:
        """Over every value that bears on a finding, and from which size on all is found.

        What isn't there doesn't count: cards stay tuned when a later version knows one more value that they may lack.
        """
        return _digest(self.model_dump(mode="json", exclude=_aside(_WORDS), exclude_none=True))


def _aside(of_decision: set[str]) -> dict[str, bool | set[str]]:
    """The parts of a card that change no answer of the network and no size, with these parts of its decision."""
    said = ("name", "weights", "tuned_sha256", "known_tissue", "training_data", "metrics", "limits", "licence")
    return {**dict.fromkeys(said, True), "decision": of_decision}


def _digest(content: Mapping[str, object]) -> str:
    """sha256 of the content as JSON: floats as Python's shortest decimals, which are the same everywhere."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class CardFacts:
    """What a predictor says of its model, read off the card. geometry: of its tiles, None: the card's."""

    def __init__(self, card: ModelCard, geometry: TileGeometry | None = None) -> None:
        self.geometry = geometry or card.geometry()
        self.model, self.decision, self.spacing_range_um = card.identity(), card.decision.rule(), card.spacing_um


def load_card(folder: Path) -> ModelCard:
    """The card of a model folder. Raises ModelError naming the file and the key."""
    file = folder / CARD_FILE
    try:
        content = yaml.load(found_bytes(file, _MOST_CARD_BYTES).decode("utf-8"), Loader=StrictLoader)
        as_json = json.dumps(content, default=_refuse_date)
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: no {CARD_FILE} there; a model is a folder with a card and its weights") from error
    except (OSError, yaml.YAMLError, ValueError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        # The last five are how PyYAML meets a value that doesn't fit its tag, and nesting without end.
        raise ModelError(f"{file}: can't be read as a model card ({error})".replace("\n", " ")) from error
    try:
        # By way of JSON, whose strict mode takes lists for tuples and whole numbers for floats, and nothing else.
        return ModelCard.model_validate_json(as_json, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the card"
        said = what_is_wrong({**first})
        raise ModelError(f"{file}: {key}: {said}; correct the card, or get the model again") from error


def _refuse_date(value: object) -> object:
    """Of what YAML reads JSON lacks dates alone."""
    raise ValueError(f"{value} would be a date; put it in quotes")


def save_card(card: ModelCard, folder: Path) -> None:
    """Write the card into a model folder."""
    text = yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    (folder / CARD_FILE).write_text(text, encoding="utf-8")


def checked_weights(card: ModelCard, folder: Path) -> bytes:
    """The weights file's bytes, after its sha256 was compared with the card's. Raises ModelError."""
    file = folder / card.weights
    try:
        content = found_bytes(file, _MOST_WEIGHTS_BYTES)
    except OSError as error:
        raise ModelError(f"{file}: the weights can't be read ({error.strerror})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != card.weights_sha256:
        raise ModelError(
            f"{file}: sha256 is {found[:12]}..., the card says {card.weights_sha256[:12]}...; "
            "the file is damaged or belongs to another model; install nodescan again, or export the model again"
        )
    return content


def check_numbers(weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Raise ValueError for weights that no training leaves. Layers such as OpenVINO's make numbers of NaN."""
    if not all(np.isfinite(value).all() for value in weights.values()):
        raise ValueError("weights that are no finite numbers")
    for name, value in weights.items():
        if name.endswith("running_var") and (value < 0).any():
            raise ValueError(f"{name}: a negative variance")


def packed_models() -> Path:
    """The folder of models that come with nodescan, from a wheel and from an editable install alike."""
    return Path(str(files("nodescan"))) / "weights"


def list_models() -> tuple[ModelCard, ...]:
    """Cards of all models that come with nodescan, by name."""
    return tuple(load_card(folder) for folder in _packed_folders())


def find_model(name_or_folder: str | None) -> Path:
    """The folder of a model by name or by path; None: the released one. Raises ModelError where there is none."""
    name = name_or_folder or DEFAULT_MODEL
    packed = packed_models() / name
    if Path(name).name == name and (packed / CARD_FILE).is_file():
        return packed
    if (Path(name) / CARD_FILE).is_file():
        return Path(name)
    if Path(name).is_file():
        raise ModelError(
            f"{name}: is a file, and a model is a folder with a {CARD_FILE}, as 'python -m training export CKPT --to "
            "FOLDER' writes it from a checkpoint of its own training; name that folder. A network of others, such as a "
            "TorchScript file, does not run here: it needs a program that runs such files, as WSInfer does"
        )
    known = ", ".join(folder.name for folder in _packed_folders()) or "none"
    raise ModelError(f"{name}: no such model; installed models: {known}; or name a folder that holds a {CARD_FILE}")


def _packed_folders() -> Iterator[Path]:
    home = packed_models()
    return (f.parent for f in sorted(home.glob(f"*/{CARD_FILE}"))) if home.is_dir() else iter(())
