"""Mixed types, exhaustively: every pair of types, as tensors with dimensions, 0-dimensional tensors and numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.oracle import assert_same, dtype_name

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"]
NUMBERS = [True, 2, 1.5]


def operands(m):
    """(what, tensor or number) for everything that can stand on one side."""
    for name in NAMES:
        dtype = getattr(m, name)
        yield f"{name}[2]", m.tensor([1, 3], dtype=dtype)
        yield f"{name}[]", m.tensor(2, dtype=dtype)
        yield f"{name}[0]", m.zeros(0, 1, dtype=dtype)
    for number in NUMBERS:
        yield repr(number), number


PAIRS = [
    (a, b)
    for a, b in itertools.product(zip(operands(mc), operands(torch), strict=True), repeat=2)
    if isinstance(a[0][1], mc.Tensor) or isinstance(b[0][1], mc.Tensor)
]
OPERATIONS = {
    "add": lambda m, a, b: a + b,
    "sub": lambda m, a, b: a - b,
    "mul": lambda m, a, b: a * b,
    "div": lambda m, a, b: a / b,
    "floor_divide": lambda m, a, b: a // b,
    "remainder": lambda m, a, b: a % b,
    "pow": lambda m, a, b: a**b,
    "eq": lambda m, a, b: a == b,
    "lt": lambda m, a, b: a < b,
    "ge": lambda m, a, b: a >= b,
    "and": lambda m, a, b: a & b,
    "where": lambda m, a, b: m.where(m.tensor([[True], [False]])[:1], a, b),
}


def attempt(operation, m, a, b):
    try:
        return operation(m, a, b)
    except (RuntimeError, TypeError, NotImplementedError):
        return None


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_pair(name):
    operation = OPERATIONS[name]
    for ((what_a, a), (_, a_theirs)), ((what_b, b), (_, b_theirs)) in PAIRS:
        expected = attempt(operation, torch, a_theirs, b_theirs)
        actual = attempt(operation, mc, a, b)
        what = f"{what_a} {name} {what_b}"
        if expected is None or actual is None:
            assert (actual is None) == (expected is None), f"{what}: {actual} and {expected}"
            continue
        assert_same(actual, expected, what)


def test_result_type_and_promote_types():
    for a, b in itertools.product(NAMES, repeat=2):
        expected = torch.promote_types(getattr(torch, a), getattr(torch, b))
        assert dtype_name(mc.zeros(1, dtype=mc.promote_types(getattr(mc, a), getattr(mc, b)))) == str(expected)[6:]
    for ((what_a, a), (_, a_theirs)), ((what_b, b), (_, b_theirs)) in PAIRS:
        expected = str(torch.result_type(a_theirs, b_theirs))[6:]
        assert mc.result_type(a, b).name == expected, (what_a, what_b)


@pytest.mark.parametrize("name", ["cat", "stack"])
def test_joined_types(name):
    for a, b in itertools.product(NAMES, repeat=2):
        actual = getattr(mc, name)([mc.ones(2, dtype=getattr(mc, a)), mc.zeros(2, dtype=getattr(mc, b))])
        expected = getattr(torch, name)(
            [torch.ones(2, dtype=getattr(torch, a)), torch.zeros(2, dtype=getattr(torch, b))]
        )
        assert_same(actual, expected, f"{a} {b}")


@pytest.mark.parametrize("pair", [("float32", "float64"), ("float64", "float32"), ("float32", "int64")])
@pytest.mark.parametrize("zero_dim", [False, True])
def test_gradients_have_the_type_of_their_tensor(pair, zero_dim):
    results = []
    for m in (mc, torch):
        a = m.tensor([1.0, 2.0], dtype=getattr(m, pair[0]), requires_grad=True)
        b = m.tensor(3 if zero_dim else [3, 4], dtype=getattr(m, pair[1]))
        b = b.requires_grad_(pair[1] != "int64")
        (a * b + a / b).sum().backward()
        results.append((a.grad, b.grad))
    assert_same(results[0][0], results[1][0])
    if pair[1] != "int64":
        assert_same(results[0][1], results[1][1])


def test_default_dtype():
    try:
        mc.set_default_dtype(mc.float64)
        torch.set_default_dtype(torch.float64)
        for m in (mc, torch):
            assert str(m.tensor([1.5]).dtype).endswith("float64")
            assert str((m.tensor([1]) + 1.5).dtype).endswith("float64")
            assert str((m.tensor([1]) / 2).dtype).endswith("float64")
            assert str(m.exp(m.tensor([1])).dtype).endswith("float64")
            assert str(m.zeros(2).dtype).endswith("float64")
            assert repr(m.tensor([1.5])) == "tensor([1.5000])"
    finally:
        mc.set_default_dtype(mc.float32)
        torch.set_default_dtype(torch.float32)
    with pytest.raises(TypeError, match=r"floating-point.*int64"):
        mc.set_default_dtype(mc.int64)


def test_numpy_scalars_count_as_numbers():
    x = mc.ones(2)
    for number in (np.float32(2), np.float64(2), np.int64(2), np.bool_(True)):
        assert (x * number).dtype is mc.float32
        assert (number * x).dtype is mc.float32
    assert (mc.tensor([1]) * np.float32(1.5)).dtype is mc.float32


def test_errors():
    with pytest.raises(TypeError, match=r"expected a Tensor or a number, got str"):
        mc.add(mc.ones(2), "a")
    with pytest.raises(TypeError, match=r"got list"):
        mc.result_type([1], 2)
    with pytest.raises(TypeError, match=r"input: mean needs floating point, got minicnn.int64; convert"):
        mc.tensor([1]).mean()


def test_type_converts_or_names():
    """As the quickstart counts: ``(prediction == label).type(torch.float).sum()``."""
    hits = (mc.tensor([1, 2, 3]) == mc.tensor([1, 0, 3])).type(mc.float)
    assert hits.dtype is mc.float32
    assert hits.sum().item() == 2
    assert hits.type() == "minicnn.float32"
    x = mc.ones(2, requires_grad=True)
    x.type(mc.float64).sum().backward()
    assert x.grad.dtype is mc.float32
