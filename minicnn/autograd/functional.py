"""Derivatives of functions: ``jacobian``, ``vjp``, ``jvp``.

For a function f of x in R^n with values in R^m, the Jacobian is the (m, n) matrix J of all df_i/dx_j. One backward pass with
the gradient v computes v^T J: the rows of J are m such passes, with v a unit vector each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .engine import run_backward
from .grad_mode import enable_grad, no_grad
from .tensor import Tensor


def jacobian(
    func: Callable[..., Any],
    inputs: Tensor | tuple[Tensor, ...],
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """All derivatives of all elements of ``func(*inputs)``: a backward pass for each element of the output.

    Parameters
    ----------
    func : takes tensors, returns a tensor or a tuple of them.
    inputs : a tensor or a tuple of them.
    create_graph : not supported.
    strict : raise where an output does not depend on an input, rather than return zeros.
    vectorize : a way to go faster in torch, without effect here.
    strategy : "reverse-mode"; there is no other.

    Returns
    -------
    For one input and one output a tensor of shape ``(*output.shape, *input.shape)``; for tuples, a tuple (of outputs) of
    tuples (of inputs).

    >>> import minicnn as mc
    >>> mc.autograd.functional.jacobian(lambda x: x * x, mc.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])

    Raises
    ------
    TypeError : inputs or outputs that are no tensors. RuntimeError : under ``strict``, as said.
    """
    _refuse("jacobian", create_graph)
    if strategy != "reverse-mode":
        raise NotImplementedError(f'strategy: only "reverse-mode" is supported, got {strategy!r}')
    leaves, outputs, several_in, several_out = _run("jacobian", func, inputs, strict)
    rows: list[Any] = []
    for number, output in enumerate(outputs):
        parts = [np.zeros((output.numel(), *leaf.shape), output._array.dtype) for leaf in leaves]
        cotangent = np.zeros(output.shape, output._array.dtype)
        for i in range(output.numel() if output.requires_grad else 0):
            cotangent.flat[i] = 1
            for part, gradient in zip(parts, _pull(number, output, leaves, cotangent, strict), strict=True):
                part[i] = gradient
            cotangent.flat[i] = 0
        rows.append(tuple(Tensor(p.reshape(*output.shape, *x.shape)) for p, x in zip(parts, leaves, strict=True)))
    rows = [row if several_in else row[0] for row in rows]
    return tuple(rows) if several_out else rows[0]


def vjp(
    func: Callable[..., Any],
    inputs: Tensor | tuple[Tensor, ...],
    v: Tensor | tuple[Tensor, ...] | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``func(*inputs)``, and ``v^T J``: what one backward pass with the gradient ``v`` gives each input.

    Parameters
    ----------
    func, inputs, create_graph, strict : as in :func:`jacobian`.
    v : of the shape of the output; may be left out for a single number.

    >>> import minicnn as mc
    >>> mc.autograd.functional.vjp(lambda x: x * x, mc.tensor([1.0, 3.0]), mc.tensor([1.0, 10.0]))
    (tensor([1., 9.]), tensor([ 2., 60.]))

    Raises
    ------
    RuntimeError : ``v`` is missing, or of another shape.
    """
    _refuse("vjp", create_graph)
    leaves, outputs, several_in, several_out = _run("vjp", func, inputs, strict)
    vectors = _vectors(v, outputs, several_out, "the user-provided function returns")
    totals = [np.zeros(leaf.shape, leaf._array.dtype) for leaf in leaves]
    for number, (output, vector) in enumerate(zip(outputs, vectors, strict=True)):
        if output.requires_grad:
            for total, gradient in zip(totals, _pull(number, output, leaves, vector, strict), strict=True):
                total += gradient
    results = tuple(Tensor(t) for t in totals)
    return _shown(outputs, several_out), results if several_in else results[0]


