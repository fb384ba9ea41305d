"""Whether a .json file is GeoJSON at all: reports and records of runs have that ending, too."""

import json
from pathlib import Path


def holds_geojson(path: Path) -> bool:
    """Whether the file is a FeatureCollection, a feature, or a list of features; not whether it can be read in full."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):  # not there for us, not JSON, not text, or nested without end
        return False
    features = document if isinstance(document, list) else [document]
    kinds = [feature.get("type") if isinstance(feature, dict) else None for feature in features]
    return kinds == ["FeatureCollection"] or (bool(kinds) and all(kind == "Feature" for kind in kinds))
