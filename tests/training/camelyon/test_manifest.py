"""What the manifests say, and what no manifest may say."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.errors import UsageError
from nodescan.evaluation.reference import NOT_EXHAUSTIVE
from tests.training.made_slides import row_of
from training.camelyon.manifest import DataSlide, chosen, read_data_manifest, write_data_manifest
from training.camelyon.manifest_sources import OUTLINED_NODES, camelyon16_rows, camelyon17_rows

MANIFESTS = Path(__file__).parents[3] / "data_manifests"


@pytest.fixture(scope="module")
def camelyon16() -> dict[str, DataSlide]:
    return {row.slide_id: row for row in read_data_manifest(MANIFESTS / "camelyon16.csv")}


@pytest.fixture(scope="module")
def camelyon17() -> dict[str, DataSlide]:
    return {row.slide_id: row for row in read_data_manifest(MANIFESTS / "camelyon17.csv")}


def write_lines(path: Path, change: Callable[[list[str]], list[str]]) -> Path:
    """A manifest of three slides, its lines changed."""
    write_data_manifest([row_of(name) for name in ("tumor_001", "tumor_002", "normal_001")], path)
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    return path


def test_camelyon16_holds_399_slides_and_the_two_that_were_taken_out(camelyon16: dict[str, DataSlide]) -> None:
    """159 normal, 111 tumour and 129 test slides; normal_086 and test_049 are named with the reason."""
    used = [row for row in camelyon16.values() if not row.excluded]
    assert Counter(row.slide_id.split("_")[0] for row in used) == {"normal": 159, "tumor": 111, "test": 129}
    taken_out = {row.slide_id: row.why for row in camelyon16.values() if row.excluded}
    assert taken_out.keys() == {"normal_086", "test_049"}
    assert "tumor_111" in taken_out["normal_086"]
    assert "duplicate" in taken_out["test_049"]


def test_camelyon16_names_every_slide_that_is_annotated_in_part(camelyon16: dict[str, DataSlide]) -> None:
    """The twenty tumour slides and test_114, and no other slide in use."""
    partly = {row.slide_id for row in camelyon16.values() if not row.exhaustive and not row.excluded}
    assert partly == NOT_EXHAUSTIVE
    assert all(camelyon16[name].why for name in partly)
    assert len(partly - {"test_114"}) == 20


def test_labels_of_camelyon16_are_the_organisers(camelyon16: dict[str, DataSlide]) -> None:
    """49 of the 129 test slides hold tumour, 22 of them macrometastases; only what holds tumour has outlines."""
    test = [row for row in camelyon16.values() if row.split == "test" and not row.excluded]
    assert Counter(row.label for row in test) == {"negative": 80, "micro": 27, "macro": 22}
    assert all(bool(row.annotation_key) == (row.label != "negative") for row in test)


def test_camelyon17_holds_every_node_and_label(camelyon17: dict[str, DataSlide]) -> None:
    """500 labelled training nodes of 100 patients, 500 unlabelled test nodes of another 100."""
    train = [row for row in camelyon17.values() if row.split != "test"]
    test = [row for row in camelyon17.values() if row.split == "test"]
    assert Counter(row.label for row in train) == {"negative": 313, "itc": 35, "micro": 64, "macro": 88}
    assert Counter(row.label for row in test) == {"": 500}
    assert len({row.patient_id for row in train}) == len({row.patient_id for row in test}) == 100
    assert Counter(row.centre for row in train) == dict.fromkeys("01234", 100)


def test_outlined_nodes_of_camelyon17_hold_tumour_ten_in_each_centre(camelyon17: dict[str, DataSlide]) -> None:
    """50 nodes, ten a centre, each positive; normal tissue is drawn from none of them."""
    outlined = [row for row in camelyon17.values() if row.annotation_key]
    assert {row.slide_id for row in outlined} == OUTLINED_NODES
    assert Counter(row.centre for row in outlined) == dict.fromkeys("01234", 10)
    assert not [row for row in outlined if row.label == "negative" or row.exhaustive]


def test_manifests_are_what_the_labels_give(shared: Path, tmp_path: Path) -> None:
    """Written anew from the organisers' label files, both come out the same to the byte."""
    write_data_manifest(camelyon16_rows(shared / "data/camelyon16/test_reference.csv"), tmp_path / "camelyon16.csv")
    write_data_manifest(camelyon17_rows(shared / "data/camelyon17/stage_labels.csv"), tmp_path / "camelyon17.csv")
    for name in ("camelyon16.csv", "camelyon17.csv"):
        assert (tmp_path / name).read_bytes() == (MANIFESTS / name).read_bytes()


