"""What was written of a slide is read back unchanged; what is damaged is refused by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from nodescan.domain.classification import CellCount
from nodescan.domain.report import RESULT_VERSION, SlideResult
from nodescan.errors import UsageError
from nodescan.reports.geojson_report import read_deposit_shapes, write_geojson
from nodescan.reports.json_report import write_json
from nodescan.reports.report_reader import read_report, read_reports
from tests.reports.factory import VARIANTS


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "hostile"])
def test_every_kind_of_report_is_read_back(tmp_path: Path, name: str) -> None:
    """Status, class, deposits, flags and scale are those that were written."""
    written = VARIANTS[name]().report
    folder = tmp_path / written.slide.slide_id
    folder.mkdir()
    write_json(SlideResult(written), folder)
    found = read_report(folder / "report.json")
    assert (found.slide_id, found.status, found.metastasis, found.at_least) == (
        written.slide.slide_id,
        written.status,
        written.metastasis,
        written.at_least,
    )
    assert found.largest_deposit_um == written.largest_deposit_um
    assert [flag.code for flag in found.flags] == [flag.code for flag in written.flags]
    for mine, its in zip(found.deposits, written.deposits, strict=True):
        assert (mine.id, mine.diameter_um, mine.metastasis, mine.cells) == (
            its.id,
            its.diameter_um,
            its.metastasis,
            its.cells,
        )
        assert mine.centre_um == pytest.approx(its.centre_um)
        assert mine.borderline == its.borderline
    if written.info is None:
        assert found.info is None
    else:
        unsaid = replace(written.info, warnings=())
        assert found.info == unsaid
    assert (found.model, found.provenance) == (written.model, written.provenance)
    assert (found.folder, found.slide_id) == (folder, written.slide.slide_id)


def written(folder: Path, variant: str) -> Path:
    """The report.json of one variant, as slide s."""
    (folder / "s").mkdir()
    write_json(VARIANTS[variant](), folder / "s")
    return folder / "s" / "report.json"


@pytest.mark.parametrize("part", ["", "model", "provenance", "deposits"])
def test_a_report_without_one_of_its_values_is_damaged(tmp_path: Path, part: str) -> None:
    """Nothing is made up for what isn't there: "cut_off" that is gone must not read as a whole deposit."""
    path = written(tmp_path, "macro")
    required = {"": "unread_fraction", "model": "card_sha256", "provenance": "result_version", "deposits": "cut_off"}
    content = json.loads(path.read_text())
    held = content[part] if part else content
    del (held[0] if part == "deposits" else held)[required[part]]
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=rf"report\.json: .*{required[part]}"):
        read_report(path)


