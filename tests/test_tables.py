"""Tables on a terminal and in a pipe: nothing in them is cut."""

import re
import sys

import pytest

from nodescan.cli import main
from nodescan.commands.tables import print_table
from nodescan.doctor import Diagnosis
from nodescan.doctor.machine_checks import Check, State

Capture = pytest.CaptureFixture[str]
NAMES = [f"TCGA-A1-A0SB-01A-01-TS1-2026-11-28T10-22-00-{node}" for node in ("node-1", "node-2")]
ROWS = [(name, "incomplete", "at least micro", "0.26 mm") for name in NAMES]


@pytest.mark.parametrize("columns", ["40", "60", "80"])
def test_a_narrow_terminal_cuts_no_name(columns: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Two slides of one scanner whose names differ at their end were both "TCGA-A1-A0SB-01A-…"."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("LINES", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(("slide", "status", "class", "largest"), ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert "…" not in "".join(lines)
    assert max(map(len, lines)) <= int(columns)
    first = "".join(line.partition(" ")[0] for line in lines[1:])
    assert first.replace("slide", "") == "".join(NAMES)


def test_what_the_doctor_says_is_whole_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Names of libraries and commands are longer than their columns."""
    words = "openslide-python-and-its-library", "pip-install-openslide-python-openslide-bin"
    diagnosis = Diagnosis((Check("openslide", State.FAIL, *words),))
    monkeypatch.setattr("nodescan.doctor.examine_installation", lambda *_, **__: diagnosis)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    table = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines if "trusted" not in line]
    for word, column in zip(words, ("found", "what to do"), strict=True):
        start = table[0].index(column)
        end = start + len(word) if column == "what to do" else table[0].index("what to do")
        assert "".join(line[start:end].strip() for line in table[1:]) == word


def test_in_a_pipe_a_row_is_one_line(capsys: Capture) -> None:
    """However long, so that it can be searched."""
    print_table(("slide", "flags"), [(name, ", ".join(["unread_tissue"] * 20)) for name in NAMES])
    assert [line.partition(" ")[0] for line in capsys.readouterr().out.splitlines()] == ["slide", *NAMES]
