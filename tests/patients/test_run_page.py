"""summary.html tells the patients of the run, as staged last, and is no other's page."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodescan.commands.stage import print_staging
from nodescan.domain.flags import Flag
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.versions import VERSION_WORDS
from nodescan.patients.earlier_stages import set_aside
from nodescan.patients.patient_files import write_staging
from nodescan.patients.run_page import MOST_NAMED, patient_lines, tell_patients, with_patients
from nodescan.reports.summary_page import SUMMARY_HTML, render, write_summary_page
from tests.patients.made_reports import report, staged_by, write_run
from tests.reports.factory import RUN
from tests.reports.test_html_report import Page

HEAD = "slide_id,patient_id,node_id,sentinel,nodes_removed,stain"
ROWS = ("a,A,1,yes,2,", "b,A,2,yes,2,", "k,A,2,yes,2,CK", "c,B,1,yes,1,", "gone,B,1,yes,1,")


def a_run(folder: Path, reports: Sequence[SlideReport] = ()) -> Path:
    """A whole run of a micrometastasis, a negative slide and one that failed, with its page."""
    failed = report("c", status=Status.FAILED, flags=(Flag("unreadable", "the file is truncated"),))
    made = reports or [report("a", (900.0,)), report("b"), failed]
    run = write_run(folder / "run", made)
    write_summary_page(made, run, asked=len(made), run=RUN)
    return run


def staged(run: Path, *rows: str, corrections: Sequence[str] = ()) -> str:
    """The page once these rows are staged."""
    write_staging(staged_by(run, HEAD, *rows, review=corrections), run)
    tell_patients(run)
    return page_of(run)


def page_of(run: Path) -> str:
    return (run / SUMMARY_HTML).read_text(encoding="utf-8")


def tone(text: str) -> str:
    found = re.search(r'class="card answer summary ([a-z ]+)"', text)
    return found[1]


def test_a_place_without_an_end_takes_no_other_with_it(tmp_path: Path) -> None:
    """Else the end of each is sought through the whole page: of thousands, for hours."""
    run = a_run(tmp_path)
    page = run / SUMMARY_HTML
    page.write_text(page_of(run).replace("<!--slot lead-->", "<!--slot x--><!--slot <!--slot lead-->"))
    assert "1 of 2 patients determined" in Page(staged(run, *ROWS)).text


def test_the_page_tells_each_patients_stage_with_its_page(tmp_path: Path) -> None:
    """With "at least", which slides had no part, and what isn't determined."""
    run = a_run(tmp_path)
    text = staged(run, *ROWS)
    page = Page(text)
    assert "1 of 2 patients determined; the others have a stage of “at least” or “as measured”, or none." in page.text
    links = [attributes.get("href") for tag, attributes in page.tags if tag == "a"]
    assert {"./patients.csv", "./patients/A.html", "./patients/B.html"} <= set(links)
    assert "pN1mi(sn) 2 of 2 0.900 ± 0.004 mm determined" in " ".join(page.text.split())
    none = "cannot be determined (no slide has a result that counts) 0 of 1 not determined"
    assert none in " ".join(page.text.split())
    assert "1 slide with another stain than H&E, left to the pathologist: k." in page.text
    assert "1 slide in the manifest but not run, so their nodes count as unread: gone." in page.text


