"""Nothing goes over the network that wasn't asked for, and nothing is written into the user's home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodescan.doctor.library_checks import check_libraries
from nodescan.doctor.machine_checks import State
from nodescan.inference.openvino_streams import installed
from tests.fakes import paint_slide

WITNESS = """
import os, sys
def heard(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open(os.environ["NETWORK"], "a") as file:
            print(event, arguments, file=file)
sys.addaudithook(heard)
"""


@pytest.fixture
def witnessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an empty home/; programs started from now on write what they ask of the network to network.txt."""
    (tmp_path / "home").mkdir()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WITNESS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), *sys.path]))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETWORK", str(tmp_path / "network.txt"))
    for name in ("CI", "GITHUB_ACTIONS", "TF_BUILD", "JENKINS_URL"):  # there openvino says nothing by itself
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def check_silent(folder: Path) -> None:
    heard = folder / "network.txt"
    assert not heard.exists(), heard.read_text()
    assert list((folder / "home").iterdir()) == []


def test_a_run_asks_nothing_of_the_network_and_leaves_the_home_folder_alone(witnessed: Path) -> None:
    """Neither does its worker, which imports openvino; the import of openvino by itself would."""
    slide, out = paint_slide(witnessed / "a.tif", tumour_um=400), witnessed / "out"
    words = ["run", str(slide), "--out", str(out), "--device", "cpu"]
    subprocess.run([sys.executable, "-P", "-c", "from nodescan.cli import main; main()", *words], check=True)
    assert (out / "a" / "report.json").is_file()
    check_silent(witnessed)


@pytest.mark.skipif(not installed(), reason="openvino is not installed")
def test_doctor_loads_the_libraries_without_a_word_to_the_network(witnessed: Path) -> None:
    """It imports openvino, too, in a process of its own."""
    check, _ = check_libraries()
    assert check.state is State.OK
    check_silent(witnessed)
