"""Joining and taking apart, as torch: values, gradients, mixed types, errors. (``cat`` and ``split`` are in test_shape.)"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import arrays, both_raise, check_gradients, compare, layouts, values

X = np.arange(24.0).reshape(2, 3, 4)
FUNCTIONS = {
    "concat": lambda m, x: m.concat([x, x], 1),
    "concatenate": lambda m, x: m.concatenate((x, x[:1]), 0),
    "hstack": lambda m, x: (m.hstack([x, x]), m.hstack((x[0, 0], x[0, 0, 0]))),
    "vstack": lambda m, x: (m.vstack([x, x]), m.vstack((x[0], x[0, 0]))),
    "row_stack": lambda m, x: m.row_stack([x, x]),
    "dstack": lambda m, x: (m.dstack([x, x]), m.dstack((x[0, 0], x[1, 1])), m.dstack((x[0, 0, 0],))),
    "column_stack": lambda m, x: (m.column_stack([x, x]), m.column_stack((x[0, :, 0], x[0], x[1, :, 1]))),
    "block_diag": lambda m, x: m.block_diag(x[0], x[0, 0], x[0, 0, 0], x[1]),
    "split_with_sizes": lambda m, x: x.split_with_sizes([1, 0, 3], -1),
    "tensor_split": lambda m, x: x.tensor_split(3, 2),
    "tensor_split_indices": lambda m, x: m.tensor_split(x, (1, -1), dim=2),
    "tensor_split_overlapping": lambda m, x: m.tensor_split(x, [3, 1, 9], -1),
    "tensor_split_tensor": lambda m, x: m.tensor_split(x, m.tensor([1]), 1),
    "hsplit": lambda m, x: (*x.hsplit(3), *m.hsplit(x[0, 0], (1, 2))),
    "vsplit": lambda m, x: x.vsplit(2),
    "dsplit": lambda m, x: m.dsplit(x, [3]),
    "unbind": lambda m, x: (*x.unbind(), *m.unbind(x, -1)),
    "chunks_of_nothing": lambda m, x: x[:, :0].chunk(3, 1),
    "split_of_nothing": lambda m, x: x[:, :0].split(0, 1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("layout", range(5))
def test_against_torch(name, layout):
    compare(FUNCTIONS[name], list(layouts(X))[layout])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradcheck(name):
    if "nothing" not in name:
        check_gradients(FUNCTIONS[name], values(np.random.default_rng(0), X.shape, kind="normal"))


@given(x=arrays(), data=st.data())
def test_any_tensor(x, data):
    if not x.ndim:
        return
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    sections = data.draw(st.integers(1, 5) | st.lists(st.integers(-3, 5), max_size=4).map(tuple))
    n = data.draw(st.integers(1, 5))
    compare(lambda m, x: m.tensor_split(x, sections, dim), x)
    compare(lambda m, x: m.chunk(x, n, dim), x)
    compare(lambda m, x: m.unbind(x, dim), x)
    compare(lambda m, x: (m.hstack([x, x]), m.vstack([x, x]), m.dstack([x, x]), m.column_stack([x, x])), x)


def test_mixed_types():
    whole, real = np.arange(4).reshape(2, 2), np.ones((2, 2), np.float32)
    for function in (
        lambda m, a, b: m.vstack([a, b]),
        lambda m, a, b: m.block_diag(a, b),
        lambda m, a, b: m.cat([a, b]),
        lambda m, a, b: m.column_stack((a, b > 0)),
    ):
        compare(function, whole, real)
    compare(lambda m: m.block_diag())


def test_pieces_share_memory_and_only_they():
    x = mc.zeros(4)
    for piece in (*x.split(2), *x.tensor_split(3), *x.unbind()):
        piece.add_(1)
    assert x.tolist() == [3, 3, 3, 3]


def test_a_piece_nobody_uses_gets_no_gradient():
    compare(lambda m, x: x.split(1)[1], X)
    compare(lambda m, x: x.unbind(2)[3], X)


ERRORS = {
    "hstack: shapes": (lambda m, x: m.hstack([x, x[0]]), r"tensors\[1\]: cat along dim 1"),
    "vstack: none": (lambda m, x: m.vstack([]), "at least one"),
    "dstack: no list": (lambda m, x: m.dstack(1), "tensors"),
    "block_diag: 3": (lambda m, x: m.block_diag(x), r"tensors\[0\]: block_diag takes at most two"),
    "sizes: sum": (lambda m, x: x.split_with_sizes([1, 2]), "split_sizes"),
    "tensor_split: 0": (lambda m, x: x.tensor_split(0), "indices_or_sections"),
    "tensor_split: type": (lambda m, x: x.tensor_split(m.tensor([1.0])), "indices_or_sections: expected an int64"),
    "hsplit: uneven": (lambda m, x: x.hsplit(2), "a number that divides the 3 along dim 1"),
    "vsplit: few": (lambda m, x: x[0, 0].vsplit(2), "vsplit needs at least 2"),
    "dsplit: few": (lambda m, x: x[0].dsplit(2), "dsplit needs at least 3"),
    "hsplit: few": (lambda m, x: x[0, 0, 0].hsplit(2), "hsplit needs at least 1"),
    "unbind: 0-d": (lambda m, x: x[0, 0, 0].unbind(), "at least one dimension"),
    "split: 0-d": (lambda m, x: x[0, 0, 0].split(1), "at least one dimension"),
    "chunk: 0-d": (lambda m, x: x[0, 0, 0].chunk(1), "at least one dimension"),
    "split: zero": (lambda m, x: x.split(0), "split_size_or_sections"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    function, match = ERRORS[name]
    both_raise(function, X, match=match)


def test_other_names_of_arguments():
    compare(
        lambda m, x: (*x.split(split_size=2, dim=1), *m.tensor_split(x, sections=2), *x.tensor_split(indices=(1,))), X
    )
    compare(lambda m, x: (*m.hsplit(x, sections=3), *m.vsplit(x, indices=(1,)), *x.dsplit(sections=2)), X)
    compare(lambda m, x: (m.max(x, other=x * 2), x.min(other=-x), x[:1].broadcast_to(2, 3, 4)), X)
    compare(lambda m, x: m.repeat_interleave(repeats=x), np.array([1, 2]))
    compare(lambda m, x: m.isin(element=1, test_elements=x), np.array([1, 2]))
