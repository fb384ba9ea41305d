"""Worker processes: whatever happens to one costs at most its slide, and none is left behind."""

import html
import io
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from nodescan import __version__, machine
from nodescan.batch import slots
from nodescan.batch.executors import LocalSlots
from nodescan.batch.progress import PlainViewer
from nodescan.batch.record import RunRecord
from nodescan.batch.run import BatchResult
from nodescan.batch.slide_task import lost_slide
from nodescan.batch.worker_messages import ScanJob, job_line, line_of, packed, slide_line, unpacked
from nodescan.batch.worker_task import work
from nodescan.batch.workers import Opened, Worker, share_of_cores
from nodescan.config import load_config
from nodescan.domain.report import RESULT_VERSION, Status
from nodescan.domain.slide import SlideRef
from nodescan.errors import DeviceError, ModelError, StalledError, WorkerDiedError, WorkerError
from nodescan.inference.card import find_model
from tests.batch import worker_fakes
from tests.batch.run_tools import in_processes, in_this_process, scan_slides, slide_tools
from tests.batch.worker_fakes import PIDS, RUN
from tests.fakes import ColourPredictor, Listener, paint_slide
from tests.faults.accounting import rows
from tests.waiting import PATIENCE_S, gone, until

REPOSITORY = Path(__file__).parents[2]


def job(tmp_path: Path, opener: str) -> ScanJob:
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "model").mkdir(exist_ok=True)
    config = load_config()
    fake = f"tests.batch.worker_fakes:{opener}"
    return ScanJob(tmp_path / "out", tmp_path / "model", "cpu", config.name, config.text, ("json", "html"), fake)


def scanned(given: ScanJob, refs: list[SlideRef], *, slots: int, stall_s: float = PATIENCE_S) -> BatchResult:
    with LocalSlots(given, slots=slots, stall_s=stall_s) as executor:
        return scan_slides(refs, in_processes(executor, given), PlainViewer())


def ref(path: Path) -> SlideRef:
    return SlideRef(slide_id=path.stem, path=path)


def test_slide_that_kills_its_worker_twice_is_failed_with_the_signal_and_the_others_complete(tmp_path: Path) -> None:
    """In two slots at once; rows stand in the order asked for, and the failed slide has its page and its log."""
    deadly = ref(paint_slide(tmp_path / "a.tif", tumour_um=400))
    clean = [ref(paint_slide(tmp_path / f"{name}.tif")) for name in "bc"]
    result = scanned(job(tmp_path, "open_deadly"), [deadly, *clean], slots=2)
    out = tmp_path / "out"
    assert [(row["slide_id"], row["status"], row["flags"]) for row in rows(out)] == [
        ("a", "failed", "worker_died"),
        ("b", "complete", ""),
        ("c", "complete", ""),
    ]
    assert "was ended by SIGKILL twice" in result.reports[0].flags[0].message
    assert json.loads((out / "a" / "report.json").read_text())["flags"][0]["code"] == "worker_died"
    assert (out / "a" / "report.html").is_file()
    assert (out / "run.log").read_text().count(" a\n") == 2
    record = json.loads((out / "run.json").read_text())
    assert (record["state"], record["device"], record["model"]["name"]) == ("finished", "cpu", "colour")


