"""Views of parts, diagonals, windows and moved dimensions, as torch: values, gradients, shared memory, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import arrays, both_raise, check_gradients, compare, layouts, values

X = np.arange(24.0).reshape(2, 3, 4)
VIEWS = {
    "narrow": lambda m, x: x.narrow(2, 1, 2),
    "narrow_from_the_end": lambda m, x: m.narrow(x, -1, -2, 1),
    "narrow_tensor": lambda m, x: m.narrow(x, 1, m.tensor(1), 2),
    "narrow_nothing": lambda m, x: m.narrow(x, 1, 3, 0),
    "select": lambda m, x: m.select(x, 1, -1),
    "diagonal": lambda m, x: x.diagonal(),
    "diagonal_offset": lambda m, x: m.diagonal(x, -1, 0, 2),
    "diagonal_swapped": lambda m, x: m.diagonal(x, 1, dim1=2, dim2=1),
    "diagonal_outside": lambda m, x: m.diagonal(x, 5),
    "unfold": lambda m, x: x.unfold(2, 2, 1),
    "unfold_apart": lambda m, x: x.unfold(-1, 1, 3),
    "unfold_whole": lambda m, x: x.unfold(1, 3, 2),
    "unfold_nothing": lambda m, x: x.unfold(1, 0, 2),
    "movedim": lambda m, x: m.movedim(x, 0, 2),
    "movedim_several": lambda m, x: x.movedim((0, -1), (-1, 0)),
    "moveaxis": lambda m, x: m.moveaxis(x, 1, 0),
    "swapaxes": lambda m, x: m.swapaxes(x, 0, 2),
    "swapdims": lambda m, x: x.swapdims(-1, -2),
    "adjoint": lambda m, x: m.adjoint(x),
    "mH": lambda m, x: x.mH,
    "unflatten": lambda m, x: x.unflatten(2, (2, -1)),
    "ravel": lambda m, x: m.ravel(x),
    "broadcast_to": lambda m, x: m.broadcast_to(x[:, :1], (5, 2, 3, 4)),
    "broadcast_tensors": lambda m, x: m.broadcast_tensors(x, x[0, :1], x[0, 0, 0]),
    "broadcast_tensors_list": lambda m, x: m.broadcast_tensors([x, x[1]]) if m is mc else m.broadcast_tensors(x, x[1]),
    "atleast_1d": lambda m, x: m.atleast_1d(x[0, 0, 0], x),
    "atleast_2d": lambda m, x: m.atleast_2d(x[0, 0, 0]) + m.atleast_2d(x[0, 0]),
    "atleast_3d": lambda m, x: (m.atleast_3d(x[0, 0, 0]), m.atleast_3d(x[0, 0]), m.atleast_3d(x[0]), m.atleast_3d(x)),
    "sum_to_size": lambda m, x: (x.sum_to_size(3, 1), x.sum_to_size((1, 4)), x.sum_to_size(2, 3, 4)),
    "copies": lambda m, x: (m.narrow_copy(x, 0, 1, 1), m.diagonal_copy(x), m.expand_copy(x[:1], (2, 3, 4))),
    "keywords": lambda m, x: x.permute(dims=(2, 0, 1)).expand(size=(4, 2, 3)).reshape(shape=(8, 3)).view(size=(24,)),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("layout", range(5))
def test_against_torch(name, layout):
    compare(VIEWS[name], list(layouts(X))[layout])


@pytest.mark.parametrize("name", VIEWS)
def test_gradcheck(name):
    check_gradients(VIEWS[name], values(np.random.default_rng(0), X.shape, kind="normal"))


@given(x=arrays(), data=st.data())
def test_any_dimension(x, data):
    if not x.ndim:
        return
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    other = data.draw(st.integers(-x.ndim, x.ndim - 1))
    size = x.shape[dim]
    start = data.draw(st.integers(0, size))
    length = data.draw(st.integers(0, size - start))
    step = data.draw(st.integers(1, 3))
    offset = data.draw(st.integers(-2, 2))
    compare(lambda m, x: m.narrow(x, dim, start, length), x)
    compare(lambda m, x: m.movedim(x, dim, other), x)
    compare(lambda m, x: m.swapaxes(x, dim, other), x)
    compare(lambda m, x: x.unfold(dim, length, step), x)
    if size:
        compare(lambda m, x: m.select(x, dim, start % size), x)
    if (dim - other) % x.ndim:
        compare(lambda m, x: m.diagonal(x, offset, dim, other), x)


@given(
    size=st.lists(st.integers(0, 3), max_size=3),
    strides=st.lists(st.integers(0, 3), min_size=3, max_size=3),
    offset=st.none() | st.integers(0, 4),
    transposed=st.booleans(),
)
def test_as_strided(size, strides, offset, transposed):
    """Out of the middle of a larger block, windows that overlap, leave gaps and reach outside the tensor itself."""
    base = np.arange(60.0)

    def function(m, x):
        part = x[20:32].view(3, 4)
        part = part.t() if transposed else part
        return m.as_strided(part, tuple(size), tuple(strides[: len(size)]), offset)

    compare(function, base)


def test_as_strided_looks_at_the_memory_behind():
    x = mc.arange(10.0)
    x[2:4].as_strided((2,), (1,), 8).fill_(5)
    assert x[8:].tolist() == [5, 5]
    both_raise(lambda m, x: x.as_strided((2, 2), (5, 5), 1), np.arange(10.0), match="reaches element 11, of 10")
    both_raise(lambda m, x: x.as_strided((2,), (-1,)), np.arange(10.0), match="stride")
    both_raise(lambda m, x: x.as_strided((2, 1), (1,)), np.arange(10.0), match="stride")
    with pytest.raises(NotImplementedError, match="gaps"):
        mc.arange(10).unfold(0, 3, 2).as_strided((2,), (1,))


@pytest.mark.parametrize("name", [n for n in VIEWS if n not in ("sum_to_size", "copies", "narrow_nothing")])
def test_views_share_memory(name):
    x = mc.arange(24.0).reshape(2, 3, 4)
    out = VIEWS[name](mc, x)
    for view in out if isinstance(out, tuple) else (out,):
        shares = np.may_share_memory(view.numpy(), x.numpy()) or not view.numel() or name == "atleast_2d"
        assert shares or name == "keywords"


def test_writing_through_a_view():
    x = mc.zeros(3, 3)
    x.diagonal().fill_(1)
    x.unfold(0, 2, 1)[1, 2].mul_(5)
    assert x.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 5]]


def test_of_single_numbers():
    compare(lambda m, x: (m.movedim(x, 0, -1), m.swapaxes(x, 0, 0), x.unfold(0, 1, 1), m.ravel(x)), np.array(2.0))
    compare(lambda m, x: (x.mean().sum_to_size(()), m.atleast_3d(x)), np.array(2.0))


def test_hermitian():
    compare(lambda m, x: x.H, X[0])
    assert mc.tensor(2.0).H.item() == 2


def test_shapes_that_broadcast():
    for shapes in [((2, 1), (3,)), ((), (4, 1)), ((0, 1), (1, 5)), ((1,),)]:
        assert tuple(mc.broadcast_shapes(*shapes)) == tuple(torch.broadcast_shapes(*shapes))
    with pytest.raises(ValueError, match=r"\(2,\), \(3,\) do not broadcast"):
        mc.broadcast_shapes((2,), (3,))


CHANGED = {
    "squeeze_": lambda m, x: x[:1].clone().squeeze_(0),
    "squeeze_all": lambda m, x: x[:1].clone().squeeze_(),
    "unsqueeze_": lambda m, x: x.clone().unsqueeze_(1),
    "transpose_": lambda m, x: x.clone().transpose_(0, 2) * 2,
    "t_": lambda m, x: x[0].clone().t_(),
    "swapaxes_": lambda m, x: x.clone().swapaxes_(0, 1),
    "swapdims_": lambda m, x: x.clone().swapdims_(0, 1),
    "as_strided_": lambda m, x: x.clone().as_strided_((2, 2), (1, 4), 3),
    "tril_": lambda m, x: x.clone().tril_(),
    "triu_": lambda m, x: x.clone().transpose_(0, 1).triu_(1).unsqueeze_(0).add_(1),
}


@pytest.mark.parametrize("name", CHANGED)
def test_in_place(name):
    compare(CHANGED[name], X)


def test_shape_changed_in_place_keeps_the_memory():
    x = mc.arange(6.0).reshape(2, 3)
    memory = x.numpy()
    assert x.t_() is x
    assert x.shape == (3, 2)
    assert np.shares_memory(x.numpy(), memory)
    both_raise(lambda m, x: x.requires_grad_().t_(), np.ones((2, 2)), match="leaf")


ERRORS = {
    "narrow: length": (lambda m, x: x.narrow(0, 1, 2), "length: 2 elements from 1 on"),
    "narrow: negative": (lambda m, x: x.narrow(0, 0, -1), "length"),
    "narrow: start": (lambda m, x: x.narrow(0, 3, 0), "start: expected -2 to 2"),
    "narrow: dim": (lambda m, x: x.narrow(3, 0, 1), "dim"),
    "narrow: 0-d": (lambda m, x: x[0, 0, 0].narrow(0, 0, 1), "at least one dimension"),
    "narrow: tensor": (lambda m, x: x.narrow(0, m.tensor([0]), 1), "start"),
    "select: index": (lambda m, x: x.select(0, 2), "index: expected -2 to 1 along dim 0, got 2"),
    "select: 0-d": (lambda m, x: x[0, 0, 0].select(0, 0), "at least one dimension"),
    "diagonal: same": (lambda m, x: x.diagonal(0, 1, -2), "two different dimensions"),
    "diagonal: range": (lambda m, x: x.diagonal(0, 0, 3), "dim2"),
    "unfold: size": (lambda m, x: x.unfold(0, 3, 1), "size: expected 0 to 2"),
    "unfold: step": (lambda m, x: x.unfold(0, 1, 0), "step: expected a positive"),
    "movedim: number": (lambda m, x: x.movedim((0, 1), (0,)), "destination: expected as many"),
    "movedim: twice": (lambda m, x: x.movedim((0, 0), (0, 1)), "destination: expected as many"),
    "unflatten: product": (lambda m, x: x.unflatten(2, (3, 2)), "sizes.*multiply to 4"),
    "unflatten: -1": (lambda m, x: x.unflatten(2, (3, -1)), "sizes.*multiply to 4"),
    "unflatten: none": (lambda m, x: x.unflatten(2, ()), "sizes"),
    "broadcast_to": (lambda m, x: m.broadcast_to(x, (2, 3, 5)), "sizes"),
    "broadcast_tensors": (lambda m, x: m.broadcast_tensors(x, x.transpose(1, 2)), "do not broadcast"),
    "sum_to_size": (lambda m, x: x.sum_to_size(2, 4), "does not broadcast"),
    "adjoint": (lambda m, x: x[0, 0].adjoint(), "matrix"),
    "mT": (lambda m, x: x[0, 0].mT, "mT: expected a matrix"),
    "H": (lambda m, x: x.H, "H: expected a matrix"),
    "atleast: numbers": (lambda m, x: m.atleast_1d(x, 1.0), r"tensors\[1\]: atleast_1d takes tensors"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    function, match = ERRORS[name]
    both_raise(function, X, match=match)
