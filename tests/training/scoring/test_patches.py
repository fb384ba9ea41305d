"""Patches are read with the right labels from every layout, laid out truthfully, and scored by hand-checked figures."""

import math
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from nodescan.domain.geometry import TileGeometry
from nodescan.errors import UsageError
from nodescan.evaluation.slide_auc import roc_auc
from nodescan.inference.card import find_model, load_card
from tests.test_measurement import png_header
from tests.training.made_patches import as_zip, hdf5_pair, png, unzipped, zip_of
from tests.training.made_runs import OFF
from training.commands.output import flat
from training.patches.augment import augmented, context_swapped
from training.patches.labelled import Patches, centred, read_patches
from training.patches.mosaics import IGNORED, MosaicMaker, MosaicSettings, cell_labels
from training.scoring.patches import calibrated, evaluate_patches, patch_probabilities, scores_of
from training.scoring.scores import bootstrap, calibration_error, specificity_at
from training.tuning.rules import size_correction

NORMAL, TUMOUR = (200, 120, 180), (110, 60, 150)


def labelled_hdf5(folder: Path, labels: np.ndarray) -> Path:
    """PCam's pair, a black patch for every label."""
    return hdf5_pair(folder, np.full((len(labels), 96, 96, 3), 9, np.uint8), labels)


def test_zip_folder_and_hdf5_hold_the_same_patches(tmp_path: Path) -> None:
    """Every layout gives each patch its own label."""
    archive = as_zip(tmp_path / "p.zip", {"normal": 2, "tumor": 1})
    unzipped(archive, tmp_path / "folder")
    pixels = np.stack([np.full((96, 96, 3), c, np.uint8) for c in (NORMAL, NORMAL, TUMOUR)])
    pair = hdf5_pair(tmp_path, pixels, np.array([0, 0, 1]).reshape(3, 1, 1, 1))
    for source in (archive, tmp_path / "folder", pair):
        patches = read_patches([source])
        assert patches.tumour.tolist() == [False, False, True]
        assert [tuple(p[5, 5]) for p in patches.pixels] == [NORMAL, NORMAL, TUMOUR]


def test_the_cache_gives_back_what_was_decoded(tmp_path: Path) -> None:
    """A second reading comes from the cache, and a changed source doesn't."""
    archive = as_zip(tmp_path / "p.zip", {"normal": 1, "tumor": 1})
    first = read_patches([archive], cache=tmp_path / "cache")
    again = read_patches([archive], cache=tmp_path / "cache")
    np.testing.assert_array_equal(first.pixels, again.pixels)
    as_zip(archive, {"normal": 3, "tumor": 1})
    assert len(read_patches([archive], cache=tmp_path / "cache")) == 4


def test_a_changed_label_is_not_taken_from_the_cache(tmp_path: Path) -> None:
    """A patch moved to the other folder, and labels that lie in a file of their own."""
    for label in ("normal", "tumor"):
        (tmp_path / "folder" / label).mkdir(parents=True)
        for index in range(2):
            (tmp_path / "folder" / label / f"{label}-{index}.png").write_bytes(png(NORMAL))
    pair = labelled_hdf5(tmp_path, np.array([0, 0, 1, 1]))

    def labels() -> list[list[bool]]:
        sources = (tmp_path / "folder", pair)
        return [read_patches([source], cache=tmp_path / "cache").tumour.tolist() for source in sources]

    assert labels() == [[False, False, True, True]] * 2
    (tmp_path / "folder/normal/normal-0.png").rename(tmp_path / "folder/tumor/normal-0.png")
    with h5py.File(tmp_path / "p_y.h5", "w") as file:
        file["y"] = np.array([0, 1, 1, 1])
    assert labels() == [[False, True, True, True]] * 2


