"""Groups and classes of outlines as other tools name them, and what each makes of an outline."""

from collections.abc import Mapping
from enum import Enum, auto

from nodescan.domain.classification import Metastasis


class Role(Enum):
    """What an outline's group makes of it."""

    TUMOUR = auto()
    EXCLUDED = auto()
    IGNORED = auto()


ROLES: Mapping[str, Role] = {
    # CAMELYON16: _0 and _1 (older copies: Tumor) are tumour, _2 (Exclusion) is cut out, None is ignored
    "_0": Role.TUMOUR,
    "_1": Role.TUMOUR,
    "_2": Role.EXCLUDED,
    "exclusion": Role.EXCLUDED,
    "none": Role.IGNORED,
    # CAMELYON17: metastases or tumor, and normal
    "metastases": Role.TUMOUR,
    "tumor": Role.TUMOUR,
    "normal": Role.EXCLUDED,
    # QuPath's own classes, those of nodescan's deposits.geojson, which come back corrected, and their short names
    "tumour": Role.TUMOUR,
    "metastasis": Role.TUMOUR,
    "isolated tumour cells": Role.TUMOUR,
    "isolated tumor cells": Role.TUMOUR,
    "micrometastasis": Role.TUMOUR,
    "macrometastasis": Role.TUMOUR,
    "itc": Role.TUMOUR,
    "micro": Role.TUMOUR,
    "macro": Role.TUMOUR,
    "not judged": Role.TUMOUR,  # what the network marked on a slide that it can't judge
    "ignore": Role.IGNORED,
    "ignore*": Role.IGNORED,
}
"""Group or class name, in small letters, to its role; any other name is refused: a wrong guess is a wrong size."""


CLASSES: Mapping[str, Metastasis] = {
    "isolated tumour cells": Metastasis.ITC,
    "isolated tumor cells": Metastasis.ITC,
    "itc": Metastasis.ITC,
    "micrometastasis": Metastasis.MICRO,
    "micro": Metastasis.MICRO,
    "macrometastasis": Metastasis.MACRO,
    "macro": Metastasis.MACRO,
}
"""Those of the names that say which class the tumour has."""


def known_names() -> str:
    """All of them, in words."""
    said = {Role.TUMOUR: "is tumour", Role.EXCLUDED: "is cut out of it", Role.IGNORED: "is left out"}
    return "; ".join(
        f"{', '.join(sorted(name for name in ROLES if ROLES[name] is role))} {words}" for role, words in said.items()
    )
