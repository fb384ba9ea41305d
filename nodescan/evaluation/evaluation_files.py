"""evaluation.json, evaluation.html and the challenge's submission files, written into one folder."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nodescan.domain.report import NOT_FOR_CLINICAL_USE
from nodescan.evaluation.bootstrap import LEVEL, RESAMPLES, Estimate
from nodescan.evaluation.compare import Comparison, Unpaired
from nodescan.evaluation.evaluation_page import render
from nodescan.evaluation.evaluation_tables import lesions_csv, scores_csv, submission_csv, unmeasured_rows
from nodescan.evaluation.figures import ClassTask, Figures, LesionTask, SlideTask, SubmissionTask
from nodescan.evaluation.froc import FALSE_POSITIVES
from nodescan.evaluation.operating_point import Calls, Predictive
from nodescan.evaluation.paired import Against
from nodescan.evaluation.pairing import n_matched
from nodescan.evaluation.provenance import Occasion, occasion_as_json
from nodescan.evaluation.size_figures import FOUND_AS, LargestTask, SizeAgreement, Sizes, SizeTask
from nodescan.evaluation.slide_auc import SCORE_DEFINITION, auc_interval
from nodescan.overwrite_checks import check_inputs, check_ours, not_ours
from nodescan.patients.earlier_stages import SUBMISSION_CSV
from nodescan.reports.json_report import model_as_json
from nodescan.reports.made_with import MadeWith
from nodescan.reports.wording import WITH_TUMOUR
from nodescan.whole_files import Json, json_text, output_errors, text_bytes, write_set

EVALUATION_JSON, EVALUATION_HTML = "evaluation.json", "evaluation.html"
SCORES_CSV, LESIONS_CSV, LARGEST_CSV = "slide_scores.csv", "lesions.csv", "largest_sizes.csv"
SCHEMA_VERSION = 1

_ALL = (EVALUATION_JSON, EVALUATION_HTML, SCORES_CSV, LESIONS_CSV, LARGEST_CSV, SUBMISSION_CSV)


def check_evaluation_place(folder: Path, read: Iterable[tuple[str, Path | None]]) -> None:
    """Raises UsageError where an evaluation would lose what it reads, see `check_inputs`, or what isn't of one before.

    Where evaluation.json stands, the others are an evaluation's, too: see `write_evaluation`.
    """
    mark, *others = (folder / name for name in _ALL)
    check_inputs(read, (mark, *others))
    check_ours(mark, '{\n  "schema_version": ')
    for path in others:
        if path.exists() and not mark.exists():
            raise not_ours(path)


def write_evaluation(comparison: Comparison, figures: Figures, folder: Path, *, occasion: Occasion) -> tuple[Path, ...]:
    """Write all files, and remove those of an earlier evaluation; their paths.

    evaluation.json is the last one to be replaced, so what it says holds of the others. Where there is none, it is the
    first: the others are known by it. Raises OutputError, and AnnotationError for a lesion file that can't be read.
    """
    texts = {
        EVALUATION_JSON: json_text(evaluation_as_json(comparison, figures, occasion=occasion)),
        EVALUATION_HTML: render(comparison, figures, occasion=occasion),
        **_tables(comparison, figures),
    }
    files = {folder / name: text_bytes(text) for name, text in texts.items()}
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        replaces = (folder / EVALUATION_JSON).exists()
    in_order = files if replaces else dict(reversed(files.items()))
    write_set(in_order, obsolete=[folder / name for name in _ALL if name not in texts])
    return tuple(files)


def _tables(comparison: Comparison, figures: Figures) -> Mapping[str, str]:
    """Those that there is something to list in, by the name of the file."""
    measured, unmeasured = figures.sizes.lesions if figures.sizes else (), unmeasured_rows(comparison.slides)
    tables = {SCORES_CSV: scores_csv(comparison)}
    if comparison.patients:
        tables[SUBMISSION_CSV] = submission_csv(comparison)
    if measured or unmeasured:
        tables[LESIONS_CSV] = lesions_csv(measured, unmeasured)
    if figures.largest is not None:
        tables[LARGEST_CSV] = lesions_csv(figures.largest.lesions)
    return tables


def evaluation_as_json(comparison: Comparison, figures: Figures, *, occasion: Occasion) -> Json:
    """The content of evaluation.json: each figure by its name, its 95 % interval beside it as <name>_interval."""
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": NOT_FOR_CLINICAL_USE,
        **occasion_as_json(occasion),
        "mode": comparison.mode.value,
        **_made_with(comparison.made_with),
        "interval": {
            "level": LEVEL,
            "resamples": RESAMPLES,
            "by": "patient" if figures.by_patient else "slide; patient for stages",
            "of_slide_auc": auc_interval(by_patient=figures.by_patient),
            "of_shares": "Wilson; with the effective number of cases where several are of one slide or patient",
            "of_false_deposits": "Garwood, or the bootstrap's where that is wider",
        },
        **_slide_task(figures.slide_task),
        **_lesion_task(figures.lesion_task),
        **_kappa(figures),
        **_submission(figures.submission),
        "slide_classes": _class_task(figures.slide_classes),
        "node_classes": _class_task(figures.node_classes),
        "stages": _class_task(figures.stages),
        "operating_point": {called.question.name: _calls(called) for called in figures.calls},
        "size_agreement": _sizes(figures.sizes),
        "largest_size_agreement": _largest(figures.largest),
        "against": _against(figures.against),
        "n_slides": len(comparison.slides),
        "slides_without_result": list(comparison.missing),
        "slides_not_in_reference": list(comparison.unknown),
        "slides_without_class": list(figures.without_class),
        "slides_not_read_whole": [slide.slide_id for slide in comparison.slides if slide.in_part],
        "slides_not_judged": list(comparison.not_judged),
        "slides_without_detections": list(comparison.without_detections),
        "slides_without_lesion_reference": list(comparison.unscored),
        "slides_without_sizes": _with_reasons(comparison.unpaired),
        "patients_not_run": list(comparison.patients_not_run),
        "patients_not_read_whole": [p.patient_id for p in comparison.patients if not p.found.complete],
        "notes": list(comparison.notes),
    }


def _with_reasons(slides: Sequence[Unpaired]) -> list[Json]:
    return [{"slide_id": left.slide_id, "reason": left.reason} for left in slides]


def _made_with(made: MadeWith | None) -> Json:
    """None for challenge files, which name no model."""
    return {
        "model": None if made is None else model_as_json(made.model),
        "config_sha256": None if made is None else made.config_sha256 or None,
        "result_version": None if made is None else made.result_version or None,
        "max_unread_percent": None if made is None else made.max_unread_percent,
    }


def _estimates(named: Mapping[str, Estimate | None]) -> dict[str, object]:
    """Each figure by its name, its interval beside it; null where there is none."""
    content: dict[str, object] = {}
    for name, found in named.items():
        content[name] = None if found is None else found.value
        content[f"{name}_interval"] = None if found is None else _interval(found)
    return content


def _interval(found: Estimate) -> list[float] | None:
    return None if found.low is None or found.high is None else [found.low, found.high]


def _slide_task(task: SlideTask | None) -> Json:
    if task is None:
        return _estimates({"slide_auc": None})
    return {
        **_estimates({"slide_auc": task.auc}),
        "slide_score_definition": SCORE_DEFINITION,
        "n_tumour_slides": task.n_tumour,
        "n_normal_slides": task.n_normal,
        "slides_without_score": list(task.without_score),
    }


def _lesion_task(task: LesionTask | None) -> Json:
    if task is None:
        return {**_estimates({"froc_score": None}), "sensitivities": None, "sensitivities_interval": None}
    return {
        **_estimates({"froc_score": task.score}),
        "false_positives_per_slide": list(FALSE_POSITIVES),
        "sensitivities": [found.value for found in task.sensitivities],
        "sensitivities_interval": [_interval(found) for found in task.sensitivities],
        "n_froc_slides": task.n_slides,
        "n_lesions": task.n_lesions,
        "froc_normal_slides_left_out": list(task.normal_left_out),
        "froc_tumour_slides_missed": list(task.tumour_missed),
        "froc_normal_slides_in_part_left_out": list(task.normal_in_part),
    }


def _kappa(figures: Figures) -> Json:
    """The challenge's kappa is of patient stages; without stages, that of slide classes."""
    named = (("patient stages", figures.stages), ("slide classes", figures.slide_classes))
    of, kappa = next(((of, task.kappa) for of, task in named if task is not None), (None, None))
    return {**_estimates({"kappa": kappa}), "kappa_of": of}


