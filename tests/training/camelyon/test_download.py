"""Downloads from a real S3-speaking server on this machine, with a wire that breaks."""

import hashlib
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar

import pytest

from nodescan.errors import OutputError, UsageError
from tests.fakes import silent
from tests.training.made_bucket import Quiet, Server, served_by
from tests.training.made_slides import row_of
from training.camelyon import download as download_module
from training.camelyon.bucket import CAMELYON_BUCKET as BUCKET
from training.camelyon.bucket import Bucket, DownloadError, RemoteFile
from training.camelyon.checksum_lists import parse_checksums
from training.camelyon.download import NOT_VERIFIED, download
from training.camelyon.download_record import RECORD_FILE
from training.camelyon.manifest import digest_of

ROW = row_of("tumor_001")
SLIDE = bytes(range(256)) * 8192
"""2 MiB."""
OUTLINES = b"<ASAP_Annotations/>"


class CuttingProxy:
    """Passes connections on to a server; breaks each of the first `cuts` answers longer than `after` bytes there.

    dies: after the first break, nothing gets through any more.
    """

    def __init__(self, target: str, *, cuts: int, after: int, dies: bool = False) -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self.target, self.cuts, self.after, self.dies = (host, int(port)), cuts, after, dies
        self.requests: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                inner, _ = self.socket.accept()
            except OSError:  # the test is over
                return
            threading.Thread(target=self._pass_on, args=(inner,), daemon=True).start()

    def _pass_on(self, inner: socket.socket) -> None:
        with inner, socket.create_connection(self.target) as outer:
            request = inner.recv(65536)
            self.requests.append(request)
            outer.sendall(request)
            sent = 0
            while piece := outer.recv(65536):
                if self.cuts and sent + len(piece) > self.after:
                    self.cuts -= 1
                    if self.dies:
                        self.socket.shutdown(socket.SHUT_RDWR)
                        self.socket.close()
                    return
                inner.sendall(piece)
                sent += len(piece)


class StoppedBucket(Bucket):
    """Sends little by little; at the third piece somebody presses Ctrl-C."""

    def read_from(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        content = b"".join(super().read_from(file, start))
        for at in range(0, len(content), 1024):
            yield content[at : at + 1024]
            if at == 2048:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(0.002)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "_FIRST_PAUSE_S", 0.001)


def objects(*, sums: dict[str, bytes] | None = None) -> dict[str, bytes]:
    """A slide, its outlines, and where `sums` is given the data set's list of their SHA-256."""
    content = {ROW.key: SLIDE, ROW.annotation_key: OUTLINES}
    if sums is not None:
        lines = [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sums.items()]
        content["CAMELYON16/checksums.txt"] = "\n".join(lines).encode()
    return content


RIGHT_SUMS = {"images/tumor_001.tif": SLIDE, "annotations/tumor_001.xml": OUTLINES}


def test_files_lie_as_in_the_bucket_and_equal_the_published_sums(server: Server, tmp_path: Path) -> None:
    """Slide and outlines arrive whole, verified by the bucket's own list."""
    fetched = download([ROW], tmp_path, bucket=server.fill(objects(sums=RIGHT_SUMS)), tell=silent)
    assert (tmp_path / ROW.key).read_bytes() == SLIDE
    assert (tmp_path / ROW.annotation_key).read_bytes() == OUTLINES
    assert {item.verified for item in fetched} == {"sha256 verified"}
    assert not list(tmp_path.rglob("*.part*"))


def test_without_a_list_nothing_is_called_verified(server: Server, tmp_path: Path) -> None:
    """A sum of what was just fetched would verify nothing, so size alone is said to have been checked."""
    fetched = download([ROW], tmp_path, bucket=server.fill(objects()), tell=silent)
    assert {item.verified for item in fetched} == {NOT_VERIFIED}


