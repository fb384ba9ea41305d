"""Reads the picture files that masks are saved as: pixel values, and how large a pixel is."""

import math
from codecs import BOM_UTF8
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from nodescan.domain.naming import few
from nodescan.domain.units import MicronsPerPixel, Spacing
from nodescan.errors import AnnotationError
from nodescan.ome_xml import pixels_of
from nodescan.picture_files import DAMAGED_IMAGE, load_whole, opened_picture, tiff_tags, what_is_wrong
from nodescan.threads import own_warnings

FINEST_MASK_UM, COARSEST_MASK_UM = 0.1, 40.0
"""A mask's pixel size is accepted in this range of um/px: from level 0 to an overview at x128 of 0.25 um/px."""

_PRINT_DPI = frozenset({*range(72, 4801), 6400, 7200, 9600, 12_800})
"""A whole number of dots per inch, the same across and down, up to what plotting programs and photo scanners write: how
large a picture is in print, or was on paper. Whether a program means a pixel of a slide by it can't be told."""

_ROUNDED_DPI = 0.05
"""Programs round, above all where they write dots per inch as dots per centimetre."""

STAND_IN_NOTE = (
    "the file's pixel size of 1 um/px is what programs write into OME-XML when they don't know it; check it, or give "
    "the pixel size with --mpp UM"
)

MASK_FORMATS = ("PNG", "TIFF", "BMP", "GIF", "JPEG", "JPEG2000", "PPM", "WEBP")
"""What a mask may be saved as, by Pillow's names; it has decoders of many more, for games and icons."""

_OTHERS = (
    (0, b"PK\x03\x04", "is a zip file; unpack it"),
    (0, b"\x1f\x8b", "is compressed by gzip; unpack it"),
    (0, b"<", "is XML of a program whose outlines are not read; export them as GeoJSON, or as ASAP XML"),
    (128, b"DICM", "is DICOM, which is not read as a mask; export it as PNG or TIFF, or its outlines as GeoJSON"),
)
"""Offset in the file, the bytes there, and the kind of file that has them."""

_LONGEST_START = 132

_FEWEST_SHADES = 4
"""A blurred edge has more values than this, 0 among them. Masks of a few classes that touch have fewer."""

_MIN_IS_WHITE = 0  # TIFF 6.0, tag 262
_WEBP = 50001  # tag 259, by libtiff's number; the libtiff of Pillow can't read it
_FIVE_SIX_FIVE = "BGR;16"  # Pillow's raw mode of a BMP with 5, 6 and 5 bits
_OTHER_COLOURS = ("CMYK", "YCbCr", "LAB", "HSV")
_BITS, _HIGHEST, _SIXTEEN_BITS, _MULTIPLIED = 8, 255, ";16", ("RGBa", "La")  # Pillow's raw modes
_INCH, _CENTIMETRE = 2, 3  # TIFF 6.0, tag 296
_UM_PER_RESOLUTION_UNIT = {_INCH: 25_400.0, _CENTIMETRE: 10_000.0}


@dataclass(frozen=True, slots=True)
class MaskImage:
    """A mask as its file holds it. values : numeric (H, W), one a pixel.

    described: the spacing by OME-XML, tags: by TIFF resolution tags, each None where it isn't there or not plausible;
    print_dpi: what the tags say as a print setting. stand_in: OME-XML says 1 um, as programs do that don't
    know it. described_px: the (width, height) that OME-XML gives the picture, None where it gives none. lossy: values
    may differ from those that were saved. notes: see Measurement.
    """

    values: NDArray[np.generic]
    described: Spacing | None
    tags: Spacing | None
    print_dpi: int | None
    stand_in: bool
    described_px: tuple[int, int] | None
    lossy: bool
    notes: tuple[str, ...]


