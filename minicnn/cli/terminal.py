"""What standard output can show: colours and a moving bar, or plain lines."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def is_live() -> bool:
    """Whether standard output is a terminal that understands control codes."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def console() -> Any:
    """A rich console for a live terminal."""
    from rich.console import Console

    return Console(force_terminal=True, highlight=False)


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Within the block a warning to the user is a line on standard error, without the place in our code."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = lambda message, *_, **__: print(f"note: {message}", file=sys.stderr)
        yield


def can_encode(text: str) -> bool:
    """Whether standard output's encoding has these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def confusion_lines(confusion: np.ndarray, classes: list[str]) -> list[str]:
    """The confusion matrix and each class's accuracy as text, with names cut so that the terminal is wide enough.

    With more than 20 classes no cutting helps: the most frequent confusions and the worst classes come instead.

    >>> print("\\n".join(confusion_lines(np.array([[8, 2], [0, 5]]), ["cat", "dog"])))
    confusion matrix (a row for each true class, a column for each prediction)
            cat   dog   accuracy
      cat     8     2    80.00 %
      dog     .     5   100.00 %
    """
    totals = confusion.sum(axis=1)
    right = np.diag(confusion)

    def share(i: int) -> str:
        return f"{100 * right[i] / totals[i]:.2f} %" if totals[i] else "none"

    if len(classes) > 20:
        lines = ["the most frequent confusions"]
        wrong = confusion * (1 - np.eye(len(classes), dtype=np.int64))
        for flat in np.argsort(-wrong, axis=None, kind="stable")[:10]:
            true, predicted = divmod(int(flat), len(classes))
            if wrong[true, predicted]:
                lines.append(f"  {classes[true]} taken for {classes[predicted]}: {wrong[true, predicted]}")
        lines.append("the least accurate classes")
        accuracy = np.divide(right, totals, out=np.ones(len(classes)), where=totals > 0)
        lines += [f"  {classes[i]}: {share(i)}" for i in np.argsort(accuracy, kind="stable")[:10]]
        return lines

    longest = min(max(len(name) for name in classes), 12)
    room = shutil.get_terminal_size().columns - len("  ") - len("   accuracy")
    width = max(4, min(longest, (room - longest) // len(classes) - 2), len(str(confusion.max(initial=0))))
    first = min(longest, max(4, room - len(classes) * (2 + width)))
    lines = ["confusion matrix (a row for each true class, a column for each prediction)"]
    lines.append(" " * (2 + first) + "".join(f"  {_cut(name, width):>{width}}" for name in classes) + "   accuracy")
    for i, name in enumerate(classes):
        cells = "".join(f"  {count or '.':>{width}}" for count in confusion[i].tolist())
        lines.append(f"  {_cut(name, first):<{first}}{cells}  {share(i):>9}")
    return lines


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 1] + "~"


def picture_lines(image: np.ndarray) -> list[str]:
    """A grey image of at most 80 columns as text, for where there are no colours: two rows of pixels a line.

    Parameters
    ----------
    image : (h, w) float from 0 to 1.

    >>> print("\\n".join(picture_lines(np.array([[0, 0.5, 1], [0, 0.5, 1.0]]))))
     =@
    """
    ramp = np.array(list(" .:-=+*#%@"))
    padded = np.pad(image, ((0, image.shape[0] % 2), (0, 0)))
    rows = (padded[0::2] + padded[1::2]) / 2  # a character is twice as high as wide
    levels = np.clip(np.rint(rows * (len(ramp) - 1)), 0, len(ramp) - 1).astype(int)
    return ["".join(ramp[row]) for row in levels]


def print_picture(image: np.ndarray) -> None:
    """Show an image, (h, w) or (h, w, 3) from 0 to 1: half blocks in colours where the terminal can, else ten characters."""
    if not (is_live() and can_encode("▀") and not os.environ.get("NO_COLOR")):
        grey = image if image.ndim == 2 else image.mean(axis=2)
        print("\n".join("    " + line.rstrip() for line in picture_lines(grey)))
        return
    from rich.text import Text

    colours = image if image.ndim == 3 else image[..., None].repeat(3, axis=2)
    padded = np.pad(colours, ((0, image.shape[0] % 2), (0, 0), (0, 0)))
    numbers = np.clip(np.rint(padded * 255), 0, 255).astype(int)
    out = console()
    for top, bottom in zip(numbers[0::2], numbers[1::2], strict=True):
        line = Text("    ")
        for (r, g, b), below in zip(top.tolist(), bottom.tolist(), strict=True):
            line.append("▀", style=f"rgb({r},{g},{b}) on rgb({','.join(map(str, below))})")
        out.print(line)
