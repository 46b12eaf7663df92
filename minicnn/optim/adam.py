"""Adam and AdamW. The arithmetic is ``adam_update``, in ``minicnn_kernels``' ``optim.py``; ``arena.py`` says where the
running means lie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.optim.arena import zeros_like
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


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 1).

    Steps of the gradient's running mean over its running size:

    ::

        g = grad + weight_decay * p                      (-grad with maximize)
        m = beta1 * m + (1 - beta1) * g                  exp_avg
        v = beta2 * v + (1 - beta2) * g^2                exp_avg_sq
        p = p - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    Parameters
    ----------
    params : parameters or groups of them, see ``Optimizer``.
    lr : learning rate, a number or a tensor of one element: about the largest change of a parameter in one step.
    betas : how much of the running means of g and g^2 is kept, each in [0, 1).
    eps : added to the denominator.
    weight_decay : adds this times the parameter to its gradient (L2 regularisation; ``AdamW`` decays differently).
    amsgrad : divide by the largest v so far (Reddi et al. 2018, https://arxiv.org/abs/1904.09237), kept as
        max_exp_avg_sq.
    foreach, fused : torch's choices of implementation; accepted, and change nothing.
    maximize : climb instead.
    capturable, differentiable : not supported.
    decoupled_weight_decay : decay as ``AdamW`` does.

    Raises
    ------
    ValueError : a negative ``lr``, ``eps`` or ``weight_decay``, or a beta outside [0, 1).
    NotImplementedError : ``capturable=True`` or ``differentiable=True``.

    >>> import minicnn as mc
    >>> w = mc.nn.Parameter(mc.tensor([1.0]))
    >>> optimizer = mc.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()  # the first step is lr, whatever the gradient's size
    >>> round(w.item(), 6)
    0.9
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_not_negative("learning rate", lr)
        check_not_negative("epsilon value", eps)
        for i, beta in enumerate(betas):
            if not 0.0 <= as_number(beta) < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        refuse_options(type(self).__name__, defaults)
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient; see ``Optimizer.step``."""
        loss = call_closure(closure)
        for group in self.param_groups:
            active = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not active:
                continue
            kept = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")
            self._begin([parameter for parameter in active if not self.state[parameter]], kept)
            states = [self.state[parameter] for parameter in active]
            for parameter, state in zip(active, states, strict=True):
                check_state(parameter, state, *kept)
            averages = [[state[name]._array for state in states] for name in kept]
            params = [parameter._array for parameter in active]
            beta1, beta2 = map(as_number, group["betas"])
            backend_of(params[0]).adam_update(
                params,
                [parameter.grad._array for parameter in active],
                averages[0],
                averages[1],
                averages[2] if group["amsgrad"] else None,
                [_count(state["step"]) for state in states],
                as_number(group["lr"]),
                beta1,
                beta2,
                group["eps"],
                as_number(group["weight_decay"]),
                group["decoupled_weight_decay"],
                group["maximize"],
            )
            writer = f"{type(self).__name__}.step"
            for parameter, state in zip(active, states, strict=True):
                for changed in (parameter, state["step"], *(state[name] for name in kept)):
                    changed._bump_version(writer)
        return loss

    def _begin(self, parameters: list[Tensor], kept: tuple[str, ...]) -> None:
        """Give parameters before their first step a count and running means of zero."""
        parameters = list(dict.fromkeys(parameters))  # once, if mentioned twice
        arrays = [parameter._array for parameter in parameters]
        pieces = iter(zeros_like(arrays * len(kept))) if arrays else iter(())
        for parameter in parameters:
            self.state[parameter]["step"] = Tensor(
                np.zeros((), np.float32)
            )  # a tensor, as in torch: files read the same
        for name in kept:
            for parameter in parameters:
                self.state[parameter][name] = Tensor(next(pieces))


def _count(step: Tensor) -> float:
    """Add one to a count of steps, and read it."""
    step._array[()] += 1
    return float(step._array)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101, algorithm 2).

    Before Adam's step, ``p = p * (1 - lr * weight_decay)``: the decay does not pass through the running means. The
    arguments are ``Adam``'s, with a ``weight_decay`` of 0.01.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def _fill_in_options(self) -> None:
        super()._fill_in_options()
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True  # whatever optimizer the state came from
