"""Sampling at places of one's own choosing: each element of the result names where in the input it comes from.

Places are numbers between -1, the front end of an axis, and 1, its far end. Along each axis a place becomes a few taps with
weights, as in ``minicnn_kernels/resampling.py``; an element of the result is the sum over all combinations of taps, 4 for
bilinear sampling of images. ``affine_grid`` makes the places of a rotated, scaled or moved image (Jaderberg, Simonyan,
Zisserman and Kavukcuoglu 2015, "Spatial transformer networks").
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np

from minicnn_kernels import backend_of
from minicnn_kernels.resampling import keys_cubic

from ..autograd import Op, Tensor
from .from_data import from_numpy
from .matmul import matmul
from .promotion import require_floating, require_same_dtype

Tap = tuple[np.ndarray, np.ndarray, np.ndarray]  # which element, its weight, and the weight's derivative by the place


class GridSample(Op):
    # y[o] = sum over taps of w(g[o]) x[tap];  dL/dx[tap] = sum of w(g[o]) dL/dy[o];  dL/dg[o] = sum of w'(g[o]) dL/dw
    # x (n, c, *spatial), grid (n, *positions, axes) -> (n, c, *positions)
    @staticmethod
    def forward(ctx, x, grid, *, mode, padding_mode, align_corners):
        ctx.kernels, ctx.options = backend_of(x), (mode, padding_mode, align_corners)
        ctx.save(x, grid)
        at, weights, _ = _combinations(grid, x.shape, *ctx.options)
        out = ctx.kernels.sample_forward(x, at, weights)
        return out.reshape(*x.shape[:2], *grid.shape[1:-1])  # (n, c, positions) -> (n, c, *positions)

    @staticmethod
    def backward(ctx, grad_out):
        x, grid = ctx.saved
        at, weights, slopes = _combinations(grid, x.shape, *ctx.options)
        grad = grad_out.reshape(*x.shape[:2], at.shape[2])
        grad_x = grad_grid = None
        if ctx.needs_input_grad[0]:
            grad_x = ctx.kernels.sample_backward_input(grad, at, weights, x.shape)
        if ctx.needs_input_grad[1]:
            grad_weights = ctx.kernels.sample_backward_weights(grad, x, at)
            grad_grid = np.einsum("knp,knpa->npa", grad_weights, slopes).reshape(grid.shape)
        return grad_x, grad_grid


def _combinations(
    grid: np.ndarray, shape: tuple[int, ...], mode: str, padding_mode: str, align_corners: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each combination of taps along the axes, at every position of the grid: its place in the image, row-major, or -1
    where it lies outside; its weight; both (taps, n, positions). And the weight's derivatives by the coordinates, (taps, n,
    positions, axes).
    """
    (n, _, *spatial), axes = shape, grid.shape[-1]
    places = grid.reshape(n, grid.size // max(1, n * axes), axes)
    taps = [  # the last coordinate of a place belongs to the first axis
        _taps(places[..., axes - 1 - d], size, mode, padding_mode, align_corners) for d, size in enumerate(spatial)
    ]
    at, weights, slopes = [], [], []
    for combination in itertools.product(*taps):
        place, inside = np.array(0), np.array(True)
        for (index, _, _), size in zip(combination, spatial, strict=True):
            inside = inside & (index >= 0) & (index < size)
            place = place * size + index
        along = [weight for _, weight, _ in combination]
        at.append(np.where(inside, place, -1))
        weights.append(_product(along))
        slopes.append(
            np.stack([_product([*along[:d], tap[2], *along[d + 1 :]]) for d, tap in enumerate(combination)][::-1], -1)
        )
    return np.array(at), np.array(weights), np.array(slopes)


def _product(factors: Sequence[np.ndarray]) -> np.ndarray:
    return functools.reduce(np.multiply, factors)


def _taps(place: np.ndarray, size: int, mode: str, padding_mode: str, align_corners: bool) -> list[Tap]:
    """The taps along one axis of places between -1 and 1."""
    at, step = ((place + 1) * size - 1) / 2, size / 2  # -1 and 1 are the edges of the outermost elements
    if align_corners:
        at, step = (place + 1) * ((size - 1) / 2), (size - 1) / 2  # their middles
    if mode == "bicubic":
        first = np.floor(at)
        part = at - first
        return [
            (
                _inside(first + k, size, padding_mode, align_corners)[0].astype(np.int64),
                keys_cubic(part - k, -0.75).astype(at.dtype),
                (_cubic_slope(part - k, -0.75) * step).astype(at.dtype),
            )
            for k in range(-1, 3)
        ]
    at, turn = _inside(at, size, padding_mode, align_corners)
    if mode == "nearest":
        return [(np.rint(at).astype(np.int64), np.ones_like(at), np.zeros_like(at))]
    first = np.floor(at)
    part, slope = at - first, turn * step
    index = first.astype(np.int64)
    return [(index, 1 - part, -slope), (index + 1, part, slope)]


def _inside(at: np.ndarray, size: int, padding_mode: str, align_corners: bool) -> tuple[np.ndarray, np.ndarray]:
    """Places beyond the ends brought back, and the derivative of that: 1, -1, or 0 where they are stopped."""
    turn = np.ones_like(at)
    if padding_mode == "zeros":
        return at, turn
    if padding_mode == "reflection":
        low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
        if span == 0:
            return np.zeros_like(at), np.zeros_like(at)
        turn = np.where(at < low, -turn, turn)
        distance = np.abs(at - low)
        times = np.floor(distance / span)
        rest = distance - times * span
        odd = times % 2 == 1
        at, turn = np.where(odd, span - rest, rest) + at.dtype.type(low), np.where(odd, -turn, turn)
    return np.clip(at, 0, size - 1), np.where((at > 0) & (at < size - 1), turn, 0)


def _cubic_slope(x: np.ndarray, a: float) -> np.ndarray:
    """The derivative of ``keys_cubic``."""
    distance = np.abs(x)
    near = (3 * (a + 2) * distance - 2 * (a + 3)) * distance
    far = ((3 * distance - 10) * distance + 8) * a
    return np.sign(x) * np.where(distance <= 1, near, np.where(distance < 2, far, 0))


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """An image, or a volume, seen through a grid of places.

    Parameters
    ----------
    input : (n, c, h, w) floating point, or (n, c, d, h, w)
    grid : (n, h_out, w_out, 2) of the same type, or (n, d_out, h_out, w_out, 3): for each element of the result its place in
        the input as (x, y) or (x, y, z), -1 being the left, upper or front end and 1 the other
    mode : ``"bilinear"`` (trilinear in volumes), ``"nearest"`` (halves to even), or ``"bicubic"`` (images only)
    padding_mode : what is beyond the ends: ``"zeros"``, the outermost elements (``"border"``), or the input mirrored
        (``"reflection"``)
    align_corners : whether -1 and 1 are the middles of the outermost elements; their edges by default

    Returns
    -------
    (n, c, h_out, w_out) or (n, c, d_out, h_out, w_out), channels last in memory. Gradients go to the input, and to the grid
    (for ``"nearest"`` they are 0).

    >>> import minicnn as mc
    >>> image = mc.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> grid = mc.tensor([[[[-0.5, -0.5], [0.0, 0.0]]]])  # the middle of the first pixel, and of the image
    >>> mc.nn.functional.grid_sample(image, grid)
    tensor([[[[1.0000, 2.5000]]]])

    Raises
    ------
    ValueError : shapes that do not fit, an empty image, an unknown mode, ``"bicubic"`` for volumes.
    TypeError : tensors that are not of one floating-point type.
    """
    require_same_dtype("grid_sample", input=input, grid=grid)
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"mode: expected 'bilinear', 'nearest' or 'bicubic', got {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"padding_mode: expected 'zeros', 'border' or 'reflection', got {padding_mode!r}")
    shape, places = tuple(input.shape), tuple(grid.shape)
    axes = len(shape) - 2
    if axes not in (2, 3) or len(places) != axes + 2 or places[-1] != axes or places[0] != shape[0]:
        raise ValueError(
            f"grid: grid_sample takes images (n, c, h, w) with (n, h_out, w_out, 2), or volumes (n, c, d, h, w) with (n, "
            f"d_out, h_out, w_out, 3), got {shape} with {places}"
        )
    if min(shape[2:]) < 1:
        raise ValueError(f"input: grid_sample finds nothing in an input of shape {shape}")
    if mode == "bicubic" and axes == 3:
        raise ValueError("mode: 'bicubic' is for images; use 'bilinear' for volumes")
    return GridSample.apply(input, grid, mode=mode, padding_mode=padding_mode, align_corners=bool(align_corners))


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The places that an affine map sends those of an image to, for :func:`grid_sample`.

    Parameters
    ----------
    theta : (n, 2, 3) floating point, one matrix for each image; (n, 3, 4) for volumes. The place (x, y) of the result is at
        ``theta @ (x, y, 1)`` in the input
    size : of the result: (n, c, h, w) or (n, c, d, h, w)
    align_corners : as for :func:`grid_sample`

    Returns
    -------
    (n, h, w, 2) or (n, d, h, w, 3)

    >>> import minicnn as mc
    >>> mirrored = mc.tensor([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> mc.nn.functional.affine_grid(mirrored, (1, 1, 1, 2))
    tensor([[[[ 0.5000,  0.0000],
              [-0.5000,  0.0000]]]])

    Raises
    ------
    ValueError : a size that is not an image's or a volume's, or not positive; matrices of another shape or number.
    TypeError : ``theta`` that is not a floating-point tensor.
    """
    require_floating(theta, "theta", "affine_grid")
    n, _, *spatial = wanted = tuple(int(number) for number in size)
    axes = len(spatial)
    if axes not in (2, 3) or min(wanted) < 1:
        raise ValueError(f"size: affine_grid needs (n, c, h, w) or (n, c, d, h, w), all positive, got {wanted}")
    if tuple(theta.shape) != (n, axes, axes + 1):
        raise ValueError(
            f"theta: expected {(n, axes, axes + 1)} for a result of size {wanted}, got {tuple(theta.shape)}"
        )
    ends = [np.linspace(-1, 1, count) if count > 1 else np.zeros(1) for count in spatial]
    if not align_corners:
        ends = [axis * (axis.size - 1) / axis.size for axis in ends]
    places = np.stack([*np.meshgrid(*ends, indexing="ij")[::-1], np.ones(spatial)], axis=-1)  # (*spatial, axes + 1)
    base = from_numpy(places.reshape(-1, axes + 1).astype(theta._array.dtype))
    return matmul(base, theta.transpose(1, 2)).reshape(n, *spatial, axes)
