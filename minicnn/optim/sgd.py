"""Stochastic gradient descent. The arithmetic is ``sgd_update``, in ``minicnn_kernels``' ``optim.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.optim.optimizer import (
    Optimizer,
    Params,
    as_number,
    call_closure,
    check_not_negative,
    check_state,
    refuse_options,
)
from minicnn_kernels import backend_of


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum, Nesterov's or not, and weight decay.

    ::

        g = grad + weight_decay * p                      (-grad with maximize)
        b = g at first, then momentum * b + (1 - dampening) * g
        p = p - lr * b                                   (g + momentum * b with nesterov, g without momentum)

    As in torch the learning rate is outside the momentum buffer b, unlike in Sutskever et al. 2013.

    Parameters
    ----------
    params : parameters or groups of them, see ``Optimizer``.
    lr : learning rate, a number or a tensor of one element.
    momentum : how much of the last step's direction is kept.
    dampening : how much of the new gradient is held back from the buffer.
    weight_decay : adds this times the parameter to its gradient (L2 regularisation).
    nesterov : look ahead along the momentum; needs momentum, and no dampening.
    maximize : climb instead.
    foreach, fused : torch's choices of implementation; accepted, and change nothing.
    differentiable : not supported.

    Raises
    ------
    ValueError : a negative ``lr``, ``momentum`` or ``weight_decay``, or ``nesterov`` without what it needs.
    NotImplementedError : ``differentiable=True``.

    >>> import minicnn as mc
    >>> w = mc.nn.Parameter(mc.tensor([1.0]))
    >>> optimizer = mc.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()  # the gradient is 2 w
    >>> optimizer.step()
    >>> w.item()
    0.800000011920929
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_not_negative("learning rate", lr)
        check_not_negative("momentum value", momentum)
        check_not_negative("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        refuse_options("SGD", defaults)
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient; see ``Optimizer.step``."""
        loss = call_closure(closure)
        for group in self.param_groups:
            lr, momentum = as_number(group["lr"]), group["momentum"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                array, buffer, first = parameter._array, None, False
                if momentum != 0:
                    state = self.state[parameter]
                    first = state.get("momentum_buffer") is None
                    if first:
                        state["momentum_buffer"] = Tensor(np.zeros_like(array))
                    check_state(parameter, state, "momentum_buffer")
                    buffer = state["momentum_buffer"]
                backend_of(array).sgd_update(
                    array,
                    parameter.grad._array,
                    None if buffer is None else buffer._array,
                    lr,
                    momentum,
                    group["dampening"],
                    as_number(group["weight_decay"]),
                    group["nesterov"],
                    group["maximize"],
                    first,
                )
                parameter._bump_version("SGD.step")
                if buffer is not None:
                    buffer._bump_version("SGD.step")
        return loss
