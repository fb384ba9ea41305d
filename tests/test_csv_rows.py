"""CSV files are read strictly: what can't be meant is an error that names the line."""

from pathlib import Path

import pytest

from nodescan.csv_rows import csv_text, plain_cell, read_lines, read_table
from nodescan.errors import UsageError

COLUMNS = ("slide_id", "label", "size_um", "sentinel", "count")


def table(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slide_id,lable\na,b\n", "unknown column 'lable'; did you mean 'label'?"),
        ("slide_id,label,label\na,b,c\n", "the column 'label' stands twice; leave one of them out"),
        ("label\nb\n", "the column 'slide_id' is missing; add it to the header"),
        ("sep=;\nslide_id;label\na\n", "line 3: has 1 cell, the header 2; write one for each column"),
        ("sep=|\nslide_id|label\na|b\n", "unknown column 'sep=|'"),
        (
            "slide_id,label,,\na,b,,c\n",
            "line 2: has a cell in a column that the header gives no name; name the column, or empty the cell",
        ),
        ("slide_id,label,,\na,b\n", "line 2: has 2 cells, the header 4"),
        ("slide_id,,label\na,,b\n", "unknown column ''"),
        ("slide_id,label\na\n", "line 2: has 1 cell, the header 2; write one for each column"),
        ("slide_id,label\n", "holds a header and no rows; write its rows below the header"),
        ("\n\n", "is empty"),
        ('slide_id,label\n"a,b\n', "t.csv, line 2: is no CSV file from here on"),
        ('slide_id,label\na,b\nc,"d\ne,f\n', "line 3: is no CSV file from here on"),
        ('sep=,\nslide_id,label\n"a"x,b\n', "line 3: is no CSV file from here on"),
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """The error says what is wrong and where."""
    with pytest.raises(UsageError, match=r"t\.csv") as caught:
        read_table(table(tmp_path, text), columns=COLUMNS, required=("slide_id",))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"\xef\xbb\xbf<?xml version='1.0'?>\n<ASAP_Annotations>\n\"",
            "is XML, and --corrections is a CSV; name a CSV file",
        ),
        (b'\n{"type": "FeatureCollection", "features": []}', "is JSON, and --corrections is a CSV; name a CSV file"),
        ('[{"type": "Feature"}]'.encode("utf-16"), "is JSON, and --corrections is a CSV"),
        (
            b"PK\x03\x04\x14\x00\xff",
            "is a zip file, as workbooks are (.xlsx, .ods), and --corrections is a CSV; save its",
        ),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1",
            "is a workbook (.xls), and --corrections is a CSV; save its sheet as CSV in UTF-8",
        ),
    ],
)
def test_a_file_of_another_kind_is_named_as_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    """By what it begins with, whatever it is called: its quotation marks are not what is wrong."""
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"^t\.csv: is ") as caught:
        read_table(path, columns=COLUMNS, required=("slide_id",), option="--corrections")
    assert message in str(caught.value)


def test_empty_columns_beside_a_table_are_nothing(tmp_path: Path) -> None:
    """As a spreadsheet writes them."""
    (row,) = read_table(table(tmp_path, "slide_id,label,,\na,b,,\n,,,\n"), columns=COLUMNS, required=())
    assert dict(row.cells) == {"slide_id": "a", "label": "b"}


@pytest.mark.parametrize("cell", ["cr\r.tif", "a\nb", "a\r\nb", 'say "no"', "a,b", "plain"])
def test_whatever_a_cell_holds_it_stays_one_cell(tmp_path: Path, cell: str) -> None:
    """A file may be named with a carriage return; lines end with a line feed alone."""
    text = csv_text(("slide_id", "label"), [(cell, "x"), ("b", "y")])
    (tmp_path / "t.csv").write_bytes(text.encode())
    assert [list(line.cells.values()) for line in read_lines(tmp_path / "t.csv")] == [
        ["slide_id", "label"],
        [cell, "x"],
        ["b", "y"],
    ]
    assert text.endswith("\nb,y\n")


