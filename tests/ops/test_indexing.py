"""``x[index]`` and ``x[index] = value`` against torch, with gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.oracle import as_numpy, assert_same, both_raise, check_gradients, compare, layouts

X = np.arange(60.0).reshape(3, 4, 5)

# Index makers, over the module: tensors in an index have to be of its own.
INDICES = {
    "int": lambda m: 1,
    "negative": lambda m: -1,
    "ints": lambda m: (0, 1, 2),
    "slice": lambda m: slice(1, None),
    "step": lambda m: (slice(None), slice(0, 4, 2)),
    "none": lambda m: None,
    "none_inside": lambda m: (slice(None), None, 1),
    "ellipsis": lambda m: (..., 0),
    "ellipsis_middle": lambda m: (0, ..., 1),
    "ellipsis_alone": lambda m: ...,
    "ellipsis_superfluous": lambda m: (0, 1, 2, ...),
    "empty_slice": lambda m: slice(2, 2),
    "empty_tuple": lambda m: (),
    "numpy_int": lambda m: np.int64(1),
    "list": lambda m: [2, 0, 0],
    "list_in_tuple": lambda m: ([0, 1], [1, 2]),
    "range": lambda m: (slice(None), list(range(2))),
    "tensor": lambda m: m.tensor([[0, 2], [1, 1]]),
    "tensor_negative": lambda m: m.tensor([-1, -3]),
    "tensor_zero_dim": lambda m: m.tensor(2),
    "tensor_int32": lambda m: m.tensor([0, 2], dtype=m.int32),
    "tensor_empty": lambda m: m.tensor([], dtype=m.int64),
    "tensors": lambda m: (m.tensor([0, 1]), slice(None), m.tensor([2, 3])),
    "tensors_broadcast": lambda m: (m.tensor([[0], [1]]), m.tensor([2, 3])),
    "tensors_at_the_end": lambda m: (slice(None), m.tensor([0, 3]), m.tensor([1, 1])),
    "int_and_list": lambda m: (0, slice(None), [0, 1]),
    "list_and_int": lambda m: ([0, 1], slice(None), 2),
    "int_list": lambda m: (1, [0, 0, 3]),
    "list_none": lambda m: ([0, 2], None, slice(1, 3)),
    "list_ellipsis": lambda m: (..., [0, 4]),
    "list_ellipsis_list": lambda m: ([0, 1], ..., [0, 4]),
    "zero_dim_and_slice": lambda m: (slice(None), m.tensor(1), slice(0, 3)),
    "mask": lambda m: m.arange(60).reshape(3, 4, 5) % 7 == 0,
    "mask_rows": lambda m: m.tensor([True, False, True]),
    "mask_two_dims": lambda m: m.arange(12).reshape(3, 4) > 6,
    "mask_last": lambda m: (slice(None), slice(None), m.tensor([True, False, True, False, True])),
    "mask_none": lambda m: m.zeros(3, dtype=m.bool),
    "mask_list": lambda m: [True, False, True],
    "mask_and_int": lambda m: (m.tensor([True, False, True]), 0),
}


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("layout", [0, 1, 4])
def test_getitem(name, layout):
    compare(lambda m, x: x[INDICES[name](m)], list(layouts(X))[layout])


@pytest.mark.parametrize("name", INDICES)
def test_gradcheck(name):
    check_gradients(lambda m, x: x[INDICES[name](m)] * 2, X)


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("layout", [0, 4])
def test_setitem_of_a_number(name, layout):
    results = []
    for m in (mc, torch):
        x = m.tensor(X) if m is torch else mc.from_numpy(list(layouts(X))[layout].copy(order="K"))
        x[INDICES[name](m)] = -1
        results.append(x)
    assert_same(*results)


def without_repetition(name):
    return name not in ("list", "tensor", "int_list", "tensors_at_the_end")


@pytest.mark.parametrize("name", [n for n in INDICES if without_repetition(n)])
@pytest.mark.parametrize("which", ["both", "target", "value"])
def test_setitem_with_gradients(name, which):
    results = []
    for m in (mc, torch):
        x = m.tensor(X, requires_grad=which != "value")
        place = m.tensor(X)[INDICES[name](m)]
        value = m.tensor(np.linspace(0, 1, max(place.numel(), 1))[: place.numel()].reshape(tuple(place.shape)))
        value = value.requires_grad_(which != "target")
        y = x * 1.0
        y[INDICES[name](m)] = value
        (y * m.tensor(np.sin(X))).sum().backward()
        results.append((y, x.grad, value.grad))
    for i in range(3):
        assert (results[0][i] is None) == (results[1][i] is None)
        if results[0][i] is not None:
            assert_same(results[0][i], results[1][i])


@pytest.mark.parametrize("shape", [(), (5,), (1, 5), (1, 1, 1, 5)])
def test_setitem_broadcasts_its_value(shape):
    results = []
    for m in (mc, torch):
        x = m.zeros(3, 5, dtype=m.float64, requires_grad=True)
        value = m.ones(shape, dtype=m.float64, requires_grad=True)
        y = x * 1.0
        y[1:] = value
        y[0] = value * 2
        (y * m.arange(15).reshape(3, 5)).sum().backward()
        results.append((y, x.grad, value.grad))
    for ours, theirs in zip(*results, strict=True):
        assert_same(ours, theirs)


def test_setitem_casts():
    results = []
    for m in (mc, torch):
        x = m.zeros(3, dtype=m.int64)
        x[0] = 1.9
        x[1] = m.tensor(2.9)
        x[2] = True
        y = m.zeros(2)
        y[0] = m.tensor(3, dtype=m.int32)
        y[1:] = m.tensor([1.5], dtype=m.float64)
        results.append((x, y))
    assert_same(results[0][0], results[1][0])
    assert_same(results[0][1], results[1][1])


def test_setitem_where_a_mask_holds():
    results = []
    for m in (mc, torch):
        x = m.tensor([[-1.0, 2.0], [3.0, -4.0]])
        x[x < 0] = 0
        x[:, 1] += 10
        x[0] *= 2
        results.append(x)
    assert_same(*results)


def test_setitem_through_memory_that_overlaps():
    x = mc.arange(5.0)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3]


def test_values_are_counted_for_each_time_they_are_taken():
    x = mc.tensor([1.0, 2.0], requires_grad=True)
    x[[0, 0, 0, 1]].sum().backward()
    assert x.grad.tolist() == [3, 1]


def test_an_index_changed_before_the_backward_pass_is_an_error():
    x = mc.ones(3, requires_grad=True)
    index = mc.tensor([0, 1])
    y = x[index]
    index[0] = 2
    with pytest.raises(RuntimeError, match=r"Gather kept.*x\[index\] = value has changed"):
        y.sum().backward()


ERRORS = {
    "many": (lambda m: (0, 0, 0, 0), "index: 4 indices for a tensor of 3 dimensions", IndexError),
    "outside": (lambda m: 3, "out of bounds", IndexError),
    "outside_negative": (lambda m: (0, -5), "out of bounds", IndexError),
    "outside_list": (lambda m: [0, 3], "out of bounds", IndexError),
    "mask_shape": (lambda m: m.tensor([True, False]), "boolean index did not match", IndexError),
    "ellipses": (lambda m: (..., 0, ...), "only once", IndexError),
    "float": (lambda m: 1.5, "index: expected integers.*float", TypeError),
    "float_tensor": (lambda m: m.tensor([1.0]), "index: expected whole numbers or bools, got float32", TypeError),
    "string": (lambda m: "a", "index: .*str", TypeError),
    "step": (lambda m: slice(None, None, -1), "step", ValueError),
    "shapes": (lambda m: ([0, 1], [0, 1, 2]), "broadcast", IndexError),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    make, message, kind = ERRORS[name]
    if name != "ellipses":  # torch takes the second for a colon
        both_raise(lambda m, x: x[make(m)], X, match=message)
    x = mc.from_numpy(X.copy())
    with pytest.raises(kind, match=message):
        x[make(mc)]
    with pytest.raises(kind, match=message):
        x[make(mc)] = 0
    np.testing.assert_array_equal(as_numpy(x), X)


def test_uint8_indices_are_refused():
    """torch takes them for masks, and warns; NumPy takes them for positions."""
    with pytest.raises(TypeError, match=r"uint8"):
        mc.ones(3)[mc.tensor([0, 1, 1], dtype=mc.uint8)]


def test_too_many_values():
    with pytest.raises((ValueError, RuntimeError), match=r"broadcast"):
        mc.ones(3)[:2] = mc.ones(3)
    with pytest.raises(IndexError):
        mc.tensor(1.0)[0]


def test_a_list_of_number_tensors_is_a_list_of_positions():
    assert mc.arange(3)[[mc.tensor(0), mc.tensor(2)]].tolist() == [0, 2]


def test_unpacking_and_iteration():
    a, b = mc.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert b.tolist() == [3, 4]
    assert [v.item() for v in a] == [1, 2]
    assert 3.0 in b
    assert 9 not in b
    with pytest.raises(TypeError, match=r"0-dimensional"):
        iter(mc.tensor(1.0))
    with pytest.raises(TypeError, match=r"0-dimensional"):
        len(mc.tensor(1.0))
    assert [10, 20, 30][mc.tensor(1)] == 20
