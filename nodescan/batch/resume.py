"""Which slides need no second scan: those whose report is whole and was made from the same files and settings."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from nodescan.batch.slide_folders import EARLIER_REPORTS, mark_of
from nodescan.batch.slide_task import RunTools, asked_of
from nodescan.domain.naming import few
from nodescan.domain.report import RESULT_VERSION, Asked, ModelIdentity, Provenance, SlideReport
from nodescan.domain.slide import SlideRef, SpacingSource
from nodescan.errors import UnmeasurableError, UsageError
from nodescan.reports import ALWAYS, FILES, OLDER_JSON
from nodescan.reports.geojson_report import DEPOSITS_GEOJSON
from nodescan.reports.json_report import REPORT_JSON
from nodescan.reports.report_reader import NewerReportError, ReportFile, StoredReport, read_report
from nodescan.slides.files import fingerprint_here, state_of
from nodescan.slides.spacing import choose_spacing
from nodescan.slides.stated_spacing import FileSpacing

_ONLY_TIME = (
    "its file has another time or name now, but the same size and samples of its bytes (if it was copied without its "
    "time, copy that too, as with cp -p or rsync -t, and the report is kept)"
)
"""A file that was written anew in the same size looks so, too, if it differs between the samples."""

MOST_NAMED = 5
"""Slides beside one message on a terminal."""

_TOGETHER_S = 2.0
"""The files of a slide are written within so many seconds: two at a time, and some disks keep even seconds alone."""


@dataclass(slots=True)
class ResumeOutcome:
    """The slides of a run. kept: slide_id -> report of those that are done; redone: (slide_id, why) of the others
    that have a report; unseen: those kept whose files can't be looked at now, as of a disk that is away; lost:
    (slide_id, why) of those that are to be redone, and can't be for that reason; edited: those that are to be redone,
    whose outlines somebody changed; contradicted: those kept whose pixel size isn't the one given; given_before: those
    kept, each with its pixel size, that was given then and isn't now; hidden: those kept whose report.json a run put
    aside that was stopped before it reached them."""

    kept: dict[str, SlideReport] = field(default_factory=dict)
    redone: list[tuple[str, str]] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    contradicted: list[str] = field(default_factory=list)
    given_before: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    @property
    def replaced(self) -> tuple[tuple[str, str], ...]:
        """(slide_id, why) of all whose report a new one replaces."""
        return (*self.redone, *self.lost)


class _Redo(Exception):
    """Its text says why. found: the fingerprint of a slide that has other bytes now."""

    def __init__(self, why: str, *, found: str = "") -> None:
        super().__init__(why)
        self.found = found


def plan_resume(refs: Sequence[SlideRef], tools: RunTools) -> ResumeOutcome:
    """Which slides have a report that this run would make again the same, and why the others are redone.

    Complete and incomplete reports are kept, those of files that aren't there now, too: they would be lost for nothing.
    A slide that failed or could not be measured is tried again. Raises UsageError where one of them is of another file
    of the same name, whose result would be lost, or was made by a newer nodescan.
    """
    folder, found = tools.job.folder, ResumeOutcome()
    newer: dict[str, NewerReportError] = {}
    had = cache(partial(_slides_by_bytes, folder))
    for ref in refs:
        path = mark_of(folder / ref.slide_id)
        if not path.parent.is_dir():
            continue
        try:
            report, seen = _kept(ref, path, tools)
        except NewerReportError as error:
            newer[ref.slide_id] = error
            continue
        except _Redo as redo:
            made, why = _whole_report(path), str(redo) + (_bytes_of(had().get(redo.found)) if redo.found else "")
            _check_same_slide(ref, path, made, had)
            if _would_be_lost(ref, path, made):
                found.lost.append((ref.slide_id, why))
                continue
            found.redone.append((ref.slide_id, why))
            if _outlines_edited(path):
                found.edited.append(ref.slide_id)
            continue
        found.kept[ref.slide_id] = report
        if path.name == OLDER_JSON:
            found.hidden.append(ref.slide_id)
        if not seen:
            found.unseen.append(ref.slide_id)
        if _is_contradicted(ref, report):
            found.contradicted.append(ref.slide_id)
        if _is_given_before(ref, report):
            assert report.info is not None
            found.given_before.append(f"{ref.slide_id} {report.info.spacing.mean:g} um")
    if newer:
        raise UsageError(_newer_words(newer, of=len(refs)))
    return found


def plan_forced(refs: Sequence[SlideRef], folder: Path) -> ResumeOutcome:
    """Every slide is redone; the result of one that isn't there now would be lost."""
    made = [(ref, mark_of(folder / ref.slide_id)) for ref in refs]
    lost = [ref.slide_id for ref, path in made if _would_be_lost(ref, path, _whole_report(path))]
    others = [(ref.slide_id, path) for ref, path in made if ref.slide_id not in lost]
    redone = [(slide_id, "--force") for slide_id, path in others if path.is_file()]
    edited = [slide_id for slide_id, path in others if _outlines_edited(path)]
    return ResumeOutcome(redone=redone, lost=[(slide_id, "--force") for slide_id in lost], edited=edited)


