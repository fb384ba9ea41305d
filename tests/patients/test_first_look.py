"""“Look here first” names each slide of a patient once, with one reason in full, and loses no note."""

import html
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.flags import DOUBTS, Flag
from nodescan.domain.report import SlideReport, Status
from nodescan.patients.patient_files import write_staging
from nodescan.reports.html_report import REPORT_HTML
from nodescan.reports.wording import flag_title
from tests.patients.made_reports import report, scanned, staged_by, write_run
from tests.reports.factory import read_aloud

HEAD = "slide_id,patient_id,node_id,nodes_on_slide"
WHERE = "3.00 mm from the left, 3.00 mm from the top of the slide image."
NEAR = Flag("borderline", "The size is near a limit.")
INK = Flag("tissue_meets_ink", "Tissue runs into pen marks.")
FAULT = Flag("scan_fault", "Colours lie 1.9 um apart.")
UNREAD = Flag("out_of_focus", "10 % of the tissue is out of focus.")
SCALE = Flag("nuclei_out_of_scale", "Nuclei look 0.5 times as large.")
CUT = Flag("deposit_cut_off", "Deposit 1 is cut off.")


def page_of(
    folder: Path, reports: Sequence[SlideReport], *rows: str, review: Sequence[str] = (), pages: str = ""
) -> str:
    """The page of the first patient. pages: slides that have a page of their own, a letter each."""
    run = write_run(folder / "run", reports)
    for slide_id in pages:
        (run / slide_id / REPORT_HTML).touch()
    return read_aloud(write_staging(staged_by(run, HEAD, *rows, review=review), run)[0].read_text(encoding="utf-8"))


def box(page: str) -> list[str]:
    """What stands under “Look here first”, each item as text."""
    inside = page.partition("Look here first")[2].partition("</ol>")[0]
    return [html.unescape(re.sub("<.*?>", "", item)) for item in re.findall(r"<li>(.*)</li>", inside)]


def notes(page: str) -> list[str]:
    """The list of notes below, each with its title."""
    inside = page.partition('<h2 id="notes">')[2].partition("</section>")[0]
    return [html.unescape(re.sub("<.*?>", "", item)) for item in re.findall(r"<li>(.*)</li>", inside)]


def test_a_slide_is_named_once_with_its_place_one_reason_and_the_titles_of_the_others(tmp_path: Path) -> None:
    """The most important reason by the order of the notes, whichever order the slide's flags have."""
    page = page_of(tmp_path, [report("a", (900.0,), flags=(INK, NEAR, FAULT))], "a,A,1,1")
    assert box(page) == [
        f"Node 1, slide a, deposit 1 (0.900 ± 0.004 mm): {WHERE} Colours lie 1.9 um apart. "
        "Also: Borderline, Tissue meets ink."
    ]


def test_what_the_stage_rests_on_stands_first_then_the_notes_in_their_order(tmp_path: Path) -> None:
    """A slide of which a note is told stands where its most important note does; notes of no slide stand alone."""
    reports = [
        report("a", (900.0,), flags=(INK,)),
        report("b", (2600.0,)),
        report("c", flags=(INK, FAULT)),
        report("d", flags=(UNREAD,), status=Status.INCOMPLETE),
    ]
    page = page_of(tmp_path, reports, "a,A,1,1", "b,A,2,1", "c,A,3,2", "d,A,4,1")
    assert [item.partition(" (")[0] for item in box(page)[:2]] == [
        "Node 2, slide b, deposit 1",
        "Node 1, slide a, deposit 1",
    ]
    assert box(page)[1].endswith(f"{WHERE} Tissue runs into pen marks.")
    assert [item.partition(".")[0] for item in box(page)[2:]] == [
        "Node 4, slide d: 10 % of the tissue was not examined (out of focus 10 %)",
        "Node 3, slide c: Colours lie 1",
    ]
    assert box(page)[3].endswith("Also: Tissue meets ink.")


