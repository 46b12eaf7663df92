"""Ready-made networks: one file a family. ``minicnn train --model NAME`` takes any of them.

>>> from minicnn import models
>>> models.list_models()
['lenet5', 'mlp', 'mnist_cnn']
>>> models.get_model("mnist_cnn", num_classes=10).classifier[-1]
Linear(in_features=512, out_features=10, bias=True)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..nn import Module
from .lenet import LeNet5, lenet5
from .mlp import MLP, mlp
from .mnist_cnn import MnistCNN, mnist_cnn

__all__ = ["MLP", "LeNet5", "MnistCNN", "get_model", "lenet5", "list_models", "mlp", "mnist_cnn"]

_BUILDERS: dict[str, Callable[..., Module]] = {
    "lenet5": lenet5,
    "mlp": mlp,
    "mnist_cnn": mnist_cnn,
}


def list_models() -> list[str]:
    """The names that :func:`get_model` knows, sorted."""
    return sorted(_BUILDERS)


def get_model(name: str, **config: Any) -> Module:
    """Build a model by name; ``config`` goes to its builder, such as ``num_classes=10``.

    Raises
    ------
    ValueError : a name that is none of :func:`list_models`.
    """
    if name not in _BUILDERS:
        raise ValueError(f"model {name!r} is not known; expected one of {', '.join(list_models())}")
    return _BUILDERS[name](**config)
