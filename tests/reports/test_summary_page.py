"""summary.html counts, names what failed, links, escapes, and sorts."""

import base64
import hashlib
import html
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodescan import __version__
from nodescan.domain.class_bounds import class_word
from nodescan.domain.classification import Metastasis
from nodescan.domain.flags import Flag
from nodescan.domain.report import NOT_FOR_CLINICAL_USE, SlideReport
from nodescan.domain.units import Micrometers
from nodescan.domain.versions import VERSION_WORDS
from nodescan.reports.class_doubts import class_words
from nodescan.reports.html_report import render as html_page
from nodescan.reports.json_report import report_as_json
from nodescan.reports.sentences import doubt
from nodescan.reports.summary_page import (
    MOST_NAMES,
    SUMMARY_HTML,
    RunFacts,
    classes,
    outcomes,
    render,
    write_summary_page,
)
from tests.reports.browser import dom, needs_browser, needs_printing, sheets
from tests.reports.factory import FOLDER, MICRO, RUN, VARIANTS, result
from tests.reports.test_html_report import Page

KINDS = ("macro", "itc", "negative", "incomplete_micro", "incomplete_nothing", "unmeasurable", "failed")


def report(variant: str, slide_id: str = "") -> SlideReport:
    made = VARIANTS[variant]().report
    return replace(made, slide=replace(made.slide, slide_id=slide_id or variant))


def reports() -> list[SlideReport]:
    return [report(kind) for kind in KINDS]


def test_counts_follow_the_reports() -> None:
    """Every slide is counted once by how far it got, and once by its class; no class is not negative."""
    assert {fact.label: fact.value for fact in outcomes(reports())} == {
        "Complete": "3",
        "Incomplete": "2",
        "Unmeasurable": "1",
        "Failed": "1",
    }
    counted = dict(classes(reports()))
    assert {tone: fact.value for tone, fact in counted.items()} == {
        "negative": "1",
        "itc": "1",
        "micro": "1",
        "macro": "1",
        "none": "3",
    }
    assert counted["micro"].note.endswith("1 of them “at least”")


@pytest.mark.parametrize(
    ("variant", "measured", "told"), [("macro", False, True), ("macro", True, False), ("negative", False, False)]
)
def test_the_index_says_where_uncertainties_were_not_measured(variant: str, measured: bool, told: bool) -> None:
    """Of sizes alone: a run without a deposit states none."""
    one = report(variant)
    page = render([replace(one, model=replace(one.model, uncertainty_measured=measured))], FOLDER, asked=1, run=RUN)
    assert ("of compact deposits, but that was not measured for this model." in html.unescape(page)) is told


def test_the_index_says_when_and_by_what_it_was_made(tmp_path: Path) -> None:
    """The run's time, version and model; of reports that it kept the version, where that is another one."""

    def made_by(version: str, slide_id: str) -> SlideReport:
        made = report("macro", slide_id)
        return replace(made, provenance=replace(made.provenance, versions={"nodescan": version}))

    def head(run: RunFacts, *reports: SlideReport) -> list[str]:
        text = render(reports, tmp_path, asked=len(reports), run=run)
        return re.findall(r"<li>(.*?)</li>", text[text.index('<ul class="meta">') : text.index("</header>")])[1:-1]

    ran = f"Run of 2026-03-01 09:05 UTC by nodescan {VERSION_WORDS}"
    model = f"Model pcam (weights {'ab' * 6}, card {'cd' * 6})"
    own, failed = made_by(__version__, "a"), report("failed", "c")
    assert head(RUN, own, failed) == [ran, model]
    assert head(replace(RUN, kept=frozenset("a")), own, failed) == [ran, "1 report kept from earlier runs", model]
    assert head(replace(RUN, own_settings="c0ff" * 16), own, failed) == [ran, model, "Own settings (c0ffc0ff)"]
    kept = head(replace(RUN, kept=frozenset("ab")), own, made_by("0.0.9", "b"), failed)
    assert kept == [ran, f"2 reports kept from earlier runs (1 by {__version__}, 1 by 0.0.9)", model]


