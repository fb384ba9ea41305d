"""Which files make a slide, and that the fingerprint follows them."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from nodescan.domain.slide import SlideRef
from nodescan.slides import open_slide
from nodescan.slides.dicom_series import series_uid
from nodescan.slides.files import (
    BLOCK_BYTES,
    BLOCKS,
    ENDS_BYTES,
    _block_starts,
    files_of_slide,
    fingerprint,
    fingerprint_here,
    state_of,
)
from tests.slides.made_dicom import element, open_sequence, write_dicom
from tests.slides.made_files import noise, write_tiff


def test_the_fingerprint_follows_size_and_both_ends_and_nothing_of_the_name(tmp_path: Path):
    """A copy has the same; a byte more, or a changed byte at either end, another."""
    content = bytes(range(256)) * (3 * ENDS_BYTES // 256)
    variants = {
        "copy": content,
        "longer": content + b"\0",
        "head": b"\1" + content[1:],
        "tail": content[:-1] + b"\1",
        "swapped": content[ENDS_BYTES:] + content[:ENDS_BYTES][::-1],
    }
    (tmp_path / "a.svs").write_bytes(content)
    original = fingerprint(tmp_path / "a.svs")
    assert len(original) == 64
    changed = set()
    for name, data in variants.items():
        (tmp_path / f"{name}.svs").write_bytes(data)
        changed.add(fingerprint(tmp_path / f"{name}.svs"))
    assert len(changed) == len(variants)
    assert original in changed


def test_uncompressed_slides_that_agree_at_both_ends_are_told_apart(tmp_path: Path):
    """Of one size and in one raster, glass at both ends: tissue in a tenth of the rows, in columns of tiles."""
    pixels = np.full((4096, 4096, 3), 245, np.uint8)
    tissue = np.random.default_rng(1).integers(100, 200, (400, 1024, 3), np.uint8)
    for name, top in (("glass", None), ("above", 1000), ("below", 2000)):
        shown = pixels.copy()
        if top is not None:
            shown[top : top + 400, 1024:2048] = tissue
        tifffile.imwrite(tmp_path / f"{name}.tif", shown, tile=(256, 256), photometric="rgb", metadata=None)
    assert len({(tmp_path / f"{name}.tif").stat().st_size for name in ("glass", "above", "below")}) == 1
    assert len({fingerprint(tmp_path / f"{name}.tif") for name in ("glass", "above", "below")}) == 3


def test_what_lies_between_the_ends_is_hashed_whole_where_it_is_short_and_bounded_where_it_is_long():
    """The blocks of a short file follow each other; of many files, and of a long one, there are so many in all."""
    (short,) = _block_starts([2 * ENDS_BYTES + 5 * BLOCK_BYTES]).values()
    assert short == [ENDS_BYTES + number * BLOCK_BYTES for number in range(5)]
    assert _block_starts([2 * ENDS_BYTES, 10, 0]) == {}
    sizes = [10**9, 2 * ENDS_BYTES + 1, 3 * 10**9, *[2 * ENDS_BYTES + 10**7] * 1000]
    blocks = _block_starts(sizes)
    assert sum(map(len, blocks.values())) == BLOCKS
    assert 1 <= len(blocks[0]) < len(blocks[2])
    assert all(ENDS_BYTES <= start < sizes[number] - ENDS_BYTES for number, of in blocks.items() for start in of)


def test_blocks_keep_in_step_with_no_raster():
    """Even where there are as many rows of tiles as blocks: every eighth of a row has some."""
    row = 2**20
    (starts,) = _block_starts([2 * ENDS_BYTES + BLOCKS * row]).values()
    assert {(start - ENDS_BYTES) % row * 8 // row for start in starts} == set(range(8))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.timeout(20)
def test_nobody_waits_for_the_fingerprint_of_a_pipe(tmp_path: Path):
    os.mkfifo(tmp_path / "a.svs")
    assert fingerprint_here(tmp_path / "a.svs") is None


def test_an_mrxs_fingerprint_follows_its_data_folder(tmp_path: Path):
    """The index file alone never changes."""
    index, data = tmp_path / "a.mrxs", tmp_path / "a" / "Data0000.dat"
    index.write_bytes(b"jpeg")
    data.parent.mkdir()
    data.write_bytes(b"tiles")
    before = fingerprint(index)
    assert set(files_of_slide(index)) == {index, data}
    data.write_bytes(b"tales")
    assert fingerprint(index) != before


def test_the_state_follows_time_of_change_and_name_too(tmp_path: Path):
    """What the fingerprint can't see, and no other slide has it; a slide that isn't there has none."""
    index, data = tmp_path / "a.mrxs", tmp_path / "a" / "Data0000.dat"
    data.parent.mkdir()
    for path in (index, data):
        path.write_bytes(b"tiles")
        os.utime(path, ns=(5, 5))
    before = state_of(index)
    assert before == state_of(index)
    os.utime(data, ns=(5, 6))
    after = state_of(index)
    data.rename(tmp_path / "a" / "Data0001.dat")
    assert len({before, after, state_of(index), ""}) == 4
    assert state_of(tmp_path / "gone.svs") == ""


def test_a_dicom_slide_is_all_files_of_its_series_in_its_folder(tmp_path: Path):
    """Other series beside it aren't."""
    mine = {write_dicom(tmp_path / name, "1.2.3") for name in ("a.dcm", "b.dcm", "c")}
    write_dicom(tmp_path / "d.dcm", "1.2.4")
    (tmp_path / "notes.txt").write_text("x")
    assert set(files_of_slide(tmp_path / "a.dcm")) == mine


