"""What is made ready once and run many times (``minicnn_kernels/launch.py``): small cases of every kind, and what comes out.

The oracle is the reference back end in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn_kernels import reference
from minicnn_kernels.launch import run

ACTIVATIONS = {"": (), "relu": (), "hardtanh": (0.0, 6.0), "hardswish": (), "silu": (), "gelu": (), "hardsigmoid": (),
               "sigmoid": ()}  # fmt: skip


def channels_last(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


class Case:
    """A function's name, its arguments in float64 up to ``out``, and the result's shape. Images are channels-last."""

    def __init__(self, name: str, shape: tuple[int, ...], *arguments: Any, axes: tuple[int, ...] | None = None):
        self.name, self.shape, self.wide = name, shape, arguments
        self.axes = axes or ((0, 2, 3, 1) if len(shape) == 4 else (*range(len(shape)),))

    def arguments(self, dtype: Any) -> list[Any]:
        """Fresh copies, of this type, in the same memory order."""
        return [a.astype(dtype, order="K", copy=True) if isinstance(a, np.ndarray) else a for a in self.wide]

    def empty_out(self, dtype: Any) -> np.ndarray:
        memory = np.full([self.shape[axis] for axis in self.axes], np.nan, dtype)
        return memory.transpose(np.argsort(self.axes))

    def kept(self) -> tuple:
        return () if self.name in ("attention_launches", "layer_norm_launches") else ({},)

    def expected(self) -> np.ndarray:
        out = self.empty_out(np.float64)
        run(getattr(reference, self.name)(*self.arguments(np.float64), out, *self.kept()))
        return out


def compare(case: Case, out: np.ndarray) -> None:
    """Numbers are of size 1, sums have a few hundred terms, and exp is good to some units in the last place."""
    dtype = out.dtype
    tolerance = 200 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(
        out, case.expected(), rtol=tolerance, atol=tolerance, err_msg=f"{case.name} {case.shape}"
    )


def conv(
    rng: np.random.Generator, x_shape: tuple[int, ...], weight_shape: tuple[int, ...], *, stride: Any = (1, 1),
    padding: Any = (0, 0), dilation: Any = (1, 1), groups: int = 1, activation: str = "", bias: bool = True,
    other: bool = False, gate: bool = False,
) -> Case:  # fmt: skip
    x = channels_last(rng.standard_normal(x_shape))
    weight = rng.standard_normal(weight_shape) / np.prod(weight_shape[1:]) ** 0.5
    sizes = zip(x_shape[2:], weight_shape[2:], stride, padding, dilation, strict=True)
    shape = (x_shape[0], weight_shape[0], *((s + 2 * p - d * (k - 1) - 1) // t + 1 for s, k, t, p, d in sizes))
    arrays = (
        rng.standard_normal(weight_shape[0]) if bias else None,
        channels_last(rng.standard_normal(shape)) if other else None,
        rng.random((*x_shape[:2], 1, 1)) if gate else None,
    )
    ending = "auto", activation, ACTIVATIONS[activation]
    return Case("conv_launches", shape, x, weight, *arrays, stride, padding, dilation, groups, *ending)


def linear(rng: np.random.Generator, m: int, n: int, k: int, activation: str = "", full: bool = True) -> Case:
    x, weight = rng.standard_normal((m, k)), rng.standard_normal((n, k)) / k**0.5
    bias, other = (rng.standard_normal(n), rng.standard_normal((m, n))) if full else (None, None)
    return Case("linear_launches", (m, n), x, weight, bias, other, activation, ACTIVATIONS[activation])


def gate(rng: np.random.Generator, shape: tuple[int, ...], squeezed: int) -> Case:
    c = shape[1]
    x, w1 = channels_last(rng.standard_normal(shape)), rng.standard_normal((squeezed, c, 1, 1)) / c**0.5
    w2 = rng.standard_normal((c, squeezed, 1, 1)) / squeezed**0.5
    biases = rng.standard_normal(squeezed), rng.standard_normal(c)
    return Case("gate_launches", (shape[0], c, 1, 1), x, w1, biases[0], w2, biases[1], "silu", "sigmoid")


def attention(
    rng: np.random.Generator, batch: int, heads: int, queries: int, keys: int, width: int, joint: bool
) -> Case:
    """``joint``: queries, keys and values are parts of one array, as a projection leaves them."""
    if joint:
        whole = rng.standard_normal((batch, keys, 3, heads, width))
        q, k, v = (whole[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
    else:
        q, k, v = (rng.standard_normal((batch, heads, rows, width)) for rows in (queries, keys, keys))
    shape = batch, heads, keys if joint else queries, width
    return Case("attention_launches", shape, q, k, v, None, width**-0.5, False, axes=(0, 2, 1, 3))


def layer_norm(rng: np.random.Generator, rows: int, features: int, centred: bool) -> Case:
    x = rng.standard_normal((rows, features)) + 3
    weights = (rng.standard_normal(features), rng.standard_normal(features)) if centred else (None, None)
    return Case("layer_norm_launches", (rows, features), x, *weights, 1e-6, centred)


def all_cases(rng: np.random.Generator, dtype: Any) -> Iterator[Case]:
    """A few of each kind; on both sides of the vectors' and tiles' sizes."""
    for number, activation in enumerate(ACTIVATIONS):
        yield conv(rng, (2, 20, 5, 4), (35 + number, 20, 1, 1), activation=activation, other=number % 2 == 0)
    yield conv(rng, (2, 33, 9, 7), (16, 33, 1, 1), gate=True, bias=False)
    yield conv(rng, (2, 3, 9, 11), (18, 3, 3, 3), stride=(2, 2), padding=(1, 1), activation="silu", other=True)
    yield conv(rng, (2, 3, 9, 11), (18, 3, 3, 3), stride=(2, 2), padding=(1, 1), activation="silu")
    yield conv(rng, (1, 1, 5, 31), (16, 1, 2, 5), padding=(0, 2), bias=False)
    yield conv(rng, (2, 4, 8, 33), (40, 4, 3, 2), stride=(1, 3), padding=(3, 1), dilation=(2, 3), activation="relu")
    yield conv(rng, (1, 4, 6, 7), (10, 2, 3, 2), groups=2, activation="relu", bias=False)
    for c, h, w, k, s in ((17, 7, 7, 5, 1), (16, 15, 9, 3, 2), (40, 1, 30, 3, 1), (72, 8, 8, 5, 2), (140, 3, 3, 3, 3)):
        window = {"stride": (s, s), "padding": (k // 2, k // 2), "groups": c}
        yield conv(rng, (2, c, h, w), (c, 1, k, k), activation="hardswish", **window)
    window = {"stride": (1, 3), "padding": (0, 4), "dilation": (2, 2), "groups": 24}
    yield conv(rng, (1, 24, 7, 20), (24, 1, 3, 2), bias=False, **window)
    for m, n, k in ((1, 19, 40), (2, 7, 3), (3, 50, 17), (40, 300, 70)):
        yield linear(rng, m, n, k, "gelu")
    yield linear(rng, 1, 5, 1, full=False)
    for m, k in ((115, 70), (122, 64)):  # tall: a low tile at the end, and one that is not full
        yield linear(rng, m, 256, k, "gelu")
    yield gate(rng, (2, 17, 5, 6), 4)
    yield gate(rng, (1, 48, 1, 1), 9)
    yield attention(rng, 2, 3, 21, 21, 8, joint=True)
    yield attention(rng, 1, 2, 60, 19, 5, joint=False)
    for features in (3, 16, 41):
        yield layer_norm(rng, 5, features, centred=features != 16)
