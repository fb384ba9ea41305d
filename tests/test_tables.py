"""Tables on a terminal and in a pipe: nothing in them is cut."""

import sys

import pytest

from nodescan.commands.tables import print_table

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


def test_in_a_pipe_a_row_is_one_line(capsys: Capture) -> None:
    """However long, so that it can be searched."""
    print_table(("slide", "flags"), [(name, ", ".join(["unread_tissue"] * 20)) for name in NAMES])
    assert [line.partition(" ")[0] for line in capsys.readouterr().out.splitlines()] == ["slide", *NAMES]
