"""What is drawn from slides: its labels, its balance, its pixels, and that workers and resumes change nothing."""

import math
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nodescan.csv_rows import csv_text
from nodescan.domain.slide import SlideRef
from nodescan.errors import RegionUnreadableError, UsageError
from nodescan.slides import open_slide
from tests.training.made_runs import AUGMENT, OFF, PLAN, SAMPLE, slide_data
from tests.training.made_slides import DISCS, replaced, spoilt
from tests.training.slides.test_prepare import truth
from training.fitting.transforms import as_image, normalised
from training.patches.augment import augmented
from training.patches.mosaics import IGNORED, cell_labels
from training.patches.numbered_batches import ResumableLoader
from training.slides.batches import PATCH_PX, SlideBatches
from training.slides.index import NORMAL_STRATA, SPACING_UM, TUMOUR_STRATA, Stratum
from training.slides.sampler import HARD_COLUMNS, Place, SlideSampler, box_around


@pytest.fixture(scope="module")
def sampler(index: Path) -> SlideSampler:
    return SlideSampler(index, "train", SAMPLE)


@pytest.fixture(scope="module")
def places(sampler: SlideSampler) -> list[Place]:
    rng = np.random.default_rng(1)
    return [sampler.draw(rng) for _ in range(3000)]


def slide_id(sampler: SlideSampler, place: Place) -> str:
    return sampler.rows[place.slide].slide_id


def test_a_patch_is_positive_where_its_centre_holds_planted_tumour(sampler: SlideSampler, places: list[Place]) -> None:
    """PatchCamelyon's rule against the planted discs; patches that the outline's drawing decides are passed over."""
    for place in places[:300]:
        pixels, tumour = sampler.patch(place, PATCH_PX)
        name = slide_id(sampler, place)
        discs = DISCS[name][:1] if name == "tumor_010" else DISCS[name]
        x, y = (np.arange(p - 16, p + 16) + 0.5 for p in (place.x_px, place.y_px))
        depth = [d.radius_px - np.hypot(y[:, None] - d.y_px, x - d.x_px).min() for d in discs] or [-math.inf]
        if abs(max(depth)) > 0.5:
            assert tumour == (max(depth) > 0)
        assert pixels.shape == (PATCH_PX, PATCH_PX, 3)


def test_draws_are_balanced_by_class_stratum_and_slide(sampler: SlideSampler, places: list[Place]) -> None:
    """Half is tumour, half of that at an edge; slides that have a stratum share it evenly, whatever their size."""
    strata = Counter(place.stratum for place in places)
    tumour = sum(strata[s] for s in TUMOUR_STRATA)
    assert tumour / len(places) == pytest.approx(0.5, abs=0.03)
    assert strata[Stratum.EDGE_TUMOUR] / tumour == pytest.approx(0.5, abs=0.05)
    normal = len(places) - tumour
    assert strata[Stratum.NEAR] / normal == pytest.approx(0.2, abs=0.04)
    assert strata[Stratum.ELSEWHERE] / normal == pytest.approx(0.6, abs=0.04)
    inside = Counter(slide_id(sampler, place) for place in places if place.stratum == Stratum.INSIDE)
    assert inside.keys() == {"tumor_001", "tumor_010"}
    assert inside["tumor_001"] / inside.total() == pytest.approx(0.5, abs=0.06)
    elsewhere = Counter(slide_id(sampler, place) for place in places if place.stratum == Stratum.ELSEWHERE)
    assert elsewhere["normal_001"] / elsewhere.total() == pytest.approx(0.5, abs=0.05)


def test_nothing_normal_comes_from_a_slide_that_is_outlined_in_part(sampler: SlideSampler, places: list[Place]) -> None:
    """Its patches are all tumour; in its tiles what isn't outlined is left open, the unoutlined deposit included."""
    mine = [place for place in places if slide_id(sampler, place) == "tumor_010"]
    assert len(mine) > 300
    assert not {place.stratum for place in mine} & set(NORMAL_STRATA)
    for place in mine[:60]:
        assert sampler.patch(place, PATCH_PX)[1]
        _, labels = sampler.tile(place, 160, margin_px=32)
        assert not (labels == 0).any()
        assert (labels == IGNORED).any() or (labels == 1).all()


