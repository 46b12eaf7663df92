"""Rprop: steps by the gradient's sign alone. The arithmetic is ``rprop_update``.

``optim_rules.py`` in ``minicnn_kernels`` has it; ``elementwise.py`` has the step around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minicnn.autograd import Tensor
from minicnn.optim.elementwise import ElementwiseOptimizer
from minicnn.optim.optimizer import Params
from minicnn.optim.options import as_number, check_not_negative, refuse_options


class Rprop(ElementwiseOptimizer):
    """Resilient backpropagation (Riedmiller & Braun 1993, https://doi.org/10.1109/ICNN.1993.298623): for whole batches.

    Each element has a step size of its own, which grows by ``etas[1]`` while the gradient keeps its sign, and shrinks by
    ``etas[0]`` where it changed; there the element waits for one step.

    ::

        s = s * (eta_plus where g * g_prev > 0, eta_minus where < 0, else 1), within step_sizes
        g = 0 where the sign changed
        p = p - sign(g) * s;   g_prev = g

    Parameters
    ----------
    params : parameters or groups of them, see ``Optimizer``.
    lr : learning rate, a number or a tensor of one element: the first step size.
    etas : (eta_minus, eta_plus), with 0 < eta_minus < 1 < eta_plus.
    step_sizes : the smallest and the largest step size.
    foreach : torch's choice of implementation; accepted, and changes nothing.
    maximize : climb instead.
    capturable, differentiable : not supported.

    Raises
    ------
    ValueError : a negative ``lr``, or ``etas`` outside their intervals.
    NotImplementedError : ``capturable=True`` or ``differentiable=True``.

    >>> import minicnn as mc
    >>> w = mc.nn.Parameter(mc.tensor([1.0]))
    >>> optimizer = mc.optim.Rprop([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()  # the first step is lr, whatever the gradient's size
    >>> round(w.item(), 4)
    0.9
    """

    _of_parameter_shape = ("prev", "step_size")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative("learning rate", lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        refuse_options("Rprop", defaults)
        super().__init__(params, defaults)

    def _arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"prev": 0.0, "step_size": as_number(group["lr"])}

    def _update(
        self, kernels: Any, group: Mapping[str, Any], params: Any, grads: Any, steps: Any, states: Any, *kept: Any
    ) -> None:
        kernels.rprop_update(params, grads, *kept, *group["etas"], *group["step_sizes"], group["maximize"])