def finished_unheard(refs: Sequence[SlideRef], folder: Path) -> dict[str, SlideReport]:
    """slide_id -> report of those that a worker finished in `folder`, but couldn't tell of any more."""
    found: dict[str, SlideReport] = {}
    for ref in refs:
        with suppress(UsageError):  # it wasn't finished
            found[ref.slide_id] = ReportFile(folder / ref.slide_id / REPORT_JSON).report_of(ref)
    return found


def _whole_report(path: Path) -> StoredReport | None:
    """The report at `path`, None where there is none, or one that isn't whole."""
    with suppress(UsageError):
        return read_report(path)
    return None


def _slides_by_bytes(folder: Path) -> Mapping[str, str]:
    """Fingerprint -> slide_id, of all reports in `folder`."""
    reports = filter(None, (_whole_report(mark_of(place)) for place in sorted(folder.iterdir())))
    return {report.fingerprint: report.slide_id for report in reports if report.fingerprint}


def _bytes_of(slide_id: str | None) -> str:
    """What to add of a file that has the bytes of another slide's report; "" of one that has not."""
    return "" if slide_id is None else f"; the file now has the bytes that {slide_id} had"


def _check_same_slide(
    ref: SlideRef, path: Path, made: StoredReport | None, had: Callable[[], Mapping[str, str]]
) -> None:
    """Raises UsageError where the report at `path` has a result of another file than the slide, or may have.

    The same bytes elsewhere are the same slide, moved; other bytes in the same place are that slide, written anew. Of a
    file elsewhere that can't be read nobody can tell. had: see _slides_by_bytes.
    """
    if made is None or made.status.without_result or not (made.place and ref.place) or made.place == ref.place:
        return
    found = fingerprint_here(ref.path)
    if found is None:
        raise UsageError(
            f"{ref.path}: not there now, or can't be read, so nobody can tell whether {path.parent}, the report of a "
            "file in another folder, is of this slide; mount its disk, correct the path or choose another --out"
        )
    if found != made.fingerprint:
        raise UsageError(
            f"{ref.path}: {path.parent} holds the report of another file with this name, which would be replaced"
            f"{_bytes_of(had().get(found))}; choose another --out, or add --force to replace the report, which "
            f"is then kept in {EARLIER_REPORTS}"
        )


def _would_be_lost(ref: SlideRef, path: Path, made: StoredReport | None) -> bool:
    """Whether the report at `path` has a result, or can't be read, and its slide isn't there to make another."""
    has_result = path.is_file() if made is None else not made.status.without_result
    return has_result and not state_of(ref.path)


def _outlines_edited(path: Path) -> bool:
    """Whether deposits.geojson beside the report at `path` isn't the one that was written with it: of another size, or
    changed after all that was. A run that was stopped leaves no report.json, which would tell sizes."""
    outlines = path.with_name(DEPOSITS_GEOJSON)
    with suppress(OSError):
        found = outlines.stat()
        with suppress(UsageError):
            written = ReportFile(path).files_beside().get(DEPOSITS_GEOJSON)
            if found.st_size != written:
                return written is not None
        others = [path.with_name(name) for name in FILES - {DEPOSITS_GEOJSON}]
        written_at = max((one.stat().st_mtime for one in others if one.is_file()), default=found.st_mtime)
        return found.st_mtime > written_at + _TOGETHER_S
    return False


def _kept(ref: SlideRef, path: Path, tools: RunTools) -> tuple[SlideReport, bool]:
    """The slide's report, and whether its files are there. Raises _Redo where it can't stand for a new scan, and
    NewerReportError where that would replace a newer nodescan's."""
    if not path.is_file():
        raise _Redo("its report was not finished, or report.json was deleted")
    try:
        file = ReportFile(path)
        file.check_not_newer()
        version = file.result_version
        if version != RESULT_VERSION:
            raise _Redo(f"nodescan gives other results now (result version {version}, now {RESULT_VERSION})")
        report, beside = file.report_of(ref), file.files_beside()
    except NewerReportError:
        raise
    except UsageError as error:
        raise _Redo(f"its report is not whole ({str(error).removesuffix('; run the slide again')})") from None
    if report.status.without_result:
        raise _Redo(f"it was {report.status.value}: tried again")
    made = report.provenance
    if made is None or made.asked is None:
        raise _Redo("its report does not say what it was made from")
    seen = _compare_inputs(ref, report, made, tools)
    if report.model != tools.predictor.model:
        raise _Redo(_model_change(report.model, tools.predictor.model))
    _compare_files(path.parent, beside)
    return report, seen