def test_a_cut_connection_is_taken_up_where_it_ended(server: Server, tmp_path: Path) -> None:
    """Two breaks in the middle of a slide: it arrives whole, and no byte was asked for twice."""
    bucket = server.fill(objects(sums=RIGHT_SUMS))
    proxy = CuttingProxy(bucket.endpoint, cuts=2, after=600_000)
    fetched = download([ROW], tmp_path, bucket=replace(bucket, endpoint=proxy.endpoint), tell=silent)
    proxy.socket.close()
    assert (tmp_path / ROW.key).read_bytes() == SLIDE
    assert {item.verified for item in fetched} == {"sha256 verified"}
    ranges = [line for request in proxy.requests for line in request.split(b"\r\n") if line.startswith(b"Range")]
    starts = [int(line.split(b"=")[1].rstrip(b"-")) for line in ranges]
    assert len(starts) == 2
    assert 0 < starts[0] < starts[1] < len(SLIDE)


def test_a_later_run_goes_on_with_the_part(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that gave up leaves a part; the next fetches only what is missing."""
    monkeypatch.setattr(download_module, "_ATTEMPTS", 1)
    bucket = server.fill(objects(sums=RIGHT_SUMS))
    broken = CuttingProxy(bucket.endpoint, cuts=1, after=500_000, dies=True)
    with pytest.raises(DownloadError, match="of 2 files failed; run it again to go on: "):
        download([ROW], tmp_path, bucket=replace(bucket, endpoint=broken.endpoint), tell=silent)
    assert not (tmp_path / ROW.key).exists()
    there = (tmp_path / f"{ROW.key}.part").stat().st_size
    assert there > 0
    whole = CuttingProxy(bucket.endpoint, cuts=0, after=0)
    download([ROW], tmp_path, bucket=replace(bucket, endpoint=whole.endpoint), tell=silent)
    whole.socket.close()
    assert (tmp_path / ROW.key).read_bytes() == SLIDE
    assert any(f"Range: bytes={there}-".encode() in request for request in whole.requests)


def test_ctrl_c_ends_it_in_the_middle_of_a_file(server: Server, tmp_path: Path) -> None:
    """What was under way is a part, not the whole file that nobody waits for any more, and is gone on with."""
    row, bucket = replace(ROW, annotation_key=""), server.fill(objects())
    with pytest.raises(KeyboardInterrupt):
        download([row], tmp_path, bucket=StoppedBucket(BUCKET, bucket.endpoint), tell=silent)
    part = tmp_path / f"{ROW.key}.part"
    assert 3 * 1024 <= part.stat().st_size < len(SLIDE)
    download([row], tmp_path, bucket=bucket, tell=silent)
    assert (tmp_path / ROW.key).read_bytes() == SLIDE


def test_a_second_download_into_a_folder_is_refused_while_the_first_works(server: Server, tmp_path: Path) -> None:
    """It would destroy the first's parts and records; once that is over it finds what is there."""
    bucket, said = server.fill(objects(sums=RIGHT_SUMS)), list[str]()

    class Meanwhile(Bucket):
        def read_from(self, file: RemoteFile, start: int) -> Iterator[bytes]:
            with pytest.raises(OutputError) as refused:
                download([ROW], tmp_path, bucket=bucket, tell=silent)
            said.append(str(refused.value))
            yield from super().read_from(file, start)

    first = Meanwhile(BUCKET, bucket.endpoint)
    download([ROW], tmp_path, bucket=first, tell=silent, parallel=1)
    assert len(said) == 2
    assert all(line.startswith(f"{tmp_path}: another run (process ") for line in said)
    assert all("wait for it, choose another --to, or" in line for line in said)
    assert (tmp_path / "downloads.csv").read_text().count("sha256 verified") == 2
    assert len(download([ROW], tmp_path, bucket=bucket, tell=silent)) == 2
    assert not list(tmp_path.glob(".*"))


def test_a_part_of_another_version_is_not_continued(server: Server, tmp_path: Path) -> None:
    """The object changed since: its old part is dropped, never joined to the new bytes."""
    bucket = server.fill(objects())
    part = tmp_path / f"{ROW.key}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\xff" * 1000)
    part.with_name(f"{part.name}.etag").write_text('"of an older version"')
    download([ROW], tmp_path, bucket=bucket, tell=silent)
    assert (tmp_path / ROW.key).read_bytes() == SLIDE


