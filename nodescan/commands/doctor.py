"""`nodescan doctor`: whether this installation can be trusted, in plain words."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodescan import __version__
from nodescan.commands.options import COMPLETE, NOT_COMPLETE, AsJson, Device, Model
from nodescan.commands.tables import print_json, print_table
from nodescan.domain.versions import RESULT_VERSION
from nodescan.packed_files import packed_file

if TYPE_CHECKING:  # a command imports what it needs when it runs, so that --help costs nothing
    from nodescan.doctor import Diagnosis
    from nodescan.doctor.machine_checks import Check

Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Check that this folder is writable and has free space.")
]

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(model: Model = None, device: Device = "auto", out: Out = Path(), as_json: AsJson = False) -> int:
    """Check each part of this installation and scan a synthetic slide with known deposits.

    Exits with 1 if the installation can't be trusted.
    """
    from nodescan.doctor import examine_installation

    on_terminal = sys.stdout.isatty()
    live = not as_json and not on_terminal
    diagnosis = examine_installation(out, _print_line if live else _say_nothing, model=model, device=device)
    if as_json:
        checks = [asdict(check) for check in diagnosis.checks]
        made_with = {"nodescan": __version__, "result_version": RESULT_VERSION}
        print_json({**made_with, "trustworthy": diagnosis.trustworthy, "checks": checks})
    else:
        if on_terminal:
            rows = [(check.state.value, check.name, check.found, check.remedy) for check in diagnosis.checks]
            print_table(("", "checked", "found", "what to do"), rows, styles=_STYLES)
        print(_conclusion(diagnosis))
    return COMPLETE if diagnosis.trustworthy else NOT_COMPLETE


def _print_line(check: "Check") -> None:
    """One line a check, as soon as it is known."""
    remedy = f"; what to do: {check.remedy}" if check.remedy else ""
    print(f"{check.state.value:<4}  {check.name:<9}  {check.found}{remedy}", flush=True)


def _say_nothing(check: "Check") -> None:
    pass


def _conclusion(diagnosis: "Diagnosis") -> str:
    failed = [check.name for check in diagnosis.checks if check.state.value == "fail"]
    warned = [check.name for check in diagnosis.checks if check.state.value == "warn"]
    if failed:
        return f"This installation can't be trusted. Wrong: {', '.join(failed)}."
    known = f" Worth knowing: {', '.join(warned)}." if warned else ""
    limits = f"What it misses: {packed_file('docs/limits.md')}."
    return f"This installation can be trusted for research; it is not for clinical use.{known} {limits}"
