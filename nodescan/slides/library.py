"""Which OpenSlide is loaded."""

import openslide


def library_versions() -> tuple[str, str]:
    """The versions of the OpenSlide library itself and of its Python package."""
    return openslide.__library_version__, openslide.__version__
