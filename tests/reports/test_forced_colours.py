"""Pages in the few colours that a reader chose, as Windows' contrast themes do."""

import json
import re
from pathlib import Path

from nodescan.reports.html_report import render
from tests.reports.browser import dom, needs_browser
from tests.reports.factory import VARIANTS

PROBE = """<script>
var seen = {forced: matchMedia("(forced-colors: active)").matches};
[".swatch.single", ".swatch.hatch", ".swatch.dashed", ".ramp", ".mark.largest", ".interval"].forEach(function (name) {
  var style = getComputedStyle(document.querySelector(name));
  seen[name] = [style.borderTopColor, style.backgroundColor, style.backgroundImage];
});
document.title = JSON.stringify(seen);
</script>"""


@needs_browser
def test_legend_and_scale_keep_their_colours(tmp_path: Path) -> None:
    """Lines, hatching, the ramp of probability and the sizes on the scale look as they do without a contrast theme."""
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", render(VARIANTS["incomplete_micro"]()))
    (tmp_path / "page.html").write_text(page.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    own, forced = (
        json.loads(re.search(r"<title>(.*?)</title>", dom(tmp_path / "page.html", "--dump-dom", *options))[1])
        for options in ((), ("--force-high-contrast",))
    )
    assert (own.pop("forced"), forced.pop("forced")) == (False, True)
    for name, (edge, ground, image) in own.items():
        assert forced[name] == [edge, "rgb(255, 255, 255)" if name.startswith(".swatch") else ground, image]
