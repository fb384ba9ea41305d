"""The house rules that a tool can hold: layers, sizes, words, and what importing costs."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from nodescan.domain.flags import FLAGS

REPOSITORY = Path(__file__).parents[1]
SOURCES = sorted([*(REPOSITORY / "nodescan").rglob("*.py"), *(REPOSITORY / "training").rglob("*.py")])
LONGEST_MODULE, LONGEST_FUNCTION = 330, 60
"""The house asks for about 300 and about 40 lines; here is where about ends."""


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run in a process of its own, so that the packages in `folder` are looked at, not the ones installed."""
    program = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports as lint; "
    program += "sys.exit(lint(config_filename='pyproject.toml', no_cache=True))"
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)


def copy_of_sources(folder: Path) -> Path:
    for name in ("nodescan", "training"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    return folder


@cache
def trees() -> list[tuple[Path, ast.Module]]:
    """All modules, to be read alone."""
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES]


def test_imports_go_downstairs() -> None:
    """Every contract of pyproject.toml holds."""
    result = lint_imports(REPOSITORY)
    assert result.returncode == 0, result.stdout


WRONG_IMPORTS = {
    "nodescan/domain/units.py": "nodescan.imaging.tissue",
    "nodescan/slides/discovery.py": "nodescan.reports",
    "nodescan/scan.py": "torch",
    "nodescan/reports/wording.py": "openslide",
    "nodescan/imaging/tissue.py": "tifffile",
    "nodescan/batch/run.py": "yaml",
    "nodescan/inference/predictor.py": "torchvision",
    "nodescan/config.py": "training",
}


def test_wrong_imports_are_caught(tmp_path: Path) -> None:
    """The contracts bite: of imports planted one for each contract, every one is named."""
    folder = copy_of_sources(tmp_path)
    for module, imported in WRONG_IMPORTS.items():
        with (folder / module).open("a", encoding="utf-8") as file:
            file.write(f"\nimport {imported}\n")
    said = " ".join(lint_imports(folder).stdout.split())
    for module, imported in WRONG_IMPORTS.items():
        importer = module.removesuffix(".py").replace("/", ".")
        assert f"{importer} -> {imported}" in said


def test_a_room_outside_the_layers_is_caught(tmp_path: Path) -> None:
    """A new module must be given its place."""
    folder = copy_of_sources(tmp_path)
    (folder / "nodescan" / "leftovers.py").write_text('"""New."""\n')
    result = lint_imports(folder)
    assert result.returncode != 0
    assert "- nodescan.leftovers" in " ".join(result.stdout.split())


