"""What a zip, a folder or an HDF5 pair holds is read as it was written, or refused: nothing twice, nothing made up."""

import random
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from nodescan.errors import UsageError
from tests.training.made_patches import as_zip, hdf5_pair, png, unzipped
from training.patches.labelled import read_patches
from training.tuning.composites import half_of

NORMAL, TUMOUR = (200, 120, 180), (110, 60, 150)


def _half_written(file: h5py.File, values: np.ndarray) -> None:
    file.create_dataset("x", shape=values.shape, dtype="u1", chunks=(1, *values.shape[1:]))[:2] = values[:2]


def _stitched(file: h5py.File, values: np.ndarray) -> None:
    layout = h5py.VirtualLayout(shape=values.shape, dtype="u1")
    layout[:] = h5py.VirtualSource("gone.h5", "x", shape=values.shape)
    file.create_virtual_dataset("x", layout)


def _outside(file: h5py.File, values: np.ndarray) -> None:
    raw = Path(file.filename).with_name("raw.bin")
    raw.write_bytes(values.tobytes()[:100])
    file.create_dataset("x", shape=values.shape, dtype="u1", external=[(str(raw), 0, h5py.h5f.UNLIMITED)])


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (_half_written, "p_x.h5: a part of /x was never written"),
        (lambda file, values: file.create_dataset("x", shape=values.shape, dtype="u1"), "/x was never written"),
        (_stitched, "p_x.h5: the values of /x lie in another file"),
        (_outside, "p_x.h5: the values of /x lie in another file"),
        (lambda file, _: file.update(x=h5py.SoftLink("/x")), "p_x.h5: it or p_y.h5 can't be read as HDF5"),
        (lambda file, _: file.update(x=h5py.Empty("u1")), "p_x.h5: x is not a dataset with values in it"),
    ],
)
def test_pixels_that_nobody_wrote_are_not_read_as_black(
    tmp_path: Path, write: Callable[[h5py.File, np.ndarray], object], said: str
) -> None:
    """HDF5 gives zeros for them, which would be taught and scored as black patches of either label."""
    source = hdf5_pair(tmp_path, np.full((4, 96, 96, 3), 9, np.uint8), np.array([0, 1, 0, 1]))
    assert (read_patches([source]).pixels == 9).all()
    with h5py.File(source, "w") as file:
        write(file, np.full((4, 96, 96, 3), 9, np.uint8))
    with pytest.raises(UsageError) as caught:
        read_patches([source])
    assert said in str(caught.value)


@pytest.mark.parametrize("layout", [{}, {"chunks": (4, 96, 96, 3)}])
@pytest.mark.parametrize("written", [1, 3])
def test_patches_behind_the_end_of_what_was_written_are_not_read_as_black(
    tmp_path: Path, written: int, layout: dict[str, object]
) -> None:
    """Their place was set aside with the first ones'; a black patch before the last one is a patch."""
    pixels = np.full((4, 96, 96, 3), 9, np.uint8)
    pixels[0] = 0
    source = hdf5_pair(tmp_path, pixels, np.array([0, 1, 0, 1]))
    assert np.array_equal(read_patches([source]).pixels, pixels)
    with h5py.File(source, "w") as file:
        file.create_dataset("x", shape=pixels.shape, dtype="u1", **layout)[:written] = 9
    said = rf"p_x\.h5: its last {4 - written} of 4 patches are 0 throughout"
    with pytest.raises(UsageError, match=said):
        read_patches([source])


def test_labels_that_nobody_wrote_are_not_read_as_normal(tmp_path: Path) -> None:
    source = hdf5_pair(tmp_path, np.full((2, 96, 96, 3), 9, np.uint8), np.array([0, 1]))
    with h5py.File(tmp_path / "p_y.h5", "w") as file:
        file.create_dataset("y", shape=(2, 1, 1, 1), dtype="u1")
    with pytest.raises(UsageError, match=r"p_y\.h5: a part of /y was never written"):
        read_patches([source])


