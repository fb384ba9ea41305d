"""Files, folders and globs become slides, each once."""

from pathlib import Path

import pytest

from nodescan.errors import SlideError, UsageError
from nodescan.reports import OLDER_JSON, REPLACED_JSON
from nodescan.reports.json_report import REPORT_JSON
from nodescan.slides import discovery, open_slide
from nodescan.slides.discovery import SUFFIXES, find_slides
from tests.slides.made_dicom import Level, write_dicom, write_level
from tests.slides.made_files import noise


def found(*inputs: Path | str) -> list[Path]:
    return [ref.path for ref in find_slides([str(text) for text in inputs], mpp_um=None, override_mpp=False)]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_folders_are_searched_to_their_bottom_by_suffix_in_any_case(tmp_path: Path):
    """Every suffix counts; notes, hidden files and nodescan's own maps don't."""
    slides = [tmp_path / "deep" / "er" / f"s{suffix}" for suffix in sorted(SUFFIXES)] + [tmp_path / "T.SVS"]
    touch(*slides, tmp_path / "notes.txt", tmp_path / "._s.svs", tmp_path / ".hidden/s.svs")
    touch(tmp_path / "s" / "probability.ome.tif", tmp_path / "s" / "report.json")
    assert set(found(tmp_path)) == set(slides)


@pytest.mark.parametrize("name", ["a.ome.btf", "a.tf8", "a.qptiff", "a.isyntax", "a.vsi"])
def test_a_slide_among_others_is_not_passed_over_for_its_suffix(tmp_path: Path, name: str):
    """BigTIFFs as Bio-Formats names them are read; what no reader knows has a row that says so."""
    touch(tmp_path / "b.svs", tmp_path / name)
    assert found(tmp_path) == [tmp_path / name, tmp_path / "b.svs"]


@pytest.mark.parametrize(
    "name", ["a.svs.", "a.SVS ", "a.svs.part", "a.ndpi.CRDOWNLOAD", "a.zvi", "a.lif", "a.jp2", "a.afi"]
)
def test_what_may_be_a_slide_is_not_passed_over_for_its_name(tmp_path: Path, name: str):
    """A name with more behind it, a copy that isn't done, a format of a scanner."""
    touch(tmp_path / name, tmp_path / "notes.part", tmp_path / "svs.")
    assert found(tmp_path) == [tmp_path / name]


def test_a_named_file_is_taken_whatever_it_is(tmp_path: Path):
    """It fails later, in its own row."""
    touch(tmp_path / "notes.txt")
    assert found(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]


def test_the_settings_go_with_every_slide(tmp_path: Path):
    """The spacing the user gave, and whether it wins."""
    touch(tmp_path / "a.svs")
    (ref,) = find_slides([str(tmp_path)], mpp_um=0.25, override_mpp=True)
    assert (ref.slide_id, ref.mpp_um, ref.override_mpp) == ("a", 0.25, True)


