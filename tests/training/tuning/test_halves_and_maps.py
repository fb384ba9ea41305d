"""What the commands keep between runs is never taken for what another model, zip or precision made."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.config import load_config
from nodescan.errors import UsageError
from nodescan.inference.card import find_model, load_card
from tests.examination.fast_fakes import Fast
from tests.fakes import ColourPredictor, paint_slide
from tests.training.made_patches import zip_of
from training.tuning import kept_maps
from training.tuning.composites import half_of, make_composites
from training.tuning.kept_maps import maps_of, probability_map


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


def test_a_map_is_kept_for_its_slide_and_precision_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same is read back; another slide of that name, another precision, or a nodescan that gives other results
    makes another."""

    class Half(ColourPredictor):
        def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
            return super().predict(tiles) / 2

    slide = paint_slide(tmp_path / "s.tif", tumour_um=300)
    whole = probability_map(slide, ColourPredictor(), cache=tmp_path / "maps")
    again = probability_map(slide, Half(), cache=tmp_path / "maps")
    assert np.array_equal(again.values, whole.values)
    assert again.bounds == whole.bounds is not None
    of_another_precision = Half()
    of_another_precision.precision = "int8"
    found = probability_map(slide, of_another_precision, cache=tmp_path / "maps")
    assert found.values.max() == pytest.approx(whole.values.max() / 2)
    (tmp_path / "b").mkdir()
    namesake = paint_slide(tmp_path / "b" / "s.tif", tumour_um=0)
    assert probability_map(namesake, ColourPredictor(), cache=tmp_path / "maps").values.max() < whole.values.max()
    monkeypatch.setattr(kept_maps, "RESULT_VERSION", kept_maps.RESULT_VERSION + 1)
    by_the_next = probability_map(slide, Half(), cache=tmp_path / "maps")
    assert by_the_next.values.max() == pytest.approx(whole.values.max() / 2)


def test_other_settings_make_another_map_of_the_same_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings say which cells are examined; the network is not asked again about tiles that it answered."""
    slide = paint_slide(tmp_path / "s.tif", tumour_um=300)
    whole = probability_map(slide, ColourPredictor(), cache=tmp_path)
    settings = load_config(None)
    monkeypatch.setattr(kept_maps, "load_config", lambda _: replace(settings, sha256=settings.sha256[::-1]))
    again = probability_map(slide, ColourPredictor(raises=AssertionError("asked again")), cache=tmp_path)
    assert np.array_equal(again.values, whole.values)
    assert len(list(tmp_path.glob("s-*.npz"))) == 3


def test_fast_answers_of_tuning_are_used_again_by_a_scan_as_it_decides(tmp_path: Path) -> None:
    """`tune` asks the fast network alone, `--only uncertainty` asks as a scan does: float32 alone is asked then, for
    each decision anew, and the map is that of a scan that asked both."""
    slide = paint_slide(tmp_path / "s.tif", tumour_um=300)
    fast = Fast(0.01)
    scanned = probability_map(slide, fast, cache=tmp_path / "scan")
    rough = ColourPredictor()
    rough.precision, rough.start = fast.precision, fast.start  # type: ignore[method-assign]
    assert not np.array_equal(probability_map(slide, rough, cache=tmp_path / "both").values, scanned.values)
    fast.start = lambda _: pytest.fail("asked again")  # type: ignore[method-assign]
    assert np.array_equal(probability_map(slide, fast, cache=tmp_path / "both").values, scanned.values)
    other = replace(fast)
    other.decision = replace(fast.decision, threshold=0.4)
    other.start = fast.start  # type: ignore[method-assign]
    probability_map(slide, other, cache=tmp_path / "both")
    assert len(list((tmp_path / "both").glob("s-*.npz"))) == 4  # tiles, and a map of each


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"name": "other", "licence": "other", "tuned_sha256": None}, True),
        ({"temperature": 2.0}, False),
        ({"weights_sha256": "0" * 64}, False),
        ({"mean": (0.6, 0.5, 0.6)}, False),
        ({"spacing_um": (0.9, 1.1)}, False),
        ({"core_px": 256}, False),
        ({"int8_ranges": None}, False),
    ],
)
def test_maps_of_one_network_lie_together_whatever_is_decided_on_them(
    tmp_path: Path, change: dict[str, object], same: bool
) -> None:
    """A card that `tune` has just rewritten names the folder that `tune` filled; another network has another."""
    card = load_card(find_model(None))
    decided = card.model_copy(update={"decision": card.decision.model_copy(update={"threshold": 0.6})})
    assert maps_of(decided, tmp_path) == maps_of(card, tmp_path)
    assert (maps_of(card.model_copy(update=change), tmp_path) == maps_of(card, tmp_path)) is same


def test_a_damaged_map_is_made_again(tmp_path: Path) -> None:
    """As a copy that was broken off leaves it: the map, its answers, or both."""
    slide = paint_slide(tmp_path / "s.tif", tumour_um=300)
    whole = probability_map(slide, ColourPredictor(), cache=tmp_path / "maps")
    map_, tiles = sorted((tmp_path / "maps").iterdir())
    sizes = [file.stat().st_size for file in (map_, tiles)]
    for files in ((map_,), (map_, tiles)):
        for share in (0.5, 0.0):
            for file in files:
                content = file.read_bytes()
                file.write_bytes(content[: int(share * len(content))])
            again = probability_map(slide, ColourPredictor(), cache=tmp_path / "maps")
            assert np.array_equal(again.values, whole.values)
            assert [file.stat().st_size for file in (map_, tiles)] == sizes
