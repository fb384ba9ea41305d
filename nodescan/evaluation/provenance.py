"""What an evaluation is of: when it was made, by which nodescan, of which results, against which reference, and what
its FROC counts."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nodescan import __version__
from nodescan.csv_rows import tables_in
from nodescan.domain.versions import RESULT_VERSION, VERSION_WORDS
from nodescan.errors import UsageError
from nodescan.evaluation.compare import Comparison
from nodescan.evaluation.froc import FrocMode
from nodescan.evaluation.lesions import OFFICIAL_SPACING_UM
from nodescan.evaluation.reference import Reference
from nodescan.given_files import given_sha256
from nodescan.reports.web_page import Fact
from nodescan.whole_files import Json

_OFFICIAL = "official: the organisers' algorithm, quirks included"


@dataclass(frozen=True, slots=True)
class Occasion:
    """at: in UTC. reference, scored: their names; reference_sha256: see reference_sha256(). Others: as asked for."""

    at: datetime
    reference: str
    reference_sha256: str
    scored: str
    as_submitted: bool = False
    mpp_um: float | None = None


def occasion_of(
    path: Path, reference: Reference, *, scored: Path, as_submitted: bool = False, mpp_um: float | None = None
) -> Occasion:
    """Now, with this reference, which was read from `path`. Raises UsageError where it can't be read again.

    scored: the folder of the results.
    """
    sha256 = reference_sha256(path, reference)
    return Occasion(datetime.now(UTC), reference.name, sha256, scored.resolve().name, as_submitted, mpp_um)


def reference_sha256(path: Path, reference: Reference) -> str:
    """Of a table its own; of a folder that of a line "<sha256>  <name>" for each of its files that counts, by name.

    So `sha256sum` prints these lines. Masks and outlines count, and the table beside them. Raises UsageError.
    """
    if not path.is_dir():
        return _sha256(path)
    shown = {slide.lesions.path for slide in reference.slides.values() if slide.lesions is not None}
    lines = [f"{_sha256(one)}  {one.name}\n" for one in sorted({*tables_in(path)} | shown, key=lambda one: one.name)]
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def occasion_as_json(occasion: Occasion) -> Json:
    """What evaluation.json says of it; "result_version" stands there already, that of the reports."""
    return {
        "reference": occasion.reference,
        "evaluated_at": occasion.at.isoformat(timespec="seconds"),
        "nodescan_version": __version__,
        "nodescan_result_version": RESULT_VERSION,
        "reference_sha256": occasion.reference_sha256,
        "as_submitted": occasion.as_submitted,
        "mpp_um": occasion.mpp_um,
    }


def occasion_facts(occasion: Occasion) -> tuple[Fact, ...]:
    """The same for the page."""
    return (
        Fact("Evaluated", occasion.at.isoformat(timespec="seconds"), f"by nodescan {VERSION_WORDS}"),
        Fact("Scored", occasion.scored, "its results as they were then"),
        Fact("Reference", occasion.reference, f"sha256 {occasion.reference_sha256}"),
    )


def _sha256(path: Path) -> str:
    try:
        return given_sha256(path)
    except OSError as error:
        raise UsageError(f"{path.name}: can't be read ({error.strerror or error}); check the disk") from error


def mode_words(comparison: Comparison, occasion: Occasion) -> str:
    """Which lesions count, where they are drawn, and over which slides the false positives are."""
    if comparison.mode is FrocMode.OFFICIAL:
        return f"{_OFFICIAL}; only slides that have a result" if occasion.as_submitted else _OFFICIAL
    spacing = _spacing_words(comparison, occasion)
    return (
        f"every slide: all lesions above 0.2 mm, drawn on cells of 32 px of level 0, {spacing}; false positives are "
        "over the slides with a result; without the quirks of the organisers' script"
    )


def _spacing_words(comparison: Comparison, occasion: Occasion) -> str:
    """By which pixel size lesions are joined and measured."""
    scored = [slide for slide in comparison.slides if slide.hits is not None and slide.reference.tumour]
    stated = {slide.report is not None and slide.report.info is not None for slide in scored}
    other = (
        f"an assumed {OFFICIAL_SPACING_UM:g} µm/px" if occasion.mpp_um is None else f"{occasion.mpp_um:g} µm/px (--mpp)"
    )
    if True not in stated:
        return f"at {other}"
    own = "at each slide's own pixel size"
    return f"{own}, or {other} where no report states one" if False in stated else own
