"""What summary.html, the index of a run, says of the run's patients: written into it whenever they are staged."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

from nodescan.domain.naming import few, how_many
from nodescan.domain.staging import borderline_stage_words
from nodescan.given_files import found_bytes
from nodescan.overwrite_checks import BRAND
from nodescan.patients.earlier_stages import PAGES, dicts, page_names, patients_of, stages_in, words
from nodescan.patients.synoptic import borderline_of_them
from nodescan.reports.class_doubts import noted_doubts
from nodescan.reports.summary_page import SUMMARY_HTML
from nodescan.reports.web_page import environment
from nodescan.reports.wording import minute_words
from nodescan.whole_files import output_errors, text_bytes, write_beside, write_current

MOST_NAMED = 20
"""Slides named in one line; patients.json has them all."""

_COUNTS = ("n_nodes_examined", "n_nodes_in_part", "n_nodes", "n_nodes_without_slides")
_VERSIONS = ("nodescan_version", "result_version")
"""Names in patients.json."""

_SLOT = re.compile(r"<!--slot ([^<>]*)-->((?:[^<]++|<(?!!--/?slot))*+)<!--/slot-->")
"""A place of the page that is filled from here. All that a slide says is escaped, so that it can't end one. What begins
another place ends the search for an end, so that none is sought through the whole page."""

_TAG = re.compile(r"<[^<>]*>")
_AS_BEFORE = " The row and the page of a reviewed slide are as before the review; the patient's page has both results."

_TONE = re.compile(r'(class="card answer summary [a-z]+)( undetermined)?"')
"""The first card, with the tone of the worst slide."""


@dataclass(frozen=True, slots=True)
class PatientLine:
    """One patient, specimen and side as text, "" where there is nothing. link: relative. determined: by the sizes as
    measured, see `may_be`. status: whether it is, in words. doubt: what else the stage may hang on. software: the stage
    before a review, with what it may be by its sizes."""

    name: str
    link: str
    stage: str
    nodes: str
    in_part: str
    largest: str
    determined: bool
    status: str
    may_be: str
    doubt: str
    software: str

    @property
    def borderline(self) -> bool:
        """Whether it is called determined although its sizes leave more than one category."""
        return self.determined and bool(self.may_be)

    @property
    def reviewed(self) -> str:
        """That a reader reviewed it, with the software's own result where that is another."""
        if not self.software:
            return ""
        same = self.software == _with_doubt(self.stage, self.may_be)
        return "as reviewed" if same else f"as reviewed; software alone: {self.software}"


def tell_patients(folder: Path, *, just_written: bool = False) -> None:
    """Fill in what the folder's patients.json says now, in the place of what stood there.

    A page that isn't a run's own is left alone, as is one beside stages that nobody can read. Raises OutputError; then
    the page is gone, which has stages that hold no longer, unless it was just written, and has none.
    """
    page = folder / SUMMARY_HTML
    with output_errors(page):
        data = found_bytes(page) if page.is_file() and not page.is_symlink() else b""
    text = data.decode("utf-8", "replace")
    if BRAND not in data or not (_SLOT.search(text) and _TONE.search(text)):
        return
    told = with_patients(text, stages_in(folder) or {}, folder)
    if told != text:
        (write_beside if just_written else write_current)(page, text_bytes(told))


def with_patients(text: str, stages: Mapping[str, Any], folder: Path) -> str:
    """The page's text with `stages`, the content of a patients.json, told in it; of none nothing is told."""
    lines = patient_lines(stages, folder)
    open_, borderline = sum(not line.determined for line in lines), sum(line.borderline for line in lines)
    said = f"{len(lines) - open_} of {how_many(len(lines), 'patient')} determined{borderline_of_them(borderline)}"
    said += "; the others have a stage of “at least” or “as measured”, or none" if open_ else ""
    filled: dict[str, str] = {}
    if lines:
        block = environment("nodescan.patients").get_template("run_patients.html")
        filled["patients"] = block.render(lines=lines, made=_made(stages, text), left_out=_left_out(stages))
        filled["lead"] = Markup('<p class="lead">{}.</p>').format(said)
    filled |= _of_slides(dicts(stages.get("patients")), lines)
    toned = _TONE.sub(rf'\1{" undetermined" if open_ else ""}"', text, count=1)
    return _SLOT.sub(lambda slot: _filled(slot, filled), toned)


def _of_slides(patients: Sequence[Mapping[str, Any]], lines: Sequence[PatientLine]) -> dict[str, str]:
    """What is filled into the rows of the slides: the link to the patient's page, and that a slide was reviewed.

    Readers are named on the patients' pages alone.
    """
    filled: dict[str, str] = {}
    for patient, line in zip(patients, lines, strict=True):
        link = Markup('<a href="{}">{}</a>' if line.link else "{1}")
        own, whole = (link.format(line.link, name) for name in (patient.get("patient_id"), line.name))
        slides = [slide for node in dicts(patient.get("nodes")) for slide in dicts(node.get("slides"))]
        filled |= {f"patient {slide.get('slide_id')}": own for slide in slides}
        rows = [(row.get("slide_id"), row) for row in dicts(patient.get("corrections"))]
        read = {slide_id: row.get("after") for slide_id, row in rows if row.get("action") == "read"}
        for slide_id, _ in rows:
            how = f"read whole by a reader as {read[slide_id]}" if slide_id in read else "reviewed"
            told = Markup("<small>{}: see {}</small>").format(how, whole)
            filled |= {f"review {slide_id}": told, "before": _AS_BEFORE}
    return filled


