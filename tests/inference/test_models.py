"""A model folder is taken only when card and weights fit, and every architecture keeps its contract."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nodescan.errors import DeviceError, ModelError
from nodescan.inference import device as device_module
from nodescan.inference.card import Decision, find_model, list_models, load_card, packed_models, save_card
from nodescan.inference.device import choose_device
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.models import MODELS, build
from nodescan.inference.predictor import open_predictor
from nodescan.inference.random_model import random_model
from nodescan.inference.seams import HALF_FIELD_PX
from training.fitting.export import export


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    state = {f"net.{key}": value for key, value in build("p4m-small").state_dict().items()}
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": state, "hyper_parameters": {"architecture": "p4m-small"}}, path)
    return path


@pytest.fixture
def folder(checkpoint: Path, tmp_path: Path) -> Path:
    export(checkpoint, tmp_path / "model", name="model", training_data="none")
    return tmp_path / "model"


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_architecture_answers_its_core(name: str) -> None:
    """Contract of the table: a tile of core and margin is answered by one cell a stride."""
    net = build(name).eval()
    size = 2 * net.margin_px + 4 * net.stride_px
    with torch.inference_mode():
        assert net(torch.zeros(1, 3, size, size)).shape == (1, 4, 4)


def network_and_image(name: str, cells: int) -> tuple[torch.nn.Module, torch.Tensor]:
    """A network of random weights whose margin holds all that a cell sees, and noise around so many cells a side."""
    torch.manual_seed(0)
    net = build(name).eval()
    if net.padded:
        net.margin_px = HALF_FIELD_PX[name]
    side = 2 * net.margin_px + cells * net.stride_px
    return net, torch.rand(1, 3, side, side)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_cell_is_answered_from_around_its_place(name: str) -> None:
    """Its answer hangs on no pixel beyond HALF_FIELD_PX, and most on those about its middle: strided, padded
    convolutions are off by half a cell. Else seams would be measured wrong, or deposits lie elsewhere."""
    net, image = network_and_image(name, cells=6)
    row, column = 1, 3  # not on the diagonal
    net(image.requires_grad_())[0, row, column].backward()
    weight = image.grad.abs().sum((0, 1))
    half, side = HALF_FIELD_PX[name], net.stride_px
    for along, index in ((weight.sum(1), row), (weight.sum(0), column)):
        first = net.margin_px + index * side
        seen = along.nonzero().flatten()
        assert first - half <= seen[0] < seen[-1] < first + side + half, "more than HALF_FIELD_PX, or another cell"
        middle = float((along * (torch.arange(len(along)) + 0.5)).sum() / along.sum())
        assert abs(middle - first - side / 2) <= side / 2 + 2, "another cell"


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_cells_answer_is_the_same_in_every_tile(name: str) -> None:
    """Of one that begins elsewhere and is smaller, too: a slide's finding can't hang on how it was cut into tiles."""
    net, image = network_and_image(name, cells=5)
    top, left = net.stride_px, 2 * net.stride_px
    side = 2 * net.margin_px + 3 * net.stride_px
    with torch.inference_mode():
        whole, tile = net(image), net(image[..., top : top + side, left : left + side])
    assert (tile - whole[:, 1:4, 2:5]).abs().max() < 1e-3 * whole.std()


def test_an_exported_model_answers_as_its_checkpoint(checkpoint: Path, folder: Path) -> None:
    """Through half precision, the card and the folding, a tile's probabilities stay within a hundredth."""
    predictor = open_predictor(folder, device="cpu", precision="float32")
    net = build("p4m-small")
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    net.load_state_dict({key.removeprefix("net."): value for key, value in state.items()})
    tiles = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (load_card(folder).mean, load_card(folder).std))
    with torch.inference_mode():
        expected = torch.sigmoid(net.eval()((torch.from_numpy(tiles).permute(0, 3, 1, 2) / 255 - mean) / std))
    np.testing.assert_allclose(predictor.start(tiles)(), expected.numpy(), atol=0.01)


