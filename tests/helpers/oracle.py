"""Run one function in both frameworks and compare everything: values, types, shapes, gradients for random cotangents.

The function under test is written once, over the module: ``lambda m, x: m.exp(x)`` runs as ``mc.exp`` and ``torch.exp``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minicnn as mc

# What rounding may do between two correct implementations: a few units in the last place for one operation, more where
# terms are added in another order. float64 is the tight check of the formula.
TOLERANCE = {
    np.dtype(np.float64): {"rtol": 1e-11, "atol": 1e-12},
    np.dtype(np.float32): {"rtol": 1e-5, "atol": 1e-6},
}


def as_numpy(tensor: Any) -> np.ndarray:
    return tensor.detach().numpy()


def dtype_name(tensor: Any) -> str:
    """``float32``, from either framework's dtype."""
    return str(tensor.dtype).rpartition(".")[2]


def keeping_layout(array: np.ndarray) -> np.ndarray:
    """A copy with the same strides (up to gaps), so that a test sees the memory order it asked for."""
    return array.copy(order="K")


def assert_same(actual: Any, expected: torch.Tensor, what: str = "result", **tolerance: float) -> None:
    """A tensor of ours equals one of torch's, in type, shape and values (NaN equal to NaN)."""
    assert dtype_name(actual) == dtype_name(expected), what
    assert tuple(actual.shape) == tuple(expected.shape), what
    a, b = as_numpy(actual), as_numpy(expected)
    if b.dtype.kind == "f":
        np.testing.assert_allclose(a, b, **{**TOLERANCE[b.dtype], **tolerance}, err_msg=what)
    else:
        np.testing.assert_array_equal(a, b, err_msg=what)


def _tensors(output: Any) -> list:
    return list(output) if isinstance(output, (tuple, list)) else [output]


def compare(
    function: Callable[..., Any], *inputs: Any, seed: int = 0, requires_grad: bool = True, **tolerance: float
) -> None:
    """``function(m, *tensors)`` under both modules. Arrays become tensors (floating-point ones want gradients)."""
    ours, theirs = [], []
    for value in inputs:
        if isinstance(value, np.ndarray):
            wants = requires_grad and value.dtype.kind == "f"
            ours.append(mc.from_numpy(keeping_layout(value)).requires_grad_(wants))
            theirs.append(torch.from_numpy(np.array(value, order="C")).requires_grad_(wants))
        else:
            ours.append(value)
            theirs.append(value)
    before = [as_numpy(t).copy() for t in ours if isinstance(t, mc.Tensor)]
    results, expected = _tensors(function(mc, *ours)), _tensors(function(torch, *theirs))
    assert len(results) == len(expected)
    rng = np.random.default_rng(seed)
    total_ours, total_theirs, cotangents_ours, cotangents_theirs = [], [], [], []
    for i, (a, b) in enumerate(zip(results, expected, strict=True)):
        assert_same(a, b, f"output {i}", **tolerance)
        assert a.requires_grad == b.requires_grad, f"output {i}: requires_grad"
        if b.requires_grad:
            cotangent = rng.standard_normal(tuple(b.shape)).astype(as_numpy(b).dtype)
            total_ours.append(a)
            total_theirs.append(b)
            cotangents_ours.append(mc.tensor(cotangent))
            cotangents_theirs.append(torch.tensor(cotangent))
    if total_theirs:
        mc.autograd.backward(total_ours, cotangents_ours)
        torch.autograd.backward(total_theirs, cotangents_theirs)
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if isinstance(b, torch.Tensor):
            assert (a.grad is None) == (b.grad is None), f"gradient of input {i}: {a.grad} and {b.grad}"
            if b.grad is not None:
                assert_same(a.grad, b.grad, f"gradient of input {i}", **tolerance)
    for old, tensor in zip(before, [t for t in ours if isinstance(t, mc.Tensor)], strict=True):
        np.testing.assert_array_equal(as_numpy(tensor), old, err_msg="an input was changed")


def both_raise(function: Callable[..., Any], *inputs: Any, match: str = "") -> None:
    """Both frameworks refuse; ours says why (``match``)."""
    import pytest

    with pytest.raises((RuntimeError, ValueError, TypeError, IndexError, NotImplementedError)):
        function(torch, *(torch.from_numpy(x.copy()) if isinstance(x, np.ndarray) else x for x in inputs))
    with pytest.raises((RuntimeError, ValueError, TypeError, IndexError), match=match):
        function(mc, *(mc.from_numpy(x.copy()) if isinstance(x, np.ndarray) else x for x in inputs))


def check_gradients(function: Callable[..., Any], *inputs: Any, **options: Any) -> None:
    """gradcheck of ``function(mc, *tensors)`` in float64; arrays of floating point are differentiated."""
    tensors = [
        mc.from_numpy(keeping_layout(x)).requires_grad_(x.dtype.kind == "f") if isinstance(x, np.ndarray) else x
        for x in inputs
    ]
    assert mc.autograd.gradcheck(lambda *args: function(mc, *args), tensors, **options)


# ---- arrays to try


def layouts(array: np.ndarray) -> Iterable[np.ndarray]:
    """The same numbers in other memory orders: reversed dimensions, gaps, negative strides, channels last."""
    yield np.ascontiguousarray(array)
    yield np.asfortranarray(array)
    if array.ndim:
        gaps = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        gaps[..., ::2] = array
        yield gaps[..., ::2]
        yield np.ascontiguousarray(array[::-1])[::-1]
    if array.ndim >= 3:
        yield np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def values(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = np.float64, kind: str = "grid") -> np.ndarray:
    """``grid``: few values, so with zeros, negatives and ties; ``normal``: no ties; ``positive``: away from 0."""
    if kind == "grid":
        array = rng.choice([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0], size=shape)
    elif kind == "positive":
        array = rng.uniform(0.5, 2.0, size=shape)
    else:
        array = rng.standard_normal(shape)
    return np.asarray(array, dtype)


SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
FILLED_SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=4)
SEEDS = st.integers(0, 2**32 - 1)
FLOATS = st.sampled_from([np.float64, np.float32])


@st.composite
def arrays(
    draw: Any, shape: Any = SHAPES, kinds: tuple[str, ...] = ("grid", "normal"), dtype: Any = None
) -> np.ndarray:
    """An array of a drawn shape, kind, floating-point type and memory order."""
    shape = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    kind = draw(st.sampled_from(kinds))
    array = values(np.random.default_rng(draw(SEEDS)), shape, dtype or draw(FLOATS), kind)
    options = list(layouts(array))
    return options[draw(st.integers(0, len(options) - 1))]


@st.composite
def broadcastable(
    draw: Any, n: int, kinds: tuple[str, ...] = ("grid", "normal"), min_side: int = 0
) -> list[np.ndarray]:
    """n arrays of one type whose shapes broadcast."""
    drawn = draw(hnp.mutually_broadcastable_shapes(num_shapes=n, max_dims=4, min_side=min_side, max_side=3))
    shapes = drawn.input_shapes
    dtype = draw(FLOATS)
    return [draw(arrays(shape, kinds, dtype)) for shape in shapes]
