"""Slides whose names, places and number make trouble."""

import os
from pathlib import Path

from nodescan.slides.discovery import find_slides
from tests.faults.room import COMPLETE, WRONG_USAGE, Room, Skipped, check
from tests.faults.scene import Scene

LONGEST_NAME = 200


def _named(stem: str, must: str, *, slide_id: str, title: str = "") -> Scene:
    """A good slide of this name is scanned, into a folder inside of the output folder, and its page runs nothing."""

    def act(room: Room) -> str:
        room.run(room.good(f"{stem}.tif"), expect=COMPLETE, asked=[slide_id])
        inside = {path.name for path in room.out.iterdir()}
        check(slide_id in inside, f"the output folder holds {sorted(inside)}")
        page = (room.out / slide_id / "report.html").read_text(encoding="utf-8")
        check("<script>alert" not in page, "the name stands in the page as a script")
        return f"complete, as {slide_id[:40]}"

    return Scene(f"name {title or stem}", must, act)


def _upwards_path(room: Room) -> str:
    """A path that goes up and down again means the same slide and stays inside the output folder."""
    room.good("a.tif")
    before = sorted(room.folder.iterdir())
    room.run(room.slides / ".." / "slides" / "a.tif", expect=COMPLETE, asked=["a"])
    check(sorted(room.folder.iterdir()) == sorted([*before, room.out]), "something was written beside the output")
    return "complete, inside the output folder"


def _upwards_id(room: Room) -> str:
    """A slide_id that would leave the output folder is refused before any work."""
    room.good("a.tif")
    table = room.slides / "m.csv"
    table.write_text("path,slide_id,patient_id\na.tif,../../escaped,P\n")
    ran = room.run(expect=WRONG_USAGE, options=["--manifest", str(table)])
    check("line 2" in ran.lines[0], ran.lines[0])
    check(not (room.folder.parent / "escaped").exists(), "it was written outside")
    return ran.lines[0]


def _one_name_twice(room: Room) -> str:
    (room.slides / "p1").mkdir()
    (room.slides / "p2").mkdir()
    ran = _two_kept_apart(room, room.good("p1/node.tif", tumour_um=400), room.good("p2/node.tif"))
    return f"both complete, as {ran}"


def _case_apart(room: Room) -> str:
    lower, upper = room.slides / "node.tif", room.slides / "NODE.tif"
    room.good("node.tif", tumour_um=400)
    if upper.exists():
        raise Skipped("this disk doesn't tell case apart")
    return f"both complete, as {_two_kept_apart(room, lower, room.good('NODE.tif'))}"


def _two_kept_apart(room: Room, tumour: Path, clean: Path) -> str:
    """Neither overwrites the other, on disks that don't tell case apart too."""
    ids = [ref.slide_id for ref in find_slides([str(tumour), str(clean)], mpp_um=None, override_mpp=False)]
    ran = room.run(tumour, clean, expect=COMPLETE, asked=ids)
    check(len({name.casefold() for name in ids}) == 2, f"the ids are {ids}")
    found = [ran.rows[name]["metastasis"] for name in ids]
    check(found == ["micro", "negative"], f"found {found}")
    return " and ".join(ids)


def _asked_twice(room: Room) -> str:
    slide = room.good("a.tif")
    (room.slides / "b.tif").symlink_to(slide)
    room.run(slide, slide, room.slides, expect=COMPLETE, asked=["a"])
    return "scanned once"


def _folder_loop(room: Room) -> str:
    room.good("a.tif")
    (room.slides / "again").symlink_to(room.slides, target_is_directory=True)
    room.run(room.slides, expect=COMPLETE, asked=["a"])
    return "the slide was found once"


def _results_among_slides(room: Room) -> str:
    """The output folder lies inside the folder of slides: the second run doesn't scan the first one's pictures."""
    room.good("a.tif")
    out = room.slides / "out"
    room.command("run", str(room.slides), "--out", str(out), "--quiet", "--slots", "0", "--force", expect=COMPLETE)
    room.command("run", str(room.slides), "--out", str(out), "--quiet", "--slots", "0", "--force", expect=COMPLETE)
    text = (out / "summary.csv").read_text()
    check(text.count("\n") == 2, f"summary.csv holds {text.count(chr(10)) - 1} rows")
    return "one slide, twice"


def _undecodable_name(room: Room) -> str:
    """A name that is no UTF-8 text, as old scanners' shares have them."""
    slide = Path(os.fsdecode(os.fsencode(room.slides) + b"/n\xf8de.tif"))
    os.rename(room.good("a.tif"), slide)
    room.run(slide, expect=COMPLETE, asked=["n_de"])
    return "complete, as n_de"


NAMES: tuple[Scene, ...] = (
    _named("two  words", "complete, in a safe folder", slide_id="two_words", title="with spaces"),
    _named('it\'s "quoted"', "complete, in a safe folder", slide_id="it_s_quoted_", title="with quotes"),
    _named("<script>alert(1)<", "complete; the page runs nothing", slide_id="_script_alert_1_", title="<script>"),
    _named("two\nlines", "complete; one line in every list", slide_id="two_lines", title="with a newline"),
    _named("node 🔬 é", "complete, in a safe folder", slide_id="node_e", title="with an emoji"),
    _named("n" * LONGEST_NAME, "complete, its folder shortened", slide_id="n" * 100, title="of 200 characters"),
    _named("=cmd|' ", "complete; no formula in the summary", slide_id="_cmd_", title="that is a formula"),
    Scene("name that is no UTF-8", "complete, in a safe folder", _undecodable_name),
    Scene("path with ../", "complete, inside the output folder", _upwards_path),
    Scene("slide_id with ../", "exit 2: the line of the manifest", _upwards_id),
    Scene("two slides of one name", "both complete, apart", _one_name_twice),
    Scene("two names that differ in case", "both complete, apart on any disk", _case_apart),
    Scene("one slide asked for three times", "scanned once", _asked_twice),
    Scene("symlink loop of folders", "each slide once", _folder_loop),
    Scene("results inside the slides' folder", "results aren't scanned", _results_among_slides),
)
