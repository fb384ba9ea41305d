"""The official FROC, quirk by quirk, by cases worked out by hand and against its plain statement."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodescan.errors import UsageError
from nodescan.evaluation.froc import FALSE_POSITIVES, Froc, FrocMode, SlideHits, judge
from nodescan.evaluation.lesions import LesionMap
from nodescan.reports.detections import DetectionList

OFFICIAL, EVERY = FrocMode.OFFICIAL, FrocMode.EVERY_SLIDE


def points(*rows: tuple[float, float, float]) -> DetectionList:
    values = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return DetectionList("s.csv", values[:, 0], values[:, 1], values[:, 2])


def lesions() -> LesionMap:
    """Ten by ten level-5 pixels: lesion 1 in columns 2 and 3, ITC 2 in column 6, lesion 3 in column 9."""
    labels = np.zeros((10, 10), dtype=np.int32)
    labels[:, 2:4], labels[:, 6], labels[:, 9] = 1, 2, 3
    return LesionMap(labels, 3, frozenset({2}))


def hits(
    false: list[float], scores: list[float], n_lesions: int | None = None, kind: type[np.floating] = np.float32
) -> SlideHits:
    count = len(scores) if n_lesions is None else n_lesions
    return SlideHits(np.array(false, dtype=np.float64), np.array(scores, dtype=kind), count)


def test_each_point_is_a_hit_a_false_positive_or_ignored() -> None:
    """The best of two points in a lesion is its score; a point in an ITC is nothing; the rest are false, one by one."""
    found = judge(
        points((0.5, 70, 5), (0.8, 100, 5), (0.9, 200, 5), (0.6, 5, 5), (0.6, 6, 6), (0.3, 140, 5)),
        lesions(),
        OFFICIAL,
    )
    assert found.lesion_scores.tolist() == pytest.approx([0.8, 0.0, 0.0])
    assert found.lesion_scores.dtype == np.float32
    assert sorted(found.false_positives.tolist()) == [0.3, 0.6, 0.6]
    assert found.n_lesions == 2


@pytest.mark.parametrize(("x", "label"), [(63, 0), (64, 1), (127, 1), (128, 0), (63.999, 0)])
def test_a_point_on_an_edge_belongs_to_the_pixel_it_opens(x: float, label: int) -> None:
    """x // 32: 64 is the first pixel of the lesion's column, 128 the first after it."""
    found = judge(points((0.5, x, 0)), lesions(), OFFICIAL)
    assert (found.lesion_scores[0] > 0) == bool(label)
    assert len(found.false_positives) == 1 - label


@pytest.mark.parametrize("place", [(320, 0), (0, 320), (-1, 0), (0, -0.5)])
def test_a_point_outside_the_mask_stops_the_official_mode(place: tuple[float, float]) -> None:
    """The script raises there; a negative index must not wrap around. The other mode counts a false positive."""
    outside = points((0.5, *place))
    with pytest.raises(UsageError, match=r"s\.csv: the point .* lies outside the mask of 320 x 320"):
        judge(outside, lesions(), OFFICIAL)
    off = judge(outside, lesions(), EVERY)
    assert (off.false_positives.tolist(), off.outside) == ([0.5], 1)
    assert judge(points((0.5, 319, 319)), lesions(), OFFICIAL).n_lesions == 2


@pytest.mark.parametrize("mode", FrocMode)
def test_a_map_of_a_part_of_the_slide_lies_where_it_was_cut_out(mode: FrocMode) -> None:
    """Row 20 and column 7 of the slide are its first: y from 640 and x from 224 px on. Beside it there is no lesion,
    and no end of the slide either."""
    labels = np.zeros((3, 2), dtype=np.int32)
    labels[2, 1] = 1
    part = LesionMap(labels, 1, frozenset(), origin=(20, 7), whole=False)
    found = judge(points((0.9, 256, 704), (0.8, 255, 704), (0.7, 256, 703), (0.6, 704, 256), (0.5, 0, 0)), part, mode)
    assert found.lesion_scores.tolist() == pytest.approx([0.9])
    assert sorted(found.false_positives.tolist()) == [0.5, 0.6, 0.7, 0.8]
    assert found.outside == 0


def test_everything_on_a_normal_slide_is_false() -> None:
    """There is no mask to hit, and none to lie outside of."""
    found = judge(points((0.5, 1, 1), (0.4, 99_999, 1)), None, OFFICIAL)
    assert (found.false_positives.tolist(), found.lesion_scores.tolist()) == ([0.5, 0.4], [])
    assert (found.n_lesions, found.outside) == (0, 0)