@pytest.mark.parametrize(
    ("variants", "not_run", "worst"),
    [
        (("macro", "negative"), 0, "complete"),
        (("negative",), 1, "incomplete"),
        (("incomplete_nothing", "negative"), 0, "incomplete"),
        (("unmeasurable", "incomplete_nothing"), 1, "unmeasurable"),
        (("failed", "unmeasurable", "negative"), 0, "failed"),
        ((), 0, "complete"),
    ],
)
def test_the_first_card_has_the_tone_of_the_worst(
    tmp_path: Path, variants: tuple[str, ...], not_run: int, worst: str
) -> None:
    """It is green only where every slide that was asked for is complete."""
    text = render([VARIANTS[name]().report for name in variants], tmp_path, asked=len(variants) + not_run, run=RUN)
    assert f'class="card answer summary {worst}"' in text
    assert (f".summary.{worst}" in text) is (worst != "complete")


def test_nothing_is_at_least_the_highest_class(tmp_path: Path) -> None:
    """A macrometastasis on a slide read in part stays one: in the table, in the counts and on the terminal."""
    part = result((replace(MICRO, id=1, diameter_um=Micrometers(2640.0), metastasis=Metastasis.MACRO),), unread=True)
    assert part.report.at_least
    assert (class_words(part.report), class_word(part.report)) == ("Macrometastasis", "macro")
    assert "at least" not in dict(classes([part.report]))["macro"].note
    assert "<em>at least</em>" not in render([part.report], tmp_path, asked=1, run=RUN)
    assert report_as_json(part.report)["at_least"] is True


def test_what_a_class_hangs_on_stands_beside_it(tmp_path: Path) -> None:
    """In a slide's row as on its page: a size near a limit, a pixel size in doubt."""
    near = report("borderline")
    doubted = replace(near, flags=(*near.flags, Flag("nuclei_out_of_scale", "Cell nuclei look 0.5 times.")))
    (row,) = re.findall(r'<td role="cell" class="class [^>]*>(.*?)<!--', render([doubted], tmp_path, asked=1, run=RUN))
    said = "borderline: micrometastasis or macrometastasis; pixel size in doubt"
    assert row == f"Macrometastasis<small>{said}</small>"
    assert doubt(doubted) == said
    sure = render([report("macro"), report("negative"), report("failed")], tmp_path, asked=3, run=RUN)
    assert not re.search(r'<td role="cell" class="class [^>]*>[^/]*<small>', sure)


def test_what_stands_under_the_class_stands_nowhere_else_in_the_row(tmp_path: Path) -> None:
    """Neither as a flag, nor, of what negative slides do not exclude, with more than the size: the note says it."""
    near, negative = report("borderline"), report("negative")
    negative = replace(negative, model=replace(negative.model, found_from_um=550.0))
    text = render([near, negative, negative], tmp_path, asked=3, run=RUN)
    assert "borderline" in text.partition('id="all"')[2]
    assert re.findall(r'data-label="Flags"[^>]*>([^<]*)<', text) == ["Cell count not assessed", "", ""]
    assert len(re.findall("<small>&lt; .*?0.55 mm.*? not excluded</small>", text)) == 2
    assert Page(text).text.count("are not excluded: this model misses some of them on synthetic slides.") == 1
    assert "Negative slides" not in render([near], tmp_path, asked=1, run=RUN)


def test_every_slide_has_a_row_and_what_failed_comes_first(tmp_path: Path) -> None:
    """With the notice on top and below, the reason in words, and no folder of the slides."""
    text = render(reports(), tmp_path, asked=9, run=RUN)
    page = Page(text)
    assert page.text.count(NOT_FOR_CLINICAL_USE) == 2
    assert "3 of 9 slides complete" in page.text
    assert "2 not run" in page.text
    assert "the same command without --force continues it" in page.text
    assert "not all examined" in page.text
    assert text.count('<tr role="row">') == len(KINDS) + 1
    assert text.count('<th scope="row" role="rowheader"') == len(KINDS)
    assert page.text.index("the file ends early") < page.text.index("All slides")
    assert "2.62 ± 0.04 mm" in page.text
    assert re.search(r"<em>at least</em>\s+Micrometastasis", text)
    assert str(FOLDER) not in text


def test_paper_is_no_phone(tmp_path: Path) -> None:
    """An A4 sheet is as narrow as a phone's layout begins: printed, the table stays one, its head on every sheet."""
    for text in (render(reports(), tmp_path, asked=9, run=RUN), html_page(VARIANTS["macro"]())):
        narrow = re.findall(r"@media ([^{]*max-width[^{]*)", text)
        assert narrow
        assert all(query.startswith("screen and ") for query in narrow)
        assert "thead { display: table-header-group; }" in text


