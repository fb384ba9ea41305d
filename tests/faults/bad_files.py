"""One bad slide before a good one: what each kind of damage must come to."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults import spoilt
from tests.faults.room import COMPLETE, NOT_COMPLETE, Room, check
from tests.faults.scene import LIMIT_S

_UNREAD = ("failed", "incomplete")
_TOO_BIG = 30_000_000


@dataclass(frozen=True, slots=True)
class BadFile:
    """A kind of damage. file: the slide's name; make: puts it there; statuses: which will do.

    says: a word of the reason that tells the user what is wrong, "" for any.
    """

    name: str
    must: str
    file: str
    make: Callable[[Path], object]
    statuses: tuple[str, ...]
    says: str = ""
    limit_s: float = LIMIT_S

    def act(self, room: Room) -> str:
        """Scan the slide before a good one, which must come out complete."""
        bad = room.slides / self.file
        self.make(bad)
        code = COMPLETE if self.statuses == ("complete",) else NOT_COMPLETE
        ran = room.run(bad, room.good(), expect=code)
        row = ran.rows[bad.stem]
        check(row["status"] in self.statuses, f"{row['status']}: {row['reason'] or row['flags']}")
        check(self.says in row["reason"] + row["flags"], f"{row['status']}, but not a word of {self.says!r}: {row}")
        check(ran.status("good") == "complete", f"the good one is {ran.status('good')}: {ran.reason('good')}")
        return f"{row['status']}: {row['reason'] or row['flags'] or row['metastasis']}"


def _truncated(path: Path, share: float) -> None:
    spoilt.truncate(spoilt.plain_tiff(path), share)


def _one_bad_tile(path: Path) -> None:
    spoilt.spoil_tiles(spoilt.plain_tiff(path, side_px=1536, tile_px=64), lambda number: [number // 2 + 37])


def _every_tenth(path: Path) -> None:
    spoilt.spoil_tiles(spoilt.plain_tiff(path, tile_px=64), lambda number: range(0, number, 10))


def _level_unreadable(path: Path) -> None:
    spoilt.spoil_tiles(spoilt.plain_tiff(path, side_px=1536, levels=2, mpp_um=0.475), range, level=1)


def _random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(5).randbytes(100_000))


def _no_spacing(path: Path) -> None:
    spoilt.aperio(path, mpp=None)


def _pyramid(path: Path) -> Path:
    return spoilt.plain_tiff(path, side_px=1536, levels=2, mpp_um=0.475, grain_px=2)  # finer averages to a blur


BAD_FILES: tuple[BadFile, ...] = (
    BadFile(
        "truncated at 10 %",
        "not complete; said to be cut off",
        "a.tif",
        partial(_truncated, share=0.1),
        _UNREAD,
        "missing",
    ),
    BadFile(
        "truncated at 50 %",
        "not complete; said to be cut off",
        "a.tif",
        partial(_truncated, share=0.5),
        _UNREAD,
        "missing",
    ),
    BadFile(
        "truncated at 99 %",
        "not complete; said to be cut off",
        "a.tif",
        partial(_truncated, share=0.99),
        _UNREAD,
        "missing",
    ),
    BadFile(
        "truncated before the directory",
        "failed: cut off",
        "a.svs",
        lambda path: spoilt.truncate(spoilt.aperio(path), 0.5),
        ("failed",),
        "missing",
    ),
    BadFile("zero bytes", "failed: empty", "a.svs", Path.touch, ("failed",), "0 bytes"),
    BadFile(
        "text named .svs",
        "failed: not a slide",
        "a.svs",
        lambda path: path.write_text("Dear colleague,\n" * 99),
        ("failed",),
        "not a slide",
    ),
    BadFile("random bytes", "failed: not a slide", "a.tif", _random_bytes, ("failed",), "not a slide"),
    BadFile("one bad tile", "incomplete; the rest is examined", "a.tif", _one_bad_tile, ("incomplete",), "unread"),
    BadFile("every tenth tile bad", "failed: too much unread", "a.tif", _every_tenth, ("failed",), "read"),
    BadFile("a level's tiles bad", "not complete; unread tissue is said", "a.tif", _level_unreadable, _UNREAD, "read"),
    BadFile(
        "a level missing",
        "scanned from what there is",
        "a.tif",
        lambda path: spoilt.cut_chain(_pyramid(path)),
        ("complete",),
    ),
    BadFile(
        "a level's directory beyond the end",
        "scanned, or refused with the reason",
        "a.tif",
        lambda path: spoilt.dangling_chain(_pyramid(path)),
        ("complete", *_UNREAD),
        "missing",
    ),
    BadFile(
        "header claims 2 billion px a side",
        "failed, without the memory for it",
        "a.tif",
        lambda path: spoilt.claim_size(spoilt.plain_tiff(path), 2**31 - 1),
        _UNREAD,
    ),
    BadFile(
        "header claims 30 million px a side",
        "failed, without the memory for it",
        "a.svs",
        lambda path: spoilt.claim_size(spoilt.aperio(path), _TOO_BIG),
        _UNREAD,
    ),
    BadFile(
        "a million px a side, all of one tile",
        "failed, without the memory or the days for it",
        "a.tif",
        lambda path: spoilt.sparse_giant(path, 1_000_192),
        ("failed",),
    ),
    BadFile("no spacing", "unmeasurable; --mpp named", "a.svs", _no_spacing, ("unmeasurable",), "--mpp"),
    *(
        BadFile(
            f"spacing {value}",
            "unmeasurable; --mpp named",
            "a.svs",
            partial(spoilt.aperio, mpp=value),
            ("unmeasurable",),
            "--mpp",
        )
        for value in ("0", "-0.5", "nan", "100", "inf", "abc")
    ),
    BadFile("no tissue", "incomplete, never negative; said", "a.tif", spoilt.glass, ("incomplete",), "no_tissue"),
    BadFile("all tissue", "complete", "a.tif", spoilt.all_tissue, ("complete",)),
    BadFile("a pipe named .svs", "failed; nobody waits for it", "a.svs", os.mkfifo, ("failed",), "neither a file"),
    BadFile(
        "a link to nothing",
        "failed: isn't there",
        "a.svs",
        lambda path: path.symlink_to("gone.svs"),
        ("failed",),
        "link",
    ),
    BadFile(
        "a link to itself", "failed with the reason", "a.svs", lambda path: path.symlink_to(path.name), ("failed",)
    ),
)
