"""summary.html: the index of a run, what failed and why on top, every slide in a table that can be sorted."""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from nodescan import __version__
from nodescan.domain.class_bounds import OF_WHOLE_SLIDE, bound_holds
from nodescan.domain.classification import Metastasis
from nodescan.domain.naming import how_many
from nodescan.domain.report import ModelIdentity, SlideReport, Status
from nodescan.domain.versions import VERSION_WORDS
from nodescan.errors import UsageError
from nodescan.reports.class_doubts import class_doubts, class_words
from nodescan.reports.html_report import REPORT_HTML
from nodescan.reports.json_report import REPORT_JSON
from nodescan.reports.made_with import made_with
from nodescan.reports.other_reports import NO_OTHERS, OtherReports, other_words
from nodescan.reports.page import tone
from nodescan.reports.pictures import OVERVIEW_JPG
from nodescan.reports.report_reader import ReportFile
from nodescan.reports.web_page import Fact, environment
from nodescan.reports.wording import (
    CLASS_WORDS,
    NOT_JUDGED_WORDS,
    TILE_RULES,
    UNMEASURED,
    causes_fixed,
    flag_title,
    limit_words,
    minute_words,
    not_excluded_words,
    settings_words,
    slide_score_words,
    slide_size_words,
    without_paths,
)
from nodescan.whole_files import text_bytes, write_current

SUMMARY_HTML = "summary.html"

MOST_NAMES = 20
"""Slides named beside one reason; a share that went away fails hundreds alike, and the table holds them all."""


_SAID = {"borderline": "borderline", "deposit_cut_off": "cut off", **OF_WHOLE_SLIDE}
"""Flags that the words under a class may say, and how: then they do not stand beside it, too."""


@dataclass(frozen=True, slots=True)
class Row:
    """One slide as text. link, thumbnail: relative, "" where there is none; the ranks are to sort by.

    needed: what a deposit needs, "" where the score reaches it, or it isn't known. flags: without what doubt says.
    """

    report: SlideReport
    link: str
    thumbnail: str
    tone: str
    class_words: str
    class_rank: int
    at_least: bool
    doubt: str
    size: str
    foci: str
    score: str
    score_rank: str
    needed: str
    status_rank: int
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """One reason why slides have no result, and whom it met: the first MOST_NAMES, and how many more."""

    status: str
    reason: str
    slides: tuple[str, ...]
    n_more: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What made the page's reports. kept: slide_id of those that earlier runs made, by the same model.

    own_settings: see versions.own_settings.
    """

    started: datetime
    model: ModelIdentity
    kept: frozenset[str] = frozenset()
    own_settings: str = ""


def write_summary_page(
    reports: Sequence[SlideReport],
    folder: Path,
    *,
    asked: int,
    run: RunFacts,
    others: OtherReports = NO_OTHERS,
) -> None:
    """Write summary.html into the run's folder. asked: slides asked for, more than there are reports in a stopped run.

    others: reports in the folder that the page counts and doesn't list. Raises OutputError. Making it takes about a
    millisecond for five slides, so it is made at the end and not after each slide.
    """
    write_current(folder / SUMMARY_HTML, text_bytes(render(reports, folder, asked=asked, run=run, others=others)))


def render(
    reports: Sequence[SlideReport],
    folder: Path,
    *,
    asked: int,
    run: RunFacts,
    others: OtherReports = NO_OTHERS,
) -> str:
    """The page as text; what it links to is what lies in `folder` now. Its slots are for the room of the patients."""
    complete = sum(report.status is Status.COMPLETE for report in reports)
    page = environment()
    script = page.get_template("summary.js").render()
    return page.get_template("summary.html").render(
        headline=f"{complete} of {how_many(asked, 'slide')} complete",
        not_run=asked - len(reports),
        others=other_words(others),
        made=made_words(run, reports),
        unmeasured=_unmeasured(reports),
        worst=worst_status(reports, asked=asked).value,
        outcomes=outcomes(reports),
        classes=classes(reports),
        troubles=troubles(reports),
        causes_fixed=causes_fixed(reports),
        limits=_limits(reports),
        rows=[_row(report, folder) for report in reports],
        script=Markup(script),  # this program's own, word for word what the policy's hash allows
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def made_words(run: RunFacts, reports: Sequence[SlideReport]) -> tuple[str, ...]:
    """When the run began, by which version, model and settings; how many reports it kept, which of them others made."""
    kept = [report.provenance for report in reports if report.slide.slide_id in run.kept]
    versions = Counter("" if made is None else made.versions.get("nodescan", "") for made in kept)
    others = [f"{count} by {version or 'an unknown version'}" for version, count in versions.items()]
    by = "" if versions.keys() <= {__version__} else f" ({', '.join(others)})"
    return (
        f"Run of {minute_words(run.started)} by nodescan {VERSION_WORDS}",
        *([f"{how_many(len(kept), 'report')} kept from earlier runs{by}"] if kept else []),
        f"Model {made_with(run.model, None).model_words}",
        *([settings_words(run.own_settings).capitalize()] if run.own_settings else []),
    )


def _unmeasured(reports: Sequence[SlideReport]) -> str:
    """What is said of the sizes in the table where "±" was not measured for a model; "" where it was, or none is."""
    sized = [one.model for one in reports if one.model is not None and one.deposits and one.metastasis is not None]
    return f"“±” {UNMEASURED}." if any(not model.uncertainty_measured for model in sized) else ""


def worst_status(reports: Sequence[SlideReport], *, asked: int) -> Status:
    """Of all slides, which tones the page's first card; slides that were not run make a run incomplete."""
    found = [report.status for report in reports] + [Status.INCOMPLETE] * (asked > len(reports))
    return max(found, key=tuple(Status).index, default=Status.COMPLETE)


