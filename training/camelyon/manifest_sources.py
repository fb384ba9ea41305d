"""Writes the manifests of CAMELYON16 and CAMELYON17 from the organisers' labels and the faults known of the sets.

python -m training.camelyon.manifest_sources test_reference.csv stage_labels.csv data_manifests
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from nodescan.evaluation.reference import NOT_EXHAUSTIVE
from training.camelyon.manifest import DataSlide, write_data_manifest

VALID_OF_FIVE = 2
"""A training slide (CAMELYON17: patient) is for validation where its number leaves this rest when divided by five."""

PARTLY_OUTLINED = "annotation is not exhaustive: what lies outside of the outlines may be tumour"
ITC_NOT_EXHAUSTIVE = "isolated tumour cells are not outlined exhaustively"
NO_OUTLINES = "holds tumour that nobody outlined"
NOT_PUBLISHED = "label is not published"

_EXCLUDED = {
    "normal_086": "holds tumour: the organisers moved it to tumor_111",
    "test_049": "duplicate: the organisers left it out of the evaluation",
}
_REFERENCE_CLASSES = {"None": "negative", "Micro": "micro", "Macro": "macro"}

_OUTLINED_NODES = (
    "004_4 009_1 010_4 012_0 015_1 015_2 016_1 017_1 017_2 017_4 "
    "020_2 020_4 021_3 022_4 024_1 024_2 034_3 036_3 038_2 039_1 "
    "040_2 041_0 042_3 044_4 045_1 046_3 046_4 048_1 051_2 052_1 "
    "060_3 061_4 062_2 064_0 066_2 067_4 068_1 072_0 073_1 075_4 "
    "080_1 081_4 086_0 086_4 087_0 088_1 089_3 092_1 096_0 099_4"
)
OUTLINED_NODES = frozenset(f"patient_{p}_node_{n}" for p, n in (item.split("_") for item in _OUTLINED_NODES.split()))
"""The 50 training nodes of CAMELYON17 with lesion outlines, ten of each centre (a row of the table is a centre)."""


def camelyon16_rows(test_reference: Path) -> Iterator[DataSlide]:
    """399 slides, and the two that the organisers took out; test_reference: the organisers' rows."""
    with test_reference.open(encoding="utf-8", newline="") as file:
        classes = {name.lower(): _REFERENCE_CLASSES[size] for name, _, _, size in csv.reader(file)}
    for number in range(1, 161):
        centre = "radboud" if number <= 100 else "utrecht"
        label = "tumour" if number == 86 else "negative"
        yield _slide16(f"normal_{number:03d}", centre=centre, label=label, split=_part(number))
    for number in range(1, 112):
        centre = "radboud" if number <= 70 or number == 111 else "utrecht"  # 111 was normal_086
        yield _slide16(f"tumor_{number:03d}", centre=centre, label="tumour", split=_part(number))
    for number in range(1, 131):
        slide_id = f"test_{number:03d}"
        yield _slide16(slide_id, centre="", label=classes[slide_id], split="test")


def camelyon17_rows(stage_labels: Path) -> Iterator[DataSlide]:
    """500 labelled training nodes and 500 unlabelled test nodes; stage_labels: the organisers' `patient,stage` rows."""
    with stage_labels.open(encoding="utf-8", newline="") as file:
        labels = {row["patient"].removesuffix(".tif"): row["stage"].lower() for row in csv.DictReader(file)}
    for patient in range(200):
        for node in range(5):
            yield _slide17(patient, node, labels)


def _part(number: int) -> str:
    return "valid" if number % 5 == VALID_OF_FIVE else "train"


def _slide16(slide_id: str, *, centre: str, label: str, split: str) -> DataSlide:
    kind = slide_id.partition("_")[0]
    partly = slide_id in NOT_EXHAUSTIVE
    outlined = kind != "normal" and label != "negative"
    return DataSlide(
        slide_id=slide_id,
        patient_id="",
        node_id="",
        centre=centre,
        key=f"CAMELYON16/images/{slide_id}.tif",
        checksum="",
        label=label,
        annotation_key=f"CAMELYON16/annotations/{slide_id}.xml" if outlined else "",
        exhaustive=not partly and slide_id not in _EXCLUDED,
        split=split,
        excluded=slide_id in _EXCLUDED,
        why=_EXCLUDED.get(slide_id, PARTLY_OUTLINED if partly else ""),
    )


def _slide17(patient: int, node: int, labels: dict[str, str]) -> DataSlide:
    patient_id = f"patient_{patient:03d}"
    slide_id = f"{patient_id}_node_{node}"
    label = labels.get(slide_id, "")
    outlined = slide_id in OUTLINED_NODES
    why = {"": NOT_PUBLISHED, "negative": ""}.get(label, ITC_NOT_EXHAUSTIVE if outlined else NO_OUTLINES)
    training = patient < 100
    return DataSlide(
        slide_id=slide_id,
        patient_id=patient_id,
        node_id=f"node_{node}",
        centre=str(patient // 20) if training else "",
        key=f"CAMELYON17/images/{slide_id}.tif",
        checksum="",
        label=label,
        annotation_key=f"CAMELYON17/annotations/{slide_id}.xml" if outlined else "",
        exhaustive=label == "negative",
        split=_part(patient) if training else "test",
        excluded=False,
        why=why,
    )


if __name__ == "__main__":
    test_reference, stage_labels, folder = map(Path, sys.argv[1:])
    write_data_manifest(camelyon16_rows(test_reference), folder / "camelyon16.csv")
    write_data_manifest(camelyon17_rows(stage_labels), folder / "camelyon17.csv")
