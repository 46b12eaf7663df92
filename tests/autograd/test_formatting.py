"""Tensors print as torch's do: the same text, with our name for ours."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import minicnn as mc

RNG = np.random.default_rng(0)
ARRAYS = {
    "zero_dim": np.float32(3.5).reshape(()),
    "zero_dim_whole": np.array(3.0, np.float32),
    "zero_dim_int": np.array(3),
    "zero_dim_double": np.array(0.1),
    "vector": np.array([1.0, 2.5, -3.125], np.float32),
    "whole": np.array([1.0, -2.0, 300.0], np.float32),
    "double": np.array([1.0, 2.0]),
    "wide": np.array([1.0, 2000.5], np.float32),
    "wide_whole": np.array([1.0, 2000.0], np.float32),
    "tiny": np.array([1e-5, 1e-6], np.float32),
    "small": np.array([0.00012, 0.05], np.float32),
    "huge": np.array([1e9, 2e9], np.float32),
    "at_the_limit": np.array([1e8, 99999999.0]),
    "zeros": np.zeros(3, np.float32),
    "negative_zero": np.array([-0.0, 0.0, 1.0], np.float32),
    "nan": np.array([np.nan, 1.0, 2.5], np.float32),
    "inf": np.array([np.inf, -np.inf, 1.0], np.float32),
    "inf_whole": np.array([np.inf, 100.0], np.float32),
    "inf_scientific": np.array([np.inf, 1e-9, np.nan], np.float32),
    "only_nan": np.array([np.nan, np.inf], np.float32),
    "matrix": RNG.standard_normal((3, 4)).astype(np.float32),
    "aligned": np.array([[1.5, -100.25], [0.0, 3.0]], np.float32),
    "cube": RNG.standard_normal((2, 3, 2)),
    "four": np.arange(16.0, dtype=np.float32).reshape(2, 2, 2, 2),
    "row_per_line": RNG.standard_normal(23).astype(np.float32),
    "long_lines": RNG.standard_normal((3, 15)).astype(np.float32),
    "many": np.arange(100),
    "ints": np.array([[1, -200], [30, 4]]),
    "int32": np.array([1, 2], np.int32),
    "uint8": np.array([0, 255], np.uint8),
    "int16": np.array([[1], [2]], np.int16),
    "bool": np.array([True, False, True]),
    "bool_true": np.array([[True, True]]),
    "bool_lines": np.arange(40) % 3 == 0,
    "summary": np.arange(2000.0, dtype=np.float32),
    "summary_int": np.arange(1001),
    "not_yet_a_summary": np.arange(1000),
    "summary_2d": RNG.standard_normal((50, 30)),
    "summary_rows": RNG.standard_normal((300, 4)),
    "summary_columns": RNG.standard_normal((4, 300)),
    "summary_4d": RNG.standard_normal((8, 3, 10, 10)).astype(np.float32),
    "summary_hidden_large": np.where(np.arange(2000) == 1000, 1e10, 1.0),
    "empty": np.zeros(0, np.float32),
    "empty_2d": np.zeros((0, 3), np.float32),
    "empty_3d": np.zeros((2, 0, 3)),
    "empty_int": np.zeros(0, np.int64),
    "empty_bool": np.zeros((0, 1), bool),
    "transposed": np.arange(6.0, dtype=np.float32).reshape(2, 3).T,
    "long_dtype_line": np.linspace(0, 1, 9),
    "exactly_a_line": np.linspace(0, 1, 8),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_as_in_torch(name):
    array = ARRAYS[name]
    ours, theirs = mc.tensor(array), torch.tensor(array)
    assert repr(ours) == repr(theirs).replace("torch.", "minicnn.")
    assert str(ours) == repr(ours)
    assert f"{ours}" == f"{theirs}".replace("torch.", "minicnn.")
    if array.dtype.kind == "f":
        expected = repr(theirs.requires_grad_()).replace("torch.", "minicnn.")
        # Lines are as long as they are, however short our names: torch's breaks fall elsewhere only before the last word.
        assert squeeze(repr(ours.requires_grad_())) == squeeze(expected)


def squeeze(text):
    return re.sub(r"\s+", " ", text)


def test_grad_fn_and_requires_grad():
    x = mc.ones(2, requires_grad=True)
    assert repr(x) == "tensor([1., 1.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2., 2.], grad_fn=<MulBackward>)"
    assert repr(x.detach()) == "tensor([1., 1.])"


def test_sizes():
    x = mc.zeros(2, 3)
    assert repr(x.shape) == repr(torch.zeros(2, 3).shape).replace("torch.", "minicnn.")
    assert x.shape.numel() == 6
    assert mc.Size(()).numel() == 1


def test_format_specifications():
    assert f"{mc.tensor(3.14159):.2f}" == f"{torch.tensor(3.14159):.2f}" == "3.14"
    assert f"{mc.tensor(7):3d}" == "  7"
    assert f"{mc.tensor([1.0])}" == "tensor([1.])"
    assert f"{mc.tensor(0.5)}" == f"{torch.tensor(0.5)}" == "0.5"
    with pytest.raises(TypeError, match=r"format"):
        f"{mc.tensor([1.0]):.2f}"


def test_printing_raises_no_warning():
    with np.errstate(all="raise"):
        repr(mc.tensor([5e-324, 1e300, np.inf, np.nan], dtype=mc.float64))
