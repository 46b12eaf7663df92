"""Activations as layers. Formulas and references are with the functions, in ``minicnn/ops``: ``activation.py`` and
``activation_smooth.py``, and ``softmax.py``, whose layers are in ``nn/softmax.py``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn import init
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.ops import empty


class _Plain(Module):
    """A function without options."""

    function: ClassVar[Callable[..., Tensor]]

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return type(self).function(input)


class _PerhapsInPlace(Module):
    """A function whose one option is ``inplace``: overwrite the input rather than make a new tensor."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return type(self).function(input, inplace=self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class _WithOptions(Module):
    """A function with the options named in ``options``, which are attributes, after the input; ``inplace`` is the last."""

    function: ClassVar[Callable[..., Tensor]]
    options: ClassVar[tuple[str, ...]]

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        options = [getattr(self, name) for name in self.options]
        if hasattr(self, "inplace"):
            return type(self).function(input, *options, inplace=self.inplace)
        return type(self).function(input, *options)

    def extra_repr(self) -> str:
        shown = [f"{name}={getattr(self, name)}" for name in self.options]
        return ", ".join([*shown, "inplace=True"] if getattr(self, "inplace", False) else shown)


class ReLU(_PerhapsInPlace):
    """``max(x, 0)``, element by element; the gradient at 0 is 0.

    Parameters
    ----------
    inplace : overwrite the input rather than make a new tensor.

    >>> import minicnn as mc
    >>> mc.nn.ReLU()(mc.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """

    function = staticmethod(F.relu)


class Hardtanh(_WithOptions):
    """:func:`~minicnn.nn.functional.hardtanh` as a layer. (``min_value``, ``max_value``: torch's former names.)

    >>> import minicnn as mc
    >>> mc.nn.Hardtanh(-2, 2)(mc.tensor([-3.0, 0.5]))
    tensor([-2.0000,  0.5000])

    Raises
    ------
    ValueError : a lower limit that is not below the upper one.
    """

    function = staticmethod(F.hardtanh)
    options = ("min_val", "max_val")

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__()
        for former, name in ((min_value, "min_val"), (max_value, "max_val")):
            if former is not None:
                warnings.warn(f"Hardtanh: {name[:3]}_value is deprecated, use {name}", FutureWarning, stacklevel=2)
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if not self.max_val > self.min_val:
            raise ValueError(f"min_val: Hardtanh needs min_val < max_val, got {self.min_val} and {self.max_val}")