@pytest.mark.parametrize(
    ("removed", "slide", "told"),
    [
        (1, report("a", (2600.0,)), "determined"),
        (2, report("a", (2600.0,)), "category stays; 1 node missing"),
        (4, report("a", (2600.0,)), "not determined; 3 nodes missing"),
        (2, report("a", (900.0,)), "not determined; 1 node missing"),
        (2, report("a", (2001.0,)), "not determined; 1 node missing"),
        (2, report("a", (2600.0,), flags=(Flag("may_be_two_foci", "Check it."),)), "not determined; 1 node missing"),
        (2, report("a"), "not determined"),
    ],
)
def test_one_word_says_on_both_pages_what_is_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], removed: int, slide: SlideReport, told: str
) -> None:
    """The summary is no more certain than the patient's page: only where that says that the category stays, so does
    the summary; pN1a of four nodes with three missing may be pN2a."""
    run = a_run(tmp_path, [slide])
    text = staged(run, f"a,A,1,yes,{removed},")
    assert re.findall(r'data-label="Status">([^<]*)<', text.partition('id="all"')[0]) == [told]
    page = (run / "patients" / "A.html").read_text(encoding="utf-8")
    assert f"<li>Status <b>{told}</b></li>" in page
    print_staging(staged_by(run, HEAD, f"a,A,1,yes,{removed},"))
    stays = "The category stays pN1a whatever that node holds; only counts and sizes may change."
    assert (f"note, A: {stays}" in capsys.readouterr().out) is (stays in Page(page).text)
    assert (stays in Page(page).text) is told.startswith("category stays")
    assert ("status-complete" in text.partition('id="patients"')[2].partition("</table>")[0]) is (told == "determined")


def test_stages_of_an_earlier_version_count_no_node_as_unexamined(tmp_path: Path) -> None:
    """They do not say how many nodes were examined."""
    (line,) = patient_lines({"patients": [{"patient_id": "A", "n_nodes": 3, "at_least": True}]}, tmp_path)
    assert (line.nodes, line.status) == ("", "not determined")


def test_nodes_read_only_in_part_are_no_missing_ones(tmp_path: Path) -> None:
    """They count as examined, with how many there are."""
    part = report("b", (300.0,), status=Status.INCOMPLETE, flags=(Flag("unread_tissue", "Some was unread."),))
    text = staged(a_run(tmp_path, [report("a", (2600.0,)), part]), "a,A,1,yes,2,", "b,A,2,yes,2,")
    assert "2 of 2<small>1 only in part</small>" in text
    assert "category stays; 1 node not read whole" in text


def test_the_model_of_the_run_is_named_once(tmp_path: Path) -> None:
    """In the masthead alone, where the patients' slides were judged by that one."""
    run = a_run(tmp_path, [replace(report("a", (900.0,)), model=RUN.model)])
    assert page_of(run).count("weights") == staged(run, "a,A,1,yes,1,").count("weights") == 1
    other = a_run(tmp_path / "other", [report("a", (900.0,))])
    assert staged(other, "a,A,1,yes,1,").count("weights") == 2


def test_many_patients_leave_the_slides_near(tmp_path: Path) -> None:
    """The first card leads to the slides, and more than 20 patients scroll in a part of the screen; on paper none is
    cut off."""
    run = a_run(tmp_path)
    few, many = (staged(run, *(f"m{one},M{one},1,yes,1," for one in range(count))) for count in (20, 21))
    for text in (few, many):
        card = text.partition('<section class="card answer summary')[2].partition("</section>")[0]
        assert '<a href="#all">To the table of slides</a>' in card
        assert '<h2 id="all">' in text.partition('id="patients"')[2]
    assert ['class="scroll tall"' in text for text in (few, many)] == [False, True]
    assert [part.rpartition("@media ")[2].split()[0] for part in many.split(".tall {")[:-1]] == ["screen"]


def test_the_page_says_when_and_by_what_the_patients_were_staged(tmp_path: Path) -> None:
    """The page's own model is that of the last run, which may have scanned a few of their slides, or none."""
    other = replace(report("b").model, name="earlier")
    run = a_run(tmp_path, [report("a", (900.0,)), replace(report("b"), model=other)])
    found = staged_by(run, HEAD, "a,A,1,yes,2,", "b,A,2,yes,2,")
    write_staging(replace(found, staged_at=datetime(2026, 11, 29, 21, 4, 5, tzinfo=UTC)), run)
    tell_patients(run)
    page = page_of(run).partition('aria-labelledby="patients"')[2].partition('<div class="scroll"')[0]
    card = " ".join(Page(page).text.split())
    assert f"Staged on 2026-11-29 21:04 UTC by nodescan {VERSION_WORDS}, from m.csv." in card
    assert re.search(r"judged by the models earlier \(weights .*; m \(weights", card)
    assert re.search("not made alike: model m .*; model earlier", card)
    assert "not made alike" not in staged(run, "a,A,1,yes,1,")


