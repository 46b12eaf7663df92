"""Looking into the graph: hooks on what operations keep for their backward pass."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from . import saving
from .op import Node
from .tensor import Tensor

__all__ = ["Node", "save_on_cpu", "saved_tensors_hooks"]


class saved_tensors_hooks:
    """Inside the block, operations keep ``pack_hook(tensor)`` in place of each tensor that they need in their backward
    pass, and ``unpack_hook`` has to give the tensor back when they do.

    Parameters
    ----------
    pack_hook : called with each tensor kept, as the operation is run; returns anything (a file name, a smaller type).
        It must not change the tensor.
    unpack_hook : called in the backward pass with what ``pack_hook`` returned; returns a tensor of the same numbers.

    >>> import minicnn as mc
    >>> x = mc.tensor([3.0], requires_grad=True)
    >>> with mc.autograd.graph.saved_tensors_hooks(lambda kept: kept.tolist(), lambda numbers: mc.tensor(numbers)):
    ...     y = x * x
    >>> y.backward()
    >>> x.grad
    tensor([6.])
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]):
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        saving.state.hooks = (*saving.state.hooks, (self.pack_hook, self.unpack_hook))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        saving.state.hooks = saving.state.hooks[:-1]


class save_on_cpu(saved_tensors_hooks):
    """Keep on the CPU what the backward pass needs: here everything is there already, so this changes nothing."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda"):
        super().__init__(lambda tensor: tensor, lambda tensor: tensor)
