"""What a user asks a batch to do, and which options can't be combined."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nodescan.batch.limits import MAX_UNREAD_PERCENT, STALL_MINUTES
from nodescan.batch.record import RUN_JSON, RUN_LOG
from nodescan.batch.slide_folders import check_slide_folder
from nodescan.domain.slide import SlideRef
from nodescan.errors import UsageError
from nodescan.overwrite_checks import begins_with, check_inputs, check_ours
from nodescan.patients.patient_files import check_stages_place
from nodescan.reports import CHOICES
from nodescan.reports.csv_report import SUMMARY_COLUMNS, SUMMARY_CSV
from nodescan.reports.summary_page import SUMMARY_HTML
from nodescan.slides.discovery import SUFFIXES
from nodescan.slides.files import companions
from nodescan.whole_files import refuse_link

PRECISIONS = ("auto", "float32")


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What the user asked for. inputs: files, folders or globs, none where a manifest names the slides.

    config, model: None for the packed ones. mpp_um: spacing at level 0 for slides without one. reports: of CHOICES.
    command: the words as typed. slots: slides at a time, each in a process of its own; 0 for one after another in
    this process, None for one slot, or one for each GPU. stall_minutes: a slide without progress for so long is failed.
    precision: "auto", or "float32" for the reference throughout; findings are the same.
    force: scan also what has a whole report. max_unread_percent: of the tissue; a slide with more unread is failed.
    copy_to: a local folder that slides are copied to ahead of use. scheduler: the address of a Dask scheduler, whose
    workers scan.
    """

    inputs: tuple[str, ...]
    folder: Path
    manifest: Path | None = None
    config: Path | None = None
    model: str | None = None
    device: str = "auto"
    mpp_um: float | None = None
    override_mpp: bool = False
    reports: tuple[str, ...] = CHOICES
    command: tuple[str, ...] = ()
    slots: int | None = None
    stall_minutes: float = STALL_MINUTES
    precision: str = "auto"
    force: bool = False
    max_unread_percent: float = MAX_UNREAD_PERCENT
    copy_to: Path | None = None
    scheduler: str | None = None

    @property
    def go_on(self) -> str:
        """What to do where the run was stopped."""
        without = " without --force" if self.force else ""
        return f"the same command{without} goes on from there, and finished slides are kept"


def check_request(request: BatchRequest) -> None:
    """Raises UsageError for a limit that is none, and where options contradict each other: a cluster's and what only
    this machine can do, say."""
    if not 0 < request.stall_minutes < float("inf"):
        raise UsageError(f"--stall-minutes: must be a number of min above 0, not {request.stall_minutes:g}")
    if not 0 <= request.max_unread_percent <= 100:
        raise UsageError(f"--max-unread: must be a percentage from 0 to 100, not {request.max_unread_percent:g}")
    if request.slots is not None and request.slots < 0:
        raise UsageError(f"--slots: must be 0 or more, not {request.slots}")
    if request.precision not in PRECISIONS:
        raise UsageError(f"--precision: must be {' or '.join(PRECISIONS)}, not {request.precision!r}")
    if request.scheduler is not None and request.slots is not None:
        raise UsageError("--slots: applies to this machine; on a cluster, use the --nthreads of its workers")
    if request.scheduler is not None and request.copy_to is not None:
        raise UsageError("--stage: copies to a disk of this machine, which a cluster can't see; leave it out")


_TABLES, _LIST, _HEAD_BYTES = (".csv", ".tsv"), ".txt", 4096


def check_no_table(refs: Sequence[SlideRef]) -> None:
    """Raises UsageError where only tables or lists are named as slides: none of what they list would be scanned.

    Beside other slides each fails in its own row, as does what is called a table and isn't text.
    """
    tables = [ref.path for ref in refs if _is_table(ref.path)]
    if tables and len(tables) == len(refs):
        raise UsageError(
            f"{tables[0]}: is a text file, not a slide; give a table of slides with --manifest (nodescan manifest "
            "--template prints its columns)"
        )


def _is_table(path: Path) -> bool:
    """Whether it is a text that is called a table, or whose first line is the name of a slide file, quoted or not."""
    suffix = path.suffix.lower()
    if suffix not in (*_TABLES, _LIST) or not path.is_file():  # a pipe may have no writer
        return False
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return False
    encoding = "utf-16" if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "latin-1"
    text = head.decode(encoding, errors="replace")
    first = text.strip().partition("\n")[0].strip(" \t\r\"'")
    return bool(first) and "\0" not in text and (suffix in _TABLES or Path(first).suffix.lower() in SUFFIXES)


_HEADS = {
    SUMMARY_CSV: ",".join(SUMMARY_COLUMNS[:4]),
    RUN_JSON: '{\n  "record_version": ',
    SUMMARY_HTML: '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" ',
}
"""How the files begin that a run writes over."""


def check_apart(request: BatchRequest, refs: Sequence[SlideRef], *, staged: bool) -> None:
    """Raises UsageError where what the run reads, or what nodescan didn't write, would be written over.

    As a manifest that is called patients.csv in the output folder, the files of an .mrxs in the folder of its
    report, or a user's own folder that is called as a slide. Raises OutputError where a folder to write into is a
    link. Nothing is written before. staged: whether the run makes stages.
    """
    folder = request.folder
    read = (("--manifest", request.manifest), ("--config", request.config))
    check_inputs(read, (folder / name for name in (SUMMARY_CSV, SUMMARY_HTML, RUN_JSON, RUN_LOG)))
    check_stages_place(folder, read, written=staged)
    for name, head in _HEADS.items():
        check_ours(folder / name, head)
    of_a_run = begins_with(folder / RUN_JSON, _HEADS[RUN_JSON]) is True
    for ref in refs:
        refuse_link(folder / ref.slide_id)
        place = (folder / ref.slide_id).resolve()
        with suppress(OSError):  # a slide that can't be looked at fails in its own row
            if place.is_dir() and any(file.resolve().parent == place for file in companions(ref.path)):
                raise UsageError(f"{folder}: {ref.slide_id} in it holds the slide's own files; choose another --out")
        check_slide_folder(place, of_a_run=of_a_run)
