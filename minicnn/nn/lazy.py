"""Layers that learn the size of their input from the first input: ``UninitializedParameter`` and ``LazyModuleMixin``.

A lazy layer begins with parameters that have a type but no shape. The first call looks at the input, gives them one, draws
their values, and turns the layer into the ordinary one (``LazyConv2d`` into ``Conv2d``) for good. Until then they can be
converted, copied, saved and loaded; everything else is an error that says what to do. The layers are in
``lazy_layers.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minicnn.autograd import Tensor
from minicnn.dtypes import as_dtype, get_default_dtype
from minicnn.nn.parameter import Buffer, Parameter

if TYPE_CHECKING:
    from minicnn.nn.module import Module


class UninitializedTensorMixin(Tensor):
    """A tensor that has a type and no shape yet. ``materialize(shape)`` makes an ordinary one of it, in place."""

    cls_to_become: ClassVar[type[Tensor]]

    def __init__(self, requires_grad: bool = False, device: Any = None, dtype: Any = None) -> None:
        if device is not None:
            Tensor(np.empty(0)).to(device)  # raises where there is no such device
        kind = get_default_dtype() if dtype is None else as_dtype(dtype)
        Tensor.__init__(self, np.empty(0, kind.numpy))
        self._leaf_requires_grad = requires_grad

    # Whatever wants numbers, or a shape, asks for the array.
    @property
    def _array(self) -> np.ndarray:
        raise ValueError(
            f"Attempted to use an uninitialized parameter: it is a {type(self).__name__}, of a lazy layer whose input sizes "
            "are not known yet. Call the module once with a batch (or zeros of its shape) before you count, clone or train "
            "its parameters"
        )

    @_array.setter
    def _array(self, array: np.ndarray) -> None:
        _place.__set__(self, array)

    def materialize(self, shape: Sequence[int], device: Any = None, dtype: Any = None) -> None:
        """Become an ordinary parameter or tensor of this shape, with values that mean nothing yet."""
        kind = self.dtype if dtype is None else as_dtype(dtype)
        self._array = np.empty(tuple(shape), kind.numpy)
        self.__class__ = self.cls_to_become  # type: ignore[assignment]

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer: call the module once with a batch first. (In "
            "load_state_dict it means that the values to load are uninitialized themselves.)"
        )

    @property
    def dtype(self) -> Any:
        """The type that it will have."""
        return as_dtype(_place.__get__(self).dtype)

    def is_floating_point(self) -> bool:
        """Whether the type is one of real numbers."""
        return bool(self.dtype.is_floating_point)

    @property
    def requires_grad(self) -> bool:
        """Whether it will have a gradient."""
        return self._leaf_requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self._leaf_requires_grad = bool(value)

    @property
    def data(self) -> Any:
        """Itself: there is nothing to share."""
        return self

    @data.setter
    def data(self, value: Tensor) -> None:
        self._array = np.empty(0, value.dtype.numpy)

    def detach(self) -> Any:
        """Itself, too."""
        return self

    def to(self, *args: Any, **options: Any) -> Any:
        """An uninitialized one of another type."""
        kind = Tensor(_place.__get__(self)).to(*args, **options).dtype
        return self if kind == self.dtype else type(self)(self.requires_grad, dtype=kind)

    def float(self, memory_format: Any = None) -> Any:
        """Of float32."""
        return self.to(as_dtype("float32"))

    def double(self, memory_format: Any = None) -> Any:
        """Of float64."""
        return self.to(as_dtype("float64"))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        memo[id(self)] = copied = type(self)(self.requires_grad, dtype=self.dtype)
        copied.__dict__.update(self.__dict__)
        return copied

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return type(self), (self.requires_grad, None, self.dtype), dict(self.__dict__)


_place: Any = Tensor.__dict__["_array"]  # where a tensor keeps its array, in spite of the property above


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is not known yet.

    Parameters
    ----------
    requires_grad : whether the gradient will be wanted.
    device, dtype : where and in which type it will be.

    >>> from minicnn import nn
    >>> parameter = nn.UninitializedParameter()
    >>> parameter.materialize((2, 3))
    >>> type(parameter).__name__, parameter.shape
    ('Parameter', minicnn.Size([2, 3]))
    """

    cls_to_become = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(requires_grad, device, dtype)


class UninitializedBuffer(UninitializedTensorMixin, Buffer):
    """A buffer whose shape is not known yet.

    Parameters
    ----------
    requires_grad : False; buffers have no gradient.
    device, dtype : where and in which type it will be.
    persistent : whether ``state_dict()`` includes it.
    """

    cls_to_become = Tensor

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> None:
        super().__init__(requires_grad, device, dtype)
        self.persistent = persistent


def is_lazy(tensor: Any) -> bool:
    """Whether it is a parameter or buffer without a shape."""
    return isinstance(tensor, UninitializedTensorMixin)


class LazyModuleMixin:
    """What makes a layer lazy; in front of the layer it becomes: ``class LazyLinear(LazyModuleMixin, Linear)``.

    The layer makes uninitialized parameters in ``__init__``, and defines ``initialize_parameters(*args)``, which is called
    with the arguments of the first call, to ``materialize`` them. Afterwards its class is ``cls_to_become``.

    >>> import minicnn as mc
    >>> layer = mc.nn.LazyLinear(2)
    >>> layer.weight
    <UninitializedParameter>
    >>> layer(mc.ones(1, 3)).shape, layer
    (minicnn.Size([1, 2]), Linear(in_features=3, out_features=2, bias=True))

    Raises
    ------
    RuntimeError : in the first call, where a parameter is without a shape after ``initialize_parameters``.
    """

    cls_to_become: ClassVar[type[Module] | None] = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Initialize, become the ordinary layer, and be called as that."""
        module: Any = self
        module.initialize_parameters(*args, **kwargs)
        if self.has_uninitialized_params():
            raise RuntimeError(
                f"module {type(self).__name__} has not been fully initialized: its initialize_parameters must materialize "
                "all of its parameters and buffers"
            )
        if self.cls_to_become is not None:
            module.__class__ = self.cls_to_become
            return module(*args, **kwargs)
        return super().__call__(*args, **kwargs)  # type: ignore[misc]

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give the parameters their shapes, from the arguments of the first call."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer of the layer itself has no shape yet."""
        module: Any = self
        return any(is_lazy(tensor) for tensor in (*module._parameters.values(), *module._buffers.values()))
