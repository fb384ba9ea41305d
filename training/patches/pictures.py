"""The picture of a patch, as 8-bit RGB; one that would be learned from as another than it is, is refused."""

from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nodescan.errors import UsageError
from nodescan.mask_images import cut_off, has_few_bits
from nodescan.picture_files import DAMAGED_IMAGE, load_whole, opened_picture, what_is_wrong

_FORMATS = ("JPEG", "PNG", "TIFF", "BMP")
_DEEP_GREY = ("I", "F")
"""What begins the names of Pillow's grey modes of 16 and 32 bits."""

_OPAQUE = 255


def colours_of(file: Path | IO[bytes], name: str, *, longest_px: int | None = None) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) RGB: the one picture of a file. name: what errors call it.

    Raises UsageError where it can't be read, or another picture than the file's would come of it, or where a side of
    it is longer than longest_px.
    """
    try:
        with opened_picture(file, _FORMATS) as image:
            refusal = _refusal(image)
            if longest_px is not None and max(image.size) > longest_px:
                refusal = f"has {image.width} x {image.height} px, and no patch is so large; take it out"
            if not refusal:
                load_whole(image)
                if not _is_transparent(image):
                    return np.asarray(image.convert("RGB"))
                refusal = (
                    "is transparent in part, and what lies there would be read as tissue; save it in RGB, on white"
                )
    except (*DAMAGED_IMAGE, OSError) as error:
        raise UsageError(f"{name} is not a readable image ({what_is_wrong(error)}); copy it again") from error
    raise UsageError(f"{name} {refusal}")


def _refusal(image: Image.Image) -> str:
    """Why a picture isn't taken for a patch, by how it is stored, and what to do; "" where it is.

    Grey of 16 bits Pillow would cut off at 255 rather than scale, so that a slide would be white all over; of colours
    it takes the higher 8 bits, so that those of a camera of 12 bits would be nearly black.
    """
    pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # a camera's JPEG and its previews
    if pages > 1:
        return f"holds {pages} images, and which of them is the patch would be a guess; save one alone"
    if image.mode.startswith(_DEEP_GREY):
        return f"is grey of more than 8 bits ({image.mode}), which would turn white; save it in RGB of 8 bits"
    if has_few_bits(image):
        return "has colours of 5 and 6 bits, too few for stained tissue; save it in RGB of 8 bits"
    if lost := cut_off(image):
        return f"holds {lost}, of which a part would be cut off; save it in RGB of 8 bits"
    if image.mode == "1":
        return "is of black and white alone, as a mask is; take it out of the patches, or save it in RGB"
    return ""


def _is_transparent(image: Image.Image) -> bool:
    """Whether any pixel is less than opaque, by a channel, a palette or the one colour that a PNG may name."""
    return image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < _OPAQUE
