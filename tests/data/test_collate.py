"""default_collate and default_convert, against torch's."""

from collections import OrderedDict, UserDict, namedtuple
from types import MappingProxyType

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import default_collate as torch_collate
from torch.utils.data import default_convert as torch_convert

import minicnn as mc
from minicnn.data import default_collate, default_convert

Point = namedtuple("Point", ["x", "y"])


def assert_same(ours, theirs):
    """Equal structure, types, dtypes and values, a torch tensor standing for one of ours."""
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, mc.Tensor)
        assert str(ours.dtype).removeprefix("minicnn.") == str(theirs.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
        return
    assert type(ours) is type(theirs)
    if isinstance(theirs, (dict, UserDict, MappingProxyType)):
        assert list(ours) == list(theirs)
        for key in theirs:
            assert_same(ours[key], theirs[key])
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b)
    else:
        assert ours == theirs


def batches(tensor):
    """The same batches with tensors of either library."""
    f32 = np.float32
    return [
        [1, 2, 3],
        [True, False],
        [1.5, 2.5],
        [1, 2.5],
        [True, 2],
        ["a", "b"],
        [b"a", b"b"],
        [f32(1), f32(2)],
        [np.float64(1), np.float64(2)],
        [np.int32(1), np.int32(2)],
        [np.uint8(1)],
        [np.bool_(True), np.bool_(False)],
        [np.zeros((2, 3), f32), np.ones((2, 3), f32)],
        [np.array(1.5), np.array(2.0)],
        [np.arange(6).reshape(2, 3).T, np.ones((3, 2), np.int64)],
        [tensor(np.arange(3)), tensor(np.arange(3) + 1)],
        [tensor(np.zeros(2, f32)), tensor(np.ones(2, np.float64))],
        [(1, "a"), (2, "b")],
        [[1, 2.0], [3, 4.0]],
        [(tensor(np.zeros(2)), 3), (tensor(np.ones(2)), 4)],
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        [{"a": 1}, {"a": 2, "extra": 3}],
        [OrderedDict(b=1, a=2.0), OrderedDict(b=3, a=4.0)],
        [UserDict(a=1), UserDict(a=2)],
        [MappingProxyType({"a": 1}), MappingProxyType({"a": 2})],
        [Point(1, (2, "s")), Point(3, (4, "t"))],
        [range(2), range(2)],
        [[], []],
    ]


@pytest.mark.parametrize("number", range(len(batches(np.asarray))))
def test_collate_equals_torch(number):
    assert_same(default_collate(batches(mc.from_numpy)[number]), torch_collate(batches(torch.from_numpy)[number]))


@pytest.mark.parametrize("number", range(len(batches(np.asarray))))
def test_convert_equals_torch(number):
    assert_same(default_convert(batches(mc.from_numpy)[number]), torch_convert(batches(torch.from_numpy)[number]))


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([None], TypeError, "default_collate: batch must contain tensors.*found <class 'NoneType'>"),
        ([np.array(["a"])], TypeError, "found an array of <U1"),
        ([[1, 2], [3]], RuntimeError, r"each element in list of batch should be of equal size.*\[1, 2\]"),
        ([np.zeros(2), np.zeros(3)], RuntimeError, r"one shape, but got \[2\] at entry 0 and \[3\] at entry 1"),
        ([], IndexError, "empty batch"),
        ([{"a": 1}, {"b": 1}], KeyError, "a"),
    ],
)
def test_errors_are_torchs_types(batch, error, message):
    with pytest.raises(error, match=message):
        default_collate(batch)
    with pytest.raises(error):
        torch_collate(batch)


def test_images_are_refused_with_the_remedy():
    with pytest.raises(TypeError, match=r"PIL.*ToTensor"):
        default_collate([Image.new("L", (2, 2))])


def test_the_batch_is_a_copy_and_keeps_gradients():
    sample = np.zeros(2)
    batch = default_collate([sample, sample])
    batch[0] = 1
    assert sample.tolist() == [0, 0]
    x = mc.ones(2, requires_grad=True)
    default_collate([x, x]).sum().backward()
    assert x.grad.tolist() == [2, 2]
