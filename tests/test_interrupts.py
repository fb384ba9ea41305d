"""Signals end the program in order, whatever command runs and whoever hears the first one."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nodescan import interrupts
from nodescan.benchmarks import speed
from nodescan.cli import main
from nodescan.interrupts import ended_like_ctrl_c
from tests.waiting import PATIENCE_S, gone, until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@pytest.fixture(autouse=True)
def unheard() -> Iterator[None]:
    """Whatever comes through ends a test, not pytest; and every handler is put back by the program."""

    def heard(number: int, frame: object) -> None:
        pytest.fail("the signal came through")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, heard) for number in numbers}
    yield
    now = {number: signal.signal(number, handler) for number, handler in before.items()}
    assert set(now.values()) == {heard}


def test_only_the_first_ctrl_c_counts() -> None:
    """Those that come while the last record is written don't keep it from being written."""
    written: list[str] = []

    def stopped() -> None:
        with ended_like_ctrl_c():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGTERM)
                written.append("interrupted")

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert written == ["interrupted"]


def test_a_signal_that_a_library_kept_to_itself_is_not_the_last_that_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one ends the block, unless it comes so soon that the block may just be left."""
    heard: list[str] = []

    def stopped() -> None:
        with ended_like_ctrl_c():
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            heard.append("too soon")
            monkeypatch.setattr(interrupts, "LEAVING_S", -1.0)
            signal.raise_signal(signal.SIGTERM)
            heard.append("never")

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert heard == ["too soon"]


def test_ctrl_break_ends_a_block_where_the_system_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Windows has it; another signal stands in for it."""
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    before = signal.getsignal(signal.SIGUSR1)
    with pytest.raises(KeyboardInterrupt), ended_like_ctrl_c():
        signal.raise_signal(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) == before


def test_a_second_signal_does_not_take_the_place_of_the_exit_code() -> None:
    """It comes while the interpreter ends, after the program's last line; a block in mid-program puts all back."""

    def stopped() -> None:
        with ended_like_ctrl_c(for_good=True):
            signal.raise_signal(signal.SIGTERM)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with pytest.raises(KeyboardInterrupt):
        stopped()
    left = {number: signal.signal(number, handler) for number, handler in before.items()}
    assert set(left.values()) == {signal.SIG_IGN}
    with ended_like_ctrl_c(for_good=True):  # and unless one ended it
        pass


def test_what_is_ignored_stays_ignored() -> None:
    """As nohup has it of SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ended_like_ctrl_c():
        signal.raise_signal(signal.SIGHUP)
    assert signal.signal(signal.SIGHUP, before) is signal.SIG_IGN


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_command_ends_with_one_line(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that know nothing of signals, too: exit code 130."""
    monkeypatch.setattr(speed, "measure_speed", lambda *_, **__: signal.raise_signal(number))
    assert main(["bench"]) == 130
    assert capsys.readouterr().err == "error: stopped by the user\n"


def test_a_signal_in_the_midst_of_an_import_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before 3.12 Python makes another error of it where a class is just being made."""

    class Stopping:
        def __set_name__(self, owner: type, name: str) -> None:
            signal.raise_signal(signal.SIGTERM)

    def importing(*_: object, **__: object) -> None:
        type("Imported", (), {"field": Stopping()})

    monkeypatch.setattr(speed, "measure_speed", importing)
    assert main(["bench"]) == 130
    assert capsys.readouterr().err == "error: stopped by the user\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("place", ["", "class A:\n    b = type('B', (), {'__set_name__': lambda *_: stop()})()"])
def test_a_signal_before_anything_is_imported_ends_with_one_line(tmp_path: Path, number: int, place: str) -> None:
    """Such as one that comes at once after the start; the default would end the program by the signal."""
    stopping = f"import signal\n\ndef stop():\n    signal.raise_signal({int(number)})\n\n{place or 'stop()'}\n"
    (tmp_path / "typer.py").write_text(stopping)
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from nodescan.__main__ import main; sys.exit(main())"
    ended = subprocess.run([sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "error: stopped by the user\n")


def test_a_run_that_has_only_begun_ends_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """While it still loads what it needs."""
    monkeypatch.setattr("nodescan.batch.workers.started_ahead", lambda slots: signal.raise_signal(signal.SIGTERM))
    assert main(["run", str(tmp_path), "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err == "error: stopped by the user\n"


AT_IMPORT = """
import signal, sys, threading
from nodescan.__main__ import main

name, deed, *sys.argv[1:] = sys.argv[1:]

def refused(thread):
    raise RuntimeError("can't start new thread")

class Dropped:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
        sum(range(1000))

class Finder:
    def find_spec(self, wanted, path=None, target=None):
        if wanted == name and deed == "dropped":
            Dropped()
        elif wanted == name:
            threading.Thread.start = refused
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Finder())
sys.exit(main())
"""
"""The command line, to which something happens when it imports a module of that name."""


def at_import(module: str, deed: str, folder: Path) -> tuple[int, str]:
    """Exit code and stderr of a run of no slides."""
    words = [module, deed, "run", str(folder), "--slots", "0", "--out", str(folder / "out")]
    ended = subprocess.run([sys.executable, "-c", AT_IMPORT, *words], capture_output=True, text=True, check=False)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("module", ["nodescan.commands.run", "nodescan.batch.request"])
def test_a_signal_that_python_dropped_during_an_import_ends_the_run(module: str, tmp_path: Path) -> None:
    """What is raised while an object is thrown away goes no further; the run would go on as if nothing were."""
    code, said = at_import(module, "dropped", tmp_path)
    assert code == 130
    assert "KeyboardInterrupt" in said
    assert said.endswith("\nerror: stopped by the user\n")


@pytest.mark.parametrize("module", ["nodescan.commands.run", "nodescan.batch.request"])
def test_a_library_that_gets_no_thread_is_no_ctrl_c(module: str, tmp_path: Path) -> None:
    """OpenBLAS raises SIGINT in its own process then, while it is imported."""
    said = "error: no thread can be started; end other programs, or raise the limit of processes (ulimit -u)\n"
    assert at_import(module, "refused", tmp_path) == (1, said)


WATCHED = """
import subprocess, sys
from nodescan.benchmarks import processes
from nodescan.interrupts import ended_like_ctrl_c
from tests.waiting import PATIENCE_S, gone, until
from nodescan.machine import temporary_folder
with ended_like_ctrl_c(), temporary_folder("nodescan-bench-") as folder:
    program = f"import pathlib, os, time; pathlib.Path({sys.argv[1]!r}).write_text(str(os.getpid())); time.sleep(600)"
    processes.run_watched([sys.executable, "-c", program])
"""


def test_a_bench_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    """Neither the run that it watches nor the folder that it made."""
    temporary, told = tmp_path / "tmp", tmp_path / "pid"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHED, told], env=os.environ | {"TMPDIR": str(temporary)}, stderr=subprocess.DEVNULL
    )
    until(lambda: told.is_file() and told.read_text())
    process.terminate()
    process.wait(PATIENCE_S)
    assert gone(int(told.read_text()))
    assert list(temporary.iterdir()) == []