def test_a_wrong_checksum_names_the_file_and_leaves_none(server: Server, tmp_path: Path) -> None:
    """The slide never gets its name; the outlines, which are right, stay."""
    bucket = server.fill(objects(sums={**RIGHT_SUMS, "images/tumor_001.tif": b"something else"}))
    with pytest.raises(
        DownloadError, match=r"tumor_001.tif: wrong checksum, sha256 is .* published is .* run it again"
    ):
        download([ROW], tmp_path, bucket=bucket, tell=silent)
    assert not (tmp_path / ROW.key).exists()
    assert not list(tmp_path.rglob("*.part*"))
    assert (tmp_path / ROW.annotation_key).read_bytes() == OUTLINES


def test_the_manifests_own_checksum_counts_too(server: Server, tmp_path: Path) -> None:
    """It verifies where the bucket has no list, and is refused where it contradicts that list."""
    right = replace(ROW, checksum=hashlib.md5(SLIDE, usedforsecurity=False).hexdigest())
    fetched = download([right], tmp_path, bucket=server.fill(objects()), tell=silent)
    assert {item.path.name: item.verified for item in fetched} == {
        "tumor_001.tif": "md5 verified",
        "tumor_001.xml": NOT_VERIFIED,
    }
    wrong = replace(ROW, checksum="0" * 64)
    with pytest.raises(UsageError, match="tumor_001: the manifest's checksum differs from the bucket's own list"):
        download([wrong], tmp_path, bucket=server.fill(objects(sums=RIGHT_SUMS)), tell=silent)


def test_every_sum_that_is_known_is_compared(server: Server, tmp_path: Path) -> None:
    """A list of MD5 sums doesn't take the place of the manifest's SHA-256, nor does a record of another sum."""
    listed = "".join(f"{hashlib.md5(SLIDE, usedforsecurity=False).hexdigest()}  images/tumor_001.tif\n")
    bucket = server.fill({**objects(), "CAMELYON16/checksums.md5": listed.encode()})
    right = replace(ROW, checksum=hashlib.sha256(SLIDE).hexdigest(), annotation_key="")
    wrong = replace(right, checksum="0" * 64)
    for earlier in ("", " earlier"):
        (item,) = download([right], tmp_path, bucket=bucket, tell=silent)
        assert item.verified == f"md5 and sha256 verified{earlier}"
        with pytest.raises(DownloadError, match=r"tumor_001.tif: wrong checksum, sha256 is .* move it away"):
            download([wrong], tmp_path, bucket=bucket, tell=silent)


def test_what_is_there_is_kept_and_what_is_wrong_is_named(server: Server, tmp_path: Path) -> None:
    """A second run fetches nothing; a file of another size is neither kept in silence nor overwritten."""
    bucket = server.fill(objects(sums=RIGHT_SUMS))
    download([ROW], tmp_path, bucket=bucket, tell=silent)
    stamp = (tmp_path / ROW.key).stat().st_mtime_ns
    proxy = CuttingProxy(bucket.endpoint, cuts=0, after=0)
    download([ROW], tmp_path, bucket=replace(bucket, endpoint=proxy.endpoint), tell=silent)
    proxy.socket.close()
    assert not [request for request in proxy.requests if request.startswith(b"GET") and b"tumor_001" in request]
    assert (tmp_path / ROW.key).stat().st_mtime_ns == stamp
    (tmp_path / ROW.key).write_bytes(SLIDE[:-5])
    with pytest.raises(DownloadError, match=r"tumor_001.tif: has 2,097,147 bytes, the bucket 2,097,152; move it away"):
        download([ROW], tmp_path, bucket=bucket, tell=silent)


