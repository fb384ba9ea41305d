"""The series a DICOM file belongs to, read from its header alone."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAGIC_OFFSET = 128
_SERIES_INSTANCE_UID = (0x0020, 0x000E)
_TRANSFER_SYNTAX_UID = (0x0002, 0x0010)
_IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_ITEM_GROUP = 0xFFFE
_SEQUENCE_END = 0xE0DD
_UNDEFINED = 0xFFFFFFFF
_LONG_VALUES = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
"""Value representations with a 4-byte length (DICOM PS3.5, 7.1.2)."""


@dataclass(frozen=True, slots=True)
class _Element:
    group: int
    number: int
    length: int


def is_dicom(path: Path) -> bool:
    """Whether the file carries DICOM's mark (PS3.10, 7.1). Raises OSError where it can't be read."""
    with path.open("rb") as stream:
        stream.seek(_MAGIC_OFFSET)
        return stream.read(4) == b"DICM"


def series_uid(path: Path) -> str | None:
    """SeriesInstanceUID, or None where the file isn't DICOM or its header can't be followed. Raises OSError."""
    if not is_dicom(path):
        return None
    with path.open("rb") as stream:
        stream.seek(_MAGIC_OFFSET + 4)
        try:
            return _find_series_uid(stream)
        except (struct.error, UnicodeDecodeError):  # the header ends early, or isn't one
            return None


def _find_series_uid(stream: BinaryIO) -> str | None:
    """Goes through the elements, which ascend by tag, and steps over what stands inside sequences."""
    implicit, depth = False, 0
    while True:
        element = _next_element(stream, implicit)
        tag = (element.group, element.number)
        if element.group == _ITEM_GROUP:
            if element.number == _SEQUENCE_END:
                depth -= 1
            elif element.length != _UNDEFINED:
                stream.seek(element.length, 1)
        elif element.length == _UNDEFINED:
            depth += 1
        elif depth == 0 and tag == _TRANSFER_SYNTAX_UID:
            syntax = _text(stream, element.length)
            if syntax in (_BIG_ENDIAN, _DEFLATED):
                return None
            implicit = syntax == _IMPLICIT_LITTLE_ENDIAN
        elif depth == 0 and tag == _SERIES_INSTANCE_UID:
            return _text(stream, element.length)
        elif depth == 0 and tag > _SERIES_INSTANCE_UID:
            return None
        else:
            stream.seek(element.length, 1)


def _next_element(stream: BinaryIO, implicit: bool) -> _Element:
    """The head of the next element; the stream then stands at its value. struct.error at the end of the file."""
    group, number = struct.unpack("<HH", stream.read(4))
    if group == _ITEM_GROUP or (implicit and group != 0x0002):
        (length,) = struct.unpack("<I", stream.read(4))
        return _Element(group, number, length)
    kind = stream.read(2)
    if kind in _LONG_VALUES:
        (length,) = struct.unpack("<2xI", stream.read(6))
    else:
        (length,) = struct.unpack("<H", stream.read(2))
    return _Element(group, number, length)


def _text(stream: BinaryIO, length: int) -> str:
    return stream.read(length).decode("ascii").strip("\0 ")
