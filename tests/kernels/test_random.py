"""Philox4x32-10 against the answers published with Random123 (kat_vectors), and compiled against reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from minicnn_kernels.reference.random import philox_blocks
from tests.helpers.kernel_cases import num_threads

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_published_answers(counter, key, expected):
    words = tuple(np.array([int(word, 16)], np.uint64) for word in counter.split())
    k0, k1 = (int(word, 16) for word in key.split())
    block = philox_blocks(words, (k0, k1))
    assert " ".join(f"{int(word[0]):08x}" for word in block) == expected


@BOTH
def test_published_answer_through_the_kernel(backend):
    words = backend.philox_words(0, 0, 4)
    assert words.dtype == np.uint32
    assert [f"{word:08x}" for word in words] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]


@BOTH
def test_offset_counts_blocks(backend):
    words = backend.philox_words(17, 5, 40)
    np.testing.assert_array_equal(backend.philox_words(17, 8, 10), words[12:22])
    assert not np.array_equal(backend.philox_words(18, 5, 40), words)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 70), st.integers(1, 3))
def test_cpu_equals_reference(seed, offset, n, threads):
    with num_threads(threads):
        np.testing.assert_array_equal(cpu.philox_words(seed, offset, n), reference.philox_words(seed, offset, n))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_large_for_any_number_of_threads(threads):
    with num_threads(threads):
        np.testing.assert_array_equal(
            cpu.philox_words(3, 2**64 - 9, 100_003), reference.philox_words(3, 2**64 - 9, 100_003)
        )