@needs_printing
def test_a_printed_index_names_its_run_on_every_sheet_and_holds_no_pictures(tmp_path: Path) -> None:
    """Each small picture would be the whole overview in the file that is printed: 90 MB of 300 slides."""
    several = [report("macro", f"slide {number}") for number in range(60)]
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)
    for one in several:
        folder = tmp_path / one.slide.slide_id
        folder.mkdir()
        Image.fromarray(noise).save(folder / "overview.jpg", quality=95)
        (folder / "report.json").write_bytes(b"")
    write_summary_page(several, tmp_path, asked=60, run=RUN)
    page, pictures = tmp_path / SUMMARY_HTML, list(tmp_path.glob("*/overview.jpg"))
    assert page.read_text().count("/overview.jpg") == len(pictures) == 60
    printed = sheets(page)
    assert len(printed) > 1
    assert all(sheet.lstrip().startswith("Summary. Run of 2026-03-01 09:05 UTC") for sheet in printed)
    assert page.with_suffix(".pdf").stat().st_size < sum(one.stat().st_size for one in pictures) / 10


def test_a_slide_that_was_not_judged_shows_neither_size_nor_foci(tmp_path: Path) -> None:
    """Not 0 foci, nor a size: what the network says of another stain is no finding."""
    nothing = replace(report("not_he", "brown"), deposits=())
    page = Page(render([nothing, report("not_he")], tmp_path, asked=2, run=RUN))
    assert page.text.count("not judged") == 4
    assert "not all examined or judged" in page.text
    assert "0.64" not in page.text


@pytest.mark.parametrize(
    ("score", "seed", "cell"),
    [
        (0.871, 0.875, "0.871<small>below 0.875</small>"),
        (0.87499, 0.875, "0.874<small>below 0.875</small>"),
        (0.875, 0.875, "0.875"),
        (0.871, None, "0.871"),
        (None, 0.875, ""),
    ],
)
def test_a_slides_score_stands_beside_what_a_deposit_needs(
    tmp_path: Path, score: float | None, seed: float | None, cell: str
) -> None:
    """A missed micrometastasis may be a place just below; no score reads as high as the threshold that it is below."""
    one = report("negative")
    one = replace(one, tumour_probability=score, model=replace(one.model, seed_threshold=seed))
    (found,) = re.findall(
        r'<td role="cell" class="number" data-label="Score"(.*?)</td>', render([one], tmp_path, asked=1, run=RUN)
    )
    assert found == f' data-sort="{"" if score is None else score}">{cell}'


def test_links_lead_to_what_is_there_and_nowhere_else(tmp_path: Path) -> None:
    """Nor to what an earlier run left of a slide whose new report couldn't be written; odd characters are quoted."""
    odd = 'a #1 "b"%?&<x>: ü'
    (tmp_path / odd).mkdir()
    (tmp_path / "old").mkdir()
    for name in ("report.html", "overview.jpg"):
        (tmp_path / odd / name).write_bytes(b"")
        (tmp_path / "old" / name).write_bytes(b"of an earlier run: without a report.json")
    (tmp_path / odd / "report.json").write_bytes(b"")
    write_summary_page(
        [report("macro", odd), report("itc", "bare"), report("failed", "old")], tmp_path, asked=3, run=RUN
    )
    text = (tmp_path / SUMMARY_HTML).read_text(encoding="utf-8")
    tags = Page(text).tags
    targets = [attributes.get("href") or attributes.get("src") for tag, attributes in tags if tag in ("a", "img")]
    folder = "./a%20%231%20%22b%22%25%3F%26%3Cx%3E%3A%20%C3%BC"
    assert targets == ["./summary.csv", "#all", f"{folder}/overview.jpg", f"{folder}/report.html"]
    assert "<b>bare</b>" in text
    assert "<b>old</b>" in text


def test_nothing_that_a_slide_says_is_markup(tmp_path: Path) -> None:
    """Names, reasons and patients are text, also inside attributes; one script stands in the page, and it is ours."""
    bad = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    made = report("failed", bad)
    made = replace(made, flags=(Flag(bad, bad),), slide=replace(made.slide, patient_id=bad, node_id=bad))
    text = render([made], tmp_path, asked=1, run=RUN)
    page = Page(text.replace(re.findall(r"<script>.*?</script>", text, re.DOTALL)[-1], ""))
    assert not [tag for tag, _ in page.tags if tag in ("script", "img")]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert html.escape(bad, quote=False).split('"')[0] in text


