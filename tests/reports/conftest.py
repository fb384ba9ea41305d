"""One written folder that many tests read: writing it takes longer than looking at it."""

from pathlib import Path

import pytest

from nodescan.reports import write_reports
from tests.reports.factory import VARIANTS


@pytest.fixture(scope="session")
def macro_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a slide with a macrometastasis, a micrometastasis and isolated tumour cells."""
    folder = tmp_path_factory.mktemp("run") / "patient-012-node-3"
    write_reports(VARIANTS["macro"](), folder, may_move=lambda: None)
    return folder
