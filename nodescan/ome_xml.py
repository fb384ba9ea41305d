"""The pixel size that an OME-TIFF states in its description."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from nodescan.domain.slide import AS_FINE

_UM_PER_UNIT = {"nm": 0.001, "Å": 0.0001, "mm": 1000.0, "cm": 10_000.0, "m": 1e6}
_UM_PER_UNIT |= dict.fromkeys(("\u00b5m", "\u03bcm", "um"), 1.0)  # micro sign, Greek mu, and what programs write for it

_MOST_DIGITS = 9
"""The longest side of a picture; larger numbers are no sizes."""

_NO_SCANS = ("label", "macro", "overview", "thumbnail", "barcode")
"""Words in the names that Bio-Formats and others give to a scanner's further pictures."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """What is said of one picture. sides_px: (width, height), None where it doesn't state both as whole numbers.
    size_um: PhysicalSizeX and Y, in um where no unit is named (OME schema 2016-06), None where it doesn't state both
    as lengths."""

    sides_px: tuple[int, int] | None = None
    size_um: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """What a description says. pixels: in its order; images: the name of each with its first Pixels.

    elsewhere: see has_pixels_elsewhere.
    """

    pixels: tuple[Pixels, ...] = ()
    images: tuple[tuple[str, Pixels], ...] = ()
    elsewhere: bool = False


def pixels_of(description: bytes, picture_px: tuple[int, int] | None = None) -> Pixels:
    """The statements about the picture of this size; about the largest if none has it, or if picture_px is None.

    It needn't come first: a picture of the label may be described before it. Empty if the description is no OME-XML.
    """
    pixels = _told(description).pixels
    alike = [each for each in pixels if picture_px is not None and each.sides_px == picture_px]
    return max(alike or pixels, key=lambda each: math.prod(each.sides_px or (0,)), default=Pixels())


def scans_px(description: bytes) -> tuple[tuple[int, int], ...]:
    """(width, height) of the first image, and of each as fine as that, but for pictures of label and glass.

    Empty where it is no OME-XML, or doesn't state the first one's sides and pixel size.
    """
    images = _told(description).images
    first = images[0][1] if images else None
    if first is None or first.size_um is None or first.sides_px is None:
        return ()
    found = [first.sides_px]
    for name, pixels in images[1:]:
        if pixels.size_um is None or pixels.sides_px is None or any(word in name.lower() for word in _NO_SCANS):
            continue
        if max(pixels.size_um) < AS_FINE * max(first.size_um):
            found.append(pixels.sides_px)
    return tuple(found)


def has_pixels_elsewhere(description: bytes) -> bool:
    """Whether pixels of what it describes are in several files, or in none (OME schema: UUID, MetadataOnly)."""
    return _told(description).elsewhere


@lru_cache(maxsize=1)  # asked several times while a file is opened, and a long one takes a second
def _told(description: bytes) -> _Told:
    """Of what is no XML, or not to be read, that it says nothing."""
    if b"OME" not in description:
        return _Told()
    listener = _Listener()
    parser = DefusedXMLParser(target=listener, forbid_dtd=True)
    try:
        parser.feed(description)
        parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return _Told()
    return listener.told()


class _Listener:
    """A target for XMLParser that keeps only what is needed: a tree of all elements takes 50 times the XML's size."""

    def __init__(self) -> None:
        self._pixels: list[Pixels] = []
        self._images: list[tuple[str, Pixels]] = []
        self._open: list[str] = []
        self._files: set[str] = set()
        self._only_told = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """A name counts whatever its namespace."""
        name = tag.rpartition("}")[2]
        if name == "Pixels":
            said = Pixels(_sides_px(attributes), _size_um(attributes))
            self._pixels.append(said)
            self._images += [(image, said) for image in self._open]
            self._open = []
        elif name == "Image":
            self._open.append(attributes.get("Name", ""))
        elif name == "UUID" and "FileName" in attributes:
            self._files.add(attributes["FileName"])
        elif name == "MetadataOnly":
            self._only_told = True

    def end(self, tag: str) -> None:
        if self._open and tag.rpartition("}")[2] == "Image":
            self._open.pop()

    def told(self) -> _Told:
        return _Told(tuple(self._pixels), tuple(self._images), len(self._files) > 1 or self._only_told)


def _sides_px(pixels: Mapping[str, str]) -> tuple[int, int] | None:
    sides = [pixels.get(f"Size{axis}", "") for axis in "XY"]
    if not all(side.isdecimal() and len(side) <= _MOST_DIGITS for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def _size_um(pixels: Mapping[str, str]) -> tuple[float, float] | None:
    try:
        x, y = (
            float(pixels.get(f"PhysicalSize{axis}", "nan"))
            * _UM_PER_UNIT[pixels.get(f"PhysicalSize{axis}Unit", "\u00b5m")]
            for axis in "XY"
        )
    except (ValueError, LookupError):
        return None
    return (x, y) if math.isfinite(x * y) and min(x, y) > 0 else None
