"""Which files of a folder of results name a patient, and how a patient is removed, as docs/lab.md says."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import typer

from nodescan.batch.record import keep_in_log
from nodescan.batch.request import BatchRequest
from nodescan.batch.run import run_batch
from nodescan.commands import evaluate, stage
from tests.fakes import ColourPredictor, Listener, paint_slide, scan_with
from tests.patients.made_reports import write_csv

CANARY = "canary"
"""In every name of the patient who is to be removed: of the person, the slides and their files, and in a comment."""


class Lab:
    """Two patients whose slides are run, reviewed and scored. slides: slide_id -> file."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.out = folder, folder / "out"
        scan_with(ColourPredictor(), patch)
        self.slides = {f"{CANARY}-1": f"{CANARY}doe.tif", f"{CANARY}-2": f"{CANARY}bad.tif", "o-1": "other.tif"}
        for name, file in self.slides.items():
            paint_slide(folder / file, tumour_um=400 if name.endswith("1") else 0)
        (folder / f"{CANARY}bad.tif").write_text("no slide")

    def write_tables(self, *slide_ids: str) -> None:
        """The manifest, the corrections and the reference, with the rows of these slides."""
        patients = {name: CANARY if name.startswith(CANARY) else "O" for name in slide_ids}
        rows = [f"{self.slides[name]},{name},{patients[name]},{name}" for name in slide_ids]
        write_csv(self.folder / "m.csv", "path,slide_id,patient_id,node_id", *rows)
        read = [f"{name},,,,read,micro,Dr A,{patients[name]}" for name in slide_ids]
        write_csv(self.folder / "c.csv", "slide_id,deposit_id,centre_x_um,centre_y_um,action,value,by,comment", *read)
        write_csv(self.folder / "r.csv", "slide_id,label,patient_id", *(f"{n},micro,{patients[n]}" for n in slide_ids))

    def run(self) -> None:
        run_batch(BatchRequest((), self.out, slots=0, manifest=self.folder / "m.csv"), Listener())

    def review(self) -> None:
        _call(stage.stage, self.out, "--manifest", self.folder / "m.csv", "--corrections", self.folder / "c.csv")

    def score(self) -> None:
        _call(evaluate.evaluate, self.out, "--reference", self.folder / "r.csv")

    def naming(self) -> set[str]:
        return _naming(self.out)


def _naming(folder: Path) -> set[str]:
    """What in the folder has the canary in a name or in its content."""
    found: set[str] = set()
    for path in folder.rglob("*"):
        place = path.relative_to(folder).as_posix()
        if CANARY in place.casefold() or (path.is_file() and CANARY.encode() in path.read_bytes().lower()):
            found.add(place.partition("/")[0])
    return found


def _call(command: object, *words: object) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)  # pyright: ignore[reportArgumentType, reportCallIssue]
    app(args=list(map(str, words)), standalone_mode=False)


def test_summary_csv_alone_names_the_file_of_a_slide_that_the_manifest_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files of one name in the folders of two patients, and two that can't be read, whose reasons name the file on
    the terminal. The table has no folders. A second run keeps the reports, and the folder can be staged."""
    scan_with(ColourPredictor(), monkeypatch)
    for name in ("Ada", "Bob"):
        paint_slide(tmp_path / f"{CANARY}{name}" / f"{CANARY}doe.tif", tumour_um=400)
    tifffile.imwrite(tmp_path / f"{CANARY}plain.tif", np.zeros((300, 200, 3), np.uint8), photometric="rgb")
    (tmp_path / f"{CANARY}mirax.mrxs").write_bytes(b"x")
    files = (
        f"{CANARY}Ada/{CANARY}doe.tif",
        f"{CANARY}Bob/{CANARY}doe.tif",
        f"{CANARY}plain.tif",
        f"{CANARY}mirax.mrxs",
    )
    rows = [f"{file},s{number},P{number % 2},{number}" for number, file in enumerate(files)]
    manifest = write_csv(tmp_path / "m.csv", "path,slide_id,patient_id,node_id", *rows)
    out = tmp_path / "out"
    for _ in range(2):
        heard = Listener()
        run_batch(BatchRequest((), out, slots=0, manifest=manifest), heard)
        assert any(f"`vips tiffsave {CANARY}plain.tif {CANARY}plain-tiled.tif" in line for line in heard.errors)
        assert _naming(out) == {"summary.csv"}
        assert f"{CANARY}ada" not in (out / "summary.csv").read_text().casefold()
    assert sorted(heard.scanned) == ["s2", "s3"]
    assert "put the folder s3/ beside s3.mrxs" in (out / "s3" / "report.html").read_text()
    staged = (out / "patients.csv").read_bytes()
    for report in out.glob("*/report.json"):  # as docs/lab.md says of a copy that is handed on
        emptied, count = re.subn(r'"slide_(place|state)": "[0-9a-f]+"', r'"slide_\1": ""', report.read_text())
        report.write_text(emptied)
        assert count == 2
    _call(stage.stage, out, "--manifest", manifest)
    assert _naming(out) == {"summary.csv"}
    assert (out / "patients.csv").read_bytes() == staged


def test_by_the_steps_of_the_lab_s_page_nothing_of_a_patient_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was done with the results before; the other patient's finished report stays, and the review is made
    again."""
    lab = Lab(tmp_path, monkeypatch)
    lab.write_tables(*lab.slides)
    lab.run()
    lab.review()
    lab.score()
    paint_slide(tmp_path / f"{CANARY}doe.tif", tumour_um=450)
    lab.run()
    keep_in_log(lab.out, f"{CANARY}-1", "Traceback")
    own = {f"{CANARY}-1", f"{CANARY}-2", "earlier-reports"}
    shared = {"patients", "patients.csv", "patients.json", "patients-before-1", "evaluation", "summary.csv"}
    assert lab.naming() == {*own, *shared, "summary.html", "run.json", "run.log"}
    kept = (lab.out / "o-1" / "report.json").read_bytes()

    lab.write_tables("o-1")
    for place in (*lab.out.glob(f"{CANARY}-*"), *lab.out.glob(f"earlier-reports/{CANARY}-*")):
        shutil.rmtree(place)
    for place in (*lab.out.glob("patients*"), lab.out / "evaluation", lab.out / "run.log"):
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    lab.run()
    lab.review()
    lab.score()

    assert lab.naming() == set()
    assert (lab.out / "o-1" / "report.json").read_bytes() == kept
    assert "Dr A" in (lab.out / "patients" / "O.html").read_text()
    assert (lab.out / "evaluation" / "evaluation.html").is_file()