def test_only_this_pages_script_may_run_and_nothing_is_fetched(tmp_path: Path) -> None:
    """The policy holds the script's own hash."""
    text = render(reports(), tmp_path, asked=7, run=RUN)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|@import|url\(", text)


def test_a_reason_that_meets_many_slides_is_said_once(tmp_path: Path) -> None:
    """A network share that went away fails them all alike."""
    many = [report("failed", f"s{index:03}") for index in range(MOST_NAMES + 7)]
    text = Page(render([*many, report("unmeasurable")], tmp_path, asked=len(many) + 1, run=RUN)).text
    above = text[: text.index("All slides")]
    assert above.count("the file ends early") == 1
    assert "and 7 more" in above
    assert "the same command without --force tries only these slides again" in above


def test_arrows_that_say_a_table_can_be_sorted_are_seen(tmp_path: Path) -> None:
    """WCAG 2.2 asks for a contrast of 3 of what a button is known by."""
    style = render(reports(), tmp_path, asked=7, run=RUN)
    (named,) = re.findall(r"button::after \{ content: \"\\2195\";.* color: var\((--\w+)\)", style)
    (colour,) = re.findall(rf"{named}: #(\w{{6}})", style)
    linear = [(value / 255 + 0.055) ** 2.4 / 1.055**2.4 for value in bytes.fromhex(colour)]
    assert 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05) > 3


def test_a_run_without_a_single_report_has_a_page(tmp_path: Path) -> None:
    """It was stopped at once; nothing is there to sort, so nothing runs."""
    text = render([], tmp_path, asked=3, run=RUN)
    assert "3 not run" in text
    assert "<script>" not in text


@needs_browser
def test_score_and_then_class_twice_puts_the_likeliest_negative_first_of_all_with_a_class(tmp_path: Path) -> None:
    """Slides that are equal in one column keep the order of the one that was sorted by before."""
    negative = [
        replace(report("negative", name), tumour_probability=score)
        for name, score in zip("abc", (0.2, 0.9, 0.5), strict=True)
    ]
    text = render([report("macro"), *negative, report("failed")], tmp_path, asked=5, run=RUN)
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    probe = """<script>
    var named = {};
    document.querySelectorAll("#slides thead button").forEach(function (one) { named[one.textContent.trim()] = one; });
    ["Score", "Class", "Class"].forEach(function (name) { named[name].click(); });
    document.title = [].map.call(document.querySelectorAll("#slides tbody .slide"),
      function (cell) { return cell.getAttribute("data-sort"); }).join(",");
    </script>"""
    (tmp_path / "page.html").write_text(text.replace("</body>", f"{probe}</body>"), encoding="utf-8")
    assert "<title>failed,b,c,a,macro</title>" in dom(tmp_path / "page.html")


@needs_browser
def test_a_click_sorts_and_another_turns_it_round(tmp_path: Path) -> None:
    """Numbers from the largest, slides without one last either way, equals in their order; aria-sort says it."""
    text = render(reports(), tmp_path, asked=7, run=RUN)
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    probe = """<script>
    var said = [], head = document.querySelectorAll("#slides thead th")[3], button = head.querySelector("button");
    for (var turn = 0; turn < 2; turn++) {
      button.click();
      said.push(head.getAttribute("aria-sort") + "=" + [].map.call(document.querySelectorAll("#slides tbody .slide"),
        function (cell) { return cell.getAttribute("data-sort"); }).join(","));
    }
    document.title = said.join(" ") + " " + document.querySelectorAll("#slides thead button").length;
    </script>"""
    (tmp_path / "page.html").write_text(text.replace("</body>", f"{probe}</body>"), encoding="utf-8")
    title = re.search(r"<title>(.*?)</title>", dom(tmp_path / "page.html"))
    without = "negative,incomplete_nothing,unmeasurable,failed"
    down, up, buttons = title[1].split(" ")
    assert down == f"descending=macro,incomplete_micro,itc,{without}"
    assert up == f"ascending=itc,incomplete_micro,macro,{without}"
    assert buttons == "7"