def test_slide_under_which_a_worker_died_once_is_read_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second try is complete, and finds what a first one would have found."""
    deadly = ref(paint_slide(tmp_path / "a.tif", tumour_um=400))
    result = scanned(job(tmp_path, "open_deadly_once"), [deadly, ref(paint_slide(tmp_path / "b.tif"))], slots=1)
    assert result.complete
    assert (tmp_path / "model" / "died").exists()
    assert "a.tif: the process that read it was ended by SIGKILL; it is tried once more" in capsys.readouterr().err
    assert [row["metastasis"] for row in rows(tmp_path / "out")] == ["micro", "negative"]


def test_process_whose_model_failed_gets_no_other_slide(tmp_path: Path) -> None:
    """What broke in it may fail every later slide: the next one gets a new process."""
    failing = ref(paint_slide(tmp_path / "a.tif", tumour_um=400))
    clean = [ref(paint_slide(tmp_path / f"{name}.tif")) for name in "bc"]
    scanned(job(tmp_path, "open_failing_ever_after"), [failing, *clean], slots=1)
    assert [(row["status"], row["flags"]) for row in rows(tmp_path / "out")] == [
        ("failed", "model_failed"),
        ("complete", ""),
        ("complete", ""),
    ]


def test_slide_under_which_a_gpu_failed_is_read_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A CUDA error is no defect of the program or of the slide: a new process reads it, and the log says where."""
    failing = ref(paint_slide(tmp_path / "a.tif", tumour_um=400))
    given = job(tmp_path, "open_on_gpu_that_fails_once")
    result = scanned(given, [failing, ref(paint_slide(tmp_path / "b.tif"))], slots=1)
    assert result.complete
    assert [row["metastasis"] for row in rows(tmp_path / "out")] == ["micro", "negative"]
    said = "a.tif: the GPU failed (CUDA error: launch failure); it is tried once more, alone, when the other slides"
    assert said in capsys.readouterr().err
    log = (tmp_path / "out" / "run.log").read_text()
    assert "nodescan.errors.DeviceLostError: the GPU failed (CUDA error: launch failure)" in log


def test_slide_under_which_a_gpu_fails_twice_says_what_to_do(tmp_path: Path) -> None:
    """With no word of a damaged file or a defect; the slides after it have processes of their own."""
    failing = ref(paint_slide(tmp_path / "a.tif", tumour_um=400))
    scanned(job(tmp_path, "open_on_failing_gpu"), [failing, ref(paint_slide(tmp_path / "b.tif"))], slots=1)
    first, second = rows(tmp_path / "out")
    assert (first["status"], first["flags"], second["status"]) == ("failed", "worker_died", "complete")
    assert first["reason"] == (
        "the GPU failed (CUDA error: launch failure) twice, the second time with no other slide running; look at it "
        "with nvidia-smi and run again, or use --device cpu"
    )


def on_devices(tmp_path: Path, opener: str, *, slots: int) -> list[str]:
    """`devices` of run.json after three slides, the second with tumour."""
    given = job(tmp_path, opener)
    wanted = [ref(paint_slide(tmp_path / f"{name}.tif", tumour_um=um)) for name, um in (("a", 0), ("b", 400), ("c", 0))]
    assert scanned(given, wanted, slots=slots).complete
    return json.loads((given.folder / "run.json").read_text())["devices"]


def test_slot_that_goes_on_without_its_gpu_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once, with why: a night's work may take ten times as long. run.json names both devices."""
    gpu = worker_fakes.GPU.format(0)
    assert on_devices(tmp_path, "open_on_gpu_that_goes", slots=1) == [gpu, worker_fakes.WITHOUT_GPU]
    said = f"one slot continues on {worker_fakes.WITHOUT_GPU} instead of {gpu}"
    assert [line for line in capsys.readouterr().err.splitlines() if "one slot continues" in line] == [said]


def test_second_slot_that_gets_no_gpu_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run's line named the first one's device."""
    assert set(on_devices(tmp_path, "open_one_gpu_for_two", slots=2)) == {
        worker_fakes.GPU.format(0),
        worker_fakes.WITHOUT_GPU,
    }
    said = f"one slot continues on {worker_fakes.WITHOUT_GPU} instead of {worker_fakes.GPU.format(0)}"
    assert capsys.readouterr().err.count(said) == 1


def test_slots_with_a_gpu_each_say_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That is how several GPUs are used."""
    assert set(on_devices(tmp_path, "open_two_gpus", slots=2)) == {worker_fakes.GPU.format(slot) for slot in (0, 1)}
    assert "one slot continues" not in capsys.readouterr().err


def test_devices_of_earlier_runs_are_not_this_runs(tmp_path: Path) -> None:
    """A report that was kept tells its own."""
    given, slide = job(tmp_path, "open_two_gpus"), ref(paint_slide(tmp_path / "a.tif"))
    earlier = scanned(given, [slide], slots=1).reports[0]
    record = RunRecord(given.folder, (), load_config(), ColourPredictor(), ("json",))
    for kept, devices in ((frozenset[str](), [worker_fakes.GPU.format(0)]), (frozenset({"a"}), [])):
        replace(record, asked=("a",), kept=kept).write("finished", [earlier])
        assert json.loads((given.folder / "run.json").read_text())["devices"] == devices


