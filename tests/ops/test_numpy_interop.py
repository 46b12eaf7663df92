"""Tensors beside NumPy's arrays, and memory shared by DLPack."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.ops.numpy_interop import FUNCTIONS

A = np.array([0.5, 0.25, 0.75])


@pytest.mark.parametrize("ufunc", FUNCTIONS, ids=lambda ufunc: ufunc.__name__)
def test_universal_functions(ufunc):
    """np.f(tensor) is what NumPy gives for arrays of the same type."""
    whole = ufunc.__name__ in ("gcd", "lcm", "left_shift", "right_shift", "invert") or ufunc.__name__.startswith(
        "bitwise"
    )
    array = np.array([2, 5, 3]) if whole else A + (ufunc.__name__ == "arccosh")
    if ufunc.nin == 1:
        results = [(ufunc(mc.from_numpy(array)), ufunc(array))]
    else:
        other = np.array([1, 3, 2]) if ufunc.__name__ in ("ldexp",) or whole else A[::-1].copy()
        x, y = mc.from_numpy(array), mc.from_numpy(other)
        results = [(call, ufunc(array, other)) for call in (ufunc(x, y), ufunc(x, other), ufunc(array, y))]
    if ufunc.nout > 1:  # mantissa and exponent
        results = [pair for ours, expected in results for pair in zip(ours, expected, strict=True)]
    for ours, expected in results:
        assert isinstance(ours, mc.Tensor)
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-14)
        assert ours.numpy().dtype.kind == expected.dtype.kind


OPERATORS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "//": lambda a, b: a // b, "%": lambda a, b: a % b, "**": lambda a, b: a**b, "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b, "@": lambda a, b: a @ b,
}  # fmt: skip


@pytest.mark.parametrize("symbol", OPERATORS)
def test_operators_with_arrays_on_either_side(symbol):
    operate = OPERATORS[symbol]
    b = np.array([1.5, -2.0, 0.75])
    for left, right in ((mc.from_numpy(A), b), (A, mc.from_numpy(b))):
        result = operate(left, right)
        assert isinstance(result, mc.Tensor)
        np.testing.assert_allclose(result.numpy(), operate(A, b), rtol=1e-15)


def test_gradients_pass_numpys_operators():
    x = mc.tensor([1.0, 4.0], requires_grad=True)
    (np.array([2.0, 3.0], np.float32) * np.sqrt(x)).sum().backward()
    assert x.grad.tolist() == [1.0, 0.75]


def test_torchs_types_not_numpys():
    assert (np.ones(2) + mc.ones(2)).dtype is mc.float64  # two arrays of dimensions: the wider
    assert (np.float64(2) * mc.ones(2)).dtype is mc.float32  # a number is a number
    assert np.exp(mc.arange(3)).dtype is mc.float32  # NumPy would make it float64
    assert (mc.arange(3) & np.array([1, 1, 1])).tolist() == [0, 1, 0]


def test_results_written_into_arrays():
    array = np.ones(2)
    same = array
    array += mc.tensor([1.0, 2.0])
    assert array is same
    assert array.tolist() == [2, 3]
    with pytest.raises(RuntimeError, match=r"requires grad"):
        array += mc.ones(2, requires_grad=True)


def test_what_is_refused():
    x = mc.ones(2)
    for call in (
        lambda: np.add.reduce(x),
        lambda: np.cbrt(x),
        lambda: np.add(1, 1, out=x),
        lambda: np.sin(x, where=False),
    ):
        with pytest.raises(TypeError, match=r"tensor\.numpy\(\)"):
            call()


def test_arrays_of_tensors():
    x = mc.tensor([1.0, 2.0])
    assert np.asarray(x) is x.numpy()
    assert np.array(x) is not x.numpy()
    assert np.array(x, dtype=np.float64).dtype == np.float64
    assert np.asarray(x, dtype=np.int64).tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"copy"):
        np.array(x, dtype=np.float64, copy=False)
    with pytest.raises(RuntimeError, match=r"requires grad"):
        np.asarray(x.requires_grad_())
    assert np.concatenate([mc.ones(2), mc.zeros(1)]).tolist() == [1, 1, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_dlpack(dtype):
    x = mc.ones(2, 3, dtype=getattr(mc, dtype)).T
    for other, back in (
        (torch.from_dlpack(x), lambda t: mc.from_dlpack(t)),
        (np.from_dlpack(x), lambda a: mc.from_dlpack(a)),
        (torch.utils.dlpack.from_dlpack(mc.utils.dlpack.to_dlpack(x)), lambda t: mc.utils.dlpack.from_dlpack(t)),
    ):
        assert tuple(other.shape) == (3, 2)
        again = back(other)
        assert again.data_ptr() == x.data_ptr()
        assert again.dtype is x.dtype
        assert again.stride() == x.stride()
    assert tuple(x.__dlpack_device__()) == (1, 0)
    capsule = torch.utils.dlpack.to_dlpack(torch.arange(3))
    assert mc.utils.dlpack.from_dlpack(capsule).tolist() == [0, 1, 2]


def test_dlpack_refuses_a_history():
    with pytest.raises(BufferError, match=r"detach\(\)"):
        torch.from_dlpack(mc.ones(2, requires_grad=True))
    with pytest.raises(TypeError, match=r"not supported"):
        mc.from_dlpack(np.zeros(2, np.complex64))


def test_python_functions():
    x = mc.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert x.apply_(lambda v: v * v) is x
    assert x.tolist() == [[1, 4], [9, 16]]
    assert x.map_(mc.tensor([1.0, -1.0]), lambda a, b: a * b).tolist() == [[1, -4], [9, -16]]
    with pytest.raises(RuntimeError, match=r"no gradient"):
        (mc.ones(2, requires_grad=True) * 1).apply_(lambda v: v)
