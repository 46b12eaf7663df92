"""Schedules along a cosine: once, and with restarts."""

from __future__ import annotations

import math

from minicnn.optim.lr_scheduler.scheduler import LRScheduler, Rate
from minicnn.optim.optimizer import Optimizer


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
        self._note_a_call_from_outside()
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


class CosineAnnealingWarmRestarts(LRScheduler):
    """A cosine from the base rate down to ``eta_min``, and again from the top: Loshchilov & Hutter 2017, equation 5.

    ``rate = eta_min + (base - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2``, with T_cur epochs since the last restart and
    T_i from one to the next. ``step(epoch)`` takes fractions of epochs: ``step(epoch + batch / batches)``.

    Parameters
    ----------
    optimizer, last_epoch : see ``LRScheduler``.
    T_0 : epochs to the first restart.
    T_mult : by which T_i grows at each restart.
    eta_min : the lowest rate.

    Raises
    ------
    ValueError : ``T_0`` or ``T_mult`` is no positive integer, ``eta_min`` no number; a negative epoch.

    >>> import minicnn as mc
    >>> optimizer = mc.optim.SGD([mc.nn.Parameter(mc.zeros(1))], lr=1.0)
    >>> scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> for epoch in range(5):
    ...     print(round(scheduler.get_last_lr()[0], 4), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    1.0 0.5 1.0 0.5 1.0
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        self._note_a_call_from_outside()
        height = _height(self.T_cur, self.T_i)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Set the groups' rates for the next epoch, or for ``epoch``, which may be a fraction."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        elif epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            # After n restarts: T_0 (1 + T_mult + ... + T_mult^(n-1)) epochs.
            n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**n
        self._update_lr(math.floor(epoch))


def _height(epoch: float, t_max: float) -> float:
    """1 + cos(pi epoch / t_max): 2 at the top, 0 at the lowest point."""
    return 1 + math.cos(math.pi * epoch / t_max)
