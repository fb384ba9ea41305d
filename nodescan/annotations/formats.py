"""Which format a file of outlines is in: by the ending of its name, or of a pipe by how it begins."""

from pathlib import Path

from nodescan.given_files import given_bytes, pipe_at

ASAP_XML, GEOJSON = "ASAP XML", "GeoJSON"

_OF_SUFFIX = {".xml": ASAP_XML, ".geojson": GEOJSON, ".json": GEOJSON}

_OF_START = {b"<": ASAP_XML, b"{": GEOJSON, b"[": GEOJSON}
"""No picture file begins with one of these."""

_BEFORE = b" \t\r\n\0\xef\xbb\xbf\xfe\xff"
"""Blanks, and the byte order marks of UTF-8 and UTF-16."""


def outline_format(path: Path) -> str | None:
    """None where it holds no outlines that are read, and where it can't be looked at.

    What a shell makes of <(...) has no ending, so its first sign tells.
    """
    if path.suffix:
        return _OF_SUFFIX.get(path.suffix.lower())
    try:
        start = given_bytes(path).lstrip(_BEFORE)[:1] if pipe_at(path) else b""
    except OSError:
        return None
    return _OF_START.get(start)