def test_a_patch_counts_by_the_folder_that_says_something(tmp_path: Path) -> None:
    """Deeper folders and other spellings are read as torchvision's ImageFolder reads them; unknown ones are refused."""
    for name in ("normal/a.png", "tumor/case1/b.png", "tumour/c.png", "normal/d.bmp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (96, 96), NORMAL).save(tmp_path / name)
    assert read_patches([tmp_path]).tumour.tolist() == [False, False, True, True]
    (tmp_path / "stroma").mkdir()
    (tmp_path / "stroma" / "e.png").write_bytes(png(NORMAL))
    with pytest.raises(UsageError, match=r"stroma/e.png lies in no folder named normal or tumor"):
        read_patches([tmp_path])


def test_no_file_of_a_labelled_folder_is_passed_over(tmp_path: Path) -> None:
    """Half of a set in another format was left out in silence; what systems hide or put there is no patch."""
    archive = tmp_path / "p.zip"
    names = ("normal/a.png", "tumor/b.png", "__MACOSX/normal/a.png", "normal/.DS_Store", "README.md")
    names += ("tumor/Thumbs.db", "tumor/ehthumbs.db", "tumor/.AppleDouble/b.png", "tumor/.ipynb_checkpoints/b.ipynb")
    for others in ((), ("tumor/c.webp",), ("tumor/case/d",)):
        zip_of(archive, {**dict.fromkeys((*names, *others), png(NORMAL)), "normal/more/": b""})
        if not others:
            assert read_patches([archive]).names == names[:2]
        for name in others:
            with pytest.raises(UsageError, match=rf"{name} is of no format that patches are read from \(\.bmp, "):
                read_patches([archive])


def test_a_picture_of_absurd_size_is_refused(tmp_path: Path) -> None:
    """A zip of a few bytes doesn't take the memory that its picture says it needs."""
    archive = zip_of(tmp_path / "a.zip", {"tumor/a.png": png_header(65_000, 65_000)})
    with pytest.raises(UsageError, match=r"a\.zip: tumor/a\.png is not a readable image"):
        read_patches([archive])


@pytest.mark.parametrize("name", ["tumor/0/a.png", "Tumor/0/a.png", "1/normal/a.png"])
def test_folders_of_both_labels_are_refused(tmp_path: Path, name: str) -> None:
    """Parts of a set that are numbered from 0 would turn labels round; a number that says the same is taken."""
    for file in (name, "normal/0/b.png"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_bytes(png(NORMAL))
    first, second = Path(name).parts[:2]
    with pytest.raises(UsageError, match=f"{name} lies in folders of both labels, {first} and {second}; rename one"):
        read_patches([tmp_path])
    (tmp_path / name).unlink()
    assert read_patches([tmp_path]).tumour.tolist() == [False]


def test_a_folder_behind_a_link_is_read(tmp_path: Path) -> None:
    """A class that lies elsewhere isn't dropped in silence; a link to nowhere, or in a circle, is refused."""
    for name in ("set/normal/a.png", "elsewhere/b.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(png(NORMAL))
    (tmp_path / "set" / "tumor").symlink_to(tmp_path / "elsewhere")
    for cache in (None, tmp_path / "cache"):
        assert read_patches([tmp_path / "set"], cache=cache).tumour.tolist() == [False, True]
    (tmp_path / "elsewhere" / "again").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"tumor/again: a link leads to .*elsewhere, which is read already"):
        read_patches([tmp_path / "set"])
    (tmp_path / "elsewhere" / "again").unlink()
    (tmp_path / "set" / "normal" / "c.png").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"normal/c.png: is a broken link"):
        read_patches([tmp_path / "set"])


@pytest.mark.parametrize("name", ["none.zip", "bad.zip", "empty"])
def test_a_source_without_patches_is_named(tmp_path: Path, name: str) -> None:
    """Missing, broken and empty sources are told apart from patches, in one line."""
    if name == "bad.zip":
        (tmp_path / name).write_bytes(b"PK nothing")
    if name == "empty":
        (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match=name):
        read_patches([tmp_path / name])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("p_x.h5.gz", "p_x.h5.gz: is packed; unpack it with gunzip"),
        ("cut_x.h5", "cut_x.h5: it or cut_y.h5 can't be read as HDF5"),
        ("other_x.h5", "other_x.h5: expected the datasets x and, beside it, y"),
        ("alone_x.h5", "alone_x.h5: expected a file ending in _x.h5 with its labels in _y.h5"),
    ],
)
def test_hdf5_files_that_cannot_be_used_are_named(tmp_path: Path, name: str, said: str) -> None:
    """As they are downloaded, cut short, with other datasets, without labels: one line each."""
    path = tmp_path / name
    path.write_bytes(b"\x1f\x8b")
    if name.startswith(("cut", "other")):
        for file in (path, path.with_name(path.name.replace("_x", "_y"))):
            with h5py.File(file, "w") as content:
                content["images" if name.startswith("other") else file.stem[-1]] = np.zeros((2, 96, 96, 3), np.uint8)
    if name.startswith("cut"):
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UsageError) as caught:
        read_patches([path])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((2, 96, 96, 3), np.float32), "x is float32 (2, 96, 96, 3), not uint8"),
        (np.zeros((2, 96, 96), np.uint8), "x is uint8 (2, 96, 96), not uint8 (N, S, S, 3) RGB"),
        (np.zeros((2, 3, 96, 96), np.uint8), "x is uint8 (2, 3, 96, 96), not uint8"),
        (np.zeros((2, 64, 96, 3), np.uint8), "x is uint8 (2, 64, 96, 3), not uint8"),
        (np.zeros((0, 96, 96, 3), np.uint8), "holds no patches"),
    ],
)
def test_patches_of_another_form_are_refused(tmp_path: Path, pixels: np.ndarray, said: str) -> None:
    """Numbers from 0 to 1 would be scored as black pictures."""
    pair = hdf5_pair(tmp_path, pixels, np.zeros(len(pixels), np.uint8))
    with pytest.raises(UsageError) as caught:
        read_patches([pair])
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.array([1, 0, -1], np.int8), "patch 2 is -1, not 0 (normal) or 1 (tumour)"),
        (np.array([0, 255, 1], np.uint8), "patch 1 is 255, not"),
        (np.array([2, 1, 0], np.uint8), "patch 0 is 2, not"),
        (np.array([0, 1, np.nan]), "patch 2 is nan, not"),
        (np.array([0.9, 0.1, 1.0]), "patch 0 is 0.9, not"),
        (np.array([b"1", b"0", b"1"]), "patch 0 is b'1', not 0 (normal) or 1 (tumour) as a number"),
    ],
)
def test_labels_but_0_and_1_are_refused(tmp_path: Path, labels: np.ndarray, said: str) -> None:
    """What nobody looked at, another class or a probability would count as tumour or as normal."""
    source = labelled_hdf5(tmp_path, labels)
    with pytest.raises(UsageError) as caught:
        read_patches([source])
    assert f"p_y.h5: the label of {said}" in str(caught.value)


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.int64, np.float64])
def test_0_and_1_are_labels_in_every_type(tmp_path: Path, kind: type[np.generic]) -> None:
    assert read_patches([labelled_hdf5(tmp_path, np.array([1, 0, 1]).astype(kind))]).tumour.tolist() == [1, 0, 1]


