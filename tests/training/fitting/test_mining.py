"""Hard negatives: the worst false positives on negative training slides, and nothing else."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.errors import OutputError, UsageError
from nodescan.inference.models import MODELS
from tests.fakes import ColourPredictor, silent
from tests.training.made_runs import CONFIG, SAMPLE, made_checkpoint, slide_data
from tests.training.made_slides import replaced
from training.fitting.mining import HardNegative, MiningSettings, mine, open_checkpoint, peaks, write_hard_negatives
from training.slides.index import read_index, write_index
from training.slides.sampler import SlideSampler

SETTINGS = MiningSettings(threshold=0.5, apart_px=64, most_per_slide=4)


class DarknessPredictor(ColourPredictor):
    """Takes for tumour what is dark: each answer is one minus the mean grey of its cell."""

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        core = tiles[:, 32:-32, 32:-32].mean(axis=3).reshape(len(tiles), 16, 16, 16, 16)
        return (1 - core.mean(axis=(2, 4)) / 255).astype(np.float32)


def test_peaks_are_the_highest_cells_and_stand_apart() -> None:
    """Planted heights come back in their order; a lower one beside a higher is dropped, a lower one far off is kept."""
    map_ = np.full((40, 40), 0.1, np.float32)
    for (row, column), height in {(5, 5): 0.9, (6, 7): 0.8, (5, 9): 0.7, (30, 30): 0.95, (20, 5): 0.49}.items():
        map_[row, column] = height
    assert peaks(map_, SETTINGS) == [(30, 30), (5, 5), (5, 9)]
    assert len(peaks(np.ones((40, 40), np.float32), SETTINGS)) == SETTINGS.most_per_slide


def test_only_negative_training_slides_are_mined(index: Path) -> None:
    """Not validation slides, and no slide with tumour, where a false positive may be an outline that is missing."""
    found = mine(DarknessPredictor(), index, settings=MiningSettings(0.2, 64, 500), tell=silent)
    assert {item.slide_id for item in found} == {"normal_001", "normal_003"}


def test_a_box_surrounds_what_was_taken_for_tumour(index: Path, tmp_path: Path) -> None:
    """The cell of highest answer is the box's middle, and the next fit draws patches just there."""
    found = mine(DarknessPredictor(), index, settings=SETTINGS, tell=silent)
    found = found or mine(DarknessPredictor(), index, settings=MiningSettings(0.3, 64, 4), tell=silent)
    assert 2 <= len(found) <= 8
    write_hard_negatives(found, tmp_path / "hard.csv")
    sampler = SlideSampler(index, "train", SAMPLE, hard_negatives=tmp_path / "hard.csv")
    assert len(sampler.hard) == len(found)
    for item, place in zip(found, sampler.hard, strict=True):
        pixels, tumour = sampler.patch(place, 96)
        assert not tumour
        assert sampler.rows[place.slide].slide_id == item.slide_id
        assert 1 - pixels[40:56, 40:56].mean() / 255 == pytest.approx(item.probability, abs=1e-3)


def test_nothing_to_mine_is_an_error(index: Path, tmp_path: Path) -> None:
    """An index without negative training slides is named."""
    write_index([row for row in read_index(index) if row.label != "negative"], tmp_path)
    with pytest.raises(UsageError, match="no negative slide in the training split"):
        mine(DarknessPredictor(), tmp_path, settings=SETTINGS, tell=silent)


def test_a_network_of_another_spacing_is_refused(index: Path) -> None:
    """Its answers would lie on other cells than the index."""

    class Finer(DarknessPredictor):
        spacing_range_um = (0.45, 0.5)

    with pytest.raises(UsageError, match="prepared for another spacing or stride"):
        mine(Finer(), index, settings=SETTINGS, tell=silent)


def test_no_false_positive_writes_an_empty_list(
    tmp_path: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network that makes no mistake gives a file with columns only, which fit takes, and says so."""
    empty: tuple[HardNegative, ...] = ()
    write_hard_negatives(empty, tmp_path / "hard.csv")
    data = slide_data(index, hard_negatives=tmp_path / "hard.csv")
    data.setup("fit")
    assert data.sampler.hard == []
    assert f"{tmp_path / 'hard.csv'}: holds no hard negatives, so none are trained on\n" in capsys.readouterr().out


def test_a_slide_that_was_replaced_is_not_mined(index: Path, tmp_path: Path) -> None:
    """The tissue and the class are of the slide that was prepared; on another one tumour would be mined as normal."""
    replaced(index, tmp_path, "normal_001")
    with pytest.raises(UsageError, match=r"normal_001 has changed since prepare; run prepare again"):
        mine(DarknessPredictor(), tmp_path, settings=SETTINGS, tell=silent)


def test_a_full_temporary_folder_is_told_from_the_output_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of boxes has room where it is to go; $TMPDIR has none for the model."""

    def full_disk(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    checkpoint = made_checkpoint(tmp_path / "a.ckpt", "p4m")
    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OutputError, match=r"\(No space left on device\); free some space, or set TMPDIR to a folder"):
        open_checkpoint(checkpoint, CONFIG, device="cpu")


def test_a_network_that_cannot_scan_slides_does_not_mine(tmp_path: Path) -> None:
    """It is told what mining needs, not that the checkpoint can't be exported, which nobody asked for."""
    checkpoint = made_checkpoint(tmp_path / "a.ckpt", "residual")
    said = r"a\.ckpt: residual networks can be trained, but not scan slides, .* checkpoint of "
    with pytest.raises(UsageError, match=f"{said}{', '.join(sorted(MODELS))}$"):
        open_checkpoint(checkpoint, CONFIG, device="cpu")


def test_a_checkpoint_of_another_network_is_not_mined(tmp_path: Path) -> None:
    """Its false positives aren't those of the network that is fitted next; a configuration without one takes any."""
    checkpoint = made_checkpoint(tmp_path / "a.ckpt", "p4m-small")
    with pytest.raises(
        UsageError, match=r"a\.ckpt: is of architecture p4m-small, and .*16\.yaml trains a network p4m;"
    ):
        open_checkpoint(checkpoint, CONFIG, device="cpu")
    (tmp_path / "data.yaml").write_text("data: {init_args: {index: idx}}")
    assert open_checkpoint(checkpoint, tmp_path / "data.yaml", device="cpu").geometry.stride_px == 16
