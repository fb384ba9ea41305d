"""Checks Deflate streams against the checksum at their end, which libtiff doesn't read."""

import zlib

_PIECE_BYTES = 2**20
"""So much is unpacked at a time, and let go."""


def ends_with_its_sum(packed: bytes, most_bytes: int) -> bool | None:
    """Whether a stream unpacks, and its checksum is right; None where it doesn't end within `most_bytes`, or at all.

    Data after these bytes isn't unpacked, because it may be a thousand times as long as its file.
    """
    unpacking, found = zlib.decompressobj(), 0
    try:
        while not unpacking.eof:
            piece = unpacking.decompress(packed, _PIECE_BYTES)
            packed = unpacking.unconsumed_tail
            found += len(piece)
            if found > most_bytes or not (piece or unpacking.eof):
                return None
    except zlib.error:
        return False
    return True
