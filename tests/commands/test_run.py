"""What a terminal shows of a run."""

from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.batch.run import BatchResult
from nodescan.commands.run import print_batch
from nodescan.domain.flags import Flag
from tests.reports.factory import VARIANTS


def test_a_flag_of_two_sentences_stands_once_in_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Deposits cut off by what wasn't examined, and others by the edge, have one code and a sentence each."""
    report = VARIANTS["incomplete_micro"]().report
    cut, edge = (Flag("deposit_cut_off", f"Deposit {number} may be larger.") for number in (1, 2))
    flagged = replace(report, flags=(cut, edge, Flag("borderline", "A size.")))
    print_batch(BatchResult(Path("out"), (flagged,), (), 0), ())
    assert capsys.readouterr().out.splitlines()[1].endswith("deposit_cut_off, borderline")
