"""``mc.cuda``: the questions that device-agnostic code asks. There is no GPU back end in this version."""

from __future__ import annotations


def is_available() -> bool:
    """Whether tensors can be put on an NVIDIA GPU: False in this version.

    >>> import minicnn as mc
    >>> "cuda" if mc.cuda.is_available() else "cpu"
    'cpu'
    """
    return False


def device_count() -> int:
    """How many GPUs can be used: 0 in this version."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed a GPU's generator: there is none, and programs that seed everything go on."""


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all GPUs: there are none."""


def empty_cache() -> None:
    """Give unused memory of the GPU back: there is none."""