DEEP = np.full((96, 96), 40_000)


@pytest.mark.parametrize(
    ("pages", "kind", "said"),
    [
        ([Image.fromarray(DEEP.astype(np.uint16))], "png", r"is grey of more than 8 bits \(I"),
        ([Image.fromarray(DEEP.astype(np.uint16))], "tif", r"is grey of more than 8 bits \(I;16"),
        ([Image.fromarray(DEEP.astype(np.int32))], "tif", r"is grey of more than 8 bits \(I\)"),
        ([Image.fromarray(DEEP.astype(np.float32))], "tif", r"is grey of more than 8 bits \(F\)"),
        ([Image.new("RGB", (96, 96)), Image.new("RGB", (96, 96), TUMOUR)], "tif", "holds 2 images, and which of them"),
    ],
)
def test_a_picture_that_would_turn_white_or_is_of_several_is_refused(
    tmp_path: Path, pages: list[Image.Image], kind: str, said: str
) -> None:
    """Whatever comes out of it would be learned from in silence; the file is named."""
    (tmp_path / "normal").mkdir()
    more = {"save_all": True, "append_images": pages[1:]} if pages[1:] else {}
    pages[0].save(tmp_path / "normal" / f"a.{kind}", **more)
    with pytest.raises(UsageError, match=rf": normal/a\.{kind} {said}"):
        read_patches([tmp_path])


def test_a_camera_s_jpeg_with_its_preview_is_one_picture(tmp_path: Path) -> None:
    """The first is the whole."""
    (tmp_path / "normal").mkdir()
    preview = Image.new("RGB", (48, 48), TUMOUR)
    Image.new("RGB", (96, 96), "white").save(
        tmp_path / "normal" / "a.jpg", "MPO", save_all=True, append_images=[preview]
    )
    assert (read_patches([tmp_path]).pixels == 255).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "CMYK"])
