"""Curved activations: SiLU, GELU, ELU and theirs. Those of straight pieces are in ``activation.py``, which begins here too.

With s(x) = 1 / (1 + e^-x), and Phi the normal distribution's cumulative function. What occurs in every layer of current
networks has kernels of its own; for the rest NumPy is fast enough.
"""

from __future__ import annotations

import numpy as np

from ..autograd import Tensor
from .activation import FormulaActivation, KernelActivation, in_place_form, perhaps_in_place
from .elementwise import abs, sigmoid, tanh
from .joining import split
from .promotion import require_floating
from .reduction import normalize_dim


class SiLU(KernelActivation):
    # y = x s(x),  dy/dx = s (1 + x (1 - s))
    kernel = "silu"


class GELU(KernelActivation):
    # y = x Phi(x),  dy/dx = Phi(x) + x e^(-x^2/2) / sqrt(2 pi)
    kernel = "gelu"


class GELUTanh(KernelActivation):
    # y = x (1 + tanh u) / 2,  u = sqrt(2 / pi) (x + 0.044715 x^3)
    kernel = "gelu_tanh"


class ELU(FormulaActivation):
    # y = k x where x > 0, k a (e^(b x) - 1) elsewhere,  dy/dx = k or k a b e^(b x)
    function = staticmethod(lambda x, a, k, b: np.where(x > 0, k * x, k * a * np.expm1(b * x)))
    slope = staticmethod(lambda x, a, k, b: np.where(x > 0, k, k * a * b * np.exp(b * x)))


class Softplus(FormulaActivation):
    # y = ln(1 + e^(b x)) / b, or x where b x > t;  dy/dx = s(b x), or 1
    function = staticmethod(lambda x, b, t: np.where(b * x > t, x, np.log1p(np.exp(b * x)) / b))
    slope = staticmethod(lambda x, b, t: np.where(b * x > t, 1, 1 / (1 + np.exp(-b * x))))


class LogSigmoid(FormulaActivation):
    # y = min(x, 0) - ln(1 + e^-|x|),  dy/dx = s(-x)
    function = staticmethod(lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))))
    slope = staticmethod(lambda x: 1 / (1 + np.exp(x)))


