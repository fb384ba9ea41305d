"""Pages on a phone: nothing reaches out of them, however long a slide's name or a size."""

import re
from dataclasses import replace
from pathlib import Path

from nodescan.domain.units import Micrometers
from nodescan.patients.patient_files import write_staging
from nodescan.reports import summary_page
from nodescan.reports.html_report import render
from nodescan.reports.page import key_facts
from tests.patients.made_reports import report, staged_by, write_run
from tests.reports.browser import dom, needs_browser
from tests.reports.factory import ITC, RUN, VARIANTS, result

PHONE_PX = 360
LONG = "CAMELYON17_patient_004_node_4_scan_2_HE_section_level_3_of_5_block_A12_re_x"

PROBE = """<script>
var page = document.documentElement.clientWidth;
var wide = [].filter.call(document.querySelectorAll("main *"), function (one) {
  var whole = /^(scroll|headline)/.test(one.className);
  return one.getBoundingClientRect().right > page || whole && one.scrollWidth > one.clientWidth;
}).map(function (one) { return page + " " + one.tagName + "." + one.className; });
parent.postMessage(wide.join(" "), "*");
</script>"""

FRAME = """<!doctype html><title>none</title>
<script>
var told = [];
onmessage = function (one) { told.push(one.data); document.title = told.length + " told: " + told.join(""); };
</script>
"""


def too_wide(text: str, folder: Path, *widths_px: int) -> str:
    """What reaches out of the page, inside of a box that can be scrolled, too, on a phone or at the widths named."""
    folder.mkdir()
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    (folder / "page.html").write_text(open_page.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    widths_px = widths_px or (PHONE_PX,)
    frames = [
        f'<iframe src="page.html" width="{width}" height="800" style="border: 0"></iframe>' for width in widths_px
    ]
    (folder / "frame.html").write_text(FRAME + "".join(frames), encoding="utf-8")
    made = dom(folder / "frame.html", "--virtual-time-budget=5000", "--dump-dom")
    told = re.search(rf"<title>{len(widths_px)} told: (.*?)</title>", made)
    return told[1]


@needs_browser
def test_a_long_size_stays_on_a_phones_page(tmp_path: Path) -> None:
    """A size near a limit has five decimals, and its line is never broken."""
    near = replace(ITC, id=1, diameter_um=Micrometers(200.04), diameter_uncertainty_um=Micrometers(13.0), cut_off=True)
    found = result((near, replace(ITC, id=2)), slide_id=LONG)
    assert key_facts(found.report)[0].value == "at least 0.20004 ± 0.01300 mm"
    assert too_wide(render(found), tmp_path / "slide") == ""
    assert too_wide(summary_page.render([found.report], tmp_path, asked=1, run=RUN), tmp_path / "summary") == ""


@needs_browser
def test_a_class_stays_in_its_card_on_the_narrowest_phones(tmp_path: Path) -> None:
    """The longest word of a headline is "Macrometastasis"."""
    assert too_wide(render(VARIANTS["macro"]()), tmp_path / "slide", 320, 360, 420) == ""


@needs_browser
def test_a_long_slide_name_stays_on_a_phones_page_of_a_patient(tmp_path: Path) -> None:
    """In the list of what to look at, in the table of nodes, and in that of what a reader corrected."""
    run = write_run(tmp_path / "run", [report(LONG, (900.0,))])
    review = (f"{LONG},1,,,reject,,Dr A,{LONG}",)
    staging = staged_by(run, "slide_id,patient_id,node_id", f"{LONG},A,", review=review)
    (page,) = write_staging(staging, tmp_path / "out")
    assert too_wide(page.read_text(), tmp_path / "patient") == ""


@needs_browser
def test_no_flag_of_the_index_lies_outside_its_card(tmp_path: Path) -> None:
    """Cut off behind "Cell count", "not assessed" says the contrary. A row becomes a card where it is too narrow."""
    shown = [VARIANTS[kind]().report for kind in ("macro", "incomplete_micro", "unmeasurable", "not_he", "borderline")]
    shown = [result((ITC,), slide_id=LONG).report, *shown]
    scored = [
        one if one.model is None else replace(one, model=replace(one.model, seed_threshold=0.9875)) for one in shown
    ]
    page = summary_page.render(scored, tmp_path, asked=6, run=RUN)
    assert "<small>below 0.9875</small>" in page
    assert "Cell count not assessed" in page
    assert too_wide(page, tmp_path / "summary", 320, 640, 860, 861, 1024, 1200, 1201, 1280) == ""
