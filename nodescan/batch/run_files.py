"""The files of a whole run, beside its slides' folders: summary.csv, run.json and summary.html."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from nodescan.batch.progress import Viewer
from nodescan.batch.record import RunRecord
from nodescan.batch.slide_task import RunTools, write_or_tell
from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.domain.versions import own_settings
from nodescan.patients.run_page import tell_patients
from nodescan.reports.csv_report import SUMMARY_CSV, SummaryTable
from nodescan.reports.other_reports import other_reports
from nodescan.reports.summary_page import RunFacts, write_summary_page


class RunFiles:
    """The files of the whole run, each written anew as more slides are done. done: slide_id -> report.

    All raise LockLostError where the folder is no longer this run's; what the disk refuses is told, and kept.
    """

    def __init__(
        self,
        refs: Sequence[SlideRef],
        tools: RunTools,
        viewer: Viewer,
        record: RunRecord,
        kept: Mapping[str, SlideReport],
    ) -> None:
        self.done = dict(kept)
        self._refs, self._record, self._kept, self._folder = refs, record, kept, tools.job.folder
        self._put = partial(put_or_tell, tools=tools, viewer=viewer)
        self._table = SummaryTable(tools.job.folder / SUMMARY_CSV, refs)
        self.others = other_reports(tools.job.folder, self._asked)
        own = own_settings(record.config.sha256)
        self._run = RunFacts(record.started, tools.predictor.model, frozenset(kept), own)
        self._why: dict[str, list[str]] = {"rows": [], "record": [], "page": []}

    @property
    def reports(self) -> tuple[SlideReport, ...]:
        """Those that are done, in the order asked for."""
        return in_order(self._refs, self.done)

    @property
    def unwritten(self) -> list[str]:
        """Why a file could not be written when it was written last."""
        return [why for file in self._why.values() for why in file]

    def put_rows(self) -> None:
        self._why["rows"] = self._put(lambda: self._table.write(self.reports))

    def put_record(self, state: str) -> None:
        self._why["record"] = self._put(lambda: self._record.write(state, self._asked, self.reports, kept=self._kept))

    def put_page(self) -> None:
        self._why["page"] = self._put(self._write_page)

    def _write_page(self) -> None:
        asked, others = len(self._refs), self.others
        write_summary_page(self.reports, self._folder, asked=asked, run=self._run, others=others)
        tell_patients(self._folder, just_written=True)

    @property
    def _asked(self) -> list[str]:
        return [ref.slide_id for ref in self._refs]


def put_or_tell(write: Callable[[], object], *, tools: RunTools, viewer: Viewer) -> list[str]:
    """`write_or_tell`, of a file of the whole run. Raises LockLostError where the folder is no longer this run's."""
    tools.job.may_write()
    return write_or_tell(write, viewer)


def in_order(refs: Sequence[SlideRef], done: Mapping[str, SlideReport]) -> tuple[SlideReport, ...]:
    """The reports of those that are done, in the order asked for."""
    return tuple(done[ref.slide_id] for ref in refs if ref.slide_id in done)
