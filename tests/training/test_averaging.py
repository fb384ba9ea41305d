"""Averaged networks are the mean of their weights, and only of like ones."""

import errno
import io
from pathlib import Path

import pytest
import torch

from nodescan.errors import OutputError, UsageError
from nodescan.inference.models import build
from training.averaging import average
from training.checkpoints import read_checkpoint


def checkpoint(path: Path, architecture: str, value: float) -> str:
    """A network whose weights and statistics are all of one value."""
    state = {f"net.{name}": torch.full_like(w, value) for name, w in build(architecture).state_dict().items()}
    torch.save({"hyper_parameters": {"architecture": architecture}, "state_dict": state}, path)
    return str(path)


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
    for place in (tmp_path, tmp_path / "1.0.ckpt" / "mean.ckpt"):
        with pytest.raises(OutputError, match="can't be written"):
            average(sources, place)
    before = Path(sources[0]).read_bytes()

    def full(content: object, file: io.BufferedWriter) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="No space left on device"):
        average(sources, Path(sources[0]))
    assert Path(sources[0]).read_bytes() == before


def test_unlike_networks_and_single_ones_are_refused(tmp_path: Path) -> None:
    """The message says what is wrong, and nothing is written."""
    small = checkpoint(tmp_path / "small.ckpt", "p4m-small", 1.0)
    other = checkpoint(tmp_path / "other.ckpt", "p4m", 1.0)
    with pytest.raises(UsageError, match="one architecture can be averaged, not p4m-small, p4m"):
        average([small, other], tmp_path / "mean.ckpt")
    with pytest.raises(UsageError, match="two checkpoints"):
        average([small], tmp_path / "mean.ckpt")
    assert not (tmp_path / "mean.ckpt").exists()