def test_a_picture_of_8_bits_is_read_as_it_looks(tmp_path: Path, mode: str) -> None:
    """White, in every mode that can be saved."""
    (tmp_path / "normal").mkdir()
    Image.new("RGB", (96, 96), "white").convert(mode).save(tmp_path / "normal" / "a.tif")
    assert (read_patches([tmp_path]).pixels == 255).all()


@pytest.mark.parametrize("damage", ["deflated bytes", "a password", "another method"])
def test_a_zip_whose_members_cannot_be_read_is_named(tmp_path: Path, damage: str) -> None:
    """Its list is whole, and zipfile raises something else for each."""
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("normal/a.png", bytes(5000))
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    if damage == "deflated bytes":
        content[42:60] = b"\xff" * 18
    for place in (6, central + 8) if damage == "a password" else ():
        content[place] |= 1
    for place in (8, central + 10) if damage == "another method" else ():
        content[place] = 97
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"p\.zip: not a whole zip file, or packed in a way that isn't read"):
        read_patches([path])


def test_a_mosaic_holds_tumour_where_its_mask_says() -> None:
    """Pixels under the mask come from tumour patches, all others from normal ones."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-30, 31, (40, 96, 96, 1))
    colours = np.array([NORMAL] * 20 + [TUMOUR] * 20).reshape(40, 1, 1, 3)
    patches = Patches(np.clip(colours + noise, 0, 255).astype(np.uint8), np.arange(40) >= 20, ("",) * 40)
    maker = MosaicMaker(patches, MosaicSettings(tile_px=160, pool=400, kept=1.0, jpeg_share=0.0))
    for _ in range(8):
        tile, mask = maker.draw(rng)
        is_tumour = tile[..., 2].astype(int) - tile[..., 1] > 85
        assert (is_tumour == mask).mean() > 0.99


def test_cells_are_labelled_by_the_share_of_tumour_in_them() -> None:
    """All, half, a little and none of a cell: 1, 1, ignored, 0."""
    mask = np.zeros((128, 128), bool)
    mask[32:48, 32:48] = True
    mask[32:40, 48:64] = True
    mask[32:35, 64:80] = True
    labels = cell_labels(mask, margin_px=32, stride_px=16)
    assert labels[0].tolist() == [1.0, 1.0, IGNORED, 0.0]
    assert not labels[1:].any()


def test_swapping_the_context_leaves_the_centre() -> None:
    """The 40 px that a label speaks of stay as they are; around them something changes."""
    pixels = torch.randint(0, 256, (16, 96, 96, 3), dtype=torch.uint8)
    swapped = context_swapped(pixels, 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(swapped[:, 28:68, 28:68], pixels[:, 28:68, 28:68])
    assert not torch.equal(swapped, pixels)


def test_no_change_asked_for_changes_nothing() -> None:
    """With every strength at 0, augmentation is the plain conversion to [0, 1]."""
    pixels = torch.randint(0, 256, (4, 96, 96, 3), dtype=torch.uint8)
    image = augmented(pixels, OFF, torch.Generator().manual_seed(0))
    torch.testing.assert_close(image, pixels.permute(0, 3, 1, 2) / 255, atol=1 / 255, rtol=0)


def test_auc_by_hand() -> None:
    """Of four pairs of positive and negative three are in order and one is tied."""
    assert roc_auc(np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False])) == 3.5 / 4


def test_a_calibration_error_is_told_without_an_interval() -> None:
    """Its 95 % of resamples seldom held the true error, which of well calibrated answers is 0."""
    rng = np.random.default_rng(0)
    answers = rng.random(300)
    truth = rng.random(300) < answers
    said = flat(scores_of(answers, truth))
    assert said["calibration_error"] == pytest.approx(calibration_error(answers, truth))
    assert {"auc_95", "accuracy_95"} <= said.keys()
    assert "calibration_error_95" not in said


def test_calibration_error_by_hand() -> None:
    """Ten answers of 0.8 of which six are right are off by 0.2."""
    assert calibration_error(np.full(10, 0.8), np.arange(10) < 6) == pytest.approx(0.2)


def test_calibration_errors_of_bins_do_not_make_up_for_one_another() -> None:
    """Too low by 0.3 and too high by 0.1 are 0.2 off on average; 15 bins part 0.93 from 0.94, not 0.935 from 1."""
    apart = np.array([*[0.1] * 5, *[0.9] * 5])
    assert calibration_error(apart, np.array([1, 1, 0, 0, 0, 1, 1, 1, 1, 0], bool)) == pytest.approx(0.2)
    assert calibration_error(np.array([0.93, 0.94]), np.array([False, True])) == pytest.approx((0.93 + 0.06) / 2)
    assert calibration_error(np.array([0.935, 1.0]), np.array([False, True])) == pytest.approx(0.935 / 2)


def test_every_score_of_nine_answers_by_hand() -> None:
    """Of five patches with tumour three are told, one of them at 0.5; of four without one is taken for it."""
    truth = np.arange(9) < 5
    found = scores_of(np.array([0.9, 0.7, 0.5, 0.4, 0.2, 0.6, 0.3, 0.2, 0.1]), truth)
    assert (found.sensitivity.value, found.specificity.value, found.n) == (0.6, 0.75, 9)
    assert found.accuracy.value == pytest.approx(6 / 9)
    assert (found.sensitivity.n, found.specificity.n, found.specificity_at_sensitivity_090.n) == (5, 4, 4)
    assert (found.accuracy.n, found.auc.n) == (9, 9)
    # pairs in order: 4 of 0.9 and of 0.7, 3 of 0.5 and of 0.4, 1 and a tie of 0.2
    assert found.auc.value == pytest.approx(15.5 / 20)
    assert found.specificity_at_sensitivity_090.value == 0.25  # at 0.2, which four of five are not enough for
    for interval in (found.auc, found.accuracy, found.sensitivity, found.specificity):
        assert interval.low < interval.value < interval.high


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_patches_of_one_class_have_no_scores(truth: list[bool]) -> None:
    """Whichever it is: an accuracy of 1 would be of a model that says one thing."""
    with pytest.raises(UsageError, match=f"all 2 patches are labelled {'tumour' if all(truth) else 'normal'}, so"):
        scores_of(np.array([0.1, 0.9]), np.array(truth))


def test_specificity_at_a_sensitivity_by_hand() -> None:
    """Nine of ten positives lie at or above 0.2; a negative there is called positive, too, so that a third is left."""
    probability = np.array([*np.arange(1, 11) / 10, 0.15, 0.2, 0.25])
    assert specificity_at(probability, np.arange(13) < 10, sensitivity=0.9) == pytest.approx(1 / 3)


def test_a_bootstrap_holds_its_value() -> None:
    """The interval of a mean of fair coins holds the mean, and is as wide as theory says."""
    coins = np.random.default_rng(0).integers(0, 2, 400)
    interval = bootstrap(lambda index: float(coins[index].mean()), 400)
    assert interval.low < interval.value < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.5 / 20, rel=0.15)


def test_what_is_not_defined_has_no_figure() -> None:
    """An AUC of one class is not defined; one of which a single case is positive is, in half of the resamples."""
    score, truth = np.array([0.9, 0.1, 0.2]), np.zeros(3, bool)
    assert bootstrap(lambda index: roc_auc(score[index], truth[index]), 3).value is None
    truth[0] = True
    score[0] = 0.15
    interval = bootstrap(lambda index: roc_auc(score[index], truth[index]), 3)
    assert (interval.value, interval.low, interval.high) == (0.5, 0.0, 1.0)


def test_intervals_are_those_that_were_published() -> None:
    """Seed, draws and percentiles are as on every card and table so far: 1,000 resamples of generator 0."""
    values, random = np.random.default_rng(7).normal(size=30), np.random.default_rng(0)
    drawn = [values[random.integers(0, 30, 30)].mean() for _ in range(1000)]
    interval = bootstrap(lambda index: float(values[index].mean()), 30)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=1e-12)


def test_a_size_correction_takes_out_a_constant_excess() -> None:
    """Discs that all measure 30 um too long are corrected by 30 um, beyond the largest bin too."""
    sizes = [80, 90, 100, 400, 500, 600, 900, 1000, 1100]
    table, left = size_correction([(size, size + 30.0) for size in sizes])
    assert [round(measured - true, 6) for measured, true in table] == [30.0] * 2
    assert left == 0


class Halves:
    """Answers by the mean of each cell's red: a stand-in network whose answer on a patch is known."""

    geometry = TileGeometry(core_px=256, margin_px=32, stride_px=16)

    def start(self, tiles: np.ndarray) -> Callable[[], np.ndarray]:
        core = tiles[:, 32:-32, 32:-32, 0].astype(np.float32)
        n = core.shape[1] // 16
        return lambda: core.reshape(len(core), n, 16, n, 16).mean(axis=(2, 4)) / 255


