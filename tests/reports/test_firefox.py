"""Pages that Firefox prints: it leaves a sheet's margins empty, and breaks other boxes than Chromium does."""

import re

import pytest

from nodescan.domain.report import NOT_FOR_CLINICAL_USE
from nodescan.reports.html_report import render
from tests.reports.browser import firefox_sheets, needs_firefox
from tests.reports.factory import VARIANTS

pytestmark = needs_firefox


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The sheets of a slide of many deposits. Each close-up is the word "upper" and its number."""
    uppers, captions = iter(range(1, 99)), iter(range(1, 99))
    page = render(VARIANTS["many"]())
    at = page.index('<div class="closeups">')
    marked = re.sub(r"<img [^>]*>", lambda _: f'<p style="height: 60mm">upper {next(uppers)}</p>', page[at:])
    marked = re.sub(r"<figcaption>", lambda tag: f"{tag[0]}caption {next(captions)} ", marked)
    path = tmp_path_factory.mktemp("firefox") / "page.html"
    path.write_text(page[:at] + marked, encoding="utf-8")
    return firefox_sheets(path)


def test_every_sheet_names_the_slide_and_is_not_for_clinical_use(printed: list[str]) -> None:
    """The line stands along the right edge, so each of its letters is a line of text."""
    assert len(printed) > 2
    name = VARIANTS["many"]().report.slide.slide_id
    for sheet in printed:
        assert re.sub(r"\s", "", f"{name} · {NOT_FOR_CLINICAL_USE}") in re.sub(r"\s", "", sheet)


def test_no_close_up_is_parted_from_its_caption(printed: list[str]) -> None:
    """Both are on one sheet; there are more of them than a sheet holds."""
    uppers, captions = ([re.findall(rf"{word} (\d+)", sheet) for sheet in printed] for word in ("upper", "caption"))
    assert sum(map(bool, uppers)) > 1
    assert [sorted(on_sheet) for on_sheet in uppers] == [sorted(on_sheet) for on_sheet in captions]