def test_the_curve_by_hand() -> None:
    """Two slides, three lesions (one missed), false positives 0.7 and 0.2.

    Thresholds 0, 0.2, 0.5, 0.7, 0.9 less the lowest: (1, 2/3), (0.5, 2/3), (0.5, 1/3), (0, 1/3), then (0, 0).
    """
    froc = Froc([hits([0.7], [0.9, 0.5, 0.0]), hits([0.2], [])], OFFICIAL)
    curve = froc.curve()
    assert curve.false_positives.tolist() == [0, 0, 0.5, 0.5, 1.0]
    assert curve.sensitivity.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert FALSE_POSITIVES == (1 / 4, 1 / 2, 1, 2, 4, 8)  # as the challenge reads it
    expected = np.interp(FALSE_POSITIVES, [0, 0, 0.5, 0.5, 1.0], [0, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert froc.sensitivities().tolist() == pytest.approx(expected.tolist())
    assert froc.sensitivities().mean() == pytest.approx((1 / 3 + 5 * 2 / 3) / 6)


def test_dropping_the_lowest_threshold_loses_a_detection() -> None:
    """Two lesions found, none missed, no ITC: the weaker one is never counted. The other mode counts it."""
    both = [hits([], [0.9, 0.4])]
    assert Froc(both, OFFICIAL).sensitivities().tolist() == [0.5] * 6
    assert Froc(both, EVERY).sensitivities().tolist() == [1.0] * 6


def test_an_itc_keeps_its_zero_among_the_thresholds() -> None:
    """With an ITC the lowest threshold is its 0.0, so nothing is lost; it doesn't count as a lesion."""
    with_itc = [hits([], [0.9, 0.4, 0.0], n_lesions=2)]
    assert Froc(with_itc, OFFICIAL).sensitivities().tolist() == [1.0] * 6


def test_interpolation_between_points_is_a_quirk() -> None:
    """One slide, one false positive above the only lesion: (1, 1) and (1, 0), read in between by the script."""
    one = [hits([0.9, 0.1], [0.5])]
    # thresholds 0.5, 0.9: (1, 1), (1, 0), then (0, 0); at 1 the reversed arrays give the last of equal x
    assert Froc(one, OFFICIAL).sensitivities().tolist() == pytest.approx([0, 0, 1, 1, 1, 1])
    assert Froc(one, EVERY).sensitivities().tolist() == [0, 0, 1, 1, 1, 1]


def test_a_tie_that_float32_rounds_up_goes_to_the_lesion() -> None:
    """A false positive and a lesion of 0.1, another lesion missed: float32(0.1) is 0.1000000015, above the double 0.1.

    Thresholds 0, 0.1, 0.1000000015 less the lowest: (1, 1/2), then (0, 1/2), then (0, 0). The script has the lesion
    without the false positive; without quirks they come together, so nothing is found below one false positive.
    """
    official = Froc([hits([0.1], [0.1, 0.0])], OFFICIAL)
    assert official.curve().false_positives.tolist() == [0, 0, 1]
    assert official.curve().sensitivity.tolist() == [0, 0.5, 0.5]
    assert official.sensitivities().tolist() == [0.5] * 6
    every = Froc([hits([0.1], [0.1, 0.0], kind=np.float64)], EVERY)
    assert every.sensitivities().tolist() == [0, 0, 0.5, 0.5, 0.5, 0.5]


def test_a_tie_that_float32_rounds_down_goes_to_none() -> None:
    """The same at 0.9, where float32 is 0.8999999762: both thresholds give (1, 1/2), then (0, 0).

    Between them the script interpolates: 1/8 at 1/4, 1/4 at 1/2.
    """
    official = Froc([hits([0.9], [0.9, 0.0])], OFFICIAL)
    assert official.curve().false_positives.tolist() == [0, 1, 1]
    assert official.sensitivities().tolist() == pytest.approx([0.125, 0.25, 0.5, 0.5, 0.5, 0.5])


def test_a_tie_that_both_kinds_hold_exactly_is_one_threshold() -> None:
    """0.5 is the same number in float32 and float64: thresholds 0 and 0.5, of which one is left."""
    official = Froc([hits([0.5], [0.5, 0.0])], OFFICIAL)
    assert official.curve().false_positives.tolist() == [0, 1]
    assert official.curve().sensitivity.tolist() == [0, 0.5]


@pytest.mark.parametrize(("value", "expected"), [(0.1, [1.0] * 6), (0.9, [0.25, 0.5, 1, 1, 1, 1]), (0.5, [0.0] * 6)])
def test_dropping_the_lowest_of_a_tie(value: float, expected: list[float]) -> None:
    """One lesion and one false positive of the same confidence, nothing missed.

    0.1: the double is dropped, float32(0.1) stays: the lesion alone. 0.9: float32(0.9) is dropped, the double stays:
    both. 0.5: their one threshold is dropped, and nothing is left.
    """
    assert Froc([hits([value], [value])], OFFICIAL).sensitivities().tolist() == pytest.approx(expected)


def test_lesions_that_float32_makes_equal_share_a_threshold() -> None:
    """0.3 and 0.30000000001 differ as doubles, not as the script's scores: both are found at once."""
    close = judge(points((0.3, 70, 5), (0.30000000001, 300, 5)), lesions(), OFFICIAL)
    assert Froc([close], OFFICIAL).curve().sensitivity.tolist() == [0, 1]
    apart = judge(points((0.3, 70, 5), (0.30000000001, 300, 5)), lesions(), EVERY)
    assert Froc([apart], EVERY).curve().sensitivity.tolist() == [0, 0.5, 1]


def test_a_system_that_found_nothing_scores_zero() -> None:
    """One point, (0, 0)."""
    assert Froc([hits([], [0.0, 0.0])], OFFICIAL).sensitivities().mean() == 0.0
    assert Froc([hits([], [0.0, 0.0])], EVERY).sensitivities().mean() == 0.0


def test_without_lesions_there_is_no_score() -> None:
    """A share of nothing isn't zero."""
    assert np.isnan(Froc([hits([0.5], [])], OFFICIAL).sensitivities().mean())


def plainly(slides: list[SlideHits]) -> tuple[list[float], float]:
    """The algorithm as it is stated, thresholds one by one, with Python floats for false positives."""
    false = [float(value) for slide in slides for value in slide.false_positives]
    scores = np.array([value for slide in slides for value in slide.lesion_scores], dtype=np.float32)
    thresholds = sorted({*false, *(float(value) for value in scores)})[1:]
    total_false = [sum(value >= t for value in false) for t in thresholds] + [0]
    total_true = [int((scores >= np.float32(t)).sum()) for t in thresholds] + [0]
    x = np.array(total_false) / len(slides)
    y = np.array(total_true) / sum(slide.n_lesions for slide in slides)
    read = np.interp(FALSE_POSITIVES, x[::-1], y[::-1])
    return read.tolist(), float(read.mean())


VALUES = st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0])
SLIDES = st.lists(
    st.builds(hits, st.lists(VALUES, max_size=12), st.lists(VALUES, max_size=4)), min_size=1, max_size=8
).filter(lambda slides: sum(slide.n_lesions for slide in slides) > 0)