def test_a_patch_is_moved_to_where_its_label_lies() -> None:
    """Of 96 px, the 32 px around (42, 42) come to the middle, pixel for pixel; other sizes stay as they are."""
    pixels = np.random.default_rng(1).integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)
    np.testing.assert_array_equal(centred(pixels)[:, 32:64, 32:64], pixels[:, 26:58, 26:58])
    np.testing.assert_array_equal(centred(pixels)[:, 6:, 6:], pixels[:, :90, :90])
    np.testing.assert_array_equal(centred(pixels)[:, 5, 6:], pixels[:, 1, :90])
    other = pixels[:, :64, :64]
    assert centred(other) is other


@pytest.mark.parametrize("mosaic", [False, True])
def test_a_patch_is_answered_where_its_label_lies(mosaic: bool) -> None:
    """The answer is that of the 64 px around the labelled square's middle, whatever lies beside them."""
    pixels = np.full((2, 96, 96, 3), 10, np.uint8)
    pixels[:, 10:74, 10:74] = 240
    assert patch_probabilities(pixels, Halves(), mosaic=mosaic) == pytest.approx(240 / 255)


@pytest.mark.parametrize("in_middle", [False, True])
def test_a_label_speaks_of_the_patchs_middle_or_of_pcams_place(in_middle: bool) -> None:
    """Of 96 px: 64 around (48, 48), or around (42, 42), are tumour; read elsewhere the two kinds are not told apart."""
    first = 16 if in_middle else 10
    pixels = np.full((4, 96, 96, 3), 10, np.uint8)
    pixels[:2, first : first + 64, first : first + 64] = 240
    pixels[2:] = 10
    patches = Patches(pixels, np.arange(4) < 2, ("",) * 4)
    found = evaluate_patches(patches, Halves(), mosaic=False, in_middle=in_middle)
    assert (found.accuracy.value, found.n) == (1.0, 4)
    assert found.calibration_error == pytest.approx((2 * 15 / 255 + 2 * 10 / 255) / 4)


