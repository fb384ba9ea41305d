"""What a JSON file that others may have written says, each read as what it must be, or refused: single values, and the
parts of a report.json.

What is something else raises ValueError, or another error of DAMAGE.
"""

import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import shapely

from nodescan.domain.classification import CLASS_OF, CellCount, Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.domain.report import Asked, ModelIdentity, Provenance
from nodescan.domain.slide import BoundsUm, SlideInfo, SpacingSource
from nodescan.domain.units import Micrometers, MicronsPerPixel, Spacing, SquareMicrometers

_T = TypeVar("_T")

DAMAGE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    shapely.errors.ShapelyError,
)
"""What reading raises over values that nodescan doesn't write: of another kind, too large, nested without end."""

_MOST_WHOLE = 2**53
"""Up to here a float holds every whole number."""


_ROUNDING = 1e-6


def text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{reprlib.repr(value)} is no text")
    return value


def known(value: Any, read: Callable[[Any], _T]) -> _T | None:
    return None if value is None else read(value)


def finite(value: object) -> float:
    """A number of the file; JSON written elsewhere may hold text, NaN or infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{reprlib.repr(value)} is no number")
    return float(value)


def whole(value: object) -> int:
    number = finite(value)
    if number % 1 or abs(number) > _MOST_WHOLE:
        raise ValueError(f"{reprlib.repr(value)} is no whole number")
    return int(number)


def amount(value: object) -> float:
    number = finite(value)
    if number < 0:
        raise ValueError(f"{number:g} is less than nothing")
    return number


def fraction(value: object) -> float:
    """A share or a probability; a mean may be above 1 by rounding."""
    number = finite(value)
    if not 0 <= number <= 1 + _ROUNDING:
        raise ValueError(f"{number:g} is no fraction from 0 to 1")
    return number


def true_or_false(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{reprlib.repr(value)} is neither true nor false")
    return value


def spacing(sides: Sequence[object]) -> Spacing:
    """Of a slide's pixels or a map's cells: from a nanometre to a millimetre."""
    values = [finite(side) for side in sides]
    if any(value > 0 and not 1e-3 <= value <= 1e3 for value in values):
        raise ValueError(f"{values} is no pixel size")
    return Spacing(*map(MicronsPerPixel, values))


def point(pair: Sequence[object]) -> tuple[float, float]:
    x, y = pair
    return finite(x), finite(y)


def read_info(content: Mapping[str, Any]) -> SlideInfo:
    width_px, height_px = content["size_px"]
    bounds = content["bounds_um"]
    left, top, width, height = (Micrometers(finite(bounds[side])) for side in ("left", "top", "width", "height"))
    return SlideInfo(
        format=text(content["format"]),
        reader=text(content["reader"]),
        width_px=whole(width_px),
        height_px=whole(height_px),
        spacing=spacing(content["spacing_um"]),
        spacing_source=SpacingSource(content["spacing_source"]),
        bounds_um=BoundsUm(left, top, width, height),
    )


def read_model(content: Mapping[str, Any]) -> ModelIdentity:
    return ModelIdentity(
        name=text(content["name"]),
        architecture=text(content["architecture"]),
        weights_sha256=text(content["weights_sha256"]),
        threshold=fraction(content["threshold"]),
        card_sha256=text(content["card_sha256"]),
        found_from_um=known(content.get("found_from_um"), amount),
        smoothing_um=known(content.get("smoothing_um"), amount),
        seed_threshold=known(content.get("seed_threshold"), fraction),
        uncertainty_measured=true_or_false(content.get("uncertainty_measured", True)),
    )


def read_provenance(content: Mapping[str, Any]) -> Provenance:
    return Provenance(
        versions={name: text(version) for name, version in content["versions"].items()},
        config_sha256=text(content["config_sha256"]),
        slide_fingerprint=text(content["slide_fingerprint"]),
        device=text(content["device"]),
        precision=text(content["precision"]),
        started=text(content["started"]),
        seconds=finite(content["seconds"]),
        result_version=whole(content["result_version"]),
        asked=known(content["asked"], _asked),
    )


def _asked(content: Mapping[str, Any]) -> Asked:
    return Asked(
        slide_state=text(content["slide_state"]),
        mpp_um=known(content["mpp_um"], finite),
        override_mpp=true_or_false(content["override_mpp"]),
        max_unread_percent=finite(content["max_unread_percent"]),
        reports=tuple(text(name) for name in content["reports"]),
        slide_place=text(content["slide_place"]),
    )


def read_deposit(content: Mapping[str, Any]) -> Deposit:
    """Where its slide was not judged it is written without a class, and has that of its size and its cells here."""
    start, end = content["endpoints_um"]
    found = known(content["class"], CLASS_OF.__getitem__)
    deposit = Deposit(
        id=whole(content["id"]),
        diameter_um=Micrometers(amount(content["diameter_um"])),
        diameter_uncertainty_um=Micrometers(amount(content["diameter_uncertainty_um"])),
        endpoints_um=(point(start), point(end)),
        area_um2=SquareMicrometers(amount(content["area_um2"])),
        centre_um=point(content["centre_um"]),
        metastasis=Metastasis.ITC if found is None else found,
        outline=(),
        probability_mean=known(content["probability_mean"], fraction),
        probability_max=known(content["probability_max"], fraction),
        cells=_cells(content),
        cut_off=true_or_false(content["cut_off"]),
        piece=known(content.get("piece"), whole),
    )
    return deposit if found is not None else replace(deposit, metastasis=deposit.class_measured)


def _cells(content: Mapping[str, Any]) -> CellCount | None:
    number, uncertainty = known(content["cell_count"], whole), known(content["cell_count_uncertainty"], whole)
    return None if number is None else CellCount(number, uncertainty)
