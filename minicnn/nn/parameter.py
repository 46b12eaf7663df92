"""``Parameter`` and ``Buffer``: the two kinds of tensor that a ``Module`` files when they are assigned to it.

Both are ordinary tensors; only their type tells ``tree.py`` where they belong.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.dtypes import get_default_dtype


class Parameter(Tensor):
    """A tensor that is trained: assigned to a module, it appears in ``module.parameters()``.

    It shares memory with ``data``; results computed from it are plain tensors.

    Parameters
    ----------
    data : values of any shape; empty by default.
    requires_grad : whether the gradient is wanted; False freezes it.

    Raises
    ------
    TypeError : ``data`` is not a Tensor.
    RuntimeError : integer or bool ``data`` with ``requires_grad=True``: these have no gradient.

    >>> import minicnn as mc
    >>> mc.nn.Parameter(mc.tensor([1.0, 2.0]))
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        _look_at(self, data, requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """An independent copy of the values; the gradient stays behind, as in torch."""
        copied = super().__deepcopy__(memo)
        copied.grad = None
        return copied


class Buffer(Tensor):
    """A tensor that is state but not trained: ``self.scale = nn.Buffer(t)`` is ``self.register_buffer("scale", t)``.

    Parameters
    ----------
    data : values of any shape; empty by default.
    persistent : whether the module's ``state_dict()`` includes it.

    Raises
    ------
    TypeError : ``data`` is not a Tensor.
    """

    persistent: bool

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        _look_at(self, data, requires_grad=False)
        self.persistent = persistent


def _look_at(tensor: Tensor, data: Tensor | None, requires_grad: bool) -> None:
    """Make ``tensor`` a leaf that shares ``data``'s memory, and its version."""
    if data is None:
        data = Tensor(np.empty(0, get_default_dtype().numpy))
    if not isinstance(data, Tensor):
        raise TypeError(
            f"data: expected a Tensor, got {type(data).__name__}: mc.tensor(values) or mc.from_numpy(array) makes one"
        )
    if requires_grad and not data.is_floating_point():
        raise RuntimeError(
            f"Only Tensors of floating point dtype can require gradients, got {data.dtype}: pass requires_grad=False, "
            "or convert with .float()"
        )
    Tensor.__init__(tensor, data._array, requires_grad)
    tensor._share_storage(data)
