"""Composites are handed to evaluation whole, and seeds are read as a range."""

import json
from pathlib import Path

import pytest

from nodescan.domain.classification import Metastasis
from nodescan.errors import UsageError
from nodescan.evaluation.reference import read_reference
from tests.training.made_patches import zip_of
from training.commands.output import seed_range
from training.tuning.composites import half_of, known_composite, linked, make_composites
from training.tuning.known_slides import KnownSlide


def composite(folder: Path, seed: int, sizes_um: tuple[float, ...]) -> KnownSlide:
    path = folder / f"valid-half2-{seed}.tif"
    folder.mkdir(exist_ok=True)
    path.write_bytes(b"slide")
    deposits = [{"centre_um": [3000.0, 3000.0], "diameter_um": size} for size in sizes_um]
    label = "micro" if sizes_um else "negative"
    truth = {"slide": path.stem, "um_per_px": 0.486, "label": label, "deposits": deposits}
    path.with_suffix(".truth.json").write_text(json.dumps(truth))
    return known_composite(path)


def test_linked_composites_are_a_reference_for_nodescan_evaluate(tmp_path: Path) -> None:
    """The folder holds the slides and their truth alone; a second set beside them would count as not run."""
    made = [composite(tmp_path / "work", 101, (500.0,)), composite(tmp_path / "work", 104, ())]
    for _ in range(2):
        linked(made, tmp_path / "set")
    reference = read_reference(tmp_path / "set")
    assert {name: found.label for name, found in reference.slides.items()} == {
        "valid-half2-101": Metastasis.MICRO,
        "valid-half2-104": Metastasis.NONE,
    }
    assert len(list((tmp_path / "set").iterdir())) == 4
    with pytest.raises(UsageError, match=r"holds valid-half2-101\.truth\.json of another set"):
        linked(made[1:], tmp_path / "set")


TOOL = """
import json, sys
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
open(words["--out"], "w").write("MARK")
json.dump({"deposits": []}, open(words["--out"].replace(".tif", ".truth.json"), "w"))
"""


def test_slides_of_another_tool_are_not_taken_for_this_ones(tmp_path: Path) -> None:
    """A script that was changed, or slides of which nothing says who made them: a model would be judged by those."""
    tool, zipped, work = tmp_path / "tool.py", tmp_path / "p.zip", tmp_path / "work"
    tool.write_text(TOOL)
    zipped.write_bytes(b"patches")
    (first,) = make_composites(tool, zipped, [4], to=work)
    (again, _) = make_composites(tool, zipped, [4, 8], to=work)
    assert (again, again.path.read_text()) == (first, "MARK")
    tool.write_text(TOOL.replace("MARK", "NEW"))
    with pytest.raises(UsageError, match=r"work: holds slides p-\* that another tool .*; name another"):
        make_composites(tool, zipped, [12], to=work)
    assert make_composites(tool, zipped, [4], to=tmp_path / "other")[0].path.read_text() == "NEW"
    (work / "p.made_by.txt").unlink()
    with pytest.raises(UsageError, match="another tool or version made"):
        make_composites(tool, zipped, [4], to=work)


