"""A wider network begins where the narrower one ended."""

from pathlib import Path

import pytest
import torch

from nodescan.errors import UsageError
from nodescan.inference.models import P4MNet
from training import growing
from training.checkpoints import read_checkpoint
from training.growing import grow
from training.rivals import RIVALS


@pytest.fixture
def narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of a network with 2 features in its first layers; "wide" is one with 3."""
    monkeypatch.setitem(RIVALS, "narrow", lambda: P4MNet((2, 4, 6, 8)))
    monkeypatch.setitem(RIVALS, "wide", lambda: P4MNet((3, 4, 6, 8)))
    monkeypatch.setitem(RIVALS, "deep", lambda: torch.nn.Conv2d(3, 1, 1))
    torch.manual_seed(0)
    path = tmp_path / "narrow.ckpt"
    state = {f"net.{name}": value for name, value in RIVALS["narrow"]().state_dict().items()}
    torch.save({"hyper_parameters": {"architecture": "narrow"}, "state_dict": state}, path)
    return path


def answers(checkpoint: Path) -> torch.Tensor:
    architecture, weights = read_checkpoint(checkpoint)
    net = RIVALS[architecture]().eval()
    net.load_state_dict(weights)
    torch.manual_seed(1)
    with torch.inference_mode():
        return net(torch.randn(2, 3, 112, 112))


def test_a_wider_network_answers_nearly_as_the_one_it_grew_from(
    narrow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new features are there, and hardly heard yet."""
    wide, loud = tmp_path / "runs" / "wide.ckpt", tmp_path / "loud.ckpt"
    grow(str(narrow), "wide", wide)
    monkeypatch.setattr(growing, "_HEARD", 1.0)
    grow(str(narrow), "wide", loud)
    apart, further = (float((answers(path) - answers(narrow)).abs().mean()) for path in (wide, loud))
    assert 0 < apart < further / 2
    _, weights = read_checkpoint(wide)
    _, trained = read_checkpoint(narrow)
    assert weights["lift.weight"].shape[0] == 3
    assert torch.equal(weights["lift.weight"][:2], trained["lift.weight"])
    assert weights["lift.weight"][2].std() > 0
    assert weights["fine.weight"][:2, 2:].std() < 0.2 * weights["fine.weight"][2:, :2].std()


def test_what_does_not_fit_is_refused(narrow: Path, tmp_path: Path) -> None:
    """A network of other layers, and a narrower one."""
    with pytest.raises(UsageError, match="other layers"):
        grow(str(narrow), "deep", tmp_path / "deep.ckpt")
    grow(str(narrow), "wide", tmp_path / "wide.ckpt")
    with pytest.raises(UsageError, match="only wider ones grow"):
        grow(str(tmp_path / "wide.ckpt"), "narrow", tmp_path / "again.ckpt")