@pytest.fixture
def default_dtype() -> Iterator[None]:
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("default_dtype")
@pytest.mark.parametrize("architecture", ["p4m-small", "resnet18"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_float32_is_float32_whatever_type_the_host_set(tmp_path: Path, architecture: str, dtype: torch.dtype) -> None:
    """A program that calls nodescan may have another default type; the answers are those of a program without one."""
    folder = random_model(tmp_path / "model", architecture, core_px=64)
    true = open_predictor(folder, device="cpu", precision="float32")
    tiles = made_tiles(2, true.geometry.input_px)
    torch.set_default_dtype(dtype)
    predictor = open_predictor(folder, device="cpu", precision="float32")
    assert np.array_equal(predictor.start(tiles)(), true.start(tiles)())


def test_one_changed_byte_in_the_weights_is_refused(folder: Path) -> None:
    """The sha256 on the card decides, and the text says what to do."""
    file = folder / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"weights.safetensors: sha256 is .* install nodescan again"):
        open_predictor(folder)


def test_weights_of_another_architecture_are_refused(folder: Path) -> None:
    """Even with a right sha256, weights must fit the network that the card names."""
    card = load_card(folder)
    save_card(card.model_copy(update={"architecture": "p4m"}), folder)
    with pytest.raises(ModelError, match="not the weights of a p4m network"):
        open_predictor(folder)


@pytest.mark.parametrize(
    ("change", "key"),
    [("core_px: 512", "the card"), ("extra: 1\nname: x", "extra"), ("weights: ../../etc/passwd", "weights")],
)
def test_a_wrong_card_is_named_by_key(folder: Path, change: str, key: str) -> None:
    """Unknown keys, impossible geometry and paths out of the folder are refused by name."""
    file = folder / "card.yaml"
    line = change.splitlines()[0].split(":")[0]
    kept = [text for text in file.read_text().splitlines() if not text.startswith(f"{line}:")]
    replaced = change.replace("core_px: 512", "core_px: 500")
    file.write_text("\n".join([*(t for t in kept if not t.startswith("name:") or "name" not in change), replaced]))
    with pytest.raises(ModelError, match=key):
        load_card(file.parent)


def test_a_model_that_is_not_there_lists_those_that_are() -> None:
    """A typing mistake shows the names to choose from."""
    with pytest.raises(ModelError, match=r"no-such-model: no such model; installed models: "):
        find_model("no-such-model")


def test_a_file_that_is_named_for_a_model_is_told_what_a_model_is(tmp_path: Path) -> None:
    """It is there, so "no such model" would be wrong: weights of others, a checkpoint, or a model's own card."""
    file = tmp_path / "vit.pt"
    file.write_bytes(b"PK")
    with pytest.raises(
        ModelError, match=r"vit\.pt: is a file, and a model is a folder with a card\.yaml, .* TorchScript"
    ):
        find_model(str(file))


def test_released_weights_are_small_and_load() -> None:
    """Every model in the wheel is at most 15 MB and opens."""
    cards = list_models()
    assert cards
    for card in cards:
        home = packed_models() / card.name
        assert sum(file.stat().st_size for file in home.iterdir()) <= 15e6
        assert open_predictor(home, device="cpu").geometry == card.geometry()


def test_a_decision_survives_the_card(folder: Path) -> None:
    """What tuning chose is what a scan reads back."""
    decision = Decision(
        smoothing_um=24.0,
        threshold=0.4,
        seed_threshold=0.8,
        size_correction_um=((100.0, 90.0), (300.0, 280.0)),
        size_uncertainty_um=9.0,
        chosen_on="nothing",
    )
    save_card(load_card(folder).model_copy(update={"decision": decision}), folder)
    assert open_predictor(folder).decision == decision.rule()


@pytest.mark.parametrize("device", ["tpu", "mps", "cpu:3", "cuda:", "cuda:x", "cuda:-1", "cuda:0\n", "CUDA", ""])
def test_a_device_of_no_known_name_is_an_error(device: str) -> None:
    """An explicit device is never replaced in silence."""
    with pytest.raises(DeviceError) as raised:
        choose_device(device)
    assert str(raised.value) == f"device {device!r} is not known; use auto, cpu, cuda or cuda:N"


@pytest.mark.parametrize("number", ["2", "99", "128", "255", "256", "257", "4294967296", "9" * 30])
def test_a_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    """Whatever torch, which keeps a number in 8 bits, takes it for: 128 for none, and 256 for the first."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "gpu")
    monkeypatch.setattr(device_module, "_try_out", lambda device: None)
    with pytest.raises(DeviceError, match=rf"^device 'cuda:{number}' was asked for but there are 2 CUDA devices"):
        choose_device(f"cuda:{number}")
    assert choose_device("cuda:1").device == torch.device("cuda", 1)


@pytest.mark.parametrize(("broken", "taken"), [({0}, "cuda:1 (gpu)"), ({0, 1}, "cpu (")])
def test_a_gpu_that_does_not_compute_is_an_error_or_passed_over(
    monkeypatch: pytest.MonkeyPatch, broken: set[int], taken: str
) -> None:
    """As one that this torch has no code for: named, it is an error on one line; auto goes on without it."""

    def try_out(chosen: torch.device) -> None:
        if chosen.index in broken:
            raise RuntimeError("CUDA error: no kernel image\nCompile with TORCH_USE_CUDA_DSA")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "gpu")
    monkeypatch.setattr(device_module, "_try_out", try_out)
    with pytest.raises(
        DeviceError, match=r"^device cuda:0 \(gpu\) doesn't compute \(CUDA error: no kernel image\); use "
    ):
        choose_device("cuda:0")
    chosen = choose_device("auto")
    assert chosen.description.startswith(taken)
    assert ("no kernel image" in chosen.description) == (chosen.device.type == "cpu")


def one_gpu_that_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "gpu")
    monkeypatch.setattr(device_module, "_try_out", lambda device: None)


@pytest.fixture
def restored() -> Iterator[None]:
    """torch's precisions are those of the whole process."""
    backends = torch.backends
    places = (backends, backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul)
    before = [place.fp32_precision for place in places]
    yield
    torch.set_float32_matmul_precision("highest")
    for place, precision in zip(places, before, strict=True):
        place.fp32_precision = precision


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="this torch has allow_tf32 alone")
@pytest.mark.usefixtures("restored")
def test_a_gpu_computes_in_whole_float32_whatever_is_set_for_all(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """TF32 for all operations rounds neither convolutions nor products; what torch's compiler asks for can be read."""
    torch.backends.fp32_precision = "tf32"
    one_gpu_that_computes(monkeypatch)
    for _ in range(2):
        assert choose_device("cuda").description == "cuda:0 (gpu)"
    assert torch.backends.cudnn.conv.fp32_precision == torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cudnn.allow_tf32 is torch.backends.cuda.matmul.allow_tf32 is False
    assert not recwarn.list


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="this torch has allow_tf32 alone")
@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("before", ["high", "medium"])
def test_torch_can_tell_its_precision_after_a_gpu_is_opened(monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    """A host that had products of matrices rounded, as training scripts do, can still read the setting."""
    torch.set_float32_matmul_precision(before)
    one_gpu_that_computes(monkeypatch)
    choose_device("cuda")
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cuda.matmul.allow_tf32 is torch.backends.cudnn.allow_tf32 is False


def test_an_older_torch_is_told_by_its_one_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows no precision of single operations, and is given none."""
    cudnn, matmul = SimpleNamespace(allow_tf32=True), SimpleNamespace(allow_tf32=True)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "backends", SimpleNamespace(cudnn=cudnn, cuda=SimpleNamespace(matmul=matmul)))
        device_module._compute_in_whole_float32()
    assert vars(cudnn) == vars(matmul) == {"allow_tf32": False}


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: system not yet initialized\nCompile with X"),
        AssertionError("Invalid device id"),
        torch.cuda.DeferredCudaCallError("CUDA call failed lazily\n\nCUDA call was originally invoked at"),
    ],
)
def test_a_gpu_that_cannot_say_its_name_does_not_compute(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Whatever torch raises on asking: auto goes on with the CPU, saying why on one line."""

    def name(index: int) -> str:
        raise error

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", name)
    reason = str(error).partition("\n")[0]
    with pytest.raises(DeviceError, match=rf"^device cuda:0 doesn't compute \({reason}\); use another"):
        choose_device("cuda")
    assert choose_device("auto").description.endswith(f" threads; device cuda:0 doesn't compute ({reason}))")
    with pytest.raises(DeviceError, match="but there is 1 CUDA device; use"):
        choose_device("cuda:1")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has 139 GiB."),
            "CUDA out of memory",
        ),
        (RuntimeError("CUDA error: out of memory\nCompile with X"), "CUDA error: out of memory"),
        (
            torch.cuda.DeferredCudaCallError("CUDA call failed lazily with error: CUDA error: out of memory\n\nCUDA"),
            "CUDA call failed lazily with error: CUDA error: out of memory",
        ),
    ],
    ids=str,
)
def test_a_full_gpu_has_no_room(monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
    """It would compute, once other programs on it have ended: in few words, for a run and for who asked for the GPU."""

    def full(device: torch.device) -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "gpu")
    monkeypatch.setattr(device_module, "_try_out", full)
    told = f"cuda:0 (gpu) has no room for a network ({said})"
    with pytest.raises(DeviceError) as raised:
        choose_device("cuda")
    assert str(raised.value) == f"{told}; end other programs on it, or use --device cpu"
    assert choose_device("auto").description.endswith(f" threads; {told})")


