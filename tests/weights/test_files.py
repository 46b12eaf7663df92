"""``mc.load`` and ``mc.save`` beside ``torch.load`` and ``torch.save``: what one writes, the other reads, bit for bit."""

from __future__ import annotations

import argparse
import collections
import datetime
import io
import os
import pathlib
import pickle
import subprocess
import sys
import types
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import minicnn as mc
from minicnn import nn
from minicnn.weights import CheckpointError

TYPES = [torch.float64, torch.float32, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
WAYS = [{}, {"_use_new_zipfile_serialization": False}]


def bits(tensor: Any) -> tuple:
    array = tensor.detach().numpy()
    return array.dtype, array.shape, np.ascontiguousarray(array).tobytes()


def sample(dtype: torch.dtype) -> torch.Tensor:
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)) * 3
    return (x > 0) if dtype is torch.bool else x.to(dtype)


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("way", WAYS, ids=["zip", "legacy"])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_torch_to_us(tmp_path, dtype, way, mmap):
    x = sample(dtype)
    torch.save({"x": x, "row": x[1:3], "transposed": x.t(), "none": x[:0], "scalar": x[0, 0]}, tmp_path / "x.pt", **way)
    loaded = mc.load(tmp_path / "x.pt", mmap=mmap)
    for name, expected in torch.load(tmp_path / "x.pt").items():
        assert bits(loaded[name]) == bits(expected), name
        assert loaded[name].stride() == expected.stride(), name
    loaded["x"][1, 0] = 1
    assert loaded["row"][0, 0] == 1, "tensors of one storage share it"
    assert loaded["transposed"][0, 1] == 1
    assert bits(mc.load(tmp_path / "x.pt")["x"]) == bits(x), "the file stays as it is"


@pytest.mark.parametrize("way", WAYS, ids=["zip", "legacy"])
def test_half_precision_comes_as_float32(tmp_path, way):
    x = torch.tensor([1.5, -2.0, 65504.0, float("inf"), float("nan"), 1e-7])
    torch.save([x.half(), x.bfloat16()], tmp_path / "x.pt", **way)
    half, brain = mc.load(tmp_path / "x.pt")
    np.testing.assert_array_equal(half.numpy(), x.half().float().numpy())
    np.testing.assert_array_equal(brain.numpy(), x.bfloat16().float().numpy())


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_us_to_torch(tmp_path, dtype):
    x = mc.from_numpy(sample(dtype).numpy().copy())
    state = OrderedDict(x=x, row=x[1:3], transposed=x.T, none=x[:0], scalar=x[0, 0])
    mc.save(state, tmp_path / "x.pt")
    for mmap in (False, True):
        loaded = torch.load(tmp_path / "x.pt", mmap=mmap)
        assert list(loaded) == list(state)
        for name, tensor in state.items():
            assert bits(loaded[name]) == bits(tensor), name
    loaded["x"][1, 0] = 1
    assert loaded["transposed"][0, 1] == 1
    assert loaded["row"][0, 0] == 1


def test_safetensors_both_ways(tmp_path):
    x = {str(d).removeprefix("torch."): sample(d) for d in TYPES}
    safetensors.torch.save_file(x, tmp_path / "theirs.safetensors")
    for mmap in (False, True):
        ours = mc.load(tmp_path / "theirs.safetensors", mmap=mmap)
        assert {k: bits(v) for k, v in ours.items()} == {k: bits(v) for k, v in x.items()}
    mc.save(ours, tmp_path / "ours.safetensors")
    back = safetensors.torch.load_file(tmp_path / "ours.safetensors")
    assert {k: bits(v) for k, v in back.items()} == {k: bits(v) for k, v in x.items()}
    assert mc.load(io.BytesIO((tmp_path / "ours.safetensors").read_bytes())).keys() == x.keys()


def test_channels_last_keeps_its_strides(tmp_path):
    x = mc.randn(2, 5, 4, 3).contiguous()
    last = mc.from_numpy(x.numpy().transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2))
    mc.save({"x": last}, tmp_path / "x.pt")
    loaded = torch.load(tmp_path / "x.pt")["x"]
    assert loaded.is_contiguous(memory_format=torch.channels_last)
    assert bits(loaded) == bits(last)


