"""Commands to suggest to a user whose file can't be read as it is."""

from collections.abc import Sequence
from pathlib import Path

from nodescan.domain.naming import few

_QUALITY = 90
"""Of JPEG. Of a made slide with fat, 2.255 mm2 of tissue, 2.252 were left at it, and 1.941 at vips' own 75."""

_TILED = f"--tile --pyramid --compression jpeg --Q {_QUALITY}"
_OPTIONS = f"[tile,pyramid,compression=jpeg,Q={_QUALITY}]"
"""Of a file name, for commands that know no options of the format."""

_LOST_SPACING = "then give the um/px with --mpp UM if it is lost"
"""As it is where only the description says it: --strip leaves that out."""


def tiled_copy(path: Path, page: int) -> str:
    """The command that makes one of a TIFF's pictures a separate slide."""
    return f"`vips tiffsave {_page_of(path, page)} {path.stem}-tiled.tif {_TILED}`"


def turned_copy(path: Path, page: int) -> str:
    """The command that turns a TIFF's pixels by its orientation. (tiffsave would copy the orientation and turn
    nothing.)"""
    return f"`vips autorot {_page_of(path, page)} {path.stem}-turned.tif{_OPTIONS}`"


def three_bands(path: Path) -> str:
    """The command that keeps only a TIFF's colours."""
    return f"`vips extract_band {path.name} {path.stem}-rgb.tif{_OPTIONS} 0 --n 3`"


def apart(path: Path, pages: Sequence[int]) -> str:
    """The commands that make each of these pictures a slide, without the TIFF's description of them all."""
    command = f"`vips tiffsave {path.name}[page=N] {path.stem}-N.tif {_TILED} --strip`"
    numbers = few(pages, 6)
    return f"save each of them as a file of its own: {command}, with N = {numbers}, {_LOST_SPACING}"


def alone(path: Path) -> str:
    """The command that removes further pictures from a TIFF's description."""
    return f"`vips tiffsave {path.name} {path.stem}-alone.tif {_TILED} --strip`, {_LOST_SPACING}"


def _page_of(path: Path, page: int) -> str:
    return f"{path.name}[page={page}]" if page else path.name
