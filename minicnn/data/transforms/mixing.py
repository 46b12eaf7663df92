"""MixUp and CutMix: batches in which each image is mixed with the one before it, and its label too.

    MixUp     x_i <- lam x_i + (1 - lam) x_(i-1)    Zhang et al. 2017, "mixup: beyond empirical risk minimization"
    CutMix    a rectangle of x_i comes from x_(i-1) Yun et al. 2019, "CutMix: regularization strategy to train ..."
    labels    y_i <- lam y_i + (1 - lam) y_(i-1)    one-hot first; lam is the share of x_i that is left

with lam drawn from Beta(alpha, alpha), once a batch. `cross_entropy` takes such labels (n, num_classes) as they are.
They are torchvision.transforms.v2's; used on a batch, in the training loop or in the loader's ``collate_fn``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.random import Generator

from ..randomness import sample_generator
from .pil import is_image


class _BatchMixing:
    """What both share: which tensor is the labels, and how labels are mixed."""

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        num_classes: int | None = None,
        labels_getter: Callable[[Any], Any] | str | None = "default",
    ):
        if not alpha > 0:
            raise ValueError(f"alpha: expected a number above 0, got {alpha!r}")
        if labels_getter != "default" and not callable(labels_getter):
            raise ValueError(f"labels_getter: expected a function or 'default', got {labels_getter!r}")
        self.alpha = float(alpha)
        self.num_classes = num_classes
        self.labels_getter = labels_getter

    def __call__(self, *inputs: Any) -> Any:
        """``(images, labels)``, or one structure of tuples, lists and dictionaries with both in it."""
        batch = inputs if len(inputs) > 1 else inputs[0]
        labels = self.labels_getter(batch) if callable(self.labels_getter) else find_labels(batch)
        self._check_labels(labels)
        generator = sample_generator()
        lam = beta(generator, self.alpha)
        images = self._images(batch, labels)
        mix, lam = self._mixer(lam, generator, *images.shape[-2:])

        def change(leaf: Any) -> Any:
            if leaf is labels:
                return self._mixed_labels(labels, lam)
            return Tensor(mix(images._array)) if leaf is images else leaf  # further tensors stay, as in torchvision

        return _rebuilt(batch, change)

    def _mixer(
        self, lam: float, generator: Generator, h: int, w: int
    ) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
        """What mixes images (n, c, h, w), and the share that each keeps of itself."""
        raise NotImplementedError

    def _check_labels(self, labels: Any) -> None:
        if not isinstance(labels, Tensor):
            raise ValueError(f"The labels must be a tensor, but got {type(labels).__name__} instead")
        if labels.ndim not in (1, 2):
            raise ValueError(
                "labels: expected numbers of classes (n,) or probabilities (n, num_classes), got a tensor of shape "
                f"{tuple(labels.shape)}"
            )
        if labels.ndim == 1:
            if self.num_classes is None:
                raise ValueError("num_classes must be passed if the labels are index-based (1D)")
            classes = labels._array
            if classes.dtype.kind not in "iu":
                raise ValueError(f"labels: expected whole numbers (n,), got {labels.dtype}")
            if len(classes) and not (classes.min() >= 0 and classes.max() < self.num_classes):
                raise ValueError(
                    f"labels: expected 0 to {self.num_classes - 1}, got {classes.min()} to {classes.max()}"
                )
        elif self.num_classes is not None and labels.shape[1] != self.num_classes:
            raise ValueError(
                f"labels: {labels.shape[1]} classes in a tensor of shape {tuple(labels.shape)}, but num_classes is "
                f"{self.num_classes}"
            )

    def _images(self, batch: Any, labels: Tensor) -> Tensor:
        """The batch's first tensor that is not the labels."""
        images = next((leaf for leaf in _leaves(batch) if isinstance(leaf, Tensor) and leaf is not labels), None)
        found = (
            f"a tensor of shape {tuple(images.shape)}" if isinstance(images, Tensor) else "no tensor beside the labels"
        )
        if not isinstance(images, Tensor) or images.ndim != 4:
            raise ValueError(
                f"{type(self).__name__}: expected a batch of images (n, c, h, w), got {found}; it mixes whole batches: "
                "call it on one, in the training loop or in the loader's collate_fn"
            )
        if len(images) != len(labels):
            raise ValueError(f"{type(self).__name__}: {len(images)} images, but {len(labels)} labels")
        return images

    def _mixed_labels(self, labels: Tensor, lam: float) -> Tensor:
        y = labels._array
        if y.ndim == 1:
            assert self.num_classes is not None
            y = y[:, None] == np.arange(self.num_classes)  # (n,) -> (n, num_classes)
        if y.dtype.kind != "f":
            y = y.astype(np.float32)
        return Tensor(_blend(y, lam))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alpha={self.alpha}, num_classes={self.num_classes})"


