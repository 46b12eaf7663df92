"""Kernels that write LLVM IR, which no bounds check sees: no byte outside their operands is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minicnn_kernels.cpu import gemm
from minicnn_kernels.cpu.microkernel import tile_columns
from tests.helpers.untouched import assert_untouched
from tests.helpers.vector_widths import WIDTHS

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages with mprotect")
@pytest.mark.parametrize("simd", WIDTHS)
@pytest.mark.parametrize("script", ["guarded_products", pytest.param("guarded_kernels", marks=pytest.mark.slow)])
def test_nothing_outside_the_operands_is_touched(script, simd):
    assert_untouched(script, MINICNN_SIMD=simd)


def test_the_fence_bites():
    """The test of the test: one element beyond the end must kill the process."""
    code = "import numpy as np; from tests.helpers.guarded_products import fenced; a = fenced(np.zeros(5), True); "
    for end, status in (("a.ctypes.data + 32", 0), ("a.ctypes.data + 40", -11)):
        run = subprocess.run(
            [sys.executable, "-c", f"{code}import ctypes; ctypes.c_double.from_address({end}).value"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            capture_output=True,
            check=False,
        )
        assert run.returncode == status


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [3, 20, 48])
@pytest.mark.parametrize("vectors", [0, 1])
def test_packing(dtype, k, vectors):
    """Panels as wide as a tile, the last one filled up with zeros."""
    columns = tile_columns(np.dtype(dtype))
    rest = vectors * columns // 2 + 3
    n = columns + rest
    b = np.arange(k * n, dtype=dtype).reshape(k, n)
    expected = np.zeros((2, k, columns), dtype)
    expected[0], expected[1, :, :rest] = b[:, :columns], b[:, columns:]
    for pack, memory, stride in ((gemm.pack_rows, b, n), (gemm.pack_columns, b.T.copy(), k)):
        packed = np.full(expected.size, np.nan, dtype)
        pack(0, 2, memory.reshape(-1), 0, stride, k, n, columns, packed)
        np.testing.assert_array_equal(packed.reshape(expected.shape), expected)
