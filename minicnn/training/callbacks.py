"""What happens beside the loop: callbacks see the trainer after each step and each epoch. Displays: ``progress.py``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ..weights import save_state_dict
from ..weights.atomic import atomic_write_text
from .checkpoint import save_checkpoint
from .nan_guard import non_finite_state
from .trainer import Trainer


class Callback:
    """Does nothing; override what you need. Each method gets the trainer, between two steps."""

    def on_train_begin(self, trainer: Trainer) -> None:
        """Before the first step of :meth:`Trainer.fit`, resumed or not."""

    def on_step(self, trainer: Trainer) -> None:
        """After a step: ``trainer.step`` counts it, ``trainer.running`` has its loss."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After an epoch's evaluation: ``trainer.history[-1]`` is its record."""

    def on_stop(self, trainer: Trainer) -> None:
        """Before :class:`TrainingStopped` is raised."""

    def on_train_end(self, trainer: Trainer) -> None:
        """After the last epoch."""


class MetricsLog(Callback):
    """A file with one JSON object a line, one line an epoch.

    The file is written anew from ``trainer.history`` (at the beginning too), so that after a kill and a resume it holds
    each epoch once.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def on_train_begin(self, trainer: Trainer) -> None:
        atomic_write_text(self.path, "".join(json.dumps(record) + "\n" for record in trainer.history))

    on_epoch_end = on_train_begin


class Checkpointer(Callback):
    """Keeps a checkpoint from which training can be continued bit for bit, and the weights by themselves.

    A checkpoint is written before the first step, after each epoch, when training is stopped, and between: every
    ``every_steps`` steps if given, and at the latest after ``every_seconds``. The weights are written after each epoch
    and when training is stopped. A model with a nan or an infinity in it is never written: the last good checkpoint
    stays.

    Parameters
    ----------
    checkpoint, weights : the two files.
    extra : what the checkpoint holds beside ``trainer.state_dict()``, such as the configuration.
    metadata : text for the header of the weights.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        weights: str | Path,
        *,
        extra: dict[str, Any] | None = None,
        metadata: dict[str, str] | None = None,
        every_steps: int | None = None,
        every_seconds: float = 60.0,
    ):
        self.checkpoint, self.weights = Path(checkpoint), Path(weights)
        self.extra, self.metadata = extra or {}, metadata
        self.every_steps, self.every_seconds = every_steps, every_seconds
        self._last_time = time.monotonic()

    def on_train_begin(self, trainer: Trainer) -> None:
        self._save(trainer)  # a full disk or a read-only folder shows now and not after an hour

    def on_step(self, trainer: Trainer) -> None:
        due = self.every_steps is not None and trainer.step % self.every_steps == 0
        if due or time.monotonic() - self._last_time >= self.every_seconds:
            self._save(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        # Weights first: whoever finds a checkpoint of the last epoch finds that epoch's weights beside it.
        self._save_weights(trainer)
        self._save(trainer)

    on_stop = on_epoch_end

    def _save(self, trainer: Trainer) -> None:
        if non_finite_state(trainer.model) is None:
            save_checkpoint(self.checkpoint, {**self.extra, "trainer": trainer.state_dict()})
        self._last_time = time.monotonic()

    def _save_weights(self, trainer: Trainer) -> None:
        if non_finite_state(trainer.model) is None:
            save_state_dict(trainer.model.state_dict(), self.weights, self.metadata)