@pytest.mark.parametrize("name", ["camelyon16.csv", "camelyon17.csv"])
def test_a_fifth_of_the_training_slides_is_for_validation(name: str) -> None:
    """By the stated rule, with every class in both parts."""
    rows = [row for row in read_data_manifest(MANIFESTS / name) if row.split != "test" and not row.excluded]
    valid = [row for row in rows if row.split == "valid"]
    assert 0.19 < len(valid) / len(rows) < 0.21
    assert {row.label for row in valid} == {row.label for row in rows}


def test_a_manifest_comes_back_as_written(tmp_path: Path) -> None:
    """Every value survives the file."""
    rows = (row_of("tumor_010"), replace(row_of("normal_001"), checksum="0f" * 32, patient_id="p, 1"))
    write_data_manifest(rows, tmp_path / "m.csv")
    assert read_data_manifest(tmp_path / "m.csv") == rows


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: [rows[0] + ",colour", *[r + ",red" for r in rows[1:]]], "unknown column 'colour'"),
        (lambda rows: [r.rpartition(",")[0] for r in rows], "the column 'why' is missing"),
        (lambda rows: [*rows, rows[1]], "line 5: slide_id 'tumor_001' stands in line 2 already"),
        (
            lambda rows: [*rows, rows[1].replace("tumor_001,", "again,", 1)],
            "line 5: key 'CAMELYON16/images/tumor_001.tif' stands in line 2 already",
        ),
        (
            lambda rows: [*rows, rows[1].replace("tumor_001,", "again,", 1).replace("images/", "images//")],
            "line 5: key 'CAMELYON16/images/tumor_001.tif' stands in line 2 already",
        ),
        (
            lambda rows: [r.replace("annotations/tumor_002", "annotations//tumor_001") for r in rows],
            "line 3: annotation_key 'CAMELYON16/annotations/tumor_001.xml' stands in line 2 already",
        ),
        (
            lambda rows: [rows[0], *[r.replace("tif,,", f"tif,{'0f' * 32},") for r in rows[1:]]],
            f"line 3: checksum '{'0f' * 32}' stands in line 2 already",
        ),
        (
            lambda rows: [r.replace(",tumour,", ",negative,") for r in rows],
            "line 2: is negative, and names outlines; empty annotation_key, or correct the label",
        ),
        (lambda rows: [*rows, rows[1] + ",more"], "line 5: has 13 cells, the header 12"),
        (
            lambda rows: [r.replace(",train,", ",training,") for r in rows],
            "line 2: split is 'training', which is not known",
        ),
        (lambda rows: [r.replace(",train,", ",,") for r in rows], "line 2: split is empty; write train, valid, test"),
        (lambda rows: [r.replace(",yes,", ",maybe,") for r in rows], "line 2: exhaustive is 'maybe'; write yes or no"),
        (lambda rows: [r.replace(",yes,", ",,") for r in rows], "line 2: exhaustive is empty; write yes or no"),
        (lambda rows: [r.replace(",no,", ",,") for r in rows], "line 2: excluded is empty; write yes or no"),
        (
            lambda rows: [r.replace("images/", "../") for r in rows],
            "does not name a file below --data; write a relative path",
        ),
        (
            lambda rows: [r.replace("CAMELYON16/images/tumor_001.tif", ".") for r in rows],
            "line 2: key '.' does not name a file",
        ),
        (lambda rows: [r.replace("annotations/", "\x1b") for r in rows], "does not name a file below --data"),
        (lambda rows: [r.replace("tif,,", "tif,12ab,") for r in rows], "checksum '12ab' is neither SHA-256 nor MD5"),
        (lambda rows: [r.replace(",no,", ",yes,") for r in rows], "is excluded, but 'why' is empty"),
        (lambda rows: rows[:1], "holds a header and no rows"),
        (lambda rows: [], "is empty"),
    ],
)
def test_what_no_manifest_may_say(tmp_path: Path, change: Callable[[list[str]], list[str]], said: str) -> None:
    """Each fault is refused, by file and line."""
    path = write_lines(tmp_path / "m.csv", change)
    if not path.read_text().strip():
        path.write_text("")
    with pytest.raises(UsageError) as caught:
        read_data_manifest(path)
    assert said in str(caught.value)
    assert path.name in str(caught.value)


