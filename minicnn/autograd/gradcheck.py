"""gradcheck: compare analytic gradients with central differences.

For a function f and a random cotangent u, the analytic vector ``J^T u`` comes from one backward pass, and each of its
entries is ``(u . f(x + eps e_i) - u . f(x - eps e_i)) / (2 eps)`` up to O(eps^2). The cotangent is random because a
constant one hides errors: the gradient of softmax or batch norm under all-ones is zero whatever the rule says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..random import Generator
from .engine import run_backward
from .grad_mode import no_grad
from .tensor import Tensor


class GradcheckError(RuntimeError):
    """An analytic gradient that differs from the numerical one."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
    generator: Generator | None = None,
) -> bool:
    """Whether the gradients of ``func(*inputs)`` agree with central differences.

    Parameters
    ----------
    func : takes the inputs, returns a tensor or a tuple of tensors; must be deterministic.
    inputs : tensors and other arguments; those of float64 with ``requires_grad`` are checked.
    eps : half the step of the difference.
    atol, rtol : allowed: ``|analytic - numerical| <= atol + rtol * |numerical|``.
    raise_exception : raise :class:`GradcheckError` naming the worst element, rather than return False.
    nondet_tol : how much two backward passes may differ.
    check_backward_ad : False checks nothing.
    check_undefined_grad, check_grad_dtypes, fast_mode, masked : torch's; without effect. (Missing gradients always arrive as
        zeros, gradients have the type of their tensor, and a random cotangent is what torch calls fast.)
    check_batched_grad, check_batched_forward_grad, check_forward_ad : not supported.
    generator : where the random cotangent comes from. torch has no such argument.

    >>> import minicnn as mc
    >>> x = mc.tensor([0.5, -1.0], dtype=mc.float64, requires_grad=True)
    >>> mc.autograd.gradcheck(lambda x: x.tanh(), (x,))
    True

    Raises
    ------
    GradcheckError : where they differ and ``raise_exception`` is set.
    ValueError : where no input requires grad, or one that does is not float64 (central differences need its digits).
    """
    if check_batched_grad or check_batched_forward_grad or check_forward_ad:
        raise NotImplementedError(
            "gradcheck: batched gradients (check_batched_grad) and forward mode (check_forward_ad) are not supported"
        )
    if not check_backward_ad:
        return True
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
    if not checked:
        raise ValueError("inputs: gradcheck needs at least one tensor with requires_grad=True")
    for i in checked:
        if args[i]._array.dtype != np.float64:
            raise ValueError(f"inputs[{i}]: gradcheck needs float64, got {args[i].dtype}; use .double()")
    try:
        _compare(func, args, checked, generator or Generator(), eps, atol, rtol, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(*args: Any, **kwargs: Any) -> bool:
    """Not supported: there are no gradients of gradients."""
    raise NotImplementedError(
        "gradgradcheck: gradients of gradients are not supported; gradcheck checks the first ones"
    )


def _compare(
    func: Callable[..., Any],
    args: tuple,
    checked: list[int],
    generator: Generator,
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
) -> None:
    outputs = _as_tuple(func(*args))
    # Where no output requires grad, their differences must be zero.
    numbers = [n for n, t in enumerate(outputs) if t.requires_grad]
    numbers = numbers or [n for n, t in enumerate(outputs) if t.is_floating_point()]
    cotangents = [generator.normal(outputs[n].shape, np.float64) for n in numbers]
    pairs = [(outputs[n], u.astype(outputs[n]._array.dtype)) for n, u in zip(numbers, cotangents, strict=True)]
    roots = [t for t, _ in pairs if t.requires_grad]
    starts = [u for t, u in pairs if t.requires_grad]
    leaves = [args[i] for i in checked]
    with no_grad():
        analytic = run_backward(roots, list(starts), True, leaves)
        again = run_backward(roots, list(starts), False, leaves)
    for k, i in enumerate(checked):
        ours, second = (np.zeros(args[i].shape) if g is None else g for g in (analytic[k], again[k]))
        if not np.allclose(ours, second, rtol=0, atol=nondet_tol, equal_nan=True):
            raise GradcheckError(
                f"inputs[{i}]: two backward passes differ by more than nondet_tol={nondet_tol}; they must be deterministic"
            )
        numerical = _central_difference(func, args, i, numbers, cotangents, eps)
        error = np.abs(ours - numerical)
        bad = ~(error <= atol + rtol * np.abs(numerical))  # so written, a NaN is bad
        if bad.any():
            where = np.unravel_index(np.argmax(np.where(bad, error, -1)), error.shape)
            raise GradcheckError(
                f"inputs[{i}], element {tuple(map(int, where))}: the backward pass gives {ours[where]:.8g}, central "
                f"differences give {numerical[where]:.8g} (eps={eps}, allowed {atol} + {rtol} relative)"
            )


def _central_difference(
    func: Callable[..., Any], args: tuple, i: int, numbers: list[int], cotangents: list[np.ndarray], eps: float
) -> np.ndarray:
    """d(sum of u . f)/d(args[i]), one element at a time."""
    base = args[i]._array
    result = np.zeros(base.shape)
    for where in np.ndindex(base.shape):
        values = []
        for step in (eps, -eps):
            moved = base.copy()
            moved[where] += step
            with no_grad():
                outputs = _as_tuple(func(*args[:i], Tensor(moved), *args[i + 1 :]))
            # Differences are summed element by element below, so that a large output does not swallow a small change.
            values.append([outputs[n]._array.astype(np.float64) for n in numbers])
        result[where] = sum(
            float((u * (plus - minus)).sum()) for u, plus, minus in zip(cotangents, *values, strict=True)
        ) / (2 * eps)
    return result


def _as_tuple(outputs: Any) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
