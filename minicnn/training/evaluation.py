"""Judging a model on a data set: loss, accuracy and which classes it confuses. The counting is in ``metrics.py``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..autograd import Tensor, no_grad
from ..nn import Module
from ..nn import functional as F
from .metrics import accuracy, confusion_matrix, per_class_accuracy


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` found.

    Attributes
    ----------
    loss : mean cross-entropy over the examples.
    accuracy : the share of examples whose largest logit is their label's.
    confusion : (num_classes, num_classes) int64; row the true class, column the predicted one.
    labels, predictions : (n,) int64, in the loader's order.
    """

    loss: float
    accuracy: float
    confusion: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray

    @property
    def per_class(self) -> np.ndarray:
        """Each class's accuracy, (num_classes,) float64."""
        return per_class_accuracy(self.confusion)


def evaluate(model: Module, loader: Iterable[tuple[Tensor, Tensor]]) -> Evaluation:
    """Run the model over every batch in evaluation mode (no dropout, running batch statistics), without gradients.

    Parameters
    ----------
    model : takes images, gives logits (n, num_classes). It is left in the mode it was in.
    loader : batches (images, labels), labels (n,) int64.

    Raises
    ------
    ValueError : a loader without batches.

    >>> import minicnn as mc
    >>> batches = [(mc.tensor([[3.0, 1.0], [0.0, 2.0]]), mc.tensor([0, 0]))]
    >>> result = evaluate(mc.nn.Identity(), batches)
    >>> result.accuracy, result.confusion.tolist(), round(result.loss, 4)
    (0.5, [[1, 1], [0, 0]], 1.1269)
    """
    was_training = model.training
    model.eval()
    loss_sum = 0.0
    labels_seen: list[np.ndarray] = []
    predictions: list[np.ndarray] = []
    num_classes = 0
    try:
        with no_grad():
            for images, labels in loader:
                logits = model(images)
                loss_sum += F.cross_entropy(logits, labels, reduction="sum").item()
                predictions.append(logits.argmax(1).numpy())
                labels_seen.append(labels.numpy())
                num_classes = logits.shape[1]
    finally:
        model.train(was_training)
    if not predictions:
        raise ValueError("loader: there is nothing to evaluate, the loader gave no batch")
    truth, guesses = np.concatenate(labels_seen), np.concatenate(predictions)
    return Evaluation(
        loss=loss_sum / len(truth),
        accuracy=accuracy(guesses, truth),
        confusion=confusion_matrix(guesses, truth, num_classes),
        labels=truth,
        predictions=guesses,
    )
