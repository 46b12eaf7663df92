"""Averaged stochastic gradient descent. The arithmetic is ``asgd_update``.

``optim_rules.py`` in ``minicnn_kernels`` has it; ``elementwise.py`` has the step around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minicnn.autograd import Tensor
from minicnn.optim.elementwise import ElementwiseOptimizer
from minicnn.optim.optimizer import Params
from minicnn.optim.options import as_number, check_not_negative, refuse_options, scalar


class ASGD(ElementwiseOptimizer):
    """Averaged stochastic gradient descent (Polyak & Juditsky 1992, https://doi.org/10.1137/0330046).

    ::

        g = grad + weight_decay * p                      (-grad with maximize)
        p = p * (1 - lambd * eta) - eta * g
        a = a + mu * (p - a)                             ax, the average
        eta = lr / (1 + lambd * lr * t)^alpha
        mu = 1 / max(1, t - t0)

    The average stays in the optimizer: ``optimizer.state[p]["ax"]``.

    Parameters
    ----------
    params : parameters or groups of them, see ``Optimizer``.
    lr : learning rate, a number or a tensor of one element at the beginning.
    lambd : how much of a parameter each step takes off.
    alpha : how fast the rate falls.
    t0 : the step at which averaging begins.
    weight_decay : adds this times the parameter to its gradient (L2 regularisation).
    foreach : torch's choice of implementation; accepted, and changes nothing.
    maximize : climb instead.
    capturable, differentiable : not supported.

    Raises
    ------
    ValueError : a negative ``lr`` or ``weight_decay``.
    NotImplementedError : ``capturable=True`` or ``differentiable=True``.

    >>> import minicnn as mc
    >>> w = mc.nn.Parameter(mc.tensor([1.0]))
    >>> optimizer = mc.optim.ASGD([w], lr=0.1, lambd=0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> round(w.item(), 4)
    0.8
    """

    _of_parameter_shape = ("ax",)
    _numbers = ("step", "eta", "mu")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_not_negative("learning rate", lr)
        check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        refuse_options("ASGD", defaults)
        super().__init__(params, defaults)

    def _arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"ax": 0.0}

    def _scalars(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"eta": as_number(group["lr"]), "mu": 1.0}

    def _update(
        self, kernels: Any, group: Mapping[str, Any], params: Any, grads: Any, steps: Any, states: Any, *kept: Any
    ) -> None:
        lr, lambd = as_number(group["lr"]), group["lambd"]
        kernels.asgd_update(
            params,
            grads,
            *kept,
            [state["eta"].item() for state in states],
            [state["mu"].item() for state in states],
            lambd,
            as_number(group["weight_decay"]),
            group["maximize"],
        )
        for state, step in zip(states, steps, strict=True):
            # Rounded as torch rounds them: to the type that such numbers have at first, even if they came in another.
            state["eta"]._array[()] = scalar(lr / (1 + lambd * lr * step) ** group["alpha"])._array
            state["mu"]._array[()] = scalar(1 / max(1, step - group["t0"]))._array
