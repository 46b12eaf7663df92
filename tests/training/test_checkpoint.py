"""Checkpoint files: what goes in comes out, exactly, and nothing damaged is believed."""

import json
import math
import re

import numpy as np
import pytest
import safetensors.numpy

import minicnn as mc
from minicnn.training import load_checkpoint, save_checkpoint
from minicnn.weights import CheckpointError, save_arrays

STATE = {
    "epoch": 3,
    "big": 2**63 + 1,
    "float": 0.1 + 0.2,
    "tiny": 5e-324,
    "inf": -math.inf,
    "none": None,
    "flags": [True, False],
    "text": "Ünïcode $tensor",
    "betas": (0.9, (0.999, [])),
    "optimizer": {"state": {0: {"step": 7, "m": np.arange(6.0).reshape(2, 3).T}, 1: {}}},
    "$dict": {"$tensor": "not a marker"},
}


def same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def test_round_trip_is_exact(tmp_path):
    save_checkpoint(tmp_path / "c", STATE)
    assert same(load_checkpoint(tmp_path / "c"), STATE)


def test_tensors_come_back_as_tensors_of_their_own(tmp_path):
    tensor = mc.tensor(np.random.default_rng(0).normal(size=(3, 2)))
    save_checkpoint(tmp_path / "c", {"w": tensor, "again": [tensor]})
    state = load_checkpoint(tmp_path / "c")
    np.testing.assert_array_equal(state["w"].numpy(), tensor.numpy())
    assert state["w"].dtype == mc.float64
    state["w"].zero_()
    np.testing.assert_array_equal(state["again"][0].numpy(), tensor.numpy())


def test_equal_states_give_equal_files(tmp_path):
    for name in "ab":
        save_checkpoint(tmp_path / name, STATE)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_other_tools_can_read_the_tensors(tmp_path):
    save_checkpoint(tmp_path / "c", STATE)
    assert list(safetensors.numpy.load_file(tmp_path / "c")) == ["optimizer/state/0/m"]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": {"b": [1, {2}]}}, r"state\['a/b/1'\]: .* not set"),
        ({"a": {1.5: 0}}, r"state\['a'\]: keys must be text or integers, got 1.5"),
        ({"a": np.int64(3)}, r"state\['a'\]: .* not int64"),
    ],
)
def test_what_cannot_be_saved_is_named_by_its_place(tmp_path, state, message):
    with pytest.raises(TypeError, match=message):
        save_checkpoint(tmp_path / "c", state)
    assert list(tmp_path.iterdir()) == []


def test_every_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "c"
    save_checkpoint(path, {"step": 12345, "w": np.arange(8.0), "lr": 0.125})
    whole = path.read_bytes()
    assert not whole[: int.from_bytes(whole[:8], "little")].endswith(b" ")  # padding: the one place that means nothing
    rng = np.random.default_rng(0)
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=re.escape(str(path))):
            load_checkpoint(path)


def test_every_cut_is_noticed(tmp_path):
    path = tmp_path / "c"
    save_checkpoint(path, {"w": np.arange(8.0)})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


def test_a_file_of_weights_is_no_checkpoint(tmp_path):
    save_arrays({"w": np.zeros(2)}, tmp_path / "w", {"model": "mlp"})
    with pytest.raises(CheckpointError, match="is not a training checkpoint of this version"):
        load_checkpoint(tmp_path / "w")


def test_a_checkpoint_with_nonsense_inside_but_a_right_checksum(tmp_path):
    import zlib

    for text in ("[1]", "{", '{"a":{"$tensor":"gone"}}', '{"a":{"$dict":3}}', "[" * 100_000):
        metadata = {"format": "minicnn checkpoint 1", "state": text, "crc32": str(zlib.crc32(text.encode()))}
        save_arrays({}, tmp_path / "c", metadata)
        with pytest.raises(CheckpointError, match="state: "):
            load_checkpoint(tmp_path / "c")


def test_metadata_is_json(tmp_path):
    from minicnn.weights import read_metadata

    save_checkpoint(tmp_path / "c", {"epoch": 1})
    assert json.loads(read_metadata(tmp_path / "c")["state"]) == {"epoch": 1}


def test_a_changed_shape_or_type_is_noticed(tmp_path):
    path = tmp_path / "c"
    save_checkpoint(path, {"w": np.arange(6, dtype=np.float32).reshape(2, 3)})
    whole = path.read_bytes()
    for old, new in ((b'"shape":[2,3]', b'"shape":[3,2]'), (b'"dtype":"F32"', b'"dtype":"I32"')):
        assert old in whole
        path.write_bytes(whole.replace(old, new))
        with pytest.raises(CheckpointError, match="do not match their checksum"):
            load_checkpoint(path)
