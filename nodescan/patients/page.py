"""The page of one patient: the pN at a glance, the synoptic elements, each node, and what to look at."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote

from nodescan.domain.classification import CLASS_OF, Metastasis
from nodescan.domain.flags import TOLD_FIRST
from nodescan.domain.lengths import size_in_mm
from nodescan.domain.patient import UNDETERMINED, Node, Staged
from nodescan.domain.report import FILE_SIGNS
from nodescan.domain.section import Section
from nodescan.domain.staging import AJCC8, CAMELYON17
from nodescan.domain.versions import VERSION_WORDS
from nodescan.patients.applied import Applied
from nodescan.patients.correction_rows import CorrectionsFile
from nodescan.patients.first_look import look_first, notes_in_full
from nodescan.patients.sentences import answer, headline
from nodescan.patients.stage_notes import DETECTION_LIMIT
from nodescan.patients.staging import PatientResult, Staging
from nodescan.patients.synoptic import (
    determination,
    doubt_words,
    patient_size_words,
    section_size_words,
    stage_words,
    synoptic,
    unclassed_size_words,
    unsized_words,
)
from nodescan.reports.class_doubts import TUMOUR_WITHOUT_CLASS
from nodescan.reports.html_report import REPORT_HTML
from nodescan.reports.page import settings_note, started_words
from nodescan.reports.report_reader import StoredReport
from nodescan.reports.summary_page import SUMMARY_HTML
from nodescan.reports.web_page import Fact, environment
from nodescan.reports.wording import (
    CLASS_WORDS,
    SHORT_HEX,
    flag_title,
    minute_words,
    running_words,
    settings_words,
)

_TABLE_WORDS = {
    AJCC8.name: "AJCC 8th edition, pN of the breast",
    CAMELYON17.name: "the stages of the CAMELYON17 challenge",
}


@dataclass(frozen=True, slots=True)
class SectionRow:
    """One slide as text. link: to its page, "" where there is none; of a reviewed one as before. reviewed: how, ""
    where it was not. made: which scan it is of, "" where that isn't known."""

    slide_id: str
    link: str
    class_words: str
    borderline: bool
    size: str
    status: str
    reviewed: str
    made: str


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node as text, with its slides. alone: its only slide, which has nothing of its own to say; None otherwise."""

    node_id: str
    tone: str
    class_words: str
    borderline: bool
    size: str
    sentinel: str
    sections: tuple[SectionRow, ...]

    @property
    def alone(self) -> SectionRow | None:
        first, *others = self.sections or (None,)
        if first is None or others:
            return None
        same = (first.class_words, first.borderline, first.size) == (self.class_words, self.borderline, self.size)
        return first if same else None


def render(result: PatientResult, staging: Staging, *, pages: Collection[str], summary: bool = False) -> str:
    """The page as text, nothing loaded from anywhere. pages: the slides that have a page of their own to link to.

    summary: whether the run's index lies one folder up.
    """
    staged = result.staged
    notes = [note for note in result.all_notes if note.code != DETECTION_LIMIT]
    limits = (note.message for note in result.all_notes if note.code == DETECTION_LIMIT)
    first = sorted((note for note in notes if note.code in TOLD_FIRST), key=lambda note: TOLD_FIRST.index(note.code))
    looks = look_first(staged, first)
    links = {one.slide_id: link for one in staged.specimen.sections if (link := _link(one, staging, pages))}
    below = notes_in_full(looks, [report for report in result.reports if report.slide_id in links])
    below += [note for note in notes if note.code not in TOLD_FIRST]
    page = environment("nodescan.patients").get_template("patient.html")
    return page.render(
        who=_who(staged),
        running=_running(staging, result),
        status=determination(staged),
        own_settings=[words.capitalize() for words in map(settings_words, result.own_settings)],
        tone=_tone(staged),
        seen=any(section.metastasis is not None for section in staged.specimen.sections),
        headline=headline(staged),
        doubt=doubt_words(staged, result.all_notes),
        answer=" ".join((answer(staged), *limits)),
        facts=key_facts(staged),
        summary=f"../{SUMMARY_HTML}" if summary else "",
        staged_at="" if staging.staged_at is None else minute_words(staging.staged_at),
        software=_software_words(result),
        looks=looks,
        links=links,
        nothing_found="No deposit was found." if _nothing_found(staged) else "",
        likeliest=_likeliest(staged, staging, pages) if _nothing_found(staged) else [],
        notes=[Fact(flag_title(note.code), note.message) for note in below],
        elements=synoptic(staged),
        nodes=[_node_row(node, result, staging, pages) for node in staged.specimen.nodes],
        corrections=result.corrections,
        reviews=[_review_row(one) for one in result.corrections],
        class_given=any(one.action in ("class", "read") for one in result.corrections),
        provenance=_provenance(staging, result),
    )


def key_facts(staged: Staged) -> tuple[Fact, ...]:
    """The numbers under the answer; the table of synoptic elements has all."""
    if staged.not_removed:
        return ()
    counts = staged.counts
    nodes = staged.specimen.nodes
    positive = counts.positive.words if nodes else UNDETERMINED
    unsure = sum(
        node.most_borderline if node.classes[0] < Metastasis.MICRO <= node.classes[-1] else node.more_by_size(None)
        for node in nodes
    )
    borderline = f"; {unsure} borderline by size" if unsure else ""
    return (
        Fact("Largest deposit", *_largest_words(staged)),
        Fact("Positive nodes", positive, f"with macro- or micrometastases{borderline}"),
        Fact("Nodes examined", str(staged.specimen.n_examined), _examined_note(staged)),
    )


def _examined_note(staged: Staged) -> str:
    removed, part = staged.specimen.nodes_removed, staged.n_in_part
    of_all = "number removed not stated" if removed is None else f"of {removed} removed"
    return f"{of_all}; {part} only in part" if part else of_all


def _software_words(result: PatientResult) -> str:
    """That the patient was reviewed, and the software's own stage where it was another; "" where nobody did."""
    if result.software is None:
        return ""
    own = stage_words(result.software)
    same = own == stage_words(result.staged)
    return "Reviewed; stage unchanged." if same else f"Reviewed. The software's own result: {own}."


