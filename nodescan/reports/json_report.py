"""report.json: everything that is said of a slide, in the names and units of report.schema.json."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nodescan.domain.deposits import Deposit
from nodescan.domain.flags import Flag
from nodescan.domain.report import NOT_FOR_CLINICAL_USE, ModelIdentity, Provenance, SlideReport, SlideResult
from nodescan.reports.wording import without_paths
from nodescan.whole_files import Json, json_bytes, output_errors, write_beside

SCHEMA_VERSION = 1
REPORT_JSON = "report.json"


def write_json(result: SlideResult, folder: Path) -> None:
    """Write report.json, for a slide of any status, with the size of each file that lies beside it."""
    with output_errors(folder):
        beside = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if _belongs(path)}
    write_beside(folder / REPORT_JSON, json_bytes({**report_as_json(result.report), "files": beside}))


def report_as_json(report: SlideReport) -> Json:
    """The content of report.json. Numbers are not rounded, so a class can be checked against its size."""
    info, model, analysed = report.info, report.model, report.analysis_spacing
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": NOT_FOR_CLINICAL_USE,
        "slide_id": report.slide.slide_id,
        "status": report.status.value,
        "metastasis": None if report.metastasis is None else report.metastasis.word,
        "at_least": report.at_least,
        "largest_deposit_um": _number(report.largest_deposit_um),
        "n_foci": report.known_foci,
        "tumour_probability": _number(report.tumour_probability),
        "deposits": deposits_as_json(report.deposits, judged=not report.not_judged),
        "tissue_area_mm2": _number(report.tissue_area_mm2),
        "examined_fraction": _number(report.examined_fraction),
        "unread_fraction": _number(report.unread_fraction),
        "tissue_pieces": report.tissue_pieces,
        "flags": [_flag(flag, report) for flag in report.flags],
        "format": None if info is None else info.format,
        "reader": None if info is None else info.reader,
        "size_px": None if info is None else [info.width_px, info.height_px],
        "spacing_um": None if info is None else _floats(info.spacing.x, info.spacing.y),
        "spacing_source": None if info is None else info.spacing_source,
        "analysis_spacing_um": None if analysed is None else _floats(analysed.x, analysed.y),
        "bounds_um": None if info is None else {side: float(um) for side, um in asdict(info.bounds_um).items()},
        "model": None if model is None else model_as_json(model),
        "provenance": None if report.provenance is None else _provenance(report.provenance),
    }


def deposits_as_json(deposits: Sequence[Deposit], *, judged: bool = True) -> list[Json]:
    """The deposits as they stand in report.json, also for `nodescan measure --json`.

    judged: False for what a network marked on a slide that it can't judge, which then has no class.
    """
    return [
        {
            "id": deposit.id,
            "diameter_um": float(deposit.diameter_um),
            "diameter_uncertainty_um": float(deposit.diameter_uncertainty_um),
            "endpoints_um": [_floats(*point) for point in deposit.endpoints_um],
            "area_um2": float(deposit.area_um2),
            "centre_um": _floats(*deposit.centre_um),
            "class": deposit.metastasis.word if judged else None,
            "borderline": judged and deposit.borderline,
            "cut_off": deposit.cut_off,
            "probability_mean": _number(deposit.probability_mean),
            "probability_max": _number(deposit.probability_max),
            "cell_count": deposit.cells and deposit.cells.number,
            "cell_count_uncertainty": deposit.cells and deposit.cells.uncertainty,
            **({} if deposit.piece is None else {"piece": deposit.piece}),
        }
        for deposit in deposits
    ]


def _flag(flag: Flag, report: SlideReport) -> Json:
    return {"code": flag.code, "message": without_paths(flag.message, report)}


def model_as_json(model: ModelIdentity) -> Json:
    """A model as report.json, evaluation.json and run.json name it."""
    known = {
        "found_from_um": model.found_from_um,
        "smoothing_um": model.smoothing_um,
        "seed_threshold": model.seed_threshold,
    }
    return {
        "name": model.name,
        "architecture": model.architecture,
        "weights_sha256": model.weights_sha256,
        "threshold": float(model.threshold),
        "card_sha256": model.card_sha256,
        **{name: float(value) for name, value in known.items() if value is not None},
        **({} if model.uncertainty_measured else {"uncertainty_measured": False}),
    }


def _provenance(provenance: Provenance) -> Json:
    made = asdict(provenance)
    if provenance.asked is not None:
        made["asked"]["reports"] = list(provenance.asked.reports)  # as JSON reads it back: kept reports are compared
    return made


def _belongs(path: Path) -> bool:
    return path.is_file() and path.name != REPORT_JSON and not path.name.startswith(".")


def _floats(x: float, y: float) -> list[float]:
    return [float(x), float(y)]


def _number(value: float | None) -> float | None:
    """A plain float: numpy's own numbers are not JSON."""
    return None if value is None else float(value)
