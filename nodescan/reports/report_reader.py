"""Reads report.json back: what staging and evaluation need of a slide that was scanned before."""

import hashlib
import json
import reprlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nodescan.domain.classification import CLASS_OF
from nodescan.domain.flags import Flag
from nodescan.domain.naming import SAFE_NAME
from nodescan.domain.report import RESULT_VERSION, SlideReport, Status
from nodescan.domain.section import WholeReading
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Micrometers
from nodescan.domain.verdict import class_found
from nodescan.errors import UsageError
from nodescan.given_files import found_bytes
from nodescan.reports.json_report import REPORT_JSON, SCHEMA_VERSION, report_as_json
from nodescan.reports.json_values import (
    DAMAGE,
    amount,
    fraction,
    known,
    read_deposit,
    read_info,
    read_model,
    read_provenance,
    spacing,
    text,
    true_or_false,
    whole,
)
from nodescan.reports.made_with import MadeWith, made_with
from nodescan.strict_json import strict_json
from nodescan.whole_files import json_bytes

_USE_NEWER = "use the newer nodescan that made it"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReport(SlideReport):
    """One report.json, in `folder`. deposits: without their outlines, see geojson_report; no detections.

    slide: its id alone, unless the reader was told whose report it is. info: without warnings.
    unclassed_um: the largest deposit of which a review that gave the slide its class said nothing. before_review: the
    status of a slide that a review gave a class; None for any other. reading: of the whole slide by a reader, None
    where nobody told of one. accepted: ids of the deposits that a reader accepted, measured, gave a class or added.
    file_sha256: of report.json as it was read; "" where the report wasn't read from there.
    """

    folder: Path
    unclassed_um: Micrometers | None = None
    before_review: Status | None = None
    reading: WholeReading | None = None
    accepted: frozenset[int] = frozenset()
    file_sha256: str = ""

    @property
    def read_whole(self) -> bool:
        return self.reading is not None

    @property
    def slide_id(self) -> str:
        return self.slide.slide_id

    @property
    def made_with(self) -> MadeWith | None:
        """None where no network judged it."""
        return None if self.model is None else made_with(self.model, self.provenance)

    @property
    def found_from_um(self) -> float | None:
        """See ModelIdentity."""
        return None if self.model is None else self.model.found_from_um

    @property
    def place(self) -> str:
        """Of the file's path; "" where no run made the report."""
        made = self.provenance
        return "" if made is None or made.asked is None else made.asked.slide_place


class NewerReportError(UsageError):
    """A newer nodescan made the report: run again, an older one would put its own finding in its place."""


def check_folder(folder: Path) -> None:
    """Raises UsageError where there is no such folder."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; name the --out folder of a run")


def read_reports(folder: Path) -> tuple[StoredReport, ...]:
    """Every report of a run's folder, by slide_id. Raises UsageError where there is none, or one is not as written."""
    check_folder(folder)
    paths = [path for path in sorted(folder.glob(f"*/{REPORT_JSON}")) if path.parent.name[0] != "."]
    found = [ReportFile(path).as_written() for path in paths]
    if not found:
        raise UsageError(f"{folder}: holds no reports (<slide_id>/{REPORT_JSON}); name the --out folder of a run")
    by_id: dict[str, StoredReport] = {}
    for report in found:
        name, slide_id = report.folder.name, report.slide_id
        if name.casefold() != slide_id.casefold():  # a copy, or an older scan that was set aside
            raise UsageError(
                f"{folder / name}: holds the report of slide {slide_id!r}, so it was renamed or copied; name it "
                f"{slide_id} again, or move it out of {folder}"
            )
        other = by_id.setdefault(slide_id, report)
        if other is not report:
            raise UsageError(f"{name} and {other.folder.name}: both report slide {slide_id!r}; remove the copy")
    return tuple(found)


def read_report(path: Path) -> StoredReport:
    """The report at `path`. Raises UsageError, naming file and problem, where it isn't one of this schema."""
    return ReportFile(path).stored()


def content_of(path: Path) -> tuple[Mapping[str, Any], str]:
    """What stands in the file, and its sha256. Raises UsageError where it is no report of this schema version, and
    NewerReportError where it is one of a later."""
    name = f"{path.parent.name}/{path.name}"
    try:
        data = found_bytes(path)
        content = strict_json(data)
    except OSError as error:
        raise UsageError(f"{name}: can't be read ({error.strerror or error}); check the disk") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name}: is no JSON ({error}); run the slide again") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        found = f"is no report of schema version {SCHEMA_VERSION} (found {reprlib.repr(version)})"
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise NewerReportError(f"{name}: {found}; {_USE_NEWER}")
        raise UsageError(f"{name}: {found}; run the slide again")
    return content, hashlib.sha256(data).hexdigest()


