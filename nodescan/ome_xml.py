"""The pixel size that an OME-TIFF states in its description."""

import math
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from nodescan.domain.slide import AS_FINE

_UM_PER_UNIT = {"nm": 0.001, "Å": 0.0001, "mm": 1000.0, "cm": 10_000.0, "m": 1e6}
_UM_PER_UNIT |= dict.fromkeys(("\u00b5m", "\u03bcm", "um"), 1.0)  # micro sign, Greek mu, and what programs write for it

_MOST_DIGITS = 9
"""Of a picture's side: larger ones are no picture's."""

_NO_SCANS = ("label", "macro", "overview", "thumbnail", "barcode")
"""Words in the names that Bio-Formats and others give to a scanner's further pictures."""


def physical_size_um(description: bytes, picture_px: tuple[int, int] | None = None) -> tuple[float, float] | None:
    """PhysicalSizeX and Y of the picture of that size, in um where no unit is named (OME schema 2016-06).

    None where the description is no OME-XML, or doesn't state both as lengths.
    """
    pixels = _described(description, picture_px)
    return None if pixels is None else _size_um(pixels)


def size_px(description: bytes, picture_px: tuple[int, int] | None = None) -> tuple[int, int] | None:
    """(width, height) that it gives the same picture; None where it is no OME-XML, or doesn't state both."""
    pixels = _described(description, picture_px)
    return None if pixels is None else _sides_px(pixels)


def scans_px(description: bytes) -> tuple[tuple[int, int], ...]:
    """(width, height) of the first image, and of each as fine as that, but for pictures of label and glass.

    Empty where it is no OME-XML, or doesn't state the first one's sides and pixel size.
    """
    images = [
        (image, pixels) for image in _named(_root(description), "Image") for pixels in _named(image, "Pixels")[:1]
    ]
    first = _size_um(images[0][1]) if images else None
    first_px = _sides_px(images[0][1]) if images else None
    if first is None or first_px is None:
        return ()
    found = [first_px]
    for image, pixels in images[1:]:
        own, sides, name = _size_um(pixels), _sides_px(pixels), image.get("Name", "").lower()
        if own is None or sides is None or any(word in name for word in _NO_SCANS):
            continue
        if max(own) < AS_FINE * max(first):
            found.append(sides)
    return tuple(found)


def has_pixels_elsewhere(description: bytes) -> bool:
    """Whether pixels of what it describes are in several files, or in none (OME schema: UUID, MetadataOnly)."""
    root = _root(description)
    files = {uuid.get("FileName") for uuid in _named(root, "UUID")} - {None}
    return len(files) > 1 or bool(_named(root, "MetadataOnly"))


def _described(description: bytes, picture_px: tuple[int, int] | None) -> Element | None:
    """What is said of the picture of that size, wherever it stands; of the largest where none is of it, or not known.

    A picture of the label may be described first.
    """
    pixels = _named(_root(description), "Pixels")
    alike = [each for each in pixels if picture_px is not None and _sides_px(each) == picture_px]
    return max(alike or pixels, key=lambda each: math.prod(_sides_px(each) or (0,)), default=None)


def _root(description: bytes) -> Element | None:
    """None where the description is no XML, or not to be read."""
    if b"OME" not in description:
        return None
    try:
        return fromstring(description, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None


def _named(root: Element | None, name: str) -> list[Element]:
    """The elements below of that name, whatever their namespace."""
    return [] if root is None else [node for node in root.iter() if node.tag.split("}")[-1] == name]


def _sides_px(pixels: Element) -> tuple[int, int] | None:
    sides = [pixels.get(f"Size{axis}", "") for axis in "XY"]
    if not all(side.isdecimal() and len(side) <= _MOST_DIGITS for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def _size_um(pixels: Element) -> tuple[float, float] | None:
    try:
        x, y = (
            float(pixels.get(f"PhysicalSize{axis}", "nan"))
            * _UM_PER_UNIT[pixels.get(f"PhysicalSize{axis}Unit", "\u00b5m")]
            for axis in "XY"
        )
    except (ValueError, LookupError):
        return None
    return (x, y) if math.isfinite(x * y) and min(x, y) > 0 else None
