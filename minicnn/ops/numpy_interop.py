"""Tensors among NumPy's functions: ``np.sin(tensor)``, ``array + tensor``, DLPack, functions of Python numbers.

A universal function of NumPy that has a namesake here becomes it, so that the types are torch's and a gradient flows.
Others, and their methods (``np.add.reduce``), are refused: ``tensor.numpy()`` says that NumPy is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import Tensor
from . import elementwise, matmul
from .from_data import _sharing, from_numpy
from .inplace import in_place

_NAMES = {
    "power": elementwise.pow,
    "rint": elementwise.round,
    "equal": elementwise.eq,
    "invert": elementwise.bitwise_not,
    "left_shift": elementwise.bitwise_left_shift,
    "right_shift": elementwise.bitwise_right_shift,
    "matmul": matmul.matmul,
} | {name: getattr(elementwise, name) for name in elementwise.__all__ if name != "equal"}
FUNCTIONS: dict[Any, Callable[..., Any]] = {
    ufunc: function for name, function in _NAMES.items() if isinstance(ufunc := getattr(np, name, None), np.ufunc)
}


def array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
    """What NumPy calls for ``ufunc(..., tensor, ...)``, its arrays' operators included.

    >>> import minicnn as mc, numpy as np
    >>> x = mc.tensor([1.0, 4.0], requires_grad=True)
    >>> (np.sqrt(x) * np.array([2.0, 3.0])).sum().backward()
    >>> x.grad
    tensor([1.0000, 0.7500])

    Raises
    ------
    TypeError : for a function that has no namesake among this framework's.
    """
    if method == "__call__" and out is not None and all(isinstance(o, np.ndarray) for o in out):  # array += tensor
        return ufunc(*(x.numpy() if isinstance(x, Tensor) else x for x in inputs), out=out, **options)
    function = FUNCTIONS.get(ufunc)
    if method != "__call__" or function is None or out is not None or options:
        what = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        raise TypeError(
            f"np.{what} does not take a minicnn.Tensor so; give it tensor.numpy() (tensor.detach().numpy() where it "
            "requires grad), or use this framework's own functions"
        )
    return function(*(from_numpy(x) if isinstance(x, np.ndarray) else x for x in inputs))


class _Capsule:
    """An old-style DLPack capsule, as something that NumPy takes."""

    def __init__(self, capsule: Any):
        self.capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # the CPU


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor that shares the memory of another library's array, by the DLPack protocol.

    >>> import minicnn as mc, numpy as np
    >>> mc.from_dlpack(np.arange(3))
    tensor([0, 1, 2])

    Raises
    ------
    TypeError : for a type that tensors do not have.
    """
    if type(ext_tensor).__name__ == "PyCapsule":
        ext_tensor = _Capsule(ext_tensor)
    return _sharing(np.from_dlpack(ext_tensor))


def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Each element replaced by what a Python function makes of it: slow, and without gradients. Returns the tensor.

    >>> import minicnn as mc
    >>> mc.tensor([1, 2]).apply_(lambda x: 10 * x)
    tensor([10, 20])
    """
    return _each(self, "apply_", callable)


def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Each element replaced by what a Python function makes of it and of ``tensor``'s: slow. Returns the tensor.

    >>> import minicnn as mc
    >>> mc.tensor([1, 2]).map_(mc.tensor([3, 4]), lambda a, b: a * b)
    tensor([3, 8])
    """
    return _each(self, "map_", callable, tensor)


def _each(self: Tensor, name: str, function: Callable[..., Any], *others: Tensor) -> Tensor:
    if any(t.requires_grad for t in (self, *others)):
        raise RuntimeError(f"{name}: a Python function has no gradient; detach() the tensors first")

    def compute(x: Tensor) -> Tensor:
        arrays = np.broadcast_arrays(x._array, *(t._array for t in others))
        values = [function(*numbers) for numbers in zip(*(a.ravel().tolist() for a in arrays), strict=True)]
        return Tensor(np.array(values, x._array.dtype).reshape(arrays[0].shape))

    return in_place(self, compute, name, *others)
