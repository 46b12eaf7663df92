"""Adadelta: no rate to choose. The arithmetic is ``adadelta_update``.

``optim_rules.py`` in ``minicnn_kernels`` has it; ``elementwise.py`` has the step around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minicnn.autograd import Tensor
from minicnn.optim.elementwise import ElementwiseOptimizer
from minicnn.optim.optimizer import Params
from minicnn.optim.options import as_number, check_not_negative, refuse_options


class Adadelta(ElementwiseOptimizer):
    """Adadelta (Zeiler 2012, https://arxiv.org/abs/1212.5701, algorithm 1).

    ::

        g = grad + weight_decay * p                      (-grad with maximize)
        v = rho * v + (1 - rho) * g^2                    square_avg
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d^2                    acc_delta
        p = p - lr * d

    Parameters
    ----------
    params : parameters or groups of them, see ``Optimizer``.
    lr : learning rate, a number or a tensor of one element; 1 is the paper's rule.
    rho : how much of the running means is kept, in [0, 1].
    eps : added under both roots; the first steps are of the size of its root.
    weight_decay : adds this times the parameter to its gradient (L2 regularisation).
    foreach : torch's choice of implementation; accepted, and changes nothing.
    maximize : climb instead.
    capturable, differentiable : not supported.

    Raises
    ------
    ValueError : a negative value among the options, or a ``rho`` over 1.
    NotImplementedError : ``capturable=True`` or ``differentiable=True``.

    >>> import minicnn as mc
    >>> w = mc.nn.Parameter(mc.tensor([1.0]))
    >>> optimizer = mc.optim.Adadelta([w], rho=0.75, eps=0.0099)
    >>> (w * w).sum().backward()
    >>> optimizer.step()  # u = 0, v = 1: d = sqrt(0.0099 / 1.0099) * 2
    >>> round(w.item(), 4)
    0.802
    """

    _of_parameter_shape = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative("learning rate", lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_not_negative("epsilon value", eps)
        check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        refuse_options("Adadelta", defaults)
        super().__init__(params, defaults)

    def _arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def _update(
        self, kernels: Any, group: Mapping[str, Any], params: Any, grads: Any, steps: Any, states: Any, *kept: Any
    ) -> None:
        kernels.adadelta_update(
            params,
            grads,
            *kept,
            as_number(group["lr"]),
            group["rho"],
            group["eps"],
            as_number(group["weight_decay"]),
            group["maximize"],
        )
