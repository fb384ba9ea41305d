"""What is installed from the wheel, away from the repository, is what was tested."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
MODEL_CARDS = sorted((REPOSITORY / "nodescan" / "weights").glob("*/card.yaml"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(folder.glob("nodescan-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel alone is installed into; what it depends on comes from the test environment."""
    folder = tmp_path_factory.mktemp("installed")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(folder),
        str(wheel),
    ]
    subprocess.run(command, capture_output=True, text=True, check=True)
    return folder


def nodescan(installed: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed program in `folder`, which is not the repository."""
    program = "import sys; from nodescan.cli import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_wheel_holds_the_product_alone(wheel: Path) -> None:
    """Program, settings, templates, schema and weights; no tests, no training."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"nodescan"}
    for path in ("configs/scan.yaml", "reports/report.schema.json", "patients/patients.schema.json", "cli.py"):
        assert f"nodescan/{path}" in names
    assert [name for name in names if "/configs/" in name] == ["nodescan/configs/scan.yaml"]  # none of training
    for card in MODEL_CARDS:
        assert f"nodescan/weights/{card.parent.name}/card.yaml" in names


def test_installed_program_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    """It finds its own settings, not those of the repository."""
    (tmp_path / "where.py").write_text("import nodescan.config as c; print(c.default_config_path())")
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "where.py"]
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert Path(said.strip()) == installed / "nodescan" / "configs" / "scan.yaml"


@pytest.mark.skipif(not MODEL_CARDS, reason="no released model in nodescan/weights yet")
def test_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Every planted class is found by what a user installs."""
    result = nodescan(installed, "demo", "--device", "cpu", folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "every class is right" in result.stdout
    assert len(list((tmp_path / "nodescan-demo" / "results").glob("*/report.html"))) == 4