@pytest.mark.parametrize("implicit", [False, True])
def test_the_series_is_the_files_own_not_one_that_it_refers_to(tmp_path: Path, implicit: bool):
    """The decoy stands first, inside a sequence."""
    assert series_uid(write_dicom(tmp_path / "a.dcm", "1.2.345", implicit=implicit)) == "1.2.345"


def test_a_private_sequence_of_unknown_kind_doesnt_hide_the_series(tmp_path: Path):
    """UN of undefined length: what stands inside is coded implicitly (PS3.5, 6.2.2)."""
    inside = element(0x0019, 0x1001, "LO", b"hello ", implicit=True)
    private = element(0x0019, 0x0010, "LO", b"ACME") + open_sequence(0x0019, 0x1002, "UN", inside)
    whole = write_dicom(tmp_path / "a.dcm", "1.2.345").read_bytes()
    place = whole.index(element(0x0020, 0x000D, "UI", b"8.8.8"))
    (tmp_path / "a.dcm").write_bytes(whole[:place] + private + whole[place:])
    assert series_uid(tmp_path / "a.dcm") == "1.2.345"


@pytest.mark.parametrize("damage", [bytes(5000), element(0x0008, 0x0016, "UI", b"") * 9, b"\xff" * 5000])
def test_a_header_that_cannot_be_followed_has_no_series(tmp_path: Path, damage: bytes):
    """Elements that don't ascend, or are as long as no file; sequences nested without end."""
    nested = open_sequence(0x0008, 0x1115, "SQ", b"")[:20] * 200
    for content in (damage, nested):
        (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM" + content)
        assert series_uid(tmp_path / "a.dcm") is None


def test_a_header_that_ends_early_has_no_series(tmp_path: Path):
    """At whatever byte it was cut."""
    whole = write_dicom(tmp_path / "a.dcm", "1.2.345").read_bytes()
    for length in range(0, len(whole) - 8, 3):
        (tmp_path / "cut.dcm").write_bytes(whole[:length])
        assert series_uid(tmp_path / "cut.dcm") is None


def test_the_real_dicom_file_names_its_series(shared: Path):
    """Read without any DICOM library."""
    uid = series_uid(shared / "data/slides/small_dicom.dcm")
    assert uid is not None
    assert set(uid) <= set("0123456789.")


def test_an_open_slide_gives_the_fingerprint_of_its_files(tmp_path: Path):
    """The same that the function gives."""
    path = write_tiff(tmp_path / "s.tif", [noise(128, 128)])
    assert open_slide(SlideRef("s", path)).fingerprint() == fingerprint(path)
