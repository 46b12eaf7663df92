"""What training scripts put around a state dict, taken off again.

A training checkpoint is a dictionary with the weights under ``"state_dict"`` or ``"model"``; ``DataParallel`` puts
``module.`` before every key, ``torch.compile`` puts ``_orig_mod.``. :func:`unwrapped` finds the part that a module wants;
``state_dict.py`` calls it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from minicnn.autograd import Tensor

# Where scripts put the weights, by how often one meets it.
PLACES = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "module")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
MAX_WRAPPERS = 16


def common_prefix(keys: Iterable[Any]) -> str | None:
    """The wrapper's prefix that all keys begin with, or None.

    >>> common_prefix(["module.weight", "module.bias"])
    'module.'
    """
    names = [str(key) for key in keys]
    return next((p for p in PREFIXES if names and all(name.startswith(p) for name in names)), None)


def unwrapped(state_dict: Mapping[str, Any], wanted: set[str]) -> tuple[Mapping[str, Any], str | None]:
    """The part of ``state_dict`` whose keys are those of a module, and what was taken off to find it (None for nothing).

    A state dict that has any of the keys in ``wanted`` comes back as it is.

    >>> found, taken_off = unwrapped({"epoch": 3, "state_dict": {"module.weight": 0}}, {"weight"})
    >>> dict(found), taken_off
    ({'weight': 0}, "took 'state_dict' out of the checkpoint and 'module.' off its keys")
    """
    found, steps = state_dict, []
    for _ in range(MAX_WRAPPERS):  # a dictionary may hold itself
        if wanted & found.keys():
            break
        place = next((p for p in PLACES if isinstance(found.get(p), Mapping)), None)
        if place is not None and not any(isinstance(value, Tensor) for value in found.values()):
            found = found[place]
            steps.append(f"{place!r} out of the checkpoint")
            continue
        prefix = common_prefix(found)
        if prefix is None:
            return state_dict, None  # nothing fits: the error speaks of the keys as they came
        metadata = getattr(found, "_metadata", None)
        found = OrderedDict((key[len(prefix) :], value) for key, value in found.items())
        if metadata is not None:
            found._metadata = {key[len(prefix) :]: value for key, value in metadata.items()}  # type: ignore[attr-defined]
        steps.append(f"{prefix!r} off its keys")
    else:
        return state_dict, None
    return found, f"took {' and '.join(steps)}" if steps else None
