"""Dropout, forward and backward (``cpu/dropout.py``).

Two passes each way if nothing but the memory counted; but a random number an element, drawn twice where the mask is not
stored, takes longer than moving the element (``bench_random.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

from .case import Case, Setting
from .modules import Layer, jax_layers, layer_cases

LAYERS = (Layer("dropout", lambda nn, c: nn.Dropout(0.5), lambda c: jax_layers().dropped(lambda x: x), passes=(2, 2)),)


def cases(setting: Setting) -> Iterator[Case]:
    return layer_cases(LAYERS, setting)
