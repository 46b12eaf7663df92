"""What training scripts put around a state dict, taken off again.

A training checkpoint is a dictionary with the weights under ``"state_dict"`` or ``"model"``; ``DataParallel`` puts
``module.`` before every key, ``torch.compile`` puts ``_orig_mod.``. :func:`unwrapped` finds the part that a module wants;
``state_dict.py`` calls it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Set
from typing import Any

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


def unwrapped(state_dict: Mapping[str, Any], wanted: Set[str]) -> tuple[Mapping[str, Any], str | None]:
    """The part of ``state_dict`` whose keys are those of a module, and what was taken off to find it (None for nothing).

    A state dict that has any of the keys in ``wanted`` comes back as it is, and so does one in which nothing fits: the error
    then speaks of the keys as they came. Beside the usual :data:`PLACES` any other is taken that is the only one to fit.

    >>> found, taken_off = unwrapped({"epoch": 3, "state_dict": {"module.weight": 0}}, {"weight"})
    >>> dict(found), taken_off
    ({'weight': 0}, "took 'state_dict' out of the checkpoint and 'module.' off its keys")
    """
    found, steps = _search(state_dict, wanted, set(), MAX_WRAPPERS) or (state_dict, [])
    return found, f"took {' and '.join(steps)}" if steps else None


def _search(
    state_dict: Mapping[str, Any], wanted: Set[str], seen: set[int], depth: int
) -> tuple[Mapping[str, Any], list[str]] | None:
    """What fits, and the steps to it. Each dictionary is gone into once: it may hold itself."""
    if wanted & state_dict.keys():
        return state_dict, []
    if depth == 0 or id(state_dict) in seen:
        return None
    seen.add(id(state_dict))

    def below(part: Mapping[str, Any], step: str) -> tuple[Mapping[str, Any], list[str]] | None:
        result = _search(part, wanted, seen, depth - 1)
        return None if result is None else (result[0], [step, *result[1]])

    for place in PLACES:
        if isinstance(state_dict.get(place), Mapping) and (result := below(state_dict[place], _place(place))):
            return result
    prefix = common_prefix(state_dict)
    if prefix is not None:
        return below(_without(prefix, state_dict), f"{prefix!r} off its keys")
    others = [place for place, part in state_dict.items() if isinstance(part, Mapping) and place not in PLACES]
    fitting = [result for place in others if (result := below(state_dict[place], _place(place)))]
    return fitting[0] if len(fitting) == 1 else None


def _place(name: Any) -> str:
    return f"{name!r:.80} out of the checkpoint"


def _without(prefix: str, state_dict: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with ``prefix``, which all keys begin with, taken off them, and off the names in the metadata."""
    found = OrderedDict((key[len(prefix) :], value) for key, value in state_dict.items())
    metadata = getattr(state_dict, "_metadata", None)
    if metadata is not None:
        found._metadata = {key[len(prefix) :]: value for key, value in metadata.items()}  # type: ignore[attr-defined]
    return found


def unusual_prefix(state_dict: Mapping[str, Any], wanted: Set[str]) -> str | None:
    """What all keys begin with, where they are those of a module without it: a name that a script gave the network.

    >>> unusual_prefix({"backbone.weight": 0, "backbone.bias": 1}, {"weight", "bias"})
    'backbone.'
    """
    first = next(iter(state_dict), "")
    prefix = first.partition(".")[0] + "."
    keys = list(state_dict)
    fits = all(key.startswith(prefix) for key in keys) and any(key[len(prefix) :] in wanted for key in keys)
    return prefix if fits else None
