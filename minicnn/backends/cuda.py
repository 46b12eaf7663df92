"""How NVIDIA's GPUs multiply, which are not used: the switches can be set and are not read."""

from __future__ import annotations

from types import SimpleNamespace

matmul = SimpleNamespace(allow_tf32=False)


def is_built() -> bool:
    """Whether this version can use such a GPU: False."""
    return False
