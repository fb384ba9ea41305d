"""What others made is read once, and neither a pipe without a writer nor a device makes the program wait."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nodescan.annotations import read_outlines
from nodescan.batch.lock import LOCK_FILE, held
from nodescan.config import load_config
from nodescan.csv_rows import read_lines
from nodescan.errors import NodescanError
from nodescan.evaluation.challenge_files import read_folder
from nodescan.given_files import found_bytes, given_bytes
from nodescan.inference.card import checked_weights, find_model, load_card
from nodescan.mask_images import read_mask_image
from nodescan.overwrite_checks import begins_with, is_branded
from nodescan.patients.correction_rows import corrections_file
from nodescan.patients.earlier_stages import PATIENTS_JSON, stages_in
from nodescan.reports.other_reports import other_reports
from nodescan.reports.report_reader import read_report
from training.configurations import configuration_text

READERS: list[tuple[str, Callable[[Path], object]]] = [
    ("a.csv", read_lines),
    ("a.csv", corrections_file),
    ("a.yaml", load_config),
    ("a.yaml", configuration_text),
    ("a.geojson", read_outlines),
    ("a.xml", read_outlines),
    ("a.png", read_mask_image),
]


@pytest.fixture
def of_hand(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes named pipes; who opens one reads nothing of it."""
    made: list[Path] = []

    def write(path: Path) -> None:
        with path.open("wb"):
            pass

    def named(name: str) -> Path:
        path = tmp_path / name
        os.mkfifo(path)
        made.append(path)
        threading.Thread(target=write, args=(path,), daemon=True).start()
        return path

    yield named
    for path in made:
        with suppress(OSError):
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))


@pytest.mark.parametrize(("name", "read"), READERS)
def test_a_named_pipe_is_no_file(of_hand: Callable[[str], Path], name: str, read: Callable[[Path], object]) -> None:
    """Opening one waits until somebody writes, which may be never."""
    with pytest.raises(NodescanError, match=rf"{name}: can't be read \(it is a pipe or a device, not a file\)"):
        read(of_hand(name))


def test_a_device_is_no_file() -> None:
    """Of some there is no end."""
    with pytest.raises(OSError, match="a pipe or a device, not a file"):
        given_bytes(Path(os.devnull))


@pytest.fixture
def of_a_shell() -> Iterator[Path]:
    """What a shell's <(...) is."""
    read, write = os.pipe()
    os.close(write)
    yield Path(f"/dev/fd/{read}")
    os.close(read)


@pytest.mark.parametrize(("name", "read"), READERS)
def test_what_a_shell_pipes_in_is_no_file(of_a_shell: Path, name: str, read: Callable[[Path], object]) -> None:
    """A pipe gives its bytes once, and a table or a picture is gone through twice."""
    link = (
        "outlines are read from" if read is read_outlines else r"can't be read \(it is a pipe or a device, not a file\)"
    )
    with pytest.raises(NodescanError, match=link) as refused:
        read(of_a_shell)
    assert "\n" not in str(refused.value)


def test_a_socket_is_no_file(tmp_path: Path) -> None:
    """It is refused as a pipe is."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        with pytest.raises(OSError, match="a pipe or a device, not a file"):
            given_bytes(tmp_path / "s")


def _lock(path: Path) -> None:
    with held(path.parent):
        pass


def _weights(path: Path) -> None:
    checked_weights(load_card(find_model(None)), path.parent)


FOUND: list[tuple[str, Callable[[Path], object]]] = [
    ("s/report.json", read_report),
    (LOCK_FILE, _lock),
    ("s.csv", lambda path: read_folder(path.parent)),
    ("card.yaml", lambda path: load_card(path.parent)),
    ("weights.safetensors", _weights),
]


@pytest.fixture(params=["pipe", "device", "without end", "folder"])
def odd(request: pytest.FixtureRequest, tmp_path: Path, of_hand: Callable[[str], Path]) -> Callable[[str], Path]:
    """Puts what is no file that nodescan writes where one would be found."""
    (tmp_path / "s").mkdir()

    def made(name: str) -> Path:
        path = tmp_path / name
        if request.param == "pipe":
            return of_hand(name)
        if request.param == "device":
            path.symlink_to("/dev/zero")
        elif request.param == "folder":
            path.mkdir()
        else:
            with path.open("wb") as file:
                file.truncate(20_000_000_000)
        return path

    return made


@pytest.mark.parametrize(("name", "read"), FOUND)
def test_what_lies_in_a_folder_is_read_where_it_is_a_file_of_its_kind(
    odd: Callable[[str], Path], name: str, read: Callable[[Path], object]
) -> None:
    """A folder of results or of a model may be somebody else's: nothing in it is waited for, or fills memory."""
    with pytest.raises(NodescanError, match=rf"{name}: (the weights )?can't be (read|written|read as a model card) \("):
        read(odd(name))


def test_stages_and_reports_that_are_no_files_count_as_damaged(tmp_path: Path, odd: Callable[[str], Path]) -> None:
    """They end no command of their own."""
    odd("s/report.json")
    assert other_reports(tmp_path, ()).without_result == ("s",)
    odd(PATIENTS_JSON)
    assert stages_in(tmp_path) is None


@pytest.mark.parametrize("is_ours", [lambda path: begins_with(path, "file,"), is_branded])
def test_a_pipe_or_a_device_is_none_of_the_files_that_a_run_writes(
    tmp_path: Path, of_hand: Callable[[str], Path], is_ours: Callable[[Path], bool | None]
) -> None:
    """So it is in the way, as a user's own file is."""
    assert is_ours(of_hand("summary.csv")) is False
    (tmp_path / "summary.html").symlink_to("/dev/zero")
    assert is_ours(tmp_path / "summary.html") is False


def test_weights_may_be_a_link(tmp_path: Path) -> None:
    """Several cards share one file of weights."""
    released = find_model(None)
    card = load_card(released)
    (tmp_path / card.weights).symlink_to(released / card.weights)
    assert checked_weights(card, tmp_path) == (released / card.weights).read_bytes()


@pytest.mark.skipif(not Path("/proc/version").is_file(), reason="needs a file system that states no sizes")
def test_a_file_of_which_the_disk_states_no_size_is_read_whole() -> None:
    """As some disks in the network do; what is longer than is read is refused all the same."""
    path = Path("/proc/version")
    assert path.stat().st_size == 0
    assert found_bytes(path) == path.read_bytes() != b""
    with pytest.raises(OSError, match="more than 5 bytes"):
        found_bytes(path, 5)