def read_mask_image(path: Path) -> MaskImage:
    """The first image of the file. Raises AnnotationError where its values can't be taken for a mask's."""
    try:
        # A mask of a slide is large by nature; damage is an error, or nothing.
        with own_warnings("ignore"), opened_picture(path, MASK_FORMATS) as image:
            check_stored(path, image)
            pages = getattr(image, "n_frames", 1)
            load_whole(image)
            pixels, lossy = np.asarray(image), _is_lossy(image)
            told, tags, dpi = pixels_of(_description(image)), _tag_spacing(image), _print_dpi(image)
    except (Image.DecompressionBombError, MemoryError) as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise AnnotationError(
            f"{path.name}: larger than {limit / 1e6:.0f} million pixels, or than memory; reduce it to 1 um/px or "
            "coarser"
        ) from error
    except UnidentifiedImageError as error:
        raise AnnotationError(f"{path.name}: {_kind_of_other(path)}") from error
    except (*DAMAGED_IMAGE, OSError) as error:
        if isinstance(error, OSError) and error.strerror:  # missing, no permission
            raise AnnotationError(f"{path}: can't be read ({error.strerror}); name a mask image") from error
        raise AnnotationError(f"{path.name}: is damaged ({what_is_wrong(error)}); copy or export it again") from error
    notes = (f"the file holds {pages} images; the first was measured",) if pages > 1 else ()
    described = None if told.size_um is None else _if_plausible(*told.size_um)
    stand_in = told.size_um == (1.0, 1.0)
    values = one_channel(path, pixels)
    return MaskImage(values, described, tags, dpi, stand_in, told.sides_px, lossy, notes)


def check_values(path: Path, image: MaskImage, *, picked: bool) -> NDArray[np.generic]:
    """The values that a mask holds, in order. picked: the user says which is tumour; then a grey edge isn't.

    Raises AnnotationError where they are a map's or a blurred edge's, so that the outline would be a guess.
    """
    present = np.unique(image.values)
    if not np.isfinite(present).all():
        raise AnnotationError(f"{path.name}: holds pixels that are not numbers; save the mask with 0 and 255")
    if len(present) > 2 and (present.astype(np.float64) % 1 != 0).any():
        raise AnnotationError(
            f"{path.name}: holds fractions, {few(present.tolist(), 8)}, as a map of probabilities does, and which of "
            "them are tumour would be a guess; save what lies above a threshold as a mask"
        )
    if image.lossy and len(present) > 2:
        raise AnnotationError(
            f"{path.name}: lossy compression blurs a mask's edge ({len(present)} grey values), and each shade moves "
            "the outline; save the mask as PNG or TIFF"
        )
    if not picked and len(present) > _FEWEST_SHADES and _has_grey_edges(image.values):
        raise AnnotationError(
            f"{path.name}: holds {len(present)} values, most of them at blurred edges (of resizing, turning or JPEG), "
            "and each shade moves the outline; save it with only 0 and 255, or pick one value with --value"
        )
    return present


def _has_grey_edges(values: NDArray[np.generic]) -> bool:
    """Whether most pixels between 0 and the highest value lie beside another value above 0: labels lie among their own.

    values : numeric (H, W).
    """
    shades = (values != 0) & (values != values.max())
    blurred = np.zeros(values.shape, dtype=np.bool_)
    for first, second in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        step = (values[first] != values[second]) & (values[first] != 0) & (values[second] != 0)
        blurred[first] |= step
        blurred[second] |= step
    return bool(2 * np.count_nonzero(blurred & shades) > np.count_nonzero(shades))