def test_tiles_carry_the_planted_mask_cell_by_cell(sampler: SlideSampler, places: list[Place]) -> None:
    """Labels of an exhaustive slide's tiles equal those of the truth, but for cells an outline's drawing decides."""
    whole = np.pad(truth(DISCS["tumor_001"]), 200)
    differing = compared = 0
    for place in [p for p in places if slide_id(sampler, p) == "tumor_001"][:40]:
        _, labels = sampler.tile(place, 160, margin_px=32)
        box = box_around(place, 160)
        part = whole[box.top + 200 : box.bottom + 200, box.left + 200 : box.right + 200]
        expected = cell_labels(part, margin_px=32, stride_px=16)
        differing += int((labels != expected).sum())
        compared += labels.size
    assert compared == 40 * 36
    assert differing <= 0.02 * compared


def test_no_split_draws_from_another(index: Path) -> None:
    """Validation slides are never trained on."""
    names = {split: {row.slide_id for row in SlideSampler(index, split, SAMPLE).rows} for split in ("train", "valid")}
    assert names["valid"] == {"tumor_002", "normal_002"}
    assert names["train"] == DISCS.keys() - names["valid"]


def test_a_split_without_one_class_is_refused(index: Path) -> None:
    """A network can't be taught one class only."""
    with pytest.raises(UsageError, match="no slide of split 'test' has tumour to draw from"):
        SlideSampler(index, "test", SAMPLE)


def test_training_sees_the_tensor_that_inference_sees(sampler: SlideSampler, places: list[Place]) -> None:
    """The same box of the same slide: the same bytes from the reader, and the same numbers into the network."""
    for place in places[:8]:
        row = sampler.rows[place.slide]
        trained = sampler.pixels(place, PATCH_PX)
        slide = open_slide(SlideRef(row.slide_id, Path(row.path)))
        scanned = slide.read(box_around(place, PATCH_PX), slide.frame_spacing(*SPACING_UM))
        slide.close()
        assert np.array_equal(trained, scanned)
        inference = normalised(as_image(torch.from_numpy(scanned[None])))
        training = normalised(augmented(torch.from_numpy(trained[None]), OFF, torch.Generator().manual_seed(0)))
        assert torch.allclose(training, inference, atol=TENSOR_TOLERANCE)


TENSOR_TOLERANCE = 1e-5
"""One grey level: optical density is taken over (value + 1), so that black has one."""


def test_batches_are_the_same_for_any_number_of_workers(index: Path) -> None:
    """None, one and two processes hand out equal batches in equal order."""
    data = slide_data(index)
    data.setup("fit")
    batches = SlideBatches(data.sampler, PLAN, AUGMENT)
    handed = []
    for workers in (0, 1, 2):
        loader = ResumableLoader(batches, workers=workers)
        handed.append([batch for batch, _ in zip(loader, range(4), strict=False)])
    for one, two, three in zip(*handed, strict=True):
        for name in ("patches", "labels", "tiles", "cells"):
            assert torch.equal(getattr(one, name), getattr(two, name))
            assert torch.equal(getattr(one, name), getattr(three, name))


def test_a_loader_goes_on_from_its_state(index: Path) -> None:
    """Three batches, the state, and a new loader: its first batch is the fourth."""
    data = slide_data(index)
    data.setup("fit")
    loader = ResumableLoader(SlideBatches(data.sampler, PLAN, AUGMENT), workers=0)
    drawn = iter(loader)
    for _ in range(3):
        next(drawn)
    state = loader.state_dict()
    fourth = next(drawn)
    other = ResumableLoader(SlideBatches(data.sampler, PLAN, AUGMENT), workers=2)
    other.load_state_dict(state)
    assert torch.equal(next(iter(other)).patches, fourth.patches)


def test_the_sampler_can_be_sent_to_another_process(sampler: SlideSampler, places: list[Place]) -> None:
    """Open slides stay behind; what is drawn there is the same."""
    copy = pickle.loads(pickle.dumps(sampler))
    assert copy.draw(np.random.default_rng(4)) == sampler.draw(np.random.default_rng(4))
    assert np.array_equal(copy.pixels(places[0], 32), sampler.pixels(places[0], 32))


