"""Resampling: sequences, images and volumes made larger or smaller.

Along each axis it is a product with a banded matrix, ``minicnn_kernels/resampling.py``, which explains the modes; the loops
are in ``reference/resample.py``, then ``cpu/resample.py``. At places of one's own choosing: ``grid_sampling.py``.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.resampling import axis_matrix

from ..autograd import Op, Tensor
from .adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .conv import kernels_for
from .promotion import require_floating

# mode -> the method along an axis, and for how many spatial axes it is
MODES: dict[str, tuple[str, tuple[int, ...]]] = {
    "nearest": ("nearest", (1, 2, 3)),
    "nearest-exact": ("nearest-exact", (1, 2, 3)),
    "linear": ("linear", (1,)),
    "bilinear": ("linear", (2,)),
    "trilinear": ("linear", (3,)),
    "bicubic": ("cubic", (2,)),
    "lanczos": ("lanczos", (2,)),
    "area": ("area", (1, 2, 3)),
}
ALIGNED = ("linear", "bilinear", "bicubic", "trilinear")
_AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


class Resample(Op):
    # y = W_h x W_w^T, with a matrix W for each axis;  dL/dx = W_h^T g W_w
    @staticmethod
    def forward(ctx, x, *, matrices):
        ctx.kernels, ctx.matrices = kernels_for(x), matrices
        return ctx.kernels.resample(x, [pair and pair[0] for pair in matrices])

    @staticmethod
    def backward(ctx, grad_out):
        return ctx.kernels.resample(grad_out, [pair and pair[1] for pair in ctx.matrices])


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Sequences, images or volumes in another size.

    Parameters
    ----------
    input : (n, c, length), (n, c, h, w) or (n, c, d, h, w) floating point; uint8 too but
        for the modes linear, trilinear and area
    size : of the result, one integer or one for each spatial axis; or
    scale_factor : how many times larger, one number or one for each axis; sizes are rounded down
    mode : where new elements come from

        ========================================  =======================================================================
        ``"nearest"``                             one old element; in old programs' way, which leans to the front
        ``"nearest-exact"``                       the nearest one, counted from the middles of the elements
        ``"linear" "bilinear" "trilinear"``       the two around it along each axis, by distance; for 1, 2 and 3 axes
        ``"bicubic"``                             four along each axis (Keys 1981, a = -3/4); images only
        ``"lanczos"``                             six along each axis; images only, with ``antialias=True``
        ``"area"``                                the mean of the elements that fall to it: adaptive average pooling
        ========================================  =======================================================================
    align_corners : for the linear and cubic modes: whether the outermost elements stay where they are, their middles on top
        of each other; otherwise, the default, the edges of the images are
    recompute_scale_factor : whether the step between new elements follows from the sizes, not from ``scale_factor``
    antialias : for ``"bilinear"``, ``"bicubic"`` and ``"lanczos"``: to smaller sizes let all old elements count, so that
        fine patterns do not turn into coarse ones

    Returns
    -------
    (n, c, *size), in the memory order of the input

    >>> import minicnn as mc
    >>> x = mc.tensor([[[1.0, 2.0, 4.0]]])
    >>> mc.nn.functional.interpolate(x, 6)
    tensor([[[1., 1., 2., 2., 4., 4.]]])
    >>> mc.nn.functional.interpolate(x, scale_factor=2, mode="linear")
    tensor([[[1.0000, 1.2500, 1.7500, 2.5000, 3.5000, 4.0000]]])
    >>> mc.nn.functional.interpolate(x, 5, mode="linear", align_corners=True)
    tensor([[[1.0000, 1.5000, 2.0000, 3.0000, 4.0000]]])

    Raises
    ------
    ValueError : neither or both of ``size`` and ``scale_factor``, a wrong number of them, sizes that are not positive; an
        unknown mode or one for another number of axes, options that a mode does not have; an input that is empty but for
        its batch.
    TypeError : an input of another type.
    """
    if not isinstance(input, Tensor) or input.ndim not in (3, 4, 5):
        raise ValueError(
            "input: interpolate takes (n, c, length), (n, c, h, w) or (n, c, d, h, w), got "
            + (f"shape {tuple(input.shape)}" if isinstance(input, Tensor) else type(input).__name__)
        )
    axes = input.ndim - 2
    _check_mode(mode, axes, align_corners, antialias)
    spatial = tuple(input.shape[2:])
    sizes, factors = _sizes(spatial, size, scale_factor, recompute_scale_factor)
    if min(sizes) < 1 or min(spatial) < 1 or (input.shape[1] < 1 and mode != "area"):
        raise ValueError(
            f"size: interpolate needs and makes at least one element along every axis, and a channel, got {sizes} for an "
            f"input of shape {tuple(input.shape)}"
        )
    if mode == "area":
        return _AREA[axes](input, sizes)
    if input._array.dtype != np.uint8 or mode in ("linear", "trilinear"):
        require_floating(input, "input", f"interpolate with mode {mode!r}")
    dtype = input._array.dtype if input.is_floating_point() else np.dtype(np.float64)
    options = MODES[mode][0], bool(align_corners), bool(antialias)
    if mode == "nearest":
        factors = _nearest_factors(spatial, sizes, factors)
    matrices = tuple(_matrix(*axis, *options, dtype) for axis in zip(spatial, sizes, factors, strict=True))
    return Resample.apply(input, matrices=matrices)


