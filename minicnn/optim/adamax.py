"""Adamax: Adam with the largest gradient in place of the mean square. The arithmetic is ``adamax_update``.

``optim_rules.py`` in ``minicnn_kernels`` has it; ``elementwise.py`` has the step around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minicnn.autograd import Tensor
from minicnn.optim.elementwise import ElementwiseOptimizer
from minicnn.optim.optimizer import Params
from minicnn.optim.options import as_number, check_betas, check_not_negative, refuse_options


class Adamax(ElementwiseOptimizer):
    """Adamax (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 2).

    ::

        g = grad + weight_decay * p                      (-grad with maximize)
        m = beta1 * m + (1 - beta1) * g                  exp_avg
        u = max(beta2 * u, |g| + eps)                    exp_inf
        p = p - lr / (1 - beta1^t) * m / u

    Parameters
    ----------
    params : parameters or groups of them, see ``Optimizer``.
    lr : learning rate, a number or a tensor of one element.
    betas : how much of m and of u is kept, each in [0, 1).
    eps : added to the gradient's size.
    weight_decay : adds this times the parameter to its gradient (L2 regularisation).
    foreach : torch's choice of implementation; accepted, and changes nothing.
    maximize : climb instead.
    capturable, differentiable : not supported.

    Raises
    ------
    ValueError : a negative ``lr``, ``eps`` or ``weight_decay``, or a beta outside [0, 1).
    NotImplementedError : ``capturable=True`` or ``differentiable=True``.

    >>> import minicnn as mc
    >>> w = mc.nn.Parameter(mc.tensor([1.0]))
    >>> optimizer = mc.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()  # the first step is lr, whatever the gradient's size
    >>> round(w.item(), 4)
    0.9
    """

    _of_parameter_shape = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_not_negative("learning rate", lr)
        check_not_negative("epsilon value", eps)
        check_betas(betas)
        check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        refuse_options("Adamax", defaults)
        super().__init__(params, defaults)

    def _arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def _update(
        self, kernels: Any, group: Mapping[str, Any], params: Any, grads: Any, steps: Any, states: Any, *kept: Any
    ) -> None:
        kernels.adamax_update(
            params,
            grads,
            *kept,
            steps,
            as_number(group["lr"]),
            *map(as_number, group["betas"]),
            group["eps"],
            as_number(group["weight_decay"]),
            group["maximize"],
        )
