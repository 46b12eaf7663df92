"""Bounds on gradients, between ``loss.backward()`` and ``optimizer.step()``: by their common norm, or one by one."""

from __future__ import annotations

import types
import warnings
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
    parameters = _listed(parameters)
    total_norm = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total_norm)
    return total_norm


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors as one long vector, ``(sum |x|^p)^(1/p)``, a 0-d tensor.

    Parameters
    ----------
    tensors : tensors, or one tensor.
    norm_type : p; ``inf`` takes the largest absolute value.
    error_if_nonfinite : raise where the norm is NaN or infinite.
    foreach : accepted for torch's sake; changes nothing.

    Raises
    ------
    RuntimeError : the norm is not finite, with ``error_if_nonfinite``.

    >>> import minicnn as mc
    >>> get_total_norm([mc.tensor([3.0, 0.0]), mc.tensor([[4.0]])])
    tensor(5.)
    """
    arrays = [tensor._array for tensor in ([tensors] if isinstance(tensors, Tensor) else tensors)]
    if not arrays:
        return Tensor(np.zeros((), np.float32))
    p = float(norm_type)
    dtype = np.result_type(*arrays)
    # A norm of norms is the norm of everything.
    total_norm = np.asarray(_norm(np.array([_norm(array, p) for array in arrays], dtype), p), dtype)
    if error_if_nonfinite and not np.isfinite(total_norm):
        raise RuntimeError(
            f"The total norm of order {p} for gradients from `parameters` is non-finite, so it cannot "
            "be clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return Tensor(total_norm)


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale all gradients, in place, by ``min(1, max_norm / (total_norm + 1e-6))``.

    Parameters
    ----------
    parameters : tensors, or one tensor; those without gradient are left out.
    max_norm : the largest norm to let through.
    total_norm : the norm of the gradients, from ``get_total_norm``.
    foreach : accepted for torch's sake; changes nothing.

    >>> import minicnn as mc
    >>> w = mc.zeros(2, requires_grad=True)
    >>> w.grad = mc.tensor([3.0, 4.0])
    >>> clip_grads_with_norm_(w, 1.0, mc.tensor(10.0))
    >>> w.grad
    tensor([0.3000, 0.4000])
    """
    number = total_norm._array.dtype.type
    # As torch rounds a number divided by a tensor, and as there NaN stays NaN.
    factor = np.minimum(number(1.0) / (total_norm._array + number(1e-6)) * number(max_norm), number(1.0))
    for grad in _gradients([parameters] if isinstance(parameters, Tensor) else list(parameters)):
        with np.errstate(invalid="ignore"):  # an infinite norm: 0 * inf is NaN, as the caller allowed
            grad._array *= grad._array.dtype.type(factor)
        grad._bump_version("clip_grad_norm_")


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The former name of ``clip_grad_norm_``; warns."""
    warnings.warn(
        "`nn.utils.clip_grad_norm` is now deprecated in favor of `nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


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
    for grad in _gradients([parameters] if isinstance(parameters, Tensor) else list(parameters)):
        np.clip(grad._array, -bound, bound, out=grad._array)
        grad._bump_version("clip_grad_value_")


def _norm(array: np.ndarray, p: float) -> np.floating:
    """(sum |a|^p)^(1/p) over all elements."""
    if p == 2.0:  # NumPy's norm would be a dot product by BLAS, whose threads then compete with those of our kernels
        with np.errstate(over="ignore"):  # squares that overflow make the norm infinite, as in torch
            return np.sqrt(np.square(array).sum())
    with np.errstate(divide="ignore"):  # negative p: 0 ** p is infinite, and the norm 0
        return np.linalg.norm(array.ravel(), p)


def _listed(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    if isinstance(parameters, Tensor):
        return [parameters]
    tensors = list(parameters)
    if not tensors and isinstance(parameters, types.GeneratorType):
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", UserWarning, stacklevel=3)
    return tensors


def _gradients(tensors: list[Tensor]) -> list[Tensor]:
    return [tensor.grad for tensor in tensors if tensor.grad is not None]
