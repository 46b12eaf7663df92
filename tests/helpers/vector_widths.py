"""The vector widths that tests in processes of their own force. Each compiles every kernel anew: most are marked slow."""

import pytest

# "" is what the processor has; avx512 and generic also run where the processor is another (LLVM splits or joins vectors).
WIDTHS = ["", *(pytest.param(width, marks=pytest.mark.slow) for width in ("avx2", "avx512", "generic"))]
