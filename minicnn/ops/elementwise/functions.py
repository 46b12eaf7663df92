"""Exponentials, logarithms, roots, circles and hyperbolas, the error function and the gamma function.

One line a function: ``unary(name, formula, gradient, documentation)``, where the gradient is the one that arrives, ``g``,
times the derivative in terms of the operand ``x`` or the result ``y`` (``table.py``). Whole numbers become floating point.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minicnn_kernels import backend_of

from ...autograd import Op, Tensor
from ..promotion import to_floating
from .operands import one, times
from .table import unary

LN_2, LN_10 = math.log(2), math.log(10)
HALF_ROOT_PI = math.sqrt(math.pi) / 2  # erf'(0) is its inverse


def _sinc_gradient(g, x):
    angle = math.pi * x
    square = angle * x
    slope = (angle * np.cos(angle) - np.sin(angle)) / square  # 0 / 0 at 0, where the sinc has its top
    return g * np.where(square == 0, 0, slope).astype(x.dtype, copy=False)


# fmt: off
# ---- exponentials and logarithms
Exp, exp = unary("exp", np.exp, lambda g, y: times(g, y),
    """``e ** input``.

    >>> import minicnn as mc
    >>> mc.exp(mc.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """)
Exp2, exp2 = unary("exp2", np.exp2, lambda g, y: g * (y * LN_2), "``2 ** input``.")
Expm1, expm1 = unary("expm1", np.expm1, lambda g, y: g * (y + 1),
    "``e ** input - 1``, without the loss of digits near 0.")
Log, log = unary("log", np.log, lambda g, x: g / x, "The natural logarithm; NaN below 0, -inf at 0.")
Log1p, log1p = unary("log1p", np.log1p, lambda g, x: g / (x + 1),
    "``ln(1 + input)``, without the loss of digits near 0.")
Log2, log2 = unary("log2", np.log2, lambda g, x: g / (x * LN_2), "The logarithm to base 2.")
Log10, log10 = unary("log10", np.log10, lambda g, x: g / (x * LN_10), "The logarithm to base 10.")
# ---- roots
Sqrt, sqrt = unary("sqrt", np.sqrt, lambda g, y: g / (y + y), "The square root; NaN below 0.")
Rsqrt, rsqrt = unary("rsqrt", lambda x: 1 / np.sqrt(x), lambda g, y: g * (-0.5 * (y * y * y)),
    """``1 / sqrt(input)``.

    >>> import minicnn as mc
    >>> mc.rsqrt(mc.tensor([4.0, 0.25]))
    tensor([0.5000, 2.0000])
    """)
Reciprocal, reciprocal = unary("reciprocal", lambda x: 1 / x, lambda g, y: -g * (y * y), "``1 / input``.")
# ---- circles
Sin, sin = unary("sin", np.sin, lambda g, x: g * np.cos(x), "The sine of an angle in radians.")
Cos, cos = unary("cos", np.cos, lambda g, x: -g * np.sin(x), "The cosine of an angle in radians.")
Tan, tan = unary("tan", np.tan, lambda g, y: g * (1 + y * y), "The tangent of an angle in radians.")
Asin, asin = unary("asin", np.arcsin, lambda g, x: g / np.sqrt(1 - x * x), "The angle in [-pi/2, pi/2] of this sine.")
Acos, acos = unary("acos", np.arccos, lambda g, x: -g / np.sqrt(1 - x * x), "The angle in [0, pi] of this cosine.")
Atan, atan = unary("atan", np.arctan, lambda g, x: g / (x * x + 1), "The angle in (-pi/2, pi/2) of this tangent.")
Sinc, sinc = unary("sinc", np.sinc, _sinc_gradient, "``sin(pi input) / (pi input)``, and 1 at 0.")
Deg2rad, deg2rad = unary("deg2rad", lambda x: x * (math.pi / 180), lambda g: g * (math.pi / 180),
    "Degrees as radians.")
Rad2deg, rad2deg = unary("rad2deg", lambda x: x * (180 / math.pi), lambda g: g * (180 / math.pi),
    "Radians as degrees.")
# ---- hyperbolas
Sinh, sinh = unary("sinh", np.sinh, lambda g, x: g * np.cosh(x), "The hyperbolic sine, ``(e^x - e^-x) / 2``.")
Cosh, cosh = unary("cosh", np.cosh, lambda g, x: g * np.sinh(x), "The hyperbolic cosine, ``(e^x + e^-x) / 2``.")
Tanh, tanh = unary("tanh", np.tanh, lambda g, y: times(g, 1 - times(y, y)), "The hyperbolic tangent.")
Asinh, asinh = unary("asinh", np.arcsinh, lambda g, x: g / np.sqrt(x * x + 1), "The inverse of :func:`sinh`.")
Acosh, acosh = unary("acosh", np.arccosh, lambda g, x: g / np.sqrt(x * x - 1),
    "The inverse of :func:`cosh`, not negative; NaN below 1.")
Atanh, atanh = unary("atanh", np.arctanh, lambda g, x: g / (1 - x * x),
    "The inverse of :func:`tanh`; NaN outside [-1, 1].")
Sigmoid, sigmoid = unary("sigmoid", lambda x: backend_of(x).activation_forward("sigmoid", x),
    lambda g, y: backend_of(y).activation_backward_input("sigmoid", g, y),
    """``1 / (1 + e^-input)``.

    >>> import minicnn as mc
    >>> mc.sigmoid(mc.tensor([-1.0, 0.0, 1.0]))
    tensor([0.2689, 0.5000, 0.7311])
    """)
# ---- the error function and the gamma function: kernels, since NumPy has none
Erf, erf = unary("erf", lambda x: backend_of(x).erf_forward(x),
    lambda g, x: g * (np.exp(-x * x) / HALF_ROOT_PI),
    """The error function, ``2 / sqrt(pi)`` times the integral of ``e^(-t^2)`` from 0 to ``input``.

    >>> import minicnn as mc
    >>> mc.erf(mc.tensor([0.0, 1.0, -mc.inf]))
    tensor([ 0.0000,  0.8427, -1.0000])
    """)
Erfc, erfc = unary("erfc", lambda x: backend_of(x).erfc_forward(x),
    lambda g, x: -g * (np.exp(-x * x) / HALF_ROOT_PI),
    "``1 - erf(input)``, without the loss of digits where erf is nearly 1.")
Erfinv, erfinv = unary("erfinv", lambda x: backend_of(x).erfinv_forward(x),
    lambda g, y: g * (HALF_ROOT_PI * np.exp(y * y)),
    "The inverse of :func:`erf`; infinite at -1 and 1, NaN outside.")
Lgamma, lgamma = unary("lgamma", lambda x: backend_of(x).lgamma_forward(x),
    lambda g, x: g * backend_of(x).digamma_forward(x),
    """``ln |gamma(input)|``, where gamma(n + 1) = n!.

    >>> import minicnn as mc
    >>> mc.lgamma(mc.tensor([1.0, 5.0])).exp()
    tensor([ 1.0000, 24.0000])
    """)
Digamma, digamma = unary("digamma", lambda x: backend_of(x).digamma_forward(x),
    lambda g, x: g * backend_of(x).trigamma_forward(x),
    "The derivative of :func:`lgamma`. NaN at the negative whole numbers, infinite at 0.")
# fmt: on


class Logit(Op):
    # y = ln(x / (1 - x)), of x limited to [eps, 1 - eps] where eps is given;  dy/dx = 1 / (x (1 - x)), 0 outside the limits
    @staticmethod
    def forward(ctx, x, *, eps):
        ctx.save(x)
        ctx.eps = eps
        inside = x if eps is None else np.clip(x, x.dtype.type(eps), x.dtype.type(1 - eps))
        return np.log(inside / (1 - inside))

    @staticmethod
    def backward(ctx, grad_out):
        (x,) = ctx.saved
        low, outside = (0.0, np.nan) if ctx.eps is None else (ctx.eps, 0)
        beyond = (x < x.dtype.type(low)) | (x > x.dtype.type(1 - low))
        return np.where(beyond, x.dtype.type(outside), grad_out / (x * (1 - x)))


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """The inverse of :func:`sigmoid`, ``ln(input / (1 - input))``; NaN outside [0, 1].

    ``eps``: limit the input to [eps, 1 - eps] first, so that the result is finite.

    >>> import minicnn as mc
    >>> mc.logit(mc.tensor([0.5, 1.0]), eps=0.01)
    tensor([0.0000, 4.5951])
    """
    return Logit.apply(to_floating(one("logit", input)), eps=eps)


class MantissaAndExponent(NamedTuple):
    mantissa: Tensor
    exponent: Tensor


class Frexp(Op):
    # x = m 2^e with 1/2 <= |m| < 1,  dm/dx = 2^-e
    @staticmethod
    def forward(ctx, x):
        mantissa, exponent = np.frexp(x)
        ctx.save(exponent)
        return mantissa, exponent

    @staticmethod
    def backward(ctx, grad_mantissa, grad_exponent):
        (exponent,) = ctx.saved
        return np.ldexp(grad_mantissa, -exponent)


def frexp(input: Tensor) -> MantissaAndExponent:
    """Mantissa and exponent: ``input = mantissa * 2 ** exponent``, the mantissa's size from 1/2 up to below 1.

    >>> import minicnn as mc
    >>> mantissa, exponent = mc.frexp(mc.tensor([3.0, -0.25]))
    >>> mantissa, exponent
    (tensor([ 0.7500, -0.5000]), tensor([ 2, -1], dtype=minicnn.int32))
    """
    return MantissaAndExponent(*Frexp.apply(one("frexp", input, bools=False, integers=False)))