def test_a_gpu_that_fails_as_it_is_tried_out_is_not_called_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN says the same of both; only the GPU's next call tells."""

    def found_no_way(*_: object) -> None:
        raise RuntimeError("GET was unable to find an engine to execute this computation")

    def fail(device: torch.device) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch.nn.functional, "conv2d", found_no_way)
    monkeypatch.setattr(torch.cuda, "synchronize", fail)
    with pytest.raises(RuntimeError, match="launch failure"):
        device_module._try_out(torch.device("cpu"))


@pytest.fixture
def warns(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What torch warns of, once, when it is asked for a GPU that it can't use."""
    to_say: list[str] = []

    def is_available() -> bool:
        while to_say:
            warnings.warn(to_say.pop(0), stacklevel=2)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    device_module._why_no_gpu.cache_clear()
    yield to_say
    device_module._why_no_gpu.cache_clear()


def test_why_a_gpu_cannot_be_used_is_told(warns: list[str], recwarn: pytest.WarningsRecorder) -> None:
    """By a driver too old for this torch, say: in the report, and as an error where a GPU was asked for."""
    old = "The NVIDIA driver on your system is too old (found version 11040)."
    warns.append(f"CUDA initialization: {old} (Triggered internally at /pytorch/c10/cuda/CUDAFunctions.cpp:109.)")
    assert device_module.gpu_count() == 0  # as a worker asks first
    assert choose_device("auto").description.endswith(f" threads; {old.rstrip('.')})")
    assert choose_device("cpu").description.endswith(" threads)")
    with pytest.raises(DeviceError, match=r"torch can use no GPU \(The NVIDIA driver .* version 11040\)\); use "):
        choose_device("cuda")
    assert not recwarn.list


def test_other_warnings_are_no_reason(warns: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU has none, whatever else torch says."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    warns.append("this will change in a later version")
    assert choose_device("auto").description.endswith(" threads)")
    with pytest.raises(DeviceError, match="but this machine has no CUDA device; use"):
        choose_device("cuda")


@pytest.mark.parametrize("said", ["", "3"])
def test_a_gpu_hidden_from_a_job_is_told_by_the_variable(
    warns: list[str], monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """As SLURM hides those that a job didn't ask for: the machine does have one."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    with pytest.raises(DeviceError, match=rf"torch can use no GPU \(CUDA_VISIBLE_DEVICES is '{said}'\); use"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DeviceError, match=rf"but there is 1 CUDA device \(CUDA_VISIBLE_DEVICES is '{said}'\); use"):
        choose_device("cuda:1")


@pytest.mark.parametrize(
    ("driver", "built", "said", "told"),
    [
        (True, "13.0", "", "; CUDA_VISIBLE_DEVICES is '')"),
        (True, None, "", "; this torch is built without CUDA)"),
        (True, None, None, "; this torch is built without CUDA)"),
        (True, "13.0", None, ")"),
        (False, "13.0", "", ")"),
        (False, None, None, ")"),
    ],
)
@pytest.mark.usefixtures("warns")
def test_a_run_says_why_it_leaves_a_gpu_alone(
    monkeypatch: pytest.MonkeyPatch, driver: bool, built: str | None, said: str | None, told: str
) -> None:
    """In its first line and its reports, where there is the driver of one; else it has nothing to explain."""
    monkeypatch.setattr(device_module, "_DRIVER", Path(__file__) if driver else Path(__file__, "nothing"))
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if said is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert choose_device("auto").description.endswith(f" threads{told}")
    if built is None and driver:
        with pytest.raises(DeviceError, match=r"torch can use no GPU \(this torch is built without CUDA\); use "):
            choose_device("cuda")


def test_a_driver_that_is_too_old_is_the_reason_whatever_the_variable_says(
    warns: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SLURM sets it for jobs that have their GPU, too."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    warns.append("CUDA initialization: The NVIDIA driver on your system is too old (found version 11040).")
    with pytest.raises(DeviceError, match=r"torch can use no GPU \(The NVIDIA driver"):
        choose_device("cuda")
