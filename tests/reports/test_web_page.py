"""What every page is made with shows what it is given, as text."""

from markupsafe import Markup

from nodescan.reports.web_page import environment, unbroken


def test_what_does_not_print_is_escaped_on_every_page() -> None:
    """Else a name may turn round what stands beside it; markup stays markup, and breaks of lines and blanks stay."""
    page = environment().from_string("{{ name }}|{{ name | unbroken }}|{{ markup }}|{{ text }}")
    shown = page.render(
        name="<\u202e\x1b>", markup=Markup("<b>\u202e</b>"), text="two\nlines,\u00a0\u2009and \u2028no third"
    )
    name = "&lt;\\u202e\\x1b&gt;"
    assert shown == f"{name}|{name}|<b>\\u202e</b>|two\nlines,\u00a0\u2009and \\u2028no third"
    assert unbroken("5 mm") in environment().from_string("{{ '5 mm' | unbroken }}").render()
