"""A public S3 bucket over plain HTTP: what an object weighs, and its bytes from any place on, without an account."""

import http.client
import re
import urllib.error
import urllib.request
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import IO
from urllib.parse import quote, urlsplit
from urllib.request import Request

from nodescan.errors import NodescanError, UsageError

CAMELYON_ENDPOINT = "https://s3.us-west-2.amazonaws.com"
CAMELYON_BUCKET = "camelyon-dataset"

TIMEOUT_S = 60.0
_CHUNK = 1 << 20
_LONGEST_TEXT = 64 << 20
_MARKS = ((BOM_UTF8, "utf-8-sig"), (BOM_UTF16_LE, "utf-16"), (BOM_UTF16_BE, "utf-16"))
"""What editors and shells of Windows put before a text, and how it is written then."""
_CONTENT_RANGE = re.compile(r"bytes (?P<start>\d{1,20})-\d+/(?P<size>\d+|\*)", re.IGNORECASE)


class DownloadError(NodescanError):
    """A file could not be fetched, or isn't what it should be; the text names it."""


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a service to other paths of its own alone: elsewhere may be what only this machine can reach."""

    def redirect_request(  # noqa: PLR0913, PLR0917  as urllib calls it
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.netloc != old.netloc or new.scheme not in (old.scheme, "https"):
            raise DownloadError(
                f"{req.full_url}: sends on to {f'{new.scheme}://{new.netloc}'!r}, which isn't asked; name that as the "
                "--endpoint if it is right"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class ConnectionCutError(DownloadError):
    """The connection ended early or was never made: worth another try."""


class NoPartsError(DownloadError):
    """A file can only be had from its first byte on: its service sends no parts, or doesn't tell its versions apart."""


class _ForbiddenError(DownloadError):
    """The service doesn't let anybody read the object. S3 says so of what isn't there, too, where nobody may list."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """version: changes whenever the object does, by its ETag, else Last-Modified; "" where the service gives neither,
    so that a part can't be told from one of another version.
    """

    key: str
    size: int
    version: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """endpoint: address of an S3 service; objects must be readable by anybody."""

    name: str
    endpoint: str

    def look_up(self, key: str) -> RemoteFile | None:
        """Size and version of an object, None where there is none. Raises DownloadError."""
        try:
            with self._open(key, method="HEAD") as answer:
                return RemoteFile(key, int(answer.headers["Content-Length"]), _version(answer.headers))
        except FileNotFoundError:
            return None
        except (TypeError, ValueError) as error:
            raise DownloadError(f"{key}: {self.endpoint} doesn't say how large it is; is it an S3 service?") from error

    def text(self, key: str) -> str | None:
        """A small object's text, None where there is none for anybody to read. Raises DownloadError."""
        try:
            with self._open(key) as answer:
                content = answer.read(_LONGEST_TEXT + 1)
        except (FileNotFoundError, _ForbiddenError):
            return None
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionCutError(f"{key}: the connection was cut ({error!r})") from error
        if len(content) > _LONGEST_TEXT:
            raise DownloadError(f"{key}: is longer than any list of checksums; is {self.endpoint} the right service?")
        marked = next((code for mark, code in _MARKS if content.startswith(mark)), "utf-8")
        return content.decode(marked, errors="replace")

    def read_from(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        """The bytes of an object from `start` on.

        Raises NoPartsError where only all can be had; ConnectionCutError where they end early; DownloadError.
        """
        if start and not file.version:
            raise NoPartsError(f"{file.key}: {self.endpoint} says neither its ETag nor when it was modified last")
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            with self._open(file.key, headers=headers) as answer:
                if start and not _is_rest(answer, file, start):
                    raise NoPartsError(f"{file.key}: {self.endpoint} doesn't send the part of a file that it is asked")
                if _version(answer.headers) != file.version:
                    raise DownloadError(f"{file.key}: the file in the bucket changed meanwhile; start it again")
                received = start
                while chunk := answer.read(_CHUNK):
                    received += len(chunk)
                    if received > file.size:
                        raise DownloadError(f"{file.key}: {self.endpoint} sends more than its {file.size:,} bytes")
                    yield chunk
        except FileNotFoundError as error:
            raise DownloadError(f"{file.key}: is not in the bucket any more") from error
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionCutError(f"{file.key}: the connection was cut ({error!r})") from error
        if received < file.size:  # a connection that closes early is no error to http.client
            raise ConnectionCutError(f"{file.key}: the connection was cut after {received:,} of {file.size:,} bytes")

    def _open(
        self, key: str, *, method: str = "GET", headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        url = f"{self.endpoint.rstrip('/')}/{quote(self.name)}/{quote(key)}"
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"{self.endpoint}: an endpoint starts with http:// or https://")
        request = Request(url, method=method, headers=headers or {})
        try:
            return urllib.request.build_opener(_SameHost).open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.HTTPStatus.NOT_FOUND:
                raise FileNotFoundError(key) from error
            if error.code in (http.HTTPStatus.FORBIDDEN, http.HTTPStatus.UNAUTHORIZED):
                raise _ForbiddenError(
                    f"{key}: isn't in the bucket {self.name} at {self.endpoint}, or not for anybody to read "
                    f"({error.code})"
                ) from error
            if headers and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise NoPartsError(f"{key}: {self.endpoint} doesn't send the rest of it") from error
            if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
                raise ConnectionCutError(f"{key}: {self.endpoint} has trouble ({error.code} {error.reason})") from error
            raise DownloadError(f"{key}: {self.endpoint} answers {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionCutError(f"{key}: {self.endpoint} can't be reached ({error})") from error


def _is_rest(answer: http.client.HTTPResponse, file: RemoteFile, start: int) -> bool:
    """Whether an answer is the file's bytes from `start` on (RFC 9110, section 14.4): others would spoil the part."""
    said = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT or said is None:
        return False
    return int(said["start"]) == start and said["size"] in ("*", str(file.size))


def _version(headers: Message) -> str:
    """See RemoteFile. RFC 9110, section 8.8.2: a date is of whole seconds, so an ETag is the better of the two."""
    return headers.get("ETag") or headers.get("Last-Modified") or ""
