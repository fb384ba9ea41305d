"""What is installed from the wheel, away from the repository, is what was tested."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.test_docs import LINK

REPOSITORY = Path(__file__).parents[1]
MODEL_CARDS = sorted((REPOSITORY / "nodescan" / "weights").glob("*/card.yaml"))


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist, and with the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return next(dist.glob("nodescan-*.whl"))


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
    """Program, settings, templates, schema, weights, and what its limits are; no tests, no training."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"nodescan"}
    for path in ("configs/scan.yaml", "reports/report.schema.json", "patients/patients.schema.json", "cli.py"):
        assert f"nodescan/{path}" in names
    assert [name for name in names if "/configs/" in name] == ["nodescan/configs/scan.yaml"]  # none of training
    for card in MODEL_CARDS:
        assert f"nodescan/weights/{card.parent.name}/card.yaml" in names


def test_every_link_in_a_document_of_the_wheel_leads_to_one_of_the_wheel(wheel: Path) -> None:
    """limits.md and flags.md, to which the program leads, and whatever these lead to."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        documents = {name: archive.read(name).decode() for name in names if name.endswith(".md")}
    assert {"nodescan/MODEL_CARD.md", "nodescan/docs/flags.md", "nodescan/docs/limits.md"} <= documents.keys()
    links = {
        (name, os.path.normpath(Path(name).parent / place))
        for name, text in documents.items()
        for place, _ in LINK.findall(text)
        if place
    }
    assert len(links) > 20
    assert {link for link in links if link[1] not in names} == set()


def test_sdist_can_be_tested_and_trained_from(dist: Path) -> None:
    """It has all of these folders and documents, in at most 5 MB."""
    (sdist,) = dist.glob("nodescan-*.tar.gz")
    assert sdist.stat().st_size < 5_000_000
    folder = sdist.name.removesuffix(".tar.gz")
    with tarfile.open(sdist) as archive:
        there = {Path(name).relative_to(folder).as_posix() for name in archive.getnames()}
    documents = [REPOSITORY / name for name in ("LICENSE", "Makefile", "pyproject.toml")]
    rooms = ("configs", "data_manifests", "docs", "nodescan", "tests", "training")
    inside = [path for room in rooms for path in (REPOSITORY / room).rglob("*.*") if path.is_file()]
    wanted = [path for path in (*documents, *REPOSITORY.glob("*.md"), *inside) if "__pycache__" not in path.parts]
    assert {path.relative_to(REPOSITORY).as_posix() for path in wanted} <= there


def test_installed_program_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    """It finds its own settings and documents, not those of the repository."""
    where = "import nodescan.packed_files as p; print(*map(p.packed_file, ('configs/scan.yaml', 'docs/limits.md')))"
    (tmp_path / "where.py").write_text(where)
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "where.py"]
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    found = [installed / "nodescan" / name for name in ("configs/scan.yaml", "docs/limits.md")]
    assert said.split() == list(map(str, found))


@pytest.mark.skipif(not MODEL_CARDS, reason="no released model in nodescan/weights yet")
def test_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Every planted class is found by what a user installs."""
    result = nodescan(installed, "demo", "--device", "cpu", folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "every class is right" in result.stdout
    assert len(list((tmp_path / "nodescan-demo" / "results").glob("*/report.html"))) == 4