def _submission(task: SubmissionTask | None) -> Json:
    return {
        **_estimates({"kappa_of_submission": None if task is None else task.kappa}),
        "kappa_of_submission_n": None if task is None else task.kappa.n,
        "patients_submitted_as_pn0": [] if task is None else list(task.unread),
    }


def _class_task(task: ClassTask | None) -> Json | None:
    if task is None:
        return None
    return {
        "rows": list(task.rows),
        "columns": list(task.columns),
        "confusion": task.table.tolist(),
        **_estimates({"kappa": task.kappa, "accuracy": task.accuracy}),
    }


def _calls(called: Calls) -> Json:
    (hits, missed), (false, right) = called.table.tolist()
    without = called.without_class
    return {
        "positive": called.question.positive,
        "true_positives": hits,
        "false_negatives": missed,
        "false_positives": false,
        "true_negatives": right,
        "positives_without_class": without[0],
        "negatives_without_class": without[1],
        "positives_not_run": called.not_run[0],
        "negatives_not_run": called.not_run[1],
        **_estimates({"sensitivity": called.sensitivity, "specificity": called.specificity}),
        **_estimates(
            {"sensitivity_of_all": called.sensitivity_of_all, "specificity_of_all": called.specificity_of_all}
        ),
        **_predictive(called.observed),
    }


