"""From a YAML file to frozen scan settings, checked key by key and named by their sha256."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails

from nodescan.domain.geometry import TileGeometry
from nodescan.errors import ConfigError
from nodescan.given_files import given_bytes
from nodescan.imaging.quality import cuts_into
from nodescan.packed_files import packed_file
from nodescan.scan_settings import ScanSettings
from nodescan.strict_yaml import StrictLoader, what_is_wrong


@dataclass(frozen=True, slots=True)
class Config:
    """A run's settings. text: the file as read; sha256: over its values, so that comments and order don't count."""

    name: str
    text: str
    settings: ScanSettings
    sha256: str


def check_fit(config: Config, tile: TileGeometry) -> None:
    """Raises ConfigError where a model's tiles can't be cut into the blocks that focus is judged on."""
    block_px = config.settings.quality.focus_block_px
    if not cuts_into(block_px, tile.core_px) or block_px % tile.stride_px:
        raise ConfigError(
            f"{config.name}: quality.focus_block_px: {block_px} does not fit the model's tiles of {tile.core_px} px "
            f"with a cell of {tile.stride_px} px; it must be a multiple of 8 and of {tile.stride_px}, at "
            f"least 32, and divide {tile.core_px}"
        )


def load_config(path: Path | None = None) -> Config:
    """The settings in `path`, or the packed ones (None). Raises ConfigError that names the file and the key's path."""
    source = default_config_path() if path is None else path
    try:
        text = given_bytes(source).decode()
    except OSError as error:
        raise ConfigError(f"{source.name}: can't be read ({error.strerror}); name a YAML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source.name}: is not UTF-8 text; name a YAML file") from error
    return parse_config(text, source.name)


@lru_cache(maxsize=4)
def parse_config(text: str, name: str) -> Config:
    """The settings in a file's text. Raises ConfigError that names the file and the key's path."""
    settings = _settings(text, name)
    return Config(name=name, text=text, settings=settings, sha256=config_sha256(settings))


def default_config_path() -> Path:
    """scan.yaml inside the installed package, or beside it in a checkout."""
    return packed_file("configs/scan.yaml")


def config_sha256(settings: ScanSettings) -> str:
    """sha256 over every value in a fixed order: equal settings have one name, however they were written down."""
    canonical = json.dumps(asdict(settings), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _settings(text: str, name: str) -> ScanSettings:
    try:
        content: object = yaml.load(text, Loader=StrictLoader)
        as_json = json.dumps(content, default=str)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: {_yaml_problem(error)}") from error
    except (ValueError, OverflowError) as error:  # of a date or number that YAML recognises and Python can't hold
        raise ConfigError(f"{name}: holds a value that can't be read ({error})") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: is nested too deep; compare it with the packed scan.yaml") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{name}: holds no settings; compare it with the packed scan.yaml")
    try:
        # By way of JSON, whose strict mode takes lists for tuples and whole numbers for floats, and nothing else.
        checked = _schema().model_validate_json(as_json)
    except ValidationError as error:
        raise ConfigError(f"{name}: {'; '.join(_problems(error.errors()))}") from error
    return ScanSettings(**{field.name: getattr(checked, field.name) for field in fields(ScanSettings)})


def _schema() -> type[BaseModel]:
    """One required key for each field of ScanSettings; strict and closed, down to the settings inside."""
    hints = get_type_hints(ScanSettings)
    keys: dict[str, Any] = {field.name: (hints[field.name], ...) for field in fields(ScanSettings)}
    strict = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
    return create_model("ScanConfig", __config__=strict, **keys)


def _problems(errors: Iterable[ErrorDetails]) -> list[str]:
    return [f"{'.'.join(map(str, error['loc']))}: {what_is_wrong(error)}" for error in errors]


def _yaml_problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return "is not YAML; " + " ".join(str(error).split())
