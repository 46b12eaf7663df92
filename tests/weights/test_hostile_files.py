"""Files that lie, break off, or try to run something: one clear CheckpointError each, in bounded time, and no code has run.

The canary: whatever a pickle here names is recorded by an import hook and by functions that leave a mark. Nothing may sing.
"""

from __future__ import annotations

import builtins
import io
import json
import os
import pickle
import pickletools
import random
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.weights import CheckpointError
from minicnn.weights.describe import describe, worth_reading
from minicnn.weights.torch_pickle import HARMLESS, globals_of, opcodes

SUNG: list[str] = []


def sing(*args: Any) -> str:
    """What a hostile file would like to call."""
    SUNG.append("called")
    return "la"


class Singer:
    def __new__(cls, *args: Any) -> Any:
        if args:
            SUNG.append("made")
        return super().__new__(cls)

    def __reduce__(self) -> Any:
        return sing, ("la",)

    def __setstate__(self, state: Any) -> None:
        SUNG.append("set")


@pytest.fixture(autouse=True)
def canary(monkeypatch) -> Iterator[None]:
    """Fails the test when anything was called, or a module with a song in its name was imported."""
    SUNG.clear()
    real = builtins.__import__

    def watched(name: str, *args: Any, **options: Any) -> Any:
        if name.split(".")[0] in ("pty", "antigravity", "webbrowser", "runpy", "timeit", "marshal"):
            SUNG.append(f"imported {name}")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", watched)
    monkeypatch.setattr(os, "system", sing)
    monkeypatch.setattr(subprocess, "Popen", sing)
    yield
    monkeypatch.undo()
    assert not SUNG


def as_zip(program: bytes, storages: dict[str, bytes] | None = None, root: str = "archive") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{root}/data.pkl", program)
        for key, data in (storages or {}).items():
            archive.writestr(f"{root}/data/{key}", data)
        archive.writestr(f"{root}/version", b"3\n")
    return file.getvalue()