def test_a_disk_that_will_not_hold_it_is_told_before_the_start(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is fetched when there is no room for all of it."""
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match=r"0.002 GB are to be fetched, but only 0.001 GB are free"):
        download([ROW], tmp_path, bucket=server.fill(objects()), tell=silent)
    assert not list(tmp_path.iterdir())


def test_a_slide_that_the_bucket_lacks_is_named_before_the_start(server: Server, tmp_path: Path) -> None:
    """No file is fetched when one of them isn't there."""
    bucket = server.fill({ROW.annotation_key: OUTLINES})
    with pytest.raises(UsageError, match=r"CAMELYON16/images/tumor_001.tif: not in the bucket camelyon-dataset"):
        download([ROW], tmp_path, bucket=bucket, tell=silent)
    assert not (tmp_path / ROW.annotation_key).exists()


def test_a_server_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text says which address can't be reached, and the first line what is waited for."""
    monkeypatch.setattr(download_module, "_ATTEMPTS", 1)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    said: list[str] = []
    with pytest.raises(DownloadError, match=f"{endpoint} can't be reached"):
        download([ROW], tmp_path, bucket=Bucket(BUCKET, endpoint), tell=said.append)
    assert said == [f"connecting to {endpoint}, bucket camelyon-dataset"]


class Unlisted(Quiet):
    """Lets anybody read one slide and its outlines, and nobody list the bucket, which holds no list of sums."""

    def do_HEAD(self) -> None:
        content = objects().get(self.path.removeprefix(f"/{BUCKET}/"))
        self.send_response(HTTPStatus.FORBIDDEN if content is None else HTTPStatus.OK)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if content and self.command == "GET":
            self.wfile.write(content)

    do_GET = do_HEAD


def test_a_bucket_that_nobody_may_list_needs_no_list_of_sums(tmp_path: Path) -> None:
    """S3 then answers 403 of what isn't there: of a list that's no failure, and a slide that isn't there is named."""
    with served_by(Unlisted) as bucket:
        fetched = download([ROW], tmp_path, bucket=bucket, tell=silent)
        assert {item.verified for item in fetched} == {NOT_VERIFIED}
        with pytest.raises(DownloadError, match=r"normal_001.tif: isn't in the bucket .*, or not for anybody to read"):
            download([row_of("normal_001")], tmp_path, bucket=bucket, tell=silent)


class Odd(Quiet):
    """Says ten bytes and sends no end of them; sends whoever asks for `elsewhere` or `moved` on."""

    sent = 0
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", "10")
        self.end_headers()

    def do_GET(self) -> None:
        Odd.asked.append(self.path)
        place = {"elsewhere": "http://127.0.0.2:1/x", "moved": "/new"}.get(self.path.rpartition("/")[2])
        self.send_response(HTTPStatus.OK if place is None else HTTPStatus.FOUND)
        if place is not None:
            self.send_header("Location", place)
            self.send_header("Content-Length", "0")
        self.end_headers()
        with suppress(OSError):
            while place is None and Odd.sent < 200 << 20:
                Odd.sent += self.wfile.write(bytes(10 if self.path == "/new" else 1 << 20))
                if self.path == "/new":
                    return


@pytest.fixture
def odd() -> Iterator[Bucket]:
    """A bucket of a service that isn't what it says."""
    Odd.sent, Odd.asked = 0, []
    with served_by(Odd) as bucket:
        yield bucket


def test_no_more_is_taken_than_was_said(odd: Bucket) -> None:
    """A disk is not filled by a file that was to have ten bytes."""
    file = odd.look_up("slide.tif")
    assert file is not None
    with pytest.raises(DownloadError, match=r"slide\.tif: .* sends more than its 10 bytes"):
        list(odd.read_from(file, 0))
    assert Odd.sent < 50 << 20


def test_a_service_sends_nobody_to_another_host(odd: Bucket) -> None:
    """Which may be one that this machine alone can reach; on the same host a file may have moved."""
    with pytest.raises(DownloadError, match=r"elsewhere: sends on to 'http://127\.0\.0\.2:1', which isn't asked"):
        odd.text("elsewhere")
    assert odd.text("moved") == "\0" * 10
    assert Odd.asked[-1] == "/new"


def right_rest(start: int) -> tuple[HTTPStatus, int, str]:
    """As a service answers that was asked for the slide's bytes from a place on."""
    return HTTPStatus.PARTIAL_CONTENT, start, str(len(SLIDE))


class Breaking(Quiet):
    """Breaks off its first answer with the slide's bytes in the middle; `after` it, the slide is another.

    tags: headers that say which version an object is, before and after. ranges: parts are sent. asked: where from.
    rest: what a request from a place on gets: a status, the first byte that is sent, the whole size as it is stated.
    """

    tags: ClassVar[tuple[dict[str, str], dict[str, str]]] = ({}, {})
    ranges = True
    after = SLIDE
    asked: ClassVar[list[str]] = []
    rest: ClassVar[Callable[[int], tuple[HTTPStatus, int, str]]] = staticmethod(right_rest)

    def do_HEAD(self) -> None:
        changed = int(bool(self.asked))
        content = (SLIDE, self.after)[changed] if self.path.endswith(ROW.key) else None
        start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if self.ranges else 0
        ok, whole = HTTPStatus.OK, str(len(content or b""))
        if start:
            ok, start, whole = type(self).rest(start)
        self.send_response(HTTPStatus.NOT_FOUND if content is None else ok)
        for name, value in self.tags[changed].items():
            self.send_header(name, value)
        body = (content or b"")[start:]
        if ok == HTTPStatus.PARTIAL_CONTENT and whole:
            self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{whole}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if content and self.command == "GET":
            self.asked.append(self.headers.get("Range", ""))
            self.wfile.write(body if changed else body[: len(body) // 2])

    do_GET = do_HEAD


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket whose first answer with a slide is broken off."""
    monkeypatch.setattr(Breaking, "asked", [])
    with served_by(Breaking) as bucket:
        yield bucket


ONE_SLIDE = replace(ROW, annotation_key="")
DATED = {"Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT"}
DATED_LATER = {"Last-Modified": "Tue, 03 Nov 2026 10:00:00 GMT"}


def test_without_a_version_nothing_is_joined(breaking: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The halves of two slides would make one of the right size; in a later run, too."""
    monkeypatch.setattr(Breaking, "after", SLIDE[::-1])
    download([ONE_SLIDE], tmp_path, bucket=breaking, tell=silent)
    assert (tmp_path / ROW.key).read_bytes() == SLIDE[::-1]
    (tmp_path / ROW.key).rename(tmp_path / f"{ROW.key}.part")
    (tmp_path / f"{ROW.key}.part").write_bytes(SLIDE[:1000])
    (tmp_path / f"{ROW.key}.part.etag").write_text("")
    download([ONE_SLIDE], tmp_path, bucket=breaking, tell=silent)
    assert (tmp_path / ROW.key).read_bytes() == SLIDE[::-1]
    assert Breaking.asked == ["", "", ""]


def test_a_date_tells_versions_apart(breaking: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no ETag: the same is gone on with, another one isn't, and the next run begins anew."""
    monkeypatch.setattr(Breaking, "tags", (DATED, DATED))
    download([ONE_SLIDE], tmp_path / "same", bucket=breaking, tell=silent)
    assert (tmp_path / "same" / ROW.key).read_bytes() == SLIDE
    assert Breaking.asked == ["", f"bytes={len(SLIDE) // 2}-"]
    Breaking.asked.clear()
    monkeypatch.setattr(Breaking, "tags", (DATED, DATED_LATER))
    monkeypatch.setattr(Breaking, "after", SLIDE[::-1])
    with pytest.raises(DownloadError, match="the file in the bucket changed meanwhile"):
        download([ONE_SLIDE], tmp_path / "other", bucket=breaking, tell=silent)
    download([ONE_SLIDE], tmp_path / "other", bucket=breaking, tell=silent)
    assert (tmp_path / "other" / ROW.key).read_bytes() == SLIDE[::-1]


def test_a_file_that_never_comes_whole_from_its_beginning_is_given_up(
    breaking: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fetched again as far as before is no progress."""
    monkeypatch.setattr(Breaking, "asked", Forgetful())
    with pytest.raises(DownloadError, match="the connection was cut after"):
        download([ONE_SLIDE], tmp_path, bucket=breaking, tell=silent)


class Forgetful(list[str]):
    """Stays empty, so that every answer is the first."""

    def append(self, _: str) -> None:
        pass


def test_a_service_that_sends_no_parts_is_read_from_the_beginning(
    breaking: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one run, and in a later one that finds a part: its own advice, run it again, helps."""
    monkeypatch.setattr(Breaking, "ranges", False)
    monkeypatch.setattr(Breaking, "tags", ({"ETag": '"v1"'},) * 2)
    download([ONE_SLIDE], tmp_path, bucket=breaking, tell=silent)
    assert (tmp_path / ROW.key).read_bytes() == SLIDE
    (tmp_path / ROW.key).unlink()
    (tmp_path / f"{ROW.key}.part").write_bytes(SLIDE[:1000])
    (tmp_path / f"{ROW.key}.part.etag").write_text('"v1"')
    download([ONE_SLIDE], tmp_path, bucket=breaking, tell=silent)
    assert (tmp_path / ROW.key).read_bytes() == SLIDE
    assert not list(tmp_path.rglob("*.part*"))


@pytest.mark.parametrize(
    "rest",
    [
        lambda start: (HTTPStatus.PARTIAL_CONTENT, start - 4096, str(len(SLIDE))),
        lambda start: (HTTPStatus.PARTIAL_CONTENT, start, str(len(SLIDE) + 1)),
        lambda start: (HTTPStatus.PARTIAL_CONTENT, start, ""),
        lambda start: (HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, len(SLIDE), ""),
    ],
)
def test_a_part_is_joined_with_the_bytes_that_follow_it_alone(
    breaking: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rest: Callable[[int], tuple[HTTPStatus, int, str]],
) -> None:
    """An answer that begins elsewhere, is of a file of another size, doesn't say or is none: the file is read anew."""
    monkeypatch.setattr(Breaking, "tags", ({"ETag": '"v1"'},) * 2)
    monkeypatch.setattr(Breaking, "rest", staticmethod(rest))
    download([ONE_SLIDE], tmp_path, bucket=breaking, tell=silent)
    assert (tmp_path / ROW.key).read_bytes() == SLIDE
    assert Breaking.asked == ["", f"bytes={len(SLIDE) // 2}-", ""]


def test_checksum_lists_are_read_as_their_tools_write_them() -> None:
    """sha256sum and md5sum, text and binary mode, with ./ or without; comments are passed over."""
    text = f"# sums\n{'a' * 64}  images/x.tif\n{'B' * 32} *./images/y.tif\nnot a sum  z.tif\n"
    assert parse_checksums(text) == {"images/x.tif": ("a" * 64,), "images/y.tif": ("b" * 32,)}


@pytest.mark.parametrize(
    "line",
    [
        "{digest}\timages/x.tif",
        "{digest}  /images/x.tif",
        "{digest} *images\\x.tif",
        "\\{digest}  images\\\\x.tif",
        "MD5 (images/x.tif) = {digest}",
        "MD5 (./images/x.tif) = {digest}",
    ],
)
def test_checksum_lists_of_other_tools_are_read_too(line: str) -> None:
    """With a tab, from the root, with a backslash as of Windows, in BSD's form."""
    assert parse_checksums(f"# sums\r\n{line.format(digest='b' * 32)}\r\n") == {"images/x.tif": ("b" * 32,)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_checksum_list_is_read_as_it_is_encoded(server: Server, tmp_path: Path, encoding: str) -> None:
    """With a byte order mark its first line would be lost, and in UTF-16 every line: nothing would be verified."""
    listed = f"{'0' * 64}  images/tumor_001.tif\n".encode(encoding)
    bucket = server.fill({**objects(), "CAMELYON16/checksums.txt": listed})
    with pytest.raises(DownloadError, match=r"tumor_001\.tif: wrong checksum"):
        download([ONE_SLIDE], tmp_path, bucket=bucket, tell=silent)


@pytest.mark.parametrize("right_first", [True, False])
def test_two_sums_for_one_file_in_a_list_are_refused_and_both_named(
    server: Server, tmp_path: Path, right_first: bool
) -> None:
    """The last one counted: beside a right one a wrong one refused the slide, or passed it over in silence."""
    right, wrong = hashlib.sha256(SLIDE).hexdigest(), "0" * 64
    sums = (right, wrong) if right_first else (wrong, right)
    listed = "".join(f"{digest}  images/tumor_001.tif\n" for digest in sums).encode()
    bucket = server.fill({**objects(), "CAMELYON16/checksums.txt": listed})
    both = rf"tumor_001\.tif, {sums[0]} and {sums[1]},"
    with pytest.raises(DownloadError, match=rf"checksums\.txt: holds two sums for .*{both}"):
        download([ONE_SLIDE], tmp_path, bucket=bucket, tell=silent)


@pytest.mark.parametrize("order", [1, -1])
def test_sums_of_two_kinds_or_twice_the_same_are_no_contradiction(server: Server, tmp_path: Path, order: int) -> None:
    """The longer one is checked, wherever it stands; two sums of a file that isn't fetched don't matter."""
    sums = [hashlib.sha256(SLIDE).hexdigest(), "0" * 32, hashlib.sha256(SLIDE).hexdigest()]
    lines = [f"{digest}  images/tumor_001.tif" for digest in sums] + [f"{one * 64}  images/other.tif" for one in "ab"]
    listed = "\n".join(lines[::order]).encode()
    bucket = server.fill({**objects(), "CAMELYON16/checksums.txt": listed})
    (fetched,) = download([ONE_SLIDE], tmp_path, bucket=bucket, tell=silent)
    assert fetched.verified == "sha256 verified"


def test_a_list_that_does_not_name_a_file_is_told(server: Server, tmp_path: Path) -> None:
    """Once, and with the file: the list may name it otherwise. What the manifest verifies isn't told."""
    bucket, said = server.fill(objects(sums={"Images/tumor_001.tif": SLIDE})), list[str]()
    download([ROW], tmp_path, bucket=bucket, tell=said.append)
    told = [line for line in said if line.startswith("CAMELYON16/checksums.txt: ")]
    assert told == [
        f"CAMELYON16/checksums.txt: no checksum of {ROW.key}, {ROW.annotation_key}, so only sizes can be checked there"
    ]
    said.clear()
    row = replace(ONE_SLIDE, checksum=hashlib.sha256(SLIDE).hexdigest())
    download([row], tmp_path, bucket=bucket, tell=said.append)
    assert not [line for line in said if line.startswith("CAMELYON16/checksums.txt: ")]


def test_a_file_that_was_replaced_in_the_bucket_is_named(server: Server, tmp_path: Path) -> None:
    """By one of the same size, of which nothing else tells; by a sum that is known, the file is verified anew."""
    bucket, record = server.fill(objects()), tmp_path / RECORD_FILE
    download([ONE_SLIDE], tmp_path, bucket=bucket, tell=silent)
    old = record.read_text()
    server.fill({**objects(), ROW.key: SLIDE[::-1]})
    with pytest.raises(
        DownloadError, match=r"tumor_001\.tif: the file in the bucket was replaced since .* move it away"
    ):
        download([ONE_SLIDE], tmp_path, bucket=bucket, tell=silent)
    assert record.read_text() == old
    known = replace(ONE_SLIDE, checksum=hashlib.sha256(SLIDE).hexdigest())
    assert download([known], tmp_path, bucket=bucket, tell=silent)[0].verified == "sha256 verified"
    (tmp_path / ROW.key).unlink()
    download([ONE_SLIDE], tmp_path, bucket=bucket, tell=silent)
    assert (tmp_path / ROW.key).read_bytes() == SLIDE[::-1]


def test_a_file_that_was_written_to_since_is_verified_anew(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody touched isn't read again, and is said to be verified earlier."""
    row = replace(ROW, checksum=hashlib.sha256(SLIDE).hexdigest(), annotation_key="")
    bucket, path = server.fill(objects()), tmp_path / row.key
    assert download([row], tmp_path, bucket=bucket, tell=silent)[0].verified == "sha256 verified"
    read: list[Path] = []

    def noted(file: Path, algorithm: str) -> str:
        read.append(file)
        return digest_of(file, algorithm)

    monkeypatch.setattr(download_module, "digest_of", noted)
    assert download([row], tmp_path, bucket=bucket, tell=silent)[0].verified == "sha256 verified earlier"
    assert not read
    os.utime(path, ns=(0, 0))
    for verified, reads in (("sha256 verified", [path]), ("sha256 verified earlier", [path])):
        assert download([row], tmp_path, bucket=bucket, tell=silent)[0].verified == verified
        assert read == reads
    path.write_bytes(bytes(len(SLIDE)))
    with pytest.raises(DownloadError, match="wrong checksum"):
        download([row], tmp_path, bucket=bucket, tell=silent)


def test_a_slide_is_on_disk_before_it_has_its_name(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is: a power cut would else leave a verified slide of zeros."""
    done: list[str] = []
    sync, rename = os.fsync, os.replace

    def synced(number: int) -> None:
        done.append(f"sync {os.fstat(number).st_ino}")
        sync(number)

    def renamed(old: Path, new: Path) -> None:
        done.append(f"rename {os.stat(old).st_ino}")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    download([replace(ROW, annotation_key="")], tmp_path, bucket=server.fill(objects()), tell=silent)
    number = (tmp_path / ROW.key).stat().st_ino
    assert done.index(f"sync {number}") < done.index(f"rename {number}")
