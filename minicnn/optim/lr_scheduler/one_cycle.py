"""The one-cycle schedule: up to a high rate, then down to almost nothing, with the momentum going the other way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minicnn.optim.lr_scheduler.scheduler import (
    LRScheduler,
    Rate,
    checked,
    per_group,
    requires_momentum,
    set_momentum,
)
from minicnn.optim.optimizer import Optimizer


class OneCycleLR(LRScheduler):
    """One cycle over the whole training (Smith & Topin 2017, https://arxiv.org/abs/1708.07120): step it every *batch*.

    The rate goes from ``max_lr / div_factor`` up to ``max_lr`` in the first ``pct_start`` of all steps, then down to
    ``max_lr / div_factor / final_div_factor``; momentum (beta1 for Adam) from ``max_momentum`` to ``base_momentum`` and
    back.

    Parameters
    ----------
    optimizer, last_epoch : see ``LRScheduler``; epochs are batches here.
    max_lr : the highest rate, or a list, one a group.
    total_steps : how many batches there will be; or
    epochs, steps_per_epoch : their factors.
    pct_start : share of the rise, in [0, 1].
    anneal_strategy : 'cos' or 'linear', the form of rise and fall.
    cycle_momentum : whether momentum moves too.
    base_momentum, max_momentum : its lowest and highest value, or lists, one a group.
    div_factor, final_div_factor : how far below ``max_lr`` it begins, and how far below that it ends.
    three_phase : fall back to the first rate as fast as it rose, then to the last one in what remains.

    Raises
    ------
    TypeError : ``optimizer`` is no Optimizer.
    ValueError : lengths that are not positive integers, or neither form of them; ``pct_start`` outside [0, 1]; another
        strategy; an optimizer without momentum; lists of another length; and a ``step()`` past the end.

    >>> import minicnn as mc
    >>> optimizer = mc.optim.SGD([mc.nn.Parameter(mc.zeros(1))], lr=0.1, momentum=0.9)
    >>> scheduler = OneCycleLR(optimizer, max_lr=1.0, total_steps=5, pct_start=0.4, anneal_strategy="linear")
    >>> for batch in range(5):
    ...     print(round(scheduler.get_last_lr()[0], 4), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    0.04 1.0 0.6667 0.3333 0.0
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        checked(optimizer)
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        groups = optimizer.param_groups
        max_lrs = per_group("max_lr", max_lr, optimizer)
        if last_epoch == -1:
            for group, highest in zip(groups, max_lrs, strict=True):
                group["initial_lr"] = highest / div_factor
                group["max_lr"] = highest
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1 = requires_momentum(optimizer)
            highest_momenta = per_group("max_momentum", max_momentum, optimizer)
            lowest_momenta = per_group("base_momentum", base_momentum, optimizer)
            if last_epoch == -1:
                for group, highest, lowest in zip(groups, highest_momenta, lowest_momenta, strict=True):
                    set_momentum(group, highest)
                    group["max_momentum"] = highest
                    group["base_momentum"] = lowest
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        """The groups' rates for step ``last_epoch``. Sets their momenta too, as in torch."""
        self._note_a_call_from_outside()
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        rates: list[Rate] = []
        for group in self.optimizer.param_groups:
            phase, share = self._locate(step)
            rates.append(self._anneal(group[phase["start_lr"]], group[phase["end_lr"]], share))
            if self.cycle_momentum:
                start, end = group[phase["start_momentum"]], group[phase["end_momentum"]]
                set_momentum(group, self._anneal(start, end, share))
        return rates

    def _locate(self, step: int) -> tuple[dict[str, Any], float]:
        """The phase that ``step`` is in, and how far through it, from 0 to 1."""
        start = 0.0
        for phase in self._schedule_phases[:-1]:
            if step <= phase["end_step"]:
                return phase, (step - start) / (phase["end_step"] - start)
            start = phase["end_step"]
        last = self._schedule_phases[-1]
        return last, (step - start) / (last["end_step"] - start)

    def _anneal(self, start: float, end: float, share: float) -> float:
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)
        return (end - start) * share + start


def _total_steps(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is not None:
        return _positive("total_steps", total_steps)
    if epochs is None or steps_per_epoch is None:
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    return _positive("epochs", epochs) * _positive("steps_per_epoch", steps_per_epoch)


def _positive(name: str, value: int) -> int:
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"Expected positive integer {name}, but got {value}")
    return value


def _phases(total_steps: int, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
    """What each phase anneals from and to (names of group options), and its last step."""

    def phase(end_step: float, start_lr: str, end_lr: str, start_momentum: str, end_momentum: str) -> dict[str, Any]:
        return {
            "end_step": end_step,
            "start_lr": start_lr,
            "end_lr": end_lr,
            "start_momentum": start_momentum,
            "end_momentum": end_momentum,
        }

    rise = phase(pct_start * total_steps - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")
    if not three_phase:
        return [rise, phase(total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    fall_end = 2 * pct_start * total_steps - 2
    return [
        rise,
        phase(fall_end, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
        phase(total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
    ]
