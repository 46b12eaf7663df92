"""Padding layers: ``F.pad``, in ``minicnn/ops/padding.py``, with its mode and its amounts kept.

``padding`` is an int for all sides, or two amounts a dimension, from the last one on: (left, right, top, bottom) for images.
Negative amounts crop. One base, and a class for each mode and number of dimensions, with an example at the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn.module import Module

Amounts = int | Sequence[int]


class _Pad(Module):
    dims: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: Amounts) -> None:
        super().__init__()
        self.padding = (padding,) * (2 * self.dims) if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Tensor) -> Tensor:
        """Pad ``input``."""
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(self, padding: Amounts, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """Pad ``input``."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _CircularPad(_Pad):
    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        """Pad ``input``."""
        if input.ndim not in (self.dims + 1, self.dims + 2):
            raise ValueError(f"expected {self.dims + 1}D or {self.dims + 2}D input (got {input.ndim}D input)")
        return super().forward(input)


class ConstantPad1d(_ConstantPad):
    """A border of ``value`` around (n, c, length) or (c, length).

    >>> import minicnn as mc
    >>> mc.nn.ConstantPad1d((1, 2), 7.0)(mc.zeros(1, 2))
    tensor([[7., 0., 0., 7., 7.]])
    """

    dims = 1


class ConstantPad2d(_ConstantPad):
    """A border of ``value`` around (n, c, h, w) or (c, h, w)."""

    dims = 2


class ConstantPad3d(_ConstantPad):
    """A border of ``value`` around (n, c, d, h, w) or (c, d, h, w)."""

    dims = 3


class ZeroPad1d(ConstantPad1d):
    """A border of zeros around (n, c, length) or (c, length).

    >>> import minicnn as mc
    >>> mc.nn.ZeroPad1d(1)(mc.ones(1, 2))
    tensor([[0., 1., 1., 0.]])
    """

    def __init__(self, padding: Amounts) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """A border of zeros around (n, c, h, w) or (c, h, w)."""

    def __init__(self, padding: Amounts) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """A border of zeros around (n, c, d, h, w) or (c, d, h, w)."""

    def __init__(self, padding: Amounts) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ReflectionPad1d(_Pad):
    """A border of mirrored elements around (n, c, length) or (c, length).

    >>> import minicnn as mc
    >>> mc.nn.ReflectionPad1d(2)(mc.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    dims = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """A border of mirrored elements around (n, c, h, w) or (c, h, w)."""

    dims = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """A border of mirrored elements around (n, c, d, h, w) or (c, d, h, w)."""

    dims = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """A border of copies of the outermost elements around (n, c, length) or (c, length).

    >>> import minicnn as mc
    >>> mc.nn.ReplicationPad1d(2)(mc.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 1., 2., 3., 3., 3.]])
    """

    dims = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """A border of copies of the outermost elements around (n, c, h, w) or (c, h, w)."""

    dims = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """A border of copies of the outermost elements around (n, c, d, h, w) or (c, d, h, w)."""

    dims = 3
    mode = "replicate"


class CircularPad1d(_CircularPad):
    """A border of the elements of the other end around (n, c, length) or (c, length).

    >>> import minicnn as mc
    >>> mc.nn.CircularPad1d(2)(mc.tensor([[1.0, 2.0, 3.0]]))
    tensor([[2., 3., 1., 2., 3., 1., 2.]])
    """

    dims = 1


class CircularPad2d(_CircularPad):
    """A border of the elements of the other end around (n, c, h, w) or (c, h, w)."""

    dims = 2


class CircularPad3d(_CircularPad):
    """A border of the elements of the other end around (n, c, d, h, w) or (c, d, h, w)."""

    dims = 3
