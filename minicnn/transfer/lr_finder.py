"""Which learning rate to begin with: raise it at each step and look at the loss (Smith 2017, section 3.3)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..autograd import Tensor
from ..nn import Module
from ..nn import functional as F
from ..optim import Optimizer


class LRCurve:
    """Learning rates and the losses they gave.

    Attributes
    ----------
    rates, losses : one each a step; the losses are smoothed.
    """

    def __init__(self, rates: list[float], losses: list[float]):
        self.rates, self.losses = np.asarray(rates), np.asarray(losses)

    @property
    def suggestion(self) -> float:
        """A tenth of the rate with the smallest loss: still falling, and far from where it diverges."""
        return float(self.rates[int(self.losses.argmin())] / 10)

    @property
    def steepest(self) -> float:
        """The rate at which the loss falls fastest."""
        if len(self.losses) < 3:
            raise ValueError(f"steepest: needs at least three steps, there are {len(self.losses)}")
        slope = np.gradient(self.losses, np.log(self.rates))
        return float(self.rates[int(slope[: int(self.losses.argmin()) + 1].argmin())])

    def plot(self, ax: Any = None) -> Any:
        """Draw the curve with matplotlib; the axes come back.

        Raises
        ------
        ImportError : matplotlib is not installed; the message has the command.
        """
        try:
            from matplotlib import pyplot
        except ImportError:
            raise ImportError('plots need matplotlib: python -m pip install "minicnn[plots]"') from None
        if ax is None:
            _, ax = pyplot.subplots()
        ax.semilogx(self.rates, self.losses)
        ax.axvline(self.suggestion, linestyle="--", color="0.5", label=f"suggestion {self.suggestion:.1e}")
        ax.set_xlabel("learning rate")
        ax.set_ylabel("loss")
        ax.legend()
        return ax


def find_lr(
    model: Module,
    optimizer: Optimizer,
    loader: Iterable[Any],
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    start: float = 1e-6,
    end: float = 1.0,
    steps: int = 100,
    smooth: float = 0.3,
) -> LRCurve:
    """Train for a few steps while the learning rate rises from ``start`` to ``end``, then put everything back.

    Parameters
    ----------
    model, optimizer : as they will train; both are as before when this returns. In groups, rates keep their ratios to
        the last group's.
    loader : gives (inputs, targets); begun anew when it ends.
    loss : of (outputs, targets).
    start, end, steps : the rates, evenly spaced by ratio.
    smooth : how much of each new loss goes into the running average.

    It stops early where the loss is four times the smallest one, or no number.

    Raises
    ------
    ValueError : rates or numbers of steps that make no sense, or a loader that gives nothing.
    """
    if not 0 < start < end or steps < 2 or not 0 < smooth <= 1:
        raise ValueError(
            "start, end, steps, smooth: expected 0 < start < end, at least 2 steps and smooth in (0, 1], got "
            f"{start}, {end}, {steps}, {smooth}"
        )
    weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
    state, training = copy.deepcopy(optimizer.state_dict()), model.training
    base = optimizer.param_groups[-1]["lr"] or 1.0
    ratios = [group["lr"] / base for group in optimizer.param_groups]
    rates: list[float] = []
    losses: list[float] = []
    model.train()
    try:
        batches = iter(loader)
        average = 0.0
        for step in range(steps):
            rate = start * (end / start) ** (step / (steps - 1))
            for group, ratio in zip(optimizer.param_groups, ratios, strict=True):
                group["lr"] = rate * ratio
            batch = next(batches, None)
            if batch is None:
                batches = iter(loader)
                batch = next(batches, None)
                if batch is None:
                    raise ValueError("loader: gives no batch")
            inputs, targets = batch
            value = loss(model(inputs), targets)
            number = value.item()
            average = (1 - smooth) * average + smooth * number
            smoothed = average / (1 - (1 - smooth) ** (step + 1))
            if not math.isfinite(number) or (losses and smoothed > 4 * min(losses)):
                break
            rates.append(rate)
            losses.append(smoothed)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    finally:
        model.load_state_dict(weights)
        optimizer.load_state_dict(state)
        optimizer.zero_grad()
        model.train(training)
    if not rates:
        raise ValueError("the loss is no finite number at the first step already: look at the data and the model")
    return LRCurve(rates, losses)
