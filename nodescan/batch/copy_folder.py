"""The local folder of --stage for copies of slides: tests, names and locks it, and removes what dead runs left.

It has nothing to do with the pN stage of a patient, which `nodescan stage` and patients/ are about.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from nodescan.errors import OutputError

if sys.platform == "win32":

    def _take_lock(descriptor: int) -> None:
        """Nothing is needed: an open file can't be removed there."""

else:
    import fcntl

    def _take_lock(descriptor: int) -> None:
        """Raises OSError where another process holds it."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


LEFT_FREE_BYTES = 1_000_000_000
"""Others use the disk, too, so a copy never takes its last gigabyte."""

LOCK_FILE = "lock"
"""Held for as long as the run lives: the system lets go of it however the run ends."""

_OWN_FOLDER = re.compile(r"\.nodescan-copies-\d+-[0-9a-f]{12}")
"""Hidden, so that copies inside a folder of slides are never taken for slides; the process is named for people."""


def prepare_copy_folder(folder: Path) -> None:
    """Make the folder and try to write and to lock there, before anything of an earlier run is touched.

    Raises OutputError.
    """
    with copy_folder_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        own, descriptor = own_folder(folder)
        os.close(descriptor)
        shutil.rmtree(own, ignore_errors=True)  # another run may have cleared it away just now


@contextmanager
def copy_folder_errors(folder: Path) -> Iterator[None]:
    """Around what is done to the folder. Raises OutputError where the disk refuses."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise OutputError(
            f"--stage {folder}: can't be written ({why}); name a folder on a local disk that can be written, or leave "
            "--stage out"
        ) from error


def remove_leftovers(folder: Path) -> None:
    """Remove the folders of runs that ended without doing so: those whose lock nobody holds; touch nothing else."""
    for place in list(folder.iterdir()):
        if not _OWN_FOLDER.fullmatch(place.name) or place.is_symlink() or not place.is_dir():
            continue
        with suppress(OSError):  # a folder of another user, or one that is just being removed
            if sys.platform == "win32":
                (place / LOCK_FILE).unlink()  # refused while its run has it open
                shutil.rmtree(place, ignore_errors=True)
                continue
            descriptor = os.open(place / LOCK_FILE, os.O_RDWR)
            try:
                _take_lock(descriptor)
                shutil.rmtree(place, ignore_errors=True)
            finally:
                os.close(descriptor)


def own_folder(folder: Path) -> tuple[Path, int]:
    """A new folder of this run's own, and the descriptor that holds its lock; it gets its name once it is locked.

    On Windows, which renames no folder of an open file, it has its name at once: without a lock nobody takes it for a
    dead run's there. Raises OSError, with nothing left behind.
    """
    name = f".nodescan-copies-{os.getpid()}-{token_hex(6)}"
    unnamed = folder / (name if sys.platform == "win32" else f"{name}.new")
    unnamed.mkdir(mode=0o700)
    with ExitStack() as on_error:
        on_error.callback(shutil.rmtree, unnamed, ignore_errors=True)
        descriptor = os.open(unnamed / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        on_error.callback(os.close, descriptor)
        _take_lock(descriptor)
        if unnamed.name != name:
            os.rename(unnamed, folder / name)
        on_error.pop_all()
    return folder / name, descriptor


def check_room(needed_bytes: int, folder: Path) -> None:
    """Raises OSError where a copy of so many bytes would take the last of the disk."""
    free = shutil.disk_usage(folder).free
    if needed_bytes + LEFT_FREE_BYTES > free:
        raise OSError(
            f"it has {needed_bytes / 1e9:.2f} GB and {free / 1e9:.2f} GB are free, of which "
            f"{LEFT_FREE_BYTES / 1e9:.0f} GB stay so"
        )
