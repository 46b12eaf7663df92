"""Automatic differentiation: tensors, operations, and the walk back. Knows nothing of layers.

Read in this order: ``tensor.py`` (what a tensor holds), ``op.py`` (what an operation is), ``engine.py`` (the walk),
``version.py`` (why a stale backward is an error), ``function.py`` (your own operations).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import functional, graph
from .anomaly import detect_anomaly, set_detect_anomaly
from .engine import check_roots, run_backward
from .formatting import set_printoptions
from .function import Function
from .grad_mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
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
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_printoptions",
]


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Tensor | Sequence[Tensor | None] | None = None,
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
    if grad_variables is not None:
        warnings.warn("grad_variables is deprecated: pass grad_tensors", FutureWarning, stacklevel=2)
        if grad_tensors is not None:
            raise RuntimeError("grad_tensors and grad_variables are the same argument: pass grad_tensors only")
        grad_tensors = grad_variables
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
    inputs: Tensor | Sequence[Tensor] | dict[Any, Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    """The gradients of ``outputs`` with respect to ``inputs``, returned instead of accumulated.

    Parameters
    ----------
    outputs : where to start.
    inputs : a tensor, several, or a dictionary of them (then the gradients come in such a dictionary).
    grad_outputs : the gradient of some scalar with respect to each output; None, for one element, is 1.
    retain_graph : keep what the operations saved, so that a second backward is possible.
    allow_unused : return None for an input that the outputs do not depend on, rather than raise.
    materialize_grads : return zeros for it.
    create_graph, is_grads_batched : not supported.
    only_inputs : torch's, deprecated there too.

    >>> import minicnn as mc
    >>> x = mc.tensor([2.0], requires_grad=True)
    >>> mc.autograd.grad(x ** 3, x)
    (tensor([12.]),)

    Raises
    ------
    RuntimeError : where an input was not used to compute the outputs (unless ``allow_unused`` or ``materialize_grads``),
        and as :meth:`Tensor.backward`.
    ValueError : ``allow_unused=False`` together with ``materialize_grads``.
    """
    if materialize_grads and allow_unused is False:
        raise ValueError("allow_unused: expected True or not passed where materialize_grads is True, got False")
    if is_grads_batched:
        raise NotImplementedError("is_grads_batched: several gradients at once are not supported; call grad() for each")
    if not only_inputs:
        warnings.warn("only_inputs is ignored: use backward() to accumulate", FutureWarning, stacklevel=2)
    roots = _as_list(outputs)
    wanted = list(inputs.values()) if isinstance(inputs, dict) else _as_list(inputs)
    if not wanted:
        raise RuntimeError("inputs: expected at least one tensor to differentiate with respect to")
    _refuse_create_graph(create_graph)
    _require_grads(wanted)
    grads = [None] * len(roots) if grad_outputs is None else _as_list(grad_outputs)
    if len(roots) != len(grads):
        raise RuntimeError(f"grad_outputs: expected one for each of the {len(roots)} outputs, got {len(grads)}")
    start = check_roots(roots, grads, "outputs")
    with no_grad():
        arrays = run_backward(roots, start, bool(retain_graph), wanted)
    for i, array in enumerate(arrays):
        if array is None and not (allow_unused or materialize_grads):
            raise RuntimeError(
                f"inputs[{i}] was not used to compute the outputs; pass allow_unused=True to get None for it"
            )
        if array is None and materialize_grads:
            arrays[i] = np.zeros_like(wanted[i]._array)
    gradients = [None if a is None else Tensor(a.copy()) for a in arrays]
    return dict(zip(inputs, gradients, strict=True)) if isinstance(inputs, dict) else tuple(gradients)


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