def test_the_first_card_is_as_bad_as_slides_and_patients(tmp_path: Path) -> None:
    """Slides read whole, and a patient of whom a node is missing: not green; once staged whole, it is again."""
    run = a_run(tmp_path, [report("a", (900.0,)), report("b")])
    assert tone(page_of(run)) == "complete"
    short = staged(run, "a,A,1,yes,5,", "b,A,2,yes,5,")
    assert tone(short) == "complete undetermined"
    assert ".summary.undetermined { border-left-color: var(--none); }" in short
    assert short.index(".summary.undetermined {") < short.index(".summary.failed {")
    assert tone(staged(run, "a,A,1,yes,2,", "b,A,2,yes,2,")) == "complete"
    assert tone(staged(a_run(tmp_path / "failed"), *ROWS)) == "failed undetermined"


def test_a_slide_that_a_reader_corrected_says_so_in_its_row(tmp_path: Path) -> None:
    """Its own row stays the tool's; without the review it says so no more."""
    run = a_run(tmp_path)
    before = page_of(run)
    text = staged(run, *ROWS, corrections=["a,1,,,resize,2100,KM,"])
    (marked,) = [row for row in text.split('<tr role="row">') if "reviewed: see " in row]
    assert 'data-sort="a"' in marked
    assert "Micrometastasis" in marked
    assert '<small>reviewed: see <a href="./patients/A.html">A</a></small>' in marked
    assert text.count("are as before the review") == 1
    assert "pN1a(sn)<small>as reviewed; software alone: pN1mi(sn)</small>" in text
    same = staged(run, *ROWS, corrections=["a,1,,,resize,950,KM,"])
    assert "pN1mi(sn)<small>as reviewed</small>" in same
    assert "reviewed" not in staged(run, *ROWS)
    assert with_patients(text, {}, run) == before


def test_a_slides_patient_leads_to_the_page_and_a_reading_is_said(tmp_path: Path) -> None:
    """The name stays where there is no page, and in a copied folder the link still leads there."""
    made = report("a", (900.0,))
    made = replace(made, slide=replace(made.slide, patient_id="A", node_id="1"))
    run = a_run(tmp_path, [made])
    before = page_of(run)
    assert "<small>patient <!--slot patient a-->A<!--/slot-->, node 1</small>" in before
    text = staged(run, "a,A,1,yes,1,", corrections=["a,,,,read,negative,KM,", "a,1,,,reject,,KM,"])
    assert 'patient <!--slot patient a--><a href="./patients/A.html">A</a><!--/slot-->, node 1' in text
    assert 'read whole by a reader as negative: see <a href="./patients/A.html">A</a>' in text
    assert staged(run, "a,A,1,yes,1,").count("./patients/A.html") == 2
    assert staged(run, "a,B,1,yes,1,").count("./patients/B.html") == 1  # not as the patient of the report
    assert with_patients(text, {}, run) == before


@pytest.mark.parametrize(
    ("review", "told"),
    [
        ("a,1,,,resize,1900,KM,", "pN1mi(sn)<small>as reviewed; software alone: pN1mi(sn), borderline: pN1mi or pN1a"),
        ("a,1,,,accept,,KM,", "pN1mi(sn)<small>borderline: pN1mi or pN1a</small><small>as reviewed</small>"),
    ],
)
def test_what_the_softwares_own_sizes_leave_open_stands_beside_a_reviewed_stage(
    tmp_path: Path, review: str, told: str
) -> None:
    """As on the patient's page: a reader settled what 4 um of uncertainty left open, or left it so."""
    run = a_run(tmp_path, [report("a", (1998.0,), flags=(Flag("borderline", "Near 2 mm."),))])
    assert told in staged(run, "a,A,1,yes,1,", corrections=[review])


