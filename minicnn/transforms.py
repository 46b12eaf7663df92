"""torchvision.transforms' place for :mod:`minicnn.data.transforms`; there is one version, so ``v2`` is the same.

>>> from minicnn.transforms import functional, v2
>>> v2.functional is functional
True
"""

from .data import transforms as v2
from .data.transforms import *  # noqa: F403  every name of its list
from .data.transforms import functional

__all__ = [*v2.__all__, "functional", "v2"]