def _check_mode(mode: str, axes: int, align_corners: bool | None, antialias: bool) -> None:
    if mode not in MODES:
        raise ValueError(f"mode: expected one of {', '.join(map(repr, MODES))}, got {mode!r}")
    if antialias and (mode not in ("bilinear", "bicubic", "lanczos") or axes != 2):
        raise ValueError(f"antialias: only for images, with 'bilinear', 'bicubic' or 'lanczos', got {mode!r}")
    if align_corners is not None and mode not in ALIGNED and not (mode == "lanczos" and align_corners is False):
        raise ValueError(f"align_corners: only for the modes {', '.join(map(repr, ALIGNED))}, got {mode!r}")
    if mode == "lanczos" and not antialias:
        raise ValueError("mode: 'lanczos' is there with antialias=True only")
    if axes not in MODES[mode][1]:
        fitting = ", ".join(repr(name) for name, (_, allowed) in MODES.items() if axes in allowed)
        raise ValueError(f"mode: {mode!r} is not for inputs with {axes} spatial axes; there are {fitting}")


def _sizes(spatial: tuple[int, ...], size: Any, scale_factor: Any, recompute: bool | None) -> tuple[tuple, tuple]:
    """The new size along each axis, and the factor that the step between elements follows from, or None for the sizes."""
    axes = len(spatial)
    if (size is None) == (scale_factor is None):
        raise ValueError("size: exactly one of size and scale_factor must be given")
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor: there is no factor to compute where a size is given")
        sizes = tuple(operator.index(n) for n in _each("size", size, axes))
        return sizes, (None,) * axes
    factors = tuple(float(factor) for factor in _each("scale_factor", scale_factor, axes))
    sizes = tuple(int(np.floor(n * factor)) for n, factor in zip(spatial, factors, strict=True))
    return sizes, (None,) * axes if recompute else factors


def _nearest_factors(spatial: tuple[int, ...], sizes: tuple[int, ...], factors: tuple) -> tuple:
    """For images in the old way: where a factor such as 1.1 or 2.1 ends at the same size or at twice, it is taken as 1 or 2.

    So torch does it for images (and for volumes in channels-last order only, which is not followed).
    """
    if len(spatial) != 2:
        return factors
    return tuple(None if n_out in (n, 2 * n) else f for n, n_out, f in zip(spatial, sizes, factors, strict=True))


def _each(name: str, value: Any, axes: int) -> tuple:
    if not isinstance(value, (tuple, list)):
        return (value,) * axes
    if len(value) != axes:
        raise ValueError(f"{name}: expected one number or one for each of {axes} spatial axes, got {value!r}")
    return tuple(value)


def _matrix(
    size: int, n_out: int, factor: float | None, method: str, align_corners: bool, antialias: bool, dtype: np.dtype
) -> Any:
    """The matrix along one axis and its transposed one; None where nothing changes."""
    if size == n_out and factor in (None, 1.0):
        return None
    return axis_matrix(size, n_out, method, factor, align_corners, antialias, dtype)


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """:func:`interpolate`, under its old name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """:func:`interpolate` with ``mode="nearest"``, under its old name."""
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """:func:`interpolate` with ``mode="bilinear"`` and ``align_corners=True``, under its old name."""
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
