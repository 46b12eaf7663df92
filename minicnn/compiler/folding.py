"""Batch norm in evaluation, folded into the convolution in front of it.

With s = gamma / sqrt(var + eps), ``conv(x, w) + b`` normalised is ``conv(x, s w) + s (b - mean) + beta``: a convolution with
other filters and another bias.
"""

from __future__ import annotations

import numpy as np

from ..autograd import Tensor
from .trace import Call


def sources_of(weight: Tensor, bias: Tensor | None, norm: Call) -> list[Tensor | None]:
    """The tensors that the folded filters and bias come from."""
    return [weight, bias, *norm.args[1:], norm.options["running_mean"], norm.options["running_var"]]


def folded_filters(weight: Tensor, bias: Tensor | None, norm: Call) -> tuple[np.ndarray, np.ndarray]:
    """Filters (c_out, c_in/groups, kh, kw) and bias (c_out,) of a convolution that ``norm`` follows."""
    _, gamma, beta = norm.args
    mean, var = norm.options["running_mean"], norm.options["running_var"]
    # In float64: the folded filters are rounded once.
    scale = 1 / np.sqrt(var._array.astype(np.float64) + norm.options["eps"])
    if gamma is not None:
        scale = scale * gamma._array
    shift = (0 if bias is None else bias._array) - mean._array.astype(np.float64)
    shift = shift * scale + (0 if beta is None else beta._array)
    dtype = weight._array.dtype
    return (weight._array * scale[:, None, None, None]).astype(dtype), shift.astype(dtype)
