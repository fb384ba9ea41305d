"""What the documents list is what the program says."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import typer

import nodescan.cli
import training.commands.app
from nodescan.domain.classification import CellCount
from nodescan.domain.flags import DOUBTS, FLAGS, REASONS, STOPS_COMPLETE, TOLD_FIRST
from nodescan.evaluation.evaluation_files import (
    EVALUATION_HTML,
    EVALUATION_JSON,
    LARGEST_CSV,
    LESIONS_CSV,
    SCORES_CSV,
    evaluation_as_json,
)
from nodescan.inference.card import Decision, ModelCard
from nodescan.inference.models import MODELS
from nodescan.manifest import COLUMNS
from nodescan.patients.patient_files import CSV_COLUMNS
from nodescan.reports import CHOICES, FILES
from nodescan.reports.csv_report import SUMMARY_COLUMNS
from nodescan.reports.geojson_report import write_geojson
from tests.evaluation.occasions import made_of
from tests.evaluation.test_evaluation_files import FIGURES, compared
from tests.reports.factory import MACRO, result

ROOT = Path(__file__).parents[1]
SOURCE, DOCS = Path(nodescan.__file__).parent, ROOT / "docs"

DOCUMENTS = (*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md")), ROOT / "data_manifests" / "README.md")
COMMANDS = {
    "nodescan": typer.main.get_group(nodescan.cli.app).commands,
    "training": typer.main.get_group(training.commands.app.app).commands,
}

_CODE = re.compile(r'(?:Flag\(\s*|code = )"([a-z_]+)"')
"""A flag's code where it is made: Flag("code", ...), or an error's code."""

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
"""A link within the repository: the file, "" for the document itself, and the heading, "" for none."""


def test_every_flag_is_explained() -> None:
    """docs/flags.md and the table of flags have each code that the source makes, and no other."""
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    made = set(_CODE.findall(text)) | {"detection_limit"}
    assert len(made) > 30
    made |= {f"tissue_excluded_{reason}" for reason in ("pen", "edge", "debris", "small")}
    first_cells = " ".join(cells[0] for cells in _rows("flags.md")).replace("`_", "`tissue_excluded_")
    assert set(re.findall(r"`([a-z_]+)`", first_cells)) == made == FLAGS.keys()


def test_every_list_of_names_in_an_evaluation_is_explained() -> None:
    """docs/tables.md names those of the lesion task, and says how all others begin."""
    content = evaluation_as_json(compared(), FIGURES, occasion=made_of("r")).items()
    lists = {key for key, value in content if isinstance(value, list) and all(isinstance(v, str | dict) for v in value)}
    text = (DOCS / "tables.md").read_text(encoding="utf-8")
    assert {name for name in lists if name.startswith("froc_")} == set(re.findall(r"`(froc_[a-z_]+)`", text))
    begin = tuple(re.findall(r"`([a-z]+_)\.\.\.`", text.partition("the lists")[2].partition("name,")[0]))
    assert begin == ("slides_", "patients_")
    assert all(name.startswith(("froc_", *begin)) for name in lists - {"notes"})


def test_the_flags_that_keep_a_slide_from_being_complete_are_its_reasons() -> None:
    """By docs/flags.md those whose status isn't "none", and each code of a slide without a result; no other. They stop
    every slide, unless the document says "if"."""
    of_status = {"incomplete": True, "failed": True, "none": False}
    stated = [cells for cells in _rows("flags.md") if len(cells) == 4 and cells[0].startswith("`")]
    reasons = {cells[0].strip("`") for cells in stated if of_status[re.split(r"\W", cells[2])[0]]}
    without = (DOCS / "flags.md").read_text(encoding="utf-8").partition("## Why a slide has no result")[2]
    reasons |= {cells[0].strip("`") for cells in _cells(without.partition("\n## ")[0]) if cells[0].startswith("`")}
    assert reasons == REASONS
    assert {cells[0].strip("`") for cells in stated if " if " in cells[2]} == REASONS - STOPS_COMPLETE


def _to_act_on(heading: str) -> set[str]:
    """Codes below a heading of docs/flags.md where there is something to do."""
    text = (DOCS / "flags.md").read_text(encoding="utf-8").partition(f"## {heading}")[2].partition("\n## ")[0]
    rows = [cells for cells in _cells(text) if not cells[-1].startswith("Nothing")]
    return {code for cells in rows for code in re.findall(r"`([a-z_]+)`", cells[0])}


def test_notes_that_a_reader_acts_on_are_told_first() -> None:
    """By docs/flags.md; but a column that the manifest lacks is no matter of the first minute."""
    assert set(TOLD_FIRST) == {*DOUBTS, *_to_act_on("Notes of a patient")} - {"no_node_id", "sentinel_modifier"}


def test_what_a_reader_checks_of_deposits_could_change_the_class() -> None:
    """By docs/flags.md, in all cases but outlines that lie on glass."""
    assert _to_act_on("Of deposits") - set(DOUBTS) == {"tumour_on_glass"}


def test_every_flag_says_what_to_do() -> None:
    """Each table of docs/flags.md ends in that column, and no cell of it is empty."""
    assert [cells[-1] for cells in _rows("flags.md") if cells[0] == "code"] == ["what to do"] * 4
    assert all(all(cells) for cells in _rows("flags.md"))


@pytest.mark.parametrize(
    ("heading", "columns"),
    [("The manifest", COLUMNS), ("summary.csv", SUMMARY_COLUMNS), ("patients.csv", CSV_COLUMNS)],
)
def test_every_column_is_explained(heading: str, columns: tuple[str, ...]) -> None:
    """docs/tables.md has, under the table's heading, a row of each of its columns, and of no other."""
    told = (DOCS / "tables.md").read_text(encoding="utf-8").partition(f"\n## {heading}")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"`([a-z0-9_]+)`", " ".join(cells[0] for cells in _cells(told)))) == sorted(columns)


