"""In-place changes and views: whose history changes, when the memory that several tensors look at does.

Let ``v = b[0]``, and let ``v.mul_(w)`` be recorded. Then b has changed as well: its history becomes *b with a part
overwritten* (:class:`Overwritten`, below). Every view of b is then what its own operation makes of the new b, so the
operation is applied again, which costs nothing but a new node. Change b itself, and its views follow in the same way.

A tensor remembers how it became a view (``Tensor._view_of``), and the storage which views there are
(``VersionCell.views``). What was computed from the old numbers keeps its old nodes; if it kept the numbers as well,
the version check says so in the backward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import tracing
from .grad_mode import enable_grad
from .op import Context, Op, record
from .tensor import UNRECORDED_VIEW, Tensor


class Overwritten(Op):
    # base with part of its memory overwritten by value: value gets the gradient there, base everywhere else
    @staticmethod
    def backward(ctx, grad_out):
        grad_base, part = _twin(ctx.base, ctx.part)
        grad_base[...] = grad_out
        grad_value = part.copy(order="K")
        part[...] = 0
        return grad_base, grad_value


def _twin(base: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fresh memory laid out as ``base``, and a view of it that lies there as ``part`` lies in ``base``."""
    low, high = np.lib.array_utils.byte_bounds(base)
    start = part.__array_interface__["data"][0] - low
    if not 0 <= start <= np.lib.array_utils.byte_bounds(part)[1] - low <= high - low:
        raise RuntimeError("an in-place change reached memory outside the tensor that it is a view of: no gradient")
    memory = np.empty(high - low, np.uint8)
    whole = np.ndarray(base.shape, base.dtype, memory, base.__array_interface__["data"][0] - low, base.strides)
    return whole, np.ndarray(part.shape, part.dtype, memory, start, part.strides)


def base_of(tensor: Tensor) -> Tensor:
    """The tensor that this one is a view of, or a view of a view of, ...; the tensor itself where it is none."""
    while tensor._view_of is not None and tensor._view_of is not UNRECORDED_VIEW:
        tensor = tensor._view_of.parent
    return tensor


def memory_stand_in(tensor: Tensor) -> Tensor:
    """What ``tensor`` is now, for when it is about to become a view of its own memory: its views then look at that."""
    former = Tensor(tensor._array)
    former._node, former._output_number = tensor._node, tensor._output_number
    former._leaf_requires_grad, former._view_of = tensor._leaf_requires_grad, tensor._view_of
    former._version_cell = tensor._version_cell
    for view in tensor._version_cell.views():
        if view._view_of.parent is tensor:
            view._view_of = view._view_of._replace(parent=former)
    return former


def require_changeable(target: Tensor, name: str) -> None:
    """Raise where a recorded in-place change of ``target`` cannot be followed."""
    base = base_of(target)
    for tensor, what in ((target, "a leaf tensor"), (base, "a view of a leaf tensor")):
        if tensor.is_leaf and tensor.requires_grad:
            raise RuntimeError(
                f"{name}: {what} that requires grad cannot be changed in place while recording; do it under mc.no_grad()"
            )
    if base._view_of is UNRECORDED_VIEW:
        raise RuntimeError(
            f"{name}: this view was made under no_grad(), so a recorded change of it would be lost to the tensor that it "
            "looks at; make the view while recording, or clone() it"
        )
    for view in _views_of(base):
        if view.is_leaf and view.requires_grad and view is not target:
            raise RuntimeError(f"{name}: a view of this tensor is a leaf that requires grad; detach().clone() it first")


def follow(target: Tensor, result: Tensor) -> None:
    """After ``result`` was written into ``target``'s memory: give target, its base and its views their new histories."""
    base = base_of(target)
    if base is target:
        _take_place(target, result)
    else:
        former = Tensor(base._array)
        former._node, former._output_number = base._node, base._output_number
        context: Any = Context("Overwritten", (former.requires_grad, result.requires_grad))
        context.base, context.part = base._array, target._array  # (only where they lie is used, not what they hold)
        outcome = Tensor(base._array)
        record(Overwritten, context, (former, result), (outcome,), None)
        _take_place(base, outcome)
    for view in _views_of(base):
        how: Any = view._view_of
        with enable_grad(), tracing.listening(None):
            again = how.op.apply(how.parent, *how.args, **how.options)
        _take_place(view, again[how.number] if isinstance(again, tuple) else again)


def _views_of(base: Tensor) -> list[Tensor]:
    """The views of one base, each after the one that it is a view of."""
    return [view for view in base._version_cell.views() if view is not base and base_of(view) is base]


def _take_place(tensor: Tensor, other: Tensor) -> None:
    """Give ``tensor`` the place in the graph that ``other`` has; what retain_grad() asked for goes along."""
    retains, former = tensor._retains_grad, tensor._node
    if retains and former is not None and former.retained:  # the gradient to keep is that of the new values
        former.retained.pop(tensor._output_number, None)
    tensor._node, tensor._output_number = other._node, other._output_number
    tensor._leaf_requires_grad, tensor._retains_grad = False, False
    if retains:
        tensor.retain_grad()
