"""CAMELYON17's own file of stages: a row for each patient, then one for each of its nodes that has a class."""

from collections.abc import Iterable

from nodescan.csv_rows import csv_text, plain_cell
from nodescan.domain.patient import Staged

SUBMISSION_CSV = "camelyon17_submission.csv"

_COLUMNS = ("patient", "stage")

SUBMISSION_HEAD = ",".join(_COLUMNS)
"""What the file begins with."""


def submission_as_csv(stages: Iterable[tuple[Staged, str]]) -> str:
    """The file as text, in the format of stages.csv. stages: each patient with the stage to submit.

    The challenge's own names begin as no formula does.
    """
    rows: list[tuple[str, str]] = []
    for staged, word in stages:
        rows.append((plain_cell(f"{staged.specimen.patient_id}.zip"), word))
        rows += [
            (plain_cell(f"{section.slide_id}.tif"), section.metastasis.word)
            for node in staged.specimen.nodes
            for section in node.sections
            if section.metastasis is not None
        ]
    return csv_text(_COLUMNS, rows)
