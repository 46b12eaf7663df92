"""Random bits: the words of Philox4x32-10 (``cpu/random.py``), against each library's own generator.

NumPy's Philox is 4x64-10, PyTorch's generator on a CPU the Mersenne twister, JAX's Threefry-2x32. The floor is the bytes
written; what really limits is arithmetic: ten rounds of two wide multiplications for four words.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .case import JAX, MINICNN, TORCH, Call, Case, Maker, Setting


def cases(setting: Setting) -> Iterator[Case]:
    for n in (1 << 10,) if setting.quick else (1 << 16, 1 << 22):

        def minicnn(n: int = n) -> Call:
            from minicnn_kernels import cpu

            return lambda: cpu.philox_words(0, 0, n)

        def numpy(n: int = n) -> Call:
            generator = np.random.Philox(0)
            return lambda: generator.random_raw(n // 2)  # 64 bits each

        def torch(n: int = n) -> Call:
            import torch

            words = torch.empty(n, dtype=torch.int32)
            return words.random_

        def jax(n: int = n) -> Call:
            import jax

            bits = jax.jit(lambda key: jax.random.bits(key, (n,)))
            key = jax.random.key(0)
            return lambda: jax.block_until_ready(bits(key))

        peers: dict[str, Maker] = {MINICNN: minicnn, "numpy": numpy, TORCH: torch, JAX: jax}
        yield Case(f"{n:,} words of 32 bits", peers, bytes=4 * n)
