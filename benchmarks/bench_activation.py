"""ReLU, forward and backward (``cpu/activation.py``).

Bound by the memory: x read, the result written; backward the gradient and the result read, the gradient of x written.
"""

from __future__ import annotations

from collections.abc import Iterator

from .case import Case, Setting
from .modules import Layer, jax_layers, layer_cases

LAYERS = (Layer("ReLU", lambda nn, c: nn.ReLU(), lambda c: jax_layers().plain(jax_layers().relu), passes=(2, 3)),)


def cases(setting: Setting) -> Iterator[Case]:
    return layer_cases(LAYERS, setting)