def test_a_training_checkpoint(tmp_path):
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    optimizer = torch.optim.Adam(model.parameters(), amsgrad=True)
    model(torch.randn(2, 1, 5, 5)).sum().backward()
    optimizer.step()
    saved = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "best": np.float64(0.25),
        "hits": np.int64(7),
        "args": argparse.Namespace(lr=0.1, layers=[1, 2]),
        "tags": {"a", "b"},
        "dtype": torch.float32,
        "amp": torch.bfloat16,
        "size": torch.Size([2, 3]),
        "device": torch.device("cpu"),
        "big": 2**70,
        "text": "größer",
        "bytes": b"\x00\xff",
        "nothing": None,
        "pair": (True, -1.5),
    }
    torch.save(saved, tmp_path / "checkpoint.pt")
    loaded = mc.load(tmp_path / "checkpoint.pt")
    plain = ("epoch", "best", "hits", "tags", "big", "text", "bytes", "nothing", "pair")
    assert {k: loaded[k] for k in plain} == {k: saved[k] for k in plain}
    assert vars(loaded["args"]) == {"lr": 0.1, "layers": [1, 2]}
    assert loaded["dtype"] is mc.float32
    assert loaded["amp"] == "torch.bfloat16", "a type that there is not here"
    assert loaded["size"] == mc.Size([2, 3])
    assert loaded["device"] == mc.device("cpu")
    assert loaded["optimizer"]["param_groups"] == saved["optimizer"]["param_groups"]
    step, theirs = loaded["optimizer"]["state"][0], saved["optimizer"]["state"][0]
    assert {k: bits(v) for k, v in step.items()} == {k: bits(v) for k, v in theirs.items()}
    assert loaded["model"]._metadata == model.state_dict()._metadata

    ours = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    ours.load_state_dict(loaded["model"])
    mc.save({"model": ours.state_dict(), "again": loaded}, tmp_path / "ours.pt")
    theirs = torch.load(tmp_path / "ours.pt", weights_only=False)
    model.load_state_dict(theirs["model"])
    assert theirs["again"]["args"] == saved["args"]
    assert theirs["again"]["pair"] == saved["pair"]
    optimizer.load_state_dict(theirs["again"]["optimizer"])


