"""A BMP that Pillow reads and doesn't write."""

import struct


def bmp_of_5_6_5(side_px: int) -> bytes:
    """White, in two bytes a pixel, told by masks of 5, 6 and 5 bits. side_px: even."""
    pixels = b"\xff\xff" * side_px * side_px
    info = struct.pack("<IiiHHIIiiII", 40, side_px, side_px, 1, 16, 3, len(pixels), 0, 0, 0, 0)
    masks, start = struct.pack("<III", 0xF800, 0x07E0, 0x001F), 14 + 40 + 12
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + masks + pixels
