"""Memory formats: the same shape and numbers, in the strides that torch gives them."""

from __future__ import annotations

import pickle

import pytest
import torch

import minicnn as mc

CALLS = {
    "contiguous": lambda m, x, f: x.contiguous(memory_format=f),
    "to": lambda m, x, f: x.to(memory_format=f),
    "to_type": lambda m, x, f: x.to(m.float64, memory_format=f),
    "clone": lambda m, x, f: x.clone(memory_format=f),
    "double": lambda m, x, f: x.double(memory_format=f),
    "zeros_like": lambda m, x, f: m.zeros_like(x, memory_format=f),
    "full_like": lambda m, x, f: m.full_like(x, 3, memory_format=f),
    "empty": lambda m, x, f: m.empty(x.shape, memory_format=f).fill_(1),
    "rand_like": lambda m, x, f: m.rand_like(x, memory_format=f) * 0,
}
FORMATS = {"contiguous_format": (2, 3, 4, 5), "channels_last": (2, 3, 4, 5), "channels_last_3d": (2, 3, 4, 5, 6)}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("call", CALLS)
def test_strides(call, name):
    for shape in (FORMATS[name], (1, *FORMATS[name][1:]), (*FORMATS[name][:-1], 0)):
        results = [CALLS[call](m, m.ones(shape), getattr(m, name)) for m in (mc, torch)]
        assert results[0].tolist() == results[1].tolist()
        if 0 in shape:
            continue  # no elements, no order
        if 1 not in shape:
            assert results[0].stride() == results[1].stride()
        for other in FORMATS:
            ours, theirs = (
                r.is_contiguous(memory_format=getattr(m, other)) for r, m in zip(results, (mc, torch), strict=True)
            )
            assert ours == theirs, (shape, other)


def test_preserve_format_keeps_the_order():
    for shape in ((2, 3), (2, 3, 4, 5)):
        for change in (lambda x: x, lambda x: x.transpose(0, 1), lambda x: x[:, ::2], lambda x: x[:1].expand(*x.shape)):
            strides = []
            for m in (mc, torch):
                x = change(m.ones(shape))
                strides.append((m.zeros_like(x).stride(), m.rand_like(x).stride(), m.empty_like(x).stride()))
            assert strides[0] == strides[1]


def test_gradients_pass():
    x = mc.ones(2, 3, 4, 5, requires_grad=True)
    x.to(memory_format=mc.channels_last).mul(2).sum().backward()
    assert set(x.grad.flatten().tolist()) == {2}


def test_errors():
    x = mc.ones(2, 3)
    with pytest.raises(ValueError, match=r"channels_last is for 4 dimensions, this tensor has 2"):
        x.contiguous(memory_format=mc.channels_last)
    with pytest.raises(TypeError, match=r"memory_format: expected"):
        x.contiguous(memory_format="channels_last")
    with pytest.raises(TypeError, match=r"memory_format: expected an order"):
        x.is_contiguous(memory_format=mc.preserve_format)
    with pytest.raises(NotImplementedError, match=r"layout: tensors are dense"):
        mc.zeros(2, layout="sparse")
    with pytest.raises(NotImplementedError, match=r"pin_memory"):
        mc.zeros(2, pin_memory=True)


def test_names():
    for name in ("contiguous_format", "channels_last", "channels_last_3d", "preserve_format", "strided"):
        thing = getattr(mc, name)
        assert repr(thing) == repr(getattr(torch, name)).replace("torch", "minicnn")
        assert pickle.loads(pickle.dumps(thing)) is thing
    assert mc.zeros(2).layout is mc.strided
    assert isinstance(mc.strided, mc.layout)
    assert isinstance(mc.channels_last, mc.memory_format)
