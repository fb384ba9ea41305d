"""report.html: one self-contained page that answers at a glance."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from nodescan.domain.naming import how_many
from nodescan.domain.report import Outcome, SlideReport, SlideResult
from nodescan.reports import page, sentences
from nodescan.reports.class_doubts import class_words
from nodescan.reports.first_look import look_first
from nodescan.reports.flag_list import flags, flags_without_effect
from nodescan.reports.legend import heat_gradient, legend
from nodescan.reports.palette import CLASS_COLOURS
from nodescan.reports.pictures import MOST_NUMBERED, Jpeg, SlidePictures, draw_close_up, draw_place
from nodescan.reports.places import LETTERS, counted_from, marked_places, places_from, score_words
from nodescan.reports.web_page import environment
from nodescan.reports.wording import settings_words, size_words, uncertainty_words
from nodescan.whole_files import text_bytes, write_beside

REPORT_HTML = "report.html"

_HATCHED = "; tissue that was not examined is hatched"


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture of the page. caption: empty where a heading says it."""

    picture: Jpeg
    alt: str
    caption: str = ""

    @property
    def uri(self) -> str:
        """The picture itself, as a data URI."""
        return "data:image/jpeg;base64," + base64.b64encode(self.picture.content).decode()


@dataclass(frozen=True, slots=True)
class CloseUp:
    """A deposit's picture, or a place's, and what stands below it."""

    figure: Figure
    badge: str
    tone: str
    title: str
    badges: tuple[str, ...]
    words: str


def write_html(result: SlideResult, folder: Path, *, pictures: SlidePictures | None = None) -> None:
    """Write report.html, for a slide of any status. pictures: of this result, where another writer shows them too."""
    write_beside(folder / REPORT_HTML, text_bytes(render(result, pictures)))


def render(result: SlideResult, pictures: SlidePictures | None = None) -> str:
    """The page as text: pictures inside, nothing loaded from anywhere."""
    report, pictures = result.report, pictures or SlidePictures(result)
    hatched = pictures.hatched()
    rows = page.rows(report)
    close_ups = (*_close_ups(result, rows), *_places(result))  # others begin with the overview
    template = environment().get_template("report.html")
    return template.render(
        slide_id=report.slide.slide_id,
        running=page.running_words(report),
        status=report.status.value,
        started=page.started_words(report),
        own_settings=settings_words(report.own_settings).capitalize(),
        tone=page.tone(report),
        colours={found.word: colour.css for found, colour in CLASS_COLOURS.items()},
        headline=class_words(report),
        answer=sentences.answer(report),
        doubt=sentences.doubt(report),
        facts=page.key_facts(report),
        marks=page.ruler_marks(report),
        look_first=(looked := look_first(report)),
        places_from=places_from(report) if any("(x " in said for said in looked) else "",
        how_sure=sentences.how_sure(report),
        flags=flags(report),
        minor_flags=flags_without_effect(report),
        overview=_overview(report, pictures.overview(), hatched=hatched),
        heatmap=_heatmap(pictures.heatmap(), hatched=hatched),
        from_smoothed=report.model is not None and bool(report.model.smoothing_um),
        heat_gradient=heat_gradient(),
        legend=legend(result, hatched=hatched),
        close_ups=close_ups,
        n_more_close_ups=max(0, report.n_foci - len(close_ups)),
        rows=rows,
        judged=not report.not_judged,
        uncertainty="" if report.not_judged else uncertainty_words(report.model),
        seen=report.outcome is Outcome.JUDGED,
        marked=f"{_marked(report)}s",
        unread=bool(report.unread_fraction),
        counted_from=counted_from(report),
        n_more_rows=max(0, report.n_foci - page.MOST_ROWS),
        quality=page.quality_facts(result),
        provenance=page.provenance_facts(report),
    )


def _overview(report: SlideReport, picture: Jpeg | None, *, hatched: bool) -> Figure | None:
    if picture is None:
        return None
    count, what = report.n_foci, _marked(report)
    nothing = f"no {what} outlined" if report.looked_at else "nothing of it examined"
    numbered = f", the {MOST_NUMBERED} largest numbered" if count > MOST_NUMBERED else " and numbered"
    marked = len(marked_places(report))
    nothing += f", {how_many(marked, 'likely place')} marked" if marked else ""
    found = f"{how_many(count, what)} outlined{numbered}" if count else nothing
    return Figure(picture, f"The whole slide at low magnification, {found}{_HATCHED if hatched else ''}", "Overview")


def _marked(report: SlideReport) -> str:
    """What outlines enclose: a deposit only where the network can judge the slide."""
    return "area" if report.not_judged else "deposit"


def _heatmap(picture: Image.Image | None, *, hatched: bool) -> Figure | None:
    if picture is None:
        return None
    shown = f"The network's tumour probability drawn over the slide{_HATCHED if hatched else ''}"
    return Figure(Jpeg.of(picture), shown, "Heat map")


def _close_ups(result: SlideResult, rows: Sequence[page.Row]) -> tuple[CloseUp, ...]:
    """The deposits that have a picture."""
    report = result.report
    close_ups = result.close_ups or {}
    return tuple(
        CloseUp(
            Figure(
                Jpeg.of(draw_close_up(deposit, close_ups[deposit.id], report)),
                f"Close-up of {_marked(report)} {deposit.id}, its greatest diameter of {size_words(deposit)} drawn in",
            ),
            str(row.id),
            row.tone,
            row.size,
            row.badges,
            row.class_words,
        )
        for deposit, row in zip(report.deposits, rows, strict=False)
        if deposit.id in close_ups
    )


def _places(result: SlideResult) -> tuple[CloseUp, ...]:
    """The marked places that have a picture."""
    seed = None if result.report.model is None else result.report.model.seed_threshold
    shown = zip(LETTERS, marked_places(result.report), result.place_close_ups, strict=False)
    return tuple(
        CloseUp(
            Figure(Jpeg.of(draw_place(picture)), f"Close-up of place {letter}, which lies in the middle"),
            letter,
            "",
            "Next likeliest place" if number else "Likeliest place",
            (),
            score_words(found, seed).capitalize(),
        )
        for number, (letter, found, picture) in enumerate(shown)
        if picture is not None
    )
