"""RAdam: Adam that warms up by itself. The arithmetic is ``radam_update``.

``optim_rules.py`` in ``minicnn_kernels`` has it; ``elementwise.py`` has the step around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minicnn.autograd import Tensor
from minicnn.optim.elementwise import ElementwiseOptimizer
from minicnn.optim.optimizer import Params
from minicnn.optim.options import as_number, check_betas, check_not_negative, refuse_options


class RAdam(ElementwiseOptimizer):
    """RAdam (Liu et al. 2020, https://arxiv.org/abs/1908.03265, algorithm 2).

    The first steps, from which the gradient's size cannot be told yet, are steps of the running mean alone:

    ::

        g = grad + weight_decay * p                      (-grad with maximize)
        m = beta1 * m + (1 - beta1) * g                  exp_avg
        v = beta2 * v + (1 - beta2) * g^2                exp_avg_sq
        r = how far v can be trusted, from 0 to 1: see the kernel
        p = p - lr * m / (1 - beta1^t) * (r / (sqrt(v / (1 - beta2^t)) + eps'), or 1 at first)

    with ``eps' = eps / sqrt(1 - beta2^t)``, as in torch.

    Parameters
    ----------
    params : parameters or groups of them, see ``Optimizer``.
    lr : learning rate, a number or a tensor of one element.
    betas : how much of the running means of g and g^2 is kept, each in [0, 1).
    eps : added to the denominator.
    weight_decay : adds this times the parameter to its gradient (L2 regularisation).
    decoupled_weight_decay : decay as ``AdamW`` does: ``p = p * (1 - lr * weight_decay)`` before the step.
    foreach : torch's choice of implementation; accepted, and changes nothing.
    maximize : climb instead.
    capturable, differentiable : not supported.

    Raises
    ------
    ValueError : a negative value among the options, or a beta outside [0, 1).
    NotImplementedError : ``capturable=True`` or ``differentiable=True``.

    >>> import minicnn as mc
    >>> w = mc.nn.Parameter(mc.tensor([1.0]))
    >>> optimizer = mc.optim.RAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()  # the first steps are those of SGD with momentum
    >>> round(w.item(), 4)
    0.8
    """

    _of_parameter_shape = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
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
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        refuse_options("RAdam", defaults)
        super().__init__(params, defaults)

    def _arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def _update(
        self, kernels: Any, group: Mapping[str, Any], params: Any, grads: Any, steps: Any, states: Any, *kept: Any
    ) -> None:
        kernels.radam_update(
            params,
            grads,
            *kept,
            steps,
            as_number(group["lr"]),
            *map(as_number, group["betas"]),
            group["eps"],
            as_number(group["weight_decay"]),
            group["decoupled_weight_decay"],
            group["maximize"],
        )
