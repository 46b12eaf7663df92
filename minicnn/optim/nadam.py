"""NAdam: Adam that looks ahead along its momentum. The arithmetic is ``nadam_update``.

``optim_rules.py`` in ``minicnn_kernels`` has it; ``elementwise.py`` has the step around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minicnn.autograd import Tensor
from minicnn.optim.elementwise import ElementwiseOptimizer
from minicnn.optim.optimizer import Params
from minicnn.optim.options import as_number, check_betas, check_not_negative, refuse_options


class NAdam(ElementwiseOptimizer):
    """NAdam (Dozat 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ, algorithm 2).

    ::

        g = grad + weight_decay * p                      (-grad with maximize)
        mu(t) = beta1 * (1 - 0.96^(t * momentum_decay) / 2)
        m = beta1 * m + (1 - beta1) * g                  exp_avg
        v = beta2 * v + (1 - beta2) * g^2                exp_avg_sq
        M = mu(1) * ... * mu(t)                          mu_product
        p = p - lr * ((1 - mu(t)) / (1 - M) * g + mu(t+1) / (1 - M * mu(t+1)) * m) / (sqrt(v / (1 - beta2^t)) + eps)

    Parameters
    ----------
    params : parameters or groups of them, see ``Optimizer``.
    lr : learning rate, a number or a tensor of one element.
    betas : how much of the running means of g and g^2 is kept, each in [0, 1).
    eps : added to the denominator.
    weight_decay : adds this times the parameter to its gradient (L2 regularisation).
    momentum_decay : how fast the momentum mu comes up to beta1.
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
    >>> optimizer = mc.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()  # g = 2, m = 0.2, v = 4: 0.1 * (1 * 2 + 0.5645 * 0.2) / 2
    >>> round(w.item(), 4)
    0.8944
    """

    _of_parameter_shape = ("exp_avg", "exp_avg_sq")
    _numbers = ("step", "mu_product")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
        check_not_negative("momentum_decay value", momentum_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        refuse_options("NAdam", defaults)
        super().__init__(params, defaults)

    def _arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def _scalars(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"mu_product": 1.0}

    def _update(
        self, kernels: Any, group: Mapping[str, Any], params: Any, grads: Any, steps: Any, states: Any, *kept: Any
    ) -> None:
        beta1, beta2 = map(as_number, group["betas"])
        grad_rates, avg_rates = [], []
        for state, step in zip(states, steps, strict=True):
            momentum, following = (
                beta1 * (1.0 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1)
            )
            state["mu_product"]._array[()] *= momentum
            product = float(state["mu_product"]._array)
            grad_rates.append((1.0 - momentum) / (1.0 - product))
            avg_rates.append(following / (1.0 - product * following))
        kernels.nadam_update(
            params,
            grads,
            *kept,
            steps,
            grad_rates,
            avg_rates,
            as_number(group["lr"]),
            beta1,
            beta2,
            group["eps"],
            as_number(group["weight_decay"]),
            group["decoupled_weight_decay"],
            group["maximize"],
        )
