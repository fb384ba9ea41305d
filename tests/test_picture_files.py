"""Damage in picture files that Pillow passes over is an error wherever a mask or a patch is read."""

import errno
import io
import os
import re
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from nodescan import mask_images
from nodescan.deflate import ends_with_its_sum
from nodescan.errors import AnnotationError, OutputError, UsageError
from nodescan.evaluation.lesion_files import lesion_file
from nodescan.mask_images import read_mask_image
from nodescan.picture_files import load_whole
from training.patches.pictures import colours_of

ROWS, COLUMNS = np.mgrid[:200, :300]
DISC: NDArray[np.bool_] = np.hypot(ROWS - 100, COLUMNS - 150) < 60

MODES = {
    "grey": Image.fromarray(DISC.astype(np.uint8) * 255),
    "true and false": Image.fromarray(DISC),
    "palette": Image.fromarray(DISC.astype(np.uint8)).convert("P"),
    "16 bits": Image.fromarray(DISC.astype(np.uint16)),
    "colour": Image.fromarray(np.dstack([DISC.astype(np.uint8) * 255] * 3)),
}


def with_other_pixels(picture: Image.Image) -> bytes:
    """The picture in a PNG, whose pixels were changed with no regard to the checksum behind them."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    content = file.getvalue()
    start = content.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", content[start - 8 : start - 4])
    pixels = bytearray(zlib.decompress(content[start : start + length]))
    pixels[len(pixels) // 2] ^= 0x81
    packed = zlib.compress(pixels)
    return content[: start - 8] + struct.pack(">I", len(packed)) + b"IDAT" + packed + content[start + length :]


def with_wrong_sum(*, shift: int = 0, **options: object) -> bytes:
    """A TIFF of two deflated strips or tiles, the second of which ends `shift` bytes late and with a wrong checksum."""
    packed = zlib.compress(bytes(128 * 256)), zlib.compress(bytes(128 * 256 + shift))[:-1] + b"\xff"
    file = io.BytesIO()
    tifffile.imwrite(file, iter(packed), shape=(256, 256), dtype=np.uint8, compression="zlib", **options)
    return file.getvalue()


def with_spoilt_strip(path: Path) -> bytes:
    """What a TIFF holds, but for 20 bytes of its first strip."""
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        start = tiff.pages[0].dataoffsets[0]
    content[start + 20 : start + 40] = b"\x80" * 20
    return bytes(content)


@pytest.mark.parametrize("mode", MODES)
def test_a_png_whose_pixels_changed_is_no_mask(tmp_path: Path, mode: str) -> None:
    """Pillow hands out the changed pixels: a size and a class that nobody drew."""
    (tmp_path / "m.png").write_bytes(with_other_pixels(MODES[mode]))
    with pytest.raises(AnnotationError, match=r"^m\.png: is damaged \(.*IDAT.*\); copy or export it again"):
        read_mask_image(tmp_path / "m.png")


@pytest.mark.parametrize("options", [{"rowsperstrip": 128}, {"tile": (128, 256)}], ids=["strips", "tiles"])
@pytest.mark.parametrize("shift", [0, 1])
def test_a_deflated_tiff_whose_checksum_is_wrong_is_no_mask(
    tmp_path: Path, options: dict[str, object], shift: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """libtiff may stop short of a checksum, and what it says doesn't stand before the error."""
    (tmp_path / "m.tif").write_bytes(with_wrong_sum(shift=shift, **options))
    with pytest.raises(AnnotationError, match=r"^m\.tif: is damaged \(.*\); copy or export it again"):
        read_mask_image(tmp_path / "m.tif")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("compression", "said"), [("packbits", "PackBitsDecode"), ("group4", "Fax4Decode")])
