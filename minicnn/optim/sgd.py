"""Stochastic gradient descent. The arithmetic is ``sgd_update``, in ``minicnn_kernels``' ``optim.py``; ``arena.py`` says
where the momentum buffers lie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minicnn.autograd import Tensor
from minicnn.optim.arena import zeros_like
from minicnn.optim.optimizer import Optimizer, Params
from minicnn.optim.options import as_number, call_closure, check_not_negative, check_state, refuse_options
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

    _of_parameter_shape = ("momentum_buffer",)

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
            active = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not active:
                continue
            params = [parameter._array for parameter in active]
            buffers, first_steps = None, [False] * len(active)
            if group["momentum"] != 0:
                buffers, first_steps = self._buffers_of(active)
            backend_of(params[0]).sgd_update(
                params,
                [parameter.grad._array for parameter in active],
                None if buffers is None else [buffer._array for buffer in buffers],
                first_steps,
                as_number(group["lr"]),
                group["momentum"],
                group["dampening"],
                as_number(group["weight_decay"]),
                group["nesterov"],
                group["maximize"],
            )
            for changed in (*active, *(buffers or ())):
                changed._bump_version("SGD.step")
        return loss

    def _buffers_of(self, parameters: list[Tensor]) -> tuple[list[Tensor], list[bool]]:
        """The parameters' momentum buffers, and which of them are new: to be set to the gradient."""
        missing = [p for p in dict.fromkeys(parameters) if self.state[p].get("momentum_buffer") is None]
        if missing:
            for parameter, piece in zip(missing, zeros_like([p._array for p in missing]), strict=True):
                self.state[parameter]["momentum_buffer"] = Tensor(piece)
        for parameter in parameters:
            check_state(parameter, self.state[parameter], "momentum_buffer")
        new = set(missing)
        buffers = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        return buffers, [parameter in new for parameter in parameters]
