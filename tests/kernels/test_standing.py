"""What is made ready once and run many times, against the reference back end in float64."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn_kernels import cpu
from minicnn_kernels.launch import run
from minicnn_kernels.threads import get_num_threads, set_num_threads
from tests.helpers import standing_cases
from tests.helpers.standing_cases import Case

CASES = [*standing_cases.all_cases(np.random.default_rng(1), np.float32)]


@pytest.fixture(params=[1, 2])
def threads(request):
    before = get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}{case.shape}")
def test_as_the_reference(case: Case, dtype, threads):
    out = case.empty_out(dtype)
    run(getattr(cpu, case.name)(*case.arguments(dtype), out, *case.kept()))
    standing_cases.compare(case, out)


def larger() -> list[Case]:
    """Enough work for several blocks, bands, tiles and threads."""
    rng = np.random.default_rng(2)
    conv = standing_cases.conv
    depthwise = {"stride": (2, 2), "padding": (2, 2), "groups": 150, "activation": "silu"}
    return [
        conv(rng, (3, 40, 30, 31), (330, 40, 1, 1), activation="relu", other=True),
        conv(rng, (3, 144, 20, 20), (70, 144, 1, 1), gate=True, other=True),
        conv(rng, (2, 500, 7, 7), (96, 500, 1, 1), activation="hardswish"),
        conv(rng, (2, 150, 40, 61), (150, 1, 5, 5), **depthwise),
        conv(rng, (2, 3, 64, 48), (24, 3, 3, 3), stride=(2, 2), padding=(1, 1), activation="hardswish"),
        standing_cases.linear(rng, 197, 300, 400, "gelu"),
        standing_cases.linear(rng, 1, 1000, 600),
        standing_cases.linear(rng, 230, 288, 1100, "gelu"),  # tall: threads share out its rows
        standing_cases.linear(rng, 130, 512, 2070, "relu"),  # or its columns
        standing_cases.gate(rng, (4, 96, 28, 28), 24),
        standing_cases.attention(rng, 2, 4, 197, 197, 64, joint=True),
        standing_cases.layer_norm(rng, 197, 768, True),
    ]


@pytest.mark.parametrize("case", larger(), ids=lambda case: f"{case.name}{case.shape}")
def test_the_same_bits_each_time_and_for_any_number_of_threads(case: Case, threads):
    kept = case.kept()
    results = []
    for _ in range(2):  # the second time with the weights that were packed
        out = case.empty_out(np.float32)
        run(getattr(cpu, case.name)(*case.arguments(np.float32), out, *kept))
        results.append(out)
    standing_cases.compare(case, results[0])
    np.testing.assert_array_equal(*results)
    if case.name != "gate_launches":  # whose sums are cut by the number of threads
        set_num_threads(1)
        out = case.empty_out(np.float32)
        run(getattr(cpu, case.name)(*case.arguments(np.float32), out, *case.kept()))
        np.testing.assert_array_equal(out, results[0])


@pytest.mark.parametrize("activation", standing_cases.ACTIVATIONS)
def test_activations_of_what_is_not_finite(activation):
    """A NaN stays one; infinities come to what they come to, but for the last of the normal numbers."""
    x = np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0, 100.0, -100.0, 1e-30]], np.float32)
    out = np.empty((1, x.size), np.float32)
    one = np.ones((1, 1), np.float32)
    numbers = standing_cases.ACTIVATIONS[activation]
    run(cpu.linear_launches(one, np.zeros((x.size, 1), np.float32), None, x, activation, numbers, out, {}))
    expected = cpu.activation_forward(activation, x, *numbers) if activation not in ("", "relu") else x
    expected = np.where(expected < 0, 0, expected) if activation == "relu" else expected
    odd = ~np.isfinite(expected) & ~np.isnan(x)  # inf * 0, say: silu(-inf) is NaN for the plain kernel
    np.testing.assert_allclose(out[~odd], expected[~odd], rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("activation", ["silu", "sigmoid"])
def test_far_below_zero_there_is_nothing_left_that_is_too_small_for_a_normal_number(activation):
    """The next layer would take ten times as long: it multiplies with these numbers."""
    x = np.linspace(-3000, -70, 1000, dtype=np.float32)[None]
    out, one = np.empty_like(x), np.ones((1, 1), np.float32)
    run(cpu.linear_launches(one, np.zeros((x.size, 1), np.float32), None, x, activation, (), out, {}))
    assert not out[x < -87].any()
    size = np.abs(out[x >= -87])
    assert size.min() >= np.finfo(np.float32).tiny
    assert size.max() < 1e-28


def test_what_cannot_be_made_ready():
    conv = standing_cases.conv
    rng = np.random.default_rng(3)
    few = conv(rng, (1, 3, 5, 5), (3, 1, 3, 3), groups=3)  # channels that fill no vector
    winograd = conv(rng, (1, 64, 28, 28), (64, 64, 3, 3), padding=(1, 1))
    for case in (few, winograd):
        assert cpu.conv_launches(*case.arguments(np.float32), case.empty_out(np.float32), {}) is None
    case = conv(rng, (1, 20, 5, 5), (20, 20, 1, 1))
    x, *rest = case.arguments(np.float32)
    row_major = np.ascontiguousarray(x)
    assert cpu.conv_launches(row_major, *rest, case.empty_out(np.float32), {}) is None
    q, k, v, _, scale, _ = standing_cases.attention(rng, 1, 2, 30, 30, 8, joint=False).arguments(np.float32)
    out = np.empty((1, 2, 30, 8), np.float32)
    assert cpu.attention_launches(q, k, v, None, scale, True, out) is None
    assert cpu.attention_launches(q, k, v, np.zeros((1, 1, 30, 30), np.float32), scale, False, out) is None
