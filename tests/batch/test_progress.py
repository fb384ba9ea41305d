"""What a user sees of a batch, and what stays in a file."""

import io
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.batch.bars import BarViewer
from nodescan.batch.progress import PlainViewer, Viewer, duration, outcome
from nodescan.batch.viewers import JsonLog, Viewers
from nodescan.batch.worker_messages import show_news
from nodescan.batch.worker_task import Out, Telling
from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.flags import Flag
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Micrometers
from nodescan.errors import OutputError, UsageError
from tests.reports.factory import ellipse, result


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def complete(slide_id: str) -> SlideReport:
    ref = SlideRef(slide_id=slide_id, path=Path(f"{slide_id}.svs"))
    return SlideReport(slide=ref, status=Status.COMPLETE, metastasis=Metastasis.NONE, at_least=False)


def test_plain_lines_say_speed_and_time_left() -> None:
    """10 of 40 tiles in 20 s at 2 Mpx each are 1 Mpx/s, and a minute is left."""
    stream, clock = io.StringIO(), Clock()
    viewer = PlainViewer(stream, clock=clock)
    viewer.batch_started(2)
    viewer.slide_started("a", 40)
    clock.now += 20
    viewer.tiles_done("a", 10, 20.0)
    assert stream.getvalue().splitlines()[-1] == "a: 10/40 tiles, 1.0 Mpx/s, 1:00 left"
    clock.now += 1
    viewer.tiles_done("a", 1, 2.0)
    assert "11/40" not in stream.getvalue()
    clock.now += 59
    viewer.slide_finished(complete("a"), 80.0)
    assert stream.getvalue().splitlines()[-1] == "done 1/2 a: complete, negative in 1:20; 1:20 left"


def test_slides_that_run_at_a_time_are_counted_apart() -> None:
    """Also where one is begun a second time, since its process died."""
    stream = io.StringIO()
    viewer = PlainViewer(stream)
    viewer.batch_started(3)
    viewer.slide_started("a", 1)
    viewer.slide_started("b", 1)
    viewer.slide_finished(complete("b"), 1.0)
    viewer.slide_started("c", 1)
    viewer.slide_finished(complete("c"), 1.0)
    viewer.slide_started("a", 1)
    begun = [line for line in stream.getvalue().splitlines() if line.endswith("tiles")]
    assert begun == ["slide 1/3 a: 1 tiles", "slide 2/3 b: 1 tiles", "slide 3/3 c: 1 tiles", "slide 3/3 a: 1 tiles"]


def test_bars_count_slides_tiles_and_speed() -> None:
    """On a terminal the same numbers stand beside the bars, and a finished slide leaves a line."""
    stream, clock = io.StringIO(), Clock()
    viewer = BarViewer(stream, clock=clock)
    viewer.batch_started(1)
    viewer.slide_started("a[b]", 4)
    clock.now += 2
    viewer.tiles_done("a[b]", 2, 3.0)
    assert [task.fields["counts"] for task in viewer._bars.tasks] == ["0/1", "2/4 tiles, 1.5 Mpx/s"]
    assert viewer._bars.tasks[0].completed == pytest.approx(0.5, abs=0.01)
    viewer.tiles_done("a[b]", 2, 3.0)
    assert not viewer._bars.tasks[0].finished, "its report is still to be written"
    viewer.slide_finished(complete("a[b]"), 4.0)
    viewer.close()
    assert "a[b]: complete, negative in 0:04" in stream.getvalue()


def test_log_is_one_json_object_a_line(tmp_path: Path) -> None:
    """Every line parses, says when and what, and names its slide."""
    log = JsonLog(tmp_path / "log.jsonl")
    log.batch_started(1)
    log.slide_started("a", 2)
    log.tiles_done("a", 2, 1.0)
    log.error("b.svs: broken")
    log.slide_finished(complete("a"), 1.5)
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == [
        "batch_started",
        "slide_started",
        "tiles_done",
        "error",
        "slide_finished",
        "batch_closed",
    ]
    assert all(line["ts"].endswith("+00:00") for line in lines)
    assert [line.get("slide_id") for line in lines] == [None, "a", "a", None, "a", None]
    assert lines[4]["metastasis"] == "negative"


def test_the_log_says_at_the_end_of_each_slide_how_far_the_batch_is(tmp_path: Path) -> None:
    """As the lines on a terminal do."""
    clock = Clock()
    log = JsonLog(tmp_path / "log.jsonl", clock=clock)
    log.batch_started(3)
    for slide_id in ("a", "b", "c"):
        clock.now += 60
        log.slide_finished(complete(slide_id), 60.0)
    log.close()
    said = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    ends = [line for line in said if line["event"] == "slide_finished"]
    told = [(line["slides_done"], line["slides"], line["seconds_left"]) for line in ends]
    assert told == [(1, 3, 120), (2, 3, 60), (3, 3, 0)]


