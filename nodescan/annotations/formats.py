"""Which format a file of outlines is in, by the ending of its name."""

from pathlib import Path

ASAP_XML, GEOJSON = "ASAP XML", "GeoJSON"

_OF_SUFFIX = {".xml": ASAP_XML, ".geojson": GEOJSON, ".json": GEOJSON}


def outline_format(path: Path) -> str | None:
    """None where it holds no outlines that are read."""
    return _OF_SUFFIX.get(path.suffix.lower())
