"""Files that come with the program: inside an installed package, or beside it in a checkout."""

from importlib.resources import files
from pathlib import Path


def packed_file(name: str) -> Path:
    """name: from the package or the checkout on, as "docs/limits.md"."""
    package = Path(str(files("nodescan")))
    packed = package / name
    return packed if packed.is_file() else package.parent / name
