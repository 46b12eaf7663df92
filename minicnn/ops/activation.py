"""Activations made of straight pieces: ReLU and its relatives. The curved ones are in ``activation_smooth.py``.

Two kinds of operation serve both files, and each activation is a line of one of them: :class:`KernelActivation`, whose
loops are in ``minicnn_kernels/reference/activation.py``, then ``cpu/activation.py``, and :class:`FormulaActivation`, which
is NumPy, here. ``softmax.py`` has the softmax family.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from minicnn_kernels import backend_of

from ..autograd import Op, Tensor
from ..random import default_generator
from .inplace import in_place
from .promotion import require_floating


class ReLU(Op):
    # y = max(x, 0),  dy/dx = 1 where y > 0, else 0 (at 0 too)
    @staticmethod
    def forward(ctx, x):
        ctx.kernels = backend_of(x)
        out = ctx.kernels.relu_forward(x)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        return ctx.kernels.relu_backward_input(grad_out, out)


class KernelActivation(Op):
    """y = f(x), and its derivative from x (or from y), both from the kernels' table."""

    kernel: ClassVar[str]
    keeps_result: ClassVar[bool] = False

    @classmethod
    def forward(cls, ctx, x, *, numbers=()):
        ctx.kernels, ctx.numbers = backend_of(x), numbers
        out = ctx.kernels.activation_forward(cls.kernel, x, *numbers)
        ctx.save(out if cls.keeps_result else x)
        return out

    @classmethod
    def backward(cls, ctx, grad_out):
        return ctx.kernels.activation_backward_input(cls.kernel, grad_out, *ctx.saved, *ctx.numbers)


class FormulaActivation(Op):
    """y = f(x), dy/dx = slope(x), in NumPy."""

    function: ClassVar[Callable[..., Any]]
    slope: ClassVar[Callable[..., Any]]

    @classmethod
    def forward(cls, ctx, x, *, numbers=()):
        ctx.numbers = numbers
        ctx.save(x)
        return cls.function(x, *numbers)

    @classmethod
    def backward(cls, ctx, grad_out):
        (x,) = ctx.saved
        return grad_out * cls.slope(x, *ctx.numbers)


class Hardtanh(KernelActivation):
    # y = min(max(x, low), high),  dy/dx = 1 between them, 0 elsewhere (on them too)
    kernel = "hardtanh"


class LeakyReLU(KernelActivation):
    # y = x where x > 0, s x elsewhere,  dy/dx = 1 or s
    kernel = "leaky_relu"


class Hardsigmoid(KernelActivation):
    # y = min(max(x + 3, 0), 6) / 6,  dy/dx = 1/6 between -3 and 3, 0 elsewhere
    kernel = "hardsigmoid"


class Hardswish(KernelActivation):
    # y = x min(max(x + 3, 0), 6) / 6,  dy/dx = x/3 + 1/2 between -3 and 3, 0 on the left, 1 on the right
    kernel = "hardswish"


class Threshold(FormulaActivation):
    # y = x where x > t, v elsewhere; NaN stays
    function = staticmethod(lambda x, t, v: np.where(x <= t, x.dtype.type(v), x))
    slope = staticmethod(lambda x, t, v: ~(x <= t))


class Hardshrink(FormulaActivation):
    # y = x where |x| > l, 0 elsewhere
    function = staticmethod(lambda x, l: np.where(np.abs(x) <= l, x.dtype.type(0), x))  # noqa: E741
    slope = staticmethod(lambda x, l: ~(np.abs(x) <= l))  # noqa: E741


class Softshrink(FormulaActivation):
    # y = x - l where x > l, x + l where x < -l, 0 between
    function = staticmethod(lambda x, l: x - np.clip(x, -l, l))  # noqa: E741
    slope = staticmethod(lambda x, l: ~(np.abs(x) <= l))  # noqa: E741


