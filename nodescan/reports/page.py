"""What stands on a slide's page, ready to print: words and numbers as text, no rule left for the template."""

import math
from dataclasses import dataclass
from datetime import datetime

from nodescan.domain.class_bounds import cut_and_open
from nodescan.domain.classification import MICRO_LIMIT_UM
from nodescan.domain.deposits import Deposit
from nodescan.domain.maps import TissueMask
from nodescan.domain.report import FILE_SIGNS, Outcome, SlideReport, SlideResult, Status
from nodescan.domain.slide import SpacingSource
from nodescan.domain.units import Spacing
from nodescan.domain.verdict import deciding
from nodescan.reports import wording
from nodescan.reports.class_doubts import tumour_without_class
from nodescan.reports.palette import CLASS_COLOURS
from nodescan.reports.places import centre
from nodescan.reports.web_page import Fact
from nodescan.reports.wording import (
    CUT_OFF,
    NOT_JUDGED_WORDS,
    badges,
    cell_words,
    found_words,
    left_out_words,
    minute_words,
    percent,
    size_words,
    slide_score_words,
    slide_size_words,
)

MOST_ROWS = 200
"""More rows than this make the page slow to open and long to print; report.json holds all."""

_LEAST_LEFT_OUT_UM2 = 10_000.0
"""Less is no part of any tissue worth a number: a fragment of tissue is larger (imaging/tissue.py)."""

_NOT_KNOWN = "not known"

_IN_PART = "of the part examined"

