"""OpenSlide handles that outlive a bad tile."""

import re
import threading
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.errors import WorkerError
from nodescan.slides.diagnosis import rejection
from nodescan.slides.stored import StoredSlide
from nodescan.slides.tiff_checks import LARGEST_TILE_PX
from nodescan.slides.tiff_images import as_one_slide

_DISORDERED = "its levels are out of order, as where planes of focus follow one another"
"""OpenSlide says of such a file no more than that it is none of its formats."""

OLDEST_LIBRARY = (4, 0, 1)
_WHY_NOT_OLDER = "4.0.0 can't read empty deflate tiles of sparse TIFFs"

INSTALL_LIBRARY = "install the library that openslide-bin brings: pip install --upgrade openslide-bin"


def library_versions() -> tuple[str, str]:
    """The versions of the OpenSlide library itself and of its Python package."""
    return openslide.__library_version__, openslide.__version__


def too_old() -> str:
    """The message about a library older than OLDEST_LIBRARY, which may be the system's; "" for a newer one."""
    library, package = library_versions()
    if tuple(map(int, re.findall(r"\d+", library)[:3])) >= OLDEST_LIBRARY:
        return ""
    wanted = ".".join(map(str, OLDEST_LIBRARY))
    needed = f"needed is OpenSlide {wanted} or newer, because {_WHY_NOT_OLDER}"
    return f"OpenSlide {library}, openslide-python {package}; {needed}"


def tile_cache(kept_bytes: int) -> openslide.OpenSlideCache:
    """Raises WorkerError where the library is too old: then no slide is opened."""
    if wrong := too_old():
        raise WorkerError(f"{wrong}; {INSTALL_LIBRARY}")
    return openslide.OpenSlideCache(kept_bytes)


class HandlePool:
    """OpenSlide handles of one file, each in one thread's hands at a time.

    A handle that failed once always fails. So each thread has its own: one thread's bad tile can't disturb another's
    reads. A failed handle is dropped, and the area is tried once more on a new one. All handles share one cache of
    decoded tiles, of `kept_bytes` or of one tile if that is larger. (By default each would have its own of 32 MB.)
    """

    def __init__(self, path: Path, *, kept_bytes: int) -> None:
        self._path = path
        self._cache = tile_cache(kept_bytes)
        self._lock = threading.Lock()
        self._idle: list[openslide.OpenSlide] = []
        self._closed = False
        try:
            handle = self._opened()
            told = StoredSlide(dict(handle.properties), handle.level_dimensions, handle.level_downsamples)
            self.stored = as_one_slide(path, told)
        except openslide.OpenSlideUnsupportedFormatError:
            known = openslide.OpenSlide.detect_format(path) is not None
            raise rejection(path, _DISORDERED if known else "") from None
        except openslide.OpenSlideError as error:
            raise rejection(path, str(error)) from None
        tile_bytes = _largest_tile_bytes(told)
        if 0 < kept_bytes < tile_bytes:
            self._cache = tile_cache(tile_bytes)
            handle.set_cache(self._cache)
        self._idle.append(handle)

    def read_level(self, index: int, box: PixelBox) -> NDArray[np.uint8]:
        """uint8 (box.height, box.width, 4) RGBA, as on_white takes it, of a box in the level. Raises OpenSlideError."""
        handle = self._take()
        try:
            pixels = self._read(handle, index, box)
        except openslide.OpenSlideError:
            handle.close()
            handle = self._opened()
            pixels = self._read(handle, index, box)
        self._give_back(handle)
        return pixels

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for handle in idle:
            handle.close()

    def _read(self, handle: openslide.OpenSlide, index: int, box: PixelBox) -> NDArray[np.uint8]:
        """OpenSlide is asked for the level-0 pixel that its own arithmetic takes nearest to the level's pixel."""
        downsample = self.stored.downsamples[index]
        place = (round(box.left * downsample), round(box.top * downsample))
        return np.asarray(handle.read_region(place, index, (box.width, box.height)))

    def _take(self) -> openslide.OpenSlide:
        with self._lock:
            if self._closed:
                raise ValueError(f"{self._path.name} is closed")
            if self._idle:
                return self._idle.pop()
        return self._opened()

    def _opened(self) -> openslide.OpenSlide:
        handle = openslide.OpenSlide(self._path)
        handle.set_cache(self._cache)
        return handle

    def _give_back(self, handle: openslide.OpenSlide) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(handle)
                return
        handle.close()


def _largest_tile_bytes(stored: StoredSlide) -> int:
    """Of a decoded tile, in four channels, of any level; 0 where OpenSlide names none. A cache that doesn't hold one
    has it decoded anew for every read: 62 s against 22 for a slide of one tile of 16,384 px."""
    sizes_px = (size or (0, 0) for size in stored.tiles_px)
    return 4 * max(min(width * height, LARGEST_TILE_PX) for width, height in sizes_px)


def on_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """rgba : uint8 (H, W, 4), not premultiplied -> uint8 (H, W, 3) on a white ground."""
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return rgba[..., :3]
    weight = alpha.astype(np.uint16)
    return ((rgba[..., :3] * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)