RNG = np.random.default_rng(0)
VALUES = {
    "counter": collections.Counter({30: 1, 60: 2}),
    "defaultdict": collections.defaultdict(list, {"loss": [0.5, 0.25]}),
    "defaultdict of none": collections.defaultdict(None, {1: 2}),
    "deque": collections.deque([1.5, None, "a"], maxlen=5),
    "frozenset": frozenset({1, "a"}),
    "empty frozenset": frozenset(),
    "bytearray": bytearray(range(256)),
    "empty bytearray": bytearray(),
    "complex": 1.5 - 2j,
    "range": range(1, 10, 3),
    "slice": slice(1, None, 2),
    "datetime": datetime.datetime(2024, 2, 29, 23, 59, 58, 123456, fold=1),
    "with a zone": datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone(datetime.timedelta(hours=-3), "there")),
    "date": datetime.date(1999, 12, 31),
    "timedelta": datetime.timedelta(-1, 5, 7),
    "utc": datetime.UTC,
    "numpy numbers": [np.float64(0.1), np.int8(-3), np.bool_(True), np.uint64(2**63)],
}
ARRAYS = {
    "floats": RNG.random((2, 3, 4)),
    "Fortran's order": np.asfortranarray(RNG.random((3, 4)).astype(np.float32)),
    "a part": RNG.integers(0, 9, (6, 8))[::2, 1::3],
    "empty": np.empty((0, 3), np.int16),
    "one number": np.array(2.5, np.float16),
    "bools": RNG.random(5) > 0.5,
    "complex": RNG.random(3) + 1j,
    "texts": np.array(["cat", "doggy"]),
    "random state": np.random.RandomState(3).get_state()[1],
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("legacy", [False, True])
def test_what_training_checkpoints_hold(tmp_path, protocol, legacy):
    """Values and types come back as Python's own pickle would make them, though none of it is run."""
    whole = {"values": VALUES, "arrays": ARRAYS}
    torch.save(whole, tmp_path / "w.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    found = mc.load(tmp_path / "w.pt")
    for name, expected in VALUES.items():
        value = found["values"][name]
        assert value == expected, name
        assert type(value) is type(expected), name
    assert found["values"]["defaultdict"]["accuracy"] == []
    assert found["values"]["deque"].maxlen == 5
    assert found["values"]["datetime"].fold == (protocol > 3)  # older ones forget it
    for name, expected in ARRAYS.items():
        np.testing.assert_array_equal(found["arrays"][name], expected)
        assert found["arrays"][name].dtype == expected.dtype
        assert found["arrays"][name].flags.f_contiguous == expected.flags.f_contiguous
        assert found["arrays"][name].flags.writeable


def test_numpy_arrays_have_an_identity(tmp_path):
    shared = np.arange(3)
    torch.save([shared, {"again": shared}], tmp_path / "w.pt")
    first, second = mc.load(tmp_path / "w.pt")
    assert first is second["again"]


def test_paths_come_as_pure_ones(tmp_path):
    torch.save([pathlib.Path("runs") / "1", pathlib.PureWindowsPath("c:/data/x")], tmp_path / "w.pt")
    assert mc.load(tmp_path / "w.pt") == [pathlib.PurePosixPath("runs/1"), pathlib.PureWindowsPath("c:/data/x")]


def test_tensors_with_attributes(tmp_path):
    plain, parameter = torch.arange(3.0), torch.nn.Parameter(torch.ones(2))
    plain.note, parameter.parallel = "mine", True
    torch.save({"a": plain, "b": parameter, "c": torch.nn.Buffer(torch.zeros(1))}, tmp_path / "w.pt")
    found = mc.load(tmp_path / "w.pt")
    assert (found["a"].tolist(), found["b"].tolist(), found["c"].tolist()) == ([0, 1, 2], [1, 1], [0])
    assert (found["a"].requires_grad, found["b"].requires_grad) == (False, True)


def test_schedules_of_pytorch_go_on_here(tmp_path):
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    milestones = torch.optim.lr_scheduler.MultiStepLR(theirs, [1, 3], gamma=0.1)
    for _ in range(2):
        theirs.step()
        milestones.step()
    torch.save({"optimizer": theirs.state_dict(), "scheduler": milestones.state_dict()}, tmp_path / "w.pt")
    saved = mc.load(tmp_path / "w.pt")
    ours = mc.optim.SGD([mc.nn.Parameter(mc.ones(1))], lr=1.0)
    schedule = mc.optim.lr_scheduler.MultiStepLR(ours, [9])
    ours.load_state_dict(saved["optimizer"])
    schedule.load_state_dict(saved["scheduler"])
    for _ in range(2):
        ours.step()
        schedule.step()
        theirs.step()
        milestones.step()
        assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-12)
    assert milestones.last_epoch == 4


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_protocols(tmp_path, protocol):
    saved = {"w": torch.arange(6.0).view(2, 3), "x": [{"y": (1, 2, 3, 4)}, {5}, b"z" * 300]}
    torch.save(saved, tmp_path / "x.pt", pickle_protocol=protocol)
    loaded = mc.load(tmp_path / "x.pt")
    assert bits(loaded["w"]) == bits(saved["w"])
    assert loaded["x"] == saved["x"]


def test_parameters_want_gradients(tmp_path):
    torch.save({"w": torch.nn.Parameter(torch.ones(2)), "b": torch.zeros(2)}, tmp_path / "x.pt")
    loaded = mc.load(tmp_path / "x.pt")
    assert loaded["w"].requires_grad
    assert not loaded["b"].requires_grad
    mc.save(loaded, tmp_path / "y.pt")
    assert torch.load(tmp_path / "y.pt")["w"].requires_grad


numbers = (
    st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none() | st.text(max_size=5) | st.binary(max_size=5)
)
keys = st.integers(-(2**64) + 1, 2**64 - 1) | st.text(max_size=5) | st.floats(allow_nan=False)
things = st.recursive(
    numbers,
    lambda x: (
        st.lists(x, max_size=4) | st.tuples(x, x) | st.tuples(x) | st.just(()) | st.dictionaries(keys, x, max_size=4)
    ),
    max_leaves=12,
)


@given(things)
@example(b"")  # which pickle's protocol 2 writes as a call of its own
def test_plain_values_survive(value):
    file = io.BytesIO()
    mc.save(value, file)
    assert torch.load(io.BytesIO(file.getvalue()), weights_only=False) == value
    assert mc.load(file) == value
    theirs = io.BytesIO()
    torch.save(value, theirs)
    assert mc.load(theirs) == value


def test_what_is_saved_comes_back_as_it_was(tmp_path):
    """Here, and in PyTorch where it may run what the file names."""
    values = {**VALUES, "defaultdict": {"loss": [0.5]}, "defaultdict of none": {1: 2}, "numpy numbers": [0.5, -3, True]}
    values |= {
        "simple": types.SimpleNamespace(lr=0.1),
        "pure": pathlib.PureWindowsPath("c:/data/x"),
        "type": np.dtype("f4"),
    }
    big_endian = np.arange(3, dtype=">i4")
    mc.save({"values": values, "arrays": {**ARRAYS, "big": big_endian}}, tmp_path / "w.pt")
    ours, theirs = mc.load(tmp_path / "w.pt"), torch.load(tmp_path / "w.pt", weights_only=False)
    for name, expected in values.items():
        assert theirs["values"][name] == expected, name
        assert type(theirs["values"][name]) is type(expected), name
        if name != "simple":
            assert ours["values"][name] == expected, name
            assert type(ours["values"][name]) is type(expected), name
    assert vars(ours["values"]["simple"]) == {"lr": 0.1}
    assert ours["values"]["datetime"].fold == theirs["values"]["datetime"].fold == 1
    for name, expected in ARRAYS.items():
        for found in (ours["arrays"][name], theirs["arrays"][name]):
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == expected.dtype
    np.testing.assert_array_equal(ours["arrays"]["big"], big_endian)
    mc.save({"path": Path("runs") / "1", "device": mc.device("cuda", 1)}, tmp_path / "w.pt")
    assert mc.load(tmp_path / "w.pt") == {"path": pathlib.PurePosixPath("runs/1"), "device": mc.device("cuda:1")}
    assert torch.load(tmp_path / "w.pt", weights_only=False) == {
        "path": Path("runs/1"),
        "device": torch.device("cuda:1"),
    }


def test_what_pytorch_takes_without_asking(tmp_path):
    kinds, counts = np.unique([3, 3, 5], return_counts=True)
    values = [{1, 2}, 1 + 2j, bytearray(b"ab"), collections.Counter("aab"), b"", dict(zip(kinds, counts, strict=True))]
    values += [collections.defaultdict(list, a=[np.float32(0.5), np.complex64(1j)])]
    mc.save(values, tmp_path / "w.pt")
    assert torch.load(tmp_path / "w.pt", weights_only=True) == mc.load(tmp_path / "w.pt") == values


def test_equal_objects_give_equal_files(tmp_path):
    for name in ("a", "b"):
        mc.save({"w": mc.arange(5), "s": {"x", "y", "z"}}, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_storages_start_where_pytorch_maps_them(tmp_path):
    mc.save([mc.ones(3), mc.zeros(5)], tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        assert archive.testzip() is None
        for entry in archive.infolist():
            assert (entry.header_offset + 30 + len(entry.filename) + len(entry.extra)) % 64 == 0


def test_one_row_does_not_carry_the_matrix(tmp_path):
    mc.save(mc.zeros(1000, 100)[3], tmp_path / "x.pt")
    assert (tmp_path / "x.pt").stat().st_size < 2000


def test_one_memory_as_two_types():
    x = mc.zeros(4)
    other = mc.Tensor(x.numpy().view(np.int32))
    file = io.BytesIO()
    mc.save([x, other], file)
    a, b = torch.load(io.BytesIO(file.getvalue()))
    assert a.dtype is torch.float32
    assert b.dtype is torch.int32


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, object()]}, r"obj\['a'\]\[1\]: a builtins.object cannot be saved"),
        ({(1, 2): 3}, "a key of type tuple"),
        (nn.Linear(1, 1), r"Of a module save its state_dict\(\)"),
        (np.array([None]), r"a numpy.ndarray of object cannot be saved"),
        ([np.array(["2024-01-01"], "M8[D]")], r"obj\[0\]: a numpy.ndarray of datetime64\[D\] cannot be saved"),
        (np.zeros(2, [("a", "i4")]), r"a numpy.ndarray of \[\('a', '<i4'\)\] cannot be saved"),
        (np.ma.array([1, 2], mask=[0, 1]), r"MaskedArray of int64 cannot be saved"),
        (np.longdouble(1), r"longdouble cannot be saved"),
        (Path, r"a builtins.type cannot be saved"),
    ],
)
def test_what_cannot_be_saved(tmp_path, value, message):
    (tmp_path / "x.pt").write_text("old")
    with pytest.raises(TypeError, match=message):
        mc.save(value, tmp_path / "x.pt")
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]
    assert (tmp_path / "x.pt").read_text() == "old"