def check_stored(path: Path, image: Image.Image) -> None:
    """Raises AnnotationError for an image whose pixels as they are stored aren't the mask, or are only a part of it.

    Value 0 is the background, so it must be black: in printers' colours it is white, and in others neither. A palette
    must paint it black, as those of label images do. Pillow turns the values of a TIFF round whose 0 is white, and
    scrambles one that is to be turned.
    """
    if tiff_tags(image).get(TiffImagePlugin.COMPRESSION) == _WEBP:
        raise AnnotationError(
            f"{path.name}: is compressed as WebP, which isn't read in a TIFF; save the mask as PNG, or as TIFF "
            "compressed by LZW or Deflate"
        )
    pages = _as_large_pages(image)
    if pages > 1:
        raise AnnotationError(
            f"{path.name}: holds {pages} images of its size or larger (channels, planes or frames), and which of them "
            "is the mask would be a guess; save that one alone"
        )
    if has_few_bits(image):
        raise AnnotationError(
            f"{path.name}: has colours of 5 and 6 bits, which change grey values; save it in grey, 8 or 16 bits"
        )
    if lost := _not_read(image):
        raise AnnotationError(f"{path.name}: holds {lost}, which would be lost; save it in grey, 8 or 16 bits")
    turned = image.getexif().get(ExifTags.Base.Orientation, 1)
    if turned != 1:
        raise AnnotationError(f"{path.name}: is to be turned or mirrored (Orientation {turned}); save it upright")
    if tiff_tags(image).get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _MIN_IS_WHITE:
        raise AnnotationError(
            f"{path.name}: its 0 is white (MinIsWhite), as tifffile writes true and false, and which value is "
            "background would be a guess; save it in grey, 0 and 255"
        )
    if image.mode in _OTHER_COLOURS:
        raise AnnotationError(f"{path.name}: is in {image.mode}, whose 0 isn't black; save it in grey")
    palette = image.getpalette("RGB") if image.mode == "P" else None
    if palette and any(palette[:3]):
        raise AnnotationError(
            f"{path.name}: its palette doesn't paint value 0 black, so which value is background would be a guess; "
            "save it in grey"
        )


def _as_large_pages(image: Image.Image) -> int:
    """How many images of the file are no reduced copies of its first: as wide or as high, or more; with the first."""
    pages = getattr(image, "n_frames", 1)
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return pages  # frames share one canvas
    width, height = image.size
    count = 1
    for page in range(1, pages):
        image.seek(page)
        count += image.width >= width or image.height >= height
    image.seek(0)
    return count


def _not_read(image: Image.Image) -> str:
    """In words, which stored values Pillow doesn't give; "" if it gives them all.

    If colours are multiplied by their alpha, it can't give those with an alpha of 0.
    """
    if any(word.startswith(_MULTIPLIED) for word in _raw_modes(image)):
        return "colours multiplied by their transparency"
    return cut_off(image)


def cut_off(image: Image.Image) -> str:
    """In words, what Pillow cuts off a picture's channels; "" if it gives them whole.

    Of 16-bit colours it gives the higher 8 bits. It gives no channels beyond the colours. Pixels must not be loaded
    yet.
    """
    raw = _raw_modes(image)
    tags = tiff_tags(image)
    bands = len(image.getbands())
    bits = max(np.atleast_1d(tags.get(TiffImagePlugin.BITSPERSAMPLE, 1)))
    samples = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)
    highest = max((int(word) for word in raw if word.isdecimal()), default=0) if image.format == "PPM" else 0
    if samples > bands:
        return f"{samples} channels"
    if bands > 1 and (bits > _BITS or highest > _HIGHEST or any(_SIXTEEN_BITS in word for word in raw)):
        return "colours of more than 8 bits"
    return ""


def has_few_bits(image: Image.Image) -> bool:
    """Whether it is a BMP whose pixels are two bytes: 5 bits of red and blue, 6 of green. Pixels must not be loaded."""
    return _FIVE_SIX_FIVE in _raw_modes(image)


def _raw_modes(image: Image.Image) -> list[str]:
    """How pixels are stored, in Pillow's words, and a PPM's highest value."""
    tiles: Sequence[Sequence[object]] = getattr(image, "tile", ())
    packed = [part[3] for part in tiles if len(part) > 3]
    return [
        str(word) for one in packed for word in (cast("Sequence[object]", one) if isinstance(one, tuple) else (one,))
    ]


