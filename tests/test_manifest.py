"""The patient manifest: read as meant, refused where it contradicts itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodescan.errors import UsageError
from nodescan.manifest import COLUMNS, Manifest, read_manifest


def manifest(folder: Path, *rows: str, header: str = "slide_id,patient_id,node_id") -> Manifest:
    path = folder / "manifest.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return read_manifest(path)


def test_every_column_is_read(tmp_path: Path) -> None:
    """Each value arrives where it belongs; the path is joined to the manifest's folder."""
    row = manifest(
        tmp_path,
        "scans/a.svs,s1,P1,S23-1,L,2,3,5,yes,no,1,H&E,0.25",
        header=",".join(COLUMNS),
    ).rows[0]
    assert row.path == tmp_path / "scans" / "a.svs"
    assert (row.slide_id, row.stain, row.mpp_um, row.is_he) == ("s1", "H&E", 0.25, True)
    facts = row.facts
    assert facts.specimen == ("P1", "S23-1", "left")
    assert (facts.node_id, facts.nodes_on_slide, facts.nodes_removed) == ("2", 3, 5)
    assert (facts.sentinel, facts.neoadjuvant, facts.recurrence) == (True, False, True)


@pytest.mark.parametrize(
    ("stain", "he"),
    [
        *[(stain, True) for stain in ("", "HE", "H & E", "HES", "H+E", "h/e", "H.E.", "H and E", "H&E stain", "HE 2")],
        *[
            (stain, True)
            for stain in ("Haematoxylin and Eosin", "HE saffron", "hematoxylin-eosin", "H\u00e4matoxylin & Eosin")
        ],
        *[(stain, False) for stain in ("CK AE1/3", "IHC", "IHK (CK19)", "AE1/AE3", "pan-cytokeratin", "DAB", "IF")],
        *[(stain, False) for stain in ("PAS-D", "Ki-67", "ER", "HER2", "E-cadherin", "S100", "immunohistochemistry")],
    ],
)
def test_only_he_is_for_the_software(tmp_path: Path, stain: str, he: bool) -> None:
    """Any other stain is the pathologist's."""
    assert manifest(tmp_path, f"s1,P1,{stain}", header="slide_id,patient_id,stain").rows[0].is_he is he


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("slide_id,patient", ["s1,P1"], "unknown column 'patient'; did you mean 'patient_id'?"),
        ("slide_id,patient_id", ["s1,P1", "s1,P1"], "line 3: the slide_id 's1' stands in line 2 too"),
        ("slide_id,patient_id", ["s1,P1", "s1,P2"], "belongs to two patients, 'P1' and 'P2'"),
        (
            "path,patient_id",
            ["a.svs,P1", "a.svs,P2"],
            "the path 'a.svs' stands in line 2 too and belongs to two patients",
        ),
        ("slide_id,patient_id,laterality", ["s1,P1,left", "s2,P1,"], "it would be staged as two groups"),
        ("slide_id,patient_id,specimen_id", ["s1,P1,A", "s2,P1,"], "fill in specimen_id in all of its rows"),
        ("slide_id,patient_id,node_id", ["s1,P1,1", "s2,P1,"], "fill in node_id in all of its rows"),
        ("slide_id,patient_id,node_id", ["s1,P1,NA", "s2,P1,NA"], "line 2: node_id is 'NA', which names nothing"),
        ("slide_id,patient_id", ["s1,#N/A", "s2,#N/A"], "line 2: patient_id is '#N/A', which names nothing"),
        ("slide_id,patient_id", ["s1,1.2E+12", "s2,1.2E+12"], "a number that a spreadsheet shortened"),
        (
            "slide_id,patient_id,laterality",
            ["s1,P1,up"],
            "laterality is 'up', which is not known; write left, l, right, r",
        ),
        (
            "slide_id,patient_id,neoadjuvant",
            ["s1,P1,yes", "s2,P1,no"],
            "neoadjuvant of this patient's specimen and side",
        ),
        ("slide_id,patient_id,nodes_removed", ["s1,P1,3", "s2,P1,4"], "contradicts line 2"),
        ("slide_id,patient_id,node_id,sentinel", ["s1,P1,1,yes", "s2,P1,1,no"], "sentinel of this node contradicts"),
        ("slide_id,patient_id,nodes_removed", ["s1,P1,1", "s2,P1,1"], "nodes_removed is 1, but the table has 2 nodes"),
        ("slide_id,patient_id,nodes_on_slide,nodes_removed", ["s1,P1,4,3"], "the table has 4 nodes"),
        ("slide_id,patient_id,nodes_removed", ["s1,P1,0"], "nodes_removed is 0; correct one of them"),
        ("slide_id,patient_id,nodes_removed", ["s1,P1,", ",P1,0"], "says that no nodes were removed, but other rows"),
        ("slide_id,patient_id", [",P1"], "neither path nor slide_id is filled in; name the slide, or delete this row"),
        ("slide_id,patient_id", ["s1,P1", ",P1"], "line 3: neither path nor slide_id is filled in"),
        (
            "slide_id,patient_id,node_id,nodes_removed,sentinel",
            ["s1,P1,1,2,yes", ",P1,2,2,yes"],
            "line 3: neither path nor slide_id is filled in; name the slide, or delete this row (nodes_removed counts "
            "nodes without slides, too",
        ),
        ("slide_id,patient_id,node_id,nodes_removed", ["s1,P1,1,1", ",P2,1,0"], "line 3: says that no nodes were"),
        ("slide_id,patient_id,nodes_on_slide,nodes_removed", [",P1,2,0"], "leave node_id and nodes_on_slide empty"),
        (
            "slide_id,patient_id",
            ["s1,P1", "s2,p1"],
            "patient_id 'p1' differs from 'P1' in line 2 by its case, blanks",
        ),
        ("slide_id,patient_id", ["s1,0042", "s2,42"], "leading zeros, a final .0 or"),
        ("slide_id,patient_id,node_id", ["s1,P1,A 1", "s2,P1,A 01"], "node_id 'A 01' differs from 'A 1'"),
        ("slide_id,patient_id", ["s1,M\u00fcller", "s2,Mu\u0308ller"], "the encoding of its accents alone"),
        ("slide_id,patient_id", ["s1,P 1", "s2,P  1"], r"patient_id 'P \u00201' differs from 'P 1'"),
        ("slide_id,patient_id", ["s1,P 7", "s2,P7"], "patient_id 'P7' differs from 'P 7'"),
        ("slide_id,patient_id", ["s1,S24-1", "s2,S24 - 1"], "patient_id 'S24 - 1' differs from 'S24-1'"),
        *[
            ("slide_id,patient_id,node_id", [f"s1,P1,{one}", f"s2,P1,{two}"], f"node_id '{shown}' differs from '{one}'")
            for one, two, shown in (
                ("SLN 1", "SLN1", "SLN1"),
                ("SLN 1", "SLN_1", "SLN_1"),
                ("N-1", "N1", "N1"),
                ("1a", "1-A", "1-A"),
                ("SLN-1", "SLN\u20131", r"SLN\u20131"),
                ("SLN-1", "SLN\u22121", r"SLN\u22121"),
                ("SLN 1", "SLN\u00a01", r"SLN\u00a01"),
                ("1", "1.0", "1.0"),
                ("2", "002.00", "002.00"),
            )
        ],
        ("slide_id,patient_id,node_id", ["s1,P1,n1", "s2,P1,N1"], "node_id 'N1' differs from 'n1' in line 2"),
        ("slide_id,mpp", ["s1,250"], "mpp is 250; write um per pixel at level 0"),
        ("slide_id,mpp", ["s1,0.09"], "from 0.1 to 1.2"),
        *[
            ("slide_id,stain", ["s0,HE", f"s1,{stain}"], f"line 3: stain is {stain!r}, which is not known")
            for stain in ("H&X", "eosin", "H&E + CK", "?", "slide")
        ],
    ],
)
def test_contradictions_are_refused(tmp_path: Path, header: str, rows: list[str], message: str) -> None:
    """Each is named with its line."""
    with pytest.raises(UsageError) as caught:
        manifest(tmp_path, *rows, header=header)
    assert message in str(caught.value)


