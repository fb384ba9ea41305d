"""What a user reads when a file isn't a slide: what, why and what to do."""

import errno
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from nodescan.domain.slide import SlideRef
from nodescan.errors import NotASlideError, SlideError
from nodescan.slides import open_slide, slide_facts
from nodescan.slides.diagnosis import rejection
from nodescan.slides.tiff_checks import missing_bytes, tiff_fault
from nodescan.slides.tiff_directories import CutOffTiffError, directories, layout_of
from tests.slides.made_dicom import Level, write_level
from tests.slides.made_files import noise, write_tiff


def refusal(path: Path) -> str:
    """The text, the same from opening and from asking for facts, one line, without the folder."""
    texts: set[str] = set()
    for ask in (open_slide, slide_facts):
        with pytest.raises(SlideError) as caught:
            ask(SlideRef("s", path))
        texts.add(str(caught.value))
    (text,) = texts
    assert "\n" not in text
    assert str(path.parent) not in text
    return text


def test_no_slide_at_all(tmp_path: Path):
    """A text named .svs."""
    (tmp_path / "a.svs").write_text("hello" * 100)
    assert refusal(tmp_path / "a.svs") == (
        "a.svs: not a slide in any format that nodescan reads; leave it out, or convert it to a slide format"
    )


def test_an_empty_file(tmp_path: Path):
    """Zero bytes is its own reason."""
    (tmp_path / "a.svs").touch()
    assert refusal(tmp_path / "a.svs") == (
        "a.svs: the file is empty (0 bytes); copy it again from the scanner or the archive"
    )


@pytest.mark.parametrize("make", ["gone", "link"])
def test_a_file_that_isnt_there(tmp_path: Path, make: str):
    """Vanished since it was listed, or a link to nothing."""
    path = tmp_path / "a.svs"
    if make == "link":
        path.symlink_to(tmp_path / "gone.svs")
    assert refusal(path) == "a.svs: the file isn't there; it was moved, deleted, or is a link to nothing"


@pytest.mark.parametrize("compression", ["deflate", "jpeg"])
def test_a_disk_that_fails_for_a_moment_costs_no_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
):
    """Whichever look into the file fails: the slide is refused for its disk, and isn't opened with that check left out,
    called a defect, or to be converted."""
    path = write_tiff(tmp_path / "a.tif", [noise(300, 300)], compression=compression)
    opened, looks, fails = Path.open, 0, 0

    def failing(self: Path, *given: Any, **named: Any) -> Any:
        nonlocal looks
        looks += 1
        if looks == fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(self, *given, **named)

    monkeypatch.setattr(Path, "open", failing)
    open_slide(SlideRef("s", path)).close()
    for fails in range(1, looks + 1):  # noqa: B007  failing() reads it
        looks = 0
        with pytest.raises(SlideError) as caught:
            open_slide(SlideRef("s", path))
        assert str(caught.value) == "a.tif: can't be read (Input/output error); check the disk or network drive"
        assert caught.value.code == "unreadable"  # not "not_a_slide"