def class_or_more_words(found: Metastasis, *, at_least: bool, may_fall: bool = False) -> str:
    """A node's or slide's class; one that was not read whole, so that it may be of a higher one, is never negative.

    None is above a macrometastasis. may_fall: a lower class is possible, too, so that it is no lower bound.
    """
    if not at_least or found is Metastasis.MACRO:
        return CLASS_WORDS[found]
    if found is Metastasis.NONE:
        return "No class"
    return f"{CLASS_WORDS[found]} as measured" if may_fall else f"At least {CLASS_WORDS[found].lower()}"


def _class_words(one: Node | Section, found: Metastasis) -> str:
    sections = one.sections if isinstance(one, Node) else (one,)
    if found is Metastasis.NONE and any(section.unclassed_um is not None for section in sections):
        return TUMOUR_WITHOUT_CLASS
    return class_or_more_words(found, at_least=one.class_at_least, may_fall=one.least_class < found)


def _largest_words(staged: Staged) -> tuple[str, str]:
    """The largest deposit and what it rests on."""
    specimen = staged.specimen
    size, unclassed = patient_size_words(staged), unclassed_size_words(staged)
    if not size and unclassed:
        return unclassed, "on a slide that got no class"
    if size:
        notes = [
            unsized_words(staged),
            "" if specimen.unclassed_um is None else f"and {size_in_mm(specimen.unclassed_um, None)} without a class",
        ]
        return size, "; ".join(filter(None, (*notes, "never added up")))
    if specimen.largest_class is not Metastasis.NONE:
        return "not measured", unsized_words(staged)
    if not any(section.readable for section in specimen.sections):
        return UNDETERMINED, ""
    return "none found", "so far" if staged.size_at_least else ""


def _who(staged: Staged) -> str:
    """The patient with specimen and side, which have a page and a stage of their own each: "P-003, left"."""
    specimen = staged.specimen
    parts = [
        specimen.patient_id,
        f"specimen {specimen.specimen_id}" if specimen.specimen_id else "",
        specimen.laterality,
    ]
    return ", ".join(filter(None, parts))


def _running(staging: Staging, result: PatientResult) -> str:
    """The patient, when the stage was made, and by which review, for each printed sheet."""
    at, review = staging.staged_at, _review_of(staging, result)
    return running_words(
        _who(result.staged),
        "" if at is None else f"staged {minute_words(at)}",
        "" if review is None else f"corrections {review.sha256[:SHORT_HEX]}",
    )


def _review_of(staging: Staging, result: PatientResult) -> CorrectionsFile | None:
    """The file of corrections, where it corrects a slide of this patient."""
    return staging.corrections_file if result.corrections else None