class Mish(FormulaActivation):
    # y = x t,  t = tanh(ln(1 + e^x)) = q / (q + 2) with q = e^x (e^x + 2);  dy/dx = t + x s(x) (1 - t^2)
    @staticmethod
    def function(x):
        q, _ = Mish.powers(x)
        return x * (q / (q + 2))

    @staticmethod
    def slope(x):
        q, e = Mish.powers(x)
        t = q / (q + 2)
        return t + x * (e / (1 + e)) * (1 - t * t)

    @staticmethod
    def powers(x):
        e = np.exp(np.minimum(x, 20))  # beyond, t is 1
        return e * (e + 2), e


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * sigmoid(input)``, also called swish (Elfwing, Uchibe and Doya 2017; Ramachandran et al. 2017).

    >>> import minicnn as mc
    >>> mc.nn.functional.silu(mc.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])

    Raises
    ------
    TypeError : an input that is not a floating-point tensor.
    """
    require_floating(input, "input", "silu")
    return perhaps_in_place(input, inplace, SiLU.apply, "silu")


def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """``input * Phi(input)``, Phi the normal distribution's cumulative function (Hendrycks and Gimpel 2016).

    ``approximate="tanh"`` is ``input * (1 + tanh(sqrt(2/pi) * (input + 0.044715 input^3))) / 2``.

    >>> import minicnn as mc
    >>> mc.nn.functional.gelu(mc.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])

    Raises
    ------
    ValueError : an approximation that is neither ``"none"`` nor ``"tanh"``. TypeError : an input of whole numbers.
    """
    require_floating(input, "input", "gelu")
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate: expected 'none' or 'tanh', got {approximate!r}")
    return (GELU if approximate == "none" else GELUTanh).apply(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * tanh(softplus(input))`` (Misra 2019).

    >>> import minicnn as mc
    >>> mc.nn.functional.mish(mc.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3034,  0.0000,  0.8651])
    """
    require_floating(input, "input", "mish")
    return perhaps_in_place(input, inplace, Mish.apply, "mish")


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` where it is positive, ``alpha * (e^input - 1)`` elsewhere (Clevert, Unterthiner and Hochreiter 2015).

    >>> import minicnn as mc
    >>> mc.nn.functional.elu(mc.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return _elu(input, alpha, 1.0, 1.0, inplace, "elu")


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` where it is positive, ``alpha * (e^(input / alpha) - 1)`` elsewhere (Barron 2017): smooth for any alpha.

    >>> import minicnn as mc
    >>> mc.nn.functional.celu(mc.tensor([-1.0, 2.0]), 2.0)
    tensor([-0.7869,  2.0000])

    Raises
    ------
    ValueError : ``alpha`` of 0.
    """
    if alpha == 0:
        raise ValueError("alpha: celu divides by it, and cannot take 0")
    return _elu(input, alpha, 1.0, 1.0 / alpha, inplace, "celu")


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """``1.0507 * elu(input, 1.6733)``: keeps mean 0 and variance 1 from layer to layer (Klambauer et al. 2017).

    >>> import minicnn as mc
    >>> mc.nn.functional.selu(mc.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """
    return _elu(input, SELU_ALPHA, SELU_SCALE, 1.0, inplace, "selu")


def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """``ln(1 + e^(beta * input)) / beta``, a smooth ReLU; ``input`` itself where ``beta * input > threshold``.

    >>> import minicnn as mc
    >>> mc.nn.functional.softplus(mc.tensor([-1.0, 0.0, 30.0]))
    tensor([ 0.3133,  0.6931, 30.0000])
    """
    require_floating(input, "input", "softplus")
    return Softplus.apply(input, numbers=(float(beta), float(threshold)))


def logsigmoid(input: Tensor) -> Tensor:
    """``ln sigmoid(input)``, without the loss of digits of taking the logarithm afterwards.

    >>> import minicnn as mc
    >>> mc.nn.functional.logsigmoid(mc.tensor([-100.0, 0.0]))
    tensor([-100.0000,   -0.6931])
    """
    require_floating(input, "input", "logsigmoid")
    return LogSigmoid.apply(input)


def softsign(input: Tensor) -> Tensor:
    """``input / (1 + |input|)``.

    >>> import minicnn as mc
    >>> mc.nn.functional.softsign(mc.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    return input / (abs(input) + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """``input - tanh(input)``.

    >>> import minicnn as mc
    >>> mc.nn.functional.tanhshrink(mc.tensor([1.0]))
    tensor([0.2384])
    """
    return input - tanh(input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along ``dim``, gated by the second: ``a * sigmoid(b)`` (Dauphin et al. 2017).

    >>> import minicnn as mc
    >>> mc.nn.functional.glu(mc.tensor([4.0, 0.0]))
    tensor([2.])

    Raises
    ------
    ValueError : an odd number of elements along ``dim``, and a 0-dimensional input.
    """
    require_floating(input, "input", "glu")
    if input.ndim == 0:
        raise ValueError("input: glu halves a dimension, and a 0-dimensional tensor has none")
    axis = normalize_dim(dim, input.ndim)
    if input.shape[axis] % 2:
        raise ValueError(f"input: glu halves dimension {axis}, whose size {input.shape[axis]} is odd")
    a, b = split(input, input.shape[axis] // 2, axis) if input.shape[axis] else (input, input)
    return a * sigmoid(b)


def _elu(input: Tensor, alpha: float, scale: float, inner: float, inplace: bool, name: str) -> Tensor:
    require_floating(input, "input", name)
    numbers = float(alpha), float(scale), float(inner)
    return perhaps_in_place(input, inplace, lambda x: ELU.apply(x, numbers=numbers), name)


elu_ = in_place_form(elu)
celu_ = in_place_form(celu)
selu_ = in_place_form(selu)
