"""Dropout layers. The arithmetic is in ``minicnn/ops/dropout.py``. In evaluation mode they all return their input."""

from __future__ import annotations

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn.module import Module


class _DropoutNd(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """In training mode sets each element to 0 with probability ``p`` and multiplies the others by 1 / (1 - p).

    In evaluation mode it returns its input (Hinton et al. 2012, https://arxiv.org/abs/1207.0580).

    Parameters
    ----------
    p : probability of *dropping* an element.
    inplace : overwrite the input rather than make a new tensor.

    Raises
    ------
    ValueError : ``p`` outside [0, 1].

    >>> import minicnn as mc
    >>> mc.nn.Dropout(0.5).eval()(mc.ones(3))
    tensor([1., 1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_DropoutNd):
    """Dropout of whole channels of (n, c, length) or (c, length). ``Dropout`` has the arguments."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    """Dropout of whole channels of images (n, c, h, w). ``Dropout`` has the arguments.

    >>> import minicnn as mc
    >>> y = mc.nn.Dropout2d(0.5)(mc.ones(4, 8, 3, 3))
    >>> bool((y == y[:, :, :1, :1]).all())  # all pixels of a channel share their fate
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    """Dropout of whole channels of volumes (n, c, depth, h, w) or (c, depth, h, w). ``Dropout`` has the arguments."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    """Dropout for SELU networks, which keeps mean 0 and variance 1. ``inplace`` has no effect, as in torch."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """Alpha dropout of whole channels of (n, c, ...). ``inplace`` has no effect, as in torch."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.feature_alpha_dropout(input, self.p, self.training)