def test_one_file_counts_once_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By file, by folder, by glob, by a relative path and through a link."""
    touch(tmp_path / "in" / "a.svs")
    (tmp_path / "b.svs").symlink_to(tmp_path / "in" / "a.svs")
    monkeypatch.chdir(tmp_path)
    assert len(found("in/a.svs", tmp_path / "in", "in/*.svs", "./in/../in/a.svs", "b.svs")) == 1


def test_globs_reach_below_and_inputs_keep_their_order(tmp_path: Path):
    """** crosses folders; what was named first comes first."""
    a, b, c = tmp_path / "x" / "y" / "a.svs", tmp_path / "x" / "b.svs", tmp_path / "c.svs"
    touch(a, b, c)
    assert found(c, tmp_path / "x" / "**" / "*.svs") == [c, b, a]


@pytest.mark.parametrize("pattern", ["**/*.tif", "*/*.tif", "s/*.ome.tif"])
def test_a_glob_takes_no_map_of_an_earlier_run_for_a_slide(tmp_path: Path, pattern: str):
    """As a folder does not, wherever the file lies; named by itself it is taken, and fails in its own row."""
    slide, own_map = tmp_path / "s" / "a.ome.tif", tmp_path / "s" / "probability.ome.tif"
    touch(slide, own_map, tmp_path / "s" / "report.json")
    assert found(tmp_path / pattern) == found(tmp_path) == [slide]
    assert found(own_map) == [own_map]
    with pytest.raises(UsageError, match="matches no slide"):
        found(tmp_path / "*" / own_map.name)


@pytest.mark.parametrize("mark", [REPORT_JSON, OLDER_JSON, REPLACED_JSON])
def test_a_slide_that_is_called_as_nodescans_map_is_passed_over_beside_a_report_alone(tmp_path: Path, mark: str):
    """Also beside one that a run put aside; a user's slide or folder of this name is taken, by a glob and a folder."""
    own_map, slide = tmp_path / "results" / "a" / "probability.ome.tif", tmp_path / "b" / "probability.ome.tif"
    inside = tmp_path / "c" / "probability.ome.tif" / "a.svs"
    touch(own_map, own_map.with_name(mark), slide, inside)
    assert found(tmp_path) == [slide, inside]
    assert found(tmp_path / "**" / "*.ome.tif") == [slide, inside]


def test_brackets_in_the_name_of_a_file_that_exists_are_no_glob(tmp_path: Path):
    """case[1].svs is itself."""
    touch(tmp_path / "case[1].svs")
    assert found(tmp_path / "case[1].svs") == [tmp_path / "case[1].svs"]


def test_link_loops_end_and_links_to_folders_are_followed(tmp_path: Path):
    """A folder that links to its parent is walked once."""
    touch(tmp_path / "real" / "a.svs")
    (tmp_path / "real" / "up").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    assert found(tmp_path / "top") == [tmp_path / "top" / "link" / "a.svs"]


@pytest.mark.usefixtures("unnumbered")
def test_folders_that_a_disk_gives_one_number_are_searched_each(tmp_path: Path):
    """Each may hold a patient's only positive node."""
    touch(tmp_path / "a" / "a.svs", tmp_path / "b" / "b.svs")
    assert found(tmp_path) == [tmp_path / "a" / "a.svs", tmp_path / "b" / "b.svs"]


def test_the_folders_that_windows_keeps_on_every_disk_are_passed_over(tmp_path: Path):
    """What was deleted is no slide of the study."""
    touch(tmp_path / "a.svs", tmp_path / "$RECYCLE.BIN" / "S-1" / "b.svs", tmp_path / "System Volume Information/c.svs")
    assert found(tmp_path) == [tmp_path / "a.svs"]


def test_an_mrxs_with_its_data_folder_is_one_slide(tmp_path: Path):
    """Found by the parent folder, by all that a shell makes of *, and by the data folder alone."""
    touch(tmp_path / "a.mrxs", tmp_path / "a" / "Slidedat.ini", tmp_path / "a" / "Data0000.dat")
    index = tmp_path / "a.mrxs"
    assert found(tmp_path) == found(index, tmp_path / "a") == found(tmp_path / "*") == found(tmp_path / "a") == [index]


def test_the_images_of_a_vms_are_no_slides(tmp_path: Path):
    """A shell's * names them too."""
    images = [tmp_path / "a(1,1).jpg", tmp_path / "a_macro.jpg"]
    touch(*images)
    (tmp_path / "a.vms").write_text("[Virtual Microscope Specimen]\nImageFile=a(1,1).jpg\nMacroImage=a_macro.jpg\n")
    assert found(*images, tmp_path / "a.vms") == found(tmp_path) == [tmp_path / "a.vms"]


def test_no_slide_is_dropped_for_what_lies_beside_it(tmp_path: Path):
    """An .mrxs named like a folder of slides, and a .vms that names a slide as its image: each has its own row."""
    touch(tmp_path / "case.mrxs", tmp_path / "case" / "a.tif", tmp_path / "b.tif")
    (tmp_path / "z.vms").write_text("[Virtual Microscope Specimen]\nMapFile=b.tif\n")
    index, below, beside, vms = (tmp_path / name for name in ("case.mrxs", "case/a.tif", "b.tif", "z.vms"))
    assert set(found(tmp_path)) == set(found(below, beside, vms, index)) == {index, below, beside, vms}
    assert found(tmp_path / "case") == [below]


