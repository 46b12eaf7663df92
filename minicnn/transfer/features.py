"""What a network computes on the way: features at named layers, and features computed once for many epochs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..autograd import Tensor, no_grad
from ..compiler import compile as mc_compile
from ..data import TensorDataset
from ..nn import Identity, Module
from .heads import find_head


class _Enough(Exception):
    """Everything asked for has been seen: the rest of the network need not run."""


class FeatureExtractor(Module):
    """A module that returns what a network computes at some of its layers, by name.

    The layers behind the last one asked for do not run. Of a layer that runs several times, as the ReLU of a ResNet's block
    does, the first time counts. What an in-place activation does to a layer's output afterwards is not in it.

    Parameters
    ----------
    model : the network, which is shared, not copied.
    layers : dotted names, as in ``named_modules()``.

    >>> import minicnn as mc
    >>> from minicnn import models
    >>> extractor = FeatureExtractor(models.resnet18(), ["layer1", "avgpool"])
    >>> {name: tuple(x.shape) for name, x in extractor(mc.zeros(2, 3, 64, 64)).items()}
    {'layer1': (2, 64, 16, 16), 'avgpool': (2, 512, 1, 1)}

    Raises
    ------
    ValueError : a name that the network does not have.
    """

    def __init__(self, model: Module, layers: Sequence[str]):
        super().__init__()
        modules = dict(model.named_modules())
        unknown = [name for name in layers if name not in modules]
        if unknown or not layers:
            raise ValueError(
                f"layers: {unknown or 'none'}; {type(model).__name__} has {', '.join(n for n in modules if n)}"
            )
        self.model, self.layers = model, list(layers)

    def forward(self, *args: Any, **options: Any) -> dict[str, Tensor]:
        seen: dict[str, Tensor] = {}
        wanted = set(self.layers)

        def note(name: str) -> Any:
            def hook(module: Module, inputs: Any, output: Tensor) -> None:
                if name in seen:
                    return
                seen[name] = output
                if len(seen) == len(wanted):
                    raise _Enough
                if isinstance(output, Tensor):
                    seen[name] = output.clone()  # an activation in place, mostly, comes next and would change it

            return hook

        handles = [self.model.get_submodule(name).register_forward_hook(note(name)) for name in wanted]
        try:
            self.model(*args, **options)
        except _Enough:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return {name: seen[name] for name in self.layers if name in seen}


def cached_features(
    model: Module, loader: Iterable[Any], layer: str | None = None, *, compile: bool = False
) -> TensorDataset:
    """The frozen part of a network, run once over all the data: a data set of (features, targets) for training the head.

    The model runs in evaluation mode and without gradients. Augmentation would be frozen with the first draw: use the loader
    of the plain images.

    Parameters
    ----------
    model : the network.
    loader : gives (inputs, targets).
    layer : whose output is kept; by default what goes into the head.
    compile : run the model by fused plans (``mc.compile``): quicker, and the last digits differ. Only for what goes into a
        head that is the network's last layer.

    Returns
    -------
    a data set of features (c,) or of the layer's shape, float32, and of targets.

    Raises
    ------
    ValueError : a loader that gives nothing, no such layer, or ``compile`` with a ``layer``.
    """
    if compile and layer is not None:
        raise ValueError(f"compile: only for what goes into the head, not for the layer {layer!r}")
    training, head = model.training, find_head(model) if layer is None else None
    model.eval()
    features: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    try:
        if head is not None and compile:
            setattr(head.parent, head.attribute, Identity())
        network = mc_compile(model) if compile else model
        with no_grad():
            for inputs, labels in loader:
                if compile:
                    features.append(network(inputs)._array.copy())
                elif layer is None:
                    features.append(_into_head(model, inputs))
                else:
                    features.append(FeatureExtractor(model, [layer])(inputs)[layer]._array.copy())
                targets.append(np.asarray(labels._array if isinstance(labels, Tensor) else labels))
    finally:
        if head is not None and compile:
            setattr(head.parent, head.attribute, head.layer)
        model.train(training)
    if not features:
        raise ValueError("loader: gives no batch")
    return TensorDataset(Tensor(np.concatenate(features)), Tensor(np.concatenate(targets)))


def _into_head(model: Module, inputs: Tensor) -> np.ndarray:
    found: list[np.ndarray] = []

    def hook(module: Module, arguments: tuple[Tensor, ...]) -> None:
        found.append(arguments[0]._array.copy())
        raise _Enough

    handle = find_head(model).layer.register_forward_pre_hook(hook)
    try:
        model(inputs)
    except _Enough:
        pass
    finally:
        handle.remove()
    return found[0]