def test_a_temperature_makes_answers_as_sure_as_labels_are() -> None:
    """Answers of 225/255 of which 30 in 41 are right: on a card of temperature 3 it is 3 times the ratio of logits."""
    pixels = np.full((41, 96, 96, 3), 225, np.uint8)
    patches = Patches(pixels, np.arange(41) < 30, ("",) * 41)
    card = load_card(find_model(None)).model_copy(update={"temperature": 3.0})
    expected = 3 * math.log(225 / 30) / math.log(30 / 11)
    assert calibrated(card, Halves(), patches).temperature == pytest.approx(expected, rel=1e-3)


def test_a_mosaic_answers_each_patch_by_its_own_centre() -> None:
    """Laid into one picture, every patch gets the very answer it gets alone."""
    pixels = np.random.default_rng(0).integers(1, 255, (11, 96, 96, 3), dtype=np.uint8)
    alone = patch_probabilities(pixels, Halves(), mosaic=False)
    np.testing.assert_allclose(patch_probabilities(pixels, Halves(), mosaic=True), alone, atol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("positive", [True, False])
def test_intervals_of_few_cases_leave_out_resamples_without_any(positive: bool) -> None:
    """One patch of a class among five: a third of the resamples lack it, and made the figure NaN; the others are 1."""
    truth = np.array([positive, *[not positive] * 4])
    scores = scores_of(np.where(truth, 0.9, 0.1), truth)
    for interval in (scores.sensitivity, scores.specificity):
        assert (interval.value, interval.low, interval.high) == (1.0, None, None)
