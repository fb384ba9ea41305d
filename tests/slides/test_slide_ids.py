"""Names of slides are safe, unique and don't depend on the order."""

import hashlib
import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodescan.batch.lock import LOCK_FILE
from nodescan.batch.record import RUN_JSON, RUN_LOG, SETTINGS
from nodescan.batch.run import SUMMARY_CSV
from nodescan.batch.slide_folders import EARLIER_REPORTS
from nodescan.domain.naming import SAFE_NAME
from nodescan.patients.earlier_stages import PAGES, PATIENTS_CSV, PATIENTS_JSON, SUBMISSION_CSV
from nodescan.reports.summary_page import SUMMARY_HTML
from nodescan.slides import slide_ids as slide_ids_module
from nodescan.slides.slide_ids import RESERVED, safe_name, slide_ids


def test_slides_of_one_name_get_the_hash_of_their_folder_and_others_their_plain_stem():
    """Upper and lower case count as one name, for a file system may not tell them apart."""
    paths = [Path("/x/a/s.svs"), Path("/x/b/S.svs"), Path("/x/b/t.svs")]
    expected = {path: f"{path.stem}-{hashlib.sha256(str(path.parent).encode()).hexdigest()[:6]}" for path in paths[:2]}
    expected[paths[2]] = "t"
    for order in itertools.permutations(paths):
        assert dict(zip(order, slide_ids(order), strict=True)) == expected


def test_a_file_named_by_a_uid_keeps_its_last_part():
    """1.2.840.7 and 1.2.840.8 are two slides, and what is all digits is no suffix."""
    assert slide_ids([Path("/x/1.2.840.7"), Path("/x/1.2.840.8")]) == ("1.2.840.7", "1.2.840.8")
    assert slide_ids([Path("/x/1.2.840.7.dcm")]) == ("1.2.840.7",)


def test_slides_of_one_stem_in_one_folder_stay_apart():
    """a.svs, a.tif and A.tif in one folder have one stem and one parent."""
    paths = [Path("/x/a.svs"), Path("/x/a.tif"), Path("/x/A.tif")]
    ids = slide_ids(paths)
    assert len({name.casefold() for name in ids}) == 3
    assert all(re.fullmatch(r"[aA]-[0-9a-f]{6}", name) for name in ids)
    assert set(slide_ids(paths[::-1])) == set(ids)


@pytest.mark.parametrize("stem", [*sorted(RESERVED), "Patients", "SUMMARY.CSV"])
def test_no_slide_gets_the_name_of_one_of_the_runs_own_files(stem: str):
    """A slide patients.svs would share its folder with the patients' pages, summary.csv.tif its name with the table."""
    name, other = slide_ids([Path(f"/x/{stem}.svs"), Path("/x/b.svs")])
    assert name == f"{stem}-{hashlib.sha256(b'/x').hexdigest()[:6]}"
    assert other == "b"


@pytest.mark.parametrize(("stem", "name"), [("nul", "nul"), ("CON", "CON"), ("lpt9.x", "lpt9_x"), ("com1.", "com1")])
def test_no_slide_gets_the_name_of_a_device_of_windows(stem: str, name: str):
    """No folder can have it there, whatever stands behind its first dot."""
    assert slide_ids([Path(f"/x/{stem}.svs")]) == (f"{name}-{hashlib.sha256(b'/x').hexdigest()[:6]}",)
    assert slide_ids([Path("/x/null.svs"), Path("/x/com10.svs")]) == ("null", "com10")


def test_what_a_run_writes_is_reserved():
    """The names stand in two rooms; they may not drift apart."""
    patients = {PATIENTS_CSV, PATIENTS_JSON, PAGES, SUBMISSION_CSV}
    assert (
        patients | {SUMMARY_CSV, SUMMARY_HTML, RUN_LOG, RUN_JSON, SETTINGS, EARLIER_REPORTS, "evaluation"} == RESERVED
    )
    assert safe_name(LOCK_FILE)[0] != "."  # hidden files: no slide's folder is


def test_a_file_named_like_a_hashed_name_doesnt_take_its_place():
    """A third slide whose own stem is the first one's hashed name still gets a name of its own."""
    first, second = slide_ids([Path("/x/a/s.svs"), Path("/x/b/s.svs")])
    paths = [Path("/x/a/s.svs"), Path("/x/b/s.svs"), Path(f"/x/c/{first}.svs")]
    ids = slide_ids(paths)
    assert len(set(ids)) == 3
    assert second in ids


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=130), st.text("aZ0._-", max_size=130), st.text("a", min_size=95, max_size=105)))
def test_reports_of_others_are_held_to_the_same_rule(name: str) -> None:
    """What SAFE_NAME takes is what safe_name() leaves as it is."""
    assert (safe_name(name) == name) == bool(SAFE_NAME.fullmatch(name))


@given(st.text(max_size=130))
def test_every_name_is_safe_as_a_folder(stem: str):
    """Letters, digits, . _ - only, neither empty nor a way up, at most 100 characters."""
    name = safe_name(stem)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name)
    assert name not in (".", "..")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["s", "S", "s 1", "s_1", "x" * 120, ".."])),
        min_size=1,
        unique=True,
    )
)
def test_names_are_unique_and_the_same_in_any_order(places: list[tuple[str, str]]):
    """Also where making them safe or short makes them alike."""
    paths = [Path(f"/root/{folder}/{stem}.svs") for folder, stem in places]
    ids = slide_ids(paths)
    assert len({name.casefold() for name in ids}) == len(paths)
    assert all(len(name) <= 100 for name in ids)
    assert dict(zip(paths[::-1], slide_ids(paths[::-1]), strict=True)) == dict(zip(paths, ids, strict=True))


@pytest.mark.parametrize(
    ("stem", "name"), [("Müller 07", "Muller_07"), ("..", "slide"), ("", "slide"), (".x", "x"), ("日本", "_")]
)
def test_names_stay_readable(stem: str, name: str):
    """Accents are dropped, the rest becomes an underscore."""
    assert safe_name(stem) == name


def test_an_id_is_the_same_in_any_locale(monkeypatch: pytest.MonkeyPatch):
    """The bytes of a name count, not what the locale takes them for: Latin-1 reads two letters in an e with accent."""
    place = "/x/\u00e9"
    expected = slide_ids([Path(f"{place}/\u00e9 1.svs"), Path("/y/e 1.svs")])

    def in_latin_1(name: object) -> bytes:
        return str(name).encode("latin-1")

    monkeypatch.setattr(slide_ids_module.os, "fsencode", in_latin_1)
    monkeypatch.setattr(slide_ids_module.os.path, "realpath", str)
    as_latin_1 = place.encode().decode("latin-1")
    assert slide_ids([Path(f"{as_latin_1}/\u00c3\u00a9 1.svs"), Path("/y/e 1.svs")]) == expected
    assert expected[0].startswith("e_1-")
