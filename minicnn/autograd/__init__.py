"""Automatic differentiation: tensors, operations, and the walk back. Knows nothing of layers.

Read in this order: ``tensor.py`` (what a tensor holds), ``op.py`` (what an operation is), ``engine.py`` (the walk),
``version.py`` (why a stale backward is an error), ``function.py`` (your own operations).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .anomaly import detect_anomaly
from .engine import check_roots, run_backward
from .formatting import set_printoptions
from .function import Function
from .grad_mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .gradcheck import GradcheckError, gradcheck
from .op import Node, Op
from .tensor import RemovableHandle, Size, Tensor

__all__ = [
    "Function",
    "GradcheckError",
    "Node",
    "Op",
    "RemovableHandle",
    "Size",
    "Tensor",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
    "set_printoptions",
]


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Compute the gradients of ``tensors`` with respect to the leaves and add them to each leaf's ``.grad``.

    See :meth:`Tensor.backward` for the arguments.

    >>> import minicnn as mc
    >>> x = mc.tensor([1.0, 2.0], requires_grad=True)
    >>> mc.autograd.backward([x.sum(), (x * x).sum()])
    >>> x.grad
    tensor([3., 5.])

    Raises
    ------
    RuntimeError : as :meth:`Tensor.backward`, and where the numbers of tensors and gradients differ.
    """
    roots = _as_list(tensors)
    grads = [None] * len(roots) if grad_tensors is None else _as_list(grad_tensors)
    _refuse_create_graph(create_graph)
    if len(roots) != len(grads):
        raise RuntimeError(f"grad_tensors: expected one for each of the {len(roots)} tensors, got {len(grads)}")
    start = check_roots(roots, grads, "the tensor")
    with no_grad():
        if inputs is None:
            run_backward(roots, start, bool(retain_graph))
            return
        wanted = list({id(t): t for t in _as_list(inputs)}.values())  # one named twice still gets its gradient once
        if not wanted:
            raise RuntimeError(
                "inputs: expected at least one tensor to accumulate into; leave it out to mean all leaves"
            )
        _require_grads(wanted)
        for tensor, array in zip(wanted, run_backward(roots, start, bool(retain_graph), wanted), strict=True):
            if array is not None and not tensor.retains_grad:  # retain_grad() has put it there already
                tensor._accumulate_grad(array, False)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
) -> tuple[Tensor | None, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, returned instead of accumulated.

    >>> import minicnn as mc
    >>> x = mc.tensor([2.0], requires_grad=True)
    >>> mc.autograd.grad(x ** 3, x)
    (tensor([12.]),)

    Raises
    ------
    RuntimeError : where an input was not used to compute the outputs (unless ``allow_unused``: then None is returned for
        it), and as :meth:`Tensor.backward`.
    """
    roots, wanted = _as_list(outputs), _as_list(inputs)
    _refuse_create_graph(create_graph)
    _require_grads(wanted)
    grads = [None] * len(roots) if grad_outputs is None else _as_list(grad_outputs)
    if len(roots) != len(grads):
        raise RuntimeError(f"grad_outputs: expected one for each of the {len(roots)} outputs, got {len(grads)}")
    start = check_roots(roots, grads, "outputs")
    with no_grad():
        arrays = run_backward(roots, start, bool(retain_graph), wanted)
    for i, array in enumerate(arrays):
        if array is None and not allow_unused:
            raise RuntimeError(
                f"inputs[{i}] was not used to compute the outputs; pass allow_unused=True to get None for it"
            )
    return tuple(None if a is None else Tensor(a.copy()) for a in arrays)


def _require_grads(inputs: list[Tensor]) -> None:
    for i, tensor in enumerate(inputs):
        if not tensor.requires_grad:
            raise RuntimeError(f"inputs[{i}] does not require grad, so it has no gradient to compute")


def _as_list(tensors: Any) -> list:
    return list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]


def _refuse_create_graph(create_graph: bool) -> None:
    if create_graph:
        raise NotImplementedError(
            "create_graph=True (gradients of gradients) is not supported; mc.autograd.gradcheck differentiates numerically"
        )