def _is_lossy(image: Image.Image) -> bool:
    """Whether the file may hold other values than were saved, by its format or a TIFF's compression."""
    compressed = str(image.info.get("compression")) in ("jpeg", "tiff_jpeg")
    return image.format in ("JPEG", "JPEG2000", "WEBP") or compressed


def one_channel(path: Path, pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Grey, palette index or label as it is; colour if its channels agree. pixels : (H, W) or (H, W, channels).

    Raises AnnotationError where they don't, or transparency differs.
    """
    if pixels.ndim == 2:
        return pixels
    transparent = pixels.shape[2] in (2, 4) and (pixels[..., -1] != pixels[0, 0, -1]).any()
    if transparent:
        raise AnnotationError(
            f"{path.name}: is transparent in part, and whether that is the mask would be a guess; save it in grey"
        )
    colours = pixels[..., : 1 if pixels.shape[2] == 2 else 3]
    if (colours != colours[..., :1]).any():
        raise AnnotationError(
            f"{path.name}: is a colour image, and which colour is tumour would be a guess; save it in grey"
        )
    return colours[..., 0]


def _kind_of_other(path: Path) -> str:
    """What a file that is no picture is, by how it begins, and what to do with it."""
    with path.open("rb") as file:
        start = file.read(_LONGEST_START).removeprefix(BOM_UTF8)
    known = (words for place, begin, words in _OTHERS if start[place:].startswith(begin))
    other = (
        "not a mask image that can be read (PNG, TIFF of at most 32 bits, ...), nor outlines (.xml of ASAP, .geojson "
        "of QuPath)"
    )
    return next(known, other)


def _description(image: Image.Image) -> bytes:
    """A TIFF's, where OME-XML stands."""
    said = str(tiff_tags(image).get(TiffImagePlugin.IMAGEDESCRIPTION, ""))
    return said.encode("latin-1", "replace")  # pillow takes the tag's UTF-8 for Latin-1


def _tag_spacing(image: Image.Image) -> Spacing | None:
    """By TIFF resolution tags, where they are no print setting; other formats state a print size only."""
    tags = tiff_tags(image)
    unit_um = _UM_PER_RESOLUTION_UNIT.get(tags.get(TiffImagePlugin.RESOLUTION_UNIT, _INCH))
    across, down = (float(tags.get(tag, 0)) for tag in (TiffImagePlugin.X_RESOLUTION, TiffImagePlugin.Y_RESOLUTION))
    if unit_um is None or not (across > 0 and down > 0) or _print_dpi(image) is not None:
        return None
    return _if_plausible(unit_um / across, unit_um / down)


def _print_dpi(image: Image.Image) -> int | None:
    """What a TIFF's resolution tags say as a print setting, None where they say none."""
    tags = tiff_tags(image)
    across, down = (tags.get(tag) for tag in (TiffImagePlugin.X_RESOLUTION, TiffImagePlugin.Y_RESOLUTION))
    unit = tags.get(TiffImagePlugin.RESOLUTION_UNIT, _INCH)
    if across is None or across != down or unit not in _UM_PER_RESOLUTION_UNIT:
        return None
    dpi = float(across) * _UM_PER_RESOLUTION_UNIT[_INCH] / _UM_PER_RESOLUTION_UNIT[unit]
    whole = round(dpi) if math.isfinite(dpi) else 0
    printed = abs(dpi - whole) < _ROUNDED_DPI and whole in _PRINT_DPI
    return whole if printed and (unit == _INCH or whole % 100 == 0) else None


def _if_plausible(x: float, y: float) -> Spacing | None:
    if not (FINEST_MASK_UM <= x <= COARSEST_MASK_UM and FINEST_MASK_UM <= y <= COARSEST_MASK_UM):
        return None
    return Spacing(MicronsPerPixel(x), MicronsPerPixel(y))
