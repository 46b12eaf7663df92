"""Adafactor: Adam's running size of the gradient from its rows' and columns' means alone, to save memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.optim.optimizer import Optimizer, Params
from minicnn.optim.options import as_number, call_closure, scalar


class Adafactor(Optimizer):
    """Adafactor (Shazeer & Stern 2018, https://arxiv.org/abs/1804.04235, algorithms 4 and 5).

    ::

        rms(x) = sqrt(mean(x^2))
        p = p * (1 - lr * weight_decay)
        R = R + t^beta2_decay * (row means of grad^2 - R)        row_var; in the last two dimensions
        C = C + t^beta2_decay * (column means of grad^2 - C)     col_var
        V = R C / max(mean(R), eps1)                             vectors keep V itself: variance
        u = grad / sqrt(max(V, eps1^2))
        p = p - max(eps2, rms(p)) * min(lr, 1 / sqrt(t)) * u / max(1, rms(u) / d)

    Parameters
    ----------
    params : parameters or groups of them, see ``Optimizer``.
    lr : the largest relative change in one step.
    beta2_decay : how fast the running means come to rest, 0 or negative.
    eps : (eps1, eps2); eps1 of None is the machine's epsilon.
    d : above which the update's size is clipped, at least 1.
    weight_decay : decoupled, as ``AdamW``'s.
    foreach : torch's choice of implementation; accepted, and changes nothing.
    maximize : climb instead.

    Raises
    ------
    ValueError : an option outside its interval.

    >>> import minicnn as mc
    >>> w = mc.nn.Parameter(mc.tensor([[1.0, 1.0]]))
    >>> optimizer = mc.optim.Adafactor([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.tolist()
    [[0.8999999761581421, 0.8999999761581421]]
    """

    _numbers = ("step",)

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not as_number(lr) >= 0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not weight_decay >= 0:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient; see ``Optimizer.step``."""
        loss = call_closure(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        param, grad, state = parameter._array, parameter.grad._array, self.state[parameter]  # type: ignore[union-attr]
        grad = -grad if group["maximize"] else grad
        number = param.dtype.type
        factored = param.ndim > 1
        if "step" not in state:
            state["step"] = scalar(0.0)
            if factored:
                state["row_var"] = Tensor(np.zeros((*param.shape[:-1], 1), param.dtype))
                state["col_var"] = Tensor(np.zeros((*param.shape[:-2], 1, param.shape[-1]), param.dtype))
            else:
                state["variance"] = Tensor(np.zeros_like(param))
        state["step"]._array[()] += 1
        step = float(state["step"]._array)
        lr = as_number(group["lr"])
        eps1, eps2 = group["eps"]
        eps1 = float(np.finfo(param.dtype).eps) if eps1 is None else eps1
        gain = number(step ** group["beta2_decay"])
        rate = max(eps2, _rms(param)) * min(lr, 1 / math.sqrt(step))
        if group["weight_decay"] != 0:
            param *= number(1 - lr * group["weight_decay"])
        squares = grad * grad
        if factored:
            row, column = state["row_var"]._array, state["col_var"]._array
            row += gain * (squares.mean(-1, keepdims=True) - row)  # (*, rows, columns) -> (*, rows, 1)
            column += gain * (squares.mean(-2, keepdims=True) - column)  # (*, rows, columns) -> (*, 1, columns)
            variance = row * column / np.maximum(row.mean(-2, keepdims=True), number(eps1))
        else:
            variance = state["variance"]._array
            variance += gain * (squares - variance)
        update = grad / np.sqrt(np.maximum(variance, number(eps1 * eps1)))
        param += number(-rate / max(1.0, _rms(update) / group["d"])) * update
        for changed in (parameter, *state.values()):
            changed._bump_version("Adafactor.step")


def _rms(array: np.ndarray) -> float:
    return math.sqrt(float(np.square(array).mean()))