def test_run_without_worker_processes_ends_where_its_gpu_fails(tmp_path: Path) -> None:
    """Every further slide would fail by the same broken context; none of them is called a defect or failed."""
    given = job(tmp_path, "open_on_failing_gpu")
    predictor, _ = worker_fakes.open_on_failing_gpu(given.model, device="cuda", slot=0)
    tools = in_this_process(slide_tools(given.folder, predictor, reports=given.reports))
    slides = [ref(paint_slide(tmp_path / f"{name}.tif", tumour_um=um)) for name, um in (("a", 0), ("b", 400), ("c", 0))]
    with pytest.raises(
        WorkerError, match=r"^the GPU failed \(CUDA error: launch failure\); look at it with nvidia-smi"
    ):
        scan_slides(slides, tools, PlainViewer())
    assert [row["status"] for row in rows(given.folder)] == ["complete", "failed", "failed"]
    assert all(row["reason"].startswith("the run ended before its result was there") for row in rows(given.folder)[1:])
    assert json.loads((given.folder / "run.json").read_text())["redo"] == ["b", "c"]
    assert "DeviceLostError: the GPU failed" in (given.folder / "run.log").read_text()
    assert not (given.folder / "b").exists()


def test_slide_without_progress_is_stopped_and_the_next_one_runs(tmp_path: Path) -> None:
    """It was tried again, alone: at first the next one was in its process, and might have held it up."""
    stalling = ref(paint_slide(tmp_path / "a.tif", tumour_um=400))
    clean = ref(paint_slide(tmp_path / "b.tif"))
    result = scanned(job(tmp_path, "open_stalling"), [stalling, clean], slots=1, stall_s=6)
    assert [report.status for report in result.reports] == [Status.FAILED, Status.COMPLETE]
    assert result.reports[0].flags[0].code == "stalled"
    assert "no progress for 0.1 min" in result.reports[0].flags[0].message


def test_worker_that_cannot_open_its_model_is_one_error_for_the_batch(tmp_path: Path) -> None:
    """What the worker met is raised here in its own words, and no slide is failed for it."""
    with pytest.raises(DeviceError, match="device 'cpu' isn't there"):
        LocalSlots(job(tmp_path, "open_nowhere"), slots=1, stall_s=PATIENCE_S)
    with pytest.raises(WorkerError, match=r"can't start: it ended by itself with exit code 1 \(ZeroDivisionError"):
        LocalSlots(job(tmp_path, "open_broken"), slots=1, stall_s=PATIENCE_S)


def test_no_more_workers_are_started_than_there_are_slides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two slides keep two of three slots busy; each takes a process's memory."""
    started: list[Worker] = []

    class Counted(Worker):
        def __init__(self, *, threads: int | None = None) -> None:
            super().__init__(threads=threads)
            started.append(self)

    monkeypatch.setattr(slots, "Worker", Counted)
    slides = [ref(paint_slide(tmp_path / f"{name}.tif")) for name in "ab"]
    assert scanned(job(tmp_path, "open_deadly_once"), slides, slots=3).complete
    assert 1 <= len(started) <= 2


