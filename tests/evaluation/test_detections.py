"""Challenge files: read with and without header, refused by line, written as the challenge reads them."""

from pathlib import Path

import numpy as np
import pytest

from nodescan.errors import UsageError
from nodescan.evaluation.detections import DetectionList, read_detections, read_folder, write_challenge_files


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


def test_folders_without_files_are_refused(tmp_path: Path) -> None:
    """Nothing to score is a mistake in the command."""
    with pytest.raises(UsageError, match="no such folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds no CSV files"):
        read_folder(tmp_path)
