"""Every algorithm on every layout, through ``conv2d`` and its gradients: PyTorch in float64 is the oracle.

Channel counts that no tile divides, images smaller than a tile, empty batches, strides, dilation, groups, uneven padding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn as mc
from minicnn.nn import functional as F
from minicnn_kernels.cpu import (
    conv_choice,
    conv_depthwise,
    conv_direct,
    conv_few_pixels,
    conv_im2col,
    conv_winograd,
    conv_winograd_few,
)
from tests.helpers.kernel_cases import DTYPES, arrange, num_threads, pairs
from tests.helpers.training import Residual, batch, bits, build, steps

ALGORITHMS = ("auto", "exact", "im2col", "direct", "winograd")
LAYOUTS = ("row-major", "channels-last", "gaps", "reversed", "turned", "window")
CHANNELS = (1, 3, 5, 17, 33)
SIZES = ((1, 1), (2, 3), (1, 7), (3, 3), (5, 4), (6, 6), (9, 7), (13, 18))


class Case(NamedTuple):
    """A convolution, without its arrays."""

    x_shape: tuple[int, int, int, int]
    weight_shape: tuple[int, int, int, int]
    options: dict[str, Any]
    biased: bool
    threads: int
    seed: int


@st.composite
def cases(draw: st.DrawFn, winograd: bool) -> Case:
    """Any case whose filter fits into the padded image; for Winograd only what it can compute."""
    kernel = (3, 3) if winograd else draw(st.sampled_from(((1, 1), (3, 3), (2, 3), (5, 5), (3, 1))))
    stride, dilation = ((1, 1), (1, 1)) if winograd else (draw(pairs(1, 3)), draw(pairs(1, 2)))
    padding = draw(pairs(0, 3))
    smallest = [max(1, dilation[a] * (kernel[a] - 1) + 1 - 2 * padding[a]) for a in range(2)]
    size = draw(st.sampled_from(SIZES))
    h, w = max(size[0], smallest[0]), max(size[1], smallest[1])
    c_in, c_out = draw(st.sampled_from(CHANNELS)), draw(st.sampled_from(CHANNELS))
    groups = 1 if winograd else draw(st.sampled_from((1, 1, 2, 3, "depthwise")))
    if groups == "depthwise":
        groups, c_in, c_out = c_in, 1, draw(st.sampled_from((1, 1, 2)))
    return Case(
        (draw(st.sampled_from((0, 1, 2, 3))), c_in * groups, h, w),
        (c_out * groups, c_in, *kernel),
        {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
        draw(st.booleans()),
        draw(st.integers(1, 3)),
        draw(st.integers(0, 2**32)),
    )


def laid_out(array: np.ndarray, layout: str) -> np.ndarray:
    """Equal numbers in another memory order: also images turned upside down, and a window of a larger array of NaN."""
    if layout == "turned":  # negative strides along each axis
        turned = (slice(None, None, -1),) * array.ndim
        return np.ascontiguousarray(array[turned])[turned]
    if layout == "window":
        larger = np.full(tuple(size + 3 for size in array.shape), np.nan, array.dtype)
        view = larger[tuple(slice(1, size + 1) for size in array.shape)]
        view[...] = array
        return view
    return arrange(array, layout)


def by_torch(arrays: list[np.ndarray | None], grad_out: np.ndarray, options: dict[str, Any]) -> list[np.ndarray]:
    """Output and gradients."""
    tensors = [None if a is None else torch.tensor(a.astype(np.float64), requires_grad=True) for a in arrays]
    out = torch.nn.functional.conv2d(*tensors, **options)
    out.backward(torch.tensor(grad_out.astype(np.float64)))
    return [out.detach().numpy(), *(t.grad.numpy() for t in tensors if t is not None)]


def by_us(arrays: list[np.ndarray | None], grad_out: np.ndarray, options: dict[str, Any]) -> list[np.ndarray]:
    tensors = [None if a is None else mc.from_numpy(a).requires_grad_() for a in arrays]
    out = F.conv2d(*tensors, **options)
    out.backward(mc.from_numpy(grad_out))
    return [out.detach().numpy(), *(t.grad.numpy() for t in tensors if t is not None)]


def check(case: Case, algorithm: str, layout: str, dtype: Any) -> None:
    """Error bounds in units of eps times the largest sum of magnitudes that could have been rounded.

    A sum of k products in any order, with float64 oracle, is off by at most k/2 eps of the sum of magnitudes, and in
    practice, where roundings cancel, by about one eps: 8 leaves a margin. Winograd's maps multiply that by some ten
    (``test_conv_winograd.py``): 60.
    """
    rng = np.random.default_rng(case.seed)
    shapes = [case.x_shape, case.weight_shape] + ([case.weight_shape[:1]] if case.biased else [])
    plain = [rng.standard_normal(shape).astype(dtype) for shape in shapes] + ([] if case.biased else [None])
    arrays = [None if a is None else laid_out(a, layout) for a in plain]
    window = [case.options[name] for name in ("stride", "padding", "dilation")]
    spatial = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, s, p, d in zip(case.x_shape[2:], case.weight_shape[2:], *window, strict=True)
    ]
    grad_out = rng.standard_normal((case.x_shape[0], case.weight_shape[0], *spatial)).astype(dtype)
    with mc.conv_algorithm(algorithm), num_threads(case.threads):
        actual = by_us(arrays, laid_out(grad_out, layout), case.options)
    expected = by_torch(plain, grad_out, case.options)
    scales = by_torch([None if a is None else abs(a) for a in plain], abs(grad_out), case.options)
    factor = 60 if algorithm in ("winograd", "auto") else 8
    for name, one, other, scale in zip(("out", "x", "weight", "bias"), actual, expected, scales, strict=False):
        assert one.dtype == dtype, name
        assert one.shape == other.shape, name
        tolerance = factor * float(np.finfo(dtype).eps) * scale.max(initial=0)
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance, err_msg=name)
    for array, copy in zip(arrays, plain, strict=True):
        if copy is not None:
            np.testing.assert_array_equal(array, copy)  # arguments are left as they were


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_any_convolution_in_any_layout(algorithm, layout, dtype):
    @settings(max_examples=15)
    @given(cases(winograd=algorithm == "winograd"))
    def run(case: Case) -> None:
        check(case, algorithm, layout, dtype)

    run()


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_pair_of_awkward_channel_counts(algorithm, dtype):
    """On images smaller than Winograd's tile, and a little larger."""
    options = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    for seed, (c_in, c_out) in enumerate((i, o) for i in CHANNELS for o in CHANNELS):
        for size in ((1, 1), (2, 3), (5, 7)):
            case = Case((2, c_in, *size), (c_out, c_in, 3, 3), options, True, 2, seed)
            check(case, algorithm, LAYOUTS[seed % len(LAYOUTS)], dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("algorithm", ["auto", "winograd", "exact"])
@pytest.mark.parametrize("size", [(14, 14), (15, 13), (8, 3), (56, 5)])
def test_as_many_channels_as_auto_gives_to_winograd(algorithm, dtype, size):
    options = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    for c_in, c_out in ((64, 64), (65, 97), (128, 64)):
        case = Case((2, c_in, *size), (c_out, c_in, 3, 3), options, True, 2, c_in)
        for layout in ("row-major", "channels-last", "turned"):
            check(case, algorithm, layout, dtype)


# ---- which algorithm runs

MODULES = [
    ("im2col", conv_im2col),
    ("few pixels", conv_few_pixels),
    ("direct", conv_direct),
    ("winograd", conv_winograd),
    ("winograd", conv_winograd_few),
    ("depthwise", conv_depthwise),
]


@pytest.fixture
def ran(monkeypatch) -> set[str]:
    """Names of the algorithms whose functions the dispatcher has called."""
    names: set[str] = set()
    for name, module in MODULES:
        for function in ("forward", "backward_input", "backward_weight"):
            monkeypatch.setattr(module, function, noting(name, getattr(module, function), names))
    return names


def noting(name: str, function: Callable[..., Any], names: set[str]) -> Callable[..., Any]:
    """The function, which adds a name to the set when it is called."""

    def spy(*args: Any) -> Any:
        names.add(name)
        return function(*args)

    return spy


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "groups", "algorithm"),
    [
        (*shapes, algorithm)
        for *shapes, takes_winograd in [
            ((4, 64, 16, 16), (64, 64, 3, 3), 1, True),
            ((4, 3, 16, 16), (64, 3, 3, 3), 1, True),
            ((4, 64, 8, 8), (64, 64, 1, 1), 1, False),
            ((2, 24, 8, 8), (24, 1, 3, 3), 24, False),
            ((2, 64, 8, 8), (32, 16, 3, 3), 4, False),
        ]
        for algorithm in ALGORITHMS
        if takes_winograd or algorithm != "winograd"
    ],
)
def test_what_is_reported_is_what_runs(ran, x_shape, weight_shape, groups, algorithm):
    padding = (weight_shape[2] // 2,) * 2
    reported = conv_choice.choose(x_shape, weight_shape, padding=padding, groups=groups, algorithm=algorithm).algorithm
    x, weight = mc.randn(*x_shape, requires_grad=True), mc.randn(*weight_shape, requires_grad=True)
    with mc.conv_algorithm(algorithm):
        F.conv2d(x, weight, padding=padding, groups=groups).sum().backward()
    assert ran == {"depthwise" if reported == "direct" and groups == x_shape[1] else reported}


@pytest.mark.parametrize("algorithm", ["auto", "exact", "im2col"])
def test_filters_that_outweigh_the_images_stay_where_they_are(ran, algorithm):
    """In training; where they stay as they are they have been laid out before (``prepared.py``)."""
    x, weight = mc.randn(2, 128, 4, 4, requires_grad=True), mc.randn(128, 128, 3, 3, requires_grad=True)
    with mc.conv_algorithm(algorithm):
        F.conv2d(x, weight, padding=1).sum().backward()
    assert ran == {"few pixels"}
    assert conv_choice.few_pixels((2, 128, 4, 4), (128, 128, 3, 3), (1, 1), (1, 1), (1, 1), 1)
    assert not conv_choice.few_pixels((64, 128, 4, 4), (128, 128, 3, 3), (1, 1), (1, 1), (1, 1), 1)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_the_exact_mode_never_runs_winograd(ran, compiled):
    """A whole training step, which runs it otherwise."""

    def train() -> bytes:
        model = build("residual")
        runner = mc.compile(model) if compiled else model
        return bits(model, list(steps(runner, *batch("residual", n=16), 2)))

    assert isinstance(build("residual"), Residual)
    fast = train()
    assert "winograd" in ran
    ran.clear()
    mc.set_exact_convolutions(True)
    try:
        exact = train()
    finally:
        mc.set_exact_convolutions(False)
    assert ran
    assert "winograd" not in ran
    assert exact != fast
