"""JSON as others may have written or edited it: nothing that hides a mistake."""

import json
from collections.abc import Sequence
from typing import Any


def strict_json(data: bytes) -> Any:
    """What stands there. Raises RecursionError, or ValueError where it is no JSON or says something twice: which of
    both holds is anybody's guess."""
    return json.loads(data, object_pairs_hook=_named_once)


def _named_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"the key {key!r} stands twice in one object")
        content[key] = value
    return content
