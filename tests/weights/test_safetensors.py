"""Files of weights against the safetensors library and PyTorch, and against files that lie."""

import json

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

import minicnn as mc
from minicnn.weights import (
    CheckpointError,
    load_arrays,
    load_state_dict_file,
    read_metadata,
    save_arrays,
    save_state_dict,
)

DTYPES = ["float64", "float32", "int64", "int32", "int16", "int8", "uint8", "bool"]


@pytest.fixture
def arrays(rng=None):
    rng = np.random.default_rng(0)
    made = {f"{dtype}.{i}": (rng.normal(size=(i + 1, 3)) * 9).astype(dtype) for dtype in DTYPES for i in range(2)}
    made["scalar"] = np.array(-7, dtype=np.int64)
    made["empty"] = np.zeros((0, 4), dtype=np.float32)
    made["transposed"] = rng.normal(size=(4, 5)).astype(np.float32).T
    made["channels last"] = rng.normal(size=(2, 4, 5, 3)).astype(np.float32).transpose(0, 3, 1, 2)
    return made


def test_bytes_are_those_of_the_library(arrays, tmp_path):
    save_arrays(arrays, tmp_path / "a", {"one key": "so that the library's random order of keys does not show"})
    contiguous = {name: np.array(array, order="C") for name, array in arrays.items()}
    expected = safetensors.numpy.save(
        contiguous, {"one key": "so that the library's random order of keys does not show"}
    )
    assert (tmp_path / "a").read_bytes() == expected


def test_pytorch_and_we_read_what_we_write(arrays, tmp_path):
    path = tmp_path / "a.safetensors"
    save_state_dict({name: mc.tensor(array) for name, array in arrays.items()}, path)
    ours, theirs = load_state_dict_file(path), safetensors.torch.load_file(path)
    assert set(ours) == set(theirs) == set(arrays)
    for name, array in arrays.items():
        assert ours[name].numpy().dtype == array.dtype
        np.testing.assert_array_equal(ours[name].numpy(), array)
        np.testing.assert_array_equal(theirs[name].numpy(), array)


def test_we_read_what_pytorch_writes(tmp_path):
    path = tmp_path / "torch.safetensors"
    written = {
        "w": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
        "half": torch.tensor([1.5, -0.0, float("inf"), 6e-8]).half(),
        "brain": torch.tensor([[1.0, -2.5, 3.4e38], [float("nan"), 1e-40, 0.1]]).bfloat16(),
        "count": torch.tensor(5),
    }
    safetensors.torch.save_file(written, path, {"format": "pt"})
    read = load_state_dict_file(path)
    assert read_metadata(path) == {"format": "pt"}
    for name, tensor in written.items():
        expected = tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy()
        np.testing.assert_array_equal(read[name].numpy(), expected)
        assert read[name].numpy().dtype == expected.dtype
    read["w"].zero_()  # fresh memory, not a read-only view of the file


def test_equal_weights_give_equal_files(tmp_path):
    metadata = {str(i): "x" for i in range(20)}
    w = {"b": np.ones(3), "a": np.zeros(2)}
    save_arrays(w, tmp_path / "1", metadata)
    save_arrays(dict(reversed(w.items())), tmp_path / "2", dict(reversed(metadata.items())))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert read_metadata(tmp_path / "1") == metadata


def _file(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


MALFORMED = {
    "empty": (b"", "0 bytes"),
    "length cut": (b"\x01\x00\x00", "3 bytes"),
    "absurd header": ((1 << 60).to_bytes(8, "little") + b"{}", "no safetensors file"),
    "header cut": (_file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})[:-5], "header: is cut short"),
    "not json": (_file(b"{nonsense}"), "is not JSON"),
    "a list": (_file([1]), "a JSON list"),
    "a pickle": (b"\x80\x02}q\x00.........", "no safetensors file"),
    "deep nesting": (_file(b'{"a":' * 50_000 + b"1" + b"}" * 50_000), "header"),
    "data cut": (_file({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"), "header"),
    "data left over": (_file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"12345678"), "header"),
    "lying shape": (_file({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 4]}}, b"1234"), "header"),
    "overflowing shape": (
        _file({"a": {"dtype": "F32", "shape": [1 << 62, 4], "data_offsets": [0, 4]}}, b"1234"),
        "header",
    ),
    "unknown type": (_file({"a": {"dtype": "F31", "shape": [1], "data_offsets": [0, 4]}}, b"1234"), "header"),
    "type we lack": (_file({"a": {"dtype": "U32", "shape": [1], "data_offsets": [0, 4]}}, b"1234"), "tensor 'a'"),
    "no offsets": (_file({"a": {"dtype": "F32", "shape": [1]}}, b"1234"), "header"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_files_raise_one_error_that_names_file_and_reason(case, tmp_path):
    data, message = MALFORMED[case]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_arrays(path)
    assert str(path) in str(caught.value)
    assert caught.value.path == str(path)


def test_every_cut_of_a_good_file_is_noticed(tmp_path):
    path = tmp_path / "cut.safetensors"
    save_arrays({"a": np.arange(3.0), "b": np.arange(2)}, path, {"k": "v"})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load_arrays(path)


def test_missing_file_is_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_state_dict_file(tmp_path / "none")


def test_what_cannot_be_saved_is_named_before_anything_is_written(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(TypeError, match=r"state_dict\['w'\]: expected a tensor, got list"):
        save_state_dict({"w": [1.0]}, path)
    with pytest.raises(TypeError, match=r"'z': .* not complex128"):
        save_arrays({"z": np.zeros(1, complex)}, path)
    with pytest.raises(TypeError, match=r"metadata\['epoch'\]: expected text, got int"):
        save_arrays({}, path, {"epoch": 3})
    assert list(tmp_path.iterdir()) == []