def test_signs_of_life_do_not_fill_the_log(tmp_path: Path) -> None:
    """However many there are after the last tile, when float32 answers some again; what follows them is timed."""
    now = 100.0
    log = JsonLog(tmp_path / "log.jsonl", clock=lambda: now)
    log.slide_started("a", 2)
    log.tiles_done("a", 2, 1.0)
    for _ in range(50):
        now += 0.01
        log.tiles_done("a", 0, 0.0)
    now += 0.25
    log.slide_finished(complete("a"), 3.0)
    log.close()
    said = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in said].count("tiles_done") == 1
    assert said[-2]["after_network_s"] == 0.25


def test_log_beats_while_nothing_else_is_to_be_said(tmp_path: Path) -> None:
    """In the middle of a slide, and with how far each is, until the batch is closed."""
    path = tmp_path / "log.jsonl"
    clock = Clock()
    log = JsonLog(path, clock=clock, beat_every_s=0.01)

    def beats() -> list[dict[str, object]]:
        lines = [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if line["event"] == "heartbeat"]

    log.batch_started(3)
    clock.now += 60
    log.slide_finished(complete("a"), 60.0)
    log.slide_started("b", 40)
    log.tiles_done("b", 10, 1.0)
    end = time.monotonic() + 60
    while not (beats() and beats()[-1]["running"]) and time.monotonic() < end:
        time.sleep(0.01)
    log.close()
    last = beats()[-1]
    assert (last["slides"], last["finished"], last["left_s"]) == (3, 1, 120)
    assert last["running"] == [{"slide_id": "b", "tiles_done": 10, "tiles": 40}]
    assert json.loads(path.read_text().splitlines()[-1])["event"] == "batch_closed"


def test_log_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """A log asked for and not kept would be found out too late."""
    with pytest.raises(OutputError, match="choose another --log-json"):
        JsonLog(tmp_path / "none" / "log.jsonl")


def test_a_screen_that_is_gone_ends_nothing() -> None:
    """`nodescan run ... 2>&1 | head`, or a log's disk that is full: the slides are scanned all the same."""
    gone = io.StringIO()
    gone.close()
    for viewer in (Viewer(gone), PlainViewer(gone), BarViewer(gone)):
        viewer.note("a word")
        viewer.batch_started(1)
        viewer.slide_started("a", 2)
        viewer.tiles_done("a", 2, 1.0)
        viewer.slide_finished(result(()).report, 1.0)
        viewer.error("trouble")
        viewer.run_failed("trouble")
        viewer.close()


def test_a_log_that_was_cut_off_goes_on_in_a_line_of_its_own(tmp_path: Path) -> None:
    """Half a line is what a full disk leaves: the next run's first event is not lost with it."""
    path = tmp_path / "log.jsonl"
    path.write_text('{"ts": "2026-01-01", "event": "heart')
    log = JsonLog(path)
    log.note("first")
    log.close()
    assert json.loads(path.read_text().splitlines()[1])["message"] == "first"


def test_a_log_never_goes_into_another_file(tmp_path: Path) -> None:
    """`--log-json *.svs` names the first slide: it stays as it is. A log goes on."""
    (tmp_path / "a.svs").write_bytes(b"II*\0")
    with pytest.raises(UsageError, match=r"a\.svs: exists and is not a log of JSON lines"):
        JsonLog(tmp_path / "a.svs")
    assert (tmp_path / "a.svs").read_bytes() == b"II*\0"
    for content in ('{"deposits": []}', '{"ts": 1}\n', '{\n  "state": "finished"\n}\n', "{"):
        (tmp_path / "other.json").write_text(content)
        with pytest.raises(UsageError, match="is not a log of JSON lines"):
            JsonLog(tmp_path / "other.json")
        assert (tmp_path / "other.json").read_text() == content
    for _ in range(2):
        JsonLog(tmp_path / "log.jsonl").close()
    assert (tmp_path / "log.jsonl").stat().st_size > 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_full_disk_ends_the_log_and_not_the_batch(capsys: pytest.CaptureFixture[str]) -> None:
    """The log stops with one line on stderr."""
    log = JsonLog(Path("/dev/full"))
    log.batch_started(1)
    log.slide_started("a", 2)
    log.close()
    assert capsys.readouterr().err.count("the log ends here") == 1