def stands(report: SlideReport, path: Path) -> bool:
    """Whether report.json is there, and this report's.

    One that couldn't be written is a failure's, and an older one may stand there still: a disk that refuses the new
    one may have refused to remove the old one, too.
    """
    if not report.status.without_result:
        return path.is_file()
    try:
        return ReportFile(path).report_of(report.slide).provenance == report.provenance
    except UsageError:
        return False


def outcomes(reports: Sequence[SlideReport]) -> tuple[Fact, ...]:
    """How many slides got how far."""
    notes = {
        Status.COMPLETE: "all tissue examined",
        Status.INCOMPLETE: "not all examined or judged",
        Status.UNMEASURABLE: "no trustworthy pixel size",
        Status.FAILED: "no result",
    }
    found = Counter(report.status for report in reports)
    return tuple(Fact(status.value.capitalize(), str(found[status]), notes[status]) for status in Status)


def classes(reports: Sequence[SlideReport]) -> tuple[tuple[str, Fact], ...]:
    """How many slides of each class, with the class' tone; those without a class last."""
    found = Counter(report.metastasis for report in reports)
    lower = Counter(report.metastasis for report in reports if bound_holds(report))
    rows = [
        (
            kind.word,
            Fact(
                CLASS_WORDS[kind],
                str(found[kind]),
                TILE_RULES[kind] + (f"; {lower[kind]} of them “at least”" if lower[kind] else ""),
            ),
        )
        for kind in Metastasis
    ]
    return (*rows, ("none", Fact("No class", str(found[None]), "not a negative result")))


def troubles(reports: Sequence[SlideReport]) -> tuple[Trouble, ...]:
    """Why slides have no result at all: each reason once, the most frequent first."""
    met: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        if report.status.without_result:
            met.setdefault((report.status.value, _reason(report)), []).append(report.slide.slide_id)
    return tuple(
        Trouble(status, reason, tuple(names[:MOST_NAMES]), max(0, len(names) - MOST_NAMES))
        for (status, reason), names in sorted(met.items(), key=lambda item: -len(item[1]))
    )


def _row(report: SlideReport, folder: Path) -> Row:
    score = None if report.not_judged else report.tumour_probability
    seed = None if report.model is None else report.model.seed_threshold
    found, doubt = report.metastasis, _doubt(report)
    unsaid = [flag.code for flag in report.flags if flag.code not in _SAID or _SAID[flag.code] not in doubt]
    return Row(
        report=report,
        link=_link(folder, report, REPORT_HTML),
        thumbnail=_link(folder, report, OVERVIEW_JPG),
        tone=tone(report),
        class_words=CLASS_WORDS[found] if found is not None and bound_holds(report) else class_words(report),
        class_rank=-1 if report.metastasis is None else int(report.metastasis),
        at_least=bound_holds(report),
        doubt=doubt,
        size=slide_size_words(report),
        foci=NOT_JUDGED_WORDS if report.not_judged else "" if report.known_foci is None else str(report.known_foci),
        score="" if score is None else slide_score_words(score),
        score_rank="" if score is None else str(score),
        needed="" if score is None or seed is None or score >= seed else f"{seed:g}",
        status_rank=tuple(Status).index(report.status),
        flags=tuple(dict.fromkeys(flag_title(code) for code in unsaid)),
    )


def _doubt(report: SlideReport) -> str:
    """What the class hangs on; of what a negative one leaves open only the size, the sentence is below the table."""
    found_from_um = None if report.model is None else report.model.found_from_um
    long = not_excluded_words(found_from_um)
    short = f"< {found_from_um / 1000:g} mm not excluded" if found_from_um else ""
    return "; ".join(short if one == long else one for one in class_doubts(report))


def _limits(reports: Sequence[SlideReport]) -> tuple[str, ...]:
    """What negative slides do not exclude, by the models that judged them."""
    negative = (one.model for one in reports if one.metastasis is Metastasis.NONE and one.model is not None)
    return tuple(dict.fromkeys(filter(None, (limit_words(model.found_from_um) for model in negative))))


def _link(folder: Path, report: SlideReport, file: str) -> str:
    """Relative, so that the run's folder can be moved whole; "./" keeps a colon in a name from being a scheme.

    "" where the file isn't there, or is left over from an earlier run.
    """
    place = folder / report.slide.slide_id
    there = (place / file).is_file() and stands(report, place / REPORT_JSON)
    return f"./{quote(report.slide.slide_id, safe='')}/{file}" if there else ""


def _reason(report: SlideReport) -> str:
    """A slide without a result says why in its first flag."""
    if not report.flags:
        return "no reason was recorded"
    return without_paths(" ".join(report.flags[0].message.split()), report)
