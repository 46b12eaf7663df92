"""Adagrad: the rate falls with the sum of an element's squared gradients. The arithmetic is ``adagrad_update``.

``optim_rules.py`` in ``minicnn_kernels`` has it; ``elementwise.py`` has the step around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minicnn.autograd import Tensor
from minicnn.optim.elementwise import ElementwiseOptimizer
from minicnn.optim.optimizer import Params
from minicnn.optim.options import as_number, check_not_negative, refuse_options


class Adagrad(ElementwiseOptimizer):
    """Adagrad (Duchi, Hazan & Singer 2011, https://jmlr.org/papers/v12/duchi11a.html).

    ::

        g = grad + weight_decay * p                      (-grad with maximize)
        s = s + g^2                                      sum
        p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

    The sums are made with the optimizer, as in torch: they are in ``state_dict()`` before the first step.

    Parameters
    ----------
    params : parameters or groups of them, see ``Optimizer``.
    lr : learning rate, a number or a tensor of one element.
    lr_decay : how fast the rate falls with the number of steps.
    weight_decay : adds this times the parameter to its gradient (L2 regularisation).
    initial_accumulator_value : what the sums begin with.
    eps : added to the denominator.
    foreach, fused : torch's choices of implementation; accepted, and changes nothing.
    maximize : climb instead.
    differentiable : not supported.

    Raises
    ------
    ValueError : a negative value among the options.
    NotImplementedError : ``differentiable=True``.

    >>> import minicnn as mc
    >>> w = mc.nn.Parameter(mc.tensor([1.0]))
    >>> optimizer = mc.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()  # the first step is lr, whatever the gradient's size
    >>> round(w.item(), 4)
    0.9
    """

    _of_parameter_shape = ("sum",)

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_not_negative("learning rate", lr)
        check_not_negative("lr_decay value", lr_decay)
        check_not_negative("weight_decay value", weight_decay)
        check_not_negative("initial_accumulator_value value", initial_accumulator_value)
        check_not_negative("epsilon value", eps)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        refuse_options("Adagrad", defaults)
        super().__init__(params, defaults)
        for group in self.param_groups:
            self._begin(group["params"], group)

    def _arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"sum": group["initial_accumulator_value"]}

    def _update(
        self, kernels: Any, group: Mapping[str, Any], params: Any, grads: Any, steps: Any, states: Any, *kept: Any
    ) -> None:
        kernels.adagrad_update(
            params,
            grads,
            *kept,
            steps,
            as_number(group["lr"]),
            group["lr_decay"],
            as_number(group["weight_decay"]),
            group["eps"],
            group["maximize"],
        )
