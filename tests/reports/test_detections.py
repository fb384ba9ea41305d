"""Lists of detections: what is wrong with one is told, and what to do by whose file it is."""

from pathlib import Path

import pytest

from nodescan.errors import UsageError
from nodescan.reports.detections import DETECTIONS_CSV, read_detections, read_of_report


@pytest.mark.parametrize(
    ("text", "own", "users"),
    [
        (
            "confidence,x,y\n0.9,1\n",
            "line 2: '0.9,1' is not confidence,x,y",
            ", line 2: '0.9,1' is not confidence,x,y; write three numbers",
        ),
        (
            "confidence,x,y\n2,1,1\n",
            "line 2: confidence 2 is not between 0 and 1",
            ", line 2: confidence 2 is not between 0 and 1; write a probability",
        ),
        (
            "confidence,x,y\n0.9,1,1e9\n",
            "line 2: x and y must be level-0 pixels, not 1, 1e9",
            ", line 2: x and y must be level-0 pixels, not 1, 1e9",
        ),
    ],
)
def test_a_run_makes_its_own_file_anew_and_a_user_mends_theirs(tmp_path: Path, text: str, own: str, users: str) -> None:
    """The reason is the same."""
    path = tmp_path / DETECTIONS_CSV
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_of_report(tmp_path)
    assert str(caught.value) == f"{tmp_path.name}/detections.csv: is damaged ({own}); run the slide again with --force"
    with pytest.raises(UsageError) as caught:
        read_detections(path)
    assert str(caught.value) == f"detections.csv{users}"


def test_a_file_of_a_run_that_was_cut_off_before_its_header_is_damaged(tmp_path: Path) -> None:
    """An empty one would read as "nothing there"; with its header alone it says that."""
    path = tmp_path / DETECTIONS_CSV
    path.write_text("")
    with pytest.raises(UsageError, match=r"is damaged \(it lacks its header\); run the slide again with --force"):
        read_of_report(tmp_path)
    path.write_text("confidence,x,y\n")
    found = read_of_report(tmp_path)
    assert found is not None
    assert found.confidence.tolist() == []