@pytest.mark.parametrize(("column", "word"), [("exhaustive", "yes"), ("excluded", "no")])
def test_no_empty_cell_is_advised_where_none_is_taken(tmp_path: Path, column: str, word: str) -> None:
    """The next line of advice would be to fill it in again."""
    path = write_lines(tmp_path / "m.csv", lambda rows: [row.replace(f",{word},", ",maybe,") for row in rows])
    with pytest.raises(UsageError, match=f"line 2: {column} is 'maybe'; write yes or no$"):
        read_data_manifest(path)


def test_one_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    """The lines of both splits are named; an excluded slide doesn't count."""
    one = replace(row_of("tumor_001"), patient_id="anna")
    other = replace(row_of("tumor_002"), patient_id="anna")
    write_data_manifest([one, other], tmp_path / "m.csv")
    with pytest.raises(UsageError, match=r"line 3: patient 'anna' is in split 'valid' here.*'train'.*line 2"):
        read_data_manifest(tmp_path / "m.csv")
    write_data_manifest([one, replace(other, patient_id="Anna")], tmp_path / "m.csv")
    with pytest.raises(UsageError, match=r"patient 'Anna' is in split 'valid' here"):
        read_data_manifest(tmp_path / "m.csv")
    for name, spelling in (("P-01", "p 01"), ("P01", "P_01"), ("12.B", "12b")):
        pair = [replace(one, patient_id=name), replace(other, patient_id=spelling)]
        write_data_manifest(pair, tmp_path / "m.csv")
        with pytest.raises(UsageError, match=f"patient '{spelling}' is in split .* as '{name}'.* where they are two"):
            read_data_manifest(tmp_path / "m.csv")
    for name in ("P-02", "P 1 01", "P-01-1"):
        write_data_manifest([replace(one, patient_id="P-01"), replace(other, patient_id=name)], tmp_path / "m.csv")
        assert len(read_data_manifest(tmp_path / "m.csv")) == 2
    write_data_manifest([one, replace(other, excluded=True, why="scanned twice")], tmp_path / "m.csv")
    assert len(read_data_manifest(tmp_path / "m.csv")) == 2


def test_slides_are_chosen_by_wildcard(camelyon16: dict[str, DataSlide]) -> None:
    """Commas join patterns; an excluded slide is never chosen, and a pattern that meets nothing is an error."""
    rows = list(camelyon16.values())
    ids = [row.slide_id for row in chosen(rows, "tumor_00*, normal_08?")]
    assert ids == [f"normal_{n:03d}" for n in range(80, 90) if n != 86] + [f"tumor_{n:03d}" for n in range(1, 10)]
    with pytest.raises(UsageError, match="'tumour_\\*': no slide of the manifest"):
        chosen(rows, "tumour_*")
    with pytest.raises(UsageError, match=r"normal_086 is excluded .*tumor_111"):
        chosen(rows, "normal_086")
