"""The walk back through the graph: reverse-mode differentiation on one screen.

For an output y and a leaf x, ``grad_x = sum over paths of (grad_y . dy/d... . d.../dx)``. Each node turns the gradients
of its outputs into those of its inputs (the rule beside its forward, in ``minicnn/ops``); the engine visits nodes newest
first, which is an order in which all gradients of a node's outputs are there before it runs, and adds up what arrives
at one place along several paths. It is a loop, not a recursion: a chain of 100,000 operations is no deeper than one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from minicnn_kernels import workspace

from . import anomaly, tracing
from .op import Node, Op
from .tensor import Tensor

Pending = dict[tuple[Any, int], tuple[np.ndarray, bool]]  # place -> the gradient so far, and whether we allocated it


def run_backward(
    roots: list[Tensor], grads: list[np.ndarray], retain_graph: bool, capture: list[Tensor] | None = None
) -> list[np.ndarray | None]:
    """Send ``grads`` back from ``roots``; accumulate into the leaves' ``.grad``, or, where ``capture`` names tensors,
    return the gradients of those instead (and run only what leads to them).
    """
    tracing.note_effect("a backward pass")
    targets = [(t._node or t, t._output_number) for t in roots]
    nodes, uses = _reachable(targets)
    places = None if capture is None else [(t._node or t, t._output_number) for t in capture]
    captured: dict[tuple[Any, int], np.ndarray | None] = dict.fromkeys(places or ())
    needed = nodes if places is None else _leading_to(nodes, captured)
    pending: Pending = {}

    def finish(leaf: Tensor) -> None:
        """All uses of the leaf have run: its gradient is complete, deliver it now."""
        grad, ours = pending.pop((leaf, 0), (None, False))
        if grad is None or (places is not None and (leaf, 0) not in captured):
            return
        if leaf._hooks:
            grad, ours = _through_hooks(leaf._hooks, grad), False  # a hook may have kept it
        if places is None:
            leaf._accumulate_grad(grad, ours)
        else:
            captured[leaf, 0] = grad

    def visit(node: Node) -> None:
        """Run one rule. (A function, so that its arrays are gone before the next.)"""
        grad_outs = [_leave(node, i, pending, captured) for i in range(len(node.outputs))]
        if node not in needed:
            return
        if any(g is not None for g in grad_outs):
            node.ctx.retained = retain_graph
            run_rule(node.op, node.ctx, node.edges, node.outputs, grad_outs, node.line, pending)
        if not retain_graph:
            node.ctx.release()
        for edge in node.edges:
            if edge is not None and isinstance(edge[0], Tensor):
                uses[edge[0]] -= 1
                if uses[edge[0]] == 0:
                    finish(edge[0])

    with np.errstate(all="ignore"):  # infinities and NaNs are results here, as in torch, not warnings
        for (target, number), grad in zip(targets, grads, strict=True):
            arrive(pending, target, number, grad, False)
        for target, _ in targets:
            if isinstance(target, Tensor) and uses[target] == 0:
                finish(target)
        for node in nodes:
            visit(node)
    return [captured[place] for place in places or ()]


def arrive(pending: Pending, target: Any, number: int, grad: np.ndarray, ours: bool) -> None:
    """Note a gradient for output ``number`` of ``target``, or add it to what is there; ``ours``: we may change it."""
    place = (target, number)
    if place in pending:
        total, total_ours = pending[place]
        # Never into an array that is not ours. (A sum of 0-dimensional arrays is a scalar: an array again.)
        grad = np.add(total, grad, out=total) if total_ours else workspace.elementwise(np.add, total, grad)
        grad = np.asarray(grad)
        ours = True
    pending[place] = (grad, ours)


def run_rule(
    op: type[Op],
    ctx: Any,
    edges: tuple,
    outputs: tuple,
    grad_outs: list[np.ndarray | None],
    line: str | None,
    pending: Pending,
) -> None:
    """Turn the gradients of one call's outputs into those of its inputs, which arrive where the edges lead."""
    zeros = ctx.materialize_grads
    grads = [np.zeros(*like) if g is None and zeros else g for g, like in zip(grad_outs, outputs, strict=True)]
    kept = ctx._saved or ()
    foreign = {id(a) for a in (*grads, *kept)}  # the rule's arguments and what it kept: not ours to change
    hooked = ctx._unpack is not None  # then what it kept comes from a hook, and we do not know it
    grad_ins = [None if g is None else np.asarray(g) for g in op.run_backward(ctx, (*grads,))]
    if anomaly.is_enabled():
        anomaly.check_backward(op.__name__, (*grads, *kept), grad_ins, line)
    given = [id(g) for g in grad_ins]
    for i, (edge, grad) in enumerate(zip(edges, grad_ins, strict=True)):
        if edge is None or grad is None:
            continue
        target, number, shape, dtype = edge
        # Ours to change and to keep: it owns its memory, and nobody else was given it.
        ours = id(grad) not in foreign and not hooked and workspace.owns(grad) and given.count(id(grad)) == 1
        fits = grad.shape == shape and grad.dtype == dtype
        fitted = grad if fits else _unbroadcast(grad, shape, op, i).astype(dtype, copy=False)
        arrive(pending, target, number, fitted, ours or (fitted is not grad and workspace.owns(fitted)))