def _tone(staged: Staged) -> str:
    if staged.category is None or staged.lowest is None:
        return "none"
    return staged.lowest.largest.word


def _review_row(one: Applied) -> tuple[str, ...]:
    """Its cells, in the order of the columns."""
    deposit = "whole slide" if one.deposit_id is None else str(one.deposit_id)
    before, after = (_of_class(words) for words in (one.before, one.after))
    by = ", ".join(filter(None, (one.by, one.date)))
    return one.slide_id, deposit, one.action, before or "not found", after or "removed", by, one.comment


def _of_class(words: str) -> str:
    """A deposit or a slide as `Applied` has it, "micro, 0.61 mm", with its class as the page prints it."""
    class_, comma, rest = words.partition(", ")
    found = CLASS_OF.get(class_)
    return words if found is None else f"{CLASS_WORDS[found]}{comma}{rest}"


def _nothing_found(staged: Staged) -> bool:
    """Whether something was read, and no tumour found on it, with a class or without."""
    specimen = staged.specimen
    found = specimen.largest_class is not Metastasis.NONE or specimen.unclassed_um is not None
    return not found and any(section.readable for section in specimen.sections)


def _likeliest(staged: Staged, staging: Staging, pages: Collection[str]) -> list[tuple[str, str]]:
    """The slides that the software alone read, each with the page that names its likeliest places."""
    read = [section for section in staged.specimen.sections if section.readable and section.reading is None]
    return [(one.slide_id, link) for one in read if (link := _link(one, staging, pages))]


def _link(section: Section, staging: Staging, pages: Collection[str]) -> str:
    there = section.slide_id not in staging.not_run and section.slide_id in pages
    return f"../{quote(section.slide_id)}/{REPORT_HTML}" if there else ""


def _node_row(node: Node, result: PatientResult, staging: Staging, pages: Collection[str]) -> NodeRow:
    shared = f" ({node.n_nodes} nodes share its slides)" if node.n_nodes > 1 else ""
    return NodeRow(
        node_id=f"{node.node_id}{shared}",
        tone=word_if_known(node.largest_class, complete=node.complete) or "none",
        class_words=_class_words(node, node.largest_class),
        borderline=node.borderline,
        size="" if node.largest is None else section_size_words(node.largest, at_least=node.size_at_least),
        sentinel={True: "yes", False: "no", None: "not stated"}[node.sentinel],
        sections=tuple(_section_row(one, result, staging, pages) for one in node.sections),
    )


def _section_row(section: Section, result: PatientResult, staging: Staging, pages: Collection[str]) -> SectionRow:
    slide_id, reading = section.slide_id, section.reading
    reviewed = any(correction.slide_id == slide_id for correction in result.corrections)
    return SectionRow(
        slide_id=slide_id,
        link=_link(section, staging, pages),
        class_words=_class_words(section, section.metastasis or Metastasis.NONE),
        borderline=section.borderline,
        size=section_size_words(section, at_least=section.size_at_least),
        status="not run" if slide_id in staging.not_run else section.status.value,
        reviewed="" if not reviewed else "reviewed" if reading is None else f"read whole by {reading.by}",
        made="".join(_made_words(report) for report in result.reports if report.slide_id == slide_id),
    )


def _made_words(report: StoredReport) -> str:
    """When the slide was scanned, and of which file: its page may show a later scan one day."""
    file = f", file {report.fingerprint[:FILE_SIGNS]}" if report.fingerprint else ""
    return f"scanned {started_words(report)}{file}" if report.provenance is not None else ""


def word_if_known(found: Metastasis, *, complete: bool) -> str | None:
    """A node's or slide's class in one word; one that was not read whole is never negative."""
    return found.word if complete or found else None


def _provenance(staging: Staging, result: PatientResult) -> tuple[Fact, ...]:
    at, review = staging.staged_at, _review_of(staging, result)
    facts = [] if at is None else [Fact("Staged", at.isoformat(timespec="seconds"))]
    of_source = f"sha256 {staging.source_sha256}" if staging.source_sha256 else ""
    facts += [Fact("nodescan", VERSION_WORDS), Fact("Nodes and patients from", staging.source, of_source)]
    if review is not None:
        facts.append(Fact("Corrections from", review.name, f"sha256 {review.sha256}"))
    facts.append(Fact("Staged by", _TABLE_WORDS[staging.table.name]))
    facts += [Fact("Model", model) for model in result.models]
    facts += [Fact("Configuration sha256", one, settings_note(one)) for one in result.own_settings]
    return tuple(facts)
