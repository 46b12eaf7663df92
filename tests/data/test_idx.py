"""The IDX reader: what it reads, and that whatever else comes raises one documented error in bounded memory."""

import gzip
import io
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.data import IDXFormatError, read_idx

CODES = {"u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def idx_bytes(array, code=None, shape=None):
    """An IDX file, written from the format's description and not by any code of the package."""
    shape = array.shape if shape is None else shape
    big_endian = array.dtype.newbyteorder(">")
    if code is None:
        code = CODES[big_endian.str if array.dtype.itemsize > 1 else array.dtype.str[1:]]
    header = bytes([0, 0, code, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    return header + array.astype(big_endian).tobytes()


def read(data, **options):
    return read_idx(io.BytesIO(data), **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4), (0, 3), (1, 1, 1, 2)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_every_type_and_shape(dtype, shape, pack):
    array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    result = read(pack(idx_bytes(array)))
    np.testing.assert_array_equal(result, array)
    assert result.dtype == np.dtype(dtype)
    assert result.dtype.isnative
    assert result.flags.writeable


def test_a_path_is_read_and_named(tmp_path):
    path = tmp_path / "some-idx1-ubyte"
    path.write_bytes(idx_bytes(np.arange(3, dtype=np.uint8)))
    np.testing.assert_array_equal(read_idx(path), [0, 1, 2])
    path.write_bytes(b"\0\0\x08\x01\0\0\0\x05ab")
    with pytest.raises(IDXFormatError, match=r"some-idx1-ubyte: truncated at byte 10: .* shape \(5,\), 5 bytes"):
        read_idx(path)
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing")


GOOD = idx_bytes(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b"", {}, "truncated at byte 0"),
        (GOOD[:3], {}, "truncated at byte 3"),
        (b"\x89PNG" + GOOD, {}, "wrong magic 89 50 at byte 0"),
        (b"\0\0\x07\x01" + GOOD[4:], {}, "unknown type code 0x07 at byte 2: expected one of 0x08"),
        (GOOD, {"dtype": np.float32}, r"type code 0x08 \(uint8\) at byte 2, expected float32"),
        (GOOD, {"ndim": 3}, "2 dimensions declared at byte 3, expected 3"),
        (b"\0\0\x08\0", {}, "0 dimensions declared at byte 3, expected 1 to 8"),
        (b"\0\0\x08\x09" + GOOD[4:], {}, "9 dimensions declared"),
        (GOOD[:9], {}, "truncated at byte 9: 2 dimensions take a header of 12 bytes"),
        (GOOD[:-1], {}, r"truncated at byte 17: the header declares shape \(2, 3\), 6 bytes"),
        (GOOD + b"x", {}, "trailing bytes from byte 18 on"),
        (GOOD, {"max_bytes": 5}, r"shape \(2, 3\) declared at byte 4 takes more than the 5 bytes allowed"),
        (b"\0\0\x08\x03" + b"\xff" * 12, {}, "takes more than the 1073741824 bytes allowed"),
        (b"\0\0\x08\x03" + b"\0\0\0\0" + b"\xff" * 8, {}, "takes more than"),
        (gzip.compress(GOOD)[:-5], {}, "damaged gzip stream"),
        (gzip.compress(GOOD)[:12], {}, "damaged gzip stream"),
        (gzip.compress(GOOD)[:-8] + b"\0" * 8, {}, r"damaged gzip stream \(CRC check failed"),
        (b"\x1f\x8bnonsense", {}, "damaged gzip stream"),
        (gzip.compress(GOOD[:-2]), {}, "truncated at byte 16"),
        (gzip.compress(GOOD) + b"x" * 20, {}, "damaged gzip stream"),
    ],
)
def test_each_fault_is_named_with_its_place(data, options, message):
    with pytest.raises(IDXFormatError, match=message) as caught:
        read(data, **options)
    assert str(caught.value).startswith("<stream>: ")


@given(
    data=st.data(),
    packed=st.booleans(),
    cut=st.integers(0, 40),
    extra=st.binary(max_size=3),
    edits=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4),
)
def test_mutated_bytes_raise_that_error_or_read_as_declared(data, packed, cut, extra, edits):
    shape = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=3))
    raw = idx_bytes(np.arange(math.prod(shape), dtype=np.uint8).reshape(shape))
    mutated = bytearray(gzip.compress(raw) if packed else raw)
    for position, value in edits:
        if position < len(mutated):
            mutated[position] = value
    mutated = bytes(mutated[: max(len(mutated) - cut, 0)] if cut % 2 else mutated) + extra
    try:
        result = read(mutated)
    except IDXFormatError:
        return
    plain = gzip.decompress(mutated) if mutated[:2] == b"\x1f\x8b" else mutated
    assert len(plain) == 4 + 4 * result.ndim + result.nbytes


def peak_memory(do):
    tracemalloc.start()
    try:
        with pytest.raises(IDXFormatError) as caught:
            do()
        return tracemalloc.get_traced_memory()[1], caught.value
    finally:
        tracemalloc.stop()


def test_a_lying_header_costs_no_memory():
    claims_a_gigabyte = b"\0\0\x08\x03" + (1 << 10).to_bytes(4, "big") * 3 + b"few"
    for data in (claims_a_gigabyte, gzip.compress(claims_a_gigabyte)):
        peak, error = peak_memory(lambda data=data: read(data))
        assert "truncated" in str(error)
        assert peak < 8 << 20


def test_a_gzip_bomb_is_left_when_it_exceeds_its_header():
    bomb = gzip.compress(b"\0\0\x08\x01\0\0\0\x02" + bytes(64 << 20), compresslevel=1)
    peak, error = peak_memory(lambda: read(bomb))
    assert "trailing bytes from byte 10 on" in str(error)
    assert peak < 8 << 20
