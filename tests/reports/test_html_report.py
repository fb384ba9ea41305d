"""report.html answers, escapes, and loads nothing."""

import re
import string
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nodescan.close_ups import MOST_CLOSE_UPS
from nodescan.domain.classification import Metastasis
from nodescan.domain.report import NOT_FOR_CLINICAL_USE, SlideResult
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Micrometers
from nodescan.reports import html_report
from nodescan.reports.html_report import render
from nodescan.reports.legend import legend
from nodescan.reports.page import provenance_facts, quality_facts, running_words
from nodescan.reports.web_page import Fact, css_string, unbroken
from nodescan.reports.wording import CLASS_RULES
from tests.reports.browser import needs_printing, sheets
from tests.reports.factory import FOLDER, MICRO, VARIANTS, failed, read_aloud, result

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """The tags of a page with their attributes, its text, and whether every tag is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text = f"{self.text} {data.strip()}".strip()


def _without_pictures(variant: str) -> SlideResult:
    """The page's words don't hang on pictures, and without them it is made at once."""
    return SlideResult(VARIANTS[variant]().report)


@pytest.fixture(scope="module")
def macro(macro_folder: Path) -> Page:
    return Page((macro_folder / "report.html").read_text())


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_way_a_slide_can_end_has_a_page(variant: str) -> None:
    """Well formed, in English, with the notice at top and bottom and the slide's name."""
    html = render(_without_pictures(variant))
    page = Page(html)
    assert dict(page.tags)["html"] == {"lang": "en"}
    assert page.text.count(NOT_FOR_CLINICAL_USE) == 2
    assert VARIANTS[variant]().report.slide.slide_id in page.text
    assert str(FOLDER) not in html


def test_the_page_answers_with_the_planted_numbers(macro: Page) -> None:
    """Class, size with uncertainty, foci, share examined, and what was not assessed."""
    for words in (
        "Macrometastasis",
        "2.62 ± 0.04 mm",
        "0.64 ± 0.02 mm",
        "Tissue examined 100 %",
        "not assessed",
        "in the sections examined",
        "0.25 x 0.2525 µm per pixel",
        "4be1" * 16,
    ):
        assert words in macro.text


