"""In-place forms of functions that live elsewhere: ``x.tril_()`` is ``tril(x)`` written into ``x``.

Two kinds. Most compute their result out of place and write it into the tensor's memory; ``inplace.py`` says what that
takes. Those that only change the shape (``squeeze_``, ``t_`` ...) leave the memory alone: the tensor becomes the view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import Tensor, is_grad_enabled, tracing
from . import rearrange, shape, views
from .inplace import in_place


def _written(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    name = f"{function.__name__}_"

    def operate(self: Tensor, *args: Any, **options: Any) -> Tensor:
        return in_place(self, lambda x: function(x, *args, **options), name, *args, *options.values())

    operate.__name__ = operate.__qualname__ = name
    operate.__doc__ = f":func:`{function.__name__}` written into ``self``. Returns it."
    return operate


def _reshaped(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    name = f"{function.__name__}_"

    def operate(self: Tensor, *args: Any, **options: Any) -> Tensor:
        tracing.note_effect(name)
        if is_grad_enabled() and self.is_leaf and self.requires_grad:
            raise RuntimeError(f"{name}: a leaf tensor that requires grad cannot be changed in place while recording")
        viewed = self._version_cell.viewed
        view = function(self, *args, **options)
        self._version_cell.viewed = viewed  # the one view there is takes the tensor's place
        self._array, self._node, self._output_number = view._array, view._node, view._output_number
        self._bump_version(name)
        return self

    operate.__name__ = operate.__qualname__ = name
    operate.__doc__ = f"``self`` becomes :func:`{function.__name__}` of itself; the memory stays. Returns it."
    return operate


_WRITTEN = (rearrange.tril, rearrange.triu)
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
    for make, functions in ((_written, _WRITTEN), (_reshaped, _RESHAPED))
    for function in functions
}