@pytest.mark.parametrize(
    ("stage", "bound", "said"),
    [
        ("pN1mi", None, "pN1mi or pN1a"),
        ("at least pN1mi", "pN1mi", "at least pN1mi or pN1a"),
        ("pN1a as measured", "pN1mi", "at least pN1mi"),
        ("pN1a as measured", None, "pN1mi or pN1a; may be lower, or higher with more positive nodes"),
        ("ypN1mi(sn) as measured", None, "pN1mi or pN1a; may be lower or higher"),
    ],
)
def test_a_borderline_stage_says_which_bound_holds(tmp_path: Path, stage: str, bound: str | None, said: str) -> None:
    """Without "at least" a reader would take the higher of the two for the most that it can be."""
    may_be = ["pN1mi", "pN1a"]
    patient = {"patient_id": "A", "stage": stage, "category": "pN1mi", "may_be": may_be, "bound": bound}
    patient |= {"software_stage": stage, "software_may_be": may_be, "software_bound": bound}
    (line,) = patient_lines({"patients": [patient]}, tmp_path)
    assert (line.may_be, line.reviewed) == (f"borderline: {said}", "as reviewed")
    (line,) = patient_lines({"patients": [patient | {"may_be": [], "software_may_be": []}]}, tmp_path)
    assert line.may_be == said.partition("; ")[2]


def test_a_borderline_stage_is_never_just_called_determined(tmp_path: Path) -> None:
    """Its row has the tone of what isn't settled, and the lead counts it; a stage of "at least" is not determined."""
    near = {"stage": "pN1mi", "category": "pN1mi", "at_least": False, "may_be": ["pN1mi", "pN1a"]}
    clear = near | {"may_be": []}
    lower = near | {"at_least": True}
    patients = [{"patient_id": name} | one for name, one in (("A", near), ("B", clear), ("C", lower))]
    text = with_patients(render([], tmp_path, asked=1, run=RUN), {"patients": patients}, tmp_path)
    assert "2 of 3 patients determined, 1 of them borderline; the others have" in Page(text).text
    rows = re.findall(r'class="(status-\w+)" data-label="Status">([^<]*)<', text)
    assert rows == [
        ("status-incomplete", "determined, borderline"),
        ("status-complete", "determined"),
        ("status-incomplete", "not determined"),
    ]


def test_a_pixel_size_in_doubt_stands_beside_the_stage(tmp_path: Path) -> None:
    """Every size of the patient hangs on it: in the row, and on the patient's own page beside the headline."""
    flag = Flag("nuclei_out_of_scale", "Cell nuclei look 0.5 times.")
    run = a_run(tmp_path, [report("a", (900.0,), flags=(flag,)), report("b", (900.0,))])
    text = staged(run, "a,A,1,yes,1,", "b,B,1,yes,1,")
    assert re.findall(r'data-label="Stage">(.*?)</td>', text) == [
        "pN1mi(sn)<small>pixel size in doubt</small>",
        "pN1mi(sn)",
    ]
    pages = [(run / "patients" / f"{name}.html").read_text(encoding="utf-8") for name in "AB"]
    assert ['<strong class="pill">pixel size in doubt</strong>' in page for page in pages] == [True, False]


@pytest.mark.parametrize("code", ["joining_gap", "may_be_one_deposit", "may_be_two_foci"])
def test_one_deposit_or_several_stands_beside_the_stage(tmp_path: Path, code: str) -> None:
    """Where the class of a node hangs on it, and there is a stage: in the row, and on the patient's own page."""
    flag, gone = Flag(code, "Check whether they are connected."), Flag("unread_tissue", "Some was unread.")
    unclassed = report("b", status=Status.INCOMPLETE, flags=(gone, flag))
    run = a_run(tmp_path, [report("a", (900.0,), flags=(flag,)), unclassed, report("c", (900.0,))])
    text = staged(run, *(f"{name.lower()},{name},1,yes,1," for name in "ABC"))
    doubt = "one deposit or several"
    rows = re.findall(r'data-label="Stage">(.*?)</td>', text)
    assert [f"<small>{doubt}</small>" in row for row in rows] == [True, False, False]
    pages = [(run / "patients" / f"{name}.html").read_text(encoding="utf-8") for name in "ABC"]
    assert [f'<strong class="pill">{doubt}</strong>' in page for page in pages] == [True, False, False]