def test_numbers_with_a_dash_between_them_are_others(tmp_path: Path) -> None:
    """1-1 is not 11, and 2-3 is not 23."""
    found = manifest(tmp_path, "a,P1,1-1", "b,P1,11", "c,P1,A-1-1", "d,P1,A-11", header="slide_id,patient_id,node_id")
    assert [row.facts.node_id for row in found.rows] == ["1-1", "11", "A-1-1", "A-11"]


def test_sections_of_one_node_count_as_one(tmp_path: Path) -> None:
    """Three slides of one node don't contradict one node removed, and two nodes do."""
    header = "slide_id,patient_id,node_id,nodes_removed"
    manifest(tmp_path, "a,P1,1,1", "b,P1,1,1", "c,P1,1,1", header=header)
    with pytest.raises(UsageError, match="the table has 2 nodes"):
        manifest(tmp_path, "a,P1,1,1", "b,P1,1,1", "c,P1,2,1", header=header)


def test_the_same_node_name_on_both_sides_is_two_nodes(tmp_path: Path) -> None:
    """Node 1 left and node 1 right may differ in everything."""
    found = manifest(
        tmp_path, "a,P1,left,1,yes", "b,P1,right,1,no", header="slide_id,patient_id,laterality,node_id,sentinel"
    )
    assert [row.facts.sentinel for row in found.rows] == [True, False]