def test_slot_that_cannot_begin_leaves_the_slides_to_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first of two, at that; which one is given up, and why, is told once."""
    slides = [ref(paint_slide(tmp_path / f"{name}.tif")) for name in "ab"]
    assert scanned(job(tmp_path, "open_beyond_the_first"), slides, slots=2).complete
    assert capsys.readouterr().err.count("error: one slot has stopped (cuda:0 doesn't compute); 1 still works") == 1


def test_worker_refuses_a_model_that_is_no_longer_the_runs(tmp_path: Path) -> None:
    """One that is started in mid-run reads it anew: its reports would be of another model than the others."""
    changed = replace(job(tmp_path, "open_deadly"), model=find_model(None), card_sha256="a" * 64)
    with pytest.raises(ModelError, match="the model was changed during the run"):
        LocalSlots(changed, slots=1, stall_s=PATIENCE_S)


@pytest.mark.parametrize("made_with", [(__version__, RESULT_VERSION - 1), ("0.0", RESULT_VERSION)])
def test_worker_of_another_nodescan_than_the_runs_refuses(tmp_path: Path, made_with: tuple[str, int]) -> None:
    """One that is started after an upgrade in mid-run: its slides would be found by other rules, unsaid."""
    said = "nodescan was changed during the run: .* run again when the installation is complete"
    with pytest.raises(WorkerError, match=said):
        LocalSlots(replace(job(tmp_path, "open_deadly"), made_with=made_with), slots=1, stall_s=PATIENCE_S)


def test_worker_of_the_runs_nodescan_opens(tmp_path: Path) -> None:
    """What it is compared with comes through the message whole."""
    same = replace(job(tmp_path, "open_deadly"), made_with=(__version__, RESULT_VERSION))
    said = json.loads(job_line(same, 0))
    assert (unpacked(said["job"]), tuple(said["made_with"])) == (same, same.made_with)
    slides = [ref(paint_slide(tmp_path / "b.tif"))]
    assert scanned(same, slides, slots=1).complete


def test_worker_that_knows_less_of_a_job_than_the_run_says_why(tmp_path: Path) -> None:
    """A newer run tells more of a job: the version is compared before that is taken apart."""
    message = json.loads(job_line(replace(job(tmp_path, "open_deadly"), made_with=("99", 1)), 0))
    heard, out = queue.SimpleQueue[bytes](), io.BytesIO()
    heard.put(line_of(message | {"job": "of tomorrow"}))
    work(heard, out)
    said = json.loads(out.getvalue())
    error = unpacked(said["error"])
    assert (said["event"], type(error)) == ("raised", WorkerError)
    assert f"a new process uses {__version__} (result version {RESULT_VERSION}), but the run uses 99" in str(error)


def test_worker_answers_in_lines_and_ends_with_its_stdin(tmp_path: Path) -> None:
    """Any program can run one; what a library prints is not mistaken for an answer."""
    command = [sys.executable, "-m", "nodescan.batch.worker_process"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=REPOSITORY
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(job_line(job(tmp_path, "open_deadly"), 0))
        process.stdin.write(slide_line(ref(paint_slide(tmp_path / "b.tif")), 0))
        process.stdin.flush()
        said: list[str] = []
        while not said or said[-1] != "slide_finished":
            said.append(json.loads(process.stdout.readline())["event"])
        assert said[:2] == ["ready", "slide_started"]
        assert set(said[2:-1]) == {"tiles_done"}
        process.stdin.close()
        process.wait(PATIENCE_S)
    assert (tmp_path / "out" / "b" / "report.json").is_file()


def test_worker_ends_with_its_stdin_while_it_still_loads_what_it_needs(tmp_path: Path) -> None:
    """A run that is killed at once leaves no process behind: here one that would load for ever."""
    (tmp_path / "numpy.py").write_text("import pathlib, time\npathlib.Path('loading').touch()\ntime.sleep(600)\n")
    command = [sys.executable, "-m", "nodescan.batch.worker_process"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)])},
        process_group=0 if os.name == "posix" else None,
    ) as process:
        assert process.stdin is not None
        until((tmp_path / "loading").exists)
        try:
            process.stdin.close()
            process.wait(20)
        finally:
            process.kill()


@pytest.mark.skipif(os.name != "posix", reason="another signal stands in for that of Windows")
def test_ctrl_break_is_for_the_supervisor_alone(tmp_path: Path) -> None:
    """It reaches every process of a console on Windows; the supervisor ends its workers."""
    (tmp_path / "scan.py").write_text(
        "import os, signal\ndef work(heard, out):\n    signal.raise_signal(signal.SIGBREAK)\n    os._exit(7)\n"
    )
    program = (
        "import signal\nsignal.SIGBREAK = signal.SIGUSR1\nfrom nodescan.batch import worker_process\n"
        "worker_process.WORK = 'scan:work'\nworker_process.main()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)])}
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, env=environment) as process:
        assert process.wait(PATIENCE_S) == 7


@pytest.mark.skipif(os.name != "posix", reason="Windows takes what others refuse")
def test_on_windows_too_a_worker_has_a_process_group_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else Ctrl-C would reach it there."""
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)
    with pytest.raises(ValueError, match="creationflags is only supported on Windows"):
        Worker()


