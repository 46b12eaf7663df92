"""How good predictions are, from arrays of class numbers. Used by :mod:`minicnn.training.evaluation`."""

from __future__ import annotations

import numpy as np


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """The share of predictions that equal their labels; nan where there are none.

    Parameters
    ----------
    predictions, labels : (n,) integer class numbers.

    >>> accuracy(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]))
    0.75
    """
    predictions, labels = _checked(predictions, labels)
    return float(np.mean(predictions == labels)) if labels.size else float("nan")


def confusion_matrix(predictions: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """How often each class was taken for each other.

    Parameters
    ----------
    predictions, labels : (n,) integer class numbers from 0 to num_classes - 1.

    Returns
    -------
    counts : (num_classes, num_classes) int64; row the true class, column the predicted one.

    Raises
    ------
    ValueError : different lengths, or a number outside the classes.

    >>> confusion_matrix(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]), 3)
    array([[1, 0, 0],
           [0, 1, 0],
           [0, 1, 1]])
    """
    predictions, labels = _checked(predictions, labels)
    for name, values in (("predictions", predictions), ("labels", labels)):
        if values.size and not 0 <= values.min() <= values.max() < num_classes:
            raise ValueError(
                f"{name}: expected class numbers from 0 to {num_classes - 1}, "
                f"got values from {values.min()} to {values.max()}"
            )
    counts = np.bincount(labels.astype(np.int64) * num_classes + predictions, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)  # (true * predicted,) -> (true, predicted)


def per_class_accuracy(confusion: np.ndarray) -> np.ndarray:
    """The share of each class's examples that were recognised (its recall), (num_classes,) float64; nan where none are.

    >>> per_class_accuracy(np.array([[1, 0], [1, 3]]))
    array([1.  , 0.75])
    """
    totals = confusion.sum(axis=1)
    return np.divide(np.diag(confusion), totals, out=np.full(len(totals), np.nan), where=totals > 0)


def _checked(predictions: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    if predictions.ndim != 1 or predictions.shape != labels.shape:
        raise ValueError(
            f"predictions and labels: expected two vectors of equal length, got {predictions.shape} and {labels.shape}"
        )
    return predictions, labels
