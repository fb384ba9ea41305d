"""Challenge files: read with and without header, refused by line, written as the challenge reads them."""

from pathlib import Path

import numpy as np
import pytest

from nodescan.errors import UsageError
from nodescan.evaluation.challenge_files import read_folder, write_challenge_files
from nodescan.reports.detections import DetectionList, read_detections


def test_with_and_without_header_and_empty(tmp_path: Path) -> None:
    """All three are in use."""
    (tmp_path / "a.csv").write_text("0.9,100,200\n0.5,1,2\n")
    (tmp_path / "b.csv").write_text("confidence,x,y\n0.9,100.25,200\n\n")
    (tmp_path / "c.csv").write_text("")
    found = read_folder(tmp_path)
    assert found["a"].confidence.tolist() == [0.9, 0.5]
    assert (found["b"].x_px.tolist(), found["b"].y_px.tolist()) == ([100.25], [200.0])
    assert (len(found["c"].confidence), found["c"].highest) == (0, 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.9,100\n", "line 1: '0.9,100' is not confidence,x,y"),
        ("0.9,8_00,100\n", "line 1: '0.9,8_00,100' is not confidence,x,y"),
        ("0.9,1e300,100\n", "line 1: x and y must be level-0 pixels, not 1e300, 100"),
        ("0.9,1,2\nx,y,confidence\n", "line 2"),
        ("1.01,1,2\n", "confidence 1.01 is not between 0 and 1"),
        ("nan,1,2\n", "confidence nan"),
        ("-0.1,1,2\n", "confidence -0.1"),
        ("0.5,inf,2\n", "x and y must be level-0 pixels"),
    ],
)
def test_what_is_no_detection_is_named(tmp_path: Path, text: str, message: str) -> None:
    """File and line."""
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UsageError, match=r"a\.csv, line") as caught:
        read_folder(tmp_path)
    assert message in str(caught.value)


def test_what_is_written_is_read_back_to_the_pixel(tmp_path: Path) -> None:
    """Whole pixels, every digit of the confidence, no header."""
    found = DetectionList("s", np.array([0.1 + 0.2, 0.05]), np.array([63.99, 64.0]), np.array([5.5, 0.0]))
    (path,) = write_challenge_files([("s", found)], tmp_path)
    assert path.read_text() == "0.30000000000000004,63,5\n0.05,64,0\n"
    assert read_detections(path).confidence.tolist() == found.confidence.tolist()


def test_a_file_that_holds_something_else_is_not_written_over(tmp_path: Path) -> None:
    """It may be another system's: nothing is written then, beside it either. What it would hold anyway may stay."""
    found = DetectionList("s", np.array([0.5]), np.array([1.0]), np.array([2.0]))
    folder = tmp_path / "new" / "csv"
    assert write_challenge_files([("b", found)], folder) == write_challenge_files([("b", found)], folder)
    (folder / "b.csv").write_text("0.4,1,2\n")
    with pytest.raises(UsageError, match=r"b\.csv: exists and holds something else"):
        write_challenge_files([("a", found), ("b", found)], folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"b.csv": "0.4,1,2\n"}


def test_a_confidence_of_0_or_1_and_a_place_left_of_the_slide_are_read(tmp_path: Path) -> None:
    """The ends of a probability are ones; a place off the slide is one, which is judged as such later."""
    (tmp_path / "A.CSV").write_text(" Confidence , X , Y \n1,-5,2\n0,0,-0.5\n0.25,7,8\n")
    (tmp_path / ".b.csv").write_text("not for us")
    found = read_folder(tmp_path)["A"]
    assert found.confidence.tolist() == [1.0, 0.0, 0.25]
    assert (found.x_px.tolist(), found.y_px.tolist()) == ([-5, 0, 7], [2, -0.5, 8])
    assert (found.highest, found.source) == (1.0, "A.CSV")
    (path,) = write_challenge_files([("s", found)], tmp_path / "out")
    assert path.read_text() == "1.0,-5,2\n0.0,0,-1\n0.25,7,8\n"


def test_folders_without_files_are_refused(tmp_path: Path) -> None:
    """Nothing to score is a mistake in the command."""
    with pytest.raises(UsageError, match="no such folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds no CSV files"):
        read_folder(tmp_path)