@pytest.mark.skipif(os.name != "posix", reason="a shell script stands in for the worker")
def test_worker_that_is_killed_in_the_middle_of_a_line_costs_its_slide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a message is none: the slide is tried again, and the batch doesn't end."""
    script = tmp_path / "worker"
    ready = {"event": "ready", "opened": packed(Opened(ColourPredictor.model, "cpu", "float32", 4, 1))}
    half = '{"event": "slide_finished", "rep'
    script.write_text(f"#!/bin/sh\necho '{json.dumps(ready)}'\nread job\nread slide\nprintf '{half}'\nkill -9 $$\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with Worker() as worker:
        worker.open(job(tmp_path, "open_deadly"), stall_s=PATIENCE_S)
        with pytest.raises(WorkerDiedError, match="was ended by SIGKILL"):
            worker.scan(ref(tmp_path / "a.tif"), Listener(), stall_s=PATIENCE_S)


@pytest.mark.parametrize("short", [True, False])
def test_worker_that_ends_for_want_of_threads_blames_no_file(tmp_path: Path, short: bool) -> None:
    """Its last words say so before the stacks of all threads, at each try; without such words both causes are named."""
    reading = ref(paint_slide(tmp_path / "a.tif", tumour_um=400))
    given = job(tmp_path, "open_short_of_threads" if short else "open_aborting")
    (flag,) = scanned(given, [reading], slots=1).reports[0].flags
    why, _, remedy = flag.message.partition("; ")
    assert why.endswith("was ended by SIGABRT twice, the second time with no other slide running")
    threads = "end other programs, or raise the limit of processes (ulimit -u)"
    if short:
        assert remedy == f"no more threads could be started: {threads}"
    else:
        assert remedy == f"if memory or threads ran out, {threads}; else the file may be damaged: " + (
            "export it from the scanner again"
        )
    log = (tmp_path / "out" / "run.log").read_text()
    assert log.count("Resource temporarily unavailable") == (2 if short else 0)
    assert log.count("Fatal Python error: Aborted") == 2


def test_nothing_of_a_worker_stays_open(tmp_path: Path) -> None:
    """Python warns of a stream that is thrown away open."""
    with Worker() as worker:
        streams = worker._process.stdin, worker._process.stdout
    assert None not in streams
    until(lambda: all(stream is not None and stream.closed for stream in streams))


class DeadDisk(type(Path())):
    """A path that nobody may look at: on a disk that is gone that would take for ever."""

    def stat(self, **_: object) -> os.stat_result:
        raise AssertionError(f"{self.name} was looked at")

    def open(self, *_: object, **__: object) -> NoReturn:
        raise AssertionError(f"{self.name} was opened")


def test_a_slide_that_was_lost_is_reported_without_a_look_at_its_file(tmp_path: Path) -> None:
    """Its process was stopped for it hung there; whoever stopped it would hang next."""
    (tmp_path / "out").mkdir()
    tools = slide_tools(tmp_path / "out")
    lost = SlideRef(slide_id="a", path=DeadDisk("/dead/a.svs"))
    error = StalledError("a.svs", "it made no progress for 10 min and was stopped")
    report = lost_slide(lost, error, tools=tools, viewer=Listener())
    assert report.flags[0].code == "stalled"
    content = json.loads((tmp_path / "out" / "a" / "report.json").read_text())
    assert (content["status"], content["provenance"]["asked"]["slide_state"]) == ("failed", "")


def test_device_that_goes_in_mid_run_is_no_wrong_usage(tmp_path: Path) -> None:
    """The command as typed was right: exit 1; a row for each slide, and of what wasn't scanned it says why."""
    paint_slide(tmp_path / "a.tif")
    paint_slide(tmp_path / "b.tif", tumour_um=400)
    options = ["run", "a.tif", "b.tif", "--out", "out", "--slots", "1", "--quiet", "--model", "model"]
    shutil.copytree(REPOSITORY / "nodescan" / "weights" / "pcam-p4m", tmp_path / "model")
    done = subprocess.run(
        [sys.executable, "-c", RUN, "tests.batch.worker_fakes:open_until_it_dies", *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1] == "error: device 'auto' isn't there any more"
    ended = "the run ended before its result was there: device 'auto' isn't there any more"
    assert [(row["slide_id"], row["status"], row["reason"]) for row in rows(tmp_path / "out")] == [
        ("a", "complete", ""),
        ("b", "failed", ended),
    ]
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["state"], record["redo"]) == ("interrupted", ["b"])
    assert ended in html.unescape((tmp_path / "out" / "summary.html").read_text())
    assert not (tmp_path / "out" / "b").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(
    ("number", "to_group"), [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGKILL, False)]
)
def test_stopped_run_keeps_what_is_finished_and_leaves_no_worker(
    tmp_path: Path, number: signal.Signals, to_group: bool
) -> None:
    """Ctrl-C, as a terminal sends it, and SIGTERM exit 130 and say so; even a run that is killed leaves no process."""
    paint_slide(tmp_path / "a.tif")
    paint_slide(tmp_path / "b.tif", tumour_um=400)
    options = ["run", "a.tif", "b.tif", "--out", "out", "--slots", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "tests.batch.worker_fakes:open_stalling", *options],
        cwd=tmp_path,
        env=os.environ | {PIDS: str(tmp_path / "pid"), "PYTHONPATH": str(REPOSITORY)},
        stderr=(tmp_path / "said").open("w"),
        start_new_session=True,
    )
    started = ("done 1/2 a: complete", "slide 2/2 b: ")
    until(lambda: all(line in (tmp_path / "said").read_text() for line in started) or process.poll() is not None)
    worker, out = int((tmp_path / "pid").read_text()), tmp_path / "out"
    assert not gone(worker), (tmp_path / "said").read_text()
    until(lambda: rows(out))  # written right after the line is said
    os.kill(-process.pid if to_group else process.pid, number)
    code = process.wait(PATIENCE_S)
    until(lambda: gone(worker))
    assert [row["slide_id"] for row in rows(out)] == ["a"]
    assert not (out / "b").exists()
    if number is not signal.SIGKILL:
        assert code == 130
        said = (tmp_path / "said").read_text()
        assert "; the slides done so far are in out/summary.csv; the same command " in said
        assert json.loads((out / "run.json").read_text())["state"] == "interrupted"
        assert [path.name for path in out.iterdir() if path.name.endswith(".part")] == []


