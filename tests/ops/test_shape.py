"""Shapes: the same elements under other indices, as torch; views share memory and stay differentiable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn as mc
from minicnn.ops.shape import _is_view
from tests.helpers.oracle import arrays, both_raise, check_gradients, compare, layouts, values

X = np.arange(24.0).reshape(2, 3, 4)
FUNCTIONS = {
    "reshape": lambda m, x: x.reshape(4, 6),
    "reshape_tuple": lambda m, x: m.reshape(x, (3, -1)),
    "flatten": lambda m, x: x.flatten(),
    "flatten_from_1": lambda m, x: m.flatten(x, 1),
    "flatten_middle": lambda m, x: m.flatten(x, 0, 1),
    "permute": lambda m, x: x.permute(2, 0, 1),
    "permute_tuple": lambda m, x: m.permute(x, (-1, 0, 1)),
    "transpose": lambda m, x: x.transpose(0, -1),
    "mT": lambda m, x: x.mT,
    "squeeze": lambda m, x: x[:1].squeeze(),
    "squeeze_dim": lambda m, x: x[:1].squeeze(0),
    "squeeze_not_one": lambda m, x: m.squeeze(x, 1),
    "squeeze_several": lambda m, x: x[:1, :1].squeeze((0, 1)),
    "unsqueeze": lambda m, x: x.unsqueeze(1),
    "unsqueeze_end": lambda m, x: m.unsqueeze(x, -1),
    "expand": lambda m, x: x[:, :1].expand(2, 5, 4),
    "expand_minus_1": lambda m, x: x[:, :1].expand(6, -1, 3, -1),
    "expand_as": lambda m, x: x[:1].expand_as(x),
    "cat": lambda m, x: m.cat([x, x[:, :, :1], x], 2),
    "cat_same": lambda m, x: m.cat((x, x)),
    "cat_one": lambda m, x: m.cat([x], -1),
    "stack": lambda m, x: m.stack([x, x + 1], 1),
    "stack_end": lambda m, x: m.stack([x, x], -1),
    "split": lambda m, x: x.split(3, 2),
    "split_sizes": lambda m, x: m.split(x, [1, 0, 3], dim=-1),
    "chunk": lambda m, x: x.chunk(3, 2),
    "chunk_few": lambda m, x: m.chunk(x, 5, 0),
    "clone": lambda m, x: x.clone(),
    "contiguous": lambda m, x: x.contiguous(),
    "view": lambda m, x: x.contiguous().view(-1, 4),
    "view_as": lambda m, x: x.contiguous().view_as(m.zeros(6, 4)),
    "reshape_as": lambda m, x: x.reshape_as(m.zeros(4, 6)),
    "pad": lambda m, x: m.nn.functional.pad(x, (1, 2, 0, 3), value=1.5),
    "pad_crop": lambda m, x: m.nn.functional.pad(x, (-1, 1, 2, -1)),
    "pad_all": lambda m, x: m.nn.functional.pad(x, (1, 1, 0, 0, 2, 0)),
    "iterate": lambda m, x: tuple(row * 2 for row in x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("layout", range(5))
def test_against_torch(name, layout):
    compare(FUNCTIONS[name], list(layouts(X))[layout])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradcheck(name):
    if name == "iterate":
        return
    check_gradients(FUNCTIONS[name], values(np.random.default_rng(0), (2, 3, 4), kind="normal"))


@given(x=arrays(), data=st.data())
def test_any_permutation(x, data):
    dims = data.draw(st.permutations(range(x.ndim)))
    compare(lambda m, x: x.permute(dims), x)
    compare(lambda m, x: x.squeeze(), x)
    compare(lambda m, x: x.flatten(), x)


@given(x=arrays(), data=st.data())
def test_any_reshape(x, data):
    sizes = data.draw(st.permutations(x.shape))
    compare(lambda m, x: x.reshape(tuple(sizes)), x)
    compare(lambda m, x: x.reshape(-1), x)


def test_matrix_transposes():
    compare(lambda m, x: (x.T, x.t(), m.t(x), m.transpose(x, 0, 1)), X[0])
    compare(lambda m, x: (x.t(), x.flatten()), X[0, 0])
    compare(lambda m, x: x.t(), np.array(1.0))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_single_numbers(shape):
    x = np.full(shape, 3.0)
    compare(
        lambda m, x: (x.flatten(), x.reshape(()), x.squeeze(), x.unsqueeze(0), x.view(1, 1, 1), x.expand(4, *shape)), x
    )


def test_empty_tensors():
    x = np.zeros((0, 3))
    compare(lambda m, x: (x.reshape(3, 0), x.view(-1, 3), x.flatten(), x.T, x.unsqueeze(0), m.cat([x, x])), x)
    both_raise(lambda m, x: x.reshape(0, -1), x, match=r"shape")


def test_views_share_memory_and_copies_do_not():
    x = mc.arange(6.0).reshape(2, 3)
    for view in (
        x.view(3, 2),
        x.reshape(6),
        x.T,
        x.permute(1, 0),
        x[0],
        x[:, 1:],
        x[0, 0],
        x[None],
        x.unsqueeze(0),
        x.squeeze(),
        x.expand(4, 2, 3),
        x.split(1)[1],
        x.chunk(2, 1)[0],
        x.detach(),
        x.data,
        x.flatten(),
        x[...],
    ):
        assert np.shares_memory(view.numpy(), x.numpy())
    for copy in (
        x.clone(),
        x.T.reshape(6),
        x.T.contiguous(),
        mc.cat([x]),
        x[[0, 1]],
        x + 0,
        mc.tensor(x.numpy()),
        x.T.flatten(),
        x[x > -1],
    ):
        assert not np.shares_memory(copy.numpy(), x.numpy())
    assert x.contiguous() is x


def test_a_change_through_a_view_shows_in_its_base():
    x = mc.zeros(2, 3)
    x[0].fill_(1.0)
    x[1, 2].add_(5.0)
    x.T[0, 1] = 7
    x.view(-1)[4:5].mul_(0)
    assert x.tolist() == [[1, 1, 1], [7, 0, 5]]


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 1, 4, 5), (1, 3, 1, 1), (2, 3, 1, 4), (1, 1, 1, 1)])
def test_view_after_an_operation_that_leaves_channels_last(shape):
    x = mc.from_numpy(np.moveaxis(np.random.default_rng(0).standard_normal((shape[0], *shape[2:], shape[1])), -1, 1))
    numbers = x.numpy().copy()
    y = x.requires_grad_() * 2  # NumPy keeps the order of its operand
    flat = y.view(shape[0], -1)
    np.testing.assert_array_equal(flat.detach().numpy(), numbers.reshape(shape[0], -1) * 2)
    assert np.shares_memory(flat.detach().numpy(), y.detach().numpy())
    weights = mc.randn(flat.shape, dtype=mc.float64)
    (flat * weights).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * weights.numpy().reshape(shape))


def test_view_after_a_pool():
    x = mc.randn(2, 3, 4, 4, requires_grad=True)
    pooled = mc.nn.functional.max_pool2d(mc.relu(mc.nn.functional.conv2d(x, mc.randn(5, 3, 3, 3), padding=1)), 2)
    expected = (pooled * 1).reshape(2, -1).detach().numpy()
    flat = pooled.view(2, -1)
    np.testing.assert_array_equal(flat.detach().numpy(), expected)
    np.testing.assert_array_equal(pooled.detach().numpy().reshape(2, -1), expected)
    flat.sum().backward()
    assert x.grad.shape == x.shape


def channels_last():
    return mc.from_numpy(np.moveaxis(np.arange(24.0).reshape(2, 2, 2, 3), -1, 1)) + 0


@pytest.mark.parametrize(
    "other",
    [lambda y: y.detach(), lambda y: y[0], lambda y: y.data, lambda y: y.numpy(), lambda y: y.permute(0, 2, 3, 1)],
)
def test_view_that_would_cut_off_others_raises(other):
    y = channels_last()
    seen = other(y)
    with pytest.raises(RuntimeError, match=r"view: shape \(2, -?\d+\).*reshape\(\)"):
        y.view(2, -1)
    assert np.shares_memory(np.asarray(seen), y.numpy())
    assert y.reshape(2, -1).shape == (2, 12)


def test_view_of_memory_that_came_from_numpy_raises():
    array = np.moveaxis(np.arange(24.0).reshape(2, 2, 2, 3), -1, 1)
    with pytest.raises(RuntimeError, match=r"view"):
        mc.from_numpy(array).view(2, -1)
    with pytest.raises(RuntimeError, match=r"view"):
        mc.as_tensor(array).view(2, -1)


def test_view_of_a_transposed_tensor_raises_as_in_torch():
    both_raise(lambda m, x: x.T.view(-1), np.ones((2, 3)), match=r"view")
    both_raise(lambda m, x: x.expand(3, 2).view(-1), np.ones((1, 2)), match=r"view")
    compare(lambda m, x: x.T.view(3, 2, 1), np.ones((2, 3)))


def test_cat_takes_an_empty_list_to_begin_with():
    """``results = tensor([])``, then ``results = cat((results, batch))``: torch lets an empty vector join anything."""
    compare(lambda m, x: m.cat([m.tensor([]), x]), np.ones((2, 3), np.float32))
    compare(lambda m, x: m.cat([x, m.tensor([])], 1), np.ones((2, 3), np.float32))
    compare(lambda m, x: m.cat([m.tensor([]), x]), np.ones((2, 3), np.int64))
    compare(lambda m, x: m.cat([m.tensor([]), m.tensor([])]), np.ones(1))


def test_split_by_an_uneven_size():
    compare(lambda m, x: x.split(2), np.arange(5.0))
    compare(lambda m, x: x.split(7), np.arange(5.0))
    compare(lambda m, x: x.chunk(4), np.arange(5.0))
    compare(lambda m, x: x.split(2), np.zeros((0, 2)))


ERRORS = {
    "reshape: numel": (lambda m, x: x.reshape(5, 5), r"shape: \(5, 5\) has 25 elements.*\(2, 3, 4\) has 24"),
    "reshape: -1": (lambda m, x: x.reshape(7, -1), r"shape: \(7, -1\) does not divide"),
    "reshape: two -1": (lambda m, x: x.reshape(-1, -1), "shape: sizes"),
    "reshape: -2": (lambda m, x: x.reshape(-2, 12), "shape: sizes"),
    "reshape: float": (lambda m, x: x.reshape(2.0, 12), "shape: expected integers, got 2.0"),
    "view: numel": (lambda m, x: x.view(5), "shape"),
    "permute: few": (lambda m, x: x.permute(0, 1), "dims: expected each of the 3 dimensions once"),
    "permute: twice": (lambda m, x: x.permute(0, 1, 1), "dims"),
    "permute: range": (lambda m, x: x.permute(0, 1, 3), "dims: expected -3 to 2"),
    "transpose: range": (lambda m, x: x.transpose(0, 3), "dim1"),
    "t: 3": (lambda m, x: x.t(), r"t: expected at most 2 dimensions, got shape \(2, 3, 4\)"),
    "flatten: order": (lambda m, x: x.flatten(2, 1), "start_dim 2 comes after end_dim 1"),
    "flatten: range": (lambda m, x: x.flatten(3), "start_dim"),
    "squeeze: range": (lambda m, x: x.squeeze(3), "dim"),
    "unsqueeze: range": (lambda m, x: x.unsqueeze(5), "dim"),
    "expand: grow": (lambda m, x: x.expand(2, 3, 5), r"sizes: \(2, 3, 5\) does not fit.*dimension 2"),
    "expand: few": (lambda m, x: x.expand(3, 4), "fewer dimensions"),
    "expand: new -1": (lambda m, x: x.expand(-1, 2, 3, 4), "sizes"),
    "cat: empty": (lambda m, x: m.cat([]), "at least one"),
    "cat: sizes": (lambda m, x: m.cat([x, x[:, :2]]), r"tensors\[1\]: cat along dim 0.*\(2, 2, 4\) beside \(2, 3, 4\)"),
    "cat: dims": (lambda m, x: m.cat([x, x[0]]), r"tensors\[1\]"),
    "cat: 0-d": (lambda m, x: m.cat([x.sum(), x.sum()]), r"tensors\[0\]"),
    "cat: range": (lambda m, x: m.cat([x, x], 3), "dim"),
    "cat: tensor": (lambda m, x: m.cat(x), "list or tuple"),
    "stack: empty": (lambda m, x: m.stack([]), "at least one"),
    "stack: shapes": (lambda m, x: m.stack([x, x[0]]), r"tensors\[1\]: stack needs equal shapes"),
    "split: sum": (lambda m, x: x.split([1, 2], 2), r"split_sizes: \[1, 2\].*4 along dim 2"),
    "split: negative": (lambda m, x: x.split(-1), "split_size_or_sections"),
    "chunk: 0": (lambda m, x: x.chunk(0), "chunks: expected a positive number, got 0"),
    "pad: odd": (lambda m, x: m.nn.functional.pad(x, (1,)), "pad: expected pairs"),
    "pad: many": (lambda m, x: m.nn.functional.pad(x, (1,) * 8), "pad: expected pairs for at most 3"),
    "pad: crop": (lambda m, x: m.nn.functional.pad(x, (-5, 0)), "pad: .*crops more than the 4"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    function, message = ERRORS[name]
    if name == "cat: tensor":  # torch iterates over it
        with pytest.raises(TypeError, match=message):
            function(mc, mc.from_numpy(X))
        return
    both_raise(function, X, match=message)


def test_unsupported():
    with pytest.raises(NotImplementedError, match=r"dtype"):
        mc.ones(2).view(mc.int32)


@settings(max_examples=100)
@given(st.data(), st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_which_reshapes_copy(data, shape):
    """Against NumPy, which copies or does not."""
    memory = np.zeros([size * data.draw(st.sampled_from((1, 2))) for size in shape])
    x = memory[tuple(slice(None, None, m // s) for m, s in zip(memory.shape, shape, strict=True))]
    x = x.transpose(data.draw(st.permutations(range(x.ndim))))
    if data.draw(st.booleans()):
        x = np.broadcast_to(x, (3, *x.shape))
    left, sizes = x.size, []
    while left > 1:
        sizes.append(data.draw(st.sampled_from([d for d in range(1, left + 1) if left % d == 0])))
        left //= sizes[-1]
    assert _is_view(x, tuple(sizes)) == np.may_share_memory(x.reshape(sizes), memory)


def test_a_large_reshape_that_copies():
    x = mc.randn(8, 40, 30, 16).permute(0, 3, 1, 2).requires_grad_()
    y = x.reshape(8, -1)
    np.testing.assert_array_equal(y.detach().numpy(), x.detach().numpy().reshape(8, -1))
    cotangent = mc.randn(*y.shape)
    y.backward(cotangent)
    np.testing.assert_array_equal(x.grad.numpy(), cotangent.numpy().reshape(x.shape))