def test_one_side_may_name_its_nodes_and_the_other_not(tmp_path: Path) -> None:
    """Each side is staged by itself; a side without nodes has none to name."""
    rows = ("a,P1,left,1,", "b,P1,right,,", ",P2,left,,0", "c,P2,right,1,1")
    found = manifest(tmp_path, *rows, header="slide_id,patient_id,laterality,node_id,nodes_removed")
    assert [row.facts.node_id for row in found.rows] == ["1", "", "", "1"]


def test_no_nodes_removed_needs_no_slide(tmp_path: Path) -> None:
    """Such a row says pNX and nothing else."""
    row = manifest(tmp_path, ",P1,0", header="slide_id,patient_id,nodes_removed").rows[0]
    assert not row.has_slide


@pytest.mark.parametrize(
    "names",
    [("1.1", "11"), ("1", "1.1"), ("1.10", "1.1"), ("1_1", "11"), ("1 1", "11"), ("P 1 1", "P11"), ("1-1", "11")],
)
def test_names_of_which_digits_are_parted_otherwise_are_two(tmp_path: Path, names: tuple[str, str]) -> None:
    """Patient 1, block 1 is not patient 11."""
    rows = manifest(tmp_path, *(f"s{number},P1,{name}" for number, name in enumerate(names))).rows
    assert [row.facts.node_id for row in rows] == [*names]


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere names of files are UTF-8 whatever the locale"
)
def test_path_that_the_locale_cannot_write_is_refused(tmp_path: Path) -> None:
    """The first look at the disk ended in a UnicodeEncodeError."""
    (tmp_path / "m.csv").write_text("path,patient_id\nplain.tif,P1\na \u00fc.tif,P1\n", encoding="utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "nodescan", "run", "--manifest", "m.csv", "--out", "out"],
        cwd=tmp_path,
        env=os.environ | ascii_only | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = "path 'a \\xfc.tif' has characters that this session's locale can't write (ascii); set a UTF-8 locale"
    assert (done.returncode, done.stderr.splitlines()) == (2, [f"error: m.csv, line 3: {told}, such as LC_ALL=C.UTF-8"])
