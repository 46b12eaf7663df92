"""The vector widths that tests in processes of their own force. Each compiles every kernel anew: most are marked slow."""

import pytest

# "" is what the processor has; avx512 and generic also run where the processor is another (LLVM splits or joins vectors).
WIDTHS = ["", "avx2", pytest.param("avx512", marks=pytest.mark.slow), pytest.param("generic", marks=pytest.mark.slow)]
