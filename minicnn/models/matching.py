"""Which model is meant: that a state dict belongs to, sharing most of its keys and shapes; or that a name was to spell."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..nn import init
from ..nn.checkpoint_keys import common_prefix


class Match(NamedTuple):
    """How well a model fits: the share of keys with equal shapes, and the keys that differ in shape (a head, mostly)."""

    name: str
    share: float
    other_shapes: list[str]


def best_matches(state_dict: Mapping[str, Any], most: int = 3) -> list[Match]:
    """The models that fit a state dict, the best first; none that shares fewer than a tenth of the keys.

    Parameters
    ----------
    state_dict : anything with a ``shape``, by key; ``module.`` and the like before all keys is looked past.

    >>> from minicnn import models
    >>> best_matches(models.resnet18(num_classes=5).state_dict())[0]
    Match(name='resnet18', share=0.98..., other_shapes=['fc.weight', 'fc.bias'])
    """
    from . import get_model, list_models

    shapes = {key: tuple(value.shape) for key, value in state_dict.items()}
    while prefix := common_prefix(shapes):
        shapes = {key[len(prefix) :]: shape for key, shape in shapes.items()}
    found = []
    for name in list_models():
        with init.skipped():
            wanted = {key: tuple(value.shape) for key, value in get_model(name).state_dict().items()}
        common = wanted.keys() & shapes.keys()
        equal = sum(wanted[key] == shapes[key] for key in common)
        share = equal / max(1, len(wanted.keys() | shapes.keys()))
        if share >= 0.1:
            found.append(Match(name, share, [key for key in wanted if key in common and wanted[key] != shapes[key]]))
    return sorted(found, key=lambda match: -match.share)[:most]


def unknown_model(name: str, names: Sequence[str]) -> str:
    """What to say of a name that is not among ``names``.

    >>> unknown_model("resnet81", ["lenet5", "resnet18"])
    "model 'resnet81' is not known; expected one of lenet5, resnet18; did you mean resnet18?"
    """
    close = difflib.get_close_matches(name, names, cutoff=0.7)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return f"model {name!r} is not known; expected one of {', '.join(names)}{hint}"