def test_a_stage_that_smaller_deposits_would_change_says_so_at_a_glance(tmp_path: Path) -> None:
    """Beside pN0 and pN0(i+), in the row and on the page; not beside a micrometastasis in the only node."""
    found = [report(name, sizes) for name, sizes in (("a", ()), ("b", (900.0,)), ("c", (150.0,)))]
    found = [replace(one, model=replace(one.model, found_from_um=550.0)) for one in found]
    run = a_run(tmp_path, found)
    text = staged(run, *(f"{one.slide.slide_id},{one.slide.slide_id.upper()},1,yes,1," for one in found))
    doubt = "smaller deposits not excluded"
    assert [f"<small>{doubt}" in row for row in re.findall(r'data-label="Stage">(.*?)</td>', text)] == [
        True,
        False,
        True,
    ]
    pages = [(run / "patients" / f"{name}.html").read_text(encoding="utf-8") for name in "ABC"]
    assert [f'<strong class="pill">{doubt}' in page for page in pages] == [True, False, True]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("joining_gap", "It is uncertain which areas form one deposit, and the stage may depend on it."),
        ("may_be_one_deposit", "It is uncertain which areas form one deposit, and the stage may depend on it."),
        ("may_be_two_foci", "It is uncertain which areas form one deposit, and the stage may depend on it."),
        ("nuclei_out_of_scale", "The pixel size is in doubt, and with it every size."),
    ],
)
def test_no_limit_of_size_is_stated_while_it_is_in_doubt_what_was_measured(tmp_path: Path, code: str, why: str) -> None:
    """Two parts of one macrometastasis are not "none larger than 2 mm"; one of two foci is not "larger than 2 mm"."""
    flag = Flag(code, "Check it.")
    slides = [report("a", (900.0,), flags=(flag,)), report("b", (2300.0,), flags=(flag,)), report("c", (900.0,))]
    run = a_run(tmp_path, slides)
    staged(run, *(f"{name.lower()},{name},1,yes,1," for name in "ABC"))
    leads = [
        re.search(r'<p class="lead">(.*?)</p>', (run / "patients" / f"{name}.html").read_text(encoding="utf-8"))[1]
        for name in "ABC"
    ]
    text = [re.sub("<[^>]+>", "", lead) for lead in leads]
    assert text == [
        f"Micrometastases, in the sections examined. {why}",
        "At least one deposit larger than 2 mm in the sections examined."
        if code == "may_be_one_deposit"  # a part of it is large enough
        else f"A macrometastasis, as measured, in the sections examined. {why}",
        "Micrometastases, none larger than 2 mm, in the sections examined.",
    ]


def test_told_twice_it_stands_once(tmp_path: Path) -> None:
    """Each staging takes the place of the one before."""
    run = a_run(tmp_path)
    assert staged(run, *ROWS) == staged(run, *ROWS)
    assert page_of(run).count('id="patients"') == 1


def test_nothing_that_a_manifest_says_is_markup(tmp_path: Path) -> None:
    """Nor does it end a slot or stand for one: a name is text, and a backslash no group."""
    bad = "<!--/slot--><script>alert(1)</script>\\1<img src=x>"
    patient = {"patient_id": bad, "stage": bad, "category": None, "at_least": False, "may_be": [bad]}
    patient |= {"software_stage": f"x{bad}", "corrections": [{"slide_id": "a --><b>"}]}
    made = report("a", (900.0,))
    text = render([replace(made, slide=replace(made.slide, slide_id="a --><b>"))], tmp_path, asked=1, run=RUN)
    stages = {"patients": [patient], "slides_of_other_stains": [bad]}
    told = with_patients(text, stages, tmp_path)
    tags = [tag for tag, _ in Page(told).tags]
    assert (tags.count("script"), tags.count("img")) == (1, 0)
    assert told.count("<small>reviewed: ") == 1
    assert Page(told).text.count(bad) == 6
    assert with_patients(told, {}, tmp_path) == text
    assert with_patients(told, stages, tmp_path) == told