def test_a_folder_and_a_pipe_are_refused_without_waiting(tmp_path: Path):
    """Opening a pipe to look inside would never return."""
    (tmp_path / "a.svs").mkdir()
    assert refusal(tmp_path / "a.svs") == (
        "a.svs: a folder without slides; name a folder of slides, or a slide file (any one of a DICOM series)"
    )
    os.mkfifo(tmp_path / "b.svs")
    assert "neither a file nor a folder" in refusal(tmp_path / "b.svs")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Said as such, not as a broken slide; the refusal is staged because root may read everything."""
    path = write_tiff(tmp_path / "a.tif", [noise(64, 64)])

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(path) == "a.tif: no permission to read the file; ask its owner, or `chmod +r` it"


def test_a_slide_cut_off_while_copying(shared: Path, tmp_path: Path):
    """Half of a real Aperio file: its directory points beyond its end."""
    whole = (shared / "data/slides/CMU-1-Small-Region.svs").read_bytes()
    (tmp_path / "a.svs").write_bytes(whole[: len(whole) // 2])
    assert refusal(tmp_path / "a.svs").startswith("a.svs: the file's last 306 kB or more are missing; copy")


def test_a_plain_tiff_is_told_from_a_slide_with_the_command_that_converts_it(tmp_path: Path):
    """Stored in strips, in one page."""
    tifffile.imwrite(tmp_path / "a.tif", noise(300, 200), photometric="rgb")
    text = refusal(tmp_path / "a.tif")
    assert text.startswith("a.tif: a plain TIFF, not one of 8-bit RGB tiles")
    assert "`vips tiffsave a.tif a-tiled.tif --tile --pyramid --compression jpeg --Q 90`" in text


@pytest.mark.parametrize(
    ("scanner", "tag", "said"), [("Leica", 270, '<?xml version="1.0"?><scn>'), ("Ventana", 700, "<EncodeInfo><iScan/>")]
)
def test_a_scanners_own_tiff_is_not_to_be_converted(tmp_path: Path, scanner: str, tag: int, said: str):
    """Its first image is the whole glass seen from afar, and a converter would take that."""
    with tifffile.TiffWriter(tmp_path / "a.scn") as tiff:
        tiff.write(noise(64, 64), photometric="rgb", metadata=None, extratags=[(tag, "s", 0, said, True)])
    assert refusal(tmp_path / "a.scn") == (
        f"a.scn: a TIFF of a {scanner} scanner that can't be opened as a slide; "
        "export each region at full resolution from the scanner's software"
    )


def test_an_mrxs_without_its_data(tmp_path: Path):
    """The folder missing, and the folder without its index."""
    (tmp_path / "a.mrxs").write_bytes(b"\xff\xd8\xff" + bytes(100))
    assert refusal(tmp_path / "a.mrxs") == "a.mrxs: its data folder a/ is missing; put the folder a/ beside a.mrxs"
    (tmp_path / "a").mkdir()
    assert refusal(tmp_path / "a.mrxs") == "a.mrxs: a/Slidedat.ini is missing; copy a.mrxs and a/ again"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Couldn't open /slides/Ada 1.jpg: 2", "Couldn't open ..."),
        ("Unrecognized image format: ADA", "Unrecognized image format ..."),
        ('Reading JPEG header for associated image "Ada": x', "Reading ..."),
        ("opening /slides/Ada.dcm: unknown image flavor ADA", "opening ..."),
        ("Couldn't get image flavor", "Couldn't get image flavor"),
    ],
)
def test_reports_quote_openslide_without_the_names_that_it_tells(tmp_path: Path, said: str, told: str):
    """They stand in a slide's own files, and may be a patient's; the terminal says all of it."""
    (tmp_path / "a.svs").write_bytes(b"\0" * 100)
    error = rejection(tmp_path / "a.svs", said)
    assert error.reason == f"can't be opened as a slide ({said})"
    assert error.in_reports == f"can't be opened as a slide ({told})"
    assert pickle.loads(pickle.dumps(error)).in_reports == error.in_reports


@pytest.mark.parametrize(
    ("flavour", "parts", "remedy"),
    [
        (
            "LABEL",
            "",
            "give a file of a series of VL Whole Slide Microscopy images, with the whole series in one folder",
        ),
        ("VOLUME", "1.7", "put the whole series into one folder"),
        ("VOLUME", "", "copy the series again; if that doesn't help, export it again from the scanner or the archive"),
    ],
)
def test_a_dicom_slide_that_cannot_be_read_says_what_helps(tmp_path: Path, flavour: str, parts: str, remedy: str):
    """A label alone; one part of a level; a level whose number of focal planes is unreadable to OpenSlide."""
    level = Level(noise(256, 256), (0.5, 0.5), flavour=flavour, concatenation=parts, planes=1 if parts else 3)
    assert refusal(write_level(tmp_path / "a.dcm", level)).endswith(f"; {remedy}")


def test_the_real_files_that_openslide_declines(shared: Path):
    """A DICOM that is no slide, and a TIFF in strips."""
    dicom = refusal(shared / "data/slides/small_dicom.dcm")
    assert dicom.startswith(
        "small_dicom.dcm: a DICOM file, but not of a whole-slide image that can be read (Couldn't get image flavor); "
    )
    assert "vips tiffsave smalltif.tif smalltif-tiled.tif" in refusal(shared / "data/slides/smalltif.tif")


@pytest.mark.parametrize(("bigtiff", "byteorder"), [(False, "<"), (False, ">"), (True, "<"), (True, ">")])
def test_missing_bytes_are_counted_in_every_kind_of_tiff(tmp_path: Path, bigtiff: bool, byteorder: str):
    """Classic and BigTIFF, both byte orders; nothing is missing from a whole file."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder) as tiff:
        tiff.write(noise(200, 200), tile=(64, 64), photometric="rgb")
        tiff.write(noise(100, 100), tile=(64, 64), photometric="rgb")
    assert missing_bytes(path) == 0
    with tifffile.TiffFile(path) as tiff:
        ends = [
            offset + count
            for page in tiff.pages
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
    whole = path.read_bytes()
    path.write_bytes(whole[: max(ends) - 70])
    assert missing_bytes(path) == 70
    for length in range(8, 400, 7):
        path.write_bytes(whole[:length])
        assert missing_bytes(path) > 0


def test_whole_real_slides_miss_nothing(shared: Path):
    """The warning of a cut-off file never stands on a sound one."""
    for name in ("CMU-1-Small-Region.svs", "tcga-cr-7395-01a-01-ts1.svs", "smalltif.tif"):
        assert missing_bytes(shared / "data/slides" / name) == 0


def test_directories_are_not_followed_into_pixels(tmp_path: Path):
    """A classic TIFF beyond 4 GB is an NDPI: 4 bytes of its pointers lead anywhere. No directory has 60,000 entries."""
    path = tmp_path / "a.ndpi"
    with path.open("wb") as file:
        file.write(b"II*\0" + struct.pack("<Q", 2**32 + 8))
        file.seek(8)
        file.write(struct.pack("<H", 60_000) + bytes(1_000_000))
        file.truncate(2**32 + 1_000_000)  # sparse
    assert tiff_fault(path) is None
    assert missing_bytes(path) == 0
    with path.open("r+b") as file:
        file.write(b"II*\0" + struct.pack("<I", 8))
        file.truncate(2_000_000)
        assert layout_of(b"II*\0") is not None
        with pytest.raises(CutOffTiffError):
            list(directories(file, layout_of(b"II*\0")))


@pytest.mark.parametrize("compression", ["deflate", "jpeg"])
def test_tiles_that_would_come_out_turned_are_refused(tmp_path: Path, compression: str):
    """libtiff turns each tile by itself, the direct reader none."""
    tags = [(274, "H", 1, 3, True)]
    path = write_tiff(tmp_path / "s.tif", [noise(256, 256)], mpp_um=None, compression=compression, extratags=tags)
    assert refusal(path) == (
        "s.tif: stored turned or mirrored (TIFF orientation 3); "
        "turn it with `vips autorot s.tif s-turned.tif[tile,pyramid,compression=jpeg,Q=90]`"
    )


def test_of_two_turned_scans_none_is_dropped(tmp_path: Path):
    """The command would turn the first alone."""
    with tifffile.TiffWriter(tmp_path / "s.tif") as tiff:
        for size in (300, 290):
            tags = [(274, "H", 1, 6, True)]
            tiff.write(noise(size, size), tile=(128, 128), photometric="rgb", extratags=tags, metadata=None)
    assert "several images of full size (300 x 300 px, 290 x 290 px)" in refusal(tmp_path / "s.tif")


def test_a_byte_order_that_openslide_declines_is_named(tmp_path: Path):
    """It is a tiled TIFF of 8-bit RGB."""
    path = tmp_path / "s.tif"
    pixels = np.zeros((256, 256, 3), np.uint8)
    tifffile.imwrite(path, pixels, tile=(128, 128), photometric="rgb", compression="jpeg", byteorder=">")
    with pytest.raises(NotASlideError, match=r"big-endian.*vips tiffsave"):
        open_slide(SlideRef("s", path))
