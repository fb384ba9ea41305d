"""Lengths as they are printed: in mm, so that no rounding contradicts a class, with the uncertainty beside; and areas
and shares in a sentence."""

from nodescan.domain.classification import classify
from nodescan.domain.units import Micrometers


def millimetres(length_um: float) -> str:
    """The length in mm with two decimals (three below 0.1 mm), or more if rounding would change its class.

    0.2004 mm is a micrometastasis, and printed as 0.20 mm it would contradict its class.
    """
    decimals = 2 if length_um >= 100 else 3
    if length_um <= 0:
        return f"{length_um / 1000:.{decimals}f}"
    wanted = classify(Micrometers(length_um))
    for places in range(decimals, 16):
        text = f"{length_um / 1000:.{places}f}"
        if float(text) > 0 and classify(Micrometers(float(text) * 1000)) is wanted:
            return text
    return repr(length_um / 1000)


def size_in_mm(length_um: float, uncertainty_um: float | None) -> str:
    """Size and uncertainty with as many decimals, e.g. "2.62 ± 0.05 mm", "0.400 ± 0.003 mm"; None: the size alone."""
    size = millimetres(length_um)
    if uncertainty_um is None:
        return f"{size} mm"
    uncertainty = _uncertainty(uncertainty_um, size)
    places = len(uncertainty.partition(".")[2])
    if places > len(size.partition(".")[2]):
        size = f"{length_um / 1000:.{places}f}"
    return f"{size} ± {uncertainty} mm"


def two_digits(value: float) -> str:
    """A number of 0 or more in a sentence, to two digits and never as a power of ten: 0.95, 12, 100, 1234."""
    return f"{value:.2g}" if value < 99.5 else f"{value:.0f}"


def told_apart(first_um: float, second_um: float) -> tuple[str, str]:
    """Two lengths in mm with two decimals, or more if they would look equal or like 0."""
    first, second, places = "", "", 1
    while places < 15 and (first == second or (second_um > 0 and float(second) == 0)):
        places += 1
        first, second = (f"{length_um / 1000:.{places}f}" for length_um in (first_um, second_um))
    return first, second


def _uncertainty(uncertainty_um: float, size: str) -> str:
    """The uncertainty with as many decimals as the size, or more if it would look like 0."""
    length = uncertainty_um / 1000
    if length <= 0:
        return "0"
    places = len(size.partition(".")[2])
    text = f"{length:.{places}f}"
    while float(text) == 0 and places < 15:
        places += 1
        text = f"{length:.{places}f}"
    return text
