"""What training shows while it runs: a live bar in a terminal, plain lines anywhere else, and a table line an epoch.

Both displays are callbacks (:mod:`minicnn.training.callbacks`). The plain one writes no control codes, so that logs and
pipes stay readable.
"""

from __future__ import annotations

import time
from typing import Any, TextIO

from .callbacks import Callback
from .trainer import Trainer


def header(held_out: str = "test") -> str:
    """The heads of the table's columns; ``held_out`` is what the images are called that a network is judged by."""
    names = ("train loss", "train acc", f"{held_out} loss", f"{held_out} acc")
    columns = "  ".join(f"{name:>{width}}" for name, width in zip(names, (10, 9, 9, 9), strict=True))
    return f"{'epoch':>9}  {columns}  {'lr':>8}  {'time':>7}"


def table_line(record: dict[str, Any], epochs: int) -> str:
    """An epoch's record under :func:`header`.

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
    """Training images a second, over this process's steps so far.

    Only the time from one step's end to the next one's counts: not the first step, which may compile kernels, and not
    the evaluations.

    >>> speed = Speed()
    >>> for now in (100.0, 100.5, 101.0):
    ...     speed.step(32, now)
    >>> speed.rate
    64.0
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._seconds = 0.0
        self._images = 0

    def step(self, images: int, now: float) -> None:
        """Count a step over ``images`` that has just ended."""
        if self._last is not None:
            self._seconds += now - self._last
            self._images += images
        self._last = now

    def pause(self) -> None:
        """What comes now is no training."""
        self._last = None

    @property
    def rate(self) -> float:
        """Images a second; 0 while nothing has been measured."""
        return self._images / self._seconds if self._seconds else 0.0


class _Display(Callback):
    def __init__(self, held_out: str) -> None:
        self.held_out = held_out
        self._speed = Speed()
        self._count = 0

    def on_train_begin(self, trainer: Trainer) -> None:
        self._count = trainer.running.count
        self.line(header(self.held_out))
        for record in trainer.history:  # a resumed run shows what was done before
            self.line(table_line(record, trainer.epochs))

    def on_step(self, trainer: Trainer) -> None:
        self._speed.step(trainer.running.count - self._count, time.perf_counter())
        self._count = trainer.running.count
        self.show(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        self._speed.pause()
        self._count = 0
        self.line(table_line(trainer.history[-1], trainer.epochs))

    def status(self, trainer: Trainer) -> str:
        """The loss, and once it is known the speed and the time that training needs at that speed."""
        text = f"loss {trainer.running.loss:.4f}"
        if rate := self._speed.rate:
            batches = trainer.epochs * len(trainer.train_loader) - trainer.step
            images = batches * (trainer.train_loader.batch_size or 1)
            text += f"  {rate:,.0f} images/s  {clock(images / rate)} left"
        return text

    def line(self, text: str) -> None:
        raise NotImplementedError

    def show(self, trainer: Trainer) -> None:
        raise NotImplementedError


class PlainProgress(_Display):
    """Plain lines: one an epoch, and between them one every ``every_seconds``, so that a log shows life."""

    def __init__(self, file: TextIO, every_seconds: float = 10.0, held_out: str = "test"):
        super().__init__(held_out)
        self.file = file
        self.every_seconds = every_seconds
        self._last = time.monotonic()

    def line(self, text: str) -> None:
        print(text, file=self.file, flush=True)

    def show(self, trainer: Trainer) -> None:
        now = time.monotonic()
        if now - self._last < self.every_seconds:
            return
        self._last = now
        place = f"step {trainer.running.batches}/{len(trainer.train_loader)}"
        self.line(f"{trainer.epoch + 1:>6}/{trainer.epochs:<2}  {place}  {self.status(trainer)}")


class LiveProgress(_Display):
    """A bar that moves in the terminal, under the table of the epochs. The bar goes away when training ends."""

    def __init__(self, console: Any, held_out: str = "test"):
        super().__init__(held_out)
        self.console = console
        self._progress = _bar(console)
        self._task: Any = None

    def line(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False)

    def on_train_begin(self, trainer: Trainer) -> None:
        super().on_train_begin(trainer)
        status = "preparing the kernels (the very first time they are compiled)"
        self._task = self._progress.add_task("", total=len(trainer.train_loader), status=status)
        self._describe(trainer)
        self._progress.start()

    def show(self, trainer: Trainer) -> None:
        self._progress.update(self._task, completed=trainer.running.batches, status=self.status(trainer))

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


def _bar(console: Any) -> Any:
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[status]}"),
        console=console,
        transient=True,
    )


class Counting:
    """Shows what is counted before training begins: ``counting(what, done, total)`` is called again and again.

    On a console as a bar that goes away; elsewhere as a line every ``every_seconds``. What took more than two seconds
    leaves a line. Close it in the end, whatever ended the work.

    >>> import sys
    >>> counting = Counting(sys.stdout, every_seconds=0)
    >>> counting("computing features", 2, 3)
    computing features: 2 of 3
    """

    def __init__(self, file: TextIO, console: Any = None, every_seconds: float = 10.0):
        self.file, self.every_seconds = file, every_seconds
        self._bar = None if console is None else _bar(console)
        self._task: Any = None
        self._what = ""
        self._start = self._last = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._start, self._last = what, now, now
            if self._bar is not None:
                self._task = self._bar.add_task(what, total=total, status="")
                self._bar.start()
        elapsed = now - self._start
        if done == total:
            self.close()
            if elapsed >= 2:
                print(f"{what}: {total:,} images in {clock(elapsed)}", file=self.file, flush=True)
        elif self._bar is not None:
            left = f"  {clock(elapsed * (total - done) / done)} left" if elapsed >= 1 else ""
            self._bar.update(self._task, completed=done, status=f"{done:,} of {total:,}{left}")
        elif now - self._last >= self.every_seconds:
            self._last = now
            print(f"{what}: {done:,} of {total:,}", file=self.file, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        self._what = ""
        if self._bar is not None and self._task is not None:
            self._bar.remove_task(self._task)
            self._bar.stop()
            self._task = None
