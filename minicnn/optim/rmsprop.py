"""RMSprop: steps relative to the gradient's running size. The arithmetic is ``rmsprop_update``.

``optim_rules.py`` in ``minicnn_kernels`` has it; ``elementwise.py`` has the step around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minicnn.autograd import Tensor
from minicnn.optim.elementwise import ElementwiseOptimizer
from minicnn.optim.optimizer import Params
from minicnn.optim.options import as_number, check_not_negative, refuse_options


class RMSprop(ElementwiseOptimizer):
    """RMSprop (Tieleman & Hinton 2012, lecture 6.5 of their course; centered: Graves 2013, https://arxiv.org/abs/1308.0850).

    ::

        g = grad + weight_decay * p                      (-grad with maximize)
        v = alpha * v + (1 - alpha) * g^2                square_avg
        a = alpha * a + (1 - alpha) * g                  grad_avg, with centered; else a = 0
        b = momentum * b + g / (sqrt(v - a^2) + eps)     momentum_buffer
        p = p - lr * b

    Parameters
    ----------
    params : parameters or groups of them, see ``Optimizer``.
    lr : learning rate, a number or a tensor of one element.
    alpha : how much of the running means is kept.
    eps : added to the denominator.
    weight_decay : adds this times the parameter to its gradient (L2 regularisation).
    momentum : how much of the last step is kept.
    centered : divide by an estimate of the gradient's standard deviation rather than of its size.
    foreach : torch's choice of implementation; accepted, and changes nothing.
    maximize : climb instead.
    capturable, differentiable : not supported.

    Raises
    ------
    ValueError : a negative value among the options.
    NotImplementedError : ``capturable=True`` or ``differentiable=True``.

    >>> import minicnn as mc
    >>> w = mc.nn.Parameter(mc.tensor([1.0]))
    >>> optimizer = mc.optim.RMSprop([w], lr=0.1, alpha=0.75)
    >>> (w * w).sum().backward()
    >>> optimizer.step()  # v = 4 / 4, and p = 1 - 0.1 * 2 / 1
    >>> round(w.item(), 4)
    0.8
    """

    _of_parameter_shape = ("square_avg", "momentum_buffer", "grad_avg")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative("learning rate", lr)
        check_not_negative("epsilon value", eps)
        check_not_negative("momentum value", momentum)
        check_not_negative("weight_decay value", weight_decay)
        check_not_negative("alpha value", alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        refuse_options("RMSprop", defaults)
        super().__init__(params, defaults)

    def _arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        kept = {"square_avg": 0.0}
        if group["momentum"] > 0:
            kept["momentum_buffer"] = 0.0
        if group["centered"]:
            kept["grad_avg"] = 0.0
        return kept

    def _update(
        self, kernels: Any, group: Mapping[str, Any], params: Any, grads: Any, steps: Any, states: Any, *kept: Any
    ) -> None:
        square_avgs, *others = kept
        buffers = others.pop(0) if group["momentum"] > 0 else None
        kernels.rmsprop_update(
            params,
            grads,
            square_avgs,
            buffers,
            others.pop(0) if group["centered"] else None,
            as_number(group["lr"]),
            group["alpha"],
            group["eps"],
            as_number(group["weight_decay"]),
            group["momentum"],
            group["maximize"],
        )
