"""Fetches the slides and outlines of a manifest from the public bucket: in parallel, resumed, checked by its sums."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nodescan.batch.lock import held
from nodescan.domain.naming import few
from nodescan.errors import OutputError, StoppedError, UsageError
from training.camelyon.bucket import Bucket, ConnectionCutError, DownloadError, NoPartsError, RemoteFile
from training.camelyon.checksum_lists import published_sums
from training.camelyon.download_record import RECORD_FILE, Record, read_record, write_record
from training.camelyon.manifest import DIGESTS, DataSlide, digest_of

NOT_VERIFIED = "not verified, no published checksum"
EARLIER = " earlier"
_ATTEMPTS, _FIRST_PAUSE_S = 6, 0.5
_TELL_EVERY_S = 10.0

Tell = Callable[[str], None]
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is there. verified: "sha256 verified", "md5 verified", "md5 and sha256 verified" or NOT_VERIFIED;
    with EARLIER where it was read by an earlier download, and not written to since."""

    path: Path
    size: int
    verified: str


@dataclass(frozen=True, slots=True)
class _Job:
    """checksums: every one that is known, of the bucket's list and of the manifest."""

    remote: RemoteFile
    path: Path
    checksums: tuple[str, ...]

    @property
    def verified(self) -> str:
        """How the file is verified once its sums were found equal."""
        algorithms = " and ".join(DIGESTS[len(digest)] for digest in self.checksums)
        return f"{algorithms} verified" if algorithms else NOT_VERIFIED

    @property
    def record(self) -> Record:
        """Of the file as it lies there."""
        sums, modified_ns = " ".join(self.checksums), self.path.stat().st_mtime_ns
        return Record(self.remote.size, self.verified, sums, modified_ns, self.remote.version)

    @property
    def part(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def version_file(self) -> Path:
        """Which version of the object the part belongs to."""
        return self.path.with_name(f"{self.path.name}.part.etag")

    def drop_part(self) -> None:
        self.part.unlink(missing_ok=True)
        self.version_file.unlink(missing_ok=True)


def download(
    rows: Sequence[DataSlide], to: Path, *, bucket: Bucket, tell: Tell, parallel: int = 4
) -> tuple[Fetched, ...]:
    """Fetch slide and outlines of every row below `to`, under their keys; what is there and right is kept.

    A file gets its name only when it is whole and, where a sum was published, equal to it. Raises UsageError where
    the bucket doesn't hold a file, OutputError where the disk won't or another download works there, all before
    anything is fetched; DownloadError at the end where files failed, those that didn't being kept. Ctrl-C ends it
    within a chunk; parts stay.
    """
    tell(f"connecting to {bucket.endpoint}, bucket {bucket.name}")  # an answer, or none, may take long
    jobs = _planned(rows, to, bucket=bucket, tell=tell, parallel=parallel)
    _check_room(jobs, to)
    with held(to, option="--to"):  # two would write to one part, and each would lose the other's record
        return _fetched(jobs, to, bucket=bucket, tell=tell, parallel=parallel)


def _fetched(jobs: Sequence[_Job], to: Path, *, bucket: Bucket, tell: Tell, parallel: int) -> tuple[Fetched, ...]:
    """Every job's file, in a folder that no other download works in."""
    record = read_record(to)
    meter = _Meter(sum(job.remote.size - _there(job) for job in jobs if not job.path.exists()), tell)
    done: list[Fetched] = []
    failures: list[str] = []
    lock, stopped = threading.Lock(), threading.Event()

    def work(job: _Job) -> None:
        try:
            fetched = _fetch(job, bucket, record=record, meter=meter, stopped=stopped)
        except (DownloadError, OutputError) as error:
            with lock:
                failures.append(str(error))
                tell(f"failed: {error}")
            return
        with lock:
            done.append(fetched)
            record[job.remote.key] = job.record
            write_record(record, to)
            tell(f"{job.remote.key}: {fetched.size:,} bytes, {fetched.verified}")

    with ThreadPoolExecutor(parallel, thread_name_prefix="download") as pool:
        try:
            list(pool.map(work, jobs))
        finally:
            stopped.set()
    if failures:
        raise DownloadError(f"{len(failures)} of {len(jobs)} files failed; run it again to go on: {failures[0]}")
    return tuple(sorted(done, key=lambda item: str(item.path)))


def _planned(rows: Sequence[DataSlide], to: Path, *, bucket: Bucket, tell: Tell, parallel: int) -> list[_Job]:
    """Size, place and expected sum of every file, the whole list before the first byte."""
    keys = {key: row for row in rows for key in (row.key, row.annotation_key) if key}
    with ThreadPoolExecutor(parallel) as pool:
        remotes = list(pool.map(lambda key: _again(lambda: bucket.look_up(key)), keys))
    missing = [key for key, remote in zip(keys, remotes, strict=True) if remote is None]
    if missing:
        raise UsageError(f"{few(missing, 3)}: not in the bucket {bucket.name} at {bucket.endpoint}")
    sums = published_sums(keys, lambda place: _again(lambda: bucket.text(place)), tell)
    jobs = []
    for (key, row), remote in zip(keys.items(), remotes, strict=True):
        published, noted = sums.get(key, ""), row.checksum if key == row.key else ""
        if published and len(noted) == len(published) and noted != published:
            raise UsageError(f"{row.slide_id}: the manifest's checksum differs from the bucket's own list for {key}")
        assert remote is not None
        jobs.append(_Job(remote, to / key, tuple(sorted({published, noted} - {""}, key=len))))
    return jobs


def _again(ask: Callable[[], _Answer]) -> _Answer:
    """A question to the bucket, asked again where the connection was cut."""
    for attempt in range(_ATTEMPTS - 1):
        with suppress(ConnectionCutError):
            return ask()
        time.sleep(_FIRST_PAUSE_S * 2**attempt)
    return ask()


def _check_room(jobs: Sequence[_Job], to: Path) -> None:
    """Raises OutputError where the disk won't hold what is still to come."""
    needed = sum(job.remote.size - _there(job) for job in jobs if not job.path.exists())
    try:
        to.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(to).free
    except OSError as error:
        raise OutputError(f"{to}: can't be written to ({error.strerror}); choose another folder") from error
    if needed > free:
        raise OutputError(
            f"{to}: {needed / 1e9:.3f} GB are to be fetched, but only {free / 1e9:.3f} GB are free on that disk; "
            "free some, choose another folder, or fewer slides with --slides"
        )


def _there(job: _Job) -> int:
    """Bytes of the part that may be kept: those of this very version of the object, and none where it isn't known."""
    version = job.version_file.read_text() if job.part.is_file() and job.version_file.is_file() else ""
    if not version or version != job.remote.version:
        return 0
    size = job.part.stat().st_size
    return size if size <= job.remote.size else 0


def _fetch(
    job: _Job, bucket: Bucket, *, record: dict[str, Record], meter: "_Meter", stopped: threading.Event
) -> Fetched:
    if job.path.exists():
        size = job.path.stat().st_size
        if size != job.remote.size:
            raise DownloadError(f"{job.path}: has {size:,} bytes, the bucket {job.remote.size:,}; move it away first")
        before = record.get(job.remote.key)
        changed = before is not None and before.is_of_another_version(job.record)
        if changed and not job.checksums:
            raise DownloadError(
                f"{job.path}: the file in the bucket was replaced since this one was fetched; move it away first, or "
                f"delete its line in {RECORD_FILE} to keep it"
            )
        known = before is not None and not changed and before.same_file(job.record)
        if not known:
            _verify(job, job.path)
        return Fetched(job.path, size, job.verified + (EARLIER if known and job.checksums else ""))
    try:
        job.path.parent.mkdir(parents=True, exist_ok=True)
        _append_all(job, bucket, meter=meter, stopped=stopped)
        _verify(job, job.part)
        os.replace(job.part, job.path)
        job.version_file.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{job.path}: can't be written ({error.strerror}); free space or choose another") from error
    return Fetched(job.path, job.remote.size, job.verified)


def _append_all(job: _Job, bucket: Bucket, *, meter: "_Meter", stopped: threading.Event) -> None:
    """The part, made whole; a cut connection is taken up again where it ended, or begun anew, as long as that gets on.

    Raises StoppedError once `stopped` is set; the part stays.
    """
    if not _there(job):
        job.part.unlink(missing_ok=True)
        job.version_file.write_text(job.remote.version)
    fruitless, farthest = 0, 0
    with job.part.open("ab") as file:
        while file.tell() < job.remote.size and not stopped.is_set():
            before = file.tell()
            farthest = max(before, farthest)
            try:
                for chunk in bucket.read_from(job.remote, before):
                    file.write(chunk)
                    meter.add(len(chunk))
                    if stopped.is_set():
                        break
            except NoPartsError:
                meter.add(-before)
                file.seek(0)
                file.truncate()
            except ConnectionCutError:
                fruitless = 0 if file.tell() > farthest else fruitless + 1
                if fruitless >= _ATTEMPTS:
                    raise
                stopped.wait(_FIRST_PAUSE_S * 2**fruitless)
        file.flush()
        os.fsync(file.fileno())  # else a power cut may leave the name and the record, and not the bytes
    if stopped.is_set():
        raise StoppedError(f"{job.remote.key}: stopped, its part is kept")
    if job.part.stat().st_size != job.remote.size:
        job.drop_part()
        raise DownloadError(f"{job.remote.key}: more bytes came than the bucket says it has; run it again")


def _verify(job: _Job, file: Path) -> None:
    """Raises DownloadError, and drops the part, where one of the sums of a whole file is wrong."""
    for expected in job.checksums:
        algorithm = DIGESTS[len(expected)]
        if (found := digest_of(file, algorithm)) == expected:
            continue
        if file == job.part:
            job.drop_part()
        raise DownloadError(
            f"{job.path}: wrong checksum, {algorithm} is {found[:12]}..., published is {expected[:12]}...; "
            + ("it was dropped, run it again" if file == job.part else "move it away and run it again")
        )


class _Meter:
    """Says every few seconds how far it is and how long it will take."""

    def __init__(self, total: int, tell: Tell) -> None:
        self._total, self._tell = total, tell
        self._done, self._started, self._told = 0, time.monotonic(), time.monotonic()
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._told < _TELL_EVERY_S:
                return
            self._told = now
            rate = max(self._done / (now - self._started), 1.0)
            left_min = (self._total - self._done) / rate / 60
            self._tell(
                f"{self._done / 1e9:.2f} of {self._total / 1e9:.2f} GB, {rate / 1e6:.1f} MB/s, {left_min:.0f} min left"
            )