def test_outlines_come_back_to_where_they_were(tmp_path: Path) -> None:
    """The bounds offset that QuPath's frame leaves out is put back, to a hundredth of a pixel."""
    result = VARIANTS["macro"]()
    folder = tmp_path / "s"
    folder.mkdir()
    write_json(result, folder)
    write_geojson(result, folder)
    shapes = read_deposit_shapes(read_report(folder / "report.json"))
    for deposit in result.report.deposits:
        outline = shapely.Polygon(deposit.outline[0].exterior)
        assert np.allclose(shapes[deposit.id].bounds, outline.bounds, atol=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "no report of schema version 1 (found 2)"),
        ({"status": "splendid"}, "is damaged"),
        ({"metastasis": "makro"}, "is damaged"),
        ({"status": "incomplete", "metastasis": "negative", "deposits": []}, "is never called negative"),
        ({"status": "failed"}, "has no class"),
        ({"deposits": [{"id": 1}]}, "is damaged"),
        ({"metastasis": "micro"}, "class, sizes and number of foci don't fit"),
        ({"examined_fraction": 0.44}, "no slide that was examined so is complete"),
        ({"unread_fraction": 0.5}, "no slide that was examined so is complete"),
        ({"tissue_area_mm2": 0}, "no slide that was examined so is complete"),
        ({"tissue_area_mm2": -5}, "-5 is less than nothing"),
        ({"tumour_probability": 7}, "7 is no fraction from 0 to 1"),
        ({"examined_fraction": 5}, "5 is no fraction from 0 to 1"),
        ({"unread_fraction": -0.1}, "-0.1 is no fraction from 0 to 1"),
        ({"at_least": "no"}, "'no' is neither true nor false"),
        ({"at_least": 0}, "0 is neither true nor false"),
        ({"flags": [{"code": "levels_disagree", "message": "?"}]}, "no slide with levels_disagree is complete"),
        ({"provenance": None, "examined_fraction": 0.44}, "no slide that was examined so is complete"),
        ({"model": None}, "no slide that was examined so is complete"),
        ({"n_foci": 7}, "class, sizes and number of foci don't fit"),
        ({"largest_deposit_um": 150.0}, "what a reader says belongs into --corrections"),
        ({"flags": [{"code": "ink", "message": None}]}, "None is no text"),
        ({"tissue_area_mm2": "12"}, "'12' is no number"),
        ({"spacing_um": [0, 1]}, "spacing must be positive"),
        ({"spacing_um": [1, 5e-324]}, "is no pixel size"),
        ({"tissue_area_mm2": 10**400}, "is damaged (OverflowError"),
        ({"size_px": [1.5, 2]}, "1.5 is no whole number"),
        ({"size_px": [2**60, 2]}, "is no whole number"),
        ({"slide_id": "../victim/results"}, "no slide is called '../victim/results'"),
        ({"slide_id": "/tmp/results"}, "no slide is called"),
        ({"slide_id": ".run"}, "no slide is called"),
        ({"slide_id": ""}, "no slide is called"),
    ],
)
def test_a_damaged_report_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    """Nothing is repaired in silence."""
    path = written(tmp_path, "macro")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UsageError, match=r"s/report\.json") as caught:
        read_report(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("deposits", {"cut_off": "macro"}, "'macro' is neither true nor false"),
        ("deposits", {"probability_mean": 1.5}, "1.5 is no fraction from 0 to 1"),
        ("deposits", {"area_um2": -1}, "-1 is less than nothing"),
        ("model", {"threshold": 2}, "2 is no fraction from 0 to 1"),
        ("model", {"uncertainty_measured": 1}, "1 is neither true nor false"),
    ],
)
def test_a_value_that_cannot_be_is_refused(tmp_path: Path, part: str, change: dict[str, object], message: str) -> None:
    """Any text would read as true, and so a deposit as cut off."""
    path = written(tmp_path, "macro")
    content = json.loads(path.read_text())
    held = content[part][0] if part == "deposits" else content[part]
    held.update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"s/report\.json") as caught:
        read_report(path)
    assert message in str(caught.value)


def test_an_incomplete_report_is_not_made_negative_by_hand(tmp_path: Path) -> None:
    """Two words changed, and tissue that nobody read is negative: the rest of the file tells."""
    path = written(tmp_path, "incomplete_nothing")
    nothing = {"deposits": [], "largest_deposit_um": None, "n_foci": 0, "at_least": False}
    content = json.loads(path.read_text()) | nothing
    path.write_text(json.dumps(content | {"metastasis": None}))
    assert read_report(path).metastasis is None
    path.write_text(json.dumps(content | {"status": "complete", "metastasis": "negative"}))
    with pytest.raises(UsageError, match="no slide with unread_tissue is complete"):
        read_report(path)


def test_what_a_report_says_twice_is_not_guessed(tmp_path: Path) -> None:
    """JSON's last word would hold."""
    path = written(tmp_path, "macro")
    path.write_text(path.read_text().rstrip().removesuffix("}") + ', "deposits": [], "metastasis": "negative"}')
    with pytest.raises(UsageError, match=r"the key '(deposits|metastasis)' stands twice"):
        read_report(path)


def test_a_number_without_end_is_refused(tmp_path: Path) -> None:
    """JSON reads 1e999 as infinity, which is no whole number."""
    path = written(tmp_path, "macro")
    path.write_text(path.read_text().replace('"id": 1,', '"id": 1e999,'))
    with pytest.raises(UsageError, match=r"s/report\.json: is damaged \(ValueError: inf is no number"):
        read_report(path)


@pytest.mark.parametrize(
    "text",
    [
        '{"features": ' + "[" * 100_000,
        '{"features": [' + "[" * 900 + "]" * 900 + "]}",
        '{"features": [{"properties": {"name": "Deposit 1"}, "geometry": "here"}]}',
        '{"features": [{"properties": {"name": "Deposit 1"}, "geometry": {"type": "Polygon", "coordinates": [[[0, 1'
        + "0" * 400
        + "], [1, 1], [0, 0]]]}}]}",
        '{"features": [{"properties": "none", "geometry": {}}]}',
        "[]",
        "1",
    ],
    ids=["cut", "deep", "text", "huge", "no properties", "list", "number"],
)
def test_damaged_outlines_are_refused(tmp_path: Path, text: str) -> None:
    """By the file's name, whatever stands in it."""
    (tmp_path / "s").mkdir()
    write_json(VARIANTS["macro"](), tmp_path / "s")
    (tmp_path / "s" / "deposits.geojson").write_text(text)
    with pytest.raises(UsageError, match=r"^s/deposits\.geojson: is damaged") as caught:
        read_deposit_shapes(read_report(tmp_path / "s" / "report.json"))
    assert "object" not in str(caught.value)


