"""Stages that are moved aside while a slide is scanned, and moved back where they still hold, whole or not at all."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.flags import Flag
from nodescan.domain.report import Status
from nodescan.patients.earlier_stages import set_aside
from nodescan.patients.patient_files import write_staging
from nodescan.patients.redone_slides import move_back, move_outdated
from tests.patients.made_reports import report, staged_by, write_run

_CHANGES = ((Path, "rename"), (Path, "unlink"), (Path, "rmdir"), (Path, "mkdir"), (os, "replace"))
"""All by which files of stages are moved."""


class Stopped(BaseException):
    """The run was killed."""


def reviewed(folder: Path) -> Path:
    """A run whose slide `bad` failed, and reviewed stages of two patients."""
    bad = replace(report("bad", status=Status.FAILED, flags=(Flag("unreadable", "truncated"),)), model=None)
    run = write_run(folder, [report("a", (900.0,)), bad, report("b")])
    rows = ("a,A,1", "bad,A,2", "b,B,1")
    write_staging(staged_by(run, "slide_id,patient_id,node_id", *rows, review=["a,1,,,reject,,Dr A,"]), run)
    return run


def stages(run: Path) -> dict[str, bytes]:
    found = [*run.glob("patients.*"), *run.glob("patients/*")]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in found}


def failed_again(run: Path) -> list[str]:
    """What a run tells that scans `bad`, which fails as before."""
    told: list[str] = []
    outdated = move_outdated(run, ["bad"], told.append)
    if outdated is not None:
        move_back(run, outdated, told.append)
    return told


def stopped_at(number: int, run: Path, patch: pytest.MonkeyPatch) -> bool:
    """Whether `failed_again` was stopped before its change of this number on the disk."""
    counted = iter(range(1, 1000))

    def counting(change: Callable[..., object]) -> Callable[..., object]:
        def counted_change(*given: object, **more: object) -> object:
            if next(counted) == number:
                raise Stopped
            return change(*given, **more)

        return counted_change

    with patch.context() as here:
        for owner, name in _CHANGES:
            here.setattr(owner, name, counting(getattr(owner, name)))
        try:
            failed_again(run)
        except Stopped:
            return True
    return False


def test_stages_are_moved_back_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever an earlier run was stopped while it moved them; of what is not moved back, the rest is named."""
    left, number = 0, 1
    while stopped_at(number, run := reviewed(tmp_path / f"{number}"), monkeypatch):
        stand = {name for name in stages(run) if name == "patients.json"}
        before = stages(reviewed(tmp_path / f"{number}-again"))
        last = [*failed_again(run), ""][1 if stand else 0]
        if "moved back" in last:
            assert stages(run) == before
        elif stand:
            left += 1
            assert stages(run) == {}
            assert last.startswith("the stages stay in patients-before-2, for not all of their files are there: ")
            assert "look for them in patients-before-1" in last
        number += 1
    assert left > 5


def test_the_files_that_stages_aside_lack_are_named(tmp_path: Path) -> None:
    """So a user knows why they stay there, even where no folder has the rest."""
    run = reviewed(tmp_path / "run")
    (run / "patients" / "B.html").unlink()
    assert failed_again(run)[-1] == (
        "the stages stay in patients-before-1, for not all of their files are there: patients/B.html; a run that was "
        "stopped while it moved stages leaves some of them elsewhere: they are in no other folder of earlier stages, "
        "or make the stages anew with nodescan stage"
    )
    assert set_aside(run) is None
