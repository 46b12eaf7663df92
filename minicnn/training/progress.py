"""What training shows while it runs: a live bar in a terminal, plain lines anywhere else, and a table line an epoch.

Both displays are callbacks (:mod:`minicnn.training.callbacks`). The plain one writes no control codes, so that logs and
pipes stay readable.
"""

from __future__ import annotations

import time
from typing import Any, TextIO

from .callbacks import Callback
from .trainer import Trainer

HEADER = (
    f"{'epoch':>9}  {'train loss':>10}  {'train acc':>9}  {'test loss':>9}  {'test acc':>9}  {'lr':>8}  {'time':>7}"
)


def table_line(record: dict[str, Any], epochs: int) -> str:
    """An epoch's record under :data:`HEADER`.

    >>> table_line({"epoch": 2, "train_loss": 0.1234, "train_accuracy": 0.9612, "test_loss": 0.0567,
    ...             "test_accuracy": 0.9811, "lr": 0.0021, "seconds": 12.34}, 5).split()
    ['2/5', '0.1234', '96.12', '%', '0.0567', '98.11', '%', '2.1e-03', '12.3', 's']
    """
    return (
        f"{record['epoch']:>6}/{epochs:<2}  {record['train_loss']:>10.4f}  {record['train_accuracy']:>8.2%}"
        f"  {record['test_loss']:>9.4f}  {record['test_accuracy']:>8.2%}  {record['lr']:>8.1e}"
        f"  {record['seconds']:>5.1f} s"
    ).replace("%", " %")


def clock(seconds: float) -> str:
    """Seconds as hours, minutes and seconds.

    >>> clock(59.7), clock(3725)
    ('1:00', '1:02:05')
    """
    total = round(seconds)
    hours, minutes = divmod(total // 60, 60)
    return f"{hours}:{minutes:02}:{total % 60:02}" if hours else f"{minutes}:{total % 60:02}"


class Speed:
    """Images a second, and what is left at that speed, for a run that may have been resumed.

    The first step is left out of the speed: on a fresh installation it compiles the kernels.
    """

    def __init__(self, trainer: Trainer):
        self.steps_per_epoch = len(trainer.train_loader)
        self.started: float | None = None
        self.images = 0
        self.rate = 0.0

    def update(self, trainer: Trainer, batch: int, now: float | None = None) -> None:
        """Count a step of ``batch`` images that has just ended."""
        now = time.perf_counter() if now is None else now
        if self.started is None:
            self.started = now
            return
        self.images += batch
        self.rate = self.images / max(now - self.started, 1e-9)

    def left(self, trainer: Trainer) -> float | None:
        """Seconds until the last step; None while there is no speed yet. (Evaluations are not counted.)"""
        if not self.rate:
            return None
        steps = trainer.epochs * self.steps_per_epoch - trainer.step
        return steps * (trainer.train_loader.batch_size or 1) / self.rate


class _Display(Callback):
    def __init__(self) -> None:
        self._speed: Speed | None = None
        self._count = 0

    def on_train_begin(self, trainer: Trainer) -> None:
        self._speed = Speed(trainer)
        self._count = trainer.running.count
        self.line(HEADER)
        for record in trainer.history:  # a resumed run shows what was done before
            self.line(table_line(record, trainer.epochs))

    def on_step(self, trainer: Trainer) -> None:
        assert self._speed is not None
        self._speed.update(trainer, trainer.running.count - self._count)
        self._count = trainer.running.count
        self.show(trainer, self._speed)

    def on_epoch_end(self, trainer: Trainer) -> None:
        self._count = 0
        self.line(table_line(trainer.history[-1], trainer.epochs))

    def line(self, text: str) -> None:
        raise NotImplementedError

    def show(self, trainer: Trainer, speed: Speed) -> None:
        raise NotImplementedError


class PlainProgress(_Display):
    """Plain lines: one an epoch, and between them one every ``every_seconds``, so that a log shows life."""

    def __init__(self, file: TextIO, every_seconds: float = 10.0):
        super().__init__()
        self.file = file
        self.every_seconds = every_seconds
        self._last = time.monotonic()

    def line(self, text: str) -> None:
        print(text, file=self.file, flush=True)

    def show(self, trainer: Trainer, speed: Speed) -> None:
        now = time.monotonic()
        if now - self._last < self.every_seconds:
            return
        self._last = now
        left = speed.left(trainer)
        self.line(
            f"{trainer.epoch + 1:>6}/{trainer.epochs:<2}  step {trainer.running.batches}/{speed.steps_per_epoch}, "
            f"loss {trainer.running.loss:.4f}, {speed.rate:,.0f} images/s"
            + (f", {clock(left)} left" if left is not None else "")
        )


class LiveProgress(_Display):
    """A bar that moves in the terminal, under the table of the epochs. The bar goes away when training ends."""

    def __init__(self, console: Any):
        from rich.progress import BarColumn, Progress, TextColumn

        super().__init__()
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %  loss {task.fields[loss]}  {task.fields[rate]} images/s"),
            TextColumn("{task.fields[left]} left"),
            console=console,
            transient=True,
        )
        self._task: Any = None

    def line(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False)

    def on_train_begin(self, trainer: Trainer) -> None:
        super().on_train_begin(trainer)
        self._task = self._progress.add_task("", total=len(trainer.train_loader), loss="-", rate="-", left="-:--")
        self._describe(trainer)
        self._progress.start()

    def show(self, trainer: Trainer, speed: Speed) -> None:
        left = speed.left(trainer)
        self._progress.update(
            self._task,
            completed=trainer.running.batches,
            loss=f"{trainer.running.loss:.4f}",
            rate=f"{speed.rate:,.0f}" if speed.rate else "-",
            left="-:--" if left is None else clock(left),
        )

    def on_epoch_end(self, trainer: Trainer) -> None:
        super().on_epoch_end(trainer)
        self._describe(trainer)

    def _describe(self, trainer: Trainer) -> None:
        epoch = min(trainer.epoch + 1, trainer.epochs)
        self._progress.update(
            self._task, description=f"epoch {epoch}/{trainer.epochs}", completed=trainer.running.batches
        )

    def close(self) -> None:
        """Take the bar away. Must be called, whatever ended the training, or the terminal's cursor stays hidden."""
        self._progress.stop()
