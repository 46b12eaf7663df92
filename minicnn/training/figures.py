"""A run's pictures as PNG files: learning curves, and the images that the model got wrong.

They need matplotlib, an optional extra. It is used through its objects (a ``Figure`` and the Agg canvas), never through
``pyplot``: no window opens, and whoever uses matplotlib in the same process finds its settings untouched.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..weights.atomic import atomic_writer

MOST = 36  # images in a grid of mistakes
HOW_TO_INSTALL = 'pip install "minicnn[plots]"'


def available() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def save_curves(history: Sequence[Mapping[str, Any]], path: str | Path, held_out: str = "test") -> None:
    """Loss and accuracy over the epochs, for training and test.

    Parameters
    ----------
    history : ``Trainer.history``.
    held_out : what the test is called.
    """
    figure = _figure(9, 3.6)
    epochs = [record["epoch"] for record in history]
    for position, (quantity, label, factor) in enumerate((("loss", "loss", 1), ("accuracy", "accuracy, %", 100)), 1):
        axes = figure.add_subplot(1, 2, position)
        for part, name in (("train", "train"), ("test", held_out)):
            values = [factor * record[f"{part}_{quantity}"] for record in history]
            axes.plot(epochs, values, marker="o", markersize=3, label=name)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, path)


def save_misclassified(
    images: np.ndarray | Sequence[np.ndarray],
    labels: np.ndarray,
    predictions: np.ndarray,
    classes: Sequence[str],
    path: str | Path,
) -> None:
    """A grid of images with the class each has and the class it was taken for.

    Parameters
    ----------
    images : n of them, (h, w) grey or (h, w, 3) in colour, n at least 1; the first 36 are drawn.
    labels, predictions : (n,) int64.
    classes : names.
    """
    images, columns = images[:MOST], min(6, len(images))
    rows = -(-len(images) // columns)
    figure = _figure(1.5 * columns, 1.85 * rows)
    for i, (image, label, prediction) in enumerate(zip(images, labels, predictions, strict=False)):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(image, cmap="gray", interpolation="nearest")
        axes.set_title(f"{classes[label]}\ntaken for {classes[prediction]}", fontsize=7)
        axes.set_axis_off()
    _save(figure, path)


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: str | Path) -> None:
    with atomic_writer(path) as file:
        figure.savefig(file, format="png")