def test_a_long_list_of_slides_is_cut(tmp_path: Path) -> None:
    """patients.json has them all."""
    stages = {"patients": [{"patient_id": "A"}], "slides_not_run": [f"s{n}" for n in range(MOST_NAMED + 3)]}
    assert "s19 and 3 more." in with_patients(render([], tmp_path, asked=1, run=RUN), stages, tmp_path)


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ("{", ""),
        ("[]", ""),
        ('{"patients": 3}', ""),
        ('{"patients": [3, {"may_be": 1, "corrections": 2}], "slides_not_run": 4}', "0 of 1 patient determined"),
    ],
)
def test_damaged_stages_do_the_page_no_harm(tmp_path: Path, stages: str, told: str) -> None:
    """Nobody is called determined by what can't be read."""
    run = a_run(tmp_path)
    (run / "patients.json").write_text(stages)
    before = page_of(run)
    tell_patients(run)
    assert told in page_of(run)
    assert (page_of(run) == before) is (not told)


def test_a_page_that_is_not_a_runs_own_stays(tmp_path: Path) -> None:
    """A user's, one through a link, or none."""
    run = a_run(tmp_path)
    own = page_of(run)
    (run / SUMMARY_HTML).write_text("<html>mine <!--slot patients--><!--/slot--></html>")
    assert staged(run, *ROWS) == "<html>mine <!--slot patients--><!--/slot--></html>"
    elsewhere = tmp_path / "elsewhere.html"
    elsewhere.write_text(own, encoding="utf-8")
    (run / SUMMARY_HTML).unlink()
    tell_patients(run)
    assert not (run / SUMMARY_HTML).exists()
    (run / SUMMARY_HTML).symlink_to(elsewhere)
    tell_patients(run)
    assert elsewhere.read_text(encoding="utf-8") == own
    assert (run / SUMMARY_HTML).is_symlink()


def test_a_patients_page_leads_back_to_the_summary_where_there_is_one(tmp_path: Path) -> None:
    """By a relative link, which holds in a copied folder, and in that of stages that were moved aside."""
    run = a_run(tmp_path)
    staged(run, *ROWS)
    page = run / "patients" / "A.html"
    assert '<a href="../summary.html">← Summary</a>' in page.read_text(encoding="utf-8")
    aside = set_aside(run)
    moved = aside / "patients" / "A.html"
    assert '<a href="../../summary.html">← Summary</a>' in moved.read_text(encoding="utf-8")
    (run / SUMMARY_HTML).unlink()
    write_staging(staged_by(run, HEAD, *ROWS), run)
    assert "← Summary" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("a,1,,,accept,,KM,", "Reviewed; stage unchanged."),
        ("a,1,,,resize,2100,KM,", "Reviewed. The software&#39;s own result: pN1mi(sn)."),
    ],
)
def test_a_review_that_leaves_the_stage_says_so(tmp_path: Path, row: str, told: str) -> None:
    """The software's own stage is named where it is another."""
    run = a_run(tmp_path)
    staged(run, "a,A,1,yes,1,", corrections=[row])
    assert f'<p class="lead">{told}</p>' in (run / "patients" / "A.html").read_text(encoding="utf-8")


def test_a_node_of_one_slide_has_one_row(tmp_path: Path) -> None:
    """With the slide's name and scan; of two slides, each has its own."""
    run = a_run(tmp_path, [report("a", (900.0,)), report("b"), report("c")])
    staged(run, "a,A,1,yes,2,", "b,A,2,yes,2,", "c,A,2,yes,2,")
    page = (run / "patients" / "A.html").read_text(encoding="utf-8").partition('id="nodes"')[2]
    rows = re.findall(r'<tr (class="slide" )?role="row">', page.partition("</table>")[0])
    assert rows == ["", "", "", 'class="slide" ', 'class="slide" ']
    assert page.index("Nodes and their slides") < page.index("Synoptic elements")
