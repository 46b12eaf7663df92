"""Averages of a model's weights over a training run: ``optim.swa_utils``, with torch's names.

Stochastic weight averaging (Izmailov et al. 2018, https://arxiv.org/abs/1803.05407) takes the mean over the last epochs,
at a rate kept high by ``SWALR``; an exponential moving average (Polyak & Juditsky 1992) follows the weights at a
distance. Both leave batch norm's statistics behind, which ``update_bn`` computes anew.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

from minicnn.autograd import Tensor, no_grad
from minicnn.nn.batchnorm import _BatchNorm
from minicnn.nn.module import Module
from minicnn.ops import tensor
from minicnn.optim.lr_scheduler.scheduler import LRScheduler, Rate, checked, per_group
from minicnn.optim.optimizer import Optimizer
from minicnn.optim.options import as_number

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

AverageFunction = Callable[[Tensor, Tensor, Any], Tensor]
MultiAverageFunction = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]


def get_ema_avg_fn(decay: float = 0.999) -> AverageFunction:
    """A function of (average, present value, number averaged): ``decay * average + (1 - decay) * present``.

    Raises
    ------
    ValueError : a ``decay`` outside [0, 1].

    >>> import minicnn as mc
    >>> get_ema_avg_fn(0.75)(mc.tensor(1.0), mc.tensor(3.0), 5)
    tensor(1.5000)
    """
    _check_decay(decay)

    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> AverageFunction:
    """A function of (average, present value, number averaged): the mean with one value more.

    >>> import minicnn as mc
    >>> get_swa_avg_fn()(mc.tensor(1.0), mc.tensor(4.0), 2)
    tensor(2.)
    """

    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverageFunction:
    """As ``get_ema_avg_fn``, of lists of averages and present values, in place on the averages.

    Raises
    ------
    ValueError : a ``decay`` outside [0, 1].
    """
    _check_decay(decay)

    def ema_update(ema_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], _: Any) -> None:
        _move_towards(ema_param_list, current_param_list, 1 - decay)

    return ema_update


def get_swa_multi_avg_fn() -> MultiAverageFunction:
    """As ``get_swa_avg_fn``, of lists of averages and present values, in place on the averages."""

    def swa_update(
        averaged_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], num_averaged: Any
    ) -> None:
        _move_towards(averaged_param_list, current_param_list, 1 / (as_number(num_averaged) + 1))

    return swa_update


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def _move_towards(averages: Sequence[Tensor], values: Sequence[Tensor], share: float) -> None:
    """average += share * (value - average); whole numbers (batch norm's counter) are cut off."""
    for average, value in zip(averages, values, strict=True):
        array, present = average._array, value._array
        if array.dtype.kind == "f":
            array += array.dtype.type(share) * (present - array)
        else:
            array[...] = array + share * (present - array)
        average._bump_version("AveragedModel")


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of the model's; call ``update_parameters(model)`` now and then.

    Parameters
    ----------
    model : what to average. Its copy is ``module``; calling this one calls that.
    device : where the copy lives; there is only the CPU.
    avg_fn : from (average, present value, number averaged) to the new average; the plain mean by default.
    multi_avg_fn : the same in place on lists, see ``get_ema_multi_avg_fn``; one of the two.
    use_buffers : average the buffers too (batch norm's statistics), rather than copy them.

    Raises
    ------
    AssertionError : both functions.

    >>> import minicnn as mc
    >>> layer = mc.nn.Linear(1, 1, bias=False)
    >>> average = AveragedModel(layer)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = mc.nn.init.constant_(layer.weight, value)
    ...     average.update_parameters(layer)
    >>> average(mc.ones(1, 1)).item()
    3.0
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: AverageFunction | None = None,
        multi_avg_fn: MultiAverageFunction | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        assert avg_fn is None or multi_avg_fn is None, "Only one of avg_fn and multi_avg_fn should be provided"
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model computes."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the model's present parameters into the average."""
        averages, values = (
            [x.detach() for x in itertools.chain(m.parameters(), m.buffers() if self.use_buffers else ())]
            for m in (self.module, model)
        )
        count = self.n_averaged.item()
        with no_grad():
            if count == 0:
                for average, value in zip(averages, values, strict=True):
                    average.copy_(value)
            elif self.avg_fn is not None:
                for average, value in zip(averages, values, strict=True):
                    updated = self.avg_fn(average, value, self.n_averaged)
                    average.copy_(updated.to(average.dtype))
            else:
                (self.multi_avg_fn or get_swa_multi_avg_fn())(averages, values, self.n_averaged)
            if not self.use_buffers:
                for mine, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
                    mine.copy_(theirs)
            self.n_averaged += 1


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute batch norm's running statistics anew, as plain averages over a pass through the data.

    Parameters
    ----------
    loader : batches; of a list or tuple the first entry is the model's input.
    model : any model; without batch norm nothing happens. It is left in the mode it was in.
    device : where inputs go; there is only the CPU.
    """
    momenta = {module: module.momentum for module in model.modules() if isinstance(module, _BatchNorm)}
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.reset_running_stats()
        module.momentum = None  # a plain average over all batches
    with no_grad():
        for batch in loader:
            x = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(x if device is None else x.to(device))
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the present rate to ``swa_lr``, where it stays: the schedule for stochastic weight averaging.

    Parameters
    ----------
    optimizer, last_epoch : see ``LRScheduler``.
    swa_lr : the rate to go to, or a list, one a group.
    anneal_epochs : in how many epochs.
    anneal_strategy : 'cos' or 'linear'.

    Raises
    ------
    ValueError : another strategy, negative epochs, a list of another length than there are groups.

    >>> import minicnn as mc
    >>> optimizer = mc.optim.SGD([mc.nn.Parameter(mc.zeros(1))], lr=1.0)
    >>> scheduler = SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> for epoch in range(4):
    ...     print(scheduler.get_last_lr()[0], end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    1.0 0.75 0.5 0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        for group, rate in zip(checked(optimizer).param_groups, per_group("swa_lr", swa_lr, optimizer), strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        self._note_a_call_from_outside()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = (self._share((n) / max(1, self.anneal_epochs)) for n in (step - 1, step))
        rates: list[Rate] = []
        for group, rate in zip(self.optimizer.param_groups, self._present_lrs(), strict=True):
            target, present = group["swa_lr"], as_number(rate)
            # The rate that it all began from, whatever else has changed the present one.
            start = target if before == 1 else (present - before * target) / (1 - before)
            rates.append(target * now + start * (1 - now))
        return rates

    def _share(self, t: float) -> float:
        """How far from the first rate to the last, from 0 to 1."""
        t = max(0.0, min(1.0, t))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2
