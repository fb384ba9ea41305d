"""The messages between a run and its worker processes: one line of JSON each."""

import base64
import json
import pickle
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodescan.batch.limits import MAX_UNREAD_PERCENT
from nodescan.batch.lock import LOCK_FILE, Ticket
from nodescan.domain.slide import SlideRef

if TYPE_CHECKING:
    from nodescan.batch.progress import Viewer
    from nodescan.interfaces import TilePredictor

Message = Mapping[str, Any]
"""A line taken apart: a border type. "event" (from a worker) or "ask" (to it) says which."""

OPENER = "nodescan.inference.slots:open_in_slot"
"""Opens the model of a folder on a device for a slot, and says how many slots the machine has devices for."""


SLIDES_AT_ONCE = 2
"""The most slides in one worker: the network answers for one, while the next one's overview is read or the last one's
reports are written."""


@dataclass(frozen=True, slots=True)
class ScanJob:
    """How a worker scans every slide it is handed: text and paths alone, so that it travels anywhere.

    max_unread_percent: of the tissue, from which on a slide is failed. run_id: of the run that holds the folder's lock,
    "" where none does. model: its folder. card_sha256: of its card, which may change while a run goes on; "" for any.
    made_with: the run's nodescan, as (version, result version), which may change meanwhile, too; None for any.
    config_text: the settings as read, whole. precision: as BatchRequest's. opener: "module:function", see OPENER.
    """

    folder: Path
    model: Path
    device: str
    config_name: str
    config_text: str
    reports: tuple[str, ...]
    opener: str = OPENER
    precision: str = "auto"
    max_unread_percent: float = MAX_UNREAD_PERCENT
    run_id: str = ""
    card_sha256: str = ""
    made_with: tuple[str, int] | None = None

    def open_model(self, slot: int) -> "tuple[TilePredictor, int]":
        """What the opener returns. Raises ModelError or DeviceError."""
        opener = pkgutil.resolve_name(self.opener)
        return opener(self.model, device=self.device, slot=slot, precision=self.precision)

    @property
    def ticket(self) -> Ticket:
        """Of the run that handed the job out."""
        return Ticket(self.folder / LOCK_FILE, self.run_id)

    def may_write(self) -> None:
        """Raises LockLostError where that run held the folder, and does so no longer."""
        if self.run_id:
            self.ticket.check()


def job_line(job: ScanJob, slot: int) -> bytes:
    """The first thing a worker is told. slot: its number, from 0 on, which chooses its GPU where there are several.

    made_with stands beside the job, which a worker of another version may not be able to unpack.
    """
    return line_of({"ask": "open", "made_with": job.made_with, "job": packed(job), "slot": slot})


def slide_line(ref: SlideRef, number: int) -> bytes:
    """A slide to scan. number: all that is told of it bears it."""
    return line_of({"ask": "scan", "number": number, "slide": packed(ref)})


def show_news(message: Message, viewer: "Viewer") -> None:
    """Tell the viewer what another one, of a worker, heard of a slide under way."""
    getattr(viewer, message["event"])(**message["facts"])


def packed(value: object) -> str:
    """A job, a slide, a report or an error as text.

    What is unpacked comes over the pipes between a run and a process that it started itself, which no other can write
    to, so pickle is safe here.
    """
    return base64.b64encode(pickle.dumps(value)).decode("ascii")


def unpacked(text: str) -> Any:
    return pickle.loads(base64.b64decode(text))


def line_of(message: Message) -> bytes:
    """One line, whatever stands in the names of files: JSON in ASCII, with lone surrogates escaped."""
    return json.dumps(message).encode("ascii") + b"\n"
