"""The commands that are told to a user whose file can't be read as it is."""

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
    """What makes one of a TIFF's pictures a slide of its own."""
    return f"`vips tiffsave {_page_of(path, page)} {path.stem}-tiled.tif {_TILED}`"


def turned_copy(path: Path, page: int) -> str:
    """What turns a TIFF's pixels as its orientation says: tiffsave would copy what that says, and turn nothing."""
    return f"`vips autorot {_page_of(path, page)} {path.stem}-turned.tif{_OPTIONS}`"


def three_bands(path: Path) -> str:
    """What keeps the colours of a TIFF alone."""
    return f"`vips extract_band {path.name} {path.stem}-rgb.tif{_OPTIONS} 0 --n 3`"


def apart(path: Path, pages: Sequence[int]) -> str:
    """What makes each of these pictures of a TIFF a slide, without what the file says of them all together."""
    command = f"`vips tiffsave {path.name}[page=N] {path.stem}-N.tif {_TILED} --strip`"
    numbers = few(pages, 6)
    return f"save each of them as a file of its own: {command}, with N = {numbers}, {_LOST_SPACING}"


def alone(path: Path) -> str:
    """What makes a TIFF say nothing of further pictures."""
    return f"`vips tiffsave {path.name} {path.stem}-alone.tif {_TILED} --strip`, {_LOST_SPACING}"


def _page_of(path: Path, page: int) -> str:
    return f"{path.name}[page={page}]" if page else path.name
