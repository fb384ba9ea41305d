"""Whether a run's evaluation is older than the run's reports: its figures are then of results that are gone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nodescan.domain.naming import few
from nodescan.domain.report import SlideReport
from nodescan.evaluation import EVALUATION
from nodescan.evaluation.evaluation_files import EVALUATION_HTML, EVALUATION_JSON
from nodescan.given_files import found_bytes
from nodescan.reports.wording import minute_words
from nodescan.strict_json import strict_json

_MOST_NAMES = 8


def outlived_words(folder: Path, reports: Sequence[SlideReport]) -> str:
    """That the evaluation in a run's folder is older than some of these reports, and which; "" where it isn't, or none
    is there."""
    at = _evaluated_at(folder / EVALUATION / EVALUATION_JSON)
    if at is None:
        return ""
    later = [report.slide.slide_id for report in reports if (made := _ended(report)) is not None and made > at]
    if not later:
        return ""
    slides = few(later, _MOST_NAMES)
    what = f"{EVALUATION}/{EVALUATION_HTML} was made {minute_words(at)}, before these slides were scanned: {slides}"
    return f"{what}. Run nodescan evaluate again."


def _evaluated_at(path: Path) -> datetime | None:
    """To the second; by the file's own time where it doesn't say when; None where there is none to be read."""
    try:
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(microsecond=0)
        content = strict_json(found_bytes(path))
    except (OSError, ValueError, RecursionError):
        return None
    said = content.get("evaluated_at") if isinstance(content, dict) else None
    return _time(said) or changed


def _ended(report: SlideReport) -> datetime | None:
    """When its scan ended, to the second, as an evaluation's time is."""
    made = report.provenance
    started = None if made is None else _time(made.started)
    if made is None or started is None:
        return None
    return (started + timedelta(seconds=made.seconds)).replace(microsecond=0)


def _time(said: object) -> datetime | None:
    """ISO 8601 with its offset; None where it is something else."""
    try:
        found = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None
    return None if found is None or found.tzinfo is None else found
