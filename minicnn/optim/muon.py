"""Muon: for the matrices inside a network, steps along the nearest orthogonal matrix to the momentum."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.optim.arena import zeros_like
from minicnn.optim.optimizer import Optimizer, Params
from minicnn.optim.options import as_number, call_closure, check_not_negative, check_state
from minicnn_kernels import backend_of


class Muon(Optimizer):
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; Liu et al. 2025, https://arxiv.org/abs/2502.16982).

    ::

        b = momentum * b + (1 - momentum) * grad            momentum_buffer
        u = momentum * b + (1 - momentum) * grad            b itself without nesterov
        O = orthogonalized u: all singular values near 1, by Newton and Schulz's iteration, X = u / |u| and then
            X = a X + (b A + c A A) X,  A = X X^T           (a, b, c) = ns_coefficients
        p = p * (1 - lr * weight_decay) - lr * scale * O

    torch iterates in bfloat16; here it is float32 or better, so the results agree to about 1 percent.

    Parameters
    ----------
    params : matrices (2-D parameters), or groups of them; give vectors and embeddings to another optimizer.
    lr : learning rate.
    weight_decay : decoupled, as ``AdamW``'s.
    momentum : how much of the running mean is kept.
    nesterov : look ahead along the momentum.
    ns_coefficients : of the iteration.
    eps : the smallest norm to divide by.
    ns_steps : number of iterations, below 100.
    adjust_lr_fn : the scale; 'original' (as None) is ``sqrt(max(1, rows / columns))``, 'match_rms_adamw'
        ``0.2 * sqrt(max(rows, columns))``.

    Raises
    ------
    ValueError : a parameter that is no matrix, a negative option, or another ``adjust_lr_fn``.

    >>> import minicnn as mc
    >>> w = mc.nn.Parameter(mc.eye(2))
    >>> optimizer = mc.optim.Muon([w], lr=0.1, weight_decay=0.0)
    >>> (w * mc.tensor([[3.0, 0.0], [0.0, 3.0]])).sum().backward()
    >>> optimizer.step()  # O is near the identity
    >>> abs(w[0, 0].item() - 0.9) < 0.05
    True
    """

    _of_parameter_shape = ("momentum_buffer",)

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        check_not_negative("learning rate", lr)
        check_not_negative("momentum value", momentum)
        check_not_negative("weight_decay value", weight_decay)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        if ns_steps >= 100:
            raise ValueError(f"ns_steps: expected fewer than 100, got {ns_steps}")
        if len(ns_coefficients) != 3:
            raise ValueError(f"ns_coefficients: expected three numbers, got {ns_coefficients}")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {parameter.shape}"
                    )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient; see ``Optimizer.step``."""
        loss = call_closure(closure)
        for group in self.param_groups:
            lr, momentum = as_number(group["lr"]), group["momentum"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state, param, grad = self.state[parameter], parameter._array, parameter.grad._array
                number = param.dtype.type
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = Tensor(zeros_like([param])[0])
                check_state(parameter, state, "momentum_buffer")
                buffer = state["momentum_buffer"]._array
                buffer += number(1 - momentum) * (grad - buffer)
                update = grad + number(momentum) * (buffer - grad) if group["nesterov"] else buffer
                update = _orthogonalized(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
                param *= number(1 - lr * group["weight_decay"])
                param -= number(lr * _scale(group["adjust_lr_fn"], *param.shape)) * update
                for changed in (parameter, state["momentum_buffer"]):
                    changed._bump_version("Muon.step")
        return loss


def _scale(rule: str | None, rows: int, columns: int) -> float:
    if rule == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1, rows / columns))


def _orthogonalized(matrix: np.ndarray, coefficients: tuple[float, float, float], steps: int, eps: float) -> np.ndarray:
    """(rows, columns) -> the same, its singular values near 1."""
    matmul = backend_of(matrix).matmul
    a, b, c = map(matrix.dtype.type, coefficients)
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix  # the product with its transpose is then the smaller one
    x = np.ascontiguousarray(x / max(math.sqrt(float(np.square(x).sum())), eps))
    for _ in range(steps):
        gram = matmul(x, np.ascontiguousarray(x.T))
        x = a * x + matmul(b * gram + c * matmul(gram, gram), x)
    return x.T if tall else x
