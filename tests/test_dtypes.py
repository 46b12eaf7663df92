"""Data types: our own objects, and torch's promotion table."""

from __future__ import annotations

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import dtypes


@pytest.mark.parametrize("dtype", dtypes.ALL)
def test_attributes(dtype):
    theirs = getattr(torch, dtype.name)
    assert dtype.itemsize == theirs.itemsize
    assert dtype.is_floating_point == theirs.is_floating_point
    assert repr(dtype) == repr(theirs).replace("torch", "minicnn")
    assert dtype.numpy == np.dtype(dtype.name)
    assert np.zeros(1, dtype=dtype).dtype == dtype.numpy
    assert np.zeros(1).astype(dtype).dtype == dtype.numpy
    assert mc.zeros(1, dtype=dtype).dtype is dtype


def test_names_of_the_package():
    for alias, dtype in (("float", mc.float32), ("double", mc.float64), ("long", mc.int64), ("int", mc.int32)):
        assert getattr(mc, alias) is dtype
        assert getattr(torch, alias) == getattr(torch, dtype.name)
    assert mc.bool is dtypes.bool_
    assert isinstance(mc.float32, mc.dtype)


def test_equality_hash_and_copies():
    assert mc.float32 == np.float32
    assert mc.float32 == np.dtype("float32")
    assert mc.float32 != mc.float64
    assert mc.float32 != "float32"
    assert mc.int64 != np.int32
    assert {mc.float32: 1}[mc.float32] == 1
    for dtype in dtypes.ALL:
        assert pickle.loads(pickle.dumps(dtype)) is dtype
        assert copy.deepcopy(dtype) is dtype


@pytest.mark.parametrize(
    ("given", "expected"),
    [("float32", mc.float32), (np.int8, mc.int8), (bool, mc.bool), (int, mc.int64), (float, mc.float64),
     (np.dtype("u1"), mc.uint8), (mc.int16, mc.int16), ("bool", mc.bool)],
)  # fmt: skip
def test_as_dtype(given, expected):
    assert dtypes.as_dtype(given) is expected


@pytest.mark.parametrize("given", [None, "float16", np.complex64, "flaot", 3, [1], str, np.uint16, ">f4", object])
def test_what_is_no_dtype(given):
    with pytest.raises(TypeError, match=r"is not supported; choose one of bool, uint8, .*float64"):
        dtypes.as_dtype(given)


def test_promotion_table():
    for a, b in itertools.product(dtypes.ALL, repeat=2):
        expected = torch.promote_types(getattr(torch, a.name), getattr(torch, b.name))
        assert f"torch.{mc.promote_types(a, b).name}" == str(expected)


def test_ranks():
    """Tensors before 0-dimensional tensors before numbers; a lower rank counts only by a higher category."""
    f32, f64, i64, u8 = mc.float32, mc.float64, mc.int64, mc.uint8
    assert dtypes.result_type([f32], [f64]) is f32
    assert dtypes.result_type([i64], [f64]) is f64
    assert dtypes.result_type([u8], [i64], [i64]) is u8
    assert dtypes.result_type([u8], [], [f32]) is f32
    assert dtypes.result_type([], [i64], [f32]) is f32
    assert dtypes.result_type([], [], [i64, f32]) is f32
    assert dtypes.result_type([mc.bool], [u8], [i64]) is u8
    with pytest.raises(ValueError, match=r"at least one operand"):
        dtypes.result_type([])


def test_scalars():
    assert dtypes.scalar_dtype(True) is mc.bool
    assert dtypes.scalar_dtype(np.True_) is mc.bool
    assert dtypes.scalar_dtype(3) is mc.int64
    assert dtypes.scalar_dtype(np.uint8(3)) is mc.int64
    assert dtypes.scalar_dtype(3.0) is mc.float32


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_finfo(name):
    ours, theirs = mc.finfo(getattr(mc, name)), torch.finfo(getattr(torch, name))
    for field in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert repr(ours) == repr(theirs)
    assert repr(mc.finfo()) == repr(torch.finfo())


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "int32", "int64"])
def test_iinfo(name):
    ours, theirs = mc.iinfo(getattr(mc, name)), torch.iinfo(getattr(torch, name))
    for field in ("bits", "max", "min", "dtype"):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert repr(ours) == f"iinfo(min={theirs.min}, max={theirs.max}, dtype={name})"


def test_limits_of_other_types():
    for wrong in (lambda: mc.finfo(mc.int64), lambda: mc.iinfo(mc.float32), lambda: mc.iinfo(mc.bool)):
        with pytest.raises(TypeError, match=r"finfo|iinfo"):
            wrong()


def test_can_cast():
    for a in dtypes.ALL:
        for b in dtypes.ALL:
            assert mc.can_cast(a, b) == torch.can_cast(getattr(torch, a.name), getattr(torch, b.name)), (a, b)
            assert a.is_signed == getattr(torch, a.name).is_signed


@pytest.mark.parametrize(
    "name", ["float16", "half", "bfloat16", "complex64", "cfloat", "complex128", "uint16", "uint64"]
)
def test_types_that_are_not_there(name):
    """Neither pretended nor a riddle: ``hasattr`` says no, and the error what to take instead."""
    assert hasattr(torch, name)
    assert not hasattr(mc, name)
    with pytest.raises(NotImplementedError, match=rf"minicnn\.{name} is not there: "):
        getattr(mc, name)
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'"):
        mc.nothing  # noqa: B018
