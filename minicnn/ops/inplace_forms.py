"""In-place forms of functions that live elsewhere: ``x.tril_()`` is ``tril(x)`` written into ``x``.

Two kinds. Most compute their result out of place and write it into the tensor's memory; ``inplace.py`` says what that
takes. Those that only change the shape (``squeeze_``, ``t_`` ...) leave the memory alone: the tensor becomes the view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import Tensor, is_grad_enabled, tracing
from ..autograd.views import memory_stand_in
from . import cumulative, gathering, masking, norms, products, rearrange, shape, views
from .inplace import in_place_form


def _reshaped(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    name = f"{function.__name__}_"

    def operate(self: Tensor, *args: Any, **options: Any) -> Tensor:
        tracing.note_effect(name)
        if is_grad_enabled() and self.is_leaf and self.requires_grad:
            raise RuntimeError(f"{name}: a leaf tensor that requires grad cannot be changed in place while recording")
        cell = self._version_cell
        viewed = cell.viewed
        former = memory_stand_in(self) if viewed else self
        view = function(former, *args, **options)
        cell.viewed = viewed  # where there was no other view, the one there is takes the tensor's place
        self._array, self._node, self._output_number = view._array, view._node, view._output_number
        if viewed:
            self._view_of = view._view_of
            cell.add_view(self)
        self._bump_version(name)
        return self

    operate.__name__ = operate.__qualname__ = name
    operate.__doc__ = f"``self`` becomes :func:`{function.__name__}` of itself; the memory stays. Returns it."
    return operate


_WRITTEN = (
    rearrange.tril,
    rearrange.triu,
    gathering.scatter,
    gathering.scatter_add,
    gathering.scatter_reduce,
    gathering.index_add,
    gathering.index_copy,
    gathering.index_fill,
    gathering.index_reduce,
    gathering.index_put,
    gathering.put,
    masking.masked_fill,
    masking.masked_scatter,
    cumulative.cumprod,
    cumulative.cumsum,
    norms.renorm,
    products.addbmm,
    products.addmm,
    products.addmv,
    products.addr,
    products.baddbmm,
)
_RESHAPED = (
    shape.squeeze,
    shape.unsqueeze,
    shape.transpose,
    shape.t,
    views.swapaxes,
    views.swapdims,
    views.as_strided,
)

IN_PLACE: dict[str, Callable[..., Tensor]] = {
    f"{function.__name__}_": make(function)
    for make, functions in ((in_place_form, _WRITTEN), (_reshaped, _RESHAPED))
    for function in functions
}
