"""`nodescan stage` from the command line."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
import typer

from nodescan.batch.lock import LOCK_FILE, held
from nodescan.commands import stage
from nodescan.domain.flags import Flag
from nodescan.domain.report import Provenance, Status
from nodescan.domain.slide import SpacingSource
from nodescan.errors import OutputError, UsageError
from nodescan.reports.summary_page import write_summary_page
from tests.patients.made_reports import report, write_csv, write_run
from tests.reports.factory import RUN, read_aloud

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(stage.stage)


def stage(*words: str) -> int:
    return app(args=list(words), standalone_mode=False)


def a_run(folder: Path) -> tuple[Path, Path]:
    run = write_run(
        folder / "run",
        [
            report("a", (900.0,)),
            report("b"),
            report("c", status=Status.FAILED, flags=(Flag("unreadable", "the file is truncated"),)),
        ],
    )
    manifest = write_csv(
        folder / "m.csv",
        "slide_id,patient_id,node_id,sentinel,nodes_removed",
        "a,A,1,yes,2",
        "b,A,2,yes,2",
        "c,C,1,yes,1",
    )
    return run, manifest


def test_a_pixel_size_that_was_corrected_since_the_scan_is_no_stage_s(tmp_path: Path) -> None:
    """Sizes measured with another one would be staged in silence; the same, rounded, is no other."""
    run, _ = a_run(tmp_path)
    stated = write_csv(tmp_path / "m.csv", "slide_id,patient_id,mpp", "a,A,0.252", "b,A,", "c,A,0.5")
    assert stage(str(run), "--manifest", str(stated)) == 1
    corrected = write_csv(tmp_path / "m.csv", "slide_id,patient_id,mpp", "a,A,0.5")
    with pytest.raises(UsageError, match=r"line 2: mpp is 0\.5, but the report of slide 'a' is measured with 0\.25"):
        stage(str(run), "--manifest", str(corrected))


def test_the_index_of_the_run_tells_what_was_staged(tmp_path: Path) -> None:
    """In the run's own folder, where the page of before would tell nothing of the review."""
    run, manifest = a_run(tmp_path)
    write_summary_page([report("a", (900.0,)), report("b")], run, asked=2, run=RUN)
    assert stage(str(run), "--manifest", str(manifest)) == 1
    told = (run / "summary.html").read_text(encoding="utf-8")
    assert "1 of 2 patients determined" in told
    assert 'href="./patients/A.html"' in told


def test_another_scan_is_advised_only_where_it_would_take_the_size(tmp_path: Path) -> None:
    """A file that says its size refuses another one; a size that was given once may be given anew."""
    manifest = write_csv(tmp_path / "m.csv", "slide_id,patient_id,mpp", "a,A,0.5")
    told_by_source = {SpacingSource.FILE: "--mpp 0.5 --override-mpp", SpacingSource.USER: "run the slide again"}
    for source, told in told_by_source.items():
        one = report("a", (900.0,))
        assert one.info is not None
        run = write_run(tmp_path / source, [replace(one, info=replace(one.info, spacing_source=source))])
        with pytest.raises(UsageError) as refused:
            stage(str(run), "--manifest", str(manifest))
        assert told in str(refused.value)
        assert ("run the slide again" in str(refused.value)) is source.given


