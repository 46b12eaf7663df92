"""``LRScheduler``, the base class of the learning-rate schedules.

A schedule computes each group's next rate from ``last_epoch`` and, in most cases, from the group's present rate: so two
schedules on one optimizer multiply, as in torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from minicnn.autograd import Tensor, no_grad
from minicnn.optim.optimizer import Optimizer
from minicnn.optim.options import as_number

Rate = float | Tensor


class LRScheduler:
    """Base class of all schedules: subclasses define ``get_lr``.

    Making a schedule sets the optimizer's rates to those of its first epoch, so load an optimizer's state after.

    Parameters
    ----------
    optimizer : whose groups' ``"lr"`` to change.
    last_epoch : -1 to begin; the index of the last epoch to resume one whose groups have ``"initial_lr"``.

    Attributes
    ----------
    last_epoch : the number of ``step()`` calls so far, at first 0.
    base_lrs : each group's rate at the beginning.

    Raises
    ------
    TypeError : ``optimizer`` is no Optimizer.
    KeyError : resuming without ``"initial_lr"`` in the groups.
    """

    _is_initial = False  # whether this is the step that sets the first epoch's rates
    _get_lr_called_within_step = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = checked(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with last_epoch "
                    ">= 0: load the optimizer's state first, or leave last_epoch out for a fresh run"
                )
        self.base_lrs: list[Rate] = [copied(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        if "_opt_called" not in optimizer.__dict__ or not hasattr(optimizer, "_has_schedule"):
            # Steps before the first schedule was made do not count: they were not at its first rate.
            optimizer._has_schedule, optimizer._opt_called = True, False  # type: ignore[attr-defined]
        self._initial_step()

    def get_lr(self) -> list[Rate]:
        """The groups' rates for epoch ``last_epoch``, from their present ones (which ``get_last_lr`` tells)."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_lr()")

    def get_last_lr(self) -> list[Rate]:
        """The rates that the last ``step()`` set, one a group."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Set the groups' rates for the next epoch; call it after ``optimizer.step()``.

        Parameters
        ----------
        epoch : deprecated in torch: jump to this epoch, by the closed form where there is one.
        """
        if self._step_count == 1:
            self._warn_of_order()
        self._step_count += 1
        if epoch is not None:
            warn_of_epoch()
        self._update_lr(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what ``state_dict()`` returned. The rates themselves are in the optimizer's state."""
        self.__dict__.update(state_dict)

    def _initial_step(self) -> None:
        """Set the first epoch's rates."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _update_lr(self, epoch: float | None = None) -> None:
        """Go to the next epoch, or to the given one by the closed form."""
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                rates = self.get_lr()
            else:
                self.last_epoch = int(epoch)
                rates = self._get_closed_form_lr()
        finally:
            self._get_lr_called_within_step = False
        set_rates(self.optimizer, rates)
        self._last_lr: list[Rate] = self._present_lrs()

    def _get_closed_form_lr(self) -> list[Rate]:
        """The rates for epoch ``last_epoch``, from the base ones alone."""
        return self.get_lr()

    def _present_lrs(self) -> list[Rate]:
        return [copied(group["lr"]) for group in self.optimizer.param_groups]

    def _note_a_call_from_outside(self) -> None:
        """``get_lr`` between two steps gives the rates after the next one: hardly what its caller wanted."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )

    def _warn_of_order(self) -> None:
        if "step" in self.optimizer.__dict__:
            warnings.warn(
                "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. Please "
                "make sure to call `optimizer.step()` before `lr_scheduler.step()`.",
                UserWarning,
                stacklevel=3,
            )
        elif not self.optimizer._opt_called:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite order: "
                "otherwise the first value of the learning rate schedule is skipped.",
                UserWarning,
                stacklevel=3,
            )


class _LRScheduler(LRScheduler):
    """The base class under its former name, for schedules that were written for it."""


def checked(optimizer: Any) -> Optimizer:
    """The optimizer, if it is one."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def warn_of_epoch() -> None:
    warnings.warn(
        "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
        "`scheduler.step()` to step the scheduler.",
        UserWarning,
        stacklevel=3,
    )


def set_rates(optimizer: Optimizer, rates: Sequence[Rate]) -> None:
    """Give each group its rate; a rate that is a tensor is changed in place."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if isinstance(group["lr"], Tensor):
            with no_grad():
                group["lr"].fill_(as_number(rate))
        else:
            group["lr"] = rate


def copied(rate: Rate) -> Rate:
    """A rate that does not change with the optimizer's when that is a tensor."""
    return rate.clone() if isinstance(rate, Tensor) else rate


def per_group(name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """A value for each group: the one given for all, or a list of them.

    Raises
    ------
    ValueError : a list of another length than there are groups.
    """
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [as_number(value)] * groups
    if len(value) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. "
            f"{name} has {len(value)} values, param_groups has {groups}."
        )
    return list(value)


def set_momentum(group: dict[str, Any], value: float) -> None:
    """Set a group's momentum, or beta1 where it has betas."""
    if "betas" in group:
        group["betas"] = (value, *map(as_number, group["betas"][1:]))
    else:
        group["momentum"] = value


def requires_momentum(optimizer: Optimizer) -> bool:
    """Whether the momentum of this optimizer is its beta1.

    Raises
    ------
    ValueError : it has neither.
    """
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
    return "betas" in optimizer.defaults
