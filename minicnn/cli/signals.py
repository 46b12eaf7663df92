"""Ctrl-C while training: the step is finished and everything saved. A second Ctrl-C ends the process at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ..training import Trainer

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def stop_on_signals(trainer: Trainer) -> Iterator[list[int]]:
    """Within the block, the first SIGINT, SIGTERM or SIGHUP asks the trainer to stop; yields a list of those received.

    From then on each has its default effect: the operating system ends the process, even inside a long computation. A
    signal that was being ignored (by ``nohup``, or for a job in the background) stays ignored.
    """
    received: list[int] = []
    previous: dict[int, Any] = {}

    def restore_defaults() -> None:
        for number in previous:
            signal.signal(number, signal.SIG_DFL)

    def handle(number: int, _frame: FrameType | None) -> None:
        trainer.request_stop()
        received.append(number)
        restore_defaults()
        # os.write, because print may be what the signal interrupted. The live display had hidden the cursor.
        show_cursor = b"\x1b[?25h" if sys.stderr.isatty() else b""
        os.write(2, show_cursor + b"\nstopping after this step and saving; once more to abort at once\n")

    for name in _NAMES:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            previous[number] = signal.signal(number, handle)
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