def test_reports_of_an_earlier_result_version_are_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of one version, they are not mixed; yet a run would give other results now."""
    made = Provenance({}, "", "", "cpu", "float32", "2026-01-01T00:00:00+00:00", 1.0, result_version=1)
    run = write_run(tmp_path / "run", [replace(report("a", (900.0,)), provenance=made)])
    manifest = write_csv(tmp_path / "m.csv", "slide_id,patient_id", "a,A")
    assert stage(str(run), "--manifest", str(manifest)) == 0
    assert (
        "note: the reports are from result version 1, but nodescan now gives other results" in capsys.readouterr().err
    )


def test_camelyon17_labels_give_their_own_stages(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file's own format means its own table: 100 of 100, kappa 1."""
    path = shared / "data" / "camelyon17" / "stage_labels.csv"
    assert stage("--labels", str(path)) == 0
    assert "100 of 100 stages equal those in stage_labels.csv; quadratic kappa 1.000" in capsys.readouterr().out
    assert stage("--labels", str(path), "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["agreement_with_stated"] == {"n": 100, "agreed": 100, "kappa": 1.0}
    assert all(patient["stage"] == patient["stated_stage"] for patient in content["patients"])
    assert stage("--labels", str(path), "--mode", "ajcc8") == 0
    assert "pN1a" in capsys.readouterr().out


def test_stages_that_differ_from_the_stated_ones_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A count of agreement alone doesn't say where to look."""
    rows = (
        "patient_001.zip,pN0",
        "patient_001_node_0.tif,macro",
        "patient_002.zip,pN0",
        "patient_002_node_0.tif,negative",
    )
    stage("--labels", str(write_csv(tmp_path / "stages.csv", "patient,stage", *rows)))
    out = capsys.readouterr().out
    assert "1 of 2 stages equal" in out
    assert "differs: patient_001, pN0 in stages.csv, pN1 by its nodes" in out
    assert "differs: patient_002" not in out


def test_sizes_of_some_nodes_alone_leave_the_largest_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside pN1a stands no size of a micrometastasis, neither in the table nor in JSON."""
    rows = ("p1,1,macro,", "p1,2,micro,500", "p2,1,macro,", "p3,1,itc,90")
    path = write_csv(tmp_path / "l.csv", "patient_id,node_id,label,largest_deposit_um", *rows)
    stage("--labels", str(path))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()[1:4]]
    assert lines[0].endswith("cannot be determined (not measured)")
    assert lines[1].endswith("1")
    assert lines[2].endswith("0.090 mm")
    stage("--labels", str(path), "--json")
    patients = json.loads(capsys.readouterr().out)["patients"]
    assert [patient["largest_deposit_um"] for patient in patients] == [None, None, 90.0]


def test_a_run_is_staged_into_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files, a table, the reason for what isn't determined, and exit 1 because of it."""
    run, manifest = a_run(tmp_path)
    assert stage(str(run), "--manifest", str(manifest)) == 1
    out = capsys.readouterr().out
    assert "pN1mi(sn)" in out
    assert "note, C: Node 1, slide c: failed (the file is truncated)." in out
    assert "1 of 2 determined" in out
    assert re.search(r"^A +pN1mi\(sn\) +2 of 2 +0\.900", out, re.MULTILINE)
    assert re.search(r"^C +cannot be determined \(no readable slide\) +0 of 1 *$", out, re.MULTILINE)
    assert "not for clinical use" in out
    assert (run / "patients.csv").is_file()
    assert (run / "patients" / "A.html").is_file()


def test_a_size_that_is_a_lower_bound_says_so_in_each_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a node of which one slide was read in part: on the terminal, and of the node on the page; no other."""
    run = write_run(tmp_path / "run", [report("a", (900.0,), status=Status.INCOMPLETE), report("b", (700.0,))])
    manifest = write_csv(tmp_path / "m.csv", "slide_id,patient_id,node_id", "a,A,1", "b,A,2")
    stage(str(run), "--manifest", str(manifest))
    assert re.search(r"^A +at least pN1mi.* +2 of 2 +at least 0\.900 ", capsys.readouterr().out, re.MULTILINE)
    page = read_aloud((run / "patients" / "A.html").read_text())
    sizes = re.findall(r'data-label="Largest deposit">(.*?)</td>', page)
    assert [size.partition(" ±")[0] for size in sizes] == ["at least 0.900", "0.700"]


def test_nothing_is_staged_while_a_run_works_in_the_folder(tmp_path: Path) -> None:
    """It may be writing reports, or stages of its own."""
    run, manifest = a_run(tmp_path)
    with held(run), pytest.raises(OutputError, match="choose another OUT"):
        stage(str(run), "--manifest", str(manifest))
    assert not (run / "patients.csv").exists()
    stage(str(run), "--manifest", str(manifest))
    assert not (run / LOCK_FILE).exists()


def test_a_submission_of_the_users_own_stays(tmp_path: Path) -> None:
    """It is neither written over nor moved."""
    run, manifest = a_run(tmp_path)
    own = run / "camelyon17_submission.csv"
    own.write_text("my notes\n")
    with pytest.raises(UsageError, match=r"camelyon17_submission\.csv: is there, and nodescan didn't write it"):
        stage(str(run), "--manifest", str(manifest))
    assert own.read_text() == "my notes\n"


def test_a_submission_without_any_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The challenge's test patients have no labels; one that wasn't read whole is named and left out, never pN0."""
    run, manifest = a_run(tmp_path)
    stage(str(run), "--manifest", str(manifest), "--mode", "camelyon17")
    assert "camelyon17_submission.csv, without C, whose stage is not determined" in capsys.readouterr().out
    text = (run / "camelyon17_submission.csv").read_text()
    assert text == "patient,stage\nA.zip,pN1mi\na.tif,micro\nb.tif,negative\n"
    stage(str(run), "--manifest", str(manifest))
    assert not (run / "camelyon17_submission.csv").exists()
    assert (run / "patients-before-1" / "camelyon17_submission.csv").read_text() == text
    assert "note: the stages by the table camelyon17 were moved to patients-before-1" in capsys.readouterr().err


def test_corrections_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The reviewed stage with the software's own beside it."""
    run, manifest = a_run(tmp_path)
    review = write_csv(tmp_path / "review.csv", "slide_id,deposit_id,action,value,by", "a,1,resize,2100,Dr A")
    before = datetime.now(UTC).replace(microsecond=0)
    stage(str(run), "--manifest", str(manifest), "--corrections", str(review), "--json")
    content = json.loads(capsys.readouterr().out)
    patient = content["patients"][0]
    assert (patient["stage"], patient["software_stage"]) == ("pN1a(sn)", "pN1mi(sn)")
    assert content["corrections_file"] == {"name": "review.csv", "sha256": sha256(review.read_bytes()).hexdigest()}
    assert before <= datetime.fromisoformat(content["staged_at"]) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("size_um", "review", "printed"),
    [
        (900.0, "a,1,resize,2100,Dr A", "pN1a(sn) (software alone: pN1mi(sn))"),
        (900.0, "a,1,resize,950,Dr A", "pN1mi(sn)"),
        (1998.0, "a,1,resize,1900,Dr A", "pN1mi(sn) (software alone: pN1mi(sn), borderline: pN1mi or pN1a)"),
    ],
)
def test_the_softwares_own_stage_is_printed_where_it_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], size_um: float, review: str, printed: str
) -> None:
    """In its category, or in what its sizes, 4 um unsure, leave open."""
    run = write_run(tmp_path / "run", [report("a", (size_um,))])
    manifest = write_csv(tmp_path / "m.csv", "slide_id,patient_id,node_id,sentinel,nodes_removed", "a,A,1,yes,1")
    rows = write_csv(tmp_path / "review.csv", "slide_id,deposit_id,action,value,by", review)
    stage(str(run), "--manifest", str(manifest), "--corrections", str(rows))
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("A "))
    assert re.split(r"\s{2,}", line)[1] == printed


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_review_is_set_aside_before_a_stage_without_it(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is kept whole and named; one review takes another's place, and stages without one their own, in silence."""
    run, manifest = a_run(tmp_path)
    review = write_csv(tmp_path / "review.csv", "slide_id,deposit_id,action,value,by", "a,1,resize,2100,Dr A")
    for _ in range(2):
        stage(str(run), "--manifest", str(manifest), "--corrections", str(review))
    assert not list(run.glob("patients-before-*"))
    reviewed = (run / "patients.json").read_bytes()
    for _ in range(2):
        stage(str(run), "--manifest", str(manifest), *words)
    assert capsys.readouterr().err.count("note: the reviewed stages were moved to patients-before-1") == 1
    (aside,) = run.glob("patients-before-*")
    assert (aside / "patients.json").read_bytes() == reviewed
    assert "Dr A" in (aside / "patients" / "A.html").read_text()
    assert [one["corrections"] for one in json.loads((run / "patients.json").read_bytes())["patients"]] == [[], []]


def test_a_review_that_lies_aside_alone_is_told_at_its_patient(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In every stage without it, on the terminal, the page and in the index, also where the slide is corrected anew."""
    run, manifest = a_run(tmp_path)
    header = "slide_id,deposit_id,action,value,by"
    first = write_csv(tmp_path / "first.csv", header, "a,1,resize,2100,Dr A")
    later = write_csv(tmp_path / "later.csv", header, "a,1,resize,2200,Dr A")
    write_summary_page([report("a", (900.0,))], run, asked=1, run=RUN)
    told: list[int] = []
    for words in ((), ("--corrections", str(first)), (), (), ("--corrections", str(later))):
        stage(str(run), "--manifest", str(manifest), *words)
        printed = capsys.readouterr().out
        text = "Earlier corrections by Dr A have no part in this stage: resize of deposit 1 on slide a (macro, 2.10 mm)"
        told.append(printed.count(f"note, A: {text}. They lie in patients-before-1, "))
        page, index = (read_aloud((run / name).read_text()) for name in ("patients/A.html", "summary.html"))
        assert (f"{text}. They lie in patients-before-1, " in page) == bool(told[-1])
        assert "earlier corrections left out" in page if told[-1] else "left out" not in page
        assert ("earlier corrections left out" in index) == bool(told[-1])
        assert "note, C: Earlier" not in printed
    assert told == [0, 0, 1, 1, 1]


def test_a_second_review_that_lacks_the_first_ones_corrections_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Corrections don't add up from file to file: what the first rejected would stand again, in silence."""
    run, manifest = a_run(tmp_path)
    header = "slide_id,deposit_id,centre_x_um,centre_y_um,action,value,by"
    first, second = "a,1,,,resize,2100,Dr A", "b,,900,900,add,300,Dr B"
    for rows in ((first,), (first, second), (second,), (second,)):
        review = write_csv(tmp_path / "review.csv", header, *rows)
        assert stage(str(run), "--manifest", str(manifest), "--corrections", str(review)) in (0, 1)
    told = capsys.readouterr().err
    assert told.count("note: the stages of an earlier review were moved to patients-before-1, because ") == 1
    assert [path.name for path in run.glob("patients-before-*")] == ["patients-before-1"]
    assert "Dr A" in (run / "patients-before-1" / "patients" / "A.html").read_text()


def test_patients_of_an_earlier_manifest_are_told_before_their_pages_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once: what stands there afterwards is this manifest's."""
    run, manifest = a_run(tmp_path)
    stage(str(run), "--manifest", str(manifest))
    later = write_csv(tmp_path / "later.csv", "slide_id,patient_id,node_id", "c,C,1")
    for _ in range(2):
        stage(str(run), "--manifest", str(later))
    assert capsys.readouterr().err.count("note: the earlier stages of A: removed, for the manifest doesn't list") == 1
    assert [path.name for path in (run / "patients").iterdir()] == ["C.html"]


def test_reports_that_were_not_made_alike_are_told_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside --json, too; what differs, and the way out."""
    run, manifest = a_run(tmp_path)
    stage(str(run), "--manifest", str(manifest), "--json")
    assert capsys.readouterr().err == ""
    other = run / "b" / "report.json"
    other.write_text(other.read_text().replace("ab" * 32, "12" * 32))
    stage(str(run), "--manifest", str(manifest), "--json")
    told = capsys.readouterr()
    assert "note: the reports were not made alike: model m (weights abababababab, threshold 0.5): a, c; " in told.err
    assert "run the slides again with one --model" in told.err
    assert json.loads(told.out)["mixed_reports"].endswith("model m (weights 121212121212, threshold 0.5): b")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name the folder of a run"),
        (["run"], "--manifest CSV is missing"),
        (["run", "--labels", "x.csv"], "leave out OUT"),
        (["nowhere", "--manifest", "nowhere.csv"], "no such folder"),
        (["--labels", "nowhere.csv"], "can't be read"),
    ],
)
def test_wrong_usage_says_what_to_do(words: list[str], message: str) -> None:
    """One line with the way out."""
    with pytest.raises(UsageError, match=message):
        stage(*words)


@pytest.mark.parametrize("header", ["slide_id,mpp", "slide_id,mpp,patient_id"])
def test_a_list_of_slides_is_no_table_of_patients(tmp_path: Path, header: str) -> None:
    """Whether the column is absent or empty, the folder stays as it was."""
    run, _ = a_run(tmp_path)
    table = write_csv(tmp_path / "list.csv", header, "a,0.25" + "," * (header.count(",") - 1))
    with pytest.raises(UsageError, match=r"list\.csv: no row has a patient_id, .*; fill in that column"):
        stage(str(run), "--manifest", str(table))
    assert not (run / "patients.json").exists()


def test_an_unknown_mode_is_refused(shared: Path) -> None:
    """The two tables are named."""
    with pytest.raises(UsageError, match="choose from ajcc8, camelyon17"):
        stage("--labels", str(shared / "data" / "camelyon17" / "stage_labels.csv"), "--mode", "ajcc7")


def test_no_name_becomes_a_formula_in_a_submission(tmp_path: Path) -> None:
    """The challenge's own names begin as none does."""
    run, _ = a_run(tmp_path)
    manifest = write_csv(tmp_path / "n.csv", "slide_id,patient_id,node_id", '"a","=HYPERLINK(1)",1')
    stage(str(run), "--manifest", str(manifest), "--mode", "camelyon17")
    assert (run / "camelyon17_submission.csv").read_text() == "patient,stage\n'=HYPERLINK(1).zip,pN1mi\na.tif,micro\n"


@pytest.mark.parametrize("column", ["patient_id", "specimen_id", "node_id", "slide_id"])
def test_ids_that_could_steer_a_terminal_are_refused(tmp_path: Path, column: str) -> None:
    """In a manifest and in a table of labels, by their line."""
    row = {"patient_id": "A", "specimen_id": "S", "node_id": "1", "slide_id": "a", "label": "itc"}
    row[column] = "x\x1b[2J"
    labels = write_csv(tmp_path / "l.csv", ",".join(row), ",".join(row.values()))
    with pytest.raises(UsageError, match=rf"l\.csv, line 2: {column} .* doesn't print"):
        stage("--labels", str(labels))
    run, _ = a_run(tmp_path)
    del row["label"]
    manifest = write_csv(tmp_path / "n.csv", ",".join(row), ",".join(row.values()))
    with pytest.raises(UsageError, match=rf"n\.csv, line 2: {column} .* doesn't print"):
        stage(str(run), "--manifest", str(manifest))


def test_what_a_report_says_is_printed_on_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A flag of somebody else's report neither steers the terminal nor forges a line."""
    said = "bad\x1b[2J\n9 of 9 determined\u202e\x9b"
    run = write_run(tmp_path / "run", [report("c", status=Status.FAILED, flags=(Flag("unreadable", said),))])
    stage(str(run), "--manifest", str(write_csv(tmp_path / "m.csv", "slide_id,patient_id,node_id", "c,C,1")))
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.splitlines())
    assert "bad\\x1b[2J\\n9 of 9 determined\\u202e\\x9b" in out


def test_many_slides_are_counted_and_a_few_of_them_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Thousands that were not run, or of another stain, fill no screen; patients.json has every one. Nobody ran them,
    so none of them failed."""
    run, _ = a_run(tmp_path)
    missing = [f"m{number},M{number % 2},{number},HE" for number in range(7)]
    stained = [f"k{number},K,{number},CK" for number in range(8)]
    manifest = write_csv(tmp_path / "n.csv", "slide_id,patient_id,node_id,stain", "a,A,1,HE", *missing, *stained)
    assert stage(str(run), "--manifest", str(manifest)) == 1
    out = capsys.readouterr().out
    assert "note, 2 patients: 7 slides (m0, m2, m4, m6, m1 and 2 more): listed, but not run." in out
    assert "7 slides in the manifest but not run, so their nodes count as unread: m0, m1, m2, m3, m4 and 2 more" in out
    assert "8 slides with another stain than H&E, left to the pathologist: k0, k1, k2, k3, k4 and 3 more" in out
    assert not [name for name in ("m5", "k5", "failed") if name in out]
    told = json.loads((run / "patients.json").read_text())
    assert len(told["slides_not_run"]) == 7
    assert all(f"slide m{number}: listed, but not run." in json.dumps(told) for number in range(7))


def test_a_submission_names_a_few_of_the_patients_that_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are counted."""
    run, _ = a_run(tmp_path)
    rows = [f"m{number},M{number},1" for number in range(7)]
    manifest = write_csv(tmp_path / "n.csv", "slide_id,patient_id,node_id", "a,A,1", *rows)
    stage(str(run), "--manifest", str(manifest), "--mode", "camelyon17")
    assert "without M0, M1, M2, M3, M4 and 2 more, whose stage is not determined" in capsys.readouterr().out
