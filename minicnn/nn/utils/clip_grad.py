"""Bounds on gradients, between ``loss.backward()`` and ``optimizer.step()``: by their common norm, or one by one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from minicnn.autograd import Tensor


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients, in place, by one factor so that their norm is at most ``max_norm``.

    The norm is of all gradients as one long vector, ``(sum |g|^p)^(1/p)``; the factor is
    ``min(1, max_norm / (norm + 1e-6))`` (Pascanu et al. 2013, https://arxiv.org/abs/1211.5063).

    Parameters
    ----------
    parameters : tensors, or one tensor; those without gradient are left out.
    max_norm : the largest norm to let through.
    norm_type : p; ``inf`` takes the largest absolute value.
    error_if_nonfinite : raise where the norm is NaN or infinite, rather than spoil all gradients.
    foreach : accepted for torch's sake; changes nothing.

    Returns
    -------
    The norm before clipping, a 0-d tensor.

    Raises
    ------
    RuntimeError : the norm is not finite, with ``error_if_nonfinite``.

    >>> import minicnn as mc
    >>> w = mc.zeros(2, requires_grad=True)
    >>> w.grad = mc.tensor([3.0, 4.0])
    >>> clip_grad_norm_(w, max_norm=1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    grads = _gradients(parameters)
    if not grads:
        return Tensor(np.zeros((), np.float32))
    dtype = np.result_type(*(grad._array.dtype for grad in grads))
    # A norm of norms is the norm of everything.
    norms = np.array([_norm(grad._array, float(norm_type)) for grad in grads], dtype)
    total_norm = np.asarray(_norm(norms, float(norm_type)), dtype)
    if error_if_nonfinite and not np.isfinite(total_norm):
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is non-finite, so it cannot "
            "be clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    factor = np.minimum(max_norm / (total_norm + dtype.type(1e-6)), dtype.type(1.0))  # NaN stays NaN, as in torch
    for grad in grads:
        with np.errstate(invalid="ignore"):  # an infinite norm: 0 * inf is NaN, as the caller allowed
            grad._array *= grad._array.dtype.type(factor)
        grad._bump_version("clip_grad_norm_")
    return Tensor(total_norm)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Move every element of every gradient, in place, into [-clip_value, clip_value].

    Parameters
    ----------
    parameters : tensors, or one tensor; those without gradient are left out.
    clip_value : the largest absolute value to let through.
    foreach : accepted for torch's sake; changes nothing.

    >>> import minicnn as mc
    >>> w = mc.zeros(2, requires_grad=True)
    >>> w.grad = mc.tensor([3.0, -0.5])
    >>> clip_grad_value_(w, 1.0)
    >>> w.grad
    tensor([ 1.0000, -0.5000])
    """
    bound = float(clip_value)
    for grad in _gradients(parameters):
        np.clip(grad._array, -bound, bound, out=grad._array)
        grad._bump_version("clip_grad_value_")


def _norm(array: np.ndarray, p: float) -> np.floating:
    """(sum |a|^p)^(1/p) over all elements."""
    if p == 2.0:  # NumPy's norm would be a dot product by BLAS, whose threads then compete with those of our kernels
        with np.errstate(over="ignore"):  # squares that overflow make the norm infinite, as in torch
            return np.sqrt(np.square(array).sum())
    return np.linalg.norm(array.ravel(), p)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else parameters
    return [tensor.grad for tensor in tensors if tensor.grad is not None]
