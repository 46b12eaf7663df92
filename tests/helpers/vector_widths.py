"""The vector widths that tests in processes of their own force. Each compiles every kernel anew: they are marked slow."""

import pytest

from minicnn_kernels.cpu.simd import SIMD

# "" is what the processor has; avx512 and generic also run where the processor is another (LLVM splits or joins vectors).
OTHERS = [width for width in ("avx2", "avx512", "generic") if width != SIMD.name]
WIDTHS = ["", *(pytest.param(width, marks=pytest.mark.slow) for width in OTHERS)]
