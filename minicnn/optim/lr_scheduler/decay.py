"""Schedules that fall: in steps, exponentially, linearly, along a cosine, or as a function says.

Each has torch's recursive form, next rate from present rate, in ``get_lr``, and the closed form it comes from in
``_get_closed_form_lr``; the tests hold the two together.
"""

from __future__ import annotations

import math
import types
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from minicnn.optim.lr_scheduler.scheduler import LRScheduler, Rate
from minicnn.optim.optimizer import Optimizer


class StepLR(LRScheduler):
    """Multiply the rate by ``gamma`` every ``step_size`` epochs.

    Parameters
    ----------
    optimizer, last_epoch : see ``LRScheduler``.
    step_size : epochs between two falls.
    gamma : the factor.

    >>> import minicnn as mc
    >>> optimizer = mc.optim.SGD([mc.nn.Parameter(mc.zeros(1))], lr=0.5)
    >>> scheduler = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for epoch in range(5):
    ...     print(scheduler.get_last_lr()[0], end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    0.5 0.5 0.25 0.25 0.125
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        if self.last_epoch == 0 or self.last_epoch % self.step_size != 0:
            return self._present_lrs()
        return [rate * self.gamma for rate in self._present_lrs()]

    def _get_closed_form_lr(self) -> list[Rate]:
        return [base * self.gamma ** (self.last_epoch // self.step_size) for base in self.base_lrs]


class MultiStepLR(LRScheduler):
    """Multiply the rate by ``gamma`` at each of the ``milestones``.

    Parameters
    ----------
    optimizer, last_epoch : see ``LRScheduler``.
    milestones : epochs; one that is there twice counts twice.
    gamma : the factor.
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        if self.last_epoch not in self.milestones:
            return self._present_lrs()
        return [rate * self.gamma ** self.milestones[self.last_epoch] for rate in self._present_lrs()]

    def _get_closed_form_lr(self) -> list[Rate]:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return [base * self.gamma**passed for base in self.base_lrs]


class ExponentialLR(LRScheduler):
    """Multiply the rate by ``gamma`` every epoch.

    Parameters
    ----------
    optimizer, last_epoch : see ``LRScheduler``.
    gamma : the factor.
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        if self._is_initial:
            return self._present_lrs()
        return [rate * self.gamma for rate in self._present_lrs()]

    def _get_closed_form_lr(self) -> list[Rate]:
        return [base * self.gamma**self.last_epoch for base in self.base_lrs]


class LinearLR(LRScheduler):
    """Move the rate's factor in a straight line from ``start_factor`` to ``end_factor``: a warm-up, mostly.

    Parameters
    ----------
    optimizer, last_epoch : see ``LRScheduler``.
    start_factor : in (0, 1], of the base rate, at epoch 0.
    end_factor : in [0, 1], from epoch ``total_iters`` on.
    total_iters : epochs from one to the other.

    Raises
    ------
    ValueError : a factor outside its interval.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1.0:
            raise ValueError(
                "Starting multiplicative factor expected to be greater than 0 and less or equal to 1, "
                f"got start_factor={start_factor}."
            )
        if not 0 <= end_factor <= 1.0:
            raise ValueError(
                f"Ending multiplicative factor expected to be between 0 and 1, got end_factor={end_factor}."
            )
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        if self.last_epoch == 0:
            return [rate * self.start_factor for rate in self._present_lrs()]
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._present_lrs()
        rise = self.end_factor - self.start_factor
        growth = 1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)
        return [rate * growth for rate in self._present_lrs()]

    def _get_closed_form_lr(self) -> list[Rate]:
        share = min(self.total_iters, self.last_epoch) / self.total_iters
        return [base * (self.start_factor + (self.end_factor - self.start_factor) * share) for base in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the base rate down to ``eta_min`` in ``T_max`` epochs (and up again after, as in torch).

    ``rate = eta_min + (base - eta_min) * (1 + cos(pi * epoch / T_max)) / 2``: Loshchilov & Hutter 2017,
    https://arxiv.org/abs/1608.03983, equation 5, without the restarts.

    Parameters
    ----------
    optimizer, last_epoch : see ``LRScheduler``.
    T_max : epochs to the lowest point.
    eta_min : the lowest rate.

    >>> import minicnn as mc
    >>> optimizer = mc.optim.SGD([mc.nn.Parameter(mc.zeros(1))], lr=1.0)
    >>> scheduler = CosineAnnealingLR(optimizer, T_max=4)
    >>> for epoch in range(5):
    ...     print(round(scheduler.get_last_lr()[0], 4), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    1.0 0.8536 0.5 0.1464 0.0
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        if self._is_initial:
            return self._present_lrs()
        if self._step_count == 1 and self.last_epoch > 0:
            return self._get_closed_form_lr()
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            # One past the lowest point, where the ratio below is 0 / 0.
            climb = (1 - math.cos(math.pi / self.T_max)) / 2
            return [
                rate + (base - self.eta_min) * climb
                for rate, base in zip(self._present_lrs(), self.base_lrs, strict=True)
            ]
        ratio = _height(self.last_epoch, self.T_max) / _height(self.last_epoch - 1, self.T_max)
        return [ratio * (rate - self.eta_min) + self.eta_min for rate in self._present_lrs()]

    def _get_closed_form_lr(self) -> list[Rate]:
        height = _height(self.last_epoch, self.T_max)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]


def _height(epoch: int, t_max: int) -> float:
    """1 + cos(pi epoch / t_max): 2 at the top, 0 at the lowest point."""
    return 1 + math.cos(math.pi * epoch / t_max)


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
        return [base * factor(self.last_epoch) for base, factor in zip(self.base_lrs, self.lr_lambdas, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of callable objects their attributes, of functions nothing: give them again."""
        state = super().state_dict()
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
