"""Copies slides from a slow disk to a local one, one slide ahead of use, and removes them afterwards."""

import os
import queue
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from threading import Event, Lock, Thread
from types import TracebackType

from nodescan.batch.copy_folder import check_room, copy_folder_errors, own_folder, remove_leftovers
from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.errors import SlideError
from nodescan.slides.diagnosis import check_readable
from nodescan.slides.files import files_of_slide, state_of
from nodescan.threads import thread_errors

_CHUNK_BYTES = 8 * 1024 * 1024
_POLL_S, _LEAVING_S = 0.5, 10.0
Scan = Callable[[SlideRef], SlideReport]
Tell = Callable[[str], None]


class _NotCopiedError(Exception):
    """Why a slide is read where it lies; its text goes to the user."""


@dataclass(slots=True)
class _Copy:
    """A slide's copy: its folder, and the index file in it once it is whole. unwanted: nobody waits for it any more."""

    path: Path
    folder: Path
    made: Future[Path] = field(default_factory=Future)
    unwanted: Event = field(default_factory=Event)


class LocalCopies:
    """Copies of slides in a folder of this run's own. Safe to call from several threads.

    own: that folder. tell: called with one line for each slide that is read from its own place, because there is too
    little room or the copy failed. stall_s: the longest wait for a copy that makes no progress, because a disk that
    hangs may block it for ever.
    """

    def __init__(self, refs: Sequence[SlideRef], folder: Path, tell: Tell, *, stall_s: float) -> None:
        """The own folder is made inside `folder`, and what dead runs left in there is removed; `refs`: in the order in
        which they will be asked for. Raises OutputError where nothing can be written."""
        with copy_folder_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder)
            self.own, self._lock_fd = own_folder(folder)
        self._waiting = {ref.slide_id: ref for ref in refs}  # those whose copies were not begun
        self._tell, self._stall_s = tell, stall_s
        self._copies: dict[str, _Copy] = {}
        self._lock, self._stop = Lock(), Event()
        self._begun: queue.SimpleQueue[_Copy | None] = queue.SimpleQueue()
        self._copier: Thread | None = None
        self._steps, self._stuck_at = 0, -1

    def __enter__(self) -> "LocalCopies":
        # Not of a pool: Python waits for those when it ends, and this one may hang in a read.
        self._copier = Thread(target=self._copy_on, name="copy", daemon=True)
        with thread_errors():
            self._copier.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()
        self._begun.put(None)
        if self._copier is not None:
            self._copier.join(0 if self._stuck_at == self._steps else _LEAVING_S)
        os.close(self._lock_fd)  # first: Windows removes no open file
        shutil.rmtree(self.own, ignore_errors=True)  # another run may have begun to

    def scan(self, ref: SlideRef, scan: Scan) -> SlideReport:
        """Scan the copy of a slide while the next one is copied; the report is of the slide itself.

        A copy has the names, the bytes and the times of the original, and so its fingerprint. Raises what `scan`
        raises, and CancelledError once copying was stopped.
        """
        copy = self._taken(ref)
        try:
            try:
                path = self._awaited(copy)
            except _NotCopiedError as why:
                self._tell(f"{ref.path.name}: read where it lies, not copied: {why}")
                return scan(ref)
            return replace(scan(replace(ref, path=path)), slide=ref)
        finally:
            copy.unwanted.set()
            shutil.rmtree(copy.folder, ignore_errors=True)

    def stop(self) -> None:
        """Copy no more; whoever waits for a copy gets CancelledError."""
        self._stop.set()

    def _taken(self, ref: SlideRef) -> _Copy:
        """The slide's copy, begun now if it wasn't ahead of time; that of the next slide is begun behind it."""
        with self._lock:
            self._waiting.pop(ref.slide_id, None)
            copy = self._copies.pop(ref.slide_id, None) or self._begin(ref)
            if self._waiting and not self._copies:
                following = self._waiting.pop(next(iter(self._waiting)))
                self._copies[following.slide_id] = self._begin(following)
        return copy

    def _begin(self, ref: SlideRef) -> _Copy:
        copy = _Copy(ref.path, self.own / token_hex(6))
        self._begun.put(copy)
        return copy

    def _awaited(self, copy: _Copy) -> Path:
        """The index file of the copy. Raises _NotCopiedError where there is none, CancelledError once stopped."""
        steps, silent_s = self._steps, 0.0
        while copy.made.done() or self._stuck_at != self._steps:
            try:
                return copy.made.result(timeout=min(_POLL_S, self._stall_s))
            except NotYet:
                if self._stop.is_set():
                    raise CancelledError from None
            silent_s = silent_s + _POLL_S if steps == self._steps else 0.0
            steps = self._steps
            if silent_s >= self._stall_s:
                self._stuck_at = steps
        raise _NotCopiedError(f"copying got no further for {self._stall_s / 60:g} min")

    def _copy_on(self) -> None:
        """Make what was begun, one after another; runs in a thread of its own."""
        while (copy := self._begun.get()) is not None:
            self._steps += 1
            self._make(copy)

    def _make(self, copy: _Copy) -> None:
        try:
            copy.made.set_result(self._copied(copy))
        except (_NotCopiedError, CancelledError) as error:
            copy.made.set_exception(error)
        except Exception as error:  # a defect in the program may cost a copy, never the thread that makes the others
            told = _NotCopiedError(f"a defect in nodescan ({type(error).__name__}: {error}); please report it")
            told.__cause__ = error
            copy.made.set_exception(told)

    def _copied(self, copy: _Copy) -> Path:
        """The index file of the copy, whole and checked. Raises _NotCopiedError, with nothing left behind."""
        path, folder, whole = copy.path, copy.folder, False
        try:
            self._go_on(copy)
            check_readable(path)
            files = files_of_slide(path)
            check_room(sum(file.stat().st_size for file in files), self.own)
            for file in files:
                self._copy_file(copy, file, folder / file.relative_to(path.parent))
            if state_of(folder / path.name) != state_of(path):  # one of several files, after it was copied
                raise OSError(f"{path.name} was changed while it was copied")
            whole = True
        except SlideError as error:
            raise _NotCopiedError(error.reason) from error
        except (OSError, ValueError) as error:
            raise _NotCopiedError(getattr(error, "strerror", None) or str(error)) from error
        finally:
            if not whole:
                shutil.rmtree(folder, ignore_errors=True)
        return folder / path.name

    def _go_on(self, copy: _Copy) -> None:
        """Raises CancelledError where nobody wants the copy any more; else counts as a step."""
        if self._stop.is_set() or copy.unwanted.is_set():
            raise CancelledError
        self._steps += 1

    def _copy_file(self, copy: _Copy, source: Path, target: Path) -> None:
        """Bytes and times of one file; what changes while it is copied is not taken."""
        self._go_on(copy)
        target.parent.mkdir(parents=True, exist_ok=True)
        before = source.stat()
        with source.open("rb") as read, target.open("xb") as written:
            while chunk := read.read(_CHUNK_BYTES):
                self._go_on(copy)
                written.write(chunk)
        _take_times(source, target)
        after, state = source.stat(), target.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise OSError(f"{source.name} was changed while it was copied")
        if state.st_size != before.st_size:
            raise OSError(f"the copy of {source.name} has {state.st_size:,} bytes, not {before.st_size:,}")
        if state.st_mtime_ns != before.st_mtime_ns:  # the next run would take the slide for another
            raise OSError("the disk of the copies keeps coarser times of files")


def _take_times(source: Path, target: Path) -> None:
    """The times alone: permissions that are others', or a mark that the file is locked, would be in the copy's way."""
    state = source.stat()
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
