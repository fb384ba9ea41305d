"""A doctor finds what is wrong, says what to do, and is not taken in by what only looks well."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import openslide
import pytest
import torch
from numpy.typing import NDArray

from nodescan import __version__, config, doctor, machine
from nodescan.cli import main
from nodescan.doctor import (
    Phantom,
    check_libraries,
    check_model,
    check_openslide,
    check_scan,
    check_settings,
    machine_checks,
)
from nodescan.doctor.machine_checks import Check, State, check_memory, check_output, check_packages, check_torch_pair
from nodescan.domain.versions import RESULT_VERSION
from nodescan.errors import OutputError, no_thread
from nodescan.inference import device, openvino_streams
from nodescan.inference.card import find_model
from nodescan.inference.known_tissue import known_tissue
from nodescan.phantoms import PhantomTruth, PlantedDeposit
from nodescan.phantoms.outlines import Shape
from nodescan.slides.openslide_handles import OLDEST_LIBRARY
from tests.fakes import ColourPredictor, paint_slide, scan_with

SIDE_UM = 400

RELEASED = config.default_config_path()


class PaintedPhantom(Phantom):
    """A slide painted for the colour predictor, with a square of tumour; made in no time."""

    @cached_property
    def truth(self) -> PhantomTruth:
        paint_slide(self.path, tumour_um=SIDE_UM)
        diagonal = SIDE_UM * 2**0.5
        square = PlantedDeposit(Shape.ROUND, diagonal, (352.0, 352.0), SIDE_UM**2, 500, np.zeros((4, 2)))
        return PhantomTruth(self.path.name, 768, 768, 0.95, 0, (square,))


class Blind(ColourPredictor):
    """A predictor that finds nothing anywhere."""

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        return super().predict(tiles) * np.float32(0.01)


class Generous(ColourPredictor):
    """A predictor that finds the tumour, and too much around it: each cell answers as the likeliest one near it."""

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        answers = super().predict(tiles)
        for axis in (1, 2):
            answers = np.maximum.reduce([np.roll(answers, step, axis) for step in range(-4, 5)])
        return answers


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Plant versions of packages (None: not installed), and what torchvision asks for."""

    def plant(asks: list[str], **versions: str | None) -> None:
        known = machine_checks.installed_version
        monkeypatch.setattr(machine_checks, "installed_version", lambda name: versions.get(name, known(name)))
        monkeypatch.setattr(machine_checks, "requires", lambda name: asks)

    return plant