def test_a_screen_that_fails_leaves_the_log_its_end(tmp_path: Path) -> None:
    """A closed window breaks the bars, and stderr with them: neither the batch nor the log."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

        def isatty(self) -> bool:
            return True

    viewers = Viewers([BarViewer(Gone()), JsonLog(tmp_path / "log.jsonl")])
    viewers.batch_started(1)
    viewers.slide_started("a", 2)
    viewers.tiles_done("a", 2, 1.0)
    viewers.slide_finished(complete("a"), 1.0)
    viewers.close()
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["event"] == "batch_closed"


def test_quiet_still_shows_errors() -> None:
    """--quiet silences progress, never a failure."""
    stream = io.StringIO()
    viewer = Viewers([Viewer(stream)])
    viewer.batch_started(1)
    viewer.slide_started("a", 1)
    viewer.error("a.svs: broken")
    assert stream.getvalue() == "error: a.svs: broken\n"


class Heard(Viewer):
    """Keeps all that it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, object]]] = []

    def hear(self, event: str, **facts: object) -> None:
        self.all.append((event, facts))


def test_what_a_worker_tells_of_a_slide_is_heard_by_the_run_and_by_all_its_viewers() -> None:
    """News in the order told, over a line of JSON each; the report, which is more than news, only among viewers."""
    lines, here, there = io.BytesIO(), Heard(), [Heard(), Heard()]
    for viewer in (here, Telling(Out(lines), 3)):
        viewer.slide_started("a", 4)
        viewer.note("the GPU is slow")
        viewer.tiles_done("a", 2, 0.5)
        viewer.error("a.svs: broken")
    for line in lines.getvalue().splitlines():
        show_news(json.loads(line), Viewers(there))
    assert there[0].all == there[1].all == here.all
    Viewers(there).slide_finished(complete("a"), 1.0)
    assert there[1].all[-1] == ("slide_finished", {"report": complete("a"), "seconds": 1.0})


@pytest.mark.parametrize("kind", [Viewer, PlainViewer, BarViewer])
def test_a_name_with_a_line_break_stays_on_its_line(kind: type[Viewer]) -> None:
    """Whoever reads stderr by lines is not told half a name; what would steer a terminal is escaped, too."""
    stream = io.StringIO()
    kind(stream).error("a\nb\x1b[31m\udcff\u00e9.tif: broken")
    assert stream.getvalue() == "error: a\\nb\\x1b[31m\\udcff\u00e9.tif: broken\n"


def test_outcome_says_a_lower_bound() -> None:
    """A slide that was read in part is never summed up as its bare class."""
    ref = SlideRef(slide_id="a", path=Path("a.svs"))
    deposits = (ellipse(1, (5200.0, 4300.0), 640.0),)
    part = SlideReport(ref, Status.INCOMPLETE, Metastasis.MICRO, at_least=True, deposits=deposits)
    assert outcome(part) == "incomplete, at least micro, at least 0.64 ± 0.02 mm"
    doubted = replace(part, flags=(Flag("nuclei_out_of_scale", "Nuclei look too small."),))
    assert outcome(doubted) == "incomplete, micro as measured, 0.64 ± 0.02 mm"
    nothing = SlideReport(slide=ref, status=Status.INCOMPLETE, metastasis=None, at_least=False)
    assert outcome(nothing) == "incomplete"


@pytest.mark.parametrize(("size_um", "text"), [(200.4, "0.2004"), (200.0, "0.20"), (2000.3, "2.0003")])
def test_outcome_prints_no_size_that_contradicts_its_class(size_um: float, text: str) -> None:
    """As the page prints it: 200.4 um is a micrometastasis, and "200 um" would be none."""
    found = result((ellipse(1, (5200.0, 4300.0), size_um),)).report
    assert outcome(found).startswith(f"complete, {classify(Micrometers(size_um)).word}, {text}")


@pytest.mark.parametrize(("seconds", "text"), [(None, "?"), (0.4, "0:00"), (187, "3:07"), (3725, "1:02:05")])
def test_durations_read_as_clocks(seconds: float | None, text: str) -> None:
    """Minutes and seconds, hours where there are any."""
    assert duration(seconds) == text


def test_a_line_is_written_in_one_piece() -> None:
    """Slides of two threads may tell something at once: a line and its end apart would leave two on one line."""
    pieces: list[str] = []

    class Pieces(io.StringIO):
        def write(self, text: str, /) -> int:
            pieces.append(text)
            return super().write(text)

    PlainViewer(Pieces()).error("a.svs: damaged")
    assert [piece for piece in pieces if piece] == ["error: a.svs: damaged\n"]