@pytest.mark.parametrize("implicit", [False, True])
def test_a_folder_of_dicom_instances_is_one_slide_a_series(tmp_path: Path, implicit: bool):
    """The largest instance stands for its series; a series named in a reference is not the file's own."""
    small, large = (write_dicom(tmp_path / f"{n}.dcm", "1.2.3", length=n, implicit=implicit) for n in (10, 900))
    other = write_dicom(tmp_path / "other.dcm", "1.2.4", implicit=implicit)
    unsuffixed = write_dicom(tmp_path / "1.2.840.7", "1.2.5", implicit=implicit)
    assert set(found(tmp_path)) == {large, other, unsuffixed}
    assert found(small, large) == found(large, small) == [large]
    assert found(tmp_path / "*.dcm") == [large, other]


def test_dicom_files_are_found_whatever_their_suffix(tmp_path: Path):
    """By their mark; a DICOMDIR and other files aren't."""
    named = [
        write_dicom(tmp_path / name, f"1.2.{number}") for number, name in enumerate(("a.dicom", "b.DCM1", "1.2.3"))
    ]
    write_dicom(tmp_path / "DICOMDIR", "1.3")
    touch(tmp_path / "notes.txt", tmp_path / "c.dicom")
    assert set(found(tmp_path)) == set(named)
    ids = {ref.slide_id for ref in find_slides([str(tmp_path)], mpp_um=None, override_mpp=False)}
    assert ids == {"a", "b", "1.2.3"}


def test_a_series_is_named_by_its_largest_level_not_by_its_label(tmp_path: Path):
    """However large the picture of the label is."""
    level = write_level(tmp_path / "l.dcm", Level(noise(256, 256), (0.5, 0.5), instance="1.1"))
    write_level(tmp_path / "k.dcm", Level(noise(64, 64), (2.0, 2.0), instance="1.2", tile_px=(64, 64)))
    write_level(tmp_path / "z.dcm", Level(noise(512, 512), (9.0, 9.0), instance="1.3", flavour="LABEL"))
    assert found(tmp_path) == [level]


def test_a_copy_beside_a_file_does_not_change_the_slides_name(tmp_path: Path):
    """A run would take it for another slide; a name without a known suffix comes before that of its copy, too."""
    level = write_level(tmp_path / "l.dcm", Level(noise(256, 256), (0.5, 0.5), instance="1.1"))
    for name in ("l.dcm.bak", "a.bak"):
        (tmp_path / name).write_bytes(level.read_bytes())
    assert found(tmp_path) == found(tmp_path / "l.dcm.bak", level) == [level]
    bare = level.rename(tmp_path / "1.2.3")
    (tmp_path / "a.bak").rename(tmp_path / "1.2.3.bak")
    assert found(tmp_path) == [bare]


def test_one_series_in_two_folders_is_two_slides(tmp_path: Path):
    """OpenSlide puts a series together from one folder."""
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        write_dicom(tmp_path / folder / "a.dcm", "1.2.3")
    assert len(found(tmp_path)) == 2


@pytest.mark.parametrize("text", ["gone.svs", "gone", "gone/*.svs"])
def test_what_isnt_there_is_wrong_usage_that_names_it(tmp_path: Path, text: str):
    """A file, a folder, a pattern."""
    with pytest.raises(UsageError, match=f"{tmp_path / text}".replace("*", r"\*")):
        found(tmp_path / text)


def test_a_folder_without_slides_is_wrong_usage_that_names_it(tmp_path: Path):
    """And says what was looked for."""
    touch(tmp_path / "notes.txt")
    with pytest.raises(UsageError, match=rf"{tmp_path}: holds no slides; looked for .*\.svs"):
        found(tmp_path)