@pytest.mark.parametrize(("system", "state"), [("linux", State.OK), ("win32", State.WARN), ("darwin", State.WARN)])
def test_a_system_that_nobody_tried_is_told(system: str, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """nodescan was tried on Linux alone."""
    monkeypatch.setattr(sys, "platform", system)
    found = machine_checks.check_system()
    assert found.state is state
    assert ("not tried" in found.found) is (state is State.WARN)


def test_a_torchvision_that_asks_for_another_torch_is_found(installed: Callable[..., None]) -> None:
    """What its own metadata asks for decides, whatever the numbers look like, and a local label doesn't matter."""
    installed(["numpy", "torch==2.7.1"], torch="2.8.0", torchvision="0.22.1")
    found = check_torch_pair()
    assert found.state is State.WARN  # no scan imports it
    assert "==2.7.1" in found.found
    assert "pip uninstall torchvision" in found.remedy
    installed(["numpy", "torch==2.7.1"], torch="2.7.1+cu128", torchvision="0.22.1")
    assert check_torch_pair().state is State.OK


@pytest.mark.parametrize(("torch", "vision", "state"), [("2.8.0", "0.23.0", "ok"), ("2.8.0", "0.22.1", "warn")])
def test_without_metadata_the_releases_decide(
    installed: Callable[..., None], torch: str, vision: str, state: str
) -> None:
    """torch 2.8 goes with torchvision 0.23."""
    installed([], torch=torch, torchvision=vision)
    assert check_torch_pair().state == state


def test_torchvision_may_be_absent_and_torch_may_not(installed: Callable[..., None]) -> None:
    """Scans don't use the first."""
    installed([], torch="2.8.0", torchvision=None)
    assert check_torch_pair().state is State.OK
    installed([], torch=None)
    assert check_torch_pair().state is State.FAIL


def test_missing_and_old_packages_are_named(installed: Callable[..., None]) -> None:
    """Both in one line; extras don't count, OpenSlide may come from the system, and scans don't use torchvision."""
    asks = ["numpy>=1.26", "rich>=13.7", "openslide-bin>=4.0", "torchvision>=0.19", "lightning>=2.5; extra == 'train'"]
    absent = {"lightning": None, "openslide-bin": None, "torchvision": None}
    installed(asks, numpy="1.24.0", rich=None, **absent)
    found = check_packages()
    assert found.state is State.FAIL
    assert found.found == "numpy is 1.24.0, needed is >=1.26; rich is missing"
    installed(asks, numpy="1.26.0", rich="13.7", **absent)
    assert check_packages().found.endswith("and the 2 packages that a scan needs")


def test_a_full_disk_is_found_before_the_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room fails, little room warns, and both say how much there is."""
    for free, state in ((50e6, State.FAIL), (1e9, State.WARN), (1e12, State.OK)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: SimpleNamespace(free=free))
        found = check_output(tmp_path)
        assert found.state is state
        assert f"{free / 1e9:.1f} GB" in found.found
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_found(tmp_path: Path) -> None:
    """By trying."""
    tmp_path.chmod(0o555)
    assert check_output(tmp_path).state is State.FAIL


def test_a_disk_that_does_not_rename_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing alone is not enough; nothing is left behind, and a folder that isn't there isn't made."""

    def refuse(source: object, target: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "replace", refuse)
    found = check_output(tmp_path / "not" / "yet")
    assert found.state is State.FAIL
    assert "Operation not permitted" in found.found
    assert "--out" in found.remedy
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_that_is_a_file_is_judged_by_what_is_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder still to be made is fine where it can be made."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1e12))
    assert check_output(tmp_path / "new" / "deep").state is State.OK
    (tmp_path / "file.tif").touch()
    assert check_output(tmp_path / "file.tif").state is State.FAIL
    assert not (tmp_path / "new").exists()


def test_little_memory_is_worth_knowing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning, since one slide may still fit."""
    monkeypatch.setattr(machine_checks, "memory_bytes", lambda: 2_000_000_000)
    assert check_memory().state is State.WARN


def test_bfloat16_is_told_by_instruction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor's name says nothing, its flags do."""
    listed = tmp_path / "cpuinfo"
    monkeypatch.setattr(machine, "_CPUINFO", listed)
    listed.write_text("model name : Some 9000\nflags : fpu sse2 avx2 amx_bf16\n")
    assert machine_checks.check_processor().found.endswith("vectors: avx2; bfloat16: amx_bf16")
    listed.write_text("model name : Some AMX 9000\nflags : fpu sse2\n")
    found = machine_checks.check_processor()
    assert found.state is State.WARN
    assert found.found.endswith("vectors: none; bfloat16: none")


def test_a_library_that_kills_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named with its signal, and this process is told to keep its hands off."""
    (tmp_path / "numpy.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found, safe = check_libraries()
    assert (found.state, safe) == (State.FAIL, False)
    assert "numpy stops the program (SIGILL)" in found.found


def test_a_library_that_does_not_load_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line it died of."""
    (tmp_path / "numpy.py").write_text("raise OSError('libz.so.1: no such file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found, safe = check_libraries()
    assert (found.state, safe) == (State.FAIL, True)
    assert found.found == "numpy doesn't load: OSError: libz.so.1: no such file"


@pytest.mark.parametrize(
    "breaks",
    ["raise RuntimeError('operator torchvision::nms does not exist')", "import os, signal; os.kill(os.getpid(), 9)"],
)
def test_a_broken_torchvision_is_no_reason_to_distrust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    """No scan imports it. It is tried last, so that all that a scan needs was tried before."""
    (tmp_path / "torchvision.py").write_text(breaks)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found, safe = check_libraries()
    assert (found.state, safe) == (State.WARN, True)
    assert found.found.startswith("all that a scan needs load; torchvision doesn't load: ")
    assert "pip uninstall torchvision" in found.remedy
    assert "from one index" in found.remedy
    (tmp_path / "safetensors.py").write_text("raise OSError('no such file')")
    assert check_libraries()[0].found == "safetensors doesn't load: OSError: no such file"


def test_an_openvino_that_lacks_what_is_used_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that can be imported is not enough: a model would be opened without it, in silence and more slowly."""
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino" / "__init__.py").write_text("class Core: ...")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found, safe = check_libraries()
    assert (found.state, safe) == (State.FAIL, True)
    assert found.found == "openvino doesn't load: ModuleNotFoundError: No module named 'openvino.opset13'"


def test_int8_is_not_promised_where_openvino_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """That it is installed is not enough: the device's line says what a scan will compute in."""
    monkeypatch.setattr(device, "int8_precision", lambda device: "int8")
    monkeypatch.setattr(openvino_streams, "import_module", lambda name: SimpleNamespace())
    monkeypatch.setattr(openvino_streams, "_core", lambda: None)
    assert "int8 where the model allows" in doctor.check_device("cpu").found

    def of_another_numpy(name: str) -> None:
        raise ImportError(f"{name}: numpy.core.multiarray failed to import")

    monkeypatch.setattr(openvino_streams, "import_module", of_another_numpy)
    assert "int8" not in doctor.check_device("cpu").found


@pytest.mark.parametrize("name", ["weights.safetensors", "known_tissue.safetensors"])
def test_the_wrong_files_of_a_model_are_found(tmp_path: Path, name: str) -> None:
    """One byte more, and the card's sha256 no longer holds."""
    folder = tmp_path / "model"
    shutil.copytree(find_model(None), folder)
    assert check_model(str(folder)).state is State.OK
    with (folder / name).open("ab") as file:
        file.write(b"\0")
    known_tissue.cache_clear()  # as in another process
    found = doctor._tried("model", lambda: check_model(str(folder)))
    assert found.state is State.FAIL
    assert name in found.found
    assert "the card" in found.found


def test_a_model_whose_card_was_edited_is_told(tmp_path: Path) -> None:
    """No slide would be complete with it, which the self-test alone would lay at the installation's door."""
    folder = shutil.copytree(find_model(None), tmp_path / "model")
    card = (folder / "card.yaml").read_text(encoding="utf-8")
    (folder / "card.yaml").write_text(card.replace("- 0.9\n", "- 0.45\n"), encoding="utf-8")
    found = check_model(str(folder))
    assert found.state is State.WARN
    assert "its card was edited since it was tuned: no slide will be complete" in found.found
    assert "put the card back" in found.remedy


def test_a_packaged_settings_file_that_was_edited_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its values count in every run without --config: with another limit of blur a blurred slide is complete."""
    assert check_settings().state is State.OK
    edited = tmp_path / "scan.yaml"
    monkeypatch.setattr(config, "default_config_path", lambda: edited)
    text = RELEASED.read_text()
    edited.write_text("# read by the lab\n" + text)
    assert check_settings().state is State.OK
    assert "min_light_share: 0.01 " in text
    edited.write_text(text.replace("min_light_share: 0.01 ", "min_light_share: 0.0 "))
    found = check_settings()
    assert found.state is State.WARN
    assert f"{edited} was changed" in found.found
    assert "run --config" in found.remedy
    edited.write_text(text.replace("min_light_share: 0.01 ", "min_light_share: many "))
    assert check_settings().state is State.FAIL
    assert "quality.faults.min_light_share" in check_settings().found


def test_a_slide_read_with_another_spacing_is_found(tmp_path: Path) -> None:
    """The file says 0.95 um/px; a truth of 0.5 must not pass."""

    class Other(PaintedPhantom):
        @cached_property
        def truth(self) -> PhantomTruth:
            return replace(super().truth, um_per_px=0.5)

    assert check_openslide(PaintedPhantom(tmp_path)).state is State.OK
    found = check_openslide(Other(tmp_path))
    assert found.state is State.FAIL
    assert "0.5 was written" in found.found


@pytest.mark.parametrize(
    ("library", "state"), [("3.4.1", "fail"), ("4.0.0", "fail"), ("4.0.1", "ok"), ("4.1.0-dev", "ok"), ("5.0", "ok")]
)
def test_an_openslide_library_that_is_too_old_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, state: str
) -> None:
    """Also the system's, which no package's version tells of. pyproject.toml asks for the same one."""
    monkeypatch.setattr(openslide, "__library_version__", library)
    found = check_openslide(PaintedPhantom(tmp_path))
    assert found.state == state
    assert f"OpenSlide {library}" in found.found
    assert ("openslide-bin" in found.remedy) is (state == "fail")
    needed = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    assert f"openslide-bin>={'.'.join(map(str, OLDEST_LIBRARY))}" in needed


def test_the_self_test_passes_what_is_planted_and_fails_all_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that finds nothing, or the right class at the wrong size, is not to be used."""
    phantom = PaintedPhantom(tmp_path)
    scan_with(ColourPredictor(), monkeypatch)
    assert check_scan(phantom).state is State.OK
    scan_with(Blind(), monkeypatch)
    missed = check_scan(phantom)
    assert missed.state is State.FAIL
    assert "found: negative, nothing" in missed.found
    scan_with(Generous(), monkeypatch)
    swollen = check_scan(phantom)
    assert swollen.state is State.FAIL
    assert "found: micro" in swollen.found
    assert "don't use" in swollen.remedy


@pytest.mark.parametrize("error", [RuntimeError("CUDA error:\nno kernel image"), MemoryError(), AttributeError("x")])
def test_a_check_that_breaks_is_a_failure_on_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever a broken library raises."""
    scan_with(ColourPredictor(error), monkeypatch)
    found = doctor._tried("self-test", lambda: check_scan(PaintedPhantom(tmp_path)))
    assert found.state is State.FAIL
    assert type(error).__name__ in found.found
    assert "\n" not in found.found


def test_every_check_is_told_though_the_libraries_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that would load them is tried, and the exit code is 1."""
    monkeypatch.setattr(
        doctor, "check_libraries", lambda: (Check("libraries", State.FAIL, "loading torch stops the program"), False)
    )
    told: list[Check] = []
    diagnosis = doctor.examine_installation(tmp_path, told.append)
    assert diagnosis.checks == tuple(told)
    assert [check.name for check in told[-6:]] == ["openslide", "decoding", "device", "model", "settings", "self-test"]
    assert all("not tried" in check.found for check in told[-6:])
    assert not diagnosis.trustworthy


def test_json_holds_every_check_and_the_exit_code_agrees(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A device that isn't there: one failure of many checks, said in the words of every other command."""
    monkeypatch.setattr(doctor, "Phantom", PaintedPhantom)
    monkeypatch.setattr(doctor, "check_libraries", lambda: (Check("libraries", State.OK, "all load"), True))
    scan_with(ColourPredictor(), monkeypatch)
    assert main(["doctor", "--json", "--device", "cuda:99"]) == 1
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["trustworthy"] is False
    assert (said["nodescan"], said["result_version"]) == (__version__, RESULT_VERSION)
    failed = [check for check in said["checks"] if check["state"] == "fail"]
    assert [check["name"] for check in failed] == ["device"]
    assert "--device auto or cpu" in failed[0]["found"]


def test_without_openslide_the_doctor_still_answers() -> None:
    """Its module can be imported and asked where neither torch nor OpenSlide nor numpy can be."""
    program = (
        "import sys\nfor name in ('torch', 'openslide', 'numpy'): sys.modules[name] = None\n"
        "from nodescan import doctor\n"
        "from pathlib import Path\n"
        "doctor.check_libraries = lambda: (doctor.Check('libraries', doctor.State.OK, ''), True)\n"
        "found = doctor.examine_installation(Path(), lambda check: None)\n"
        "print([c.name for c in found.checks if c.state == 'fail'])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    failed = "['openslide', 'decoding', 'device', 'model', 'settings', 'self-test']"
    assert result.stdout.strip() == failed, result.stderr


def test_this_installation_can_be_trusted(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole command, with the released model on the CPU and a real phantom."""
    assert main(["doctor", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 16
    assert lines[-1].startswith("This installation can be trusted")
    limits = Path(lines[-1].partition("What it misses: ")[2].removesuffix("."))
    assert limits.read_text("utf-8").startswith("# What nodescan misses")
    assert "planted: micro, 600 um, foci: 2; found: micro" in lines[-2]


def test_no_place_for_temporary_files_is_no_broken_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The remedy is TMPDIR, in doctor and bench, whether there is no folder or no room in it."""
    monkeypatch.setattr(doctor, "check_libraries", lambda: (Check("libraries", State.OK, "all load"), True))

    def no_folder(prefix: str) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    with monkeypatch.context() as patch:
        patch.setattr(machine.tempfile, "TemporaryDirectory", no_folder)
        last = doctor.examine_installation(tmp_path / "none", lambda check: None).checks[-1]
        assert (last.name, last.state) == ("temporary", State.FAIL)
        assert "set TMPDIR" in last.remedy
        with pytest.raises(OutputError, match=r"no place for temporary files .*set TMPDIR"):
            machine.temporary_folder("x").__enter__()

    def full() -> Check:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert "set TMPDIR" in doctor._tried("openslide", full).remedy
    with pytest.raises(OutputError, match=r"no room .*set TMPDIR"), machine.temporary_folder("x"):
        full()


def test_without_threads_nothing_is_tried_that_would_end_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """C++ ends the whole process that asks for one in vain; the remedy is no new installation."""
    start = threading.Thread.start

    def refused(self: threading.Thread) -> None:
        if threading.active_count() > 5:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refused)
    monkeypatch.setattr(doctor, "check_libraries", lambda: pytest.fail("libraries are loaded"))
    assert main(["doctor", "--out", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("fail  threads")]
    assert line.endswith("what to do: end other programs, or raise the limit of processes (ulimit -u)")
    later = [line.split()[1] for line in lines if "not tried, because a library would stop the program" in line]
    assert later == ["libraries", "openslide", "decoding", "device", "model", "settings", "self-test"]
    assert threading.active_count() <= 5


def test_a_check_that_gets_no_thread_says_so() -> None:
    """Whatever it was about to look at."""

    def short() -> Check:
        raise no_thread()

    check = doctor._tried("openslide", short)
    assert check.found == "no thread can be started"
    assert check.remedy == "end other programs, or raise the limit of processes (ulimit -u)"


def test_a_library_that_ends_for_want_of_threads_is_not_built_for_another_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it printed says so."""
    ended = subprocess.CompletedProcess([], -6, "numpy\n", "pthread_create: Resource temporarily unavailable\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    check, safe = check_libraries()
    assert not safe
    assert check.remedy == "end other programs, or raise the limit of processes (ulimit -u)"


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (RuntimeError("CUDA error: no kernel image"), "install a torch built for it, or accept the slower CPU"),
        (RuntimeError("CUDA error: out of memory"), "end other programs on it, or accept the slower CPU"),
    ],
    ids=str,
)
def test_a_gpu_that_torch_sees_and_cannot_use_was_not_chosen(
    monkeypatch: pytest.MonkeyPatch, error: RuntimeError, helps: str
) -> None:
    """The device's line doesn't say that the CPU is a GPU that computes, and says what helps."""

    def try_out(_: torch.device) -> None:
        raise error

    monkeypatch.setattr(device, "built_for", lambda: "CUDA 13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "gpu")
    monkeypatch.setattr(device, "_try_out", try_out)
    found = doctor.check_device("auto")
    assert found.remedy == helps
    assert found.state is State.WARN
    assert found.found.startswith("cpu")
    assert "; torch sees a GPU, but can't use it; " in found.found
    assert "the first that computes" not in found.found


CPU = device.Device(torch.device("cpu"), "cpu (x86_64, 2 threads)")


@pytest.mark.parametrize(
    ("built_for", "said", "remedy"),
    [
        ("CUDA 13.0", "", "CUDA_VISIBLE_DEVICES is '': ask for a GPU where this job was started"),
        ("CUDA 13.0", None, "update the NVIDIA driver, or accept"),
        ("CPU", "", "install a torch built for CUDA, or accept"),
    ],
)
def test_a_gpu_that_is_there_and_that_torch_does_not_see_has_its_remedy(
    monkeypatch: pytest.MonkeyPatch, built_for: str, said: str | None, remedy: str
) -> None:
    """A job that was given no GPU needs no other driver."""
    monkeypatch.setattr(device, "built_for", lambda: built_for)
    monkeypatch.setattr(device, "gpu_count", lambda: 0)
    monkeypatch.setattr(device, "choose_device", lambda asked: CPU)
    monkeypatch.setattr(device, "_why_no_gpu", lambda: "")
    monkeypatch.setattr(doctor, "_gpu_is_there", lambda: True)
    if said is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    found = doctor.check_device("auto")
    assert (found.state, found.remedy.startswith(remedy)) == (State.WARN, True)
    assert found.found.endswith(", but there is one")
