"""A file's bytes, and their check sums."""

import zlib

import numpy as np
import pytest

import minicnn as mc
from minicnn.weights import CheckpointError
from minicnn.weights.bytes_of import CHUNK, FileBytes
from tests.helpers.kernel_cases import num_threads


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "bytes"
    path.write_bytes(np.random.default_rng(0).integers(0, 256, 2 * CHUNK + 100, np.uint8).tobytes())
    return path


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("length", [0, 1, CHUNK, CHUNK + 1, 2 * CHUNK + 93])
def test_pieces_and_their_check_sums(file, length, threads, mapped):
    expected = file.read_bytes()[7 : 7 + length]
    with num_threads(threads), FileBytes(file, mapped) as source:
        piece, crc = source.piece_and_crc(7, length)
        assert piece.tobytes() == source.piece(7, length).tobytes() == expected
        assert crc == zlib.crc32(expected)
        piece[:] = 0  # of this process alone
    assert file.read_bytes()[7 : 7 + length] == expected


@pytest.mark.parametrize("threads", [1, 2])
def test_a_file_cut_short_meanwhile(file, threads):
    with num_threads(threads), FileBytes(file) as source:
        file.write_bytes(bytes(CHUNK + 5))
        with pytest.raises(OSError, match="while it was read"):
            source.piece_and_crc(0, 2 * CHUNK)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("where", [3, CHUNK + 3, 2 * CHUNK - 1])
def test_one_wrong_bit_in_a_large_storage(tmp_path, monkeypatch, where, threads):
    path = tmp_path / "large.pt"
    mc.save({"w": mc.zeros(2 * CHUNK // 4)}, path)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(bytes(CHUNK)) + where] = 1
    path.write_bytes(damaged)
    with num_threads(threads):
        with pytest.raises(CheckpointError, match="another check sum"):
            mc.load(path)
        assert mc.load(path, check_crc=False)["w"].numpy().any()
