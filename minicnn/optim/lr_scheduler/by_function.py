"""Schedules whose factor is a function of the epoch that the user writes."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

from minicnn.optim.lr_scheduler.scheduler import LRScheduler, Rate
from minicnn.optim.optimizer import Optimizer


class LambdaLR(LRScheduler):
    """Multiply the base rate by a function of the epoch.

    Parameters
    ----------
    optimizer, last_epoch : see ``LRScheduler``.
    lr_lambda : a function from epoch to factor, or a list of them, one a group.

    Raises
    ------
    ValueError : a list of another length than there are groups.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(optimizer.param_groups)
        if isinstance(lr_lambda, Sequence):
            if len(lr_lambda) != groups:
                raise ValueError(f"Expected {groups} lr_lambdas, but got {len(lr_lambda)}")
            self.lr_lambdas: list[Any] = list(lr_lambda)
        else:
            self.lr_lambdas = [lr_lambda] * groups
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        self._note_a_call_from_outside()
        return [base * factor(self.last_epoch) for base, factor in zip(self.base_lrs, self.lr_lambdas, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of callable objects their attributes, of functions nothing: give them again."""
        state = super().state_dict()
        del state["lr_lambdas"]  # to the end, as in torch
        state["lr_lambdas"] = [
            None if isinstance(factor, types.FunctionType) else dict(factor.__dict__) for factor in self.lr_lambdas
        ]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what ``state_dict()`` returned."""
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "lr_lambdas"})
        for factor, attributes in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if attributes is not None:
                factor.__dict__.update(attributes)


class MultiplicativeLR(LambdaLR):
    """Multiply the present rate by a function of the epoch, from epoch 1 on.

    Parameters
    ----------
    optimizer, last_epoch : see ``LRScheduler``.
    lr_lambda : a function from epoch to factor, or a list of them, one a group.

    Raises
    ------
    ValueError : a list of another length than there are groups.

    >>> import minicnn as mc
    >>> optimizer = mc.optim.SGD([mc.nn.Parameter(mc.zeros(1))], lr=1.0)
    >>> scheduler = MultiplicativeLR(optimizer, lambda epoch: 1 / (1 + epoch))
    >>> for epoch in range(4):
    ...     print(round(scheduler.get_last_lr()[0], 4), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    1.0 0.5 0.1667 0.0417
    """

    def get_lr(self) -> list[Rate]:
        self._note_a_call_from_outside()
        if self._is_initial:
            return self._present_lrs()
        return [
            rate * factor(self.last_epoch) for rate, factor in zip(self._present_lrs(), self.lr_lambdas, strict=True)
        ]
