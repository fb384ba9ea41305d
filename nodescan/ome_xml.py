"""The pixel size that an OME-TIFF states in its description."""

import math
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

_UM_PER_UNIT = {"nm": 0.001, "Å": 0.0001, "mm": 1000.0, "cm": 10_000.0, "m": 1e6}
_UM_PER_UNIT |= dict.fromkeys(("\u00b5m", "\u03bcm", "um"), 1.0)  # micro sign, Greek mu, and what programs write for it


def physical_size_um(description: bytes) -> tuple[float, float] | None:
    """PhysicalSizeX and Y of the first image, in um where no unit is named (OME schema 2016-06).

    None where the description is no OME-XML, or doesn't state both as lengths.
    """
    if b"OME" not in description:
        return None
    try:
        pixels = next(
            (node for node in fromstring(description, forbid_dtd=True).iter() if node.tag.split("}")[-1] == "Pixels"),
            None,
        )
        if pixels is None:
            return None
        x, y = (
            float(pixels.get(f"PhysicalSize{axis}", "nan"))
            * _UM_PER_UNIT[pixels.get(f"PhysicalSize{axis}Unit", "\u00b5m")]
            for axis in "XY"
        )
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None
    return (x, y) if math.isfinite(x * y) and min(x, y) > 0 else None
