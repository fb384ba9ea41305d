"""CAMELYON17's own file of stages: a row for each patient, then one for each of its nodes that has a class."""

import csv
import io
from collections.abc import Iterable

from nodescan.domain.patient import Staged

SUBMISSION_CSV = "camelyon17_submission.csv"


def submission_as_csv(stages: Iterable[tuple[Staged, str]]) -> str:
    """The file as text, in the format of stages.csv. stages: each patient with the stage to submit."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("patient", "stage"))
    for staged, word in stages:
        writer.writerow((f"{staged.specimen.patient_id}.zip", word))
        writer.writerows(
            (f"{section.slide_id}.tif", section.metastasis.word)
            for node in staged.specimen.nodes
            for section in node.sections
            if section.metastasis is not None
        )
    return buffer.getvalue()