def test_patches_packed_in_compressed_chunks_are_whole(tmp_path: Path) -> None:
    """As PatchCamelyon's files are; the last chunk reaches beyond the last patch."""
    pixels = np.random.default_rng(1).integers(0, 255, (5, 96, 96, 3), np.uint8)
    source = hdf5_pair(tmp_path, pixels, np.array([0, 1, 0, 1, 0]))
    with h5py.File(source, "w") as file:
        file.create_dataset("x", data=pixels, chunks=(2, 96, 50, 3), compression="gzip")
    np.testing.assert_array_equal(read_patches([source]).pixels, pixels)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("zip", r"p\.zip: train/tumor/0\.png has 0 MB, and no patch is so large"),
        ("folder", r"folder: train/tumor/0\.png has 0 MB, and no patch is so large"),
        ("hdf5", r"p_x\.h5: /x needs 0\.0 GB of memory, and 0\.0 GB are free"),
    ],
)
def test_what_is_larger_than_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, said: str
) -> None:
    """By the size that its list states: reading it would end in an error of the memory."""
    archive = as_zip(tmp_path / "p.zip", {"normal": 1, "tumor": 1})
    sources = {"zip": archive, "folder": unzipped(archive, tmp_path / "folder")}
    sources["hdf5"] = hdf5_pair(tmp_path, np.full((2, 96, 96, 3), 9, np.uint8), np.array([0, 1]))
    assert len(read_patches([sources[kind]])) == 2
    monkeypatch.setattr("training.patches.hdf5.free_memory_bytes", lambda: 100)
    monkeypatch.setattr("training.patches.labelled._LARGEST_FILE", 100)
    with pytest.raises(UsageError, match=said):
        read_patches([sources[kind]])
    with pytest.raises(UsageError, match=r"p\.zip: train/tumor/0\.png has 0 MB, and no patch is so large"):
        half_of(archive, tmp_path / "work", half=2)


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_patches_that_together_are_larger_than_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Their files may be a thousandth of what they are unpacked."""
    archive = as_zip(tmp_path / "p.zip", {"normal": 20, "tumor": 20})
    source = archive if kind == "zip" else unzipped(archive, tmp_path / "folder")
    assert len(read_patches([source])) == 40
    monkeypatch.setattr("training.patches.labelled.free_memory_bytes", lambda: 1_000_000)
    with pytest.raises(UsageError, match=r"(p\.zip|folder): needs more than 0\.0 GB of memory, and 0\.0 GB are free"):
        read_patches([source])


def test_a_picture_that_is_no_patch_by_its_sides_is_refused(tmp_path: Path) -> None:
    """Before its pixels are unpacked: a file of 1 kB may hold 200 MB of them."""
    path = tmp_path / "p.zip"
    for width, refused in ((2048, False), (2049, True)):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("normal/a.png", png(np.full((8, width, 3), 9, np.uint8)))
        if not refused:
            assert read_patches([path]).pixels.shape == (1, 8, width, 3)
            continue
        with pytest.raises(UsageError, match=r"p\.zip: normal/a\.png has 2049 x 8 px, and no patch is so large"):
            read_patches([path])


@pytest.mark.parametrize("second", ["normal/a.png", "normal\\a.png", "./normal//a.png"])
def test_a_name_that_is_in_a_zip_twice_is_refused(tmp_path: Path, second: str) -> None:
    """Its patch would count twice, and lie in both halves, of which one tunes and the other is scored on."""
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("normal/a.png", "tumor/b.png", second):
            archive.writestr(name, png(NORMAL))
    for read in (lambda: read_patches([path]), lambda: half_of(path, tmp_path / "work", half=1)):
        with pytest.raises(UsageError, match=r"p\.zip: .*a\.png is in this zip twice; pack the patches again"):
            read()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_zip_is_read_as_it_was_or_refused(tmp_path: Path, method: int) -> None:
    """Wherever it is damaged, in its members or in its list, and however they are packed: no other error comes."""
    path = tmp_path / "p.zip"
    pixels = np.random.default_rng(2).integers(0, 255, (96, 96, 3), np.uint8)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("normal/a.png", png(NORMAL))
        archive.writestr("tumor/b.png", png(pixels))
    whole, refused = path.read_bytes(), 0
    for seed in range(60):
        drawn, damaged = random.Random(seed), bytearray(whole)
        first = len(whole) - 250 if seed % 2 else 0
        for _ in range(4):
            damaged[drawn.randrange(first, len(whole))] = drawn.randrange(256)
        path.write_bytes(damaged)
        try:
            read_patches([path])
        except UsageError:
            refused += 1
    assert refused > 30


def test_a_link_that_moves_to_the_other_label_is_not_taken_from_the_cache(tmp_path: Path) -> None:
    """Labels of linked patches are corrected so: the file that the link leads to stays the same."""
    for name, colour in (("a", NORMAL), ("b", TUMOUR)):
        (tmp_path / f"{name}.png").write_bytes(png(colour))
    source = tmp_path / "set"
    for label, name in (("normal", "a"), ("tumor", "b")):
        (source / label).mkdir(parents=True)
        (source / label / f"{name}.png").symlink_to(tmp_path / f"{name}.png")
    assert read_patches([source], cache=tmp_path / "cache").tumour.tolist() == [False, True]
    (source / "normal" / "a.png").rename(source / "tumor" / "a.png")
    assert read_patches([source], cache=tmp_path / "cache").tumour.tolist() == [True, True]
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 2


@pytest.mark.parametrize("damage", ["npy gone", "npy cut", "npy empty", "npz cut", "npz empty"])
def test_a_damaged_cache_is_decoded_again(tmp_path: Path, damage: str) -> None:
    """As a full disk or a copy that was broken off leaves it; what was made anew is used the next time."""
    source, cache = as_zip(tmp_path / "p.zip", {"normal": 2, "tumor": 1}), tmp_path / "cache"
    whole = np.array(read_patches([source], cache=cache).pixels)
    ending, what = damage.split()
    (file,) = cache.glob(f"*.{ending}")
    content = file.read_bytes()
    file.unlink()
    if what != "gone":
        file.write_bytes(content[: len(content) // 2] if what == "cut" else b"")
    for _ in range(2):
        patches = read_patches([source], cache=cache)
        np.testing.assert_array_equal(patches.pixels, whole)
        assert patches.tumour.tolist() == [False, False, True]
        assert file.stat().st_size == len(content)
