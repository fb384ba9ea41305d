"""Slides from a slow place, copied whole to a local disk one ahead of use, and removed after it."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from threading import Event, Lock
from types import TracebackType

from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.errors import OutputError
from nodescan.slides.files import files_of_slide

if sys.platform == "win32":

    def _take_lock(descriptor: int) -> None:
        """Nothing is needed: without advisory locks nothing is taken for a dead run's either."""

else:
    import fcntl

    def _take_lock(descriptor: int) -> None:
        """Raises OSError where another process holds it."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


LEFT_FREE_BYTES = 1_000_000_000
"""The disk is others' too: a copy never takes its last gigabyte."""

LOCK_FILE = "lock"
"""Held for as long as the run lives: the system lets go of it however the run ends."""

_CHUNK_BYTES = 8 * 1024 * 1024
_OWN_FOLDER = re.compile(r"\.nodescan-copies-\d+-[0-9a-f]{12}")
"""Hidden, so that copies inside a folder of slides are never taken for slides; the process is named for people."""

Scan = Callable[[SlideRef], SlideReport]
Tell = Callable[[str], None]


class _NotCopiedError(Exception):
    """Why a slide is read where it lies; its text goes to the user."""


@dataclass(slots=True)
class _Copy:
    """A slide's copy: its folder, and the index file in it once it is whole."""

    folder: Path
    made: Future[Path]


@dataclass(slots=True)
class LocalCopies:
    """Copies of slides in a folder of this run's own. Safe to call from several threads.

    waiting: the slides no copy was begun of, by id, in the order in which they will be asked for. tell: hears, on one
    line, of a slide that is read where it lies, because there is too little room or the copy went wrong.
    """

    waiting: dict[str, SlideRef]
    own: Path
    lock_fd: int
    tell: Tell
    _copies: dict[str, _Copy] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _stop: Event = field(default_factory=Event)
    _copier: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="copy"))

    def __enter__(self) -> "LocalCopies":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()
        self._copier.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self.own, ignore_errors=True)
        os.close(self.lock_fd)

    def scan(self, ref: SlideRef, scan: Scan) -> SlideReport:
        """Scan the copy of a slide while the next one is copied; the report is of the slide itself.

        A copy has the names, the bytes and the times of the original, and so its fingerprint. Raises what `scan`
        raises, and CancelledError once copying was stopped.
        """
        copy = self._taken(ref)
        try:
            try:
                path = copy.made.result()
            except _NotCopiedError as why:
                self.tell(f"{ref.path.name}: read where it lies, not copied: {why}")
                return scan(ref)
            return replace(scan(replace(ref, path=path)), slide=ref)
        finally:
            shutil.rmtree(copy.folder, ignore_errors=True)

    def stop(self) -> None:
        """Copy no more; whoever waits for a copy gets CancelledError."""
        self._stop.set()

    @contextmanager
    def stopped_after(self) -> Iterator[None]:
        """Stop copying where the block is left, before anything is removed: scans may still be ending."""
        try:
            yield
        finally:
            self.stop()

    def _taken(self, ref: SlideRef) -> _Copy:
        """The slide's copy, begun now if it wasn't ahead of time; that of the next slide is begun behind it."""
        with self._lock:
            self.waiting.pop(ref.slide_id, None)
            copy = self._copies.pop(ref.slide_id, None) or self._begun(ref)
            if self.waiting and not self._copies:
                following = self.waiting.pop(next(iter(self.waiting)))
                self._copies[following.slide_id] = self._begun(following)
        return copy

    def _begun(self, ref: SlideRef) -> _Copy:
        folder = self.own / token_hex(6)
        return _Copy(folder, self._copier.submit(self._copied, ref.path, folder))

    def _copied(self, path: Path, folder: Path) -> Path:
        """The index file of the copy, whole and checked. Raises _NotCopiedError, with nothing left behind."""
        whole = False
        try:
            files = files_of_slide(path)
            _check_room(sum(file.stat().st_size for file in files), self.own)
            for file in files:
                self._copy_file(file, folder / file.relative_to(path.parent))
            whole = True
        except (OSError, ValueError) as error:
            raise _NotCopiedError(getattr(error, "strerror", None) or str(error)) from error
        finally:
            if not whole:
                shutil.rmtree(folder, ignore_errors=True)
        return folder / path.name

    def _copy_file(self, source: Path, target: Path) -> None:
        """Bytes and times of one file; what changes while it is copied is not taken."""
        target.parent.mkdir(parents=True, exist_ok=True)
        before = source.stat()
        with source.open("rb") as read, target.open("xb") as written:
            while chunk := read.read(_CHUNK_BYTES):
                if self._stop.is_set():
                    raise CancelledError
                written.write(chunk)
        shutil.copystat(source, target)
        after = source.stat()
        size = target.stat().st_size
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise OSError(f"{source.name} was changed while it was copied")
        if size != before.st_size:
            raise OSError(f"the copy of {source.name} has {size:,} bytes, not {before.st_size:,}")


class InPlace:
    """The same door where nothing is copied."""

    def __enter__(self) -> "InPlace":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        pass

    def scan(self, ref: SlideRef, scan: Scan) -> SlideReport:
        return scan(ref)

    def stopped_after(self) -> AbstractContextManager[None]:
        return nullcontext()


def copies_or_originals(refs: Sequence[SlideRef], folder: Path | None, tell: Tell) -> "LocalCopies | InPlace":
    """local_copies() where a folder is given. Raises OutputError where nothing can be written there."""
    return InPlace() if folder is None else local_copies(refs, folder, tell)


def local_copies(refs: Sequence[SlideRef], folder: Path, tell: Tell) -> LocalCopies:
    """Where to scan copies of `refs`, in a new folder inside `folder`; what dead runs left in there is removed.

    Raises OutputError where nothing can be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        own, lock_fd = _own_folder(folder)
    except OSError as error:
        why = error.strerror or str(error)
        raise OutputError(
            f"--stage {folder}: can't be written ({why}); name a folder on a local disk that can be written, or leave "
            "--stage out"
        ) from error
    return LocalCopies({ref.slide_id: ref for ref in refs}, own, lock_fd, tell)


def remove_leftovers(folder: Path) -> None:
    """Remove the folders of runs that ended without doing so: those whose lock nobody holds; touch nothing else."""
    if sys.platform == "win32":  # nothing there tells a dead run's folder from that of a run that lives
        return
    for place in list(folder.iterdir()):
        if not _OWN_FOLDER.fullmatch(place.name) or place.is_symlink() or not place.is_dir():
            continue
        with suppress(OSError):  # a folder of another user, or one that is just being removed
            descriptor = os.open(place / LOCK_FILE, os.O_RDWR)
            try:
                _take_lock(descriptor)
                shutil.rmtree(place, ignore_errors=True)
            finally:
                os.close(descriptor)


def _own_folder(folder: Path) -> tuple[Path, int]:
    """A new folder of this run's own, and the descriptor that holds its lock; it gets its name once it is locked."""
    name = f".nodescan-copies-{os.getpid()}-{token_hex(6)}"
    unnamed = folder / f"{name}.new"
    unnamed.mkdir(mode=0o700)
    descriptor = os.open(unnamed / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    _take_lock(descriptor)
    os.rename(unnamed, folder / name)
    return folder / name, descriptor


def _check_room(needed_bytes: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed_bytes + LEFT_FREE_BYTES > free:
        raise OSError(
            f"it has {needed_bytes / 1e9:.2f} GB and {free / 1e9:.2f} GB are free, of which "
            f"{LEFT_FREE_BYTES / 1e9:.0f} GB stay so"
        )