def test_every_field_of_a_deposit_is_explained(tmp_path: Path) -> None:
    """docs/tables.md has a row of each key in report.json, and of each measurement in deposits.geojson; of no other."""
    told = (DOCS / "tables.md").read_text(encoding="utf-8").partition("\n## Deposits, and")[2].partition("\n## ")[0]
    rows = list(_cells(told))
    keys, measured = (re.findall(r"`([^`]+)`", " ".join(row[column] for row in rows)) for column in (0, 1))
    schema = json.loads((SOURCE / "reports" / "report.schema.json").read_text(encoding="utf-8"))
    assert sorted(keys) == sorted(schema["$defs"]["deposit"]["properties"])
    write_geojson(result((replace(MACRO, cut_off=True, cells=CellCount(90, 9)),)), tmp_path)
    (feature,) = json.loads((tmp_path / "deposits.geojson").read_text(encoding="utf-8"))["features"]
    assert sorted(measured) == sorted(feature["properties"]["measurements"])


def test_every_report_and_each_of_its_files_is_explained() -> None:
    """By name where a run is asked for it, in the help and in docs/batches.md; each file has a place in a row of
    docs/tables.md."""
    (option,) = (option for option in COMMANDS["nodescan"]["run"].params if option.name == "reports")
    told = (DOCS / "batches.md").read_text(encoding="utf-8").partition("- `--reports NAMES`")[2].partition("\n- ")[0]
    assert set(re.findall(r"\w+", option.help.partition(": ")[2].partition(".")[0])) == set(CHOICES)
    assert set(",".join(re.findall(r"`([a-z,]+)`", told)).split(",")) == set(CHOICES)
    files = " ".join(cells[0] for cells in _rows("tables.md"))
    assert [name for name in FILES if not re.search(rf"[`/]{re.escape(name)}`", files)] == []


def test_every_key_of_a_card_and_every_architecture_is_explained() -> None:
    """docs/training.md has a row of each key, and names each network that a card can name; no other."""
    told = (
        (DOCS / "training.md").read_text(encoding="utf-8").partition("\n## The model card\n")[2].partition("\n## ")[0]
    )
    keys = [*(ModelCard.model_fields.keys() - {"decision"}), *(f"decision.{key}" for key in Decision.model_fields)]
    assert sorted(re.findall(r"`([a-z0-9_.]+)`", " ".join(cells[0] for cells in _cells(told)))) == sorted(keys)
    named = told.partition("**Architectures** that a card can name: ")[2].partition(". ")[0]
    assert sorted(re.findall(r"`([a-z0-9-]+)`", named)) == sorted(MODELS)


def test_every_schema_and_file_of_an_evaluation_is_explained() -> None:
    """docs/tables.md names where each JSON Schema lies, and what stands in each file that evaluate writes."""
    text = (DOCS / "tables.md").read_text(encoding="utf-8")
    schemas = [path.relative_to(ROOT).as_posix() for path in SOURCE.rglob("*.schema.json")]
    assert len(schemas) == 2
    assert [path for path in schemas if f"`{path}`" not in text] == []
    written = text.partition("\n## What evaluate writes")[2].partition("\n## ")[0]
    files = (EVALUATION_JSON, EVALUATION_HTML, SCORES_CSV, LESIONS_CSV, LARGEST_CSV)
    assert [name for name in files if f"\n- {name}: " not in written] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_is_one(document: Path) -> None:
    """Its name is a command's, and so is each of its options; fit is Lightning's own."""
    for words in _typed(document.read_text(encoding="utf-8")):
        program, name, *rest = words.replace("python -m training", "training").split()
        if name == "fit":
            continue
        command = COMMANDS[program][name]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        given = {word.strip("[]").partition("=")[0] for word in rest if word.lstrip("[").startswith("--")}
        assert given <= known, words


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    """To a file of the repository, and to a heading in it where one is named."""
    for place, heading in LINK.findall(document.read_text(encoding="utf-8")):
        target = document.parent / place if place else document
        assert target.exists(), place
        if heading:
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_documents_name_most_commands() -> None:
    """So that the test above reads what it is meant to read."""
    typed = [words for document in DOCUMENTS for words in _typed(document.read_text(encoding="utf-8"))]
    named = {words.split()[1] for words in typed if words.startswith("nodescan")}
    assert {*COMMANDS["nodescan"]} - named == set(), "name it in a document, as it is typed"
    assert len(typed) > 60


def _typed(text: str) -> list[str]:
    """The commands of nodescan and of python -m training in blocks and in backticks, without remarks."""
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    inline = re.sub(r"\n```.*?\n```", "", text, flags=re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", inline)]
    lines = [re.sub(r"^\w*\$ +", "", line).partition(" #")[0] for line in (*blocks.splitlines(), *spans)]
    return [line for line in lines if re.match(r"(nodescan|python -m training) [a-z]", line)]


def _rows(name: str) -> list[list[str]]:
    """The cells of each row of a document's tables, headings too."""
    return _cells((DOCS / name).read_text(encoding="utf-8"))


def _cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