def test_nothing_is_loaded_and_nothing_runs(macro: Page) -> None:
    """No script, no link, every picture inside, and a policy that would stop all else."""
    assert not {tag for tag, _ in macro.tags} & {"script", "link", "iframe", "object", "a", "form"}
    pictures = [attributes for tag, attributes in macro.tags if tag == "img"]
    assert len(pictures) == 5
    assert all(picture["src"].startswith("data:image/jpeg;base64,") for picture in pictures)
    assert all(picture["alt"] for picture in pictures)
    policies = [a["content"] for tag, a in macro.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies[0].startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")


def test_the_style_reaches_for_nothing_outside(macro_folder: Path) -> None:
    """No address of the network and no import stands anywhere in the page."""
    html = re.sub(r"data:image/jpeg;base64,[^\"]+", "", (macro_folder / "report.html").read_text())
    assert not re.search(r"https?:|//|@import|url\(", html)


def test_the_warning_beside_the_headline_wraps_on_a_phone() -> None:
    """In one line, "borderline: isolated tumour cells or micrometastasis" is wider than 390 px and was cut off."""
    text = render(VARIANTS["borderline"]())
    (rule,) = re.findall(r"^\.pill \{(.*)\}", text, re.MULTILINE)
    assert 'class="pill">borderline: ' in text
    assert "nowrap" not in rule


@needs_printing
@pytest.mark.parametrize("variant", ["macro", "hostile"])
def test_every_printed_page_names_the_slide_and_is_not_for_clinical_use(variant: str, tmp_path: Path) -> None:
    """A sheet that is parted from the first still says whose it is; a hostile name is text there, too."""
    made = VARIANTS[variant]()
    (tmp_path / "page.html").write_text(render(made), encoding="utf-8")
    pages = sheets(tmp_path / "page.html")
    assert len(pages) > 1
    for number, page in enumerate(pages, 1):
        first = page.lstrip("\n").partition("\n")[0]
        assert first.split("  ")[0] == running_words(made.report)
        assert first.endswith(f"{number} of {len(pages)}")
        assert page.rstrip().endswith(NOT_FOR_CLINICAL_USE)


def test_each_sheet_of_a_slides_page_names_scan_and_file() -> None:
    """Printed pages of two scans, or of two files of one name, are told apart from the second sheet on."""
    report = result((MICRO,)).report
    assert report.provenance is not None
    said = str(css_string("patient-012-node-3 \u00b7 scanned 2025-03-14 09:26 UTC, file 51de51de51de"))
    assert f"@top-left {{ content: {said}; }}" in render(result((MICRO,)))
    unknown = replace(report, provenance=replace(report.provenance, slide_fingerprint=""))
    assert running_words(unknown) == "patient-012-node-3 \u00b7 scanned 2025-03-14 09:26 UTC"
    assert running_words(failed().report) == "patient-012-node-3"


def test_the_page_of_a_renamed_slide_does_not_name_its_file() -> None:
    """A manifest's slide_id may stand for a patient's name."""
    report = result((MICRO,)).report
    slide = SlideRef("P1-1", Path("/archive/Ada Doe.svs"), renamed=True)
    assert provenance_facts(replace(report, slide=slide))[0] == Fact("Slide", "P1-1")
    named = replace(report, slide=replace(slide, renamed=False))
    assert provenance_facts(named)[0] == Fact("Slide", "P1-1", "Ada Doe.svs")


def test_a_slides_page_says_that_settings_are_a_users_own() -> None:
    """Beside its status and under Provenance, and only where they aren't the released ones."""
    made = result((MICRO,))
    assert made.report.provenance is not None
    own = replace(made.report, provenance=replace(made.report.provenance, config_sha256="c0ff" * 16))
    said, released = render(replace(made, report=own)), render(made)
    assert "<li>Own settings (c0ffc0ff)</li>" in said.partition("</header>")[0]
    assert f"{'c0ff' * 16}<small>own settings, not the released ones</small>" in said
    assert "wn settings" not in released
    assert "not the released" not in released


def test_a_slides_page_names_the_models_card() -> None:
    """Thresholds stand on the card, so weights alone don't say by what a slide was judged."""
    report = result((MICRO,)).report
    assert report.model is not None
    named = replace(report, model=replace(report.model, card_sha256="ca2d" * 16))
    assert Fact("Card sha256", "ca2d" * 16) in provenance_facts(named)
    assert not any(fact.label == "Card sha256" for fact in provenance_facts(report))


@given(st.text())
def test_a_string_of_the_style_sheet_holds_whatever_it_is_given(text: str) -> None:
    """Nothing ends the string, the style or the page, and read as CSS reads it, it is the text."""
    said = str(css_string(text))
    assert not set(said[1:-1]) - set(string.ascii_letters + string.digits + "\\ ")
    read = re.sub(r"\\([0-9a-f]{1,6}) ", lambda number: chr(int(number[1], 16)), said[1:-1])
    assert read == text


def test_strings_of_strangers_stay_text() -> None:
    """A slide named like a script, a flag that closes quotes and tags: shown, never obeyed."""
    html = render(_without_pictures("hostile"))
    page = Page(html)
    assert "<script" not in html
    assert not any(tag in ("img", "script", "b") and "onerror" in attributes for tag, attributes in page.tags)
    assert "<script>alert(1)</script>" in page.text
    assert "\"><img src=x onerror=alert(2)> & '</style>" in page.text


def test_a_failed_slide_says_why_and_what_to_do() -> None:
    """Its reason and remedy, no class, no "0 foci", and the picture where there is one."""
    page = Page(render(VARIANTS["failed_thumbnail"]()))
    assert "Not read" in page.text
    assert "scan-7731.svs: the file ends early; copy it again from the scanner, then run again." in page.text
    assert not re.search(r"Negative|Deposits|No tumour", page.text)
    assert sum(tag == "img" for tag, _ in page.tags) == 1


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "negative"])
def test_only_a_negative_slide_is_called_negative(variant: str) -> None:
    """The word stands on no other page, save to deny it."""
    text = Page(render(_without_pictures(variant))).text.replace("This is not a negative result.", "")
    assert not re.search(r"negative|no tumour found", text, flags=re.IGNORECASE)


def test_a_slide_without_a_class_shows_no_size_on_the_scale_of_classes() -> None:
    """What the network marked is told, but not placed between the limits, classed or called a deposit."""
    html = render(VARIANTS["not_he"]())
    assert "0.64 ± 0.02 mm" in html
    assert "Score" not in html
    assert 'class="ruler"' not in html
    text = Page(html).text
    assert text.count("Areas the network marked") == 2
    assert not re.search(r"Micrometastasis|Isolated|borderline|All deposits|Deposits close up", text)


