"""Every error that nodescan raises on purpose, drawn as one tree.

NodescanError
├── UsageError                the command or its settings are wrong (exit code 2)
│   └── ConfigError           a configuration file is
├── SlideError                one slide can't be used; the batch goes on
│   ├── NotASlideError        no reader knows the file
│   ├── UnmeasurableError     no trustworthy spacing, so nothing can be measured
│   ├── RegionUnreadableError one area of a slide that otherwise opens
│   ├── TooLargeError         it takes more memory than there is
│   ├── WorkerDiedError       the process that read it ended
│   │   ├── DiedTwiceError    at the second try too
│   │   ├── CrowdedError      it lives, but memory ran out for two slides in it
│   │   └── DisplacedError    it ended because of another slide
│   └── StalledError          the process that read it got no further
├── ModelError                a card or its weights
├── AnnotationError           an outline or mask file
├── DeviceError               the device asked for isn't there, or can't do the work
│   └── DeviceLostError       a GPU failed at its work: this process can't use it any more
├── WorkerError               no process to scan with can be started, or none is left
├── ClusterError              a Dask cluster can't be reached, can't do the work, or was lost
├── StoppedError              the user ended the program (exit code 130)
├── LockLostError             a run's output folder is no longer its own
└── OutputError               results can't be written (exit code 2 before the first slide; later it is told, and 1)
    └── NoRoomLeftError       for several slides in a row: the run stopped (exit code 1)
"""

from typing import ClassVar

from nodescan.process_limits import address_limit_bytes


class NodescanError(Exception):
    """The root: its text is one line that a user can act on. code: of the flag on a slide that has no result because of
    it."""

    code: ClassVar[str] = "failed"


class UsageError(NodescanError):
    """The command line asks for something that can't be done."""


def nothing_there(place: object) -> UsageError:
    """The error for a named path at which there is nothing."""
    return UsageError(f"{place}: there is no such file or folder; check the spelling")


class ConfigError(UsageError):
    """A configuration file is wrong; the text names the file and the key's path."""


class SlideError(NodescanError):
    """One slide can't be used.

    slide: its file name or id. reason: what is wrong. remedy: what the user can do, "" where nothing helps. in_reports:
    the reason without private names, for reports; "" if the reason has none.
    """

    code = "unreadable"

    def __init__(self, slide: str, reason: str, remedy: str = "", in_reports: str = "") -> None:
        super().__init__(slide, reason, remedy, in_reports)
        self.slide = slide
        self.reason = reason
        self.remedy = remedy
        self.in_reports = in_reports or reason

    def __str__(self) -> str:
        text = f"{self.slide}: {self.reason}"
        return f"{text}; {self.remedy}" if self.remedy else text


class NotASlideError(SlideError):
    """No reader knows the file."""

    code = "not_a_slide"


class UnmeasurableError(SlideError):
    """The slide opens, but its spacing is missing, absurd or contradicted, so no size would be true."""

    code = "unmeasurable"


class TooLargeError(SlideError):
    """It takes more memory than there is free."""

    code = "failed"


class RegionUnreadableError(SlideError):
    """An area of the slide can't be decoded; the slide stays usable elsewhere."""


class WorkerDiedError(SlideError):
    """The process that read the slide ended before it was done: by a signal, by itself, or because its GPU failed."""

    code = "worker_died"


class DiedTwiceError(WorkerDiedError):
    """The second process that read the slide ended, too: it gets no third one."""


class CrowdedError(WorkerDiedError):
    """Memory ran out while another slide was scanned in the same process: alone it may have enough."""


class DisplacedError(WorkerDiedError):
    """The process that was to read the slide was ended because of another one, or before it was handed over."""


class StalledError(SlideError):
    """The process that read the slide got no further for so long that it was ended."""

    code = "stalled"


class ModelError(NodescanError):
    """A model card or its weights are missing, damaged or don't fit together."""

    code = "model_failed"


class AnnotationError(NodescanError):
    """An outline or mask file can't be used; the text names the file and the place in it."""


class DeviceError(NodescanError):
    """The device asked for by name isn't there, doesn't compute, or has no room for one tile."""


class DeviceLostError(DeviceError):
    """A GPU failed at its work. This process can't use it any more; another one may.

    reason: what the GPU failed with. remedy: what the user can do, of a scan unless another is given.
    """

    remedy: str = "look at it with nvidia-smi and run again, or use --device cpu"

    def __init__(self, reason: str, remedy: str = remedy) -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}"


class WorkerError(NodescanError):
    """No process to scan slides with can be started, or none is left, so the batch can't go on."""


def no_thread() -> WorkerError:
    """Of a system that gives no more threads."""
    return WorkerError(f"no thread can be started; {more_threads()}")


def more_threads() -> str:
    """What to do where the system gives no more threads: it counts them as processes, and each takes memory."""
    memory = "" if address_limit_bytes() is None else " or that of memory (ulimit -v)"
    return f"end other programs, or raise the limit of processes (ulimit -u){memory}"


def more_memory() -> str:
    """What to do where memory ran out for a slide."""
    limit = "" if address_limit_bytes() is None else "raise the limit of memory (ulimit -v), "
    return f"{limit}end other programs or use fewer --slots"


class ClusterError(NodescanError):
    """A Dask cluster can't be reached, its workers can't do a run's work, or it was lost."""


class StoppedError(NodescanError):
    """Ctrl-C or a signal like it ended the program; the text says what is done so far."""


class LockLostError(NodescanError):
    """The run's output folder was taken away or taken over; it stops and writes nothing more."""


class OutputError(NodescanError):
    """Results can't be written; the text names the path."""

    code = "not_written"


class NoRoomLeftError(OutputError):
    """No result of several slides in a row could be written, nor a file in the run's folder, so the run stopped."""


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its class if it has no text. Other libraries add more lines."""
    return next(iter(str(error).splitlines()), type(error).__name__)
