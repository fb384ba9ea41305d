"""What is to be known of an index as a whole before it is learned from, each in one line."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from nodescan.domain.naming import few, how_many
from training.slides.index import INDEX_FILE, IndexRow


def remarks(rows: Sequence[IndexRow], folder: Path) -> list[str]:
    """Of slides of the index in `folder`: how many have warnings, and which are one slide under several ids."""
    said = []
    if warned := [row.slide_id for row in rows if row.notes]:
        said.append(
            f"{folder}: of {how_many(len(rows), 'slide')} {len(warned)} {'has' if len(warned) == 1 else 'have'} "
            f"warnings ({few(warned, 3)}); prepare says them again, and they stand in {INDEX_FILE}, column notes"
        )
    of_content = defaultdict[str, list[str]](list)
    for row in rows:
        of_content[row.fingerprint].append(row.slide_id)
    said += [
        f"{folder}: {few(ids, 3)} are one slide, which counts {len(ids)} times; list all but one of these ids in the "
        "manifest as excluded, and run prepare again"
        for ids in of_content.values()
        if len(ids) > 1
    ]
    return said