def jvp(
    func: Callable[..., Any],
    inputs: Tensor | tuple[Tensor, ...],
    v: Tensor | tuple[Tensor, ...] | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``func(*inputs)``, and ``J v``: how fast the output changes as the inputs move along ``v``.

    There is no forward mode here, so this computes the Jacobian: a backward pass for each element of the output.

    Parameters
    ----------
    func, inputs, create_graph, strict : as in :func:`jacobian`.
    v : of the shape of the inputs; may be left out for a single number.

    >>> import minicnn as mc
    >>> mc.autograd.functional.jvp(lambda x: x * x, mc.tensor([1.0, 3.0]), mc.tensor([1.0, 10.0]))
    (tensor([1., 9.]), tensor([ 2., 60.]))

    Raises
    ------
    RuntimeError : ``v`` is missing, or of another shape.
    """
    _refuse("jvp", create_graph)
    several_in = isinstance(inputs, tuple)
    given = _checked("inputs", "jvp", inputs)
    vectors = _vectors(v, given, several_in, "the input to the user-provided function is")
    result: Any = None

    def noting(*args: Tensor) -> Any:
        nonlocal result
        result = func(*args)
        return result

    rows = jacobian(noting, given, strict=strict)
    several_out = isinstance(result, tuple)
    products = []
    for row in rows if several_out else (rows,):
        total: Any = 0
        for part, x, vector in zip(row, given, vectors, strict=True):
            total = total + np.tensordot(part._array, vector, x.ndim)
        products.append(Tensor(np.asarray(total)))
    outputs = _checked("outputs", "jvp", result)
    return _shown(outputs, several_out), tuple(products) if several_out else products[0]


def hessian(*args: Any, **kwargs: Any) -> Any:
    """Second derivatives need a gradient of a gradient. Not supported."""
    raise NotImplementedError("hessian: gradients of gradients are not supported; jacobian gives the first derivatives")


def hvp(*args: Any, **kwargs: Any) -> Any:
    """Not supported: see :func:`hessian`."""
    raise NotImplementedError("hvp: gradients of gradients are not supported; vjp gives first derivatives")


def vhp(*args: Any, **kwargs: Any) -> Any:
    """Not supported: see :func:`hessian`."""
    raise NotImplementedError("vhp: gradients of gradients are not supported; vjp gives first derivatives")


def _refuse(what: str, create_graph: bool) -> None:
    if create_graph:
        raise NotImplementedError(f"{what}(create_graph=True): gradients of gradients are not supported")


def _checked(which: str, what: str, values: Any) -> tuple[Tensor, ...]:
    listed = values if isinstance(values, tuple) else (values,)
    for value in listed:
        if not isinstance(value, Tensor):
            raise TypeError(
                f"The {which} given to {what} must be either a Tensor or a tuple of Tensors, got {type(value).__name__}"
            )
    return listed


def _run(what: str, func: Callable[..., Any], inputs: Any, strict: bool) -> tuple[list[Tensor], Any, bool, bool]:
    """Fresh leaves of the inputs, the outputs computed from them, and whether each of both came as a tuple."""
    leaves = [Tensor(x._array).requires_grad_() for x in _checked("inputs", what, inputs)]
    for leaf, given in zip(leaves, inputs if isinstance(inputs, tuple) else (inputs,), strict=True):
        leaf._share_storage(given)
    with enable_grad():
        result = func(*leaves)
    outputs = _checked("outputs", what, result)
    for i, output in enumerate(outputs):
        if strict and not output.requires_grad:
            raise RuntimeError(
                f"Output {i} of the user-provided function does not require gradients: it must be computed from the inputs "
                "in a differentiable manner when strict=True"
            )
    return leaves, outputs, isinstance(inputs, tuple), isinstance(result, tuple)


def _pull(number: int, output: Tensor, leaves: list[Tensor], vector: np.ndarray, strict: bool) -> list[np.ndarray]:
    """vector^T J, by leaf."""
    with no_grad():
        gradients = run_backward([output], [vector], True, leaves)
    for i, gradient in enumerate(gradients):
        if gradient is None and strict:
            raise RuntimeError(
                f"Output {number} of the user-provided function is independent of input {i}: not allowed when strict=True"
            )
    return [np.zeros(x.shape, x._array.dtype) if g is None else g for g, x in zip(gradients, leaves, strict=True)]


def _vectors(v: Any, like: Any, several: bool, whose: str) -> list[np.ndarray]:
    if v is None:
        if several or like[0].numel() != 1:
            raise RuntimeError(f"The vector v can only be None if {whose} a single Tensor with a single element.")
        return [np.ones(like[0].shape, like[0]._array.dtype)]
    vectors = _checked("v", "this function", v)
    if len(vectors) != len(like):
        raise RuntimeError(f"v has the wrong number of tensors: expected {len(like)}, got {len(vectors)}")
    for vector, x in zip(vectors, like, strict=True):
        if vector.shape != x.shape:
            raise RuntimeError(f"v has invalid size: should be {tuple(x.shape)} but got {tuple(vector.shape)}")
    return [vector._array.astype(x._array.dtype) for vector, x in zip(vectors, like, strict=True)]


def _shown(outputs: tuple[Tensor, ...], several: bool) -> Any:
    detached = tuple(output.detach() for output in outputs)
    return detached if several else detached[0]
