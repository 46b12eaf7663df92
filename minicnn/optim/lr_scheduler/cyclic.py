"""The cyclical schedule: up and down between two rates, with the momentum going the other way."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Sequence
from typing import Any

from minicnn.autograd import Tensor
from minicnn.optim.lr_scheduler.scheduler import (
    LRScheduler,
    Rate,
    checked,
    per_group,
    requires_momentum,
    set_momentum,
    set_rates,
)
from minicnn.optim.optimizer import Optimizer

# Height of a cycle, from the number of the cycle or of the step: what is given, and the function of it and gamma.
_MODES: dict[str, tuple[str, Callable[[float, float], float]]] = {
    "triangular": ("cycle", lambda cycle, gamma: 1.0),
    "triangular2": ("cycle", lambda cycle, gamma: 1 / 2.0 ** (cycle - 1)),
    "exp_range": ("iterations", lambda step, gamma: gamma**step),
}


class CyclicLR(LRScheduler):
    """Triangles between ``base_lr`` and ``max_lr`` (Smith 2017, https://arxiv.org/abs/1506.01186): step it every *batch*.

    Parameters
    ----------
    optimizer, last_epoch : see ``LRScheduler``; epochs are batches here.
    base_lr, max_lr : the lowest and the highest rate, or lists of them, one a group.
    step_size_up, step_size_down : batches of the rise and of the fall, by default as many.
    mode : 'triangular', 'triangular2' (each cycle half as high as the last) or 'exp_range' (height ``gamma^batch``).
    gamma : of 'exp_range'.
    scale_fn : in place of ``mode``: a function that gives the height, in [0, 1].
    scale_mode : what ``scale_fn`` gets: the number of the 'cycle', from 1, or of the batch ('iterations').
    cycle_momentum : whether momentum (beta1 for Adam) moves too, from ``max_momentum`` down to ``base_momentum``.
    base_momentum, max_momentum : its lowest and highest value, or lists, one a group.

    Raises
    ------
    TypeError : ``optimizer`` is no Optimizer.
    ValueError : another mode, an optimizer without momentum, lists of another length than there are groups.

    >>> import minicnn as mc
    >>> optimizer = mc.optim.SGD([mc.nn.Parameter(mc.zeros(1))], lr=0.1, momentum=0.9)
    >>> scheduler = CyclicLR(optimizer, base_lr=0.0, max_lr=1.0, step_size_up=2, mode="triangular2")
    >>> for batch in range(9):
    ...     print(round(scheduler.get_last_lr()[0], 4), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    0.0 0.5 1.0 0.5 0.0 0.25 0.5 0.25 0.0
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        checked(optimizer)
        base_lrs = per_group("base_lr", base_lr, optimizer)
        if last_epoch == -1:
            set_rates(optimizer, base_lrs)
        self.max_lrs = per_group("max_lr", max_lr, optimizer)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        if mode not in _MODES and scale_fn is None:
            raise ValueError(f"mode is invalid and scale_fn is None: got {mode!r}, expected one of {', '.join(_MODES)}")
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else _MODES[mode][0]
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1 = requires_momentum(optimizer)
            self.base_momentums = per_group("base_momentum", base_momentum, optimizer)
            self.max_momentums = per_group("max_momentum", max_momentum, optimizer)
            if last_epoch == -1:
                for group, highest, lowest in zip(
                    optimizer.param_groups, self.max_momentums, self.base_momentums, strict=True
                ):
                    set_momentum(group, highest)
                    group["max_momentum"] = highest
                    group["base_momentum"] = lowest
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """How high a cycle is, from 0 to 1; ``x`` is its number, or that of the batch."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return _MODES[self.mode][1](x, self.gamma)

    def get_lr(self) -> list[Rate]:
        """The groups' rates for batch ``last_epoch``. Sets their momenta too, as in torch."""
        self._note_a_call_from_outside()
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle  # how far through the cycle, from 0 to 1
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        bases = [b.item() if isinstance(b, Tensor) else b for b in self.base_lrs]
        rates: list[Rate] = [
            base + (highest - base) * height * scale for base, highest in zip(bases, self.max_lrs, strict=True)
        ]
        if self.cycle_momentum:
            for group, highest, lowest in zip(
                self.optimizer.param_groups, self.max_momentums, self.base_momentums, strict=True
            ):
                set_momentum(group, highest - (highest - lowest) * height * scale)
        return rates

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of a callable object its attributes, of a function nothing: give it again."""
        state = super().state_dict()
        custom = state.pop("_scale_fn_custom")
        keeps = custom is not None and not isinstance(custom, types.FunctionType)
        state["_scale_fn_custom"] = dict(custom.__dict__) if keeps else None
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what ``state_dict()`` returned."""
        state = dict(state_dict)
        attributes = state.pop("_scale_fn_custom")
        super().load_state_dict(state)
        if attributes is not None and self._scale_fn_custom is not None:
            self._scale_fn_custom.__dict__.update(attributes)