def test_the_loader_says_how_many_patches_come_from_slides(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Patches a second, and how long training waited for them."""
    data = slide_data(index)
    data.setup("fit")
    loader = ResumableLoader(SlideBatches(data.sampler, PLAN, AUGMENT), workers=0, tell_every_s=0.0)
    next(iter(loader))
    said = capsys.readouterr().out
    assert "patches/s, training waited" in said


def test_validation_patches_of_one_class_are_refused(index: Path) -> None:
    """Their AUC would be 0, of which one run is no better than another."""
    data = slide_data(index)
    data.plan = replace(data.plan, valid_patches=1)
    with pytest.raises(UsageError, match=r"plan.valid_patches is 1: all that were drawn are of one class"):
        data.setup("fit")


def boxes(folder: Path, *rows: tuple[object, ...]) -> Path:
    """A list of hard negatives."""
    path = folder / "hard.csv"
    path.write_text(csv_text(HARD_COLUMNS, rows))
    return path


def test_hard_negatives_get_their_share_of_the_normal_draws(index: Path, tmp_path: Path) -> None:
    """A quarter of the normal places are the middles, in whole pixels, of the mined boxes."""
    path = boxes(tmp_path, ("normal_003", 100, 200, 97, 65, 0.9))
    sampler = SlideSampler(index, "train", SAMPLE, hard_negatives=path)
    rng = np.random.default_rng(2)
    drawn = [sampler.draw(rng) for _ in range(2000)]
    hard = sum((place.x_px, place.y_px) == (148, 232) for place in drawn)
    assert all(isinstance(side, int) for side in (sampler.hard[0].x_px, sampler.hard[0].y_px))
    normal = sum(place.stratum in NORMAL_STRATA for place in drawn)
    assert hard / normal == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            ("tumor_002", 1, 2, 3, 4, 0.9),
            "row 2: 'tumor_002' is not a slide of this split of the index; take the row out, or mine again",
        ),
        (("normal_001", "x", 2, 3, 4, 0.9), "row 2: a box is four whole numbers"),
        (("tumor_010", 1, 2, 3, 4, 0.9), "row 2: tumor_010 isn't outlined exhaustively"),
        (
            ("tumor_001", 252, 372, 96, 96, 0.9),
            "row 2: tumor_001: the box's middle, 300, 420 px, lies in outlined tumour",
        ),
        (
            ("tumor_001", 377, 372, 96, 96, 0.9),
            "row 2: tumor_001: the box's middle, 425, 420 px, lies in outlined tumour",
        ),
        (("normal_001", 848, 0, 96, 96, 0.9), "row 2: normal_001: the box's middle, 896, 48 px, lies off the slide"),
        (("normal_001", 0, 848, 96, 96, 0.9), "row 2: normal_001: the box's middle, 48, 896 px, lies off the slide"),
        (("normal_001", -49, 0, 96, 96, 0.9), "row 2: normal_001: the box's middle, -1, 48 px, lies off the slide"),
    ],
)
def test_boxes_that_may_not_be_drawn_from_are_refused(
    index: Path, tmp_path: Path, row: tuple[object, ...], said: str
) -> None:
    """Of a validation slide, no numbers, or where normal isn't known: the text names file and row."""
    path = boxes(tmp_path, row)
    with pytest.raises(UsageError, match=f"hard.csv: {said}"):
        SlideSampler(index, "train", SAMPLE, hard_negatives=path)


@pytest.mark.parametrize("content", ["", "slide_id;left_px\n", "normal_003,100,200,97,65,0.9\n"])
def test_a_file_without_the_columns_of_boxes_is_refused(index: Path, tmp_path: Path, content: str) -> None:
    """Empty, of another separator or without its first line: it would teach nothing, in silence."""
    (tmp_path / "hard.csv").write_text(content)
    with pytest.raises(
        UsageError, match=r"hard.csv: the column '\w+' is missing; make it with python -m training mine"
    ):
        SlideSampler(index, "train", SAMPLE, hard_negatives=tmp_path / "hard.csv")


def test_boxes_saved_by_a_spreadsheet_are_read(index: Path, tmp_path: Path) -> None:
    """With its mark at the beginning of the file and its ends of lines."""
    (tmp_path / "hard.csv").write_bytes(
        b"\xef\xbb\xbf" + ",".join(HARD_COLUMNS).encode() + b"\r\nnormal_003,100,200,96,96,0.9\r\n"
    )
    sampler = SlideSampler(index, "train", SAMPLE, hard_negatives=tmp_path / "hard.csv")
    assert [(place.x_px, place.y_px) for place in sampler.hard] == [(148, 248)]


def test_boxes_beside_tumour_and_at_the_rim_are_drawn_from(index: Path, tmp_path: Path) -> None:
    """Their middle is what counts; half of a box may lie beyond either."""
    path = boxes(
        tmp_path,
        ("tumor_001", 380, 372, 96, 96, 0.9),
        ("normal_001", -40, -40, 96, 96, 0.9),
        ("normal_001", 840, 840, 96, 96, 1),
    )
    sampler = SlideSampler(index, "train", SAMPLE, hard_negatives=path)
    assert [(place.x_px, place.y_px) for place in sampler.hard] == [(428, 420), (8, 8), (888, 888)]


def test_tumour_is_drawn_at_an_edge_by_the_share_asked_for(index: Path) -> None:
    """Not by what is left of it."""
    sampler, rng = SlideSampler(index, "train", replace(SAMPLE, edge_share=0.9)), np.random.default_rng(3)
    strata = Counter(sampler.draw(rng).stratum for _ in range(1000))
    edge, inside = strata[Stratum.EDGE_TUMOUR], strata[Stratum.INSIDE]
    assert edge / (edge + inside) == pytest.approx(0.9, abs=0.05)


def test_shares_of_normal_tissue_may_leave_nothing_for_elsewhere(index: Path) -> None:
    """0.9 and 0.1 are 1, of which rounding leaves less than nothing."""
    sampler = SlideSampler(index, "train", replace(SAMPLE, tumour_share=0.1, edge_normal_share=0.9, near_share=0.1))
    rng = np.random.default_rng(4)
    assert Stratum.ELSEWHERE not in {sampler.draw(rng).stratum for _ in range(200)}


def test_slides_that_are_gone_are_told_before_the_training(index: Path, tmp_path: Path) -> None:
    """Not when one of them happens to be drawn, hours later."""
    text = (index / "index.csv").read_text()
    (tmp_path / "index.csv").write_text(text.replace("images/normal_00", "images/gone_00"))
    with pytest.raises(UsageError, match=r"gone_001.tif: the slide normal_001 isn't there any more \(and 1 more\)"):
        SlideSampler(tmp_path, "train", SAMPLE)


def test_a_slide_that_vanished_is_named(sampler: SlideSampler, places: list[Place]) -> None:
    """The text says which, and what to do."""
    copy = pickle.loads(pickle.dumps(sampler))
    copy.rows = [replace(row, path="gone.tif") for row in copy.rows]
    with pytest.raises(UsageError, match=r"gone.tif: the slide \w+ isn't there any more; run prepare again"):
        copy.pixels(places[0], 32)


def test_a_slide_that_was_replaced_is_not_taught_with_the_others_labels(index: Path, tmp_path: Path) -> None:
    """Another slide under the name of the one that was prepared: refused where it is opened, before a patch is read."""
    other = replaced(index, tmp_path, "tumor_001")
    sampler = SlideSampler(tmp_path, "train", SAMPLE)
    number = [row.slide_id for row in sampler.rows].index("tumor_001")
    with pytest.raises(UsageError, match=rf"^{other}: the slide tumor_001 has changed since prepare; run pr"):
        sampler.patch(Place(number, 448, 448, Stratum.INSIDE), PATCH_PX)


def test_where_a_slide_is_damaged_other_places_are_drawn(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said once; a batch stays a function of its number, and what holds nothing readable is an error at last."""
    damaged = spoilt(index, tmp_path, "normal_001")
    batches = SlideBatches(SlideSampler(tmp_path, "train", SAMPLE), replace(PLAN, patches=16), OFF)
    drawn = [batches.batch(number) for number in range(8)]
    said = [line for line in capsys.readouterr().out.splitlines() if "other places are drawn instead" in line]
    assert len(said) == 1
    assert said[0].startswith(f"sampler: {damaged.name}: ")
    again = SlideBatches(SlideSampler(tmp_path, "train", SAMPLE), batches.plan, OFF).batch(7)
    assert torch.equal(again.patches, drawn[7].patches)
    sampler = SlideSampler(tmp_path, "train", SAMPLE)
    number = [row.slide_id for row in sampler.rows].index("normal_001")
    sampler.draw = lambda _: Place(number, 448, 448, Stratum.ELSEWHERE)
    with pytest.raises(RegionUnreadableError, match=r"normal_001\.tif"):
        sampler.drawn_patch(np.random.default_rng(0), PATCH_PX)
