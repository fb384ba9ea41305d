"""How weights are rounded to eight bits: no further than a step, and even pictures keep their answer."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nodescan.inference import openvino_graph
from nodescan.inference.openvino_graph import in_steps

STEPS = 127


def kernel(seed: int, *, inputs: int, side: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (5, inputs, side, side)).astype(np.float32)


@given(st.integers(0, 1000), st.sampled_from([1, 4, 8]), st.sampled_from([1, 3, 6]))
def test_the_sum_over_inputs_fed_alike_stays(seed: int, alike: int, side: int) -> None:
    """To half a step of the output channel; no weight moves by a step or more; all are whole steps, 127 at most."""
    exact = kernel(seed, inputs=16, side=side)
    rounded = in_steps(exact, STEPS, alike=alike)
    step = np.abs(exact).max(axis=(1, 2, 3), keepdims=True) / STEPS
    assert (np.abs(rounded - exact) < step * 1.0001).all()
    in_whole = rounded / step
    np.testing.assert_allclose(in_whole, np.rint(in_whole), atol=1e-3)
    assert np.abs(in_whole).max() <= STEPS + 1e-3
    grouped = (rounded - exact).reshape(5, 16 // alike, -1).sum(axis=2)
    assert (np.abs(grouped) <= step[:, :, 0, 0] * 0.501).all()


@given(st.integers(0, 1000))
def test_what_is_rounded_stays_as_it_is(seed: int) -> None:
    """Rounded twice is rounded once."""
    once = in_steps(kernel(seed, inputs=16, side=3), STEPS, alike=8)
    np.testing.assert_allclose(in_steps(once, STEPS, alike=8), once, atol=1e-6)


def test_an_even_picture_is_answered_better_than_by_nearest_steps() -> None:
    """Inputs alike over taps and neighbours, as features of a texture are: the mean error is several times less."""
    exact = kernel(0, inputs=64, side=3)
    fed = np.random.default_rng(1).uniform(0, 4, (8, 1, 1, 1)).repeat(8, axis=0)[None, :, 0]
    step = np.abs(exact).max(axis=(1, 2, 3), keepdims=True) / STEPS
    nearest, kept = np.rint(exact / step) * step, in_steps(exact, STEPS, alike=8)
    off = [np.abs(((made - exact) * fed).sum(axis=(1, 2, 3))).mean() for made in (nearest, kept)]
    assert off[1] < off[0] / 3


def test_a_channel_without_weights_stays_empty() -> None:
    """Nothing is divided by nothing."""
    assert not in_steps(np.zeros((2, 8, 3, 3), np.float32), STEPS, alike=8).any()


def test_two_products_fit_where_pairs_are_summed_in_sixteen_bits() -> None:
    """The largest weight times the largest input, twice; pixels take all 255."""
    steps = openvino_graph.STEPS["int8-16"]
    assert 2 * max(steps.pixel_weights * 255, steps.weights * steps.inputs) <= np.iinfo(np.int16).max