def test_what_libtiff_says_of_a_mask_is_in_the_error(
    tmp_path: Path, compression: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of damage in faxed pixels it prints a line, and hands out others all the same."""
    Image.fromarray(DISC).save(tmp_path / "m.tif", compression=compression)
    (tmp_path / "m.tif").write_bytes(with_spoilt_strip(tmp_path / "m.tif"))
    with pytest.raises(AnnotationError, match=rf"^m\.tif: is damaged \({said}"):
        read_mask_image(tmp_path / "m.tif")
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(os.name != "posix", reason="limits as POSIX has them")
def test_what_libtiff_says_is_heard_where_no_file_can_be_written(tmp_path: Path) -> None:
    """No folder for temporary files, or no room in one: a sound mask is read, and of a damaged one that is said."""
    MODES["true and false"].save(tmp_path / "sound.tif", compression="group4")
    (tmp_path / "bad.tif").write_bytes(with_spoilt_strip(tmp_path / "sound.tif"))
    program = (
        "import resource, signal, sys, tempfile; from pathlib import Path\n"
        "from nodescan.mask_images import read_mask_image\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "tempfile.tempdir = sys.argv[1] + '/none'\n"
        "print(read_mask_image(Path(sys.argv[1], sys.argv[2])).values.sum())\n"
    )
    heard = [
        subprocess.run([sys.executable, "-c", program, tmp_path, name], capture_output=True, text=True, check=False)
        for name in ("sound.tif", "bad.tif")
    ]
    assert (heard[0].stdout, heard[0].stderr) == (f"{DISC.sum()}\n", "")
    assert heard[1].returncode != 0
    assert "AnnotationError: bad.tif: is damaged (Fax" in heard[1].stderr


def test_what_libtiff_says_is_heard_where_no_pipe_can_be_told_not_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows, before Python 3.12."""
    monkeypatch.delattr(os, "set_blocking")
    MODES["true and false"].save(tmp_path / "m.tif", compression="group4")
    assert read_mask_image(tmp_path / "m.tif").values.sum() == DISC.sum()
    (tmp_path / "m.tif").write_bytes(with_spoilt_strip(tmp_path / "m.tif"))
    with pytest.raises(AnnotationError, match="is damaged"):
        read_mask_image(tmp_path / "m.tif")


def test_no_mask_is_called_damaged_for_want_of_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is what is said."""

    def refuse() -> tuple[int, int]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    tifffile.imwrite(tmp_path / "m.tif", DISC.astype(np.uint8))
    monkeypatch.setattr(os, "pipe", refuse)
    with pytest.raises(OutputError, match=r"Too many open files.*ulimit -n"):
        read_mask_image(tmp_path / "m.tif")


class Loading(TiffImagePlugin.TiffImageFile):
    """A TIFF without tags that does this as it is loaded."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.tag_v2, self.fp, self.act = TiffImagePlugin.ImageFileDirectory_v2(), None, act

    def load(self) -> None:
        self.act()


def test_what_libtiff_says_of_one_picture_is_no_other_threads(capfd: pytest.CaptureFixture[str]) -> None:
    """A second picture is loaded only after the first: else it would speak to a stderr that the first put back."""
    begun, first_done = threading.Event(), threading.Event()
    said: list[str] = []

    def speak() -> None:
        begun.set()
        first_done.wait(10)
        os.write(2, b"second\n")

    def load_second() -> None:
        with pytest.raises(OSError, match=r"^second$") as told:
            load_whole(Loading(speak))
        said.append(str(told.value))

    def let_second_begin() -> None:
        second.start()
        begun.wait(0.5)  # it mustn't; where it did, what it says would be lost

    second = threading.Thread(target=load_second)
    load_whole(Loading(let_second_begin))
    first_done.set()
    second.join()
    os.write(2, b"later\n")
    assert (said, capfd.readouterr().err) == (["second"], "later\n")


def test_masks_read_at_once_leave_the_hosts_warnings_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's filters are the whole process's: of two that overlap, the second would put back the first one's."""
    MODES["grey"].save(tmp_path / "m.png")
    second_in, first_over = threading.Event(), threading.Event()

    def overlap(*_: object) -> None:
        if threading.current_thread() is second:
            second_in.set()
            first_over.wait(10)
        elif not second.is_alive():
            second.start()
            second_in.wait(0.5)  # it mustn't

    monkeypatch.setattr(mask_images, "check_stored", overlap)
    second = threading.Thread(target=read_mask_image, args=(tmp_path / "m.png",))
    before = list(warnings.filters)
    read_mask_image(tmp_path / "m.png")
    first_over.set()
    second.join()
    assert warnings.filters == before


@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 16}, {"tile": (64, 64)}, {"predictor": True}])
def test_a_sound_tiff_is_read_as_it_was_written(tmp_path: Path, options: dict[str, object]) -> None:
    """Whole strips and tiles have the checksums that are looked at, and pixels are the ones that were written."""
    tifffile.imwrite(tmp_path / "m.tif", DISC.astype(np.uint8), compression="zlib", **options)
    assert (read_mask_image(tmp_path / "m.tif").values == DISC).all()


