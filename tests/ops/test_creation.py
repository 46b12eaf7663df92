"""Making tensors: values, types and shapes as torch's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.oracle import assert_same

DATA = {
    "int": 3,
    "float": 2.5,
    "bool": True,
    "list": [1, 2],
    "floats": [1.1, 2],
    "mixed": [True, 2],
    "mixed_float": [True, 2.5],
    "bools": [[True, False]],
    "nested": [[1, 2], [3, 4]],
    "tuple": ((1.5,), (2.5,)),
    "empty": [],
    "empty_nested": [[], []],
    "array": np.arange(3.0),
    "array32": np.arange(3, dtype=np.float32),
    "array_uint8": np.arange(3, dtype=np.uint8),
    "array_int16": np.arange(3, dtype=np.int16),
    "numpy_scalar": np.float64(1.5),
    "numpy_scalar32": np.float32(1.5),
    "numpy_ints": [np.int64(3), np.int64(4)],
    "numpy_floats": [np.float64(3), np.float64(4)],
    "range": range(3),
    "inf": [float("inf"), -float("inf"), float("nan")],
    "not_contiguous": np.arange(6.0).reshape(2, 3).T,
}


@pytest.mark.parametrize("name", DATA)
def test_tensor(name):
    ours = mc.tensor(DATA[name])
    assert_same(ours, torch.tensor(DATA[name]))
    assert ours.is_contiguous()
    assert ours.is_leaf
    assert not ours.requires_grad
    for dtype in ("float32", "float64", "int64", "bool"):
        if name != "numpy_scalar32" and (name != "inf" or dtype.startswith("f")):
            assert_same(
                mc.tensor(DATA[name], dtype=getattr(mc, dtype)), torch.tensor(DATA[name], dtype=getattr(torch, dtype))
            )


def test_tensor_copies_and_as_tensor_shares():
    array = np.zeros(2)
    copied, shared, numpy = mc.tensor(array), mc.as_tensor(array), mc.from_numpy(array)
    array[0] = 7
    assert copied.tolist() == [0, 0]
    assert shared.tolist() == numpy.tolist() == [7, 0]
    numpy[1] = 8
    assert array.tolist() == [7, 8]
    assert mc.as_tensor(shared) is shared
    assert mc.as_tensor(shared, dtype=mc.float32).dtype is mc.float32
    assert mc.as_tensor([1, 2]).dtype is mc.int64
    assert shared.numpy() is array


def test_tensor_of_tensors():
    a = mc.tensor([1.0, 2.0], dtype=mc.float64, requires_grad=True)
    assert mc.tensor(a).dtype is mc.float64
    assert not mc.tensor(a).requires_grad
    assert mc.tensor([mc.tensor(1.0), mc.tensor(2.0)]).tolist() == [1, 2]
    assert mc.tensor([1.0], requires_grad=True).requires_grad


def test_factories():
    for m_call in (
        lambda m: m.zeros(2, 3),
        lambda m: m.zeros((2, 3), dtype=m.int64),
        lambda m: m.zeros([2]),
        lambda m: m.zeros(size=(2, 3)),
        lambda m: m.ones(()),
        lambda m: m.ones(0, 3),
        lambda m: m.ones(2, dtype=m.bool),
        lambda m: m.full((2, 2), 7),
        lambda m: m.full((2,), 7.0),
        lambda m: m.full((2,), True),
        lambda m: m.full((), 1, dtype=m.float64),
        lambda m: m.eye(3),
        lambda m: m.eye(2, 3, dtype=m.int64),
        lambda m: m.arange(5),
        lambda m: m.arange(2, 5),
        lambda m: m.arange(1, 2, 0.25),
        lambda m: m.arange(5.0),
        lambda m: m.arange(5, 0, -2),
        lambda m: m.arange(0),
        lambda m: m.arange(0, 1, 0.1, dtype=m.float64),
        lambda m: m.arange(3, dtype=m.float32),
        lambda m: m.linspace(0, 1, 5),
        lambda m: m.linspace(-1, 3, 2, dtype=m.float64),
        lambda m: m.linspace(2, 5, 1),
        lambda m: m.linspace(2, 5, 0),
        lambda m: m.zeros_like(m.ones(2, 3, dtype=m.int32)),
        lambda m: m.ones_like(m.zeros(2), dtype=m.float64),
        lambda m: m.full_like(m.zeros(2, dtype=m.int64), 4),
        lambda m: m.zeros(2, dtype=m.float64).new_zeros(3),
        lambda m: m.zeros(2, dtype=m.float64).new_ones(3, 1),
        lambda m: m.zeros(2, dtype=m.int64).new_full((2,), 3),
        lambda m: m.zeros(m.ones(2, 3).shape),
        lambda m: m.zeros(2, *m.ones(2, 3).shape),
        lambda m: m.zeros(m.tensor(2)),
    ):
        assert_same(m_call(mc), m_call(torch))


def test_shapes_and_types_of_random_factories():
    for name, m in itertools.product(["rand", "randn", "empty"], (mc, torch)):
        factory = getattr(m, name)
        assert tuple(factory(2, 3).shape) == tuple(factory((2, 3)).shape) == tuple(factory(size=(2, 3)).shape) == (2, 3)
        assert str(factory(2, dtype=m.float64).dtype).endswith("float64")
        assert factory(2, requires_grad=True).requires_grad
        assert tuple(factory(()).shape) == ()
        assert tuple(factory(0, 2).shape) == (0, 2)
        like = getattr(m, f"{name}_like")(m.zeros(3, 1, dtype=m.float64))
        assert tuple(like.shape) == (3, 1)
        assert str(like.dtype).endswith("float64")


@pytest.mark.parametrize("m", [mc, torch])
def test_randint_spellings(m):
    for x in (
        m.randint(5, (2, 3)),
        m.randint(0, 5, (2, 3)),
        m.randint(0, 5, size=(2, 3)),
        m.randint(5, size=(2, 3)),
        m.randint(low=0, high=5, size=(2, 3)),
        m.randint(high=5, size=(2, 3)),
        m.randint(0, high=5, size=(2, 3)),
        m.randint_like(m.zeros(2, 3, dtype=m.int64), 5),
        m.randint_like(m.zeros(2, 3, dtype=m.int64), 0, 5),
    ):
        assert tuple(x.shape) == (2, 3)
        assert str(x.dtype).endswith("int64")
        assert 0 <= x.min() <= x.max() < 5
    assert str(m.randint(0, 5, (2,), dtype=m.float32).dtype).endswith("float32")
    assert m.randint(0, 5, (2,), dtype=m.float32, requires_grad=True).requires_grad
    assert sorted(m.randperm(6).tolist()) == list(range(6))
    assert str(m.randperm(3, dtype=m.int32).dtype).endswith("int32")


def test_errors():
    with pytest.raises(ValueError, match=r"even lengths"):
        mc.tensor([[1, 2], [3]])
    with pytest.raises(TypeError, match=r"expected numbers"):
        mc.tensor([None, 1])
    with pytest.raises(TypeError, match=r"not supported; choose one of"):
        mc.tensor(["a"])
    with pytest.raises(TypeError, match=r"uint16.*not supported"):
        mc.tensor(np.zeros(2, np.uint16))
    with pytest.raises(TypeError, match=r"complex"):
        mc.tensor([1j])
    with pytest.raises(TypeError, match=r"ndarray: expected a NumPy array, got list"):
        mc.from_numpy([1])
    with pytest.raises(TypeError, match=r"not supported"):
        mc.from_numpy(np.zeros(2, ">f4"))
    with pytest.raises(RuntimeError, match=r"only floating-point tensors can have gradients, got minicnn.int64"):
        mc.tensor([1], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"floating"):
        mc.zeros(2, dtype=mc.bool, requires_grad=True)
    with pytest.raises(ValueError, match=r"size.*-1"):
        mc.zeros(2, -1)
    with pytest.raises(TypeError, match=r"size: expected integers, got 2.5"):
        mc.zeros(2.5)
    with pytest.raises(TypeError, match=r"size: given twice"):
        mc.zeros(2, size=(3,))
    with pytest.raises(ValueError, match=r"step: 0 does not lead from 0 to 3"):
        mc.arange(0, 3, 0)
    with pytest.raises(ValueError, match=r"step"):
        mc.arange(3, 0)
    with pytest.raises(ValueError, match=r"high: no whole number from 3 below 3"):
        mc.randint(3, 3, (2,))
    with pytest.raises(TypeError, match=r"randint: expected"):
        mc.randint(3)
    with pytest.raises(TypeError, match=r"high: expected a whole number, got 2.5"):
        mc.randint(0, 2.5, (2,))
    with pytest.raises(ValueError, match=r"n: .*-1"):
        mc.randperm(-1)
    with pytest.raises(TypeError, match=r"random fractions need a floating-point type, got int64"):
        mc.rand(2, dtype=mc.int64)
    with pytest.raises(mc.DeviceUnavailable, match=r"'cuda' is not there.*cpu"):
        mc.zeros(2, device="cuda")
    with pytest.raises((RuntimeError, OverflowError), match=r"300"):
        mc.full((2,), 300, dtype=mc.uint8)


@pytest.mark.parametrize("value", [300, -300, 2.5e9])
def test_numbers_outside_a_small_type_are_refused(value):
    dtype = mc.uint8 if value != 2.5e9 else mc.int32
    with pytest.raises((RuntimeError, OverflowError)):
        torch.tensor([value], dtype=torch.uint8 if value != 2.5e9 else torch.int32)
    with pytest.raises(OverflowError, match=f"{dtype}"):
        mc.tensor([value], dtype=dtype)


FACTORIES = {
    "arange_keywords": lambda m: m.arange(start=1, end=7, step=2),
    "arange_end": lambda m: m.arange(end=3),
    "arange_tensors": lambda m: m.arange(m.tensor(3.0)),
    "arange_cut_off": lambda m: m.arange(0.5, 3, dtype=m.int64),
    "arange_int16": lambda m: m.arange(3.1, dtype=m.int16),
    "linspace_int": lambda m: m.linspace(0, 10, 4, dtype=m.int64),
    "linspace_down": lambda m: m.linspace(5, 0, 4),
    "linspace_tensors": lambda m: m.linspace(m.tensor(0.0), m.tensor(1.0), 3),
    "linspace_between_whole_numbers": lambda m: m.linspace(0.7, 9.9, 4, dtype=m.int32),
    "logspace": lambda m: m.logspace(0, 2, 5),
    "logspace_base": lambda m: m.logspace(-1, 2, 4, 2.0, dtype=m.float64),
    "logspace_int": lambda m: m.logspace(0, 2, 3, dtype=m.int32),
    "eye": lambda m: m.eye(2, 0),
    "scalar": lambda m: m.scalar_tensor(3),
    "scalar_int": lambda m: m.scalar_tensor(3, dtype=m.int64),
    "full_tensor": lambda m: m.full((2,), m.tensor(3)),
    "full_cut_off": lambda m: m.full((2,), 1.5, dtype=m.int64),
    "full_like_cut_off": lambda m: m.full_like(m.arange(2), 1.5),
    "full_like_bool": lambda m: m.full_like(m.tensor([True, False]), 2),
    "new_tensor": lambda m: m.ones(1, dtype=m.float64).new_tensor([[1, 2]]),
    "new_tensor_typed": lambda m: m.ones(1).new_tensor([1, 2], dtype=m.int32),
    "new_zeros_size": lambda m: m.ones(1).new_zeros(size=(2,)),
    "new_full": lambda m: m.arange(1).new_full((2,), 3.5),
    "new_ones_wants": lambda m: m.ones(1).new_ones(2, requires_grad=True),
    "empty_strided": lambda m: m.empty_strided((2, 3), (1, 2)).fill_(1),
    "new_empty_strided": lambda m: m.ones(1).new_empty_strided((2, 3), (3, 1), dtype=m.int64).fill_(1),
    "strided": lambda m: m.ones(2, layout=m.strided, device="cpu", pin_memory=False),
    "frombuffer": lambda m: m.frombuffer(bytearray(range(8)), dtype=m.int16),
    "frombuffer_part": lambda m: m.frombuffer(bytearray(range(8)), dtype=m.int16, count=2, offset=2),
    "frombuffer_float": lambda m: m.frombuffer(bytearray(16), dtype=m.float64, requires_grad=True),
    "asarray": lambda m: m.asarray([1, 2.5]),
    "asarray_typed": lambda m: m.asarray(np.arange(3), dtype=m.float32),
    "asarray_wants": lambda m: m.asarray(2.5, requires_grad=True),
    "unsigned_negative": lambda m: m.tensor([-1], dtype=m.uint8),
    "cut_off": lambda m: m.tensor([1.7], dtype=m.int64),
    "too_large": lambda m: m.tensor([1e300]),
    "of_0_dim": lambda m: m.tensor([m.tensor(1), 2.5]),
}


@pytest.mark.parametrize("name", FACTORIES)
def test_more_factories(name):
    ours, theirs = (FACTORIES[name](m) for m in (mc, torch))
    assert_same(ours, theirs)
    assert ours.requires_grad == theirs.requires_grad
    assert ours.stride() == theirs.stride() or ours.numel() == 0


REFUSED = {
    "full_int": lambda m: m.full(2, 1.0),
    "full_tensor": lambda m: m.full((2,), m.tensor([3])),
    "eye": lambda m: m.eye(-1),
    "arange_inf": lambda m: m.arange(float("inf")),
    "arange_bool": lambda m: m.arange(2, dtype=m.bool),
    "arange_wants": lambda m: m.arange(3, requires_grad=True),
    "linspace_steps": lambda m: m.linspace(0, 1, -1),
    "linspace_bool": lambda m: m.linspace(0, 1, 3, dtype=m.bool),
    "linspace_tensor": lambda m: m.linspace(m.tensor([0.0]), 1, 3),
    "zeros_like": lambda m: m.zeros_like(np.zeros(2)),
    "strides": lambda m: m.empty_strided((2, 3), (1,)),
    "buffer_length": lambda m: m.frombuffer(bytearray(3), dtype=m.int32),
    "buffer_empty": lambda m: m.frombuffer(bytearray(0), dtype=m.int32),
    "buffer_offset": lambda m: m.frombuffer(bytearray(4), dtype=m.int32, offset=4),
    "buffer_count": lambda m: m.frombuffer(bytearray(4), dtype=m.int32, count=2),
    "nan_int": lambda m: m.tensor([float("nan")], dtype=m.int64),
    "uint8": lambda m: m.tensor([256], dtype=m.uint8),
    "fill_uint8": lambda m: m.zeros(2, dtype=m.uint8).fill_(300),
    "fill_tensor": lambda m: m.zeros(2).fill_(m.ones(1)),
    "asarray_copy": lambda m: m.asarray(np.arange(3), dtype=m.float32, copy=False),
    "cuda": lambda m: m.zeros(2, device="cuda"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_more_errors(name):
    for m in (torch, mc):
        with pytest.raises((RuntimeError, ValueError, TypeError, OverflowError, NotImplementedError, AssertionError)):
            REFUSED[name](m)


def test_shared_and_copied():
    a = np.zeros(2)
    assert mc.asarray(a).numpy() is a
    assert mc.asarray(a, copy=True).numpy() is not a
    x = mc.ones(2)
    assert mc.asarray(x) is x
    assert mc.asarray(x, copy=True) is not x
    buffer = bytearray(4)
    mc.frombuffer(buffer, dtype=mc.uint8).fill_(7)
    assert buffer == bytes([7] * 4)


def test_memory_order_of_likes():
    for change in (lambda x: x.t(), lambda x: x[:, ::2], lambda x: x[:1].expand(3, 4)):
        for name in ("zeros_like", "ones_like", "empty_like", "rand_like", "randn_like"):
            ours, theirs = (getattr(m, name)(change(m.ones(3, 4))).stride() for m in (mc, torch))
            assert ours == theirs
