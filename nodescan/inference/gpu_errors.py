"""Sorts errors of a GPU's libraries: memory ran out, or the GPU can't be used any more in this process.

Their errors are RuntimeErrors that differ only in their words. torch has a class for lack of memory, and from 2.8 on
one for other errors (AcceleratorError), but errors of cuDNN and cuBLAS have neither.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from nodescan.errors import DeviceError, DeviceLostError, first_line

_OUT_OF_MEMORY = (
    "out of memory",
    "unable to find an engine",
    "unable to find a valid cudnn algorithm",
    "alloc_failed",
    "allocation_failed",
    "nvml_success ==",
)
"""What torch says where memory is wanting, in small letters: its own, CUDA's, cuDNN's (no way has room), cuBLAS'; and,
on a slice of a GPU (MIG), what its allocator trips over as it asks the driver who holds the memory (pytorch 112377).

cuDNN finds no way on a GPU that fails as it looks for one, either, and doesn't say why: torch.cuda.synchronize() then
raises what happened, and nothing where memory alone was wanting."""

_LOST = ("CUDA error", "CUDA driver error", "cuDNN error", "HIP error")
"""How torch's messages about all other errors begin. After most of them every later call of the process fails, too."""

NO_ROOM = "has no room for"
"""Stands in the text of no_room(), and in the description of the CPU that is taken instead."""


def is_out_of_memory(error: Exception) -> bool:
    return any(words in first_line(error).lower() for words in _OUT_OF_MEMORY)


def is_lost(error: RuntimeError) -> bool:
    """Whether a GPU failed, and not for want of memory."""
    return first_line(error).startswith(_LOST) and not is_out_of_memory(error)


def lost(error: RuntimeError) -> DeviceLostError:
    """What is raised for an error of which is_lost() is true."""
    return DeviceLostError(f"the GPU failed ({first_line(error)})")


@contextmanager
def gpu_errors(doing: str) -> Iterator[None]:
    """A GPU's RuntimeErrors as DeviceErrors, all others as they are. doing: what there is no memory for, in words."""
    try:
        yield
    except RuntimeError as error:
        if is_lost(error):
            raise lost(error) from error
        if not is_out_of_memory(error):
            raise
        raise no_room(doing, first_line(error)) from error


def no_room(what: str, said: str, *, gpu: str = "the GPU") -> DeviceError:
    """said: the line of whoever had no memory left for it; only its first sentence is told, others count bytes."""
    why = said.partition(". ")[0]
    return DeviceError(f"{gpu} {NO_ROOM} {what} ({why}); end other programs on it, or use --device cpu")
