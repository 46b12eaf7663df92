"""Sharing memory with other array libraries by DLPack: ``torch.utils.dlpack``'s two functions.

Newer code gives the tensor itself to the other library's ``from_dlpack``; nothing else is needed.
"""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor
from ..ops import from_dlpack

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule that another library's ``from_dlpack`` takes, once.

    >>> import minicnn as mc
    >>> capsule = mc.utils.dlpack.to_dlpack(mc.ones(2))
    >>> mc.utils.dlpack.from_dlpack(capsule)
    tensor([1., 1.])
    """
    return tensor.__dlpack__()
