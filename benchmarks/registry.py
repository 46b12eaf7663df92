"""The benches by name: whole models first, then one for each file of kernels."""

from __future__ import annotations

import importlib
from types import ModuleType

BENCHES = (
    "train_step",
    "models",
    "resnet_block",
    "memory",
    "start_up",
    "weights",
    "loading",
    "conv",
    "matmul",
    "fused",
    "norm",
    "pooling",
    "activation",
    "dropout",
    "random",
    "optim",
    "im2col",
)


def load(name: str) -> ModuleType:
    """The module of a bench. It has ``cases(setting)``, and ``PROCESSES`` where each peer is a process of its own."""
    return importlib.import_module(f"{__package__}.bench_{name}")


def headline(name: str) -> str:
    """What a bench measures, in a line."""
    return (load(name).__doc__ or "").partition("\n")[0]
