"""Weights that a formula makes, so that logits of large networks can be compared without a file of weights.

For each entry of a state dict, in order: a generator of its own, ``PCG64(crc32(key))``, and from it one array in float64
in row-major order, uniform for ``running_var`` and normal for all others. By the first row that fits, with ``leaf`` the
last part of the key and ``owner`` the part before it:

====================================  ===============================================================================
``num_batches_tracked``               0, nothing drawn
``running_var``                       0.5 + u
``running_mean``                      0.1 z
``class_token``, ``pos_embedding``    0.02 z
``layer_scale``                       0.5 + 0.1 z
``bias``, ``in_proj_bias``            0.1 z, and 0.25 more where the owner is ``fc2``
``weight`` of one dimension           1 + 0.1 z, times 0.5 where the owner is ``bn2`` or ``bn3``
other weights                         z sqrt(2 / fan_in), fan_in without the first dimension; times 0.25 for ``fc2``
====================================  ===============================================================================

rounded to float32 at the end.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

REFERENCE = Path(__file__).resolve().parents[1] / "reference"


@cache
def reference(name: str) -> dict[str, Any]:
    """One of the files beside ``tests/reference/README.md``."""
    return json.loads(gzip.decompress((REFERENCE / f"{name}.json.gz").read_bytes()))


def formula_value(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The float32 value (int64 for counters) of one entry."""
    *rest, leaf = key.split(".")
    owner = rest[-1] if rest else ""
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
    if leaf == "running_var":
        return np.asarray(0.5 + generator.random(shape), np.float32)
    z = generator.standard_normal(shape)
    if leaf == "running_mean":
        value = 0.1 * z
    elif leaf in ("class_token", "pos_embedding"):
        value = 0.02 * z
    elif leaf == "layer_scale":
        value = 0.5 + 0.1 * z
    elif leaf in ("bias", "in_proj_bias"):
        value = 0.1 * z + (0.25 if owner == "fc2" else 0)
    elif len(shape) == 1:
        value = (1 + 0.1 * z) * (0.5 if owner in ("bn2", "bn3") else 1)
    else:
        value = z * math.sqrt(2 / math.prod(shape[1:])) * (0.25 if owner == "fc2" else 1)
    return np.asarray(value, np.float32)


def formula_weights(entries: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, np.ndarray]:
    """Values by key, in order."""
    return {key: formula_value(key, tuple(shape)) for key, shape in entries}


def digest(values: Iterable[np.ndarray]) -> str:
    """SHA-256 of the float32 values' bytes, counters left out."""
    found = hashlib.sha256()
    for value in values:
        if value.dtype.kind == "f":
            found.update(np.ascontiguousarray(value, "<f4").tobytes())
    return found.hexdigest()


def formula_input(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape).astype(np.float32)