@pytest.mark.parametrize("change", ["one less", "one twice", "another"])
def test_outlines_of_other_deposits_than_the_reports_are_refused(tmp_path: Path, change: str) -> None:
    """As where a false deposit was deleted in QuPath: an evaluation would count it as not found at all."""
    result, folder = VARIANTS["macro"](), tmp_path / "s"
    folder.mkdir()
    write_json(result, folder)
    write_geojson(result, folder)
    path = folder / "deposits.geojson"
    content = json.loads(path.read_text())
    if change == "one less":
        del content["features"][1]
    else:
        content["features"][1]["properties"]["name"] = "Deposit 1" if change == "one twice" else "Deposit 9"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"^s/deposits\.geojson: is damaged \(it holds other deposits than report"):
        read_deposit_shapes(read_report(folder / "report.json"))


def test_folders_without_reports_and_copies_are_refused(tmp_path: Path) -> None:
    """An empty folder is no run, and one slide reported twice is a mistake."""
    with pytest.raises(UsageError, match="no such folder"):
        read_reports(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds no reports"):
        read_reports(tmp_path)
    report = VARIANTS["macro"]()
    slide_id = report.report.slide.slide_id
    for name, said in ((slide_id.upper(), "remove the copy"), (f"{slide_id} copy", "renamed or copied")):
        folder = tmp_path / name.replace(" ", "_")
        for place in (folder / slide_id, folder / name):
            place.mkdir(parents=True)
            write_json(report, place)
        with pytest.raises(UsageError, match=said):
            read_reports(folder)


def test_text_that_is_no_json_is_refused(tmp_path: Path) -> None:
    """Half a file is named."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "report.json").write_text('{"schema_version": 1, ')
    with pytest.raises(UsageError, match=r"s/report\.json: is no JSON"):
        read_reports(tmp_path)


def test_a_count_whose_uncertainty_is_not_told_is_read_and_written_as_it_is(tmp_path: Path) -> None:
    """As a count without one; what has no count has no uncertainty."""
    result = VARIANTS["itc"]()
    path = tmp_path / "report.json"
    for cells in (CellCount(62, 25), CellCount(62), None):
        (deposit,) = result.report.deposits
        counted = (replace(deposit, cells=cells),)
        write_json(SlideResult(replace(result.report, deposits=counted)), tmp_path)
        (told,) = json.loads(path.read_text())["deposits"]
        number, uncertainty = told["cell_count"], told["cell_count_uncertainty"]
        assert (number, uncertainty) == ((None, None) if cells is None else (cells.number, cells.uncertainty))
        assert [one.cells for one in read_report(path).deposits] == [cells]


def test_a_run_with_a_report_that_is_not_as_it_was_written_is_not_read(tmp_path: Path) -> None:
    """As where a size and its class are edited alike: no value contradicts another that a reader would look at."""
    made = VARIANTS["macro"]()
    path = tmp_path / made.report.slide.slide_id / "report.json"
    path.parent.mkdir()
    write_json(made, path.parent)
    (found,) = read_reports(tmp_path)
    content = json.loads(path.read_text())
    one = next(one for one in content["deposits"] if not one["borderline"])
    one["borderline"] = True
    path.write_text(json.dumps(content))
    with pytest.raises(
        UsageError, match=r"/report\.json: deposits: not as this version writes it; run the slide again"
    ):
        read_reports(tmp_path)
    content["provenance"]["result_version"] = RESULT_VERSION - 1
    path.write_text(json.dumps(content))
    assert read_reports(tmp_path)[0].deposits == found.deposits  # an older version may have written it so


def test_a_report_of_a_newer_nodescan_that_this_one_cannot_read_is_not_to_be_made_again(tmp_path: Path) -> None:
    """Who runs an older program by mistake would replace newer results."""
    path = written(tmp_path, "macro")
    content = json.loads(path.read_text())
    for part, change in (("provenance", {"result_version": RESULT_VERSION + 1}), ("schema_version", 2)):
        changed = content[part] | change if isinstance(change, dict) else change
        path.write_text(json.dumps(content | {"status": "seen", part: changed}))
        with pytest.raises(UsageError, match=r"s/report\.json: .*; use the newer nodescan that made it$"):
            read_reports(tmp_path)