@pytest.mark.parametrize(
    "content",
    [
        b"slide_id;label;size_um\r\na,b;\xc3\xa4;2000.5\r\n",
        b"\xef\xbb\xbfsep=;\r\nslide_id;label;size_um\r\na,b;\xc3\xa4;2000.5\r\n",
        b"slide_id;label;size_um\ra,b;\xc3\xa4;2000.5\r",
        b"sep=;\rslide_id;label;size_um\ra,b;\xc3\xa4;2000.5\r",
        b'"sep=;"\nslide_id;label;size_um\na,b;\xc3\xa4;2000.5\n',
        b"\n\nslide_id;label;size_um\na,b;\xc3\xa4;2000.5\n",
        "slide_id\tlabel\tsize_um\r\na,b\tä\t2000.5\r\n".encode("utf-16"),
    ],
)
def test_what_spreadsheets_write_where_the_comma_is_for_decimals_is_read(tmp_path: Path, content: bytes) -> None:
    """Semicolons, with a line that names them or without, and "Unicode text"; numbers are written with a point."""
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    (row,) = read_table(path, columns=COLUMNS, required=("slide_id",))
    assert (row.text("slide_id"), row.text("label"), row.number("size_um")) == ("a,b", "ä", 2000.5)
    path.write_bytes(content.replace(b".5", b",5") if b";" in content else content.replace(b".\0", b",\0"))
    (row,) = read_table(path, columns=COLUMNS, required=("slide_id",))
    with pytest.raises(UsageError, match="size_um is '2000,5', which is not a number"):
        row.number("size_um")


@pytest.mark.parametrize(
    "cell", ["#N/A", "#NV", "#REF!", "#BEZUG!", "#NAME?", "####", "NA", "n/a", "<NA>", "nan", "NULL", "None", "-", "?"]
)
def test_what_names_nothing_is_nobodys_name(tmp_path: Path, cell: str) -> None:
    """Rows whose look-up failed would be one patient's, or one node's."""
    row = read_table(table(tmp_path, f"slide_id,label\na,{cell}\n"), columns=COLUMNS, required=())[0]
    with pytest.raises(UsageError, match=r"line 2: label is .*, which names nothing; write its name, or leave"):
        row.shared_name("label")


@pytest.mark.parametrize("cell", ["1.23457E+12", "1e+05", '"1,23457E+12"'])
def test_a_number_that_a_spreadsheet_shortened_is_nobodys_name(tmp_path: Path, cell: str) -> None:
    """1234567890123 and 1234567890124 would be one patient."""
    row = read_table(table(tmp_path, f"slide_id,label\na,{cell}\n"), columns=COLUMNS, required=())[0]
    with pytest.raises(UsageError, match="a number that a spreadsheet shortened, so several may read alike"):
        row.shared_name("label")


@pytest.mark.parametrize("cell", ["#1", "NA-1", "1E5", "A+", "0", "No. 1", "Nansen", "1.2.840", "12.05.2024"])
def test_odd_names_are_names(tmp_path: Path, cell: str) -> None:
    """What a laboratory may well call its patients and nodes."""
    row = read_table(table(tmp_path, f"slide_id,label\na,{cell}\n"), columns=COLUMNS, required=())[0]
    assert row.shared_name("label") == cell


def test_other_encodings_and_missing_files_are_refused(tmp_path: Path) -> None:
    """UTF-8 with or without its mark is read; Latin-1 could be read as anything."""
    path = tmp_path / "t.csv"
    with pytest.raises(UsageError, match="can't be read"):
        read_table(path, columns=COLUMNS, required=())
    path.write_bytes("slide_id\nä\n".encode("latin-1"))
    with pytest.raises(UsageError, match="not UTF-8"):
        read_table(path, columns=COLUMNS, required=())
    path.write_bytes("slide_id\nä\n".encode("utf-8-sig"))
    assert read_table(path, columns=COLUMNS, required=())[0].text("slide_id") == "ä"