def as_legacy(program: bytes, storages: dict[str, bytes] | None = None, keys: bytes | None = None) -> bytes:
    start = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    out = b"".join(pickle.dumps(x, 2) for x in start) + program
    out += pickle.dumps(list(storages or {}), 2) if keys is None else keys
    return out + b"".join(struct.pack("<q", len(data) // 4) + data for data in (storages or {}).values())


FORMATS = {"zip": as_zip, "legacy": as_legacy}


def refuse(data: bytes, match: str = "", **options: Any) -> CheckpointError:
    with pytest.raises(CheckpointError, match=match or None) as caught:
        mc.load(io.BytesIO(data), **options)
    return caught.value


def tensor(
    key: str = "0",
    numel: Any = 4,
    offset: Any = 0,
    size: Any = (4,),
    stride: Any = (1,),
    kind: bytes = b"FloatStorage",
    identity: Any = None,
) -> bytes:
    """The pickle of one tensor, with what it says about itself."""

    def body(value: Any) -> bytes:  # a value's opcodes without the frame of a pickle
        return pickle.dumps(value, 2)[2:-1]

    persistent = (
        b"(" + body("storage") + b"ctorch\n" + kind + b"\n" + body(key) + body("cpu") + body(numel) + b"t"
        if identity is None
        else body(identity)
    )
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + persistent + b"Q" + body(offset) + body(size) + body(stride)
        + b"\x89ccollections\nOrderedDict\n)RtR."
    )  # fmt: skip


DATA = {"0": np.arange(4, dtype="<f4").tobytes()}


@pytest.mark.parametrize("form", FORMATS)
def test_the_honest_one(form):
    loaded = mc.load(io.BytesIO(FORMATS[form](tensor(), DATA)))
    assert loaded.tolist() == [0, 1, 2, 3]


# ---- code


def reduce_of(name: str) -> bytes:
    return b"\x80\x02c" + name.encode() + b"\nX\x02\x00\x00\x00la\x85R."


CALLS = """
    os.system posix.system nt.system builtins.eval builtins.exec builtins.getattr builtins.print subprocess.Popen sys.exit
    numpy.load numpy.testing._private.utils.runcstring torch.load torch.hub.load torch._utils._rebuild_qtensor
    torch.storage._load_from_bytes collections.Counter.update collections.namedtuple functools.partial operator.attrgetter
    pickle.loads _pickle.loads marshal.loads types.CodeType importlib.import_module runpy.run_path webbrowser.open
    minicnn.load minicnn.weights.load timeit.timeit collections.OrderedDict.__init__ torch.Size.__class__ __main__.Singer
    codecs.open _codecs.lookup
"""


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", CALLS.split())
def test_what_global_names_is_not_called(name, form):
    module, _, attribute = name.rpartition(".")
    error = refuse(FORMATS[form](reduce_of(f"{module}\n{attribute}")))
    assert name in str(error)
    assert "state_dict" in str(error)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("protocol", range(6))
def test_objects_with_a_reduce_of_their_own(form, protocol):
    refuse(FORMATS[form](pickle.dumps({"w": Singer()}, protocol)))
    with pytest.raises(CheckpointError):  # a pickle and nothing else
        mc.load(io.BytesIO(pickle.dumps(Singer(), protocol)))


SINGER = f"{__name__}\nSinger".encode()
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"


def dtype_of(code: bytes) -> bytes:
    order = b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return b"cnumpy\ndtype\nX\x02\x00\x00\x00" + code + b"K\x00K\x01\x87R" + order


NEXT = b"ctorch._tensor\n_rebuild_from_type_v2\n"
TENSOR = b"ctorch\nTensor\n"
# rebuild(rebuild, Tensor, (rebuild, Tensor, (..., {}), {}), {}): each would be rebuilt by the next one
NESTED = NEXT + 3000 * (b"(" + NEXT + TENSOR) + b")" + 3000 * b"}t" + b"R."
OPCODE_FAMILIES = {
    "GLOBAL+REDUCE": b"c" + SINGER + b"\n)R.",
    "STACK_GLOBAL": b"X%bX%b\x93)R." % (struct.pack("<I", 2) + b"os", struct.pack("<I", 6) + b"system"),
    "INST": b"(i" + SINGER + b"\n.",
    "OBJ": b"(c" + SINGER + b"\no.",
    "NEWOBJ": b"c" + SINGER + b"\n)\x81.",
    "NEWOBJ_EX": b"c" + SINGER + b"\n)}\x92.",
    "BUILD on a dict": b"}}b.",
    "BUILD on a list": b"]}b.",
    "BUILD with slots": b"ccollections\nOrderedDict\n)R}}\x86b.",
    "BUILD with __dict__": b"ccollections\nOrderedDict\n)R}X\x09\x00\x00\x00__class__K\x01sb"[:-1] + b"b.",
    "EXT1": b"\x82\x01.",
    "EXT2": b"\x83\x01\x00.",
    "EXT4": b"\x84\x01\x00\x00\x00.",
    "PERSID": b"Pos.system\n.",
    "BINPERSID of text": b"X\x02\x00\x00\x00osQ.",
    "BINPERSID of a module": b"(X\x06\x00\x00\x00moduleX\x02\x00\x00\x00ostQ.",
    "REDUCE of a text": b"X\x02\x00\x00\x00os)R.",
    "REDUCE of a storage type": b"ctorch\nFloatStorage\n)R.",
    "REDUCE without a tuple": b"ccollections\nOrderedDict\n]R.",
    "APPEND on a dict": b"}K\x01a.",
    "APPENDS on a tuple": b")(K\x01e.",
    "SETITEM on a list": b"]K\x00K\x01s.",
    "SETITEM on a storage": (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQK\x00K\x01s."
    ),
    "SETITEMS with an odd number": b"}(K\x01u.",
    "ADDITEMS on a list": b"](K\x01\x90.",
    "a list as a key": b"}]K\x01s.",
    "a tuple as a key": b"})K\x01s.",
    "a function as a value": b"}K\x01ccollections\nOrderedDict\ns.",
    "a function in a list": b"]ccollections\nOrderedDict\na.",
    "BYTEARRAY8 that lies": b"\x96" + struct.pack("<Q", 2**60) + b"la.",
    "NEXT_BUFFER": b"\x97.",
    "READONLY_BUFFER": b"]\x98.",
    "FROZENSET of lists": b"(]\x91.",
    "FROZENSET without a mark": b"\x91.",
    "a mark as the result": b"(.",
    "two results": b"K\x01K\x02.",
    "no result": b".",
    "an empty stack": b"a.",
    "memory that was never filled": b"h\x05.",
    "a mark remembered": b"(q\x00h\x00.",
    "no STOP": b"K\x01",
    "an unknown opcode": b"\xff.",
    "a lying text length": b"X\xff\xff\xff\x7fla.",
    "a lying bytes length": b"\x8e" + struct.pack("<Q", 2**60) + b"la.",
    "a negative LONG4": b"\x8b" + struct.pack("<i", -5) + b".",
    "text that is no UTF-8": b"X\x02\x00\x00\x00\xff\xfe.",
    "an integer as text": b"I12\n.",
    "a float as text": b"F1.5\n.",
    "_metadata of another kind": b"ccollections\nOrderedDict\n)R}X\x09\x00\x00\x00_metadataK\x01sb.",
    "a metadata version of another kind": (
        b"ccollections\nOrderedDict\n)R}X\x09\x00\x00\x00_metadata}X\x01\x00\x00\x00a}X\x07\x00\x00\x00versionX\x01\x00\x00\x00xsssb."
    ),
    "OrderedDict of no pairs": b"ccollections\nOrderedDict\n]K\x01a\x85R.",
    "Size of texts": b"ctorch\nSize\n]X\x01\x00\x00\x00xa\x85R.",
    "numpy.dtype of an object": b"cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R.",
    "a NumPy scalar of too few bytes": (
        b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\x00\x00\x00f8\x85RC\x02la\x86R."
    ),
    "bytes of a length": b"c__builtin__\nbytes\nJ\x00\x00\x00\x7f\x85R.",
    "a bytearray of a length": b"c__builtin__\nbytearray\nJ\x00\x00\x00\x7f\x85R.",
    "a bytearray with a codec": b"c__builtin__\nbytearray\nX\x02\x00\x00\x00laX\x05\x00\x00\x00rot13\x86R.",
    "a Counter of a text": b"ccollections\nCounter\nX\x02\x00\x00\x00la\x85R.",
    "a Counter of lists": b"ccollections\nCounter\n}K\x01]s\x85R.",
    "a defaultdict that makes what was called": b"ccollections\ndefaultdict\nccollections\nOrderedDict\n\x85R.",
    "a defaultdict of a text": b"ccollections\ndefaultdict\nX\x02\x00\x00\x00la\x85R.",
    "a type called": b"c__builtin__\nlist\n)R.",
    "a type as a value": b"]c__builtin__\nlist\na.",
    "a type in a tuple in a list": b"]c__builtin__\nlist\n\x85a.",
    "a type in a tuple in a tuple": b"c__builtin__\nlist\n\x85\x85.",
    "a type as the result": b"c__builtin__\nlist\n.",
    "a function in a tuple as the result": b"ccollections\nOrderedDict\n\x85.",
    "a Tensor called": b"ctorch\nTensor\n)R.",
    "a deque of a length": b"ccollections\ndeque\n)J\xff\xff\xff\xff\x86R.",
    "APPEND on a set": b"\x8fK\x01a.",
    "a frozenset of lists": b"cbuiltins\nfrozenset\n]]a\x85R.",
    "complex of a text": b"c__builtin__\ncomplex\nX\x02\x00\x00\x001j\x85R.",
    "a range of floats": b"cbuiltins\nrange\nG?\xf0\x00\x00\x00\x00\x00\x00\x85R.",
    "an array of objects": ARRAY + b"(K\x01K\x01\x85" + dtype_of(b"O8") + b"\x89]Natb.",
    "an array that is longer than its bytes": ARRAY + b"(K\x01J\xff\xff\xff\x7f\x85" + dtype_of(b"f4") + b"\x89C\x04abcdtb.",
    "an array with a product that wraps": (
        ARRAY + b"(K\x01(" + 4 * (b"\x8a\x05" + (2**32).to_bytes(5, "little")) + b"t" + dtype_of(b"f4") + b"\x89C\x00tb."
    ),
    "an array of negative size": ARRAY + b"(K\x01J\xff\xff\xff\xff\x85" + dtype_of(b"f4") + b"\x89C\x00tb.",
    "an array filled twice": 2 * (ARRAY + b"(K\x01K\x01\x85" + dtype_of(b"u1") + b"\x89C\x01atb"),
    "an array of a class of its own": b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nmatrix\nK\x00\x85C\x01b\x87R.",
    "an array of too large a beginning": (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nJ\xff\xff\xff\x7f\x85C\x01b\x87R."
    ),
    "texts of a gigabyte": b"cnumpy\ndtype\nX\x0b\x00\x00\x00U1000000000\x85R.",
    "a datetime of few bytes": b"cdatetime\ndatetime\nC\x02ab\x85R.",
    "a datetime in the 99th month": b"cdatetime\ndatetime\nC\x0a\x07\xe4cccccccc\x85R.",
    "a date that there is not": b"cdatetime\ndate\nC\x04\x07\xe4\x02\x1e\x85R.",
    "a timedelta of texts": b"cdatetime\ntimedelta\nX\x02\x00\x00\x00la\x85R.",
    "a path of a number": b"cpathlib\nPosixPath\nK\x01\x85R.",
    "a tensor of a class of its own": (
        b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nc" + SINGER + b"\n)}tR."
    ),
    "a tensor in a tensor in a tensor": NESTED,
    "texts without a letter, many": (
        ARRAY + b"(K\x01\x8a\x06" + (2**40).to_bytes(6, "little") + b"\x85" + dtype_of(b"S0") + b"\x89C\x00tb."
    ),
    "a tensor rebuilt by something else": (
        b"ctorch._tensor\n_rebuild_from_type_v2\n(X\x02\x00\x00\x00lactorch\nTensor\n)}tR."
    ),
    "a whole number that could collide": b"}\x8a\x09" + (2**65).to_bytes(9, "little") + b"K\x01s.",
    "encode with a codec": b"c_codecs\nencode\nX\x02\x00\x00\x00laX\x05\x00\x00\x00rot13\x86R.",
    "Namespace with arguments": b"cargparse\nNamespace\nK\x01\x85R.",
    "a parameter of text": b"ctorch._utils\n_rebuild_parameter\n(X\x02\x00\x00\x00la\x88}tR.",
}  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", OPCODE_FAMILIES)
def test_every_family_of_opcodes(name, form):
    refuse(FORMATS[form](b"\x80\x04" + OPCODE_FAMILIES[name]))