def patient_lines(stages: Mapping[str, Any], folder: Path) -> tuple[PatientLine, ...]:
    """In the order of patients.json; what stands there otherwise than nodescan writes it is no patient's."""
    patients = dicts(stages.get("patients"))
    return tuple(
        _line(patient, names, folder / PAGES / page)
        for patient, names, page in zip(patients, patients_of(stages), page_names(patients_of(stages)), strict=True)
    )


def _line(patient: Mapping[str, Any], names: tuple[str, ...], page: Path) -> PatientLine:
    codes = [note.get("code") for note in dicts(patient.get("notes"))]
    stage, software = str(patient.get("stage")), str(patient.get("software_stage") or "")
    determined = patient.get("category") is not None and patient.get("at_least") is False
    may_be = _borderline(patient.get("may_be"), stage, patient.get("bound"))
    examined, in_part, seen, absent = (one if isinstance(one := patient.get(key), int) else 0 for key in _COUNTS)
    software_may_be = _borderline(patient.get("software_may_be"), software, patient.get("software_bound"))
    return PatientLine(
        name=" ".join(filter(None, names)),
        link=f"./{PAGES}/{quote(page.name, safe='')}" if page.is_file() else "",
        stage=stage,
        nodes=f"{examined} of {seen + absent}" if _COUNTS[0] in patient and seen + absent else "",
        in_part=f"{in_part} only in part" if in_part else "",
        largest=str(patient.get("largest_deposit") or ""),
        determined=determined,
        status=_status(patient.get("determination"), determined=determined, borderline=bool(may_be)),
        may_be=may_be,
        doubt="; ".join(noted_doubts(codes, classed=patient.get("category") is not None)),
        software=_with_doubt(software, software_may_be),
    )


def _status(stored: object, *, determined: bool, borderline: bool) -> str:
    """Whether a stage is determined; why it isn't is in the words of `stored`, of a JSON file."""
    if determined:
        return "determined, borderline" if borderline else "determined"
    return stored if isinstance(stored, str) and not stored.startswith("determined") else "not determined"


def _borderline(categories: object, stage: str, bound: object) -> str:
    """What a stage may be by its sizes; categories, bound: of a JSON file."""
    return borderline_stage_words(words(categories), stage=stage, bound=bound if isinstance(bound, str) else None)


def _with_doubt(stage: str, may_be: str) -> str:
    return ", ".join(filter(None, (stage, may_be)))


def _made(stages: Mapping[str, Any], page: str) -> list[str]:
    """When the patients were staged, by which nodescan, from what: the rest of the page may be of another run.

    page: its text; a model that stands in its masthead is not named again.
    """
    models = words(stages.get("models"))
    version = ", result version ".join(str(stages[key]) for key in _VERSIONS if stages.get(key))
    by = f" by nodescan {version}" if version else ""
    source = f", from {stages['source']}" if stages.get("source") else ""
    said = [f"Staged{_minute(stages.get('staged_at'))}{by}{source}."]
    if models and [f"<li>Model {escape(one)}</li>" in page for one in models] != [True]:
        said.append(f"Their slides were judged by the model{'s' * (len(models) > 1)} {'; '.join(models)}.")
    mixed = stages.get("mixed_reports")
    return [*said, *([f"The slides' reports were not made alike: {mixed}."] if mixed else [])]


def _minute(at: object) -> str:
    """A time of a JSON file, to the minute; "" for what is none."""
    try:
        return f" on {minute_words(datetime.fromisoformat(str(at)))}"
    except ValueError:
        return ""


def _left_out(stages: Mapping[str, Any]) -> list[str]:
    """Slides of the manifest that have no row on the page, or none that counts, and why."""
    reasons = (
        ("slides_of_other_stains", "with another stain than H&E, left to the pathologist"),
        ("slides_not_run", "in the manifest but not run, so their nodes count as unread"),
    )
    named = [(words(stages.get(key)), why) for key, why in reasons]
    return [f"{how_many(len(ids), 'slide')} {why}: {few(ids, MOST_NAMED)}." for ids, why in named if ids]


def _filled(slot: re.Match[str], filled: Mapping[str, str]) -> str:
    """A place with what is filled in; the name of a report's patient stays, as a link where that patient has a page."""
    told = filled.get(html.unescape(slot[1]), "")
    if slot[1].startswith("patient ") and (name := _TAG.sub("", slot[2])) != _TAG.sub("", told):
        told = name
    return f"<!--slot {slot[1]}-->{told}<!--/slot-->"
