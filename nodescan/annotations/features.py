"""What an outline says of itself beside its shape: group or class, kind of object, plane, and objects inside it."""

import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import cast

from nodescan.domain.classification import Metastasis
from nodescan.domain.naming import how_many
from nodescan.errors import AnnotationError


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


_ANNOTATION, _ROOT = "annotation", "root"  # the root holds a file's objects, and has no outline
_KINDS = {
    "annotation": _ANNOTATION,
    "pathannotationobject": _ANNOTATION,
    "root": _ROOT,
    "pathrootobject": _ROOT,
    "cell": "cell",
    "pathcellobject": "cell",
    "detection": "detection",
    "pathdetectionobject": "detection",
    "tile": "tile",
    "pathtileobject": "tile",
    "tmacore": "TMA core",
    "tma_core": "TMA core",
    "tmacoreobject": "TMA core",
}
"""QuPath's kinds of objects, in small letters: objectType since 0.4, object_type in 0.3, ...object as id in 0.2."""

_CHILDREN = ("childObjects", "children")
"""Where QuPath writes, and looks for, the objects inside an object."""

_CLASS, _SAYS_NOTHING = "classification", "none"
"""QuPath's property for the class, written so, and the name that stands for no class or group."""

_OTHER_CLASSES = frozenset(
    {"annotation_type", "category", "class", "class_name", "classification", "classname", "label", "partofgroup"}
    | {"term", "terms", "type"}
)
"""Properties that other programs say a class in, in small letters."""

_OF_GEOJSON = frozenset({"bbox", "geometry", "id", "properties", "type"})
"""A feature's own members, by RFC 7946; all others are foreign ones."""

_SHAPES = frozenset({"area", "ellipse", "feature", "freehand", "multipolygon", "polygon", "rectangle", "spline"})
"""What else `type` tells, in small letters."""


def class_of(path: Path, name: str, feature: Mapping[str, object]) -> str | None:
    """The class that QuPath gave a feature, None where unset.

    It is an object with a name, the name itself, or, of a derived class as "Stroma: Positive", an object with names.
    name: of the feature, in errors. Raises AnnotationError where it names nothing, or where another property says the
    class instead, or says another one.
    """
    found = _properties(feature).get(_CLASS)
    said = _class_name(found)
    if said is None and found is not None:
        raise AnnotationError(
            f"{path.name}: {name} has a classification that names no class: {reprlib.repr(found)}; give it a class, "
            "such as Tumor"
        )
    for key, value in _beside_class(feature):
        named = (_class_name(value) or "").casefold()
        if said is not None:
            if key.casefold() in _OTHER_CLASSES and _contradict(said.casefold(), named):
                raise AnnotationError(
                    f"{path.name}: {name} is {said!r} by its classification, but says {key!r} "
                    f"({reprlib.repr(value)}); correct one of them, or delete its {key!r}"
                )
            continue
        excluded = ROLES.get(named) in (Role.EXCLUDED, Role.IGNORED)  # by any name: no deposit is there
        if not excluded and (key.casefold() not in _OTHER_CLASSES or value in (None, "", [], {})):
            continue
        if key == "type" and (_KINDS.get(named) == _ANNOTATION or named in _SHAPES):  # QuPath takes it for objectType
            continue
        raise AnnotationError(
            f"{path.name}: {name} says its class as {key!r} ({reprlib.repr(value)}), not as QuPath's classification; "
            f"write it as classification, or, if it is tumour, delete its {key!r}"
        )
    return said


def _beside_class(feature: Mapping[str, object]) -> list[tuple[str, object]]:
    """All that a feature says but for QuPath's class: foreign members first, then properties."""
    members = [(key, value) for key, value in feature.items() if key not in _OF_GEOJSON]
    return members + [(key, value) for key, value in _properties(feature).items() if key != _CLASS]


def _contradict(one: str, other: str) -> bool:
    """Whether two classes, in small letters, can't both hold of an outline. A name that isn't known says nothing."""
    if other == _SAYS_NOTHING or one not in ROLES or other not in ROLES:
        return False
    return ROLES[one] is not ROLES[other] or len({CLASSES[name] for name in (one, other) if name in CLASSES}) > 1


def refuse_children(path: Path, name: str, feature: Mapping[str, object]) -> None:
    """Raises AnnotationError where a feature has others inside it. name: of the feature, in errors."""
    for holder in (_properties(feature), feature):
        for key in _CHILDREN:
            if holder.get(key):
                raise AnnotationError(
                    f"{path.name}: {name} has other objects inside it ({key!r}), which are not read; export each "
                    "object as a feature of its own (in QuPath, without the hierarchy)"
                )


def check_all(path: Path, features: Sequence[object]) -> tuple[str, ...]:
    """Notes on a file's features. Raises AnnotationError where some that are not to be ignored are no annotations, or
    lie in several planes: together they would make deposits that aren't there."""
    counted = [cast("dict[str, object]", one) for one in features if isinstance(one, dict)]
    counted = [one for one in counted if not _is_ignored(one)]
    kinds = Counter(kind for kind in map(_kind, counted) if kind not in (None, _ANNOTATION, _ROOT))
    if kinds:
        found = ", ".join(how_many(count, str(kind)) for kind, count in kinds.items())
        raise AnnotationError(
            f"{path.name}: holds {found}, and only annotations are outlines of tumour, or of what is cut out of it; "
            "export the annotations alone (in QuPath, select them and export the selected objects)"
        )
    planes = sorted({_plane(one) for one in counted})
    if len(planes) > 1:
        raise AnnotationError(
            f"{path.name}: its outlines lie in {len(planes)} planes ({'; '.join(planes)}), and would be measured as "
            "one; export those of one plane alone"
        )
    return tuple(
        f"the outlines lie in the plane {plane}, not in the first; measured as if there were no other"
        for plane in planes
        if plane != _plane({})
    )


def _properties(feature: Mapping[str, object]) -> Mapping[str, object]:
    found = feature.get("properties")
    return cast("Mapping[str, object]", found) if isinstance(found, dict) else {}


def _class_name(found: object) -> str | None:
    name = (found.get("names") or found.get("name")) if isinstance(found, dict) else found
    if isinstance(name, list):
        name = ": ".join(map(str, cast("list[object]", name)))
    return None if name is None or name == "" else str(name)


def _is_ignored(feature: Mapping[str, object]) -> bool:
    name = _class_name(_properties(feature).get(_CLASS))
    return name is not None and ROLES.get(name.casefold()) is Role.IGNORED


def _kind(feature: Mapping[str, object]) -> str | None:
    """What kind of object QuPath calls it, None where it doesn't say. A kind that isn't known is none of outlines."""
    properties = _properties(feature)
    said = properties.get("objectType") or properties.get("object_type")
    if said:
        return _KINDS.get(str(said).casefold()) or f"{reprlib.repr(said)} object"
    alias, legacy = str(properties.get("type")).casefold(), str(feature.get("id")).casefold()
    return _KINDS.get(alias) or (_KINDS.get(legacy) if legacy.endswith("object") else None)


def _plane(feature: Mapping[str, object]) -> str:
    """The plane of a stack that it was drawn in, in words: QuPath leaves the first one out, or calls it 0."""
    geometry = feature.get("geometry")
    plane = geometry.get("plane") if isinstance(geometry, dict) else None
    z, t = (plane.get(axis) or 0 if isinstance(plane, dict) else 0 for axis in "zt")
    return f"z {reprlib.repr(z)}, t {reprlib.repr(t)}"
