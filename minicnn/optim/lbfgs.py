"""L-BFGS: Newton-like steps from the last few gradients, for small problems whose whole loss fits in a closure.

``strong_wolfe.py`` is its line search. All parameters are treated as one long vector x; a step of this optimizer calls
the closure many times.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.autograd import Tensor, enable_grad
from minicnn.optim.optimizer import Optimizer, Params
from minicnn.optim.options import as_number, check_not_negative
from minicnn.optim.strong_wolfe import Point, strong_wolfe


class LBFGS(Optimizer):
    """Limited-memory BFGS (Nocedal & Wright, Numerical Optimization, 2nd edition, algorithms 7.4 and 7.5).

    The direction is ``d = -H g``, with H, an estimate of the inverse Hessian, applied through the last steps
    ``s_i = x_{i+1} - x_i`` and changes of the gradient ``y_i = g_{i+1} - g_i``:

    ::

        q = -g
        for i newest to oldest:    a_i = (s_i . q) / (y_i . s_i);   q = q - a_i y_i
        q = q * (y . s) / (y . y)                                   of the newest pair
        for i oldest to newest:    q = q + s_i (a_i - (y_i . q) / (y_i . s_i))
        x = x + t q

    Parameters
    ----------
    params : parameters; groups are not supported.
    lr : the step length t; the first one the line search tries.
    max_iter : iterations in one ``step``.
    max_eval : calls of the closure in one ``step``; 1.25 times ``max_iter`` by default.
    tolerance_grad : stop where no element of the gradient is larger.
    tolerance_change : stop where neither the loss nor any parameter changes by more.
    history_size : how many pairs (s, y) to keep.
    line_search_fn : None for steps of length ``lr``, or 'strong_wolfe'.

    Raises
    ------
    ValueError : a negative ``lr``, or more than one group.
    RuntimeError : another line search, at the first step.

    >>> import minicnn as mc
    >>> w = mc.nn.Parameter(mc.tensor([3.0, -2.0]))
    >>> optimizer = mc.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (w**2 * mc.tensor([1.0, 5.0])).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure)  # the loss before
    tensor(29., grad_fn=<SumBackward>)
    >>> float(abs(w.detach()).max()) < 1e-5
    True
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_not_negative("learning rate", lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Run up to ``max_iter`` iterations.

        Parameters
        ----------
        closure : clears the gradients, computes the loss and its gradients, and returns the loss. Required.

        Returns
        -------
        The loss before.
        """
        if closure is None:
            raise TypeError(
                "LBFGS.step() needs a closure that computes the loss and its gradients, and returns the loss"
            )
        group = self.param_groups[0]
        params: list[Tensor] = group["params"]
        lr, tolerance_change = as_number(group["lr"]), group["tolerance_change"]
        search = group["line_search_fn"]
        if search not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        state = self.state[params[0]]  # one for all parameters, as in torch
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        def evaluate() -> tuple[Any, float, np.ndarray]:
            with enable_grad():
                result = closure()
            state["func_evals"] += 1
            return result, float(as_number(result)), _flat_gradient(params)

        evals_before = state["func_evals"]
        original, loss, gradient = evaluate()
        if _largest(gradient) <= group["tolerance_grad"]:
            return original
        memory = _Memory(state, group["history_size"])
        step_taken: Any = None if state.get("d") is None else state["d"]._array * as_number(state["t"])
        before: Any = None if state.get("prev_flat_grad") is None else state["prev_flat_grad"]._array

        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                direction = -gradient
                t = min(1.0, 1.0 / float(np.abs(gradient).sum())) * lr
            else:
                memory.add(step_taken, gradient - before)
                direction = memory.apply(-gradient)
                t = lr
            before, loss_before = gradient, loss
            slope = _dot(gradient, direction)
            if slope > -tolerance_change:
                break
            if search is None:
                _move(params, t, direction)
                if iteration != group["max_iter"]:  # the gradient at the last point would not be used
                    _, loss, gradient = evaluate()
            else:
                start = [parameter._array.copy(order="K") for parameter in params]

                def at(t: float, start: list[np.ndarray] = start, direction: np.ndarray = direction) -> Point:
                    _move(params, t, direction)
                    _, value, gradient = evaluate()
                    _put_back(params, start)
                    value = math.inf if math.isnan(value) else value  # too far
                    return Point(t, value, gradient, _dot(gradient, direction))

                best = strong_wolfe(at, Point(0.0, loss, gradient, slope), t, _largest(direction))
                t, loss, gradient = best.t, best.value, best.gradient
                _move(params, t, direction)
            step_taken = direction * t
            if (
                state["func_evals"] - evals_before >= group["max_eval"]
                or _largest(gradient) <= group["tolerance_grad"]
                or _largest(step_taken) <= tolerance_change
                or abs(loss - loss_before) < tolerance_change
            ):
                break

        memory.store(state)
        state.update(d=Tensor(direction), t=t, prev_flat_grad=Tensor(before), prev_loss=loss_before)
        return original


class _Memory:
    """The last pairs (s, y), and their scalars, between an optimizer's state (torch's names) and arrays."""

    def __init__(self, state: dict[str, Any], size: int) -> None:
        self.size = size
        self.ys = [y._array for y in state.get("old_dirs", ())]
        self.steps = [s._array for s in state.get("old_stps", ())]
        self.rhos = [as_number(rho) for rho in state.get("ro", ())]  # 1 / (y . s)
        self.scale = as_number(state.get("H_diag", 1.0))

    def add(self, step: np.ndarray, y: np.ndarray) -> None:
        """Note a pair, unless it shows no curvature."""
        curvature = _dot(y, step)
        if curvature <= 1e-10:
            return
        if len(self.ys) == self.size:
            del self.ys[0], self.steps[0], self.rhos[0]
        self.ys.append(y)
        self.steps.append(step)
        self.rhos.append(1.0 / curvature)
        self.scale = curvature / _dot(y, y)

    def apply(self, q: np.ndarray) -> np.ndarray:
        """H q, in two loops over the pairs."""
        number = q.dtype.type
        factors = [0.0] * len(self.ys)
        for i in reversed(range(len(self.ys))):
            factors[i] = _dot(self.steps[i], q) * self.rhos[i]
            q = q - number(factors[i]) * self.ys[i]
        q = q * number(self.scale)
        for i, factor in enumerate(factors):
            q = q + number(factor - _dot(self.ys[i], q) * self.rhos[i]) * self.steps[i]
        return q

    def store(self, state: dict[str, Any]) -> None:
        dtype = self.ys[0].dtype if self.ys else np.float32
        state["old_dirs"] = [Tensor(y) for y in self.ys]
        state["old_stps"] = [Tensor(s) for s in self.steps]
        state["ro"] = [Tensor(np.array(rho, dtype)) for rho in self.rhos]
        state["H_diag"] = Tensor(np.array(self.scale, dtype)) if self.ys else 1


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum())  # not by BLAS, whose threads would compete with those of our kernels


def _largest(array: np.ndarray) -> float:
    return float(np.abs(array).max())


def _flat_gradient(params: list[Tensor]) -> np.ndarray:
    """All gradients one behind the other, zeros where there is none."""
    return np.concatenate(
        [
            np.zeros(parameter._array.size, parameter._array.dtype)
            if parameter.grad is None
            else parameter.grad._array.reshape(-1)
            for parameter in params
        ]
    )


def _move(params: list[Tensor], t: float, direction: np.ndarray) -> None:
    """x = x + t d, in place."""
    start = 0
    for parameter in params:
        array = parameter._array
        array += array.dtype.type(t) * direction[start : start + array.size].reshape(array.shape)
        start += array.size
        parameter._bump_version("LBFGS.step")


def _put_back(params: list[Tensor], values: list[np.ndarray]) -> None:
    for parameter, value in zip(params, values, strict=True):
        parameter._array[...] = value
        parameter._bump_version("LBFGS.step")
