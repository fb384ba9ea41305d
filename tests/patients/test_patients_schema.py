"""patients.json holds to its published schema, whatever happened to the slides; what must never be said is refused."""

import json
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from nodescan.domain.staging import CAMELYON17
from nodescan.labels import read_labels
from nodescan.patients.correction_rows import corrections_file
from nodescan.patients.patient_files import staging_as_json, write_staging
from nodescan.patients.staging import stage_labels
from nodescan.whole_files import json_text
from tests.patients.made_reports import write_csv
from tests.patients.test_staging import staged
from tests.schemas import PATIENTS, schema_of

HEADER = "slide_id,patient_id,node_id,sentinel,neoadjuvant,nodes_removed,laterality"
ROWS = ("a1,A,1,yes,yes,1,left", "a2,A,1,yes,yes,1,left", "b1,B,1,,,,", "b2,B,2,,,,", "c1,C,1,,,,", "c2,C,2,,,,")
MORE = ("d9,D,1,,,,", "a3,E,1,yes,,4,")

STAGED_AT = datetime(2026, 11, 29, 21, 4, 5, 999, tzinfo=UTC)


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    return schema_of(PATIENTS)


def written(folder: Path) -> dict:
    """A complete patient with a review, and five incomplete ones: of a failed slide, of an unread part, of a slide that
    never ran, of nodes without slides."""
    review = ("a2,1,,,resize,2500,Dr A", "a1,1,,,reject,,Dr A")
    found = staged(folder, *ROWS, *MORE, header=HEADER, review=review)
    review_file = corrections_file(folder / "review.csv")
    write_staging(replace(found, staged_at=STAGED_AT, corrections_file=review_file), folder / "out")
    return json.loads((folder / "out" / "patients.json").read_text())


def test_every_way_a_patient_can_end_holds_to_the_schema(tmp_path: Path, schema: Draft202012Validator) -> None:
    """What is written, read back, is valid."""
    content = written(tmp_path)
    assert [error.message for error in schema.iter_errors(content)] == []
    assert {patient["status"] for patient in content["patients"]} == {"complete", "incomplete"}
    assert content["patients"][0]["corrections"]
    assert content["staged_at"] == "2026-11-29T21:04:05+00:00"


def test_stages_of_labels_hold_to_the_schema_too(tmp_path: Path, schema: Draft202012Validator) -> None:
    """Printed by stage --labels --json, with the agreement beside it."""
    path = write_csv(tmp_path / "s.csv", "patient,stage", "patient_1.zip,pN0", "patient_1_node_0.tif,negative")
    found = stage_labels(read_labels(path), CAMELYON17)
    text = json_text({**staging_as_json(found), "agreement_with_stated": {"n": 1, "agreed": 1, "kappa": None}})
    assert [error.message for error in schema.iter_errors(json.loads(text))] == []


@pytest.mark.parametrize(
    ("patient", "change"),
    [
        ("B", {"at_least": True, "stage": "pN1a"}),
        ("C", {"category": "pN0", "stage": "pN0"}),
        ("C", {"category": None, "stage": "pN0"}),
        ("A", {"stage": ""}),
        ("A", {"extra": 1}),
        ("A", {"n_nodes": -1}),
    ],
)
def test_the_schema_refuses_what_must_never_be_said(
    patient: str, change: dict[str, object], tmp_path: Path, schema: Draft202012Validator
) -> None:
    """A lower bound without "at least", pN0 of a patient that was not read whole, a stray key."""
    content = written(tmp_path)
    assert schema.is_valid(content)
    next(one for one in content["patients"] if one["patient_id"] == patient).update(change)
    assert not schema.is_valid(content)


def test_a_node_that_was_not_read_is_never_negative(tmp_path: Path, schema: Draft202012Validator) -> None:
    """Neither the node nor its slide."""
    content = written(tmp_path)
    by_node, by_slide = deepcopy(content), deepcopy(content)
    by_node["patients"][0]["nodes"][0].update(complete=False, metastasis="negative")
    by_slide["patients"][0]["nodes"][0]["slides"][0].update(status="failed", metastasis="negative")
    assert not schema.is_valid(by_node)
    assert not schema.is_valid(by_slide)