def test_worker_ends_with_the_block() -> None:
    """One that was started ahead for a run that is refused doesn't live on."""
    with Worker() as worker:
        assert worker.alive()
    assert not worker.alive()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the environment of a process is read from /proc")
@pytest.mark.parametrize(("said", "given"), [(None, "2"), ("7", "7")])
def test_worker_keeps_little_of_what_its_threads_freed(
    monkeypatch: pytest.MonkeyPatch, said: str | None, given: str
) -> None:
    """Two places for it, unless the user says another number: with one for each thread 0.3 GB more stayed in use."""
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    if said is not None:
        monkeypatch.setenv("MALLOC_ARENA_MAX", said)
    with Worker() as worker:
        environment = Path(f"/proc/{worker._process.pid}/environ").read_text().split("\0")
    assert [name for name in environment if name.startswith("MALLOC_ARENA_MAX")] == [f"MALLOC_ARENA_MAX={given}"]


def test_cores_are_shared_among_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """One slot computes with all of them; with more slots than cores each has one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "_CGROUPS", Path("nowhere"))
    assert [share_of_cores(slots) for slots in (None, 0, 1, 2, 3, 20)] == [None, None, None, 4, 2, 1]


@pytest.mark.parametrize(
    ("share", "threads"),
    [("max 100000", [None, 4]), ("250000 100000", [3, 1]), ("1600000 100000", [None, 4]), ("5000 100000", [1, 1])],
)
def test_a_containers_share_of_the_processor_limits_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: str, threads: list[int | None]
) -> None:
    """Of one worker and of two, on eight cores: more threads than its share only wait for each other."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    (tmp_path / "cpu.max").write_text(share + "\n")
    assert [share_of_cores(slots) for slots in (None, 2)] == threads
