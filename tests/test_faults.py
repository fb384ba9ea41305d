"""The fault cases and some mutations, as `make faults` runs them: each must be survived as its line says."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.faults.cases import CASES
from tests.faults.mutations import SOURCES, layout_of, mutated

MUTATIONS, SEED, PATIENCE = 25, 20_000, "5"
"""How long a case takes says nothing on a machine that is busy with other things; `make faults` gives each 60 s."""

LIMIT_S = 1800

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def verdicts() -> Mapping[str, str]:
    """Case -> the rest of its line. In a process of its own, for cases are forked off one that has no threads."""
    command = [
        sys.executable,
        "-m",
        "tests.faults",
        "--fuzz",
        str(MUTATIONS),
        "--seed",
        str(SEED),
        "--patience",
        PATIENCE,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    lines = done.stdout.splitlines()
    assert lines, f"the cases didn't run: {done.stderr[-2000:]}"
    assert re.fullmatch(r"\d+ passed, \d+ failed(, \d+ skipped)?", lines[-1]), done.stdout[-2000:] + done.stderr[-2000:]
    names = [case.name for case in CASES]
    found = {name: line[len(name) :] for line in lines for name in names if line.startswith(f"{name}  ")}
    return found | {f"fuzz {number}": line for number, line in enumerate(x for x in lines if x.startswith("fuzz "))}


def _outcome(line: str) -> str:
    """passed, failed or skipped, with what happened."""
    match = re.search(r" \d+\.\d (passed|failed|skipped)\s+(.*)", line)
    assert match is not None, line
    if match[1] == "skipped":
        pytest.skip(match[2])
    return f"{match[1]} {match[2] if match[1] == 'failed' else ''}".strip()


@pytest.mark.timeout(LIMIT_S + 100)
@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_fault_is_survived(name: str, verdicts: Mapping[str, str]) -> None:
    """What must happen happens, every slide is accounted for once, and every report that stands is whole."""
    assert _outcome(verdicts[name]) == "passed"


@pytest.mark.timeout(LIMIT_S + 100)
def test_mutated_slides_are_all_accounted_for(verdicts: Mapping[str, str]) -> None:
    """No mutation hangs or ends the batch, and each that fails has a reason of one line."""
    batches = [line for name, line in verdicts.items() if name.startswith("fuzz ")]
    assert batches
    assert [_outcome(line) for line in batches] == ["passed"] * len(batches)


def test_cases_are_forty_and_have_names_of_their_own() -> None:
    """A case that has another's name would hide behind it."""
    names = [case.name for case in CASES]
    assert len(names) >= 40
    assert len({name.casefold() for name in names}) == len(names)


def test_mutations_can_be_made_again(tmp_path: Path) -> None:
    """A seed gives the same damage again, another seed another."""
    path = SOURCES["tif"](tmp_path / "a.tif")
    source, layout = path.read_bytes(), layout_of(path)
    made = [mutated(source, layout, seed) for seed in range(20)]
    assert made == [mutated(source, layout, seed) for seed in range(20)]
    assert len(set(made)) == 20
    assert source not in made