def test_a_slide_that_needs_a_size_says_that_first(tmp_path: Path) -> None:
    """Its other notes stand by title, as a second report of its file does, which is told beside its name."""
    reports = [replace(report(name), provenance=scanned("f")) for name in "st"]
    page = page_of(tmp_path, reports, "t,A,1,1", review=["t,,,,read,micro,Dr A"])
    (item,) = box(page)
    assert item.startswith("Node 1, slide t, micrometastasis. Dr A read it as micro without a size. Measure its")
    assert item.endswith("found the deposit. Also: Same file unlisted.")
    assert [note for note in notes(page) if note.startswith("Same file unlisted Node 1, slide t: the folder also")]


def test_a_slide_in_the_box_leads_to_its_page_where_there_is_one(tmp_path: Path) -> None:
    reports = [report("a", (900.0,)), report("b", (900.0,))]
    page = page_of(tmp_path, reports, "a,A,1,1", "b,A,2,1", pages="a").partition('id="nodes"')[0]
    assert '<li>Node 1, slide <a href="../a/report.html">a</a>, deposit 1 (' in page
    assert "<li>Node 2, slide b, deposit 1 (" in page


@pytest.mark.parametrize("pages", ["", "a"])
def test_a_note_told_by_title_stands_in_full_below_unless_the_slides_page_tells_it(tmp_path: Path, pages: str) -> None:
    page = page_of(tmp_path, [report("a", (900.0,), flags=(NEAR, FAULT, INK))], "a,A,1,1", pages=pages)
    told = [note for note in notes(page) if "slide a" in note]
    full = [
        "Borderline Node 1, slide a: The size is near a limit.",
        "Tissue meets ink Node 1, slide a: Tissue runs into pen marks.",
    ]
    assert told == ([] if pages else full)


def test_a_note_that_a_review_words_anew_stands_in_full_below(tmp_path: Path) -> None:
    """The slide's page is as before the review."""
    made = report("a", (900.0, 300.0), flags=(CUT, FAULT))
    made = replace(made, at_least=True, deposits=(replace(made.deposits[0], cut_off=True), made.deposits[1]))
    page = page_of(tmp_path, [made], "a,A,1,1", review=["a,2,,,reject,,Dr A"], pages="a")
    assert box(page)[0].endswith("1.9 um apart. Also: Deposit cut off.")
    assert "Deposit cut off Node 1, slide a: As found, before the review: Deposit 1 is cut off." in notes(page)


def test_a_page_of_a_slide_that_was_not_judged_tells_no_doubt_in_full(tmp_path: Path) -> None:
    """Nor does one of a slide of which nothing was read: it has the reason alone."""
    flags = (Flag("not_he", "It is not H&E."), SCALE)
    page = page_of(tmp_path, [report("a", status=Status.INCOMPLETE, flags=flags)], "a,A,1,1", pages="a")
    assert box(page)[0].endswith("Also: Nuclei out of scale.")
    assert "Nuclei out of scale Node 1, slide a: Nuclei look 0.5 times as large." in notes(page)


def test_every_doubt_of_a_slide_is_in_the_box_and_in_full_on_a_page(tmp_path: Path) -> None:
    """Several nodes share it, so that each doubt may matter."""
    flags = [Flag(code, f"Said of {code}.") for code in sorted(DOUBTS)]
    page = page_of(tmp_path, [report("a", (900.0,), flags=tuple(flags))], "a,A,1,2")
    told, below = " ".join(box(page)), " ".join(notes(page))
    for flag in flags:
        assert (flag.message in told, f"{flag_title(flag.code)} Node 1, slide a: {flag.message}" in below) in (
            (True, False),
            (flag_title(flag.code) not in told, True),
        )
    assert told.count("slide a") == 1


def test_a_second_report_of_a_slides_file_is_told_beside_its_name(tmp_path: Path) -> None:
    reports = [replace(report(name, (900.0,)), provenance=scanned("f")) for name in "st"]
    page = page_of(tmp_path, reports, "t,A,1,1")
    (item,) = box(page)
    assert item.startswith(f"Node 1, slide t, deposit 1 (0.900 ± 0.004 mm): {WHERE} The folder also holds a report of")