def test_no_opcode_was_forgotten():
    """Each opcode there is has a line in the interpreter or is refused by name."""
    from minicnn.weights.torch_pickle import _STEPS

    known = set(_STEPS) | {"STOP"}
    assert known <= {opcode.name for opcode in pickletools.opcodes}
    refused = {opcode.name for opcode in pickletools.opcodes} - known
    assert {"INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "NEXT_BUFFER", "READONLY_BUFFER"} <= refused


def test_the_table_is_exact():
    """No name that torch or Python could do something with beyond building a value."""
    assert not any(isinstance(value, type) for value in HARMLESS.values())
    assert all(name.count("*") == 0 for name in HARMLESS)


def test_keys_that_collide_take_no_time():
    """Whole numbers that are alike modulo 2**61 - 1 have one hash: a dictionary of 100,000 of them would take minutes."""
    numbers = [(i * (2**61 - 1)).to_bytes(10, "little") for i in range(10, 100_000)]
    entries = b"".join(b"\x8a\x0a" + number + b"N" for number in numbers)
    start = time.monotonic()
    refuse(as_zip(b"\x80\x02}(" + entries + b"u."), "a whole number of 65 bits as a dictionary's key")
    members = b"".join(b"\x8a\x0a" + number for number in numbers)
    refuse(as_zip(b"\x80\x04\x8f(" + members + b"\x90."), "a whole number of 65 bits .* or a set's member")
    assert time.monotonic() - start < 10


def test_dictionaries_in_themselves(tmp_path):
    """Each of 18 dictionaries holds the next one ten times; and one holds itself. Looking at them takes no time."""
    program = b"\x80\x02}q\x00(K\x01K\x02u0"
    for depth in range(1, 19):
        inner = b"".join(b"K" + bytes([i, ord("h"), depth - 1]) for i in range(10))
        program += b"}q" + bytes([depth]) + b"(" + inner + b"u" + (b"0" if depth < 18 else b".")
    start = time.monotonic()
    for name, content in (("many", program), ("itself", b"\x80\x02}q\x00(K\x01h\x00X\x05\x00\x00\x00modelh\x00u.")):
        (tmp_path / name).write_bytes(as_zip(content))
        found = describe(tmp_path / name)
        assert "a dictionary that was there already" in found.others.values()
    with pytest.raises(RuntimeError, match="Unexpected key"):
        mc.nn.Identity().load_state_dict({"model": (loaded := mc.load(tmp_path / "itself")), "net": loaded["model"]})
    with pytest.raises(TypeError, match="expected the names of parameters as keys, got the key 0"):
        mc.nn.Identity().load_state_dict(mc.load(tmp_path / "many"))
    assert time.monotonic() - start < 10


def test_a_few_numbers_shown_many_times_are_not_read_each_time(tmp_path, capsys):
    parts = b"".join(b"X\x02\x00\x00\x00%02d" % i + tensor(size=(2**24,), stride=(0,))[2:-1] for i in range(60))
    (tmp_path / "w.pth").write_bytes(as_zip(b"\x80\x02}(" + parts + b"u.", {"0": bytes(16)}))
    found = describe(tmp_path / "w.pth")
    assert len(found.tensors) == 60
    assert not worth_reading(found)


def test_whole_models_are_refused_with_the_remedy():
    file = io.BytesIO()
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)), file)
    refuse(file.getvalue(), r"torch\.nn\.modules\.container\.Sequential.*whole pickled model.*state_dict")