class ReportFile:
    """One report.json, read once: what is asked of it piece by piece before it may stand for a new scan."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError where it is no report of this schema version."""
        self._folder, self._name = path.parent, f"{path.parent.name}/{path.name}"
        self._content, self._sha256 = content_of(path)

    @property
    def result_version(self) -> int:
        """The result version that it was made by; 0 where it names none."""
        provenance = self._content.get("provenance")
        version = provenance.get("result_version", 0) if isinstance(provenance, dict) else 0
        return version if isinstance(version, int) else 0

    def check_not_newer(self) -> None:
        """Raises NewerReportError where a newer nodescan made it."""
        if self.result_version > RESULT_VERSION:
            raise NewerReportError(f"{self._name}: {self._other_version()}; {_USE_NEWER}")

    def stored(self, slide: SlideRef | None = None) -> StoredReport:
        """What stands in it, of `slide` where that is known. Raises UsageError where it is damaged or of another."""
        try:
            report = replace(_report(self._folder, self._content, slide), file_sha256=self._sha256)
            if report.status is Status.COMPLETE:
                _check_seen(report)
                if self.result_version == RESULT_VERSION:
                    _check_concluded(report, self._content)
        except DAMAGE as error:
            raise self._damaged(error) from error
        return report

    def report_of(self, slide: SlideRef) -> StoredReport:
        """The report of `slide` as it was when it was written, without outlines and detections.

        Raises UsageError where it isn't whole: writing what was read must give the same file.
        """
        report = self.stored(slide)
        self._check_written(report, but={"files"})
        return report

    def as_written(self) -> StoredReport:
        """The report of a slide whose file isn't known, as it was when it was written, if this result version wrote it.

        Raises UsageError as report_of does. The messages of its flags are taken as they are: what is left out of them
        when they are written depends on where the file lies.
        """
        report = self.stored()
        if self.result_version == RESULT_VERSION:
            self._check_written(report, but={"files", "flags"})
        return report

    def _check_written(self, report: StoredReport, *, but: Set[str]) -> None:
        content = self._content
        try:
            same = report_as_json(report)
        except DAMAGE as error:
            raise self._damaged(error) from error
        wrong = sorted(key for key in (content.keys() | same.keys()) - but if content.get(key) != same.get(key))
        if wrong:
            raise UsageError(f"{self._name}: {', '.join(wrong)}: not as this version writes it; run the slide again")

    def files_beside(self) -> Mapping[str, int]:
        """Name -> bytes of what it says was written with it. Raises UsageError where it doesn't say."""
        found = self._content.get("files")
        if not isinstance(found, dict) or not all(isinstance(size, int) for size in found.values()):
            raise UsageError(f"{self._name}: files: is no list of sizes; run the slide again")
        return found

    def _damaged(self, error: Exception) -> UsageError:
        what = f"is damaged ({type(error).__name__}: {error})"
        if self.result_version not in (0, RESULT_VERSION):
            what = self._other_version()
        if self.result_version > RESULT_VERSION:
            return NewerReportError(f"{self._name}: {what}; {_USE_NEWER}")
        return UsageError(f"{self._name}: {what}; run the slide again")

    def _other_version(self) -> str:
        return f"was made by another version (result version {self.result_version}, now {RESULT_VERSION})"


def as_stored(report: SlideReport, folder: Path) -> StoredReport:
    """A report as reading it back from `folder` would give it, whether or not it was written."""
    return _report(folder, json.loads(json_bytes(report_as_json(report))))


def _report(folder: Path, content: Mapping[str, Any], slide: SlideRef | None = None) -> StoredReport:
    """What report_as_json wrote of a report. Raises ValueError and its kin on anything else."""
    slide_id = text(content["slide_id"])
    flags = tuple(Flag(text(flag["code"]), text(flag["message"])) for flag in content["flags"])
    if not SAFE_NAME.fullmatch(slide_id):  # files and links are named after it
        raise ValueError(f"no slide is called {slide_id!r} by nodescan")
    if slide is not None and slide.slide_id != slide_id:
        raise ValueError(f"it reports slide {slide_id!r}")
    return StoredReport(
        folder=folder,
        slide=slide or SlideRef(slide_id, Path(slide_id)),
        status=Status(content["status"]),
        metastasis=known(content["metastasis"], CLASS_OF.__getitem__),
        at_least=true_or_false(content["at_least"]),
        deposits=tuple(map(read_deposit, content["deposits"])),
        tumour_probability=known(content["tumour_probability"], fraction),
        tissue_area_mm2=known(content["tissue_area_mm2"], amount),
        examined_fraction=known(content["examined_fraction"], fraction),
        flags=flags,
        info=None if content["size_px"] is None else read_info(content),
        analysis_spacing=known(content["analysis_spacing_um"], spacing),
        model=known(content["model"], read_model),
        provenance=known(content["provenance"], read_provenance),
        unread_fraction=known(content["unread_fraction"], fraction),
        tissue_pieces=known(content.get("tissue_pieces"), whole),
    )


def _check_seen(report: StoredReport) -> None:
    """Raises ValueError where a slide was not seen as a complete one is: somebody edited its status.

    A scan concludes "complete" of tissue that was examined to the last cell alone, and that the network can judge.
    """
    seen = report.examined_fraction == 1 and (report.tissue_area_mm2 or 0) > 0 and not report.unread_fraction
    if not seen or report.model is None:
        raise ValueError("no slide that was examined so is complete")


def _check_concluded(report: StoredReport, content: Mapping[str, Any]) -> None:
    """Raises ValueError where class and sizes don't follow from one another: somebody edited them."""
    found = report.deposits
    by_size = [one.class_measured for one in found]
    follow = [one.metastasis for one in found], report.metastasis, content["largest_deposit_um"], content["n_foci"]
    if follow != (by_size, class_found(found), report.largest_deposit_um, report.known_foci):
        raise ValueError("class, sizes and number of foci don't fit; what a reader says belongs into --corrections")
