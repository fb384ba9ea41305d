"""The lists of checksums that a data set in the bucket may carry, as the tools that make them write them."""

import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from nodescan.domain.naming import few
from training.camelyon.bucket import DownloadError
from training.camelyon.manifest import DIGESTS, DataSlide

CHECKSUM_LISTS = ("checksums.txt", "checksums.md5")
"""Lists of sums that a data set may carry at its top, as sha256sum and md5sum write them."""

_GNU = re.compile(r"\\?(?P<digest>[0-9a-fA-F]+)[ \t]+\*?(?P<name>.+)")
"""GNU's form; a "\" before the digest says that "\" in the name is written twice."""
_BSD = re.compile(r"\w+ \((?P<name>.+)\) = (?P<digest>[0-9a-fA-F]+)")
"""What BSD's and macOS' tools, and sha256sum --tag, write."""


def parse_checksums(text: str) -> dict[str, tuple[str, ...]]:
    """Path to its digests, from lines `digest  path`, `digest *path` or `MD5 (path) = digest`.

    Other lines (comments) are passed over. Folders in a path may be written with a backslash, and a path may begin at
    the root or with "./".
    """
    sums: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        found = _BSD.fullmatch(line.strip()) or _GNU.fullmatch(line.strip())
        if found and len(found["digest"]) in DIGESTS:
            path = PurePosixPath("/", found["name"].strip().replace("\\", "/").lstrip("/"))
            name = "/".join(path.parts[1:])
            sums[name] = (*sums.get(name, ()), found["digest"].lower())
    return sums


def published_sums(
    keys: Mapping[str, DataSlide], read: Callable[[str], str | None], tell: Callable[[str], None]
) -> dict[str, str]:
    """Sums by key, from the lists at the top of each data set.

    keys: of files, each with its row. read: the text of a key, None where there is none. tell: hears once a data set
    that it has a list, and which files no list names and no sum of the manifest's verifies. Raises DownloadError for
    a list that has two sums of one kind for one of the keys.
    """
    sums: dict[str, str] = {}
    for top in sorted({PurePosixPath(key).parts[0] for key in keys}):
        texts = {place: read(place) for place in (f"{top}/{name}" for name in CHECKSUM_LISTS)}
        there = [place for place, text in texts.items() if text is not None]
        inside = [key for key in keys if PurePosixPath(key).parts[0] == top]
        for place in there:
            listed = parse_checksums(texts[place] or "")
            for key in inside:
                if digests := _listed(listed, key):
                    sums.setdefault(key, _one_of(digests, key, place))
        unnamed = [key for key in inside if key not in sums and not (key == keys[key].key and keys[key].checksum)]
        if there and unnamed:
            tell(f"{' and '.join(there)}: no checksum of {few(unnamed, 3)}, so only sizes can be checked there")
    return sums


def _listed(sums: Mapping[str, tuple[str, ...]], key: str) -> tuple[str, ...]:
    """The sums of a key: a list names its files from any folder on."""
    parts = PurePosixPath(key).parts
    found = (sums.get("/".join(parts[start:]), ()) for start in range(len(parts)))
    return next((digests for digests in found if digests), ())


def _one_of(digests: tuple[str, ...], key: str, place: str) -> str:
    """The longest, of sums of several kinds. Raises DownloadError where the longest are two: either may be wrong."""
    longest = max(map(len, digests))
    first, *others = dict.fromkeys(digest for digest in digests if len(digest) == longest)
    if others:
        raise DownloadError(
            f"{place}: holds two sums for {key}, {first} and {others[0]}, and which of them is right would be a guess; "
            "tell whoever keeps the data set, or leave the file out of the manifest"
        )
    return first
