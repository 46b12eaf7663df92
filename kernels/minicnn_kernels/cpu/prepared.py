"""Layers with weights that stay as they are: packed, or mapped, once instead of at every call; and ended while in registers.

At batch 1, packing the filters takes longer than multiplying by them: ResNet-50 has 25 million, and each meets 49 to 12,544
pixels. So whoever knows that weights do not change (``minicnn/compiler``, for evaluation) prepares a layer. What follows a
convolution, a bias, an addition, a rectifier, is done to the sums before they are stored (``microkernel.py``, `ending`), or
while a tile is in the cache (``conv_winograd.py``).
"""

from collections.abc import Callable

import numpy as np

from ..geometry import conv_output_size
from . import conv_depthwise
from .activation import rectified
from .conv import algorithm_of, seen_taps
from .conv_shared import Sizes, with_filters


def prepare_conv(
    weight: np.ndarray,
    bias: np.ndarray | None,
    x_shape: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    algorithm: str = "auto",
    rectify: bool = False,
) -> Callable[..., np.ndarray]:
    """A function of x, of this shape, and of other, shaped as the result, or None: conv(x) + other, rectified if asked."""
    seen, padding = seen_taps(x_shape, weight.shape, stride, padding, dilation, algorithm)
    if seen:
        weight = np.ascontiguousarray(weight[seen])
    window = stride, padding, dilation, groups
    module, shape = algorithm_of(x_shape, weight.shape, *window, algorithm, standing=True), weight.shape
    if module is conv_depthwise:

        def run_depthwise(x: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
            out = conv_depthwise.forward(x, weight, bias, *window)
            if other is not None:
                out += other
            return rectified(out) if rectify else out

        return run_depthwise
    axes = zip(x_shape[2:], shape[2:], stride, padding, dilation, strict=True)
    depth = [conv_output_size(*axis) for axis in axes][:-2]
    filters = module.prepare(weight, groups, *depth)

    def run(x: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        return with_filters(module.convolve, x, filters, bias, shape, *window, other, rectify)

    return run
