"""Schedules made of schedules: one after the other, or several at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from minicnn.optim.lr_scheduler.plateau import ReduceLROnPlateau
from minicnn.optim.lr_scheduler.scheduler import LRScheduler, copied, set_rates
from minicnn.optim.optimizer import Optimizer


class SequentialLR(LRScheduler):
    """One schedule after the other: the next begins, at its epoch 0, at each milestone.

    Parameters
    ----------
    optimizer, last_epoch : see ``LRScheduler``.
    schedulers : the schedules, all made for this optimizer.
    milestones : epochs at which the second, the third ... begins.

    Raises
    ------
    ValueError : no schedules, those of another optimizer, ``ReduceLROnPlateau``, another number of milestones.
    TypeError : what is no schedule.

    >>> import minicnn as mc
    >>> optimizer = mc.optim.SGD([mc.nn.Parameter(mc.zeros(1))], lr=1.0)
    >>> warm_up = mc.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> decay = mc.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> for epoch in range(5):
    ...     print(scheduler.get_last_lr()[0], end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    0.5 0.75 1.0 0.5 0.25
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        _check_members("SequentialLR", "expects at least one scheduler", schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone "
                f"points, but got number of schedulers {len(schedulers)} and the number of milestones to be equal to "
                f"{len(milestones)}"
            )
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        # Making the schedules has taken the first step of each: take them back, and that of the first again.
        set_rates(optimizer, [copied(group["initial_lr"]) for group in optimizer.param_groups])
        self.recursive_undo()
        self._schedulers[0]._initial_step()
        self._last_lr = self._schedulers[0].get_last_lr()

    def recursive_undo(self, sched: Any = None) -> None:
        """Take one step back, in all schedules and those inside them."""
        holder = self if sched is None else sched
        if hasattr(holder, "_schedulers"):
            for scheduler in holder._schedulers:
                self.recursive_undo(scheduler)
        elif hasattr(holder, "last_epoch"):
            holder.last_epoch -= 1

    def step(self) -> None:  # type: ignore[override]
        """Set the groups' rates for the next epoch; call it after ``optimizer.step()``."""
        self.last_epoch += 1
        number = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[number]
        if number > 0 and self._milestones[number - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, with the states of the schedules."""
        return _state_of(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what ``state_dict()`` returned."""
        _load(self, state_dict)


class ChainedScheduler(LRScheduler):
    """Several schedules at once: their factors multiply.

    Parameters
    ----------
    schedulers : the schedules, all made for one optimizer.
    optimizer : this optimizer; by default that of the first.

    Raises
    ------
    ValueError : no schedules, those of another optimizer, or ``ReduceLROnPlateau``.
    TypeError : what is no schedule.

    >>> import minicnn as mc
    >>> optimizer = mc.optim.SGD([mc.nn.Parameter(mc.zeros(1))], lr=1.0)
    >>> warm_up = mc.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> decay = mc.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = ChainedScheduler([warm_up, decay])
    >>> for epoch in range(4):
    ...     print(scheduler.get_last_lr()[0], end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    0.5 0.25 0.25 0.125
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        first = getattr(schedulers[0], "optimizer", None) if len(schedulers) else None
        _check_members(
            "ChainedScheduler", "expects at least one scheduler to be chained", schedulers, optimizer or first
        )
        self._schedulers = schedulers
        self.optimizer = optimizer or schedulers[0].optimizer
        self._last_lr = self._present_lrs()

    def step(self) -> None:  # type: ignore[override]
        """Step all schedules, in their order; call it after ``optimizer.step()``."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._present_lrs()

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, with the states of the schedules."""
        return _state_of(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what ``state_dict()`` returned."""
        _load(self, state_dict)


def _check_members(name: str, at_least_one: str, schedulers: Sequence[Any], optimizer: Any) -> None:
    if len(schedulers) < 1:
        raise ValueError(f"{name} {at_least_one}, but got no scheduler.")
    for i, scheduler in enumerate(schedulers):
        if not hasattr(scheduler, "optimizer"):
            raise TypeError(f"{name} at index {i} should have `optimizer` as its attribute.")
        if isinstance(scheduler, ReduceLROnPlateau):
            raise ValueError(
                f"{name} does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs to be specified "
                f"when calling `step`, but got one at index {i} in the given schedulers sequence."
            )
        if scheduler.optimizer is not optimizer:
            raise ValueError(
                f"{name} expects all schedulers to belong to the same optimizer, but got scheduler "
                f"{type(scheduler).__name__} at index {i} has {scheduler.optimizer}, which is different from {optimizer}."
            )


def _state_of(holder: Any) -> dict[str, Any]:
    state = {name: value for name, value in holder.__dict__.items() if name not in ("optimizer", "_schedulers")}
    return {**state, "_schedulers": [scheduler.state_dict() for scheduler in holder._schedulers]}


def _load(holder: Any, state_dict: dict[str, Any]) -> None:
    holder.__dict__.update({name: value for name, value in state_dict.items() if name != "_schedulers"})
    for scheduler, state in zip(holder._schedulers, state_dict["_schedulers"], strict=True):
        scheduler.load_state_dict(state)
