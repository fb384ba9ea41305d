"""What the commands keep between runs is never taken for what another model, zip or precision made."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.config import load_config
from nodescan.errors import UsageError
from tests.fakes import ColourPredictor, paint_slide
from tests.training.made_patches import zip_of
from training.tuning import rules as tuning
from training.tuning.composites import half_of, make_composites
from training.tuning.rules import probability_map


def patches_at(path: Path, count: int) -> Path:
    return zip_of(path, {f"normal/{number:02d}.jpg": bytes([number]) for number in range(count)})


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_the_two_halves_share_no_patch(tmp_path: Path) -> None:
    """Every second one each, and all of them between the two; asked again they are the same files."""
    patches = patches_at(tmp_path / "valid.zip", 9)
    first, second = (half_of(patches, tmp_path / "work", half=half) for half in (1, 2))
    assert (names(first), names(second)) == (names(patches)[::2], names(patches)[1::2])
    assert half_of(patches, tmp_path / "work", half=1) == first


def test_the_half_of_another_zip_is_refused(tmp_path: Path) -> None:
    """One of the same name would be taken for it."""
    half_of(patches_at(tmp_path / "a" / "valid.zip", 9), tmp_path / "work", half=1)
    with pytest.raises(UsageError, match=r"is of another valid\.zip .*; name another folder with --work"):
        half_of(patches_at(tmp_path / "b" / "valid.zip", 12), tmp_path / "work", half=1)


def test_what_is_no_zip_or_no_tool_is_named(tmp_path: Path) -> None:
    """In one line, and no half is left behind."""
    with pytest.raises(UsageError, match=r"nope\.zip: no zip of patches"):
        half_of(tmp_path / "nope.zip", tmp_path / "work", half=1)
    cut = patches_at(tmp_path / "cut.zip", 9)
    cut.write_bytes(cut.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"cut\.zip: no zip of patches"):
        half_of(cut, tmp_path / "work", half=1)
    assert not list((tmp_path / "work").glob("*.zip"))
    with pytest.raises(UsageError, match=r"nope\.py: no such script"):
        make_composites(tmp_path / "nope.py", cut, [1], to=tmp_path / "work")


def test_a_map_is_kept_for_its_slide_card_and_precision_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same is read back; another slide of that name, another temperature, which stands on the card, another
    precision, other settings or a nodescan that gives other results makes another."""

    class Half(ColourPredictor):
        def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
            return super().predict(tiles) / 2

    slide = paint_slide(tmp_path / "s.tif", tumour_um=300)
    whole = probability_map(slide, ColourPredictor(), cache=tmp_path / "maps")
    again = probability_map(slide, Half(), cache=tmp_path / "maps")
    assert np.array_equal(again.values, whole.values)
    assert again.bounds == whole.bounds is not None
    of_another_card, of_another_precision = Half(), Half()
    of_another_card.model = replace(ColourPredictor.model, card_sha256="1" * 64)
    of_another_precision.precision = "int8"
    for other in (of_another_card, of_another_precision):
        found = probability_map(slide, other, cache=tmp_path / "maps")
        assert found.values.max() == pytest.approx(whole.values.max() / 2)
    (tmp_path / "b").mkdir()
    namesake = paint_slide(tmp_path / "b" / "s.tif", tumour_um=0)
    assert probability_map(namesake, ColourPredictor(), cache=tmp_path / "maps").values.max() < whole.values.max()
    monkeypatch.setattr(tuning, "RESULT_VERSION", tuning.RESULT_VERSION + 1)
    by_the_next = probability_map(slide, Half(), cache=tmp_path / "maps")
    assert by_the_next.values.max() == pytest.approx(whole.values.max() / 2)
    finer = load_config(None)
    finer = replace(finer, sha256=finer.sha256[::-1])
    monkeypatch.setattr(tuning, "load_config", lambda _: finer)
    again = probability_map(slide, ColourPredictor(), cache=tmp_path / "maps")
    assert np.array_equal(again.values, whole.values)


def test_a_damaged_map_is_made_again(tmp_path: Path) -> None:
    """As a copy that was broken off leaves it."""
    slide = paint_slide(tmp_path / "s.tif", tumour_um=300)
    whole = probability_map(slide, ColourPredictor(), cache=tmp_path / "maps")
    (kept,) = (tmp_path / "maps").iterdir()
    content = kept.read_bytes()
    for damaged in (content[: len(content) // 2], b""):
        kept.write_bytes(damaged)
        again = probability_map(slide, ColourPredictor(), cache=tmp_path / "maps")
        assert np.array_equal(again.values, whole.values)
        assert kept.stat().st_size == len(content)
