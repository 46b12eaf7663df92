"""The one table that gives ``Tensor`` its methods and operators.

``minicnn/autograd/tensor.py`` knows nothing of particular operations; importing ``minicnn.ops`` hangs them on here. The
types are in ``minicnn/autograd/tensor.pyi``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..absent import refuse
from ..autograd import Tensor
from ..device import device, require_cpu
from ..dtypes import DType, as_dtype, bool_, float32, float64, int8, int16, int32, int64, uint8
from ..layout import memory_format, preserve_format
from . import (
    activation,
    creation,
    cumulative,
    elementwise,
    filling,
    from_data,
    gathering,
    indexing,
    inplace,
    inplace_forms,
    joining,
    masking,
    matmul,
    norms,
    numpy_interop,
    products,
    properties,
    rearrange,
    reduction,
    resizing,
    sampling,
    searching,
    shape,
    softmax,
    sorting,
    statistics,
    views,
)
from .other_names import named
from .promotion import NUMBERS, cast


def _operator(function: Any, reflected: bool = False):
    """A Python operator: other types get their chance (NotImplemented), as Python wants it; NumPy's arrays are taken."""

    def operate(self: Tensor, other: Any) -> Any:
        if not isinstance(self, Tensor):
            raise TypeError(f"expected a Tensor, got {type(self).__name__}")
        if isinstance(other, np.ndarray):
            other = from_data.from_numpy(other)
        if not isinstance(other, (Tensor, *NUMBERS)):
            return NotImplemented
        return function(other, self) if reflected else function(self, other)

    return operate


def to(self: Tensor, *args: Any, **options: Any) -> Tensor:
    """The tensor in another type or on another device: ``to(dtype)``, ``to("cpu")``, ``to(device, dtype)``, ``to(other)``.

    The tensor itself where nothing changes, unless ``copy=True``. ``memory_format``: in that order in memory.

    >>> import minicnn as mc
    >>> mc.tensor([1, 2]).to(mc.float64)
    tensor([1., 2.], dtype=minicnn.float64)

    Raises
    ------
    DeviceUnavailable : for a device that is not there.
    """
    dtype, where = options.pop("dtype", None), options.pop("device", None)
    copy = options.pop("copy", False)
    options.pop("non_blocking", None)
    other = options.pop("other", None)
    format = options.pop("memory_format", None)
    if options:
        raise TypeError(f"to: unexpected argument {next(iter(options))!r}")
    flags = []
    for argument in args if other is None else (other, *args):
        if isinstance(argument, Tensor):
            dtype = argument.dtype
        elif isinstance(argument, (str, device)):
            where = argument
        elif isinstance(argument, bool):
            flags.append(argument)  # non_blocking, then copy: by position, as torch has them
        elif argument is not None:
            dtype = argument
    copy = copy or flags[1:2] == [True]
    require_cpu(where)
    return _converted(self, self.dtype if dtype is None else as_dtype(dtype), format, copy)


def _converted(self: Tensor, dtype: DType, format: memory_format | None, copy: bool = False) -> Tensor:
    out = cast(self, dtype)
    if format is not None and format is not preserve_format:
        out = shape.contiguous(out, memory_format=format)
    return shape.clone(out) if copy and out is self else out


def _converter(dtype: DType):
    def convert(self: Tensor, memory_format: memory_format = preserve_format) -> Tensor:
        return _converted(self, dtype, memory_format)

    convert.__doc__ = f"The tensor as {dtype}."
    return convert


def itself(self: Tensor) -> Tensor:
    """The tensor itself: numbers are real, nothing is lazily conjugated or negated."""
    return self


def cpu(self: Tensor, memory_format: memory_format = preserve_format) -> Tensor:
    """The tensor on the CPU, where it is already."""
    return _converted(self, self.dtype, memory_format)


def cuda(self: Tensor, device: Any = None) -> Tensor:
    """Raises: there is no GPU back end in this version."""
    require_cpu("cuda")
    return self


