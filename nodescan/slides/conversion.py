"""The commands that are told to a user whose file can't be read as it is."""

from collections.abc import Sequence
from pathlib import Path

_TILED = "--tile --pyramid --compression jpeg"

_LOST_SPACING = "then give the um/px with --mpp UM if it is lost"
"""As it is where only the description says it: --strip leaves that out."""


def tiled_copy(path: Path, page: int = 0) -> str:
    """What makes one of a TIFF's pictures a slide of its own."""
    return f"`vips tiffsave {_page_of(path, page)} {path.stem}-tiled.tif {_TILED}`"


def apart(path: Path, pages: Sequence[int]) -> str:
    """What makes each of these pictures of a TIFF a slide, without what the file says of them all together."""
    command = f"`vips tiffsave {path.name}[page=N] {path.stem}-N.tif {_TILED} --strip`"
    numbers = ", ".join(map(str, pages))
    return f"save each of them as a file of its own: {command}, with N = {numbers}, {_LOST_SPACING}"


def alone(path: Path) -> str:
    """What makes a TIFF say nothing of further pictures."""
    return f"`vips tiffsave {path.name} {path.stem}-alone.tif {_TILED} --strip`, {_LOST_SPACING}"


def _page_of(path: Path, page: int) -> str:
    return f"{path.name}[page={page}]" if page else path.name
