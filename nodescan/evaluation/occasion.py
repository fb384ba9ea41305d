"""When an evaluation was made, by which nodescan, and of which reference."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nodescan import __version__
from nodescan.domain.versions import RESULT_VERSION, VERSION_WORDS
from nodescan.errors import UsageError
from nodescan.evaluation.reference import Reference
from nodescan.given_files import given_sha256
from nodescan.reports.web_page import Fact
from nodescan.whole_files import Json


@dataclass(frozen=True, slots=True)
class Occasion:
    """at: in UTC. reference_sha256: see reference_sha256()."""

    at: datetime
    reference_sha256: str


def occasion_of(path: Path, reference: Reference) -> Occasion:
    """Now, with this reference, which was read from `path`. Raises UsageError where it can't be read again."""
    return Occasion(datetime.now(UTC), reference_sha256(path, reference))


def reference_sha256(path: Path, reference: Reference) -> str:
    """Of a table its own; of a folder that of a line "<sha256>  <name>" for each of its files that counts, by name.

    So `sha256sum` prints these lines. Masks and outlines count, and the table beside them. Raises UsageError.
    """
    if not path.is_dir():
        return _sha256(path)
    tables = {one for one in path.iterdir() if one.suffix.lower() == ".csv" and one.name[0] != "."}
    shown = {slide.lesions.path for slide in reference.slides.values() if slide.lesions is not None}
    lines = [f"{_sha256(one)}  {one.name}\n" for one in sorted(tables | shown, key=lambda one: one.name)]
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def occasion_as_json(occasion: Occasion | None) -> Json:
    """What evaluation.json says of it; "result_version" stands there already, that of the reports."""
    return {
        "evaluated_at": None if occasion is None else occasion.at.isoformat(timespec="seconds"),
        "nodescan_version": __version__,
        "nodescan_result_version": RESULT_VERSION,
        "reference_sha256": None if occasion is None else occasion.reference_sha256,
    }


def occasion_facts(occasion: Occasion | None, reference: str) -> tuple[Fact, ...]:
    """The same for the page. reference: its name."""
    if occasion is None:
        return (Fact("Evaluated by", f"nodescan {VERSION_WORDS}"),)
    return (
        Fact("Evaluated", occasion.at.isoformat(timespec="seconds"), f"by nodescan {VERSION_WORDS}"),
        Fact("Reference", reference, f"sha256 {occasion.reference_sha256}"),
    )


def _sha256(path: Path) -> str:
    try:
        return given_sha256(path)
    except OSError as error:
        raise UsageError(f"{path.name}: can't be read ({error.strerror or error}); check the disk") from error
