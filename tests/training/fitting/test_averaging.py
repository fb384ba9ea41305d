"""Averaged networks are the mean of their weights, and only of like ones."""

import errno
from pathlib import Path

import pytest
import torch

from nodescan.errors import OutputError, UsageError
from nodescan.inference.models import build
from tests.training.made_runs import made_checkpoint
from training.fitting.averaging import average
from training.fitting.checkpoints import read_checkpoint


def checkpoint(path: Path, architecture: str, value: float) -> str:
    """A network whose weights and statistics are all of one value."""
    return str(made_checkpoint(path, architecture, change=lambda _, weight: weight.fill_(value)))


def test_every_weight_is_the_mean(tmp_path: Path) -> None:
    """Of three networks of 1, 2 and 6 comes one of 3, that can be exported and trained on like any other."""
    sources = [checkpoint(tmp_path / f"{value}.ckpt", "p4m-small", value) for value in (1.0, 2.0, 6.0)]
    assert average(sources, tmp_path / "runs" / "mean.ckpt") == "p4m-small"
    architecture, weights = read_checkpoint(tmp_path / "runs" / "mean.ckpt")
    build(architecture).load_state_dict(weights)
    assert all(torch.equal(w, torch.full_like(w, 3.0)) for w in weights.values())


def test_a_place_that_cannot_be_written_to_is_named_and_what_stood_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder, a file for a folder, and a disk that is full halfway."""
    sources = [checkpoint(tmp_path / f"{value}.ckpt", "p4m-small", value) for value in (1.0, 2.0)]
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "folder", tmp_path / "1.0.ckpt" / "mean.ckpt"):
        with pytest.raises(OutputError, match="can't be written"):
            average(sources, place)
    mean = tmp_path / "mean.ckpt"
    average(sources, mean)
    before = mean.read_bytes()

    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:4])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left on device"):
        average(sources, mean)
    assert mean.read_bytes() == before


@pytest.mark.parametrize("name", ["1.0.ckpt", "slide.tif", "run.ckpt"])
def test_nothing_but_an_earlier_mean_is_written_over(tmp_path: Path, name: str) -> None:
    """A checkpoint that is averaged, a slide and a run's own checkpoint stay; what average wrote is made anew."""
    sources = [checkpoint(tmp_path / f"{value}.ckpt", "p4m-small", value) for value in (1.0, 2.0)]
    (tmp_path / "slide.tif").write_bytes(b"II*\0 a slide")
    run = torch.load(sources[0], weights_only=True)
    torch.save(run | {"global_step": 100}, tmp_path / "run.ckpt")
    before = (tmp_path / name).read_bytes()
    with pytest.raises(UsageError, match=r"what is read would be lost|nodescan didn't write it"):
        average(sources, tmp_path / name)
    assert (tmp_path / name).read_bytes() == before
    for _ in range(2):
        assert average(sources, tmp_path / "mean.ckpt") == "p4m-small"


def test_unlike_networks_and_single_ones_are_refused(tmp_path: Path) -> None:
    """The message says what is wrong, and nothing is written."""
    small = checkpoint(tmp_path / "small.ckpt", "p4m-small", 1.0)
    other = checkpoint(tmp_path / "other.ckpt", "p4m", 1.0)
    with pytest.raises(UsageError, match="one architecture can be averaged, not p4m-small, p4m"):
        average([small, other], tmp_path / "mean.ckpt")
    with pytest.raises(UsageError, match="two checkpoints"):
        average([small], tmp_path / "mean.ckpt")
    assert not (tmp_path / "mean.ckpt").exists()
