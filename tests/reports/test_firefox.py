"""Pages that Firefox prints: it leaves a sheet's margins empty, and breaks other boxes than Chromium does."""

import re
from pathlib import Path

import pytest

from nodescan.domain.report import NOT_FOR_CLINICAL_USE
from nodescan.reports.html_report import render
from nodescan.reports.page import running_words
from tests.reports.browser import firefox_sheets, needs_firefox, right_edges
from tests.reports.factory import VARIANTS

pytestmark = needs_firefox


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a slide of many deposits. Each close-up is the word "upper" and its number."""
    uppers, captions = iter(range(1, 99)), iter(range(1, 99))
    text = render(VARIANTS["many"]())
    at = text.index('<div class="closeups">')
    marked = re.sub(r"<img [^>]*>", lambda _: f'<p style="height: 60mm">upper {next(uppers)}</p>', text[at:])
    marked = re.sub(r"<figcaption>", lambda tag: f"{tag[0]}caption {next(captions)} ", marked)
    path = tmp_path_factory.mktemp("firefox") / "page.html"
    path.write_text(text[:at] + marked, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def printed(page: Path) -> list[str]:
    """The text of its sheets."""
    return firefox_sheets(page)


def test_every_sheet_names_slide_and_scan_and_is_not_for_clinical_use(page: Path, printed: list[str]) -> None:
    """The line stands along the right edge, beside the text of the page."""
    edges = right_edges(page)
    assert len(edges) == len(printed) > 2
    name = running_words(VARIANTS["many"]().report)
    for edge in edges:
        assert edge == "".join(f"{name} · {NOT_FOR_CLINICAL_USE}".split())


def test_no_close_up_is_parted_from_its_caption(printed: list[str]) -> None:
    """Both are on one sheet; there are more of them than a sheet holds."""
    uppers, captions = ([re.findall(rf"{word} (\d+)", sheet) for sheet in printed] for word in ("upper", "caption"))
    assert sum(map(bool, uppers)) > 1
    assert [sorted(on_sheet) for on_sheet in uppers] == [sorted(on_sheet) for on_sheet in captions]