class PReLU(Op):
    # y = x where x > 0, w x elsewhere,  dy/dx = 1 or w,  dy/dw = 0 or x; w broadcasts
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save(x, weight)
        return np.where(x > 0, x, weight * x)

    @staticmethod
    def backward(ctx, grad_out):
        x, weight = ctx.saved
        grad_x = np.where(x > 0, grad_out, weight * grad_out) if ctx.needs_input_grad[0] else None
        return grad_x, np.where(x > 0, 0, x * grad_out) if ctx.needs_input_grad[1] else None


def perhaps_in_place(input: Tensor, inplace: bool, compute: Callable[[Tensor], Tensor], name: str) -> Tensor:
    """``compute(input)``, written into the input's memory where that is wanted."""
    return in_place(input, compute, f"{name}(inplace=True)") if inplace else compute(input)


def in_place_form(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function with an underscore: the same with ``inplace=True``."""

    def change(input: Tensor, *args: Any, **options: Any) -> Tensor:
        return function(input, *args, **options, inplace=True)

    change.__name__ = change.__qualname__ = f"{function.__name__}_"
    change.__doc__ = f":func:`{function.__name__}` written into ``input``. Returns it."
    return change


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(input, 0)``; the derivative at 0 is 0; NaN stays NaN.

    >>> import minicnn as mc
    >>> mc.nn.functional.relu(mc.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    if inplace:
        return in_place(input, relu, "relu(inplace=True)", kept=False)  # the rule keeps its result
    if input._array.dtype.kind != "f":
        if input._array.dtype == bool:
            raise TypeError("input: relu is not defined on bool tensors; convert with .float()")
        return Tensor(np.maximum(input._array, 0))
    return ReLU.apply(input)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` limited to ``min_val`` .. ``max_val``; the derivative is 0 on the limits too. Whole numbers are taken.

    >>> import minicnn as mc
    >>> mc.nn.functional.hardtanh(mc.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])

    Raises
    ------
    ValueError : a lower limit above the upper one. TypeError : bools, and negative limits for uint8.
    """
    if min_val > max_val:
        raise ValueError(f"min_val: hardtanh needs min_val <= max_val, got {min_val} and {max_val}")
    if inplace:
        return in_place(input, lambda x: hardtanh(x, min_val, max_val), "hardtanh(inplace=True)")
    dtype = input._array.dtype
    if dtype.kind == "f":
        return Hardtanh.apply(input, numbers=(float(min_val), float(max_val)))
    if dtype.kind == "b" or (dtype.kind == "u" and min_val < 0):
        raise TypeError(f"input: hardtanh from {min_val} to {max_val} is not defined on {input.dtype}; use .float()")
    return Tensor(np.clip(input._array, int(min_val), int(max_val)))


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input, 0), 6)`` (Krizhevsky 2010); the derivative is 0 at 0 and at 6.

    >>> import minicnn as mc
    >>> mc.nn.functional.relu6(mc.tensor([-1.0, 5.0, 7.0]))
    tensor([0., 5., 6.])
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``input`` where it is positive, ``negative_slope * input`` elsewhere (Maas, Hannun and Ng 2013, section 2).

    >>> import minicnn as mc
    >>> mc.nn.functional.leaky_relu(mc.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])

    Raises
    ------
    TypeError : an input that is not a floating-point tensor.
    """
    require_floating(input, "input", "leaky_relu")
    numbers = (float(negative_slope),)
    return perhaps_in_place(input, inplace, lambda x: LeakyReLU.apply(x, numbers=numbers), "leaky_relu")


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """:func:`leaky_relu` with a learned slope: one, or one a channel (He et al. 2015).

    Parameters
    ----------
    input : (n, c, ...) or any shape, floating point
    weight : one element, or (c,)

    >>> import minicnn as mc
    >>> mc.nn.functional.prelu(mc.tensor([[-1.0, -1.0]]), mc.tensor([0.5, 0.25]))
    tensor([[-0.5000, -0.2500]])

    Raises
    ------
    ValueError : a weight that is neither one number nor one a channel. TypeError : tensors of different types.
    """
    require_floating(input, "input", "prelu")
    require_floating(weight, "weight", "prelu")
    if weight.dtype is not input.dtype:
        raise TypeError(
            f"weight: prelu needs one type for its tensors, got {weight.dtype} where input has {input.dtype}"
        )
    if weight.ndim > 1:
        raise ValueError(f"weight: prelu needs one number or one a channel, got shape {tuple(weight.shape)}")
    if weight.numel() != 1:
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.numel() != channels or not input.ndim:
            raise ValueError(
                f"weight: prelu needs one number or one for each of the {channels} channels, got {weight.numel()}"
            )
        weight = weight.reshape(-1, *(1,) * (input.ndim - 2)) if input.ndim > 1 else weight
    elif weight.ndim and not input.ndim:
        weight = weight.reshape(())
    return PReLU.apply(input, weight)


def rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """:func:`leaky_relu` with a slope drawn for each element from ``lower`` .. ``upper``; in evaluation their mean.

    (Xu, Wang, Chen and Li 2015, https://arxiv.org/abs/1505.00853)

    >>> import minicnn as mc
    >>> mc.nn.functional.rrelu(mc.tensor([-4.0, 2.0]), 0.25, 0.75)
    tensor([-2.,  2.])

    Raises
    ------
    ValueError : a lower bound above the upper one. TypeError : an input that is not a floating-point tensor.
    """
    require_floating(input, "input", "rrelu")
    if lower > upper:
        raise ValueError(f"lower: rrelu needs lower <= upper, got {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)

    def draw(x: Tensor) -> Tensor:
        slopes = default_generator.uniform(x.shape, x._array.dtype, lower, upper)
        return PReLU.apply(x, Tensor(slopes))

    return perhaps_in_place(input, inplace, draw, "rrelu")


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input + 3, 0), 6) / 6``: a sigmoid of three straight lines (Howard et al. 2019, MobileNetV3).

    >>> import minicnn as mc
    >>> mc.nn.functional.hardsigmoid(mc.tensor([-4.0, 0.0, 3.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    require_floating(input, "input", "hardsigmoid")
    return perhaps_in_place(input, inplace, Hardsigmoid.apply, "hardsigmoid")


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * hardsigmoid(input)`` (Howard et al. 2019, MobileNetV3, section 5.2).

    >>> import minicnn as mc
    >>> mc.nn.functional.hardswish(mc.tensor([-3.0, 0.0, 3.0]))
    tensor([-0.,  0.,  3.])
    """
    require_floating(input, "input", "hardswish")
    return perhaps_in_place(input, inplace, Hardswish.apply, "hardswish")


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``input`` where it is above ``threshold``, ``value`` elsewhere. Whole numbers are taken.

    >>> import minicnn as mc
    >>> mc.nn.functional.threshold(mc.tensor([0.0, 1.0, 2.0]), 1.0, 20.0)
    tensor([20., 20.,  2.])
    """
    numbers = threshold, value
    if input._array.dtype == bool:
        raise TypeError("input: threshold is not defined on bool tensors; convert with .float()")
    return perhaps_in_place(input, inplace, lambda x: Threshold.apply(x, numbers=numbers), "threshold")


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``input`` where ``|input| > lambd``, 0 elsewhere.

    >>> import minicnn as mc
    >>> mc.nn.functional.hardshrink(mc.tensor([-1.0, 0.2, 0.5]))
    tensor([-1.,  0.,  0.])
    """
    require_floating(input, "input", "hardshrink")
    return Hardshrink.apply(input, numbers=(float(lambd),))


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``input`` moved by ``lambd`` towards 0, and 0 where that would pass it.

    >>> import minicnn as mc
    >>> mc.nn.functional.softshrink(mc.tensor([-1.0, 0.2, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])

    Raises
    ------
    ValueError : a negative ``lambd``.
    """
    require_floating(input, "input", "softshrink")
    if lambd < 0:
        raise ValueError(f"lambd: softshrink needs a number that is not negative, got {lambd}")
    return Softshrink.apply(input, numbers=(float(lambd),))


relu_ = in_place_form(relu)
hardtanh_ = in_place_form(hardtanh)
leaky_relu_ = in_place_form(leaky_relu)
rrelu_ = in_place_form(rrelu)
threshold_ = in_place_form(threshold)