def test_every_fourth_seed_plants_nothing_and_the_others_one_deposit_of_each_class(tmp_path: Path) -> None:
    """Well within the class's limits; a seed always plants the same, and two seeds don't."""
    tool, zipped = tmp_path / "tool.py", tmp_path / "p.zip"
    tool.write_text(TOOL.replace('"MARK"', 'words["--diameters-um"] + " " + words["--seed"]'))
    zipped.write_bytes(b"patches")
    made = make_composites(tool, zipped, range(12), to=tmp_path / "work")
    planted = [slide.path.read_text().split(" ") for slide in made]
    assert [int(seed) for _, seed in planted] == list(range(12))
    assert [slide.name for slide in made] == [f"p-{seed:03d}" for seed in range(12)]
    sizes = [float(size) if size else None for size, _ in planted]
    limits = {0: None, 1: (60, 190), 2: (250, 1900), 3: (2200, 5000)}
    for seed, size in enumerate(sizes):
        low_high = limits[seed % 4]
        assert (size is None) is (low_high is None)
        assert size is None or (low_high is not None and low_high[0] <= size <= low_high[1])
    assert len(set(sizes)) == 10
    again = make_composites(tool, zipped, range(12), to=tmp_path / "again")
    assert [slide.path.read_text().split(" ")[0] for slide in again] == [size for size, _ in planted]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("json.dump({}, open(words['--out'].replace('.tif', '.truth.json'), 'w')); sys.exit('disk full')", "disk full"),
        ("sys.exit()", "it wrote no p-004.truth.json and no p-004.tif"),
        ("sys.exit(3)", "it wrote no p-004.truth.json and no p-004.tif"),
    ],
)
def test_half_of_a_slide_is_not_taken_as_made(tmp_path: Path, fault: str, said: str) -> None:
    """A tool that fails, or writes nothing, is told; the next run makes the slide."""
    tool, zipped, work = tmp_path / "tool.py", tmp_path / "p.zip", tmp_path / "work"
    zipped.write_bytes(b"patches")
    flag = tmp_path / "failed"
    lines = TOOL.replace("open(words", f"import os\nif not os.path.exists({str(flag)!r}):\n    {fault}\nopen(words", 1)
    tool.write_text(lines)
    with pytest.raises(UsageError, match=f"made no slide for seed 4: {said}"):
        make_composites(tool, zipped, [4], to=work)
    assert not list(work.glob("*.truth.json"))
    flag.touch()
    (again,) = make_composites(tool, zipped, [4], to=work)
    again.path.unlink()  # as of a run that was killed between the two
    assert make_composites(tool, zipped, [4], to=work)[0].path.read_text() == "MARK"


def labelled(path: Path, *labels: str) -> Path:
    """A zip of a patch of each label; of as many bytes, whichever they are."""
    return zip_of(path, {f"{label}/{number}.png": bytes([number]) for number, label in enumerate(labels)})


def test_slides_of_labels_that_were_corrected_since_are_not_handed_on(tmp_path: Path) -> None:
    """The zip is as long as before; without its half, too, its slides are told from those of the old labels."""
    tool, zipped, work = tmp_path / "tool.py", tmp_path / "p.zip", tmp_path / "work"
    tool.write_text(TOOL)
    half = half_of(labelled(zipped, "tumour", "normal", "normal"), work, half=1)
    size = zipped.stat().st_size
    make_composites(tool, half, [4], to=work)
    made = half.read_bytes()
    half.unlink()
    assert half_of(zipped, work, half=1).read_bytes() == made
    assert len(make_composites(tool, half, [4, 8], to=work)) == 2
    assert labelled(zipped, "normal", "normal", "tumour").stat().st_size == size
    with pytest.raises(UsageError, match=r"p-half1\.zip: is of another p\.zip .* delete it with the slides p-half1-"):
        half_of(zipped, work, half=1)
    half.unlink()
    with pytest.raises(UsageError, match=r"holds slides p-half1-\* that .* are of other patches"):
        make_composites(tool, half_of(zipped, work, half=1), [4], to=work)


def test_hdf5_is_told_from_a_zip(tmp_path: Path) -> None:
    """PatchCamelyon's own files can be trained on, but no slides laid out of them: what to do is said."""
    with pytest.raises(UsageError, match=r"valid_x.h5: is HDF5; slides are laid out of a zip: write its patches as"):
        half_of(tmp_path / "valid_x.h5", tmp_path, half=1)


def test_a_folder_of_patches_is_told_from_a_zip(tmp_path: Path) -> None:
    """Every other command takes one: what to do is said."""
    (tmp_path / "valid").mkdir()
    with pytest.raises(UsageError, match="valid: is a folder; pack it into a zip"):
        half_of(tmp_path / "valid", tmp_path / "work", half=1)


def test_a_range_of_seeds() -> None:
    """Both ends count; one number is a range; anything else is named."""
    assert (list(seed_range("3-5")), list(seed_range("7"))) == ([3, 4, 5], [7])
    with pytest.raises(UsageError, match="--seeds 'x'"):
        seed_range("x")
