"""What a tensor says about itself and its memory, and how it meets Python: as torch, member by member."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch

import minicnn as mc

MEMBERS = """
    dim() ndimension() numel() nelement() element_size() itemsize nbytes ndim is_cuda is_leaf requires_grad retains_grad
    output_nr is_cpu is_nested
    dim_order() is_meta is_mps is_quantized is_sparse is_complex() is_signed() is_floating_point() is_conj() is_neg()
    is_shared() is_pinned() get_device() stride() stride(-1) size() size(0) storage_offset() is_contiguous() tolist()
    shape.numel() real.tolist() conj().tolist() resolve_conj().tolist() untyped_storage().nbytes() _is_view() T.shape
"""
TENSORS = {
    "float": lambda m: m.ones(2, 3),
    "view": lambda m: m.arange(12).view(3, 4)[1:, ::2],
    "transposed": lambda m: m.ones(2, 3, dtype=m.float64).t(),
    "uint8": lambda m: m.tensor([[1], [2]], dtype=m.uint8),
    "leaf": lambda m: m.ones(2, 2, requires_grad=True),
    "computed": lambda m: m.ones(2, 2, requires_grad=True) * 2,
}


@pytest.mark.parametrize("name", TENSORS)
def test_members(name):
    for member in MEMBERS.split():
        ours, theirs = (eval(f"x.{member}", {"x": TENSORS[name](m)}) for m in (mc, torch))
        assert ours == (tuple(theirs) if isinstance(theirs, torch.Size) else theirs), member


def test_functions_of_the_package():
    x = mc.ones(2, 3)
    assert mc.is_tensor(x)
    assert not mc.is_tensor(np.ones(2))
    assert mc.is_floating_point(x)
    assert not mc.is_complex(x)
    assert mc.numel(x) == 6
    assert mc.is_nonzero(mc.tensor([2]))
    assert mc.is_same_size(x, x + 1)
    assert mc.get_device(x) == -1
    with pytest.raises(RuntimeError, match=r"ambiguous"):
        mc.is_nonzero(x)


def test_memory():
    x = mc.ones(4, 3)
    view = x[1:]
    assert view.data_ptr() == x.data_ptr() + 12
    assert view.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() == x.data_ptr()
    assert view._base is x
    assert x._base is None
    assert view.view(-1)._base is x
    assert x.is_set_to(x.detach())
    assert not x.is_set_to(view)
    large = mc.ones(400, 300) * 2  # from recycled memory
    assert large.storage_offset() == 0
    assert large[3].storage_offset() == 900
    assert len(large.untyped_storage()) == large.nbytes


def test_sizes_stay_sizes():
    shape = mc.ones(2, 3).shape
    for ours, theirs in (
        (shape.__add__((1,)), torch.Size([2, 3]).__add__((1,))),
        (shape[:1], torch.Size([2, 3])[:1]),
        (shape * 2, torch.Size([2, 3]) * 2),
        (2 * shape, 2 * torch.Size([2, 3])),
    ):
        assert tuple(ours) == tuple(theirs)
        assert type(ours) is mc.Size
        assert ours.numel() == theirs.numel()
    assert shape[0] == 2
    assert shape == (2, 3)
    assert pickle.loads(pickle.dumps(shape)) == shape


PYTHON = {
    "int": lambda m: int(m.tensor([2.7])),
    "float": lambda m: float(m.tensor([[2]])),
    "complex": lambda m: complex(m.tensor(2.0)),
    "bool": lambda m: bool(m.tensor([0.0])),
    "index": lambda m: [1, 2, 3][m.tensor(1)],
    "range": lambda m: list(range(m.tensor(3))),
    "floor": lambda m: math.floor(m.tensor(2.5)),
    "format": lambda m: f"{m.tensor(2.345):.1f}",
    "format_int": lambda m: f"{m.tensor(3):>4}",
    "len": lambda m: len(m.ones(3, 2)),
    "iter": lambda m: [x.tolist() for x in m.ones(2, 2)],
    "reversed": lambda m: [x.item() for x in reversed(m.arange(3))],
    "in": lambda m: (2 in m.arange(3), 2.5 in m.arange(3), m.tensor(1) in m.arange(3)),
    "unpack": lambda m: [x.item() for x in [*m.arange(3)]],
    "pos": lambda m: (+m.ones(2)).tolist(),
    "abs": lambda m: abs(-m.ones(2)).tolist(),
    "divmod_like": lambda m: (m.arange(5) // 2).tolist() + (m.arange(5) % 2).tolist(),
    "rdiv": lambda m: m.ones(2).__rdiv__(3).tolist(),
}


@pytest.mark.parametrize("name", PYTHON)
def test_python(name):
    assert PYTHON[name](mc) == PYTHON[name](torch)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: int(m.ones(2)),
        lambda m: bool(m.ones(2)),
        lambda m: bool(m.ones(0)),
        lambda m: m.ones(2).item(),
        lambda m: m.tensor(1.5).__index__(),
        lambda m: len(m.tensor(1)),
        lambda m: list(m.tensor(1)),
        lambda m: "a" in m.ones(2),
        lambda m: None in m.ones(2),
        lambda m: format(m.ones(1), ".2f"),
        lambda m: m.ones(2) < None,
        lambda m: m.ones(2) + "a",
        lambda m: 2 @ m.ones(2),
        lambda m: m.ones(2).size(3),
        lambda m: m.ones(2).stride(3),
        lambda m: m.ones(2, requires_grad=True).numpy(),
        lambda m: m.ones(2, requires_grad=True).apply_(abs),
    ],
)
def test_python_refused(call):
    for m in (torch, mc):
        with pytest.raises((TypeError, RuntimeError, ValueError, IndexError)):
            call(m)


@pytest.mark.parametrize("name", ["half", "bfloat16", "cfloat", "cdouble", "pin_memory", "share_memory_"])
def test_what_is_not_there_says_so(name):
    with pytest.raises(NotImplementedError, match=rf"{name} is not there: "):
        getattr(mc.ones(2), name)()


@pytest.mark.parametrize("name", ["short", "char", "byte", "int", "long", "float", "double", "bool"])
def test_conversions(name):
    for data in ([0.0, 1.7, -1.7, 100.2], [0, 1, 2], [True, False]):
        ours, theirs = (getattr(m.tensor(data), name)() for m in (mc, torch))
        assert repr(ours.dtype).removeprefix("minicnn") == repr(theirs.dtype).removeprefix("torch")
        assert ours.tolist() == theirs.tolist() or (name == "byte" and min(data) < 0)


def test_to():
    x = mc.ones(2)
    assert x.to(mc.float32) is x.to("cpu") is x.to() is x
    assert x.to(mc.float32, copy=True) is not x
    assert x.to(mc.float32, False, True) is not x
    assert x.to(mc.float32, True) is x  # non_blocking
    assert x.to("cpu", mc.int64, False, True).dtype is x.to(mc.tensor(1)).dtype is mc.int64
    assert x.to(other=mc.tensor(1)).dtype is mc.int64
    with pytest.raises(TypeError, match=r"unexpected argument 'layout'"):
        x.to(layout=1)


OPTIONS = [
    {"precision": 2},
    {"threshold": 5},
    {"threshold": 5, "edgeitems": 1},
    {"linewidth": 30},
    {"profile": "short"},
    {"profile": "full"},
    {"sci_mode": True},
    {"sci_mode": False},
    {"profile": "default", "precision": 7},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_print_options(options):
    rng = np.random.default_rng(0)
    try:
        for m in (mc, torch):
            m.set_printoptions(**options)
        for shape, scale in (((3,), 1), ((4, 3), 1e5), ((12,), 1e-5), ((2, 2, 12), 1), ((1100,), 1)):
            data = (rng.standard_normal(shape) * scale).astype(np.float32)  # (a type's name is longer here)
            assert repr(mc.tensor(data)) == repr(torch.tensor(data)).replace("torch", "minicnn")
            assert repr(mc.tensor(data.round())) == repr(torch.tensor(data.round())).replace("torch", "minicnn")
    finally:
        for m in (mc, torch):
            m.set_printoptions(profile="default")
    with pytest.raises(ValueError, match=r"profile: expected one of default, short, full"):
        mc.set_printoptions(profile="long")


def test_copies_of_views_are_no_views():
    x = mc.ones(4, 3)
    for made in (copy.deepcopy(x[1:]), pickle.loads(pickle.dumps(x[1:]))):
        assert made.tolist() == x[1:].tolist()
        assert made._base is None
        made.add_(mc.ones(3, requires_grad=True))
        assert x.tolist() == [[1] * 3] * 4


RESIZED = {
    "smaller": lambda m: m.arange(6).resize_(2, 2),
    "as": lambda m: m.arange(4).resize_as_(m.ones(2, 2)),
    "diagonal": lambda m: m.zeros(3, 4).fill_diagonal_(2),
    "wrapped": lambda m: m.zeros(7, 2).fill_diagonal_(2, wrap=True),
    "cube": lambda m: m.zeros(2, 2, 2).fill_diagonal_(2),
}


@pytest.mark.parametrize("name", RESIZED)
def test_sizes_and_diagonals_in_place(name):
    assert RESIZED[name](mc).tolist() == RESIZED[name](torch).tolist()


def test_sizes_and_diagonals_refused():
    x = mc.arange(6)
    view = x[1:]
    with pytest.raises(RuntimeError, match=r"resize_: others look"):
        x.resize_(2)
    assert view.tolist() == [1, 2, 3, 4, 5]
    for call in (
        lambda m: m.ones(2, requires_grad=True).resize_(3),
        lambda m: m.zeros(2, 3, 2).fill_diagonal_(1),
        lambda m: m.zeros(3).fill_diagonal_(1),
    ):
        for m in (torch, mc):
            with pytest.raises((RuntimeError, ValueError)):
                call(m)
