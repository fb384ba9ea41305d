"""Deflate streams held against the checksum at their end, which libtiff doesn't read on to."""

import zlib

_PIECE_BYTES = 2**20
"""So much is unpacked at a time, and let go."""


def ends_with_its_sum(packed: bytes, most_bytes: int) -> bool:
    """Whether a stream unpacks to at most `most_bytes`, and its checksum is right.

    What goes on behind them isn't unpacked, for it may be a thousand times as long as its file.
    """
    unpacking, found = zlib.decompressobj(), 0
    try:
        while not unpacking.eof:
            piece = unpacking.decompress(packed, _PIECE_BYTES)
            packed = unpacking.unconsumed_tail
            found += len(piece)
            if found > most_bytes:
                return False
            if not piece:
                return unpacking.eof
    except zlib.error:
        return False
    return True