def test_globals_are_listed_without_running():
    program = b"\x80\x04" + OPCODE_FAMILIES["STACK_GLOBAL"]
    assert globals_of(opcodes(io.BytesIO(program), Path("x"), "x")) == ["os.system"]


# ---- numbers that lie


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "lie",
    [
        {"numel": 5},
        {"numel": 3},
        {"numel": -1},
        {"numel": 2**62},
        {"numel": 4.0},
        {"numel": True},
        {"offset": 1},
        {"offset": -1},
        {"offset": 2**63},
        {"offset": 5, "size": (0,)},
        {"size": (5,)},
        {"size": (-4,)},
        {"size": (2, 2), "stride": (1,)},
        {"size": (2, 2), "stride": (4, 1)},
        {"size": (2, 2), "stride": (-1, 1)},
        {"size": (2**31, 2**33), "stride": (0, 0)},
        {"size": (2**40,), "stride": (0,)},
        {"size": (4,), "stride": (2**61,)},
        {"size": (1,) * 65, "stride": (1,) * 65},
        {"size": (1,), "stride": (2**61,)},
        {"size": (0, 4), "stride": (2**61, 2**61)},
        {"size": (2**58, 0, 2**58), "stride": (1, 1, 1)},
        {"size": [4]},
        {"size": ("4",)},
        {"size": (True,)},
        {"stride": None},
        {"kind": b"DoubleStorage"},
        {"kind": b"ByteStorage"},
        {"kind": b"ComplexFloatStorage"},
        {"kind": b"QInt8Storage"},
        {"identity": ("storage", "FloatStorage", "0", "cpu", 4)},
        {"identity": ("storage",)},
        {"identity": "0"},
        {"key": "1"},
        {"key": "../../etc/passwd"},
    ],
    ids=str,
)
def test_lying_tensors(form, lie):
    refuse(FORMATS[form](tensor(**lie), DATA))


