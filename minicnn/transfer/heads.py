"""A model's head: the last layer with weights, whose outputs are the classes."""

from __future__ import annotations

from typing import NamedTuple

from ..nn import Conv2d, Linear, Module

# Where the families of the zoo, torchvision's and others keep theirs, the likeliest first.
NAMES = ("fc", "classifier", "heads", "head", "_fc", "output", "last_linear", "layers")


class Head(NamedTuple):
    """Where a head is: its dotted name, the module that holds it, its name there, and itself."""

    name: str
    parent: Module
    attribute: str
    layer: Linear | Conv2d

    @property
    def num_classes(self) -> int:
        """How many outputs it has."""
        return self.layer.out_features if isinstance(self.layer, Linear) else self.layer.out_channels


def is_part(name: str, whole: str) -> bool:
    """Whether a module's dotted name is this one's, or of a module in it."""
    return name == whole or name.startswith(f"{whole}.")


def find_head(model: Module, name: str | None = None) -> Head:
    """The layer whose outputs are the classes.

    Parameters
    ----------
    model : any of the zoo, or one whose head has a usual name.
    name : its dotted name, where that cannot be guessed.

    Raises
    ------
    ValueError : there is no such layer, or none can be told.

    >>> from minicnn import models
    >>> find_head(models.mnist_cnn()).name
    'classifier.4'
    """
    modules = dict(model.named_modules())
    if name is None:
        top = next((n for n in NAMES if isinstance(modules.get(n), Module)), None)
        below = [] if top is None else [n for n in modules if is_part(n, top)]
        found = [n for n in below if isinstance(modules[n], (Linear, Conv2d))]
        if not found:
            raise ValueError(
                f"name: cannot tell which layer of {type(model).__name__} is the head; give its name, one of "
                f"{', '.join(n for n, m in modules.items() if isinstance(m, (Linear, Conv2d)))}"
            )
        name = found[-1]
    layer = modules.get(name)
    if not isinstance(layer, (Linear, Conv2d)):
        kind = "is not there" if layer is None else f"is a {type(layer).__name__}"
        raise ValueError(f"name: a head is a Linear or a Conv2d; {name!r} {kind}")
    parent, _, attribute = name.rpartition(".")
    return Head(name, modules[parent], attribute, layer)


def replace_head(model: Module, num_classes: int, name: str | None = None) -> Module:
    """Give the model a new, freshly initialised head with ``num_classes`` outputs; returns the model, changed.

    Make the optimizer afterwards: one made before still holds the old head. GoogLeNet's auxiliary heads are replaced too.

    Parameters
    ----------
    model, name : as for :func:`find_head`.

    Raises
    ------
    ValueError : fewer than one class, or no head that can be told.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes: expected at least 1, got {num_classes}")
    head = find_head(model, name)
    setattr(head.parent, head.attribute, _like(head.layer, num_classes))
    for aux in ("aux1", "aux2"):
        auxiliary = getattr(model, aux, None)
        if isinstance(auxiliary, Module) and isinstance(getattr(auxiliary, "fc2", None), Linear):
            auxiliary.fc2 = _like(auxiliary.fc2, num_classes)
    if hasattr(model, "num_classes"):
        model.num_classes = num_classes
    return model


def _like(layer: Linear | Conv2d, num_classes: int) -> Linear | Conv2d:
    new: Linear | Conv2d
    if isinstance(layer, Linear):
        new = Linear(layer.in_features, num_classes, bias=layer.bias is not None)
    else:
        new = Conv2d(layer.in_channels, num_classes, layer.kernel_size, bias=layer.bias is not None)
    return new.to(layer.weight.dtype).train(layer.training)