def test_a_folder_without_slides_beside_others_fails_in_its_own_row(tmp_path: Path):
    """As a week's folder that nothing was scanned into yet: the others are read."""
    (tmp_path / "empty").mkdir()
    touch(tmp_path / "full" / "a.svs")
    assert found(tmp_path / "empty", tmp_path / "full") == [tmp_path / "empty", tmp_path / "full" / "a.svs"]


def test_a_folder_without_slides_takes_no_slides_name(tmp_path: Path):
    """As one of thumbnails beside the slide that it is called after, by which a second run would scan that anew."""
    (tmp_path / "a").mkdir()
    touch(tmp_path / "a.svs")
    inputs = [str(tmp_path / "a"), str(tmp_path / "a.svs")]
    ids = [ref.slide_id for ref in find_slides(inputs, mpp_um=None, override_mpp=False)]
    assert ids == ["folder-without-slides", "a"]


def test_a_folder_that_cannot_be_listed_fails_in_its_own_row(tmp_path: Path, closed: set[str]):
    """It could hold a patient's only positive node, and the slides beside it are scanned all the same."""
    closed.add("Mueller")
    touch(tmp_path / "Mueller" / "a.svs", tmp_path / "b.svs")
    folder, slide = find_slides([str(tmp_path)], mpp_um=None, override_mpp=False)
    assert (folder.path, folder.slide_id, slide.path) == (
        tmp_path / "Mueller",
        "folder-not-listed",
        tmp_path / "b.svs",
    )
    with pytest.raises(SlideError, match=r"the folder can't be listed .* give it read permission"):
        open_slide(folder)


def test_folders_that_cannot_be_listed_alone_are_wrong_usage(tmp_path: Path, closed: set[str]):
    """Beside a folder without slides, too, and lost+found where it is named."""
    closed.update(("shut", "lost+found"))
    for name in ("shut", "empty", "lost+found"):
        (tmp_path / name).mkdir()
    for inputs in ([tmp_path], [tmp_path / "empty", tmp_path / "shut"], [tmp_path / "lost+found"]):
        with pytest.raises(UsageError, match="can't be listed"):
            found(*inputs)


def test_a_disks_lost_and_found_is_passed_over_where_it_cannot_be_listed(tmp_path: Path, closed: set[str]):
    """Only root may list it. What root put there is found."""
    touch(tmp_path / "a.svs", tmp_path / "lost+found" / "b.svs")
    assert found(tmp_path) == [tmp_path / "a.svs", tmp_path / "lost+found" / "b.svs"]
    closed.add("lost+found")
    assert found(tmp_path) == [tmp_path / "a.svs"]


def test_the_data_folder_of_a_mirax_slide_is_part_of_it(tmp_path: Path):
    """A shell's * names both."""
    touch(tmp_path / "a.mrxs", tmp_path / "a" / "Slidedat.ini", tmp_path / "a" / "Data0000.dat")
    assert found(*sorted(tmp_path.iterdir())) == [tmp_path / "a.mrxs"]


def test_an_empty_input_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As of a shell's variable that isn't set."""
    (tmp_path / "a.svs").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="an input is empty"):
        find_slides([""], mpp_um=None, override_mpp=False)


def test_no_inputs_is_wrong_usage():
    """An empty list is a mistake, not an empty batch."""
    with pytest.raises(UsageError, match="no slides given"):
        found()


def test_a_link_to_nothing_is_a_slide_that_fails_in_its_own_row(tmp_path: Path):
    """It isn't passed over in silence."""
    (tmp_path / "a.svs").symlink_to(tmp_path / "gone.svs")
    assert found(tmp_path) == found(tmp_path / "a.svs") == [tmp_path / "a.svs"]


def test_a_file_that_cannot_be_read_fails_in_its_own_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without a suffix it may be a DICOM slide: the others are scanned all the same."""
    touch(tmp_path / "a.svs", tmp_path / "LOCKFILE")

    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(discovery, "is_dicom", refused)
    assert [path.name for path in found(tmp_path)] == ["LOCKFILE", "a.svs"]
