"""``LRScheduler``, the base class of the learning-rate schedules.

A schedule computes each group's next rate from ``last_epoch`` and, in most cases, from the group's present rate: so two
schedules on one optimizer multiply, as in torch.
"""

from __future__ import annotations

import warnings
from typing import Any

from minicnn.autograd import Tensor, no_grad
from minicnn.optim.optimizer import Optimizer, as_number

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

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with last_epoch "
                    ">= 0: load the optimizer's state first, or leave last_epoch out for a fresh run"
                )
        self.base_lrs: list[Rate] = [_copied(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._last_lr: list[Rate] = []
        self._step_count = 0
        self._is_initial = True  # the step in here sets the first epoch's rates
        self.step()
        self._is_initial = False

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
        epoch : deprecated in torch: jump to this epoch. It works for schedules with a closed form.
        """
        if self._step_count == 1 and not self.optimizer._opt_called:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite order: "
                "otherwise the first value of the learning rate schedule is skipped.",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            warnings.warn(
                "The epoch parameter in `scheduler.step()` is deprecated: use `scheduler.step()` without it.",
                UserWarning,
                stacklevel=2,
            )
            self.last_epoch = epoch
            rates = self._get_closed_form_lr()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            if isinstance(group["lr"], Tensor):
                with no_grad():
                    group["lr"].fill_(as_number(rate))
            else:
                group["lr"] = rate
        self._last_lr = self._present_lrs()

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what ``state_dict()`` returned. The rates themselves are in the optimizer's state."""
        self.__dict__.update(state_dict)

    def _get_closed_form_lr(self) -> list[Rate]:
        """The rates for epoch ``last_epoch``, from the base ones alone."""
        return self.get_lr()

    def _present_lrs(self) -> list[Rate]:
        return [_copied(group["lr"]) for group in self.optimizer.param_groups]


def _copied(rate: Rate) -> Rate:
    """A rate that does not change with the optimizer's when that is a tensor."""
    return rate.clone() if isinstance(rate, Tensor) else rate