class MixUp(_BatchMixing):
    """Mixes each image of a batch with the one before it.

    Parameters
    ----------
    alpha : of the Beta distribution that the share is drawn from; 1 is uniform, 0.2 is usual for ImageNet.
    num_classes : needed where labels are numbers of classes (n,).
    labels_getter : batch -> its labels; "default" takes the second of a pair, or "labels" of a dictionary.

    Raises
    ------
    ValueError : anything but a batch (n, c, h, w) of floating-point images with n labels.

    >>> import minicnn as mc
    >>> _ = mc.manual_seed(0)
    >>> images, labels = MixUp(num_classes=3)(mc.tensor([0.0, 1.0]).reshape(2, 1, 1, 1), mc.tensor([0, 2]))
    >>> bool((images.flatten() == labels[:, 2]).all()), labels.sum(1).tolist()
    (True, [1.0, 1.0])
    """

    def _mixer(
        self, lam: float, generator: Generator, h: int, w: int
    ) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
        def mix(images: np.ndarray) -> np.ndarray:
            if images.dtype.kind != "f":
                raise ValueError(f"MixUp: expected floating-point images, got {images.dtype}; put ToTensor() before it")
            return _blend(images, lam)

        return mix, lam


class CutMix(_BatchMixing):
    """Replaces a random rectangle of each image of a batch by that of the one before it.

    Parameters and errors as for `MixUp`. The rectangle's share of the area is 1 - lam, less what lies outside.

    >>> import minicnn as mc
    >>> _ = mc.manual_seed(0)
    >>> black_and_white = mc.stack([mc.zeros(1, 8, 8), mc.ones(1, 8, 8)])
    >>> images, labels = CutMix(num_classes=2)(black_and_white, mc.tensor([0, 1]))
    >>> bool((images.mean((1, 2, 3)) == labels[:, 1]).all())
    True
    """

    def _mixer(
        self, lam: float, generator: Generator, h: int, w: int
    ) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
        y, x = (int(generator.integers(0, size, (1,))[0]) for size in (h, w))
        half = 0.5 * math.sqrt(1.0 - lam)
        half_h, half_w = int(half * h), int(half * w)
        rows = slice(max(y - half_h, 0), min(y + half_h, h))
        columns = slice(max(x - half_w, 0), min(x + half_w, w))

        def mix(images: np.ndarray) -> np.ndarray:
            result = images.copy()
            result[..., rows, columns] = _before(images)[..., rows, columns]
            return result

        return mix, 1.0 - (rows.stop - rows.start) * (columns.stop - columns.start) / (h * w)


def _before(x: np.ndarray) -> np.ndarray:
    """Each sample's partner: the one before it, the last for the first."""
    return np.roll(x, 1, axis=0)


def _blend(x: np.ndarray, lam: float) -> np.ndarray:
    result = _before(x)
    result *= 1.0 - lam
    result += x * lam
    return result


def beta(generator: Generator, alpha: float) -> float:
    """A number from Beta(alpha, alpha): G / (G + H) for two gamma variates, as logarithms, which tiny alphas need."""
    g, h = log_gamma_variate(generator, alpha), log_gamma_variate(generator, alpha)
    return 1.0 / (1.0 + math.exp(min(h - g, 700.0)))


def log_gamma_variate(generator: Generator, alpha: float) -> float:
    """The logarithm of a Gamma(alpha) variate by Marsaglia and Tsang 2000, with their boost for alpha below 1."""
    boost = 0.0
    if alpha < 1:
        boost = math.log(1.0 - generator.uniform((1,), np.float64)[0]) / alpha
        alpha += 1
    d = alpha - 1 / 3
    while True:
        x = float(generator.normal((1,), np.float64)[0])
        u = 1.0 - float(generator.uniform((1,), np.float64)[0])  # in (0, 1]
        v = (1 + x / math.sqrt(9 * d)) ** 3
        if v > 0 and math.log(u) < 0.5 * x * x + d * (1 - v + math.log(v)):
            return math.log(d * v) + boost


def find_labels(batch: Any) -> Any:
    """The labels of a batch: the second of a pair; in a dictionary "labels", else the first key with "label" in it.

    Raises
    ------
    ValueError : there is nothing that may be labels.
    """
    found = batch[1] if isinstance(batch, (tuple, list)) and len(batch) > 1 else batch
    if isinstance(found, Mapping):
        names = [key for key in found if isinstance(key, str) and "label" in key.lower()]
        exact = [key for key in names if key.lower() == "labels"]
        if names:
            return found[(exact or names)[0]]
    elif isinstance(found, Tensor) and found is not batch:
        return found
    raise ValueError(
        "Could not infer where the labels are: expected (images, labels) or a dictionary with the key 'labels'; "
        "or pass labels_getter"
    )


def _leaves(batch: Any) -> list[Any]:
    if isinstance(batch, Mapping):
        return [leaf for value in batch.values() for leaf in _leaves(value)]
    if isinstance(batch, (tuple, list)):
        return [leaf for value in batch for leaf in _leaves(value)]
    if is_image(batch):
        raise ValueError("MixUp and CutMix do not take PIL images; they mix batches of tensors")
    return [batch]


def _rebuilt(batch: Any, change: Callable[[Any], Any]) -> Any:
    """The same structure with ``change`` applied to what is in it; tuples and lists stay what they are."""
    if isinstance(batch, Mapping):
        return {key: _rebuilt(value, change) for key, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        values = [_rebuilt(value, change) for value in batch]
        return type(batch)(*values) if hasattr(batch, "_fields") else type(batch)(values)
    return change(batch)
