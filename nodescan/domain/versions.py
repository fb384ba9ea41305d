"""Versions of this program and its settings. Imports no library, so that a broken installation can name them."""

from nodescan import __version__

RESULT_VERSION = 34
"""Counted up with every set of changes that CHANGELOG.md marks Result-changing: reports of another number are made
again. `__version__` ends in the same number: pip takes two wheels of one version for the same program."""

RELEASED_SETTINGS_SHA256 = "21cb5c99500786fc3054904a25225a0ca1f4ad663e6293dda8305289429c1692"
"""Of the values in configs/scan.yaml, as config.config_sha256 reckons it: the packaged file may have been edited."""

VERSION_WORDS = f"{__version__}, result version {RESULT_VERSION}"
"""Of this program, for a reader."""


def own_settings(config_sha256: str, result_version: int = RESULT_VERSION) -> str:
    """The sha256 of settings that are not the released ones; "" where they are, and where nothing is stated.

    The settings released with other result versions aren't known here, so the answer for these is "".
    """
    known = result_version == RESULT_VERSION and config_sha256 != RELEASED_SETTINGS_SHA256
    return config_sha256 if known else ""
