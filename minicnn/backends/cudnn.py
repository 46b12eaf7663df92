"""NVIDIA's library of layers, which is not used: its switches can be set and are not read."""

from __future__ import annotations

enabled = benchmark = deterministic = allow_tf32 = False
benchmark_limit = 10


def is_available() -> bool:
    """Whether the library can be used: False."""
    return False


def version() -> int | None:
    """Its version: None."""
    return None