def test_a_damaged_mask_is_no_reference(tmp_path: Path) -> None:
    """Lesions that nobody drew would count as truth."""
    path = tmp_path / "s_mask.png"
    path.write_bytes(with_other_pixels(MODES["grey"]))
    reference = lesion_file(path)
    assert reference is not None
    with pytest.raises(AnnotationError, match=r"^s_mask\.png: is damaged \(.*IDAT.*copy or export it again"):
        reference.mask(None)


def test_a_damaged_patch_is_not_learned_from() -> None:
    """A picture inside an archive is named by the archive, never by an object of Python."""
    with pytest.raises(UsageError, match=re.escape("a.zip: a.png is not a readable image (broken PNG")):
        colours_of(io.BytesIO(with_other_pixels(MODES["colour"])), "a.zip: a.png")
    with pytest.raises(UsageError, match=r"a\.png is not a readable image \(no picture of a format that is read, or"):
        colours_of(io.BytesIO(b"junk"), "a.zip: a.png")
    with pytest.raises(UsageError, match=r"a\.tif is not a readable image \(a checksum of its pixels is wrong\)"):
        colours_of(io.BytesIO(with_wrong_sum(rowsperstrip=128)), "a.zip: a.tif")


def test_deflate_in_the_other_order_of_bits_is_read(tmp_path: Path) -> None:
    """libtiff turns the bits of FillOrder 2 before it unpacks them: what stands in the file is no Deflate stream."""
    path, mask = tmp_path / "m.tif", DISC.astype(np.uint8) * 255
    unnamed = 265  # tifffile writes no FillOrder: its tag takes this one's place
    tifffile.imwrite(path, mask, compression="zlib", metadata=None, extratags=[(unnamed, "H", 1, 2, True)])
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        tag, strips = page.tags[unnamed].offset, list(zip(page.dataoffsets, page.databytecounts, strict=True))
    content = bytearray(path.read_bytes())
    content[tag : tag + 2] = struct.pack("<H", unnamed + 1)
    turned = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
    for offset, size in strips:
        content[offset : offset + size] = bytes(content[offset : offset + size]).translate(turned)
    path.write_bytes(content)
    assert np.array_equal(read_mask_image(path).values, mask)


@pytest.mark.parametrize(
    ("packed", "expected"),
    [
        (zlib.compress(bytes(100)), True),
        (zlib.compress(bytes(100))[:-1] + b"\xff", False),
        (zlib.compress(bytes(101)), None),
        (zlib.compress(bytes(100))[:-4], None),
        (b"", None),
    ],
)
def test_a_stream_without_an_end_says_nothing_of_its_sum(packed: bytes, expected: bool | None) -> None:
    """One that goes on, as a padded strip does, or breaks off, has no checksum to hold against."""
    assert ends_with_its_sum(packed, 100) is expected


def test_what_pillow_logs_of_a_header_is_not_printed(tmp_path: Path) -> None:
    """It stood before the error's own line on the terminal, and named no file."""
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, DISC.astype(np.uint8), metadata=None)
    with tifffile.TiffFile(path) as tiff:
        samples = tiff.pages[0].tags[277].valueoffset
    content = bytearray(path.read_bytes())
    content[samples : samples + 2] = struct.pack("<H", 33)
    path.write_bytes(content)
    command = [sys.executable, "-m", "nodescan", "measure", str(path), "--mpp", "1"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert re.fullmatch(r"error: m\.tif: not a mask image that can be read .*\n", said)
