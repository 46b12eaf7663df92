"""The training loop.

:meth:`Trainer.fit` is the whole of it: for each epoch, a step for each batch, then an evaluation. What is done beside
the learning (progress, files, checkpoints) are callbacks (:mod:`minicnn.training.callbacks`). What a run can be
continued from, bit for bit, is :meth:`Trainer.state_dict`. How a trainer is made from a configuration, and where a model is
compiled: ``recipe.py``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..autograd import Tensor
from ..compiler import CompiledModule
from ..data import DataLoader
from ..nn import Module
from ..nn import functional as F
from ..optim import Optimizer
from ..optim.lr_scheduler import LRScheduler
from ..random import default_generator
from .evaluation import Evaluation, evaluate
from .nan_guard import NonFiniteLossError, first_non_finite, non_finite_state

if TYPE_CHECKING:
    from .callbacks import Callback


class TrainingStopped(Exception):
    """Training ended early because :meth:`Trainer.request_stop` asked for it, right after a step."""


@dataclass
class Running:
    """Sums over the part of an epoch that is done."""

    loss_sum: float = 0.0
    correct: int = 0
    count: int = 0
    batches: int = 0
    seconds: float = 0.0
    lr: float = 0.0  # of the last step: afterwards the schedule has moved on, OneCycle even past its end

    @property
    def loss(self) -> float:
        return self.loss_sum / max(self.count, 1)

    @property
    def accuracy(self) -> float:
        return self.correct / max(self.count, 1)


class Trainer:
    """Trains a classifier, and can stop and continue as if it had never stopped.

    Parameters
    ----------
    model : gives logits (n, num_classes) for a batch of images; compiled (``mc.compile``) or not.
    optimizer, scheduler : the scheduler (or None) is stepped after every step of the optimiser.
    train_loader, test_loader : batches of (images, labels), labels (n,) int64. The trainer never draws random numbers
        of its own, so give the test loader a generator of its own if it draws any.
    epochs : when to end.
    callbacks : called in their order.
    network : what a step and an evaluation call, where that is not ``model`` itself: the head of a model whose features the
        loaders give.
    loss : of (logits, labels) in training. Evaluations take the cross-entropy.

    Attributes
    ----------
    network : what a step and an evaluation call: ``model`` as it was given, unless another one was.
    model : the module that learns; for a compiled one, the module that was compiled. What is saved is its state dict, so a
        checkpoint does not know how it was run.
    epoch : epochs done. step : optimiser steps done, over all epochs.
    running : sums over the epoch under way. history : a record for each epoch done.
    last_evaluation : of the last epoch done by this object.

    >>> import minicnn as mc
    >>> from minicnn.data import DataLoader, TensorDataset
    >>> _ = mc.manual_seed(0)
    >>> x = mc.randn(64, 2)
    >>> data = TensorDataset(x, (x[:, 0] > x[:, 1]).long())
    >>> model = mc.nn.Linear(2, 2)
    >>> optimizer = mc.optim.SGD(model.parameters(), lr=1.0)
    >>> loader = DataLoader(data, batch_size=16)
    >>> trainer = Trainer(model, optimizer, None, loader, loader, epochs=3)
    >>> trainer.fit()[-1]["test_accuracy"] > 0.9
    True
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        scheduler: LRScheduler | None,
        train_loader: DataLoader,
        test_loader: DataLoader,
        *,
        epochs: int,
        callbacks: Iterable[Callback] = (),
        network: Module | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    ):
        if len(train_loader) == 0:
            raise ValueError("train_loader: there is nothing to train on, the loader has no batches")
        self.network = model if network is None else network
        self.model = _as_written(model)
        self.loss = loss
        self.optimizer, self.scheduler = optimizer, scheduler
        self.train_loader, self.test_loader = train_loader, test_loader
        self.epochs = epochs
        self.callbacks = list(callbacks)
        self.epoch = 0
        self.step = 0
        self.running = Running()
        self.history: list[dict[str, Any]] = []
        self.last_evaluation: Evaluation | None = None
        self._stop_requested = False

    def fit(self) -> list[dict[str, Any]]:
        """Train to the last epoch, and return the history: a dict for each epoch.

        Raises
        ------
        NonFiniteLossError : the loss became nan or infinite. The weights are those before that step.
        TrainingStopped : :meth:`request_stop` was called; the callbacks have seen ``on_stop``.
        """
        self._tell("on_train_begin")
        while self.epoch < self.epochs:
            self._train_epoch()
            self.last_evaluation = self.evaluate()
            if not math.isfinite(self.last_evaluation.loss):
                bad = non_finite_state(self.model)
                origin = f"parameter or buffer {bad!r}" if bad else "the network's output for a test image"
                where = f"evaluation after epoch {self.epoch + 1}"
                raise NonFiniteLossError(self.last_evaluation.loss, self.step, where, origin)
            self._finish_epoch(self.last_evaluation)
            if self.epoch < self.epochs:
                self._stop_if_asked()
        self._tell("on_train_end")
        return self.history

    def evaluate(self) -> Evaluation:
        """Judge the network as it is now on the test images."""
        return evaluate(self.network, self.test_loader)

    def _train_epoch(self) -> None:
        self.network.train()
        clock = time.perf_counter()
        for images, labels in self.train_loader:
            rate = self.learning_rate
            loss, logits = self.train_step(images, labels)
            self.step += 1
            running, now = self.running, time.perf_counter()
            running.loss_sum += loss * len(labels)
            running.correct += int((logits.detach().argmax(1) == labels).sum().item())
            running.count += len(labels)
            running.batches += 1
            running.seconds += now - clock
            running.lr = rate
            clock = now
            self._tell("on_step")
            self._stop_if_asked()

    def train_step(self, images: Tensor, labels: Tensor) -> tuple[float, Tensor]:
        """Forward, loss, backward, update. Returns the loss and the logits, (n, num_classes)."""
        generator_state = default_generator.get_state()
        self.optimizer.zero_grad()
        logits = self.network(images)
        loss = self.loss(logits, labels)
        value = loss.item()
        if not math.isfinite(value):
            where = f"epoch {self.epoch + 1}, batch {self.running.batches + 1} of {len(self.train_loader)}"
            origin = first_non_finite(_as_written(self.network), images, generator_state)
            raise NonFiniteLossError(value, self.step + 1, where, origin)
        loss.backward()
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        return value, logits

    def _finish_epoch(self, test: Evaluation) -> None:
        self.epoch += 1
        self.history.append(
            {
                "epoch": self.epoch,
                "step": self.step,
                "train_loss": self.running.loss,
                "train_accuracy": self.running.accuracy,
                "test_loss": test.loss,
                "test_accuracy": test.accuracy,
                "lr": self.running.lr,
                "seconds": round(self.running.seconds, 3),
            }
        )
        self.running = Running()
        self._tell("on_epoch_end")

    @property
    def learning_rate(self) -> float:
        """What the next step's learning rate is: the highest of the parameter groups'."""
        return max(float(group["lr"]) for group in self.optimizer.param_groups)

    def request_stop(self) -> None:
        """Ask :meth:`fit` to end after the step (or evaluation) under way. Safe to call from a signal handler."""
        self._stop_requested = True

    def _stop_if_asked(self) -> None:
        if self._stop_requested:
            self._tell("on_stop")
            raise TrainingStopped

    def _tell(self, event: str) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self)

    def state_dict(self) -> dict[str, Any]:
        """All that decides how training goes on. Right between two steps, so inside any callback."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "train_loader": self.train_loader.state_dict(),
            "generator": tuple(default_generator.get_state()),
            "running": asdict(self.running),
            "history": list(self.history),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned, the default random generator's state with it.

        Raises
        ------
        RuntimeError : the model's parameters do not fit (from ``Module.load_state_dict``).
        KeyError : something is missing from ``state``.
        """
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        self.train_loader.load_state_dict(state["train_loader"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.running = Running(**state["running"])
        self.history = list(state["history"])
        default_generator.set_state(state["generator"])


def _as_written(model: Module) -> Module:
    """The module that was compiled, or ``model`` itself."""
    return model._orig_mod if isinstance(model, CompiledModule) else model