_SOURCES = {
    SpacingSource.FILE: "from the slide file",
    SpacingSource.TIFF: "from the file's resolution tags",
    SpacingSource.USER: "given by the user, because the file states no plausible value",
    SpacingSource.OVERRIDE: "given by the user instead of the file's own value",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A size on the ruler, in percent of its width; low and high: its interval."""

    at: float
    low: float
    high: float
    colour: str
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """One deposit as text."""

    id: int
    tone: str
    class_words: str
    size: str
    badges: tuple[str, ...]
    area: str
    centre: str
    cells: str


def tone(report: SlideReport) -> str:
    """The word that colours the headline."""
    if report.status is Status.FAILED and not tumour_without_class(report):
        return "failed"
    return "none" if report.metastasis is None else report.metastasis.word


def key_facts(report: SlideReport) -> tuple[Fact, ...]:
    """The numbers under the answer; nothing for a slide that failed before it was looked at."""
    if report.outcome is Outcome.NOT_READ:
        return ()
    largest = report.deposits[0] if report.deposits else None
    area = report.tissue_area_mm2
    tissue = f"of {area:.1f} mm²" if area else ""
    if report.not_judged:
        return (
            Fact("Largest deposit", NOT_JUDGED_WORDS),
            Fact("Deposits", NOT_JUDGED_WORDS),
            Fact("Tissue examined", NOT_JUDGED_WORDS, tissue),
        )
    others = _foci(report), Fact("Tissue examined", _examined_words(report), tissue)
    if largest is None and report.known_foci is not None:
        return others
    return (Fact("Largest deposit", slide_size_words(report) or _NOT_KNOWN, _limit_note(largest, report)), *others)


def ruler_marks(report: SlideReport) -> tuple[Mark, ...]:
    """Sizes on a logarithmic ruler from 0.02 to 20 mm, a third of it for each class; the largest comes last, on top.

    Empty for a slide without a class: the ruler would give it one.
    """
    if report.metastasis is None:
        return ()
    return tuple(
        Mark(
            at=_on_ruler(deposit.diameter_um),
            low=_on_ruler(deposit.diameter_um - deposit.diameter_uncertainty_um),
            high=_on_ruler(deposit.diameter_um + deposit.diameter_uncertainty_um),
            colour=CLASS_COLOURS[deposit.metastasis].css,
            words=f"Deposit {deposit.id}: {size_words(deposit)}",
        )
        for deposit in reversed(report.deposits[:MOST_ROWS])
    )


def rows(report: SlideReport) -> tuple[Row, ...]:
    """The table of deposits, the largest MOST_ROWS of them."""
    judged, near = not report.not_judged, deciding(report.deposits)
    return tuple(
        Row(
            id=deposit.id,
            tone=deposit.metastasis.word if judged else "none",
            class_words=found_words(deposit, report),
            size=size_words(deposit),
            badges=badges(deposit, near) if judged else (),
            area=area_words(deposit.area_um2),
            centre=centre(deposit.centre_um),
            cells=cell_words(deposit) if judged else "",
        )
        for deposit in report.deposits[:MOST_ROWS]
    )


def quality_facts(result: SlideResult) -> tuple[Fact, ...]:
    """What was there to look at, and how well it could be seen."""
    report, info = result.report, result.report.info
    facts: list[Fact] = []
    if report.tissue_area_mm2 is not None:
        facts.append(Fact("Tissue found", f"{report.tissue_area_mm2:.2f} mm²"))
    if report.examined_fraction is not None and (report.not_judged or report.examined_fraction < 1):
        seen = "Tissue read, not judged" if report.not_judged else "Tissue examined"
        facts.append(Fact(seen, percent(report.examined_fraction)))
    if result.tissue is not None:
        facts += _excluded(result.tissue)
    if info is not None:
        size = f"{info.width_um / 1000:.1f} x {info.height_um / 1000:.1f} mm"
        facts.append(Fact("Slide image", size, f"{info.width_px:,} x {info.height_px:,} px, {info.format}"))
        facts.append(Fact("Pixel size", _spacing(info.spacing), _SOURCES[info.spacing_source]))
    if report.analysis_spacing is not None:
        facts.append(Fact("Analysed at", _spacing(report.analysis_spacing)))
    return tuple(facts)


def provenance_facts(report: SlideReport) -> tuple[Fact, ...]:
    """Everything needed to make the result again."""
    slide = report.slide
    facts = [Fact("Slide", slide.slide_id, "" if slide.renamed else slide.path.name)]
    model = report.model
    if model is not None:
        facts.append(Fact("Model", model.name, f"{model.architecture}, threshold {model.threshold:g}"))
        facts.append(Fact("Weights sha256", model.weights_sha256))
        facts += [Fact("Card sha256", model.card_sha256)] if model.card_sha256 else []
    if report.tumour_probability is not None:
        scale = f"0 to 1, {_IN_PART}" if _in_part(report) else "0 to 1"
        facts.append(Fact("Slide's score", slide_score_words(report.tumour_probability), scale))
    if report.info is not None:
        facts.append(Fact("Read by", report.info.reader, report.info.format))
    if report.provenance is not None:
        made = report.provenance
        facts += [
            Fact("Configuration sha256", made.config_sha256, settings_note(made.own_settings)),
            *_file_facts(made.slide_fingerprint),
            Fact("Started", made.started, f"took {made.seconds:.1f} s"),
            Fact("Device", made.device, made.precision),
            Fact("Result version", str(made.result_version)),
            Fact("Version", f"nodescan {made.versions.get('nodescan', _NOT_KNOWN)}", "all packages are in report.json"),
        ]
    return tuple(facts)


def _file_facts(fingerprint: str) -> list[Fact]:
    """Which file it is, and how a reader names it; nothing where the file couldn't be opened."""
    if not fingerprint:
        return []
    return [Fact("Slide fingerprint", fingerprint, f"file {fingerprint[:FILE_SIGNS]} in a table of corrections")]


def started_words(report: SlideReport) -> str:
    """Day and minute of the run; empty where unknown, as it stands where it is no ISO 8601 time."""
    if report.provenance is None:
        return ""
    try:
        started = datetime.fromisoformat(report.provenance.started)
    except ValueError:
        return report.provenance.started
    return minute_words(started)


def settings_note(own_settings: str) -> str:
    """What stands under the settings' sha256. own_settings: see versions.own_settings."""
    return "own settings, not the released ones" if own_settings else ""


def running_words(report: SlideReport) -> str:
    """The slide, when it was scanned, and which file it was, for each printed sheet."""
    started, file = started_words(report), report.fingerprint[:FILE_SIGNS]
    return wording.running_words(
        report.slide.slide_id, f"scanned {started}" if started else "", f"file {file}" if file else ""
    )


def area_words(area_um2: float) -> str:
    """An area in mm² with three significant digits."""
    area = area_um2 / 1e6
    if area <= 0:
        return "0 mm²"
    digits = max(0, 2 - math.floor(math.log10(area)))
    return f"{area:.{min(digits, 6)}f} mm²"


def _excluded(tissue: TissueMask) -> list[Fact]:
    return [
        Fact(f"Left out: {left_out_words(reason)}", area_words(tissue.excluded_area_um2(reason)))
        for reason, mask in tissue.excluded
        if tissue.excluded_area_um2(reason) >= _LEAST_LEFT_OUT_UM2
    ]


def _examined_words(report: SlideReport) -> str:
    if report.tissue_area_mm2 == 0:
        return "none found"
    return _NOT_KNOWN if report.examined_fraction is None else percent(report.examined_fraction)


def _foci(report: SlideReport) -> Fact:
    number = report.known_foci
    if number is None:
        return Fact("Deposits", _NOT_KNOWN)
    notes = (_IN_PART if _in_part(report) else "", "sizes are not added up" if number > 1 else "")
    return Fact("Deposits", str(number), ", ".join(filter(None, notes)))


def _in_part(report: SlideReport) -> bool:
    """Whether numbers of the slide are of a part of its tissue alone."""
    return report.examined_fraction is not None and report.examined_fraction < 1


def _limit_note(largest: Deposit | None, report: SlideReport) -> str:
    """What the sentence above doesn't say of the size: that gives the class by its limits."""
    if largest is None or report.metastasis is None:
        return ""
    if largest.raised_by_cells:
        return "0.2 mm or smaller, more than 200 cells"
    told = {"borderline", *([CUT_OFF] if largest in cut_and_open(report) else [])}  # above or beside
    return ", ".join(words for words in badges(largest, deciding(report.deposits)) if words not in told)


def _on_ruler(length_um: float) -> float:
    """0.02 mm is 0 %, 0.2 mm a third, 2 mm two thirds, 20 mm 100 %."""
    thirds = 2 + math.log10(max(length_um, 1e-3) / MICRO_LIMIT_UM)
    return round(min(max(thirds / 3, 0.0), 1.0) * 100, 2)


def _spacing(spacing: Spacing) -> str:
    return f"{spacing.x:.4g} x {spacing.y:.4g} µm per pixel"