def _reachable(targets: list[tuple[Any, int]]) -> tuple[dict[Node, None], Counter[Tensor]]:
    """The nodes behind ``targets``, newest first (an ordered set), and how often each leaf is used by them."""
    nodes: set[Node] = set()
    uses: Counter[Tensor] = Counter()
    stack = [target for target, _ in targets if isinstance(target, Node)]
    while stack:
        node = stack.pop()
        if node in nodes:
            continue
        nodes.add(node)
        for edge in node.edges:
            if edge is None:
                continue
            if isinstance(edge[0], Node):
                stack.append(edge[0])
            else:
                uses[edge[0]] += 1
    return dict.fromkeys(sorted(nodes, key=lambda node: -node.sequence)), uses


def _leading_to(nodes: dict[Node, None], places: dict[tuple[Any, int], Any]) -> set[Node]:
    """Those of ``nodes`` that lie on a path to one of ``places``."""
    needed: set[Node] = set()
    for node in reversed(nodes):  # oldest first: what a node leads to is decided before the node
        if any(edge is not None and (edge[0] in needed or edge[:2] in places) for edge in node.edges):
            needed.add(node)
    return needed


def _leave(node: Node, number: int, pending: dict, captured: dict) -> np.ndarray | None:
    """The complete gradient of one of the node's outputs, past the hooks of the tensor it belongs to."""
    grad, _ = pending.pop((node, number), (None, False))
    if grad is None:
        return None
    if node.hooks and number in node.hooks:
        grad = _through_hooks(node.hooks[number], grad)
    if node.retained and number in node.retained:
        tensor = node.retained[number]()
        if tensor is not None:
            tensor._accumulate_grad(grad, False)
    if (node, number) in captured:
        captured[node, number] = grad
    return grad


def _through_hooks(hooks: dict[int, Any], grad: np.ndarray) -> np.ndarray:
    for hook in list(hooks.values()):
        replaced = hook(Tensor(grad))
        if replaced is None:
            continue
        if not isinstance(replaced, Tensor):
            raise TypeError(f"hook: expected it to return a Tensor or None, got {type(replaced).__name__}")
        if replaced._array.shape != grad.shape or replaced._array.dtype != grad.dtype:
            raise RuntimeError(
                f"hook: the gradient is {grad.dtype} of shape {grad.shape}, and a hook made it {replaced._array.dtype} of "
                f"shape {replaced._array.shape}"
            )
        grad = replaced._array
    return grad


def _unbroadcast(grad: np.ndarray, shape: tuple[int, ...], op: type[Op], i: int) -> np.ndarray:
    """Add up what broadcasting repeated: the gradient in the operand's own shape."""
    if grad.shape == shape:
        return grad
    extra = grad.ndim - len(shape)
    if extra < 0 or any(size not in (1, grown) for size, grown in zip(shape, grad.shape[extra:], strict=True)):
        raise RuntimeError(
            f"{op.__name__}.backward: gradient {i} has shape {grad.shape}, expected that of the argument, {shape}"
        )
    summed = [d + extra for d, size in enumerate(shape) if size == 1 and grad.shape[d + extra] != 1]
    # Long float32 sums in float64: NumPy's drift, other than along the fastest dimension.
    wide = np.float64 if grad.size > 512 * math.prod(shape) else None
    return grad.sum(axis=(*range(extra), *summed), keepdims=True, dtype=wide).reshape(shape)


def check_roots(tensors: Iterable[Tensor], grads: Iterable[Tensor | None], what: str) -> list[np.ndarray]:
    """The starting gradients as arrays, checked: ones for a scalar, and what the user gave for anything else."""
    arrays = []
    for tensor, grad in zip(tensors, grads, strict=True):
        if not tensor.requires_grad:
            raise RuntimeError(
                f"{what} does not require grad and has no grad_fn: no input of its computation had requires_grad=True, "
                "or it was made under no_grad()"
            )
        if grad is None:
            if tensor.numel() != 1:
                raise RuntimeError(
                    f"gradient: only a tensor of one element can start a backward pass without one, got shape "
                    f"{tuple(tensor.shape)}. Reduce it first (sum, mean), or pass gradient="
                )
            arrays.append(np.ones(tensor.shape, tensor.dtype.numpy))
            continue
        if not isinstance(grad, Tensor):
            raise TypeError(f"gradient: expected a Tensor or None, got {type(grad).__name__}")
        if tuple(grad.shape) != tuple(tensor.shape):
            raise RuntimeError(
                f"gradient: expected the shape of {what}, {tuple(tensor.shape)}, got {tuple(grad.shape)}"
            )
        arrays.append(grad._array.astype(tensor.dtype.numpy, copy=False))
    return arrays