class ReLU6(Hardtanh):
    """:func:`~minicnn.nn.functional.relu6` as a layer: ``min(max(x, 0), 6)``.

    >>> import minicnn as mc
    >>> mc.nn.ReLU6()(mc.tensor([-1.0, 5.0, 7.0]))
    tensor([0., 5., 6.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class LeakyReLU(_WithOptions):
    """:func:`~minicnn.nn.functional.leaky_relu` as a layer: ``x``, or ``negative_slope * x`` where ``x`` is negative.

    >>> import minicnn as mc
    >>> mc.nn.LeakyReLU(0.1)(mc.tensor([-1.0, 2.0]))
    tensor([-0.1000,  2.0000])
    """

    function = staticmethod(F.leaky_relu)
    options = ("negative_slope",)

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace


class PReLU(Module):
    """:func:`~minicnn.nn.functional.prelu` with its slope as a parameter.

    Parameters
    ----------
    num_parameters : 1, or the number of channels of the input (n, c, ...).
    init : the slope at first.
    device, dtype : where and in which floating-point dtype to make the parameter.

    >>> import minicnn as mc
    >>> mc.nn.PReLU()(mc.tensor([-1.0, 2.0]))
    tensor([-0.2500,  2.0000], grad_fn=<...>)
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the slope to what it was at first."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    """:func:`~minicnn.nn.functional.rrelu` as a layer: random slopes in training mode, their mean in evaluation mode.

    >>> import minicnn as mc
    >>> mc.nn.RReLU(0.25, 0.75).eval()(mc.tensor([-4.0, 2.0]))
    tensor([-2.,  2.])
    """

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class ELU(_WithOptions):
    """:func:`~minicnn.nn.functional.elu` as a layer: ``x``, or ``alpha * (e^x - 1)`` where ``x`` is negative.

    >>> import minicnn as mc
    >>> mc.nn.ELU()(mc.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    function = staticmethod(F.elu)
    options = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace


class CELU(ELU):
    """:func:`~minicnn.nn.functional.celu` as a layer: ``x``, or ``alpha * (e^(x / alpha) - 1)`` where ``x`` is negative."""

    function = staticmethod(F.celu)


class SELU(_PerhapsInPlace):
    """:func:`~minicnn.nn.functional.selu` as a layer."""

    function = staticmethod(F.selu)


class GELU(Module):
    """:func:`~minicnn.nn.functional.gelu` as a layer; ``approximate`` is ``'none'`` or ``'tanh'``.

    >>> import minicnn as mc
    >>> mc.nn.GELU()(mc.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(_PerhapsInPlace):
    """:func:`~minicnn.nn.functional.silu` as a layer: ``x * sigmoid(x)``.

    >>> import minicnn as mc
    >>> mc.nn.SiLU()(mc.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """

    function = staticmethod(F.silu)


class Mish(_PerhapsInPlace):
    """:func:`~minicnn.nn.functional.mish` as a layer: ``x * tanh(softplus(x))``."""

    function = staticmethod(F.mish)


class Hardswish(_PerhapsInPlace):
    """:func:`~minicnn.nn.functional.hardswish` as a layer: ``x * hardsigmoid(x)``.

    >>> import minicnn as mc
    >>> mc.nn.Hardswish()(mc.tensor([-4.0, 3.0]))
    tensor([-0.,  3.])
    """

    function = staticmethod(F.hardswish)

    def extra_repr(self) -> str:
        return ""


class Hardsigmoid(_PerhapsInPlace):
    """:func:`~minicnn.nn.functional.hardsigmoid` as a layer: ``min(max(x + 3, 0), 6) / 6``."""

    function = staticmethod(F.hardsigmoid)

    def extra_repr(self) -> str:
        return ""


class Softplus(_WithOptions):
    """:func:`~minicnn.nn.functional.softplus` as a layer: ``ln(1 + e^(beta x)) / beta``."""

    function = staticmethod(F.softplus)
    options = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold


class Hardshrink(_WithOptions):
    """:func:`~minicnn.nn.functional.hardshrink` as a layer."""

    function = staticmethod(F.hardshrink)
    options = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softshrink(Hardshrink):
    """:func:`~minicnn.nn.functional.softshrink` as a layer."""

    function = staticmethod(F.softshrink)


class Threshold(_WithOptions):
    """:func:`~minicnn.nn.functional.threshold` as a layer: ``x`` where it is above the threshold, ``value`` elsewhere."""

    function = staticmethod(F.threshold)
    options = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace


class GLU(_WithOptions):
    """:func:`~minicnn.nn.functional.glu` as a layer: one half of a dimension gates the other."""

    function = staticmethod(F.glu)
    options = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim


class Sigmoid(_Plain):
    """``1 / (1 + exp(-x))``, element by element.

    >>> import minicnn as mc
    >>> mc.nn.Sigmoid()(mc.tensor([0.0]))
    tensor([0.5000])
    """

    function = staticmethod(F.sigmoid)


class LogSigmoid(_Plain):
    """:func:`~minicnn.nn.functional.logsigmoid` as a layer."""

    function = staticmethod(F.logsigmoid)


class Tanh(_Plain):
    """The hyperbolic tangent, element by element.

    >>> import minicnn as mc
    >>> mc.nn.Tanh()(mc.tensor([0.0]))
    tensor([0.])
    """

    function = staticmethod(F.tanh)


class Softsign(_Plain):
    """:func:`~minicnn.nn.functional.softsign` as a layer: ``x / (1 + |x|)``."""

    function = staticmethod(F.softsign)


class Tanhshrink(_Plain):
    """:func:`~minicnn.nn.functional.tanhshrink` as a layer: ``x - tanh(x)``."""

    function = staticmethod(F.tanhshrink)
