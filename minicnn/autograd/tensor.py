"""Tensor: an array, its gradient, and who made it.

A tensor holds a NumPy array (``_array``, any memory order), whether it wants a gradient, and a link to the graph
(``_node``, see ``op.py``). It knows nothing of particular operations: ``minicnn/ops/tensor_methods.py`` is the one table
that gives it ``+``, ``sum``, ``reshape`` and the rest, and ``tensor.pyi`` types them. Next: ``op.py``.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels import workspace

from ..device import CPU
from ..dtypes import as_dtype
from ..layout import contiguous_format, lies_in, memory_format, strided
from . import tracing
from .formatting import format_tensor
from .version import VersionCell

_handle_ids = itertools.count()


class Size(tuple):
    """A tensor's shape: a tuple that can count its elements.

    >>> Size((2, 3)).numel()
    6
    """

    __slots__ = ()

    def numel(self) -> int:
        """The product of the sizes."""
        n = 1
        for size in self:
            n *= size
        return n

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        return Size(part) if isinstance(index, slice) else part

    def __add__(self, other: Any) -> Size:
        return Size(super().__add__(tuple(other)))

    def __mul__(self, times: Any) -> Size:
        return Size(super().__mul__(times))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"minicnn.Size({list(self)})"


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes the hook out again. Also a context manager."""

    def __init__(self, hooks: dict[int, Any], hook: Any):
        self.id = next(_handle_ids)
        self._hooks = hooks
        hooks[self.id] = hook

    def remove(self) -> None:
        """Take the hook out; a second call does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.remove()


class Storage:
    """The block of memory behind a tensor. Two tensors share theirs if its address is the same."""

    def __init__(self, array: np.ndarray):
        while not workspace.owns(array) and isinstance(array.base, np.ndarray):
            array = array.base
        self._low, self._high = np.lib.array_utils.byte_bounds(array)

    def data_ptr(self) -> int:
        """Its address."""
        return self._low

    def nbytes(self) -> int:
        """Its size in bytes."""
        return self._high - self._low

    size = __len__ = nbytes


class View(NamedTuple):
    """How a tensor came to look at another's memory: as result ``number`` of ``op.apply(parent, *args, **options)``."""

    parent: Any
    op: Any
    args: tuple
    options: dict[str, Any]
    number: int


UNRECORDED_VIEW = View(None, None, (), {}, 0)  # made under no_grad(): nobody knows how


