"""In-place operations: right, or an error.

Each computes its result out of place, writes it into the tensor's memory, and bumps the storage's version, so that a
backward pass that still needs the old numbers says so instead of using the new ones. Where the result has a history the
tensor takes it over, as in torch. Not supported, with an error: changing a leaf that requires grad (a parameter, say) while
recording, and recorded changes of a tensor whose memory others share (a view).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import Op, Tensor, is_grad_enabled, tracing
from ..random import Generator, default_generator
from . import elementwise
from .indexing import SetItem, as_index, write
from .promotion import NUMBERS


class Overwrite(Op):
    # y = value, whatever x was: x stays in the graph, with a gradient of 0, as in torch
    @staticmethod
    def forward(ctx, x, value):
        return value.copy()

    @staticmethod
    def backward(ctx, grad_out):
        return np.zeros_like(grad_out), grad_out


def in_place(target: Tensor, compute: Callable[[Tensor], Tensor], name: str, *sources: Any) -> Tensor:
    """Write ``compute(target)`` into ``target``'s memory. Returns ``target``.

    ``sources`` are the other operands: with the target they decide whether this is recorded.

    Raises
    ------
    RuntimeError : for a leaf that requires grad, a recorded change of shared memory, and a result of another shape or
        of a type that cannot be written here.
    """
    if tracing.state.tracer is not None:
        return tracing.state.tracer.in_place(target, compute, name, sources, _write)
    return _write(target, compute, name, *sources)


def _write(target: Tensor, compute: Callable[[Tensor], Tensor], name: str, *sources: Any) -> Tensor:
    recorded = is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in (target, *sources))
    if recorded:
        if target.is_leaf and target.requires_grad:
            raise RuntimeError(
                f"{name}: a leaf tensor that requires grad cannot be changed in place while recording; do it under "
                "mc.no_grad()"
            )
        if target._version_cell.viewed:
            raise RuntimeError(
                f"{name}: this tensor shares its memory with another (a view or detach()), and recorded in-place changes "
                "of shared memory are not supported; use the out-of-place form, or clone() first"
            )
        # The rule may keep its operand: give it a copy that the write below does not touch.
        before = Tensor(target._array.copy(order="K"))
        before._node, before._output_number = target._node, target._output_number
        result = compute(before)
        if not result.requires_grad:
            result = Overwrite.apply(before, result)
    else:
        result = compute(target)
    if result._array.shape != target._array.shape:
        raise RuntimeError(
            f"{name}: the result has shape {tuple(result.shape)}, which does not fit into {tuple(target.shape)}"
        )
    if result.dtype.category > target.dtype.category:
        raise RuntimeError(f"{name}: a {result.dtype} result cannot be written into a {target.dtype} tensor")
    np.copyto(target._array, result._array, casting="unsafe")
    target._bump_version(name)
    if recorded:
        if result._array.dtype != target._array.dtype:
            result = result.to(target.dtype)
        retains, former = target._retains_grad, target._node
        if retains and former is not None and former.retained:  # the gradient to keep is that of the new values
            former.retained.pop(target._output_number)
        target._node, target._output_number = result._node, result._output_number
        target._leaf_requires_grad, target._retains_grad = False, False
        if retains:
            target.retain_grad()
    return target


def _broadcasts_to(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    ends = zip(shape[::-1], wanted[::-1], strict=False)
    return len(shape) <= len(wanted) and all(size in (1, target) for size, target in ends)


def _arithmetic(name: str, ufunc: np.ufunc, function: Callable[..., Tensor], signature: str):
    def operate(self: Tensor, other: Any, **options: Any) -> Tensor:
        simple = not options and isinstance(other, (Tensor, *NUMBERS))
        needs = is_grad_enabled() and (self.requires_grad or (isinstance(other, Tensor) and other.requires_grad))
        counts = type(other) is int and self._array.dtype == np.int64 and ufunc in (np.add, np.subtract, np.multiply)
        if simple and not needs and (self._array.dtype.kind == "f" or counts) and tracing.state.tracer is None:
            # Floating point takes any other type, and a counter whole numbers: one pass, straight into the memory.
            with np.errstate(all="ignore"):
                value = other._array if isinstance(other, Tensor) else other
                if not _broadcasts_to(np.shape(value), self._array.shape):
                    raise RuntimeError(
                        f"{name}: other of shape {np.shape(value)} does not broadcast to {tuple(self.shape)}"
                    )
                ufunc(self._array, value, out=self._array, casting="same_kind")
            self._bump_version(name)
            return self
        return in_place(self, lambda x: function(x, other, **options), name, other)

    operate.__name__ = operate.__qualname__ = name
    operate.__doc__ = f"``{signature}`` written into ``self``. Returns it."
    return operate


add_ = _arithmetic("add_", np.add, elementwise.add, "self + alpha * other")
sub_ = _arithmetic("sub_", np.subtract, elementwise.sub, "self - alpha * other")
mul_ = _arithmetic("mul_", np.multiply, elementwise.mul, "self * other")
div_ = _arithmetic("div_", np.true_divide, elementwise.div, "self / other")
pow_ = _arithmetic("pow_", np.power, elementwise.pow, "self ** other")


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """``src``'s elements written into ``self``, broadcast and cast. Returns it."""
    if not isinstance(src, Tensor):
        raise TypeError(f"src: copy_ takes a Tensor, got {type(src).__name__}")
    try:
        wanted = src.expand(tuple(self.shape))
    except ValueError as error:
        raise RuntimeError(f"src: copy_ into shape {tuple(self.shape)}: {error}") from None
    source = wanted.to(self.dtype)
    return in_place(
        self, lambda x: Overwrite.apply(x, source) if is_grad_enabled() and x.requires_grad else source, "copy_", src
    )


