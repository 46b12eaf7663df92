"""Batch norm in training mode, forward and backward (``cpu/norm.py``).

Bound by the memory: x is read for the statistics and again for the result, which is written; backward x and the gradient are
read for two sums and again for the gradient of x, which is written: eight passes at the rate of a copy.
"""

from __future__ import annotations

from collections.abc import Iterator

from .case import Case, Setting
from .modules import Layer, jax_layers, layer_cases

LAYERS = (Layer("batch norm", lambda nn, c: nn.BatchNorm2d(c), lambda c: jax_layers().normalised(c), passes=(5, 3)),)


def cases(setting: Setting) -> Iterator[Case]:
    return layer_cases(LAYERS, setting)
