"""Apple's GPUs, which are not used."""

from __future__ import annotations


def is_available() -> bool:
    """Whether tensors can be put on one: False."""
    return False


def is_built() -> bool:
    """Whether this version can use one: False."""
    return False