@given(SLIDES)
@settings(max_examples=300, deadline=None)
def test_official_equals_its_plain_statement(slides: list[SlideHits]) -> None:
    """Exactly, ties between float32 and float64 included."""
    sensitivities, score = plainly(slides)
    froc = Froc(slides, OFFICIAL)
    assert froc.sensitivities().tolist() == sensitivities
    assert froc.sensitivities().mean() == score


@given(SLIDES, st.data())
@settings(max_examples=100, deadline=None)
def test_a_resample_equals_the_curve_of_its_slides(slides: list[SlideHits], data: st.DataObject) -> None:
    """Drawing a slide twice is the same as having it twice."""
    drawn = data.draw(st.lists(st.integers(0, len(slides) - 1), min_size=1, max_size=10))
    chosen = [slides[index] for index in drawn]
    for mode in FrocMode:
        whole = Froc(slides, mode).sensitivities(np.array(drawn))
        apart = Froc(chosen, mode).sensitivities()
        assert np.array_equal(whole, apart, equal_nan=True)


@given(
    st.lists(
        st.builds(
            lambda false, scores: hits(false, scores, kind=np.float64),
            st.lists(VALUES, max_size=12),
            st.lists(VALUES, max_size=4),
        ),
        min_size=1,
        max_size=8,
    ).filter(lambda slides: sum(slide.n_lesions for slide in slides) > 0)
)
@settings(max_examples=100, deadline=None)
def test_every_slide_reads_the_best_point_within_the_allowance(slides: list[SlideHits]) -> None:
    """At f false positives a slide: the most lesions any threshold finds with no more than that."""
    froc = Froc(slides, EVERY)
    false = np.concatenate([slide.false_positives for slide in slides])
    scores = np.concatenate([slide.lesion_scores for slide in slides])
    lesion_count = sum(slide.n_lesions for slide in slides)
    for at, found in zip(FALSE_POSITIVES, froc.sensitivities(), strict=True):
        best = 0.0
        for threshold in {*false.tolist(), *scores.tolist()} - {0.0}:
            if (false >= threshold).sum() / len(slides) <= at:
                best = max(best, (scores >= threshold).sum() / lesion_count)
        assert found == pytest.approx(best)
