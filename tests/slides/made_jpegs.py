"""Slides of JPEG tiles as scanners and converters write them, made small."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from tests.slides.made_files import noise, overwrite

APERIO = "Aperio Image Library v11.2.1\n{width}x{height} (240x240) JPEG/RGB Q=30|AppMag = 20|MPP = 0.25"


@dataclass(frozen=True, slots=True)
class Coding:
    """How tiles are coded. shared: quantisation and Huffman tables stand in the TIFF's JPEGTables, not in the tiles."""

    photometric: str = "ycbcr"
    subsampling: str = "420"
    tile_px: int = 256
    shared: bool = False
    bigtiff: bool = False
    byteorder: str = "<"


def tissue_like(width: int, height: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 (height, width, 3): grain, nuclei-sized blobs and flat glass, each neighbourhood its own."""
    grain = noise(width, height, seed=seed).astype(np.float32)
    blobs = ndimage.gaussian_filter(grain, (5, 5, 0)) - 127.5
    pixels = 190 + 9 * blobs + 0.15 * (grain - 127.5)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def write_jpegs(
    path: Path, levels: list[NDArray[np.uint8]], coding: Coding, *, description: str | None = None, software: str = ""
) -> Path:
    """A tiled pyramid. levels : uint8 (H, W, 3) RGB each, finest first, at 0.25 um/px.

    An Aperio description gets a thumbnail in strips behind level 0, as in the scanner's files.
    """
    aperio = (description or "").startswith("Aperio")
    with tifffile.TiffWriter(path, bigtiff=coding.bigtiff, byteorder=coding.byteorder) as tiff:
        for index, pixels in enumerate(levels):
            tiles, tables = _tiles(pixels, coding)
            tiff.write(
                iter(tiles),
                shape=pixels.shape,
                dtype=np.uint8,
                tile=(coding.tile_px, coding.tile_px),
                photometric="ycbcr",
                compression="jpeg",
                jpegtables=tables or None,
                subsampling=(1, 1),
                subfiletype=0 if aperio else int(index > 0),
                resolution=(40_000, 40_000),
                resolutionunit="CENTIMETER",
                description=description if index == 0 else None,
                software=software or None,
                metadata=None,
            )
            if aperio and index == 0:
                tiff.write(pixels[::8, ::8], rowsperstrip=16, photometric="rgb", metadata=None)
    if coding.photometric == "rgb":  # which tifffile calls YCbCr in JPEG, whatever it is told
        for level in range(len(levels)):
            set_tag(path, 262, 2, level=level)
    return path


def philips_xml(*spacings_mm: float) -> str:
    """The description of a Philips TIFF whose levels have these spacings."""
    level = (
        '<DataObject ObjectType="PixelDataRepresentation"><Attribute Name="DICOM_PIXEL_SPACING" '
        'PMSVR="IDoubleArray">"{0}" "{0}"</Attribute></DataObject>'
    )
    levels = "".join(level.format(spacing) for spacing in spacings_mm)
    return (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">'
        '<Attribute Name="PIM_DP_SCANNED_IMAGES" PMSVR="IDataObjectArray"><Array>'
        '<DataObject ObjectType="DPScannedImage"><Attribute Name="PIM_DP_IMAGE_TYPE" PMSVR="IString">WSI</Attribute>'
        f'<Attribute Name="DICOM_PIXEL_SPACING" PMSVR="IDoubleArray">"{spacings_mm[0]}" "{spacings_mm[0]}"</Attribute>'
        '<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE" PMSVR="IDataObjectArray"><Array>'
        f"{levels}</Array></Attribute></DataObject></Array></Attribute></DataObject>"
    )


def tile_place(path: Path, *, level: int, tile: int) -> tuple[int, int]:
    """(offset, length) of a compressed tile. level: of the tiled directories."""
    with tifffile.TiffFile(path) as tiff:
        page = [page for page in tiff.pages if page.is_tiled][level]
        return page.dataoffsets[tile], page.databytecounts[tile]


def set_tag(path: Path, tag: int, value: int, *, level: int = 0, index: int = 0) -> None:
    """Overwrites one number of a field of the level's directory."""
    with tifffile.TiffFile(path) as tiff:
        field = [page for page in tiff.pages if page.is_tiled][level].tags[tag]
        width = {3: 2, 4: 4, 16: 8}[int(field.dtype)]
        code = {2: "H", 4: "I", 8: "Q"}[width]
        place, order = field.valueoffset + index * width, tiff.byteorder
    overwrite(path, place, struct.pack(f"{order}{code}", value))


def _tiles(pixels: NDArray[np.uint8], coding: Coding) -> tuple[list[bytes], bytes]:
    """The compressed tiles, row by row, and their shared tables (b"" where each carries its own)."""
    height, width = pixels.shape[:2]
    size = coding.tile_px
    padded = np.pad(pixels, ((0, -height % size), (0, -width % size), (0, 0)), mode="edge")
    jpegs = [
        imagecodecs.jpeg8_encode(
            np.ascontiguousarray(padded[top : top + size, left : left + size]),
            level=85,
            colorspace="RGB",
            outcolorspace="RGB" if coding.photometric == "rgb" else "YCBCR",
            subsampling=coding.subsampling,
            optimize=False,
        )
        for top in range(0, height, size)
        for left in range(0, width, size)
    ]
    if not coding.shared:
        return jpegs, b""
    tables = b"".join(segment for marker, segment in _segments(jpegs[0]) if marker in (0xDB, 0xC4))
    short = [
        b"\xff\xd8" + b"".join(part for marker, part in _segments(jpeg) if marker in (0xC0, 0xDA)) for jpeg in jpegs
    ]
    return short, b"\xff\xd8" + tables + b"\xff\xd9"


def _segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    place = 2
    while place < len(jpeg):
        marker = jpeg[place + 1]
        end = len(jpeg) if marker == 0xDA else place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        yield marker, jpeg[place:end]
        place = end