def test_many_foci_show_the_largest_and_count_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """30 close-ups of 45, and the page says that 15 more have none."""
    many = VARIANTS["many"]()
    monkeypatch.setattr(html_report, "draw_close_up", lambda *_: Image.new("RGB", (8, 8)))
    close_ups = {number: crop for number, crop in (many.close_ups or {}).items() if number <= MOST_CLOSE_UPS}
    page = Page(render(SlideResult(many.report, close_ups=close_ups)))
    assert sum(tag == "img" for tag, _ in page.tags) == MOST_CLOSE_UPS
    assert "15 more deposits have no close-up here. All" in page.text
    one_less = {number: crop for number, crop in (many.close_ups or {}).items() if number > 1}
    unread = replace(many.report, unread_fraction=0.01)
    text = Page(render(SlideResult(unread, close_ups=one_less))).text
    assert "1 more deposit has no close-up here: smaller, or could not be read. All" in text
    assert sum(tag == "tr" for tag, _ in page.tags) == 46


def test_likeliest_places_of_a_slide_without_deposits_are_shown_close_up() -> None:
    """Each with its letter and score, but for one that can't be read; beside deposits, or unjudged, none is."""
    picture = next(iter((VARIANTS["macro"]().close_ups or {}).values()))
    for variant, shown in (("negative", True), ("incomplete_nothing", True), ("itc", False), ("not_he", False)):
        html = render(SlideResult(VARIANTS[variant]().report, place_close_ups=(None, picture)))
        text = " ".join(Page(html).text.split())
        assert ("Likeliest places close up b Next likeliest place Score 0.06" in text) is shown
        assert ('alt="Close-up of place b, which lies in the middle"' in html) is shown
        assert "close up a" not in text


def test_more_deposits_than_rows_are_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """201 foci, with close-ups or without: a heavily seeded section is no failure."""
    many = VARIANTS["many"]()
    deposits = tuple(replace(many.report.deposits[0], id=number) for number in range(1, 202))
    report = replace(many.report, deposits=deposits)
    monkeypatch.setattr(html_report, "draw_close_up", lambda *_: Image.new("RGB", (8, 8)))
    for close_ups in (None, many.close_ups):
        page = Page(render(SlideResult(report, close_ups=close_ups)))
        assert sum(tag == "tr" for tag, _ in page.tags) == 201


@pytest.mark.parametrize(("count", "said"), [(25, " and numbered"), (26, ", the 25 largest numbered")])
def test_how_many_deposits_are_numbered_is_said(count: int, said: str) -> None:
    """To a screen reader, and in the legend where some outlines have no number."""
    many = VARIANTS["many"]()
    shown = replace(many, report=replace(many.report, deposits=many.report.deposits[:count]), close_ups=None)
    html = render(shown)
    assert f'alt="The whole slide at low magnification, {count} deposits outlined{said}"' in html
    assert ("Numbered: the 25 largest of 26" in Page(html).text) is (count == 26)


@pytest.mark.parametrize(("count", "said"), [(200, "all"), (201, "the 200 largest")])
def test_whose_sizes_the_ruler_shows_is_said(count: int, said: str) -> None:
    """It has a mark for each row of the table."""
    first = VARIANTS["many"]().report
    deposits = tuple(replace(first.deposits[0], id=number) for number in range(1, count + 1))
    html = render(SlideResult(replace(first, deposits=deposits)))
    assert f'aria-label="Sizes of {said} deposits on a scale' in html
    assert html.count('class="mark') == 200


def test_tables_have_headers_that_can_be_read_aloud(macro: Page) -> None:
    """Every header cell names its row or column."""
    headers = [attributes for tag, attributes in macro.tags if tag == "th"]
    assert len(headers) == 6 + 3
    assert all(header.get("scope") in ("col", "row") for header in headers)