def fill_(self: Tensor, value: Any) -> Tensor:
    """Every element set to ``value``. Returns the tensor.

    Raises
    ------
    OverflowError : for a whole number outside the tensor's type.
    """
    number = value.item() if isinstance(value, Tensor) else value
    return in_place(self, lambda x: Tensor(np.full(x.shape, number, x._array.dtype)), "fill_")


def zero_(self: Tensor) -> Tensor:
    """Every element set to 0. Returns the tensor."""
    return fill_(self, 0)


def clamp_(self: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """:func:`clamp` written into ``self``. Returns it."""
    return in_place(self, lambda x: elementwise.clamp(x, min, max), "clamp_", min, max)


def uniform_(self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Every element drawn uniformly from [from, to). Returns the tensor."""
    if from_ > to:
        raise ValueError(f"uniform_: expected from <= to, got {from_} and {to}")
    rng = generator or default_generator
    return in_place(self, lambda x: Tensor(rng.uniform(x.shape, x._array.dtype, from_, to)), "uniform_")


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Every element drawn from the normal distribution of this mean and standard deviation. Returns the tensor."""
    if std < 0:
        raise ValueError(f"std: a standard deviation is not negative, got {std}")
    rng = generator or default_generator

    def draw(x: Tensor) -> Tensor:
        array = rng.normal(x.shape, x._array.dtype)
        array *= array.dtype.type(std)
        array += array.dtype.type(mean)
        return Tensor(array)

    return in_place(self, draw, "normal_")


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """``self[index] = value``, broadcast and cast.

    Raises
    ------
    RuntimeError : as the other in-place operations. IndexError, ValueError : where index or value do not fit.
    """
    basic, gather = as_index(index, self.ndim)
    if is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in (self, value)):
        source = value.to(self.dtype) if isinstance(value, Tensor) else value
        in_place(self, lambda x: SetItem.apply(x, source, *gather, basic=basic), "x[index] = value", value)
        return
    if tracing.state.tracer is not None:
        tracing.state.tracer.opaque("x[index] = value")
    index_arrays = tuple(part._array if isinstance(part, Tensor) else part for part in gather)
    with np.errstate(all="ignore"):  # a NaN written into whole numbers is no warning, as in torch
        write(self._array, basic, index_arrays, value._array if isinstance(value, Tensor) else value)
    self._bump_version("x[index] = value")