def test_help_loads_nothing_heavy() -> None:
    """--help answers at once because it knows neither numpy nor torch."""
    program = (
        "import sys; from nodescan.cli import main; code = main(['--help']); "
        "heavy = {'numpy', 'torch', 'scipy', 'skimage', 'yaml', 'pydantic'} & sys.modules.keys(); "
        "print(sorted(heavy), file=sys.stderr); sys.exit(code)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert result.stderr.strip() == "[]"


def test_a_worker_loads_nothing_that_shows_or_teaches() -> None:
    """Its imports come before the first tile: no torch, which it may not need, no command line, no bars, and not
    scipy.stats, which takes a third as long as all else that it loads."""
    program = (
        "import sys, nodescan.batch.worker_task; "
        "print(sorted({'torch', 'typer', 'rich', 'openvino', 'scipy.stats'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_scanning_does_not_need_torchvision_or_training() -> None:
    """What `run` imports is the product: no torchvision, no lightning, no training."""
    program = (
        "import sys, nodescan.batch.run, nodescan.demo, nodescan.commands.tables; "
        "print(sorted({'torchvision', 'lightning', 'training', 'torchmetrics'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


BROAD = {
    "__init__.py: _tried": "a check of the doctor that broke has failed, and says by what",
    "slide_task.py: scan_one": "the one over a slide: a defect costs that slide, and its traceback is recorded",
    "worker_process.py: main": "a worker that a defect ends: told on stderr, and the run hears of the process' end",
    "slide_task.py: _written_failure": "the report of a slide that failed already; its traceback is recorded",
    "slide_task.py: _glimpse": "a picture on the page of a slide that failed already",
    "local_copies.py: _make": "whoever waits for the copy hears of it",
    "connection.py: connected": "closing the client of a scheduler that is gone",
    "executor.py: _end": "asking nothing more of a scheduler that is gone",
    "executor.py: _watch": "a scheduler that is gone is met by those who wait for slides",
    "processes.py: _watch_on": "processes may not be left without a watch; the log holds its traceback",
    "task.py: _send": "progress is for the eye",
    "task.py: work": "whoever waits for the disk's answer hears of it",
}
"""Where any error is swallowed, and why that loses nothing. One that passes it on is none of these."""


def test_errors_are_swallowed_in_named_places_only() -> None:
    """An `except Exception` without a raise at its end, and a `suppress(Exception)`, need a reason."""
    found = [
        f"{path.name}: {function.name}"
        for path, tree in trees()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in own_nodes(function)
        if swallows(node)
    ]
    assert sorted(found) == sorted(BROAD)


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """What stands in a function and not in one that is defined within it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from own_nodes(child)


def swallows(node: ast.AST) -> bool:
    names = ("Exception", "BaseException")
    if isinstance(node, ast.ExceptHandler):
        broad = node.type is None or (isinstance(node.type, ast.Name) and node.type.id in names)
        return broad and not isinstance(node.body[-1], ast.Raise)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "suppress"
        and any(isinstance(word, ast.Name) and word.id in names for word in node.args)
    )


def test_the_map_names_every_module() -> None:
    """What stands beside the rooms, or in the largest of them, is found in ARCHITECTURE.md, too."""
    page = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = "".join(line for line in page.splitlines() if line.startswith("| `"))
    unnamed = [
        path.name
        for room in ("nodescan", "nodescan/batch")
        for path in (REPOSITORY / room).glob("*.py")
        if not any(fnmatchcase(path.name, word) for word in rows.split("`")[1::2]) and path.name[0] != "_"
    ]
    assert unnamed == []


def test_settings_have_no_defaults() -> None:
    """A number that can change a finding stands in scan.yaml and nowhere else; one that changes what is taught, in the
    training's configuration."""
    defaulted = [
        f"{path.name}: {node.name}.{ast.unparse(line.target)}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Settings", "Plan"))
        for line in node.body
        if isinstance(line, ast.AnnAssign) and line.value is not None
    ]
    assert defaulted == []


def test_every_setting_is_read_somewhere() -> None:
    """A field that only its own limits look at has no effect, whatever a lab or an experiment sets it to."""
    settings: dict[str, str] = {}
    read: set[str] = set()
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name.endswith(("Settings", "Plan")):
                fields = [line.target for line in node.body if isinstance(line, ast.AnnAssign)]
                settings |= {ast.unparse(field): f"{path.name}: {node.name}" for field in fields}
        checks = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__post_init__"]
        checked = {id(node) for check in checks for node in ast.walk(check)}
        read |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and id(node) not in checked
        }
    assert len(settings) > 40
    assert {f"{where}.{field}" for field, where in settings.items() if field not in read} == set()


def test_every_module_says_what_it_is_and_stays_small() -> None:
    """A docstring on top, and no module or function that has outgrown its one idea."""
    problems: list[str] = []
    for path, tree in trees():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines and not ast.get_docstring(tree):
            problems.append(f"{path.name}: no docstring")
        if lines > LONGEST_MODULE:
            problems.append(f"{path.name}: {lines} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    problems.append(f"{path.name}: {node.name} has {length} lines")
    assert problems == []


def test_rooms_are_named_by_what_they_do() -> None:
    """There is no room for whatever is left over."""
    assert not {path.stem for path in SOURCES} & {"utils", "util", "common", "helpers", "misc"}


def test_every_code_that_is_made_or_looked_for_is_in_the_table() -> None:
    """A slip in one of these words would drop a doubt in silence."""
    made: set[str] = set()
    compared: set[str] = set()
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Flag":
                made |= words_in(node.args[0])
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "code":
                made |= words_in(node.value)
            elif isinstance(node, ast.Compare) and ast.unparse(node.left).endswith(".code"):
                compared |= words_in(node)
    assert {"not_he", "unmeasurable"} <= made
    assert "no_tissue" in compared
    read_or_completed = {"code", "tissue_excluded_"}
    assert (made | compared) - FLAGS.keys() == read_or_completed


def words_in(tree: ast.AST) -> set[str]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
