"""The files of a whole run, beside its slides' folders: summary.csv, run.json and summary.html."""

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from nodescan.batch.record import RunRecord
from nodescan.batch.slide_task import RunTools
from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.domain.versions import own_settings
from nodescan.errors import NoRoomLeftError, OutputError
from nodescan.patients.run_page import tell_patients
from nodescan.reports.csv_report import SUMMARY_CSV, SummaryTable
from nodescan.reports.other_reports import other_reports
from nodescan.reports.summary_page import RunFacts, write_summary_page
from nodescan.whole_files import part_path, remove_once_closed, write_beside

MOST_UNWRITTEN = 5
"""After so many slides in a row whose result couldn't be written, the run's own folder is tried."""

_PROBE_BYTES = 8 * 2**20
"""More than the reports of most slides take: on a disk with less room, small files alone can be written."""


class RunFiles:
    """The files of the whole run, each written anew as more slides are done. done: slide_id -> report.

    All raise LockLostError where the folder is no longer this run's; what the disk refuses is kept, and told once until
    that changes.
    """

    def __init__(
        self, refs: Sequence[SlideRef], tools: RunTools, record: RunRecord, kept: Mapping[str, SlideReport]
    ) -> None:
        self.done = dict(kept)
        self._refs, self._record = refs, record
        self._folder, self._put = tools.job.folder, tools.put
        self._table = SummaryTable(tools.job.folder / SUMMARY_CSV, refs)
        self.others = other_reports(tools.job.folder, record.asked)
        own = own_settings(record.config.sha256)
        self._run = RunFacts(record.started, tools.predictor.model, record.kept, own)
        self._why: dict[str, list[str]] = {"rows": [], "record": [], "page": []}
        self._request, self._unkept = tools.request, 0

    @property
    def reports(self) -> tuple[SlideReport, ...]:
        """Those that are done, in the order asked for."""
        return in_order(self._refs, self.done)

    @property
    def unwritten(self) -> list[str]:
        """Why a file could not be written when it was written last."""
        return [why for file in self._why.values() for why in file]

    def add(self, report: SlideReport) -> None:
        """Put a slide that was scanned now into its row. Raises NoRoomLeftError where no result of MOST_UNWRITTEN in a
        row could be written, the run's folder takes none either, and others wait: they would be scanned for nothing."""
        self.done[report.slide.slide_id] = report
        self.put_rows()
        unkept = any(flag.code == OutputError.code for flag in report.flags)
        self._unkept = self._unkept + 1 if unkept else 0
        if self._unkept < MOST_UNWRITTEN or len(self.done) == len(self._refs):
            return
        try:
            _try_room(self._folder)
        except OutputError as error:
            words = f"{_stop_words(error)}; {self._request.go_on}"
            raise NoRoomLeftError(f"{self._folder}: {words}") from error

    def put_rows(self) -> None:
        self._put_file("rows", lambda: self._table.write(self.reports))

    def put_record(self, state: str) -> None:
        self._put_file("record", lambda: self._record.write(state, self.reports))

    def put_page(self) -> None:
        self._put_file("page", self._write_page)

    def _put_file(self, file: str, write: Callable[[], object]) -> None:
        self._why[file] = self._put(write, told=self._why[file])

    def _write_page(self) -> None:
        asked, others = len(self._refs), self.others
        write_summary_page(self.reports, self._folder, asked=asked, run=self._run, others=others)
        tell_patients(self._folder, just_written=True)


def _try_room(folder: Path) -> None:
    """Raises OutputError where the folder takes no file as large as a slide's reports.

    The folders of some slides alone may be another user's: those behind them can still be written.
    """
    probe = part_path(folder / "room")  # named so that the next run clears away what this one can't
    write_beside(probe, os.urandom(_PROBE_BYTES))  # a disk that compresses has room for zeros
    with suppress(OSError, OutputError):
        remove_once_closed(probe)


def _stop_words(error: OutputError) -> str:
    """Why the run stopped, and what makes its folder take results again. error: what `_try_room` raised."""
    cause = error.__cause__
    assert isinstance(cause, OSError)  # write_beside makes its OutputErrors of these alone
    remedy = "free some space" if cause.errno in (errno.ENOSPC, errno.EDQUOT) else "make this folder writable"
    said = f"no result of {MOST_UNWRITTEN} slides in a row could be written ({cause.strerror or cause})"
    return f"{said}, so the run stopped; {remedy}"


def in_order(refs: Sequence[SlideRef], done: Mapping[str, SlideReport]) -> tuple[SlideReport, ...]:
    """The reports of those that are done, in the order asked for."""
    return tuple(done[ref.slide_id] for ref in refs if ref.slide_id in done)
