"""Matched lesions, classed by their sizes."""

from collections.abc import Sequence
from typing import Any

from nodescan.domain.classification import classify
from nodescan.domain.deposits import Deposit
from nodescan.domain.units import Micrometers
from nodescan.evaluation.lesion_files import planted_deposits
from nodescan.evaluation.pairing import LesionMatch


def lesion(true_um: float, measured_um: float | None = None, **more: Any) -> LesionMatch:
    """One of slide s, missed unless it was measured; more: further fields of LesionMatch."""
    found = None if measured_um is None else classify(Micrometers(measured_um))
    return LesionMatch("s", true_um, classify(Micrometers(true_um)), measured_um, found, **more)


def planted(*discs: tuple[Sequence[float], float]) -> tuple[Deposit, ...]:
    """Known deposits that are discs: centre (x, y) and diameter of each, in um."""
    return planted_deposits([{"centre_um": centre, "diameter_um": diameter} for centre, diameter in discs])
