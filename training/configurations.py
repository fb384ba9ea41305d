"""YAML files that somebody wrote by hand: training configurations, and the plan of an ablation."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from nodescan.errors import ConfigError
from nodescan.given_files import given_bytes


def read_yaml(path: Path) -> Any:
    """What a YAML file holds. Raises ConfigError, naming the file, where it can't be read or isn't YAML."""
    text = configuration_text(path)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML ({' '.join(str(error).split())})") from error


def configuration_text(path: Path) -> str:
    """The text of a file in UTF-8. Raises ConfigError, naming the file, where it can't be read as that."""
    try:
        return given_bytes(path).decode()
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not text in UTF-8 ({error}); save it in that encoding") from error


def configurations_of(arguments: list[str]) -> list[str]:
    """What a command line of Lightning's names as configurations."""
    return [
        value if word == "--config" else word.removeprefix("--config=")
        for word, value in pairwise([*arguments, ""])
        if word.partition("=")[0] == "--config"
    ]