def test_options_and_sizes_in_a_sentence_are_kept_whole_and_all_else_is_text() -> None:
    """A line of the page ended behind the first hyphen of --mpp, and between a size and its unit."""
    whole = '<span class="unbroken">{}</span>'.format
    said = str(unbroken("give --mpp UM --override-mpp; <b>--x-ray, an x--ray, well-kept"))
    assert (
        said == f"give {whole('--mpp')} UM {whole('--override-mpp')}; &lt;b&gt;{whole('--x-ray')}, an x--ray, well-kept"
    )
    said = str(unbroken("no. 2 (0.89 ± 0.07 mm), 2.9 % of 12.7 mm² is <1 mm; v1.5 mm, 3 mmol, 4.0.1"))
    sizes = f"no. 2 ({whole('0.89 ± 0.07 mm')}), {whole('2.9 %')} of {whole('12.7 mm²')} is &lt;{whole('1 mm')}; "
    assert said == f"{sizes}v1.5 mm, 3 mmol, 4.0.1"
    assert str(unbroken("5.5 mm2, mm2_a, 0.5 um/px, a um")) == f"{whole('5.5 mm²')}, mm2_a, 0.5 µm/px, a um"


@pytest.mark.parametrize("variant", ["negative", "macro", "itc", "incomplete_micro"])
def test_the_answer_is_said_once(variant: str) -> None:
    """The rule of the class and the slide's score stand in one place, and one focus or none is not added up."""
    page = Page(read_aloud(render(_without_pictures(variant))))
    rule = CLASS_RULES[VARIANTS[variant]().report.metastasis or Metastasis.NONE]
    assert page.text.partition("How sure")[0].count(rule) == (variant != "negative")
    assert page.text.count("Slide's score") == 1
    assert ("sizes are not added up" in page.text) is (VARIANTS[variant]().report.n_foci > 1)


def test_the_dot_of_a_size_hides_no_narrow_interval() -> None:
    """The interval is drawn after it."""
    html = render(_without_pictures("macro"))
    assert html.index('class="mark largest"') < html.index('class="interval"')


def test_what_was_left_out_has_a_number_only_where_it_is_no_speck() -> None:
    """From 0.01 mm2 on; the legend names it all the same."""
    whole = VARIANTS["negative"]()
    assert whole.tissue is not None
    speck = np.zeros_like(whole.tissue.tissue)
    speck[0, :9] = True  # 0.0092 mm2
    for mask, told in ((speck, False), (np.roll(speck, 1) | speck, True)):
        shown = replace(whole, tissue=replace(whole.tissue, excluded=(("small", mask),)))
        assert ("Left out: specks" in [fact.label for fact in quality_facts(shown)]) is told
        assert "Left out: specks" in [line.words for line in legend(shown, hatched=False)]


@pytest.mark.parametrize(("variant", "hatched"), [("incomplete_micro", True), ("macro", False), ("no_tissue", False)])
def test_hatching_is_named_only_where_there_is_some(variant: str, hatched: bool) -> None:
    """In the legend, and to who can't see the pictures: a slide examined whole has nothing "not examined"."""
    page = Page(render(VARIANTS[variant]()))
    told = [attributes["alt"].endswith("is hatched") for tag, attributes in page.tags if tag == "img"]
    assert set(told[:2]) == {hatched}  # of overview and heat map; glass has no heat map
    assert ("Tissue not examined" in page.text) is hatched


def test_provenance_has_no_empty_row() -> None:
    """A file that couldn't be opened has no fingerprint; of another the page says how a correction names it."""
    made = _without_pictures("macro")
    unknown = replace(made.report, provenance=replace(made.report.provenance, slide_fingerprint=""))
    assert "Slide fingerprint" not in render(SlideResult(unknown))
    assert "file 51de51de51de in a table of corrections" in Page(render(made)).text


def test_centres_are_those_that_corrections_take() -> None:
    """A file with a scanned part inside the canvas has its begin beside them: pictures and QuPath count from there."""
    made = _without_pictures("macro")
    text = Page(render(made)).text
    assert "Centre x, y (µm)" in text
    assert "5200, 4300" in text
    assert "corrections and report.json. The overview and QuPath show only the scanned part, which begins at " in text
    assert "begins at 500, 252 µm." in text
    bounds = replace(made.report.info.bounds_um, left=Micrometers(0.0), top=Micrometers(0.0))
    whole = replace(made.report, info=replace(made.report.info, bounds_um=bounds))
    text = Page(render(SlideResult(whole))).text
    assert "Centres count from the top left of the whole slide image, as in corrections and report.json." in text
    assert "scanned part" not in text