def test_a_storage_that_no_tensor_shows_is_no_value(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that PyTorch would rather have another kind
        storage = torch.ones(2).storage()
    for value in (storage, [storage], {"kind": torch.FloatStorage}):
        torch.save(value, tmp_path / "x.pt")
        with pytest.raises(CheckpointError, match=r"as a value|leaves 1 values"):
            mc.load(tmp_path / "x.pt")


def test_what_contains_itself():
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        mc.save(loop, io.BytesIO())


def test_arguments_that_would_run_code_are_refused(tmp_path):
    mc.save(1, tmp_path / "x.pt")
    with pytest.raises(NotImplementedError, match="would run code"):
        mc.load(tmp_path / "x.pt", pickle_module=pickle)
    assert mc.load(tmp_path / "x.pt", weights_only=False) == 1, "a permission that is not used"
    for wrong in ("cuda", {"cuda:0": "cuda:1"}):
        with pytest.raises(mc.DeviceUnavailable):
            mc.load(tmp_path / "x.pt", map_location=wrong)
    for right in ("cpu", mc.device("cpu"), {"cuda:0": "cpu"}, lambda storage, _: storage):
        assert mc.load(tmp_path / "x.pt", map_location=right) == 1
    with pytest.raises(FileNotFoundError):
        mc.load(tmp_path / "y.pt")
    with pytest.raises(NotImplementedError, match="protocol 2"):
        mc.save(1, tmp_path / "x.pt", pickle_protocol=4)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"x" * 257 + b"ustar" + b"x" * 300, "tar archive"),
        (b"hello, this is text", "neither a file of torch.save nor of safetensors"),
    ],
)
def test_other_kinds_of_files(tmp_path, start, message):
    (tmp_path / "x.pt").write_bytes(start)
    with pytest.raises(CheckpointError, match=message) as caught:
        mc.load(tmp_path / "x.pt")
    assert str(caught.value).startswith(str(tmp_path / "x.pt"))


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads the peak memory from Linux's /proc")
def test_mapped_bytes_take_no_memory_of_their_own(tmp_path):
    """64 MiB mapped and not touched: the process hardly grows. Read instead, it grows by as much."""
    with open(tmp_path / "x.safetensors", "wb") as file:  # a header and a hole
        header = b'{"w":{"dtype":"F32","shape":[16777216],"data_offsets":[0,67108864]}}'
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 2**26)
    program = (
        "import sys, minicnn as mc\n"
        "def peak(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "mc.load\n"
        "before = peak()\n"
        "x = mc.load(sys.argv[1], mmap=sys.argv[2] == 'True')\n"
        "print(peak() - before)\n"
    )
    grown = {}
    for mmap in (True, False):
        command = [sys.executable, "-c", program, str(tmp_path / "x.safetensors"), str(mmap)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(p).resolve()) for p in sys.path if p)}
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        assert run.returncode == 0, run.stderr
        grown[mmap] = int(run.stdout) * 1024
    assert grown[True] < 2**25 < grown[False]