def _compare_inputs(ref: SlideRef, report: SlideReport, made: Provenance, tools: RunTools) -> bool:
    """Whether the slide's files can be looked at. Raises _Redo where they, or what is asked for, differ from then."""
    assert made.asked is not None
    then, now = made.asked, asked_of(ref, tools.job)
    if made.config_sha256 != tools.config.sha256:
        raise _Redo("the settings changed since (--config)")
    found = fingerprint_here(ref.path) if now.slide_state else None
    away = found is None and now.slide_state in ("", then.slide_state) and now.slide_place == then.slide_place
    if not away and found != made.slide_fingerprint:
        raise _Redo("the slide file changed since", found=found or "")
    if not away and now.slide_state != then.slide_state:
        raise _Redo(_ONLY_TIME)
    if tools.request.manifest is not None and _is_given_before(ref, report):  # it was taken back on purpose
        raise _Redo("its pixel size is not given any more (the manifest's mpp)")
    if not _is_measured_alike(ref, report, then):
        raise _Redo("another pixel size is given (--mpp)")
    if now.max_unread_percent != then.max_unread_percent:
        raise _Redo(f"--max-unread was {then.max_unread_percent:g}, is {now.max_unread_percent:g}")
    if tools.job.precision == "float32" and not made.precision.startswith(
        "float32"
    ):  # "float32 (why)" is float32 throughout, too
        raise _Redo(f"it was made in {made.precision}, and --precision is float32")
    missing = [name for name in now.reports if name not in (*then.reports, *ALWAYS)]
    if missing:
        raise _Redo(f"it has no {', '.join(missing)} report")
    return found is not None


def _is_measured_alike(ref: SlideRef, report: SlideReport, then: Asked) -> bool:
    """Whether what is given for the slide now gives the spacing of its report, or none: that isn't worth a result.

    Such as a --mpp for others, which this one's file contradicts.
    """
    if (ref.mpp_um, ref.override_mpp) == (then.mpp_um, then.override_mpp):
        return True
    info = report.info
    if info is None:
        return False
    if info.spacing_source is SpacingSource.USER:
        return ref.mpp_um in (None, then.mpp_um)
    if info.spacing_source is SpacingSource.OVERRIDE:
        return False
    stated = FileSpacing(info.spacing.x, info.spacing.y, info.spacing_source)
    return _is_contradicted(ref, report) or choose_spacing(stated, ref).source == stated.source


def _is_given_before(ref: SlideRef, report: SlideReport) -> bool:
    """Whether the report is measured with a given pixel size, and none is given now."""
    return ref.mpp_um is None and report.info is not None and report.info.spacing_source is SpacingSource.USER


def _newer_words(newer: Mapping[str, NewerReportError], *, of: int) -> str:
    """Of slides whose reports a newer nodescan made, slide_id -> error, among all `of` slides: how many, and what to do
    so that the others aren't scanned again."""
    many = len(newer) > 1
    count = f"{len(newer)} of {of} slides have newer reports ({few([*newer], MOST_NAMED)}); " if many else ""
    alone = f"scan only {'these slides' if many else 'this slide'} with --force"
    force = "add --force" if len(newer) == of else alone
    kept = f"to replace what it found (which is then kept in {EARLIER_REPORTS})"
    return f"{count}{next(iter(newer.values()))}, choose another --out, or {force} {kept}"


def _is_contradicted(ref: SlideRef, report: SlideReport) -> bool:
    """Whether the file of a report, measured with its own pixel size, refuses what is given for the slide now."""
    info = report.info
    if info is None or ref.mpp_um is None or info.spacing_source.given:
        return False
    try:
        choose_spacing(FileSpacing(info.spacing.x, info.spacing.y, info.spacing_source), ref)
    except UnmeasurableError:
        return True
    return False


def _compare_files(folder: Path, beside: Mapping[str, int]) -> None:
    for name, size in beside.items():
        try:
            found = (folder / name).stat().st_size
        except (OSError, ValueError):  # no file can have such a name
            raise _Redo(f"{name} is missing") from None
        if found != size:
            raise _Redo(f"{name} is not whole ({found} of {size} bytes)")


def _model_change(then: ModelIdentity | None, now: ModelIdentity) -> str:
    if then is not None and then.weights_sha256 == now.weights_sha256:
        return "the model's card changed since"
    return "another model was used" if then is None or then.name != now.name else "the model's weights changed since"