def test_one_storage_as_two_types():
    one, other = tensor()[2:-1], tensor(kind=b"IntStorage")[2:-1]
    refuse(as_zip(b"\x80\x02(" + one + other + b"t.", DATA), "two different types")


def test_many_storages_of_the_same_bytes():
    """A thousand entries that all point to one piece of the file: the sum is more than the file has."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        program = b"\x80\x02(" + b"".join(tensor(key=str(i), numel=2**16)[2:-1] for i in range(1000)) + b"t."
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/data/0", b"\0" * 2**18)
        first = archive.getinfo("archive/data/0")
        for i in range(1, 1000):
            info = zipfile.ZipInfo(f"archive/data/{i}")
            info.header_offset, info.CRC, info.file_size, info.compress_size = (
                first.header_offset,
                first.CRC,
                2**18,
                2**18,
            )
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info
    refuse(file.getvalue(), "more bytes of storages than the file")


def test_a_pickle_without_end():
    refuse(as_zip(b"\x80\x02" + b"N0" * 600_000 + b"N."), "more than 1000000 opcodes")


def test_deep_nesting_is_no_recursion():
    loaded = mc.load(io.BytesIO(as_zip(b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".")))
    depth = 0
    while loaded:
        (loaded,), depth = loaded, depth + 1
    assert depth == 49_999
    refuse(as_zip(b"\x80\x02" + b")" + b"\x85" * 50_000 + b"Q."))  # an identity of tuples in tuples
    refuse(as_zip(b"\x80\x02}" + b")" + b"\x85" * 50_000 + b"K\x01s."))  # a key of them


# ---- the zip archive


def honest() -> bytes:
    file = io.BytesIO()
    torch.save({"w": torch.arange(4.0), "b": torch.ones(3, dtype=torch.int64)}, file)
    return file.getvalue()


def test_compressed_entries():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", tensor())
        archive.writestr("archive/data/0", b"\0" * 2**24)
    refuse(file.getvalue(), "compressed")


def test_names_twice():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", tensor())
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("archive/data.pkl", reduce_of("os\nsystem"))
    refuse(file.getvalue(), "is there twice")


def test_two_roots_and_none():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", tensor())
        archive.writestr("b/data.pkl", tensor())
    refuse(file.getvalue(), "2 entries NAME/data.pkl")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme", "hello")
    refuse(file.getvalue(), "0 entries")


def test_torchscript():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("m/data.pkl", tensor())
        archive.writestr("m/constants.pkl", b"\x80\x02).")
        archive.writestr("m/code/__torch__.py", b"import os")
    refuse(file.getvalue(), "TorchScript program, which is code")


def test_a_strange_byte_order():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", tensor())
        archive.writestr("archive/data/0", DATA["0"])
        archive.writestr("archive/byteorder", b"middle")
    refuse(file.getvalue(), "byteorder")


def test_big_endian_files_are_read():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", tensor())
        archive.writestr("archive/data/0", np.arange(4, dtype=">f4").tobytes())
        archive.writestr("archive/byteorder", b"big")
    assert mc.load(file).tolist() == [0, 1, 2, 3]


def test_a_wrong_check_sum_names_the_option():
    data = bytearray(as_zip(tensor(), DATA))
    at = data.index(DATA["0"])
    data[at + 5] ^= 1
    refuse(bytes(data), "check_crc=False")
    assert mc.load(io.BytesIO(bytes(data)), check_crc=False).shape == (4,)


def central(data: bytes, name: bytes) -> int:
    """Where the table of contents speaks of ``name``."""
    return data.rindex(b"PK\x01\x02", 0, data.rindex(name))


@pytest.mark.parametrize(
    ("at", "value"), [(42, 2**31), (42, 7), (20, 2**30), (24, 2**30), (10, 8), (8, 1)], ids=lambda v: str(v)
)
def test_a_lying_table_of_contents(at, value):
    """Offset of the header, sizes, compression, flags."""
    data = bytearray(as_zip(tensor(), DATA))
    place = central(bytes(data), b"archive/data/0") + at
    form = "<H" if at < 16 else "<I"
    struct.pack_into(form, data, place, value)
    refuse(bytes(data))


# ---- safetensors


def safetensors_file(header: Any, data: bytes = b"\0" * 16, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: str = "F32", shape: Any = (4,), offsets: Any = (0, 16)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    "data",
    [
        safetensors_file({"w": entry(offsets=(0, 20))}),
        safetensors_file({"w": entry(offsets=(4, 20))}, b"\0" * 20),
        safetensors_file({"w": entry(offsets=(16, 0))}),
        safetensors_file({"w": entry(offsets=(-16, 0))}),
        safetensors_file({"w": entry(shape=(5,))}),
        safetensors_file({"w": entry(shape=(2**62, 4))}),
        safetensors_file({"w": entry(shape=(-4,))}),
        safetensors_file({"w": entry(shape=(2**63, 0), offsets=(0, 0))}, b""),
        safetensors_file({"w": entry(shape=(1,) * 70 + (4,))}),
        safetensors_file({"w": entry(shape="x")}),
        safetensors_file({"w": entry(dtype="F31")}),
        safetensors_file({"w": entry(dtype="C64", shape=(2,))}),
        safetensors_file({"w": entry(), "v": entry()}),
        safetensors_file({"w": entry()}, b"\0" * 17),
        safetensors_file({"w": entry()}, b"\0" * 15),
        safetensors_file({"w": entry()}, length=2**63),
        safetensors_file({"w": entry()}, length=10**8 + 1),
        safetensors_file({"w": entry()}, length=10**7),
        safetensors_file(b'{"w":' + json.dumps(entry()).encode() + b',"w":' + json.dumps(entry()).encode() + b"}"),
        safetensors_file([1, 2]),
        safetensors_file({"w": 1}),
        safetensors_file(b"{" * 100_000),
        safetensors_file(b'{"a":' * 100_000),
        safetensors_file({"__metadata__": 1, "w": entry()}),
        safetensors_file({"__metadata__": {"a": 1}, "w": entry()}),
        struct.pack("<Q", 3),
    ],
    ids=range(26),
)
def test_lying_safetensors(tmp_path, data):
    refuse(data)
    (tmp_path / "x.safetensors").write_bytes(data)
    for mmap in (False, True):
        with pytest.raises(CheckpointError):
            mc.load(tmp_path / "x.safetensors", mmap=mmap)


# ---- cut short, and mutated


def samples() -> dict[str, bytes]:
    legacy = io.BytesIO()
    state = {"w": torch.arange(4.0), "b": {"c": torch.ones(3, dtype=torch.int64)[1:], "n": 3}}
    torch.save(state, legacy, _use_new_zipfile_serialization=False)
    small = safetensors_file({"w": entry()})
    return {"zip": honest(), "legacy": legacy.getvalue(), "safetensors": small}


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_every_truncation(form):
    data = samples()[form]
    for length in range(0, len(data) - 1, max(1, len(data) // 300)):
        refuse(data[:length])


def mutations(data: bytes, rng: random.Random) -> Iterator[bytes]:
    while True:
        out = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.randrange(len(out))
            kind = rng.randrange(5)
            if kind == 0:
                out[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                out[at] = rng.randrange(256)
            elif kind == 2:
                out[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 2**31, 2**32 - 1)))
            elif kind == 3:
                del out[at : at + rng.randrange(1, 9)]
            else:
                out[at:at] = rng.choice((b"(", b"R", b"cos\nsystem\n", b"a", b"s", b"Q", b"t", b"."))
        yield bytes(out)


def fuzz(form: str, times: int, seed: int) -> None:
    rng = random.Random(seed)
    for _, data in zip(range(times), mutations(samples()[form], rng), strict=False):
        try:
            loaded = mc.load(io.BytesIO(data), check_crc=rng.random() < 0.5)
        except CheckpointError:
            continue
        for value in (
            loaded.values() if isinstance(loaded, dict) else ()
        ):  # what was read can be read to the last element
            if isinstance(value, mc.Tensor):
                value.detach().numpy().copy()


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_mutated_files(form):
    fuzz(form, 400, 0)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_many_mutated_files(form):
    for seed in range(1, 6):
        fuzz(form, 1500, seed)


def test_an_old_tar_file():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("sys_info")
        info.size = 2
        archive.addfile(info, io.BytesIO(b"la"))
    refuse(file.getvalue(), "before 0.1.10")


def test_legacy_keys():
    for keys in ([], ["0", "0"], ["0", "1"], [0], "0", None):
        refuse(as_legacy(tensor(), DATA, pickle.dumps(keys, 2)))


def test_check_sums_are_those_of_zlib():
    assert zlib.crc32(b"123456789") == 0xCBF43926  # the known answer of CRC-32, which zip archives use
    assert sys.byteorder in ("little", "big")
