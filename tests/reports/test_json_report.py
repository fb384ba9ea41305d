"""report.json says what was planted, in the published schema."""

import json
from copy import deepcopy
from dataclasses import replace
from math import nextafter
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from nodescan.domain.classification import classify
from nodescan.domain.units import Micrometers
from nodescan.reports.json_report import deposits_as_json, report_as_json
from nodescan.reports.report_reader import ReportFile
from nodescan.whole_files import json_bytes
from tests.reports.factory import FOLDER, ITC, MACRO, MICRO, VARIANTS, result
from tests.schemas import REPORT, schema_of


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    return schema_of(REPORT)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_way_a_slide_can_end_holds_to_the_schema(variant: str, schema: Draft202012Validator) -> None:
    """What is written, read back, is valid."""
    content = json.loads(json_bytes(report_as_json(VARIANTS[variant]().report)))
    assert [error.message for error in schema.iter_errors(content)] == []


@pytest.mark.parametrize(
    ("variant", "change"),
    [
        ("negative", {"status": "incomplete"}),
        ("negative", {"n_foci": 1}),
        ("negative", {"at_least": True}),
        ("failed", {"metastasis": "negative"}),
        ("failed", {"n_foci": 0}),
        ("nothing_examined", {"n_foci": 0}),
        ("macro", {"metastasis": "benign"}),
        ("macro", {"deposits": []}),
        ("macro", {"examined_fraction": 1.01}),
        ("macro", {"extra": 1}),
        ("macro", {"notice": "for clinical use"}),
        ("macro", {"spacing_um": [0.25]}),
    ],
)
def test_the_schema_refuses_what_must_never_be_said(
    variant: str, change: dict[str, object], schema: Draft202012Validator
) -> None:
    """A negative slide that was not read whole, a failed one with a class, a stray key: none is valid."""
    content = {**report_as_json(VARIANTS[variant]().report), **change}
    assert not schema.is_valid(content)


def test_a_models_detection_limit_is_told_and_read_back(tmp_path: Path, schema: Draft202012Validator) -> None:
    """A report of a model that says none has no such key and is read back the same."""
    report = VARIANTS["negative"]().report
    for known in (
        report,
        replace(report, model=replace(report.model, found_from_um=200.0, smoothing_um=0.0, seed_threshold=0.9)),
    ):
        content = json_bytes(report_as_json(known))
        assert schema.is_valid(json.loads(content))
        (tmp_path / "report.json").write_bytes(content)
        again = ReportFile(tmp_path / "report.json").report_of(known.slide).model
        assert (again.smoothing_um, again.seed_threshold) == (known.model.smoothing_um, known.model.seed_threshold)
        assert again.found_from_um == known.model.found_from_um == json.loads(content)["model"].get("found_from_um")


def test_an_uncertainty_that_was_not_measured_is_told_and_read_back(
    tmp_path: Path, schema: Draft202012Validator
) -> None:
    """Of a model whose "±" was measured the file has no such key."""
    report = VARIANTS["macro"]().report
    for measured in (True, False):
        known = replace(report, model=replace(report.model, uncertainty_measured=measured))
        content = json_bytes(report_as_json(known))
        assert schema.is_valid(json.loads(content))
        assert ("uncertainty_measured" in json.loads(content)["model"]) is not measured
        (tmp_path / "report.json").write_bytes(content)
        assert ReportFile(tmp_path / "report.json").report_of(known.slide).model.uncertainty_measured is measured


def test_planted_values_come_back(macro_folder: Path) -> None:
    """Sizes, places, class and provenance stand in the file as they were found."""
    content = json.loads((macro_folder / "report.json").read_text())
    assert content["slide_id"] == "patient-012-node-3"
    assert (content["status"], content["metastasis"], content["at_least"]) == ("complete", "macro", False)
    assert (content["largest_deposit_um"], content["n_foci"]) == (2624.0, 3)
    first = content["deposits"][0]
    assert (first["id"], first["class"], first["cell_count"]) == (1, "macro", None)
    assert first["endpoints_um"] == [list(point) for point in MACRO.endpoints_um]
    assert first["centre_um"] == [5200.0, 4300.0]
    assert (content["format"], content["reader"]) == ("aperio", "openslide")
    assert content["spacing_um"] == [0.25, 0.2525]
    assert content["bounds_um"] == {"left": 500.0, "top": 252.5, "width": 13000.0, "height": 9500.0}
    assert content["model"]["weights_sha256"] == "4be1" * 16
    assert content["provenance"]["versions"]["nodescan"] == "0.1.0"


def test_a_slide_nobody_looked_at_has_no_number_of_foci() -> None:
    """ "0 foci" would read as a finding, on glass too."""
    assert report_as_json(VARIANTS["failed"]().report)["n_foci"] is None
    assert report_as_json(VARIANTS["no_tissue"]().report)["n_foci"] is None
    assert report_as_json(VARIANTS["nothing_examined"]().report)["n_foci"] is None
    assert report_as_json(VARIANTS["incomplete_nothing"]().report)["n_foci"] == 0


def test_a_slide_that_was_not_judged_has_no_number_of_foci_either(schema: Draft202012Validator) -> None:
    """On a slide of another stain any would read as a finding; what was marked on it has no class either."""
    found = VARIANTS["not_he"]().report
    content, nothing = report_as_json(found), report_as_json(replace(found, deposits=()))
    near = deposits_as_json((replace(MICRO, diameter_um=Micrometers(2010.0)),), judged=False)[0]
    assert (near["class"], near["borderline"], near["diameter_um"]) == (None, False, 2010.0)
    for one in (content, nothing):
        assert (one["n_foci"], one["largest_deposit_um"]) == (None, None)
        assert schema.is_valid(one)
        assert not schema.is_valid({**one, "n_foci": 0})
        assert not schema.is_valid({**one, "largest_deposit_um": 640.0})
    assert not schema.is_valid({**content, "deposits": [{**content["deposits"][0], "class": "micro"}]})
    judged = report_as_json(VARIANTS["macro"]().report)
    assert not schema.is_valid({**judged, "deposits": [{**judged["deposits"][0], "class": None}]})
    assert not schema.is_valid({**report_as_json(VARIANTS["incomplete_nothing"]().report), "n_foci": None})


def test_incomplete_with_nothing_found_has_no_class() -> None:
    """Never "negative"; and with something found, a lower bound."""
    nothing, micro = VARIANTS["incomplete_nothing"]().report, VARIANTS["incomplete_micro"]().report
    assert (report_as_json(nothing)["metastasis"], report_as_json(nothing)["at_least"]) == (None, False)
    assert (report_as_json(micro)["metastasis"], report_as_json(micro)["at_least"]) == ("micro", True)


def test_a_size_just_over_a_limit_is_not_rounded_onto_it() -> None:
    """The class can be checked against the number that is written."""
    size = Micrometers(nextafter(200.0, 300.0))
    written = json.loads(json_bytes({"deposits": deposits_as_json((replace(ITC, diameter_um=size),))}))
    assert classify(written["deposits"][0]["diameter_um"]).word == "micro"


def test_no_folder_of_the_slide_stands_in_the_file() -> None:
    """The folder's name may be a patient's; the file's own name stays."""
    text = json_bytes(report_as_json(VARIANTS["failed"]().report)).decode()
    assert str(FOLDER) not in text
    assert "scan-7731.svs: the file ends early" in text


def test_a_number_that_is_none_can_t_be_written() -> None:
    """NaN raises instead of leaving a file that no JSON reader takes."""
    report = replace(result((ITC,)).report, tumour_probability=float("nan"))
    content = deepcopy(report_as_json(report))
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_bytes(content)
