"""Adam and AdamW. The arithmetic is ``adam_update``, in ``minicnn_kernels``' ``optim.py``; ``elementwise.py`` has the step
around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minicnn.autograd import Tensor
from minicnn.optim.elementwise import ElementwiseOptimizer
from minicnn.optim.optimizer import Optimizer, Params
from minicnn.optim.options import as_number, check_betas, check_not_negative, refuse_options


class Adam(ElementwiseOptimizer):
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

    _of_parameter_shape = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

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
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        check_not_negative("learning rate", lr)
        check_not_negative("epsilon value", eps)
        check_betas(betas)
        if isinstance(betas[0], Tensor) != isinstance(betas[1], Tensor):
            raise ValueError("betas must be either both floats or both Tensors")
        for i, beta in enumerate(betas):
            if isinstance(beta, Tensor) and foreach and not capturable:
                raise ValueError(f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
            if isinstance(beta, Tensor) and beta.numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")
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

    def _arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return dict.fromkeys(self._of_parameter_shape if group["amsgrad"] else self._of_parameter_shape[:2], 0.0)

    def _update(
        self,
        kernels: Any,
        group: Mapping[str, Any],
        params: Any,
        grads: Any,
        steps: Any,
        states: Any,
        *kept: Any,
    ) -> None:
        exp_avgs, exp_avg_sqs, *largest = kept
        kernels.adam_update(
            params,
            grads,
            exp_avgs,
            exp_avg_sqs,
            largest[0] if largest else None,
            steps,
            as_number(group["lr"]),
            *map(as_number, group["betas"]),
            group["eps"],
            as_number(group["weight_decay"]),
            group["decoupled_weight_decay"],
            group["maximize"],
        )


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


class SparseAdam(Optimizer):
    """Not there, for there are no sparse gradients: use ``Adam``.

    Raises
    ------
    NotImplementedError : always.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        raise NotImplementedError("SparseAdam is for sparse gradients, which do not exist here: use Adam")