def type_(self: Tensor, dtype: DType | None = None, non_blocking: bool = False) -> Any:
    """The tensor in another type; without one, the name of its type.

    >>> import minicnn as mc
    >>> mc.tensor([True, False]).type(mc.float), mc.ones(1).type()
    (tensor([1., 0.]), 'minicnn.float32')
    """
    return repr(self.dtype) if dtype is None else cast(self, as_dtype(dtype))


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in the type of another."""
    return cast(self, other.dtype)


def reversed_(self: Tensor) -> Tensor:
    """``reversed(x)``: the first dimension backwards."""
    return rearrange.flip(self, (0,)) if self.ndim else self


def transposed(self: Tensor) -> Tensor:
    """The dimensions in reverse order."""
    return shape.permute(self, tuple(range(self.ndim))[::-1])


def hermitian(self: Tensor) -> Tensor:
    """A matrix transposed (numbers are real here, so nothing is conjugated); a number as it is."""
    if self.ndim not in (0, 2):
        raise ValueError(f"H: expected a matrix, got shape {tuple(self.shape)}; use mH for a batch of them")
    return shape.t(self)


def matrix_transposed(self: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    if self.ndim < 2:
        raise ValueError(f"mT: expected a matrix or a batch of them, got shape {tuple(self.shape)}")
    return shape.transpose(self, -2, -1)


@shape._sizes("size")
def view(self: Tensor, *size: Any) -> Tensor:
    """See :func:`minicnn.ops.shape.view`."""
    if len(size) == 1 and isinstance(size[0], DType):
        raise NotImplementedError("view(dtype): reinterpreting bytes is not supported; convert with .to(dtype)")
    return shape.view(self, *size)


def view_as(self: Tensor, other: Tensor) -> Tensor:
    """:func:`view` in the shape of ``other``."""
    return shape.view(self, tuple(other.shape))


def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """:func:`reshape` in the shape of ``other``."""
    return shape.reshape(self, tuple(other.shape))


def _named(family: Any, names: str) -> dict[str, Any]:
    return {name: getattr(family, name) for name in names.split()}


METHODS: dict[str, Any] = {
    **{name: getattr(elementwise, name) for name in elementwise.__all__ if name not in ("where", "rsub")},
    **inplace.FORMS,
    **_named(sampling, "bernoulli multinomial"),
    **_named(resizing, "resize_ resize_as_ fill_diagonal_"),
    **_named(matmul, "matmul"),
    **_named(activation, "hardshrink prelu relu relu_"),
    **_named(softmax, "log_softmax softmax"),
    **_named(reduction, "sum mean amax amin max min argmax argmin any all"),
    **_named(shape, "reshape flatten permute transpose t squeeze unsqueeze expand expand_as"),
    **_named(shape, "clone contiguous"),
    **_named(
        views, "narrow select diagonal unfold as_strided movedim moveaxis swapaxes swapdims adjoint unflatten ravel"
    ),
    **_named(views, "broadcast_to sum_to_size narrow_copy"),
    **_named(joining, "split split_with_sizes chunk tensor_split hsplit vsplit dsplit unbind"),
    **_named(
        rearrange, "flip fliplr flipud rot90 roll repeat tile repeat_interleave tril triu diag diag_embed diagflat"
    ),
    **_named(gathering, "gather take_along_dim scatter scatter_add scatter_reduce index_select index_add index_copy"),
    **_named(gathering, "index_fill index_reduce index_put take put"),
    **_named(masking, "masked_fill masked_select masked_scatter"),
    **_named(sorting, "sort argsort msort topk kthvalue median nanmedian mode unique unique_consecutive"),
    **_named(searching, "nonzero argwhere bincount histc"),
    **_named(reduction, "aminmax count_nonzero logsumexp nanmean nansum prod"),
    **_named(statistics, "corrcoef cov nanquantile quantile std var"),
    **_named(cumulative, "cummax cummin cumprod cumsum diff logcumsumexp"),
    **_named(norms, "dist norm renorm"),
    **_named(products, "addbmm addmm addmv addr baddbmm bmm cross dot ger inner kron mm mv outer trace vdot"),
    **inplace_forms.IN_PLACE,
    **_named(inplace, "copy_ fill_ zero_"),
    "new_tensor": from_data.new_tensor,
    **_named(creation, "new_zeros new_ones new_empty new_full new_empty_strided"),
    **_named(filling, "uniform_ normal_ log_normal_ exponential_ geometric_ cauchy_ bernoulli_ random_"),
    "to": to,
    "cpu": cpu,
    "cuda": cuda,
    "type_as": type_as,
    "view": view,
    "view_as": view_as,
    "reshape_as": reshape_as,
    "where": lambda self, condition, other: elementwise.where(condition, self, other),
    "type": type_,
    "conj": itself,
    "resolve_conj": itself,
    "resolve_neg": itself,
    "real": property(itself),
    "float": _converter(float32),
    "double": _converter(float64),
    "long": _converter(int64),
    "int": _converter(int32),
    "short": _converter(int16),
    "char": _converter(int8),
    "byte": _converter(uint8),
    "bool": _converter(bool_),
    "apply_": numpy_interop.apply_,
    "map_": numpy_interop.map_,
    "T": property(transposed),
    "H": property(hermitian),
    "mT": property(matrix_transposed),
    "mH": property(views.adjoint),
    # operators
    "__add__": _operator(elementwise.add),
    "__radd__": _operator(elementwise.add, reflected=True),
    "__sub__": _operator(elementwise.sub),
    "__rsub__": _operator(elementwise.sub, reflected=True),
    "__mul__": _operator(elementwise.mul),
    "__rmul__": _operator(elementwise.mul, reflected=True),
    "__truediv__": _operator(elementwise.div),
    "__rtruediv__": _operator(elementwise.div, reflected=True),
    "__div__": _operator(elementwise.div),  # Python 2's name, which torch has as well
    "__rdiv__": _operator(elementwise.div, reflected=True),
    "__floordiv__": _operator(elementwise.floor_divide),
    "__rfloordiv__": _operator(elementwise.floor_divide, reflected=True),
    "__mod__": _operator(elementwise.remainder),
    "__rmod__": _operator(elementwise.remainder, reflected=True),
    "__pow__": _operator(elementwise.pow),
    "__rpow__": _operator(elementwise.pow, reflected=True),
    "__matmul__": _operator(matmul.matmul),
    "__rmatmul__": _operator(matmul.matmul, reflected=True),
    "__imatmul__": _operator(inplace.in_place_form(matmul.matmul)),
    "__neg__": elementwise.neg,
    "__pos__": elementwise.positive,
    "__abs__": elementwise.abs,
    "__invert__": elementwise.bitwise_not,
    "__lshift__": _operator(elementwise.bitwise_left_shift),
    "__rlshift__": _operator(elementwise.bitwise_left_shift, reflected=True),
    "__rshift__": _operator(elementwise.bitwise_right_shift),
    "__rrshift__": _operator(elementwise.bitwise_right_shift, reflected=True),
    "__and__": _operator(elementwise.bitwise_and),
    "__rand__": _operator(elementwise.bitwise_and, reflected=True),
    "__or__": _operator(elementwise.bitwise_or),
    "__ror__": _operator(elementwise.bitwise_or, reflected=True),
    "__xor__": _operator(elementwise.bitwise_xor),
    "__rxor__": _operator(elementwise.bitwise_xor, reflected=True),
    "__eq__": _operator(elementwise.eq),
    "__ne__": _operator(elementwise.ne),
    "__lt__": _operator(elementwise.lt),
    "__le__": _operator(elementwise.le),
    "__gt__": _operator(elementwise.gt),
    "__ge__": _operator(elementwise.ge),
    "__iadd__": _operator(inplace.FORMS["add_"]),
    "__isub__": _operator(inplace.FORMS["sub_"]),
    "__imul__": _operator(inplace.FORMS["mul_"]),
    "__itruediv__": _operator(inplace.FORMS["div_"]),
    "__idiv__": _operator(inplace.FORMS["div_"]),
    "__ifloordiv__": _operator(inplace.FORMS["floor_divide_"]),
    "__imod__": _operator(inplace.FORMS["remainder_"]),
    "__ipow__": _operator(inplace.FORMS["pow_"]),
    "__iand__": _operator(inplace.FORMS["bitwise_and_"]),
    "__ior__": _operator(inplace.FORMS["bitwise_or_"]),
    "__ixor__": _operator(inplace.FORMS["bitwise_xor_"]),
    "__ilshift__": _operator(inplace.FORMS["bitwise_left_shift_"]),
    "__irshift__": _operator(inplace.FORMS["bitwise_right_shift_"]),
    "__reversed__": reversed_,
    "__array_ufunc__": numpy_interop.array_ufunc,
    "__getitem__": indexing.getitem,
    "__setitem__": inplace.setitem,
}

METHODS["is_nonzero"] = properties.is_nonzero
METHODS.update(named(METHODS))
for _name, _method in METHODS.items():
    setattr(Tensor, _name, _method)


def _missing(self: Tensor, name: str) -> Any:
    raise refuse("Tensor", name)


Tensor.__getattr__ = _missing  # type: ignore[attr-defined]
