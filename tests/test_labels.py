"""Tables of labels: CAMELYON17's own and those made by hand."""

from collections import Counter
from pathlib import Path

import pytest

from nodescan.domain.classification import Metastasis
from nodescan.domain.staging import AJCC8, CAMELYON17
from nodescan.errors import UsageError
from nodescan.labels import LabelTable, read_labels


def labels(folder: Path, text: str) -> LabelTable:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return read_labels(path)


def test_camelyon17_is_read_whole(shared: Path) -> None:
    """500 nodes of 100 patients, with the published counts of every label and stage."""
    found = read_labels(shared / "data" / "camelyon17" / "stage_labels.csv")
    assert found.table is CAMELYON17
    assert Counter(slide.label.word for slide in found.slides) == {"negative": 313, "itc": 35, "micro": 64, "macro": 88}
    assert Counter(found.stages.values()) == {"pN0": 24, "pN0(i+)": 12, "pN1mi": 20, "pN1": 25, "pN2": 19}
    assert {slide.facts.node_id for slide in found.slides} == {"0", "1", "2", "3", "4"}


def test_case_is_folded_and_order_is_free(tmp_path: Path) -> None:
    """A patient's row may come last, in any spelling of case."""
    found = labels(tmp_path, "Patient,Stage\nPatient_001_Node_0.TIF,MACRO\npatient_001.ZIP,PN1\n")
    assert found.slides[0].label is Metastasis.MACRO
    assert (found.slides[0].facts.patient_id, found.slides[0].slide_id) == ("patient_001", "patient_001_node_0")
    assert found.stages == {"patient_001": "pN1"}


def test_a_table_by_hand(tmp_path: Path) -> None:
    """Named columns, AJCC by default, sizes in um."""
    found = labels(tmp_path, "patient_id,node_id,label,largest_deposit_um\nP1,1,Micro,900\nP1,2,negative,0\n")
    assert found.table is AJCC8
    assert [(slide.label, slide.largest_um) for slide in found.slides] == [
        (Metastasis.MICRO, 900.0),
        (Metastasis.NONE, None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patient,stage\npatient_001_node_0.tif,makro\n", "stage is 'makro', which is not known; write negative, itc"),
        ("patient,stage\npatient_001.zip,pN9\npatient_001_node_0.tif,itc\n", "stage is 'pN9'"),
        ("patient,stage\npatient_001_node_0.tif,itc\npatient_001_node_0.tif,itc\n", "stands in line 2 too"),
        ("patient,stage\npatient_001.zip,pN0\npatient_001.zip,pN0\npatient_001_node_0.tif,negative\n", "line 2 too"),
        ("patient,stage\npatient_001.zip,pN0\npatient_002_node_0.tif,negative\n", "has a stage but no node rows"),
        ("patient,stage\npatient_001.zip,pN0\n", "holds no node rows"),
        ("patient,stage\np_1_node_0.tif,itc\np_1_node_00.tif,itc\n", "line 3: node_id '00' differs from '0' in line 2"),
        ("patient,stage\np_1_node_0.tif,itc\np_01_node_1.tif,itc\n", "patient_id 'p_01' differs from 'p_1'"),
        ("patient,stage\nnode 3,itc\n", "neither a patient (patient_NNN.zip) nor a node"),
        ("patient_id,node_id,label\nP1,1,normal\n", "label is 'normal', which is not known"),
        ("patient_id,node_id,label\nP1,1,\n", "label is empty"),
        ("patient_id,node_id,label\n,1,itc\n", "patient_id is empty"),
        ("patient_id,node_id,label\nP1,,itc\n", "neither node_id nor slide_id"),
        ("patient_id,node_id,label\nP1,1,itc\nP1,1,macro\n", "the node 'P1 / 1' stands in line 2 too"),
        ("patient_id,node_id,label\nP1,1,itc\np1,2,macro\n", "line 3: patient_id 'p1' differs from 'P1' in line 2"),
        ("patient_id,slide_id,label\nP1,s,itc\nP2,s,itc\n", "belongs to two patients"),
        ("patient_id,node_id,label,largest_deposit_um\nP1,1,macro,2.6\n", "is it in mm?"),
        ("patient_id,node_id,label,largest_deposit_um\nP1,1,macro,2000\n", "macro contradicts"),
        ("patient_id,node_id,label,largest_deposit_um\nP1,1,itc,200.1\n", "itc contradicts"),
        (
            "patient_id,node_id,label,largest_deposit_um\nP1,1,itc,200.0001\n",
            "itc contradicts a largest deposit of 200.0001 um",
        ),
        ("patient_id,node_id,label,largest_deposit_um\nP1,1,negative,50\n", "negative contradicts"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    """Unknown spellings, duplicates, contradictions and units, each with its line."""
    with pytest.raises(UsageError) as caught:
        labels(tmp_path, text)
    assert message in str(caught.value)


@pytest.mark.parametrize("row", ["P1,1,macro,2000.1", "P1,1,micro,2000", "P1,1,micro,150", "P1,1,itc,200"])
def test_labels_that_a_size_allows(tmp_path: Path, row: str) -> None:
    """Cells may make a micrometastasis of what measures 0.15 mm."""
    assert labels(tmp_path, f"patient_id,node_id,label,largest_deposit_um\n{row}\n").slides