@pytest.mark.parametrize(
    ("cell", "size"), [("200", 200.0), ("5", 5.0), ("50000", 50_000.0), ("0", 0.0), ("", None), ("2000.5", 2000.5)]
)
def test_sizes_in_um_are_taken(tmp_path: Path, cell: str, size: float | None) -> None:
    """Both ends of what is plausible are still taken."""
    row = read_table(table(tmp_path, f"slide_id,size_um\na,{cell}\n"), columns=COLUMNS, required=())[0]
    assert row.size_um("size_um") == size


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("2.6", "in um less than half a cell: is it in mm? Write sizes in um"),
        ("4.99", "is it in mm?"),
        ("50001", "longer than any lymph node"),
        ("-3", "is it in mm?"),
        ("nan", "is not a number"),
        ("1_000", "is not a number"),
        ('"1,5"', "write decimals with a point"),
    ],
)
def test_sizes_in_another_unit_are_refused(tmp_path: Path, cell: str, message: str) -> None:
    """2.6 can only be millimetres."""
    row = read_table(table(tmp_path, f"slide_id,size_um\na,{cell}\n"), columns=COLUMNS, required=())[0]
    with pytest.raises(UsageError) as caught:
        row.size_um("size_um")
    assert message in str(caught.value)
    assert "line 2" in str(caught.value)


@pytest.mark.parametrize("cell", ["\x1b[2JP1", "P\x9b1", "P1\u202e", "P1\u200bx", '"P1\nnodes"'])
def test_a_name_that_could_steer_a_terminal_is_refused(tmp_path: Path, cell: str) -> None:
    """With its line; spaces of any kind, accents and other scripts are names like others."""
    path = tmp_path / "t.csv"
    path.write_text(f"a,b\nP\u00a01,\u00fc\u65e5\n{cell},1\n", encoding="utf-8")
    fine, wrong = read_table(path, columns=("a", "b"), required=())
    assert (fine.name("a"), fine.name("b")) == ("P\u00a01", "\u00fc\u65e5")
    with pytest.raises(UsageError, match=r"t\.csv, line [34]: a .* doesn't print") as caught:
        wrong.name("a")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("x;=1+1", "x;'=1+1"),
        ("x\t@cmd;+1;a", "x\t'@cmd;'+1;a"),
        ("x=1-2; -3", "x=1-2; -3"),
        ('b;"=1+1.svs', "b;\"'=1+1.svs"),
        ("a\n=1+1.svs", "a\n'=1+1.svs"),
        ("ink;blur", "ink;blur"),
    ],
)
def test_no_cell_becomes_a_formula_whatever_separates_columns(text: str, cell: str) -> None:
    """A spreadsheet where the comma is for decimals begins a cell behind a semicolon, too."""
    assert plain_cell(text) == cell


def test_yes_no_and_numbers(tmp_path: Path) -> None:
    """Empty is not stated, and what is neither is refused."""
    rows = read_table(
        table(tmp_path, "slide_id,sentinel,count\na,Yes,3\nb,0,\nc,,0\nd,perhaps,-1\n"), columns=COLUMNS, required=()
    )
    assert [row.yes_or_no("sentinel") for row in rows[:3]] == [True, False, None]
    assert [row.whole_number("count", smallest=0) for row in rows[:3]] == [3, None, 0]
    with pytest.raises(UsageError, match=r"line 5: sentinel is 'perhaps'; write yes or no, or leave it empty$"):
        rows[3].yes_or_no("sentinel")
    with pytest.raises(UsageError, match=r"line 5: sentinel is 'perhaps'; write yes or no$"):
        rows[3].yes_or_no("sentinel", may_be_empty=False)
    with pytest.raises(UsageError, match="at least 0"):
        rows[3].whole_number("count", smallest=0)