class Tensor:
    """An n-dimensional array that remembers how it was computed.

    Make one with ``mc.tensor(data)``, ``mc.from_numpy(array)`` or a factory (``mc.zeros``, ``mc.randn`` ...);
    ``Tensor(array)`` wraps a NumPy array without a copy.

    >>> import minicnn as mc
    >>> x = mc.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_accumulate_hooks",
        "_array",
        "_grad",
        "_hooks",
        "_leaf_requires_grad",
        "_node",
        "_output_number",
        "_retains_grad",
        "_version_cell",
        "_view_of",
    )

    __array_priority__ = 1000  # NumPy's scalars hand over to our operators

    def __init__(self, array: Any, requires_grad: bool = False):
        if type(array) is not np.ndarray:
            array = np.asarray(array)
        as_dtype(array.dtype)  # refuses what is no tensor type
        self._array = array
        self._version_cell = VersionCell()
        self._node = None
        self._output_number = 0
        self._leaf_requires_grad = False
        self._grad: Tensor | None = None
        self._hooks: dict[int, Any] | None = None
        self._accumulate_hooks: dict[int, Any] | None = None
        self._retains_grad = False
        self._view_of: View | None = None
        if requires_grad:
            self.requires_grad = True

    # ---- what it is

    @property
    def shape(self) -> Size:
        """The sizes of the dimensions."""
        return Size(self._array.shape)

    @property
    def dtype(self):
        """The element type, such as ``mc.float32``."""
        return as_dtype(self._array.dtype)

    @property
    def device(self):
        """Where the tensor lives: ``device("cpu")``."""
        return CPU

    @property
    def is_cpu(self) -> bool:
        """True: tensors live on the CPU."""
        return True

    @property
    def is_cuda(self) -> bool:
        """False: tensors live on the CPU, all elements in numbers as they are."""
        return False

    is_meta = is_mps = is_xpu = is_quantized = is_sparse = is_mkldnn = is_nested = is_cuda

    @property
    def ndim(self) -> int:
        """How many dimensions."""
        return self._array.ndim

    def dim(self) -> int:
        """How many dimensions."""
        return self._array.ndim

    def size(self, dim: int | None = None):
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self._array.shape[dim]

    ndimension = dim

    def numel(self) -> int:
        """How many elements."""
        return self._array.size

    nelement = numel

    def element_size(self) -> int:
        """Bytes an element."""
        return self._array.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self._array.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._array.nbytes

    def is_floating_point(self) -> bool:
        """Whether the elements are floating-point numbers."""
        return self._array.dtype.kind == "f"

    def is_signed(self) -> bool:
        """Whether the type has negative numbers."""
        return self._array.dtype.kind in "if"

    def is_complex(self) -> bool:
        """False: there are no complex numbers here (nor anything conjugated)."""
        return False

    is_conj = is_neg = is_shared = is_pinned = is_complex

    def is_same_size(self, other: Tensor) -> bool:
        """Whether another tensor has the same shape."""
        return self._array.shape == other._array.shape

    def dim_order(self) -> tuple[int, ...]:
        """The dimensions from the slowest to the fastest in memory."""
        return tuple(sorted(range(self.ndim), key=lambda dim: -abs(self._array.strides[dim])))

    def get_device(self) -> int:
        """-1: the CPU, which has no number."""
        return -1

    @property
    def layout(self) -> Any:
        """``mc.strided``, the one layout there is."""
        return strided

    def stride(self, dim: int | None = None):
        """Steps between neighbours of each dimension, in elements."""
        strides = tuple(s // self._array.itemsize for s in self._array.strides)
        return strides if dim is None else strides[dim]

    def is_contiguous(self, memory_format: memory_format = contiguous_format) -> bool:
        """Whether the elements lie without gaps in row-major order, or in the order of another memory format."""
        return lies_in(self._array, memory_format)

    def data_ptr(self) -> int:
        """The address of the first element."""
        return self._array.__array_interface__["data"][0]

    def storage_offset(self) -> int:
        """How many elements of the memory lie before the first one of this tensor."""
        return (self.data_ptr() - self.untyped_storage().data_ptr()) // self._array.itemsize

    def untyped_storage(self) -> Storage:
        """The memory that this tensor and its views look at: its address and its size."""
        return Storage(self._array)

    def is_set_to(self, other: Tensor) -> bool:
        """Whether another tensor looks at the same memory in the same way."""
        a, b = self._array, other._array
        return (self.data_ptr(), a.shape, a.strides, a.dtype) == (other.data_ptr(), b.shape, b.strides, b.dtype)

    # ---- its place in the graph

    @property
    def requires_grad(self) -> bool:
        """Whether a backward pass computes a gradient for it."""
        return self._leaf_requires_grad or self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        tracing.note_effect("setting requires_grad")
        if self._node is not None:
            if not value:
                raise RuntimeError("requires_grad: only a leaf can be switched off; use detach() on a computed tensor")
            return
        if value and self._array.dtype.kind != "f":
            raise RuntimeError(
                f"requires_grad: only floating-point tensors can have gradients, got {self.dtype}. Convert with .float()"
            )
        self._leaf_requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for a gradient (or no longer), in place. Returns the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        return self._node is None

    @property
    def _base(self) -> Tensor | None:
        """The tensor that this one is a view of, if it was made while recording."""
        base = self
        while base._view_of is not None and base._view_of is not UNRECORDED_VIEW:
            base = base._view_of.parent
        return None if base is self else base

    def _is_view(self) -> bool:
        return self._view_of is not None

    @property
    def output_nr(self) -> int:
        """Which of the results of ``grad_fn`` it is."""
        return self._output_number

    @property
    def grad_fn(self):
        """The recorded operation that made it, or None for a leaf."""
        return self._node

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward passes have added up here, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        tracing.note_effect("setting grad")
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad: expected a Tensor or None, got {type(value).__name__}")
            if value._array.shape != self._array.shape or value._array.dtype != self._array.dtype:
                raise RuntimeError(
                    f"grad: expected {self.dtype} of shape {tuple(self.shape)}, as the tensor itself, got "
                    f"{value.dtype} of shape {tuple(value.shape)}"
                )
        self._grad = value

    @property
    def data(self) -> Tensor:
        """The same memory without the graph. As in torch, changes through it escape the version check: prefer
        ``detach()``."""
        out = Tensor(self._array)
        self._version_cell.exported = out._version_cell.exported = True
        return out

    @data.setter
    def data(self, value: Tensor) -> None:
        tracing.note_effect("setting data")
        if not isinstance(value, Tensor):
            raise TypeError(f"data: expected a Tensor, got {type(value).__name__}")
        self._array = value._array
        self._version_cell = VersionCell()
        self._view_of = None

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Compute the gradients of this tensor with respect to the leaves, and add them to each leaf's ``.grad``.

        Parameters
        ----------
        gradient : the gradient of some scalar with respect to this tensor, of its shape; may be left out for a tensor of
            one element, where it is 1.
        retain_graph : keep what the operations saved, so that a second backward is possible.
        create_graph : a graph of the backward pass itself, for higher derivatives. Not supported yet.
        inputs : leaves to accumulate into, and no others.

        Raises
        ------
        RuntimeError : where nothing requires a gradient, where a gradient is needed and missing or of another shape, in a
            second backward through a freed graph, and where a kept array has been changed in place.

        >>> import minicnn as mc
        >>> w = mc.tensor([3.0], requires_grad=True)
        >>> (w ** 2).backward()
        >>> w.grad
        tensor([6.])
        """
        from . import backward

        backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def detach(self) -> Tensor:
        """The same memory, out of the graph. Shares the version, so changing it in place is noticed."""
        out = Tensor(self._array)
        out._share_storage(self)
        return out

    def detach_(self) -> Tensor:
        """Take this tensor out of the graph, in place."""
        tracing.note_effect("detach_()")
        if self._view_of is not None and self._view_of is not UNRECORDED_VIEW:
            raise RuntimeError("detach_(): a view cannot leave the graph in place; use detach()")
        self._node, self._output_number, self._leaf_requires_grad = None, 0, False
        return self

    def retain_grad(self) -> None:
        """Keep this computed tensor's gradient in ``.grad`` too (leaves do anyway)."""
        tracing.note_effect("retain_grad()")
        if not self.requires_grad:
            raise RuntimeError("retain_grad: this tensor does not require grad")
        if self._node is not None and not self._retains_grad:
            self._retains_grad = True
            self._node.retained = self._node.retained or {}
            self._node.retained[self._output_number] = weakref.ref(self)

    @property
    def retains_grad(self) -> bool:
        """Whether :meth:`retain_grad` was called on this computed tensor."""
        return self._retains_grad

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call ``hook(grad)`` when this tensor's gradient is complete; what it returns, if anything, replaces it."""
        tracing.note_effect("register_hook()")
        if not self.requires_grad:
            raise RuntimeError("register_hook: this tensor does not require grad, so no gradient will ever arrive")
        if self._node is None:
            self._hooks = self._hooks if self._hooks is not None else {}
            return RemovableHandle(self._hooks, hook)
        node = self._node
        node.hooks = node.hooks if node.hooks is not None else {}
        return RemovableHandle(node.hooks.setdefault(self._output_number, {}), hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call ``hook(tensor)`` as soon as ``tensor.grad`` is complete, while the backward pass still runs elsewhere."""
        tracing.note_effect("register_post_accumulate_grad_hook()")
        if self._node is not None or not self.requires_grad:
            raise RuntimeError("register_post_accumulate_grad_hook: only for leaves that require grad")
        self._accumulate_hooks = self._accumulate_hooks if self._accumulate_hooks is not None else {}
        return RemovableHandle(self._accumulate_hooks, hook)

    def _accumulate_grad(self, grad: np.ndarray, ours: bool) -> None:
        """Add an arriving gradient to ``.grad``. ``ours``: nobody else holds the array, so it may be kept as it is."""
        if self._grad is None:
            fits = grad.flags.c_contiguous or not self._array.flags.c_contiguous
            self._grad = Tensor(grad if ours and fits else workspace.copied(grad, "K" if fits else "C"))
        else:
            np.add(self._grad._array, grad, out=self._grad._array)
            self._grad._bump_version("backward")
        for hook in list(self._accumulate_hooks.values()) if self._accumulate_hooks else ():
            hook(self)

    # ---- its storage

    @property
    def _version(self) -> int:
        return self._version_cell.value

    def _bump_version(self, writer: str = "an in-place write") -> None:
        """To be called after every write into ``_array``; ``writer`` is named in the error a stale backward raises."""
        self._version_cell.bump(writer)

    def _share_storage(self, other: Tensor) -> bool:
        """Note that this tensor looks at ``other``'s memory, if it does. Returns whether."""
        shares = self._array is other._array or np.may_share_memory(self._array, other._array)
        if shares:
            self._version_cell = other._version_cell
            self._version_cell.viewed = True
        return shares

    # ---- to Python and NumPy

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The array itself, sharing memory.

        Raises
        ------
        RuntimeError : where the tensor requires grad, since changes made in NumPy would not be seen: ``detach()`` first
            (``force=True`` does it for you).
        """
        _note_read(self, "numpy()")
        if self.requires_grad and not force:
            raise RuntimeError("numpy(): this tensor requires grad; use tensor.detach().numpy()")
        self._version_cell.exported = True
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        """The memory for another library to look at (``np.from_dlpack``, ``torch.from_dlpack`` ...), not copied."""
        _note_read(self, "__dlpack__()")
        if self.requires_grad:
            raise BufferError("__dlpack__: this tensor requires grad; use tensor.detach()")
        self._version_cell.exported = True
        options.pop("stream", None)
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[Any, int]:
        """Where the memory is: the CPU."""
        return self._array.__dlpack_device__()

    def item(self) -> bool | int | float:
        """The one element as a Python number."""
        _note_read(self, "item()")
        if self._array.size != 1:
            raise RuntimeError(f"item(): only a tensor of one element has one, this has shape {tuple(self.shape)}")
        return self._array.item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        _note_read(self, "tolist()")
        return self._array.tolist()

    def __bool__(self) -> bool:
        _note_read(self, "bool()")
        if self._array.size != 1:
            raise RuntimeError(f"the truth of a tensor of shape {tuple(self.shape)} is ambiguous; use .any() or .all()")
        return bool(self._array.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        _note_read(self, "an index")
        if self._array.dtype.kind not in "iub":
            raise TypeError(f"only integer tensors of one element can be an index, got {self.dtype}")
        return int(self.item())

    def __len__(self) -> int:
        if self._array.ndim == 0:
            raise TypeError("len() of a 0-dimensional tensor")
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if self._array.ndim == 0:
            raise TypeError("iteration over a 0-dimensional tensor")
        return iter(self.unbind(0))  # one operation: a gradient for each row by itself would cost rows times rows

    def __contains__(self, value: Any) -> bool:
        _note_read(self, "in")
        if not isinstance(value, (Tensor, bool, int, float, np.generic)):
            raise TypeError(f"in: a tensor holds numbers, got {type(value).__name__}")
        return bool((self._array == (value._array if isinstance(value, Tensor) else value)).any())

    __hash__ = object.__hash__  # by identity, as dictionaries need it, although == compares the elements

    def __repr__(self) -> str:
        _note_read(self, "printing")
        return format_tensor(self)

    def __format__(self, spec: str) -> str:
        # As in torch: f"{loss}" and f"{loss:.4f}" print the number.
        return format(self.item(), spec) if self._array.ndim == 0 else super().__format__(spec)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError("deepcopy: only leaves can be copied with their history; use detach().clone()")
        out = type(self).__new__(type(self))
        Tensor.__init__(out, self._array.copy(order="K"), self._leaf_requires_grad)
        memo[id(self)] = out
        out._grad = None if self._grad is None else self._grad.__deepcopy__(memo)
        out.__dict__.update(self.__dict__)
        return out

    def __reduce_ex__(self, protocol: Any) -> tuple:
        if self._node is not None:
            raise RuntimeError("pickle: only leaves can be stored; use detach()")
        return _rebuild, (type(self), self._array, self._leaf_requires_grad, dict(self.__dict__))


def _note_read(tensor: Tensor, how: str) -> None:
    """Tell a listening tracer that numbers leave the graph here."""
    if tracing.state.tracer is not None:
        tracing.state.tracer.read(tensor, how)


def _rebuild(cls: type[Tensor], array: np.ndarray, requires_grad: bool, attributes: dict[str, Any]) -> Tensor:
    out = cls.__new__(cls)
    Tensor.__init__(out, array, requires_grad)
    out.__dict__.update(attributes)
    return out