def _predictive(found: Predictive) -> Json:
    values = {"positive_predictive_value": found.positive, "negative_predictive_value": found.negative}
    return {"prevalence": found.prevalence, **_estimates(values)}


def _against(found: Against | None) -> Json | None:
    if found is None:
        return None
    differences = {
        one.name: {
            "this": one.first,
            "other": one.second,
            **_estimates({"difference": one.apart}),
            "n_slides": one.n_slides,
        }
        for one in found.differences
    }
    return {
        "run": found.name,
        **_made_with(found.made_with),
        "slides_without_lesions_compared": _with_reasons(found.unpaired),
        **differences,
    }


def _sizes(task: SizeTask | None) -> Json | None:
    if task is None:
        return None
    words = [kind.word for kind in WITH_TUMOUR]
    recall = {f"recall_{word}": found for word, found in zip(words, task.recall, strict=True)}
    recall["recall_micro_or_macro"] = task.recall_above
    return {
        "n_lesions": len(task.lesions),
        "n_matched": n_matched(task.lesions),
        "n_merged": sum(lesion.merged for lesion in task.lesions),
        "n_may_be_larger": sum(lesion.at_least for lesion in task.lesions),
        "pieces": task.pieces,
        "confusion_rows": words,
        "confusion_columns": list(FOUND_AS),
        "confusion": task.classes.tolist(),
        **_limits(task.agreement),
        **_estimates({"false_deposits_per_slide": task.false_deposits}),
        "false_deposits_per_slide_n": task.n_classed,
        **_estimates(recall),
        **{f"{name}_n": found.n for name, found in recall.items()},
        **_by_class(task),
    }


def _largest(task: LargestTask | None) -> Json | None:
    if task is None:
        return None
    return {
        "n_stated": task.n_stated,
        "n_slides": len(task.lesions),
        "n_matched": n_matched(task.lesions),
        "n_may_be_larger": sum(lesion.at_least for lesion in task.lesions),
        **_limits(task.agreement),
        **_by_class(task),
    }


def _by_class(task: Sizes) -> Json:
    """The share within "±", and the agreement of each true class."""
    classes = zip(WITH_TUMOUR, task.by_class, strict=True)
    return {
        **_estimates({"within_uncertainty": task.within}),
        "n_with_uncertainty": task.within.n,
        "by_class": {kind.word: _limits(own) for kind, own in classes},
    }


def _limits(agreement: SizeAgreement) -> Json:
    figures = {
        "bias_um": agreement.bias,
        "lower_limit_um": agreement.lower,
        "upper_limit_um": agreement.upper,
        "median_relative_error": agreement.median_error,
    }
    return {"n_pairs": agreement.pairs, **_estimates(figures)}
