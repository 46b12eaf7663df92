"""Freezing: parameters that are not trained, and batch norms that keep what they know.

``requires_grad = False`` is half of it. A batch norm also changes its running averages in every forward pass in training
mode, and ``model.train()`` turns that mode on again at each epoch; pretrained features drift away that way.
:func:`freeze` sets ``frozen`` on the batch norms among the frozen layers, and a frozen batch norm stays in evaluation mode.

A network's *stages* are its children in the order in which they run, down to the blocks of a ``features`` sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..nn import BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, LayerNorm, Module, ModuleList, Sequential
from .heads import find_head

BATCH_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)
NORMS = (*BATCH_NORMS, GroupNorm, LayerNorm)


class Frozen(NamedTuple):
    """What :func:`freeze` did: how many parameters are frozen now, up to which stage, and what batch norms do."""

    parameters: int
    until: str | None
    batch_norm: str


def stages(model: Module) -> list[tuple[str, Module]]:
    """The parts of a network that have parameters, in order from the input: names and modules.

    >>> from minicnn import models
    >>> [name for name, _ in stages(models.resnet18())]
    ['conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4', 'fc']
    """
    found: list[tuple[str, Module]] = []
    for name, child in model.named_children():
        if not any(True for _ in child.parameters()):
            continue
        if isinstance(child, (Sequential, ModuleList)) and name in (
            "features",
            "_blocks",
            "blocks",
            "layers",
            "stages",
        ):
            found += [
                (f"{name}.{part}", module)
                for part, module in child.named_children()
                if any(True for _ in module.parameters())
            ]
        else:
            found.append((name, child))
    return found


def _position(model: Module, until: str) -> int:
    names = [name for name, _ in stages(model)]
    below = [i for i, name in enumerate(names) if name == until or name.startswith(f"{until}.")]
    if not below:
        raise ValueError(f"until: {type(model).__name__} has no stage {until!r}; its stages are {', '.join(names)}")
    return below[-1]


def freeze(model: Module, until: str | None = None, batch_norm: str = "eval") -> Frozen:
    """Freeze the stages from the input up to and including ``until``; the rest is trained.

    Parameters
    ----------
    model : the network.
    until : a name of :func:`stages`; by default all but the head.
    batch_norm : ``"eval"``: frozen batch norms keep their averages and stay in evaluation mode, whatever ``train()`` says;
        ``"train"``: they go on averaging.

    Raises
    ------
    ValueError : no such stage, or another word for ``batch_norm``.
    """
    if batch_norm not in ("eval", "train"):
        raise ValueError(f"batch_norm: expected 'eval' or 'train', got {batch_norm!r}")
    if until is None:
        kept = {id(p) for p in find_head(model).layer.parameters()}
        lower = [model]
    else:
        kept = set()
        lower = [module for _, module in stages(model)[: _position(model, until) + 1]]
    unfreeze(model, keep_frozen=lower)
    if until is not None:
        for parameter in model.parameters(recurse=False):  # such as a class token, which goes in with the first stage
            parameter.requires_grad_(False)
    for part in lower:
        for parameter in part.parameters():
            if id(parameter) not in kept:
                parameter.requires_grad_(False)
        for module in part.modules():
            if isinstance(module, BATCH_NORMS):
                module.frozen = batch_norm == "eval"
                if module.frozen:
                    module.eval()
    return Frozen(sum(not p.requires_grad for p in model.parameters()), until, batch_norm)


def unfreeze(model: Module, since: str | None = None, keep_frozen: Sequence[Module] = ()) -> None:
    """Train the stages from ``since`` on to the head; all of them by default.

    Parameters
    ----------
    model : the network.
    since : a name of :func:`stages`.
    keep_frozen : modules that stay as they are.
    """
    apart = {id(m) for module in keep_frozen for m in module.modules()}
    parts = [model] if since is None else [m for _, m in stages(model)[_first(model, since) :]]
    for part in parts:
        for module in part.modules():
            if id(module) in apart:
                continue
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(True)
            if isinstance(module, BATCH_NORMS) and module.frozen:
                module.frozen = False
                module.train(model.training)


def train_top(model: Module, below: int) -> list[str]:
    """Train the head and so many stages below it; everything under these is frozen, batch norms in evaluation mode.

    A stage that is only a normalisation goes with the one before it and does not count. With stages to train below it, a
    head of several layers is trained whole.

    Parameters
    ----------
    model : any of the zoo, or one whose head :func:`find_head` finds.
    below : 0 for the head alone; as many as there are, or more, for everything.

    Returns
    -------
    The names of what is trained, from the bottom up.

    >>> from minicnn import models
    >>> train_top(models.resnet18(), 2)
    ['layer3', 'layer4', 'fc']

    Raises
    ------
    ValueError : a negative number.
    """
    if below < 0:
        raise ValueError(f"below: expected 0 or more, got {below}")
    freeze(model)
    head, parts = find_head(model).name, stages(model)
    if below == 0:
        return [head]
    first = next(i for i, (name, _) in enumerate(parts) if head == name or head.startswith(f"{name}."))
    while first > 0 and below > 0:
        first -= 1
        below -= not isinstance(parts[first][1], NORMS)
    unfreeze(model, since=None if first == 0 else parts[first][0])
    return [name for name, _ in parts[first:]]


def _first(model: Module, since: str) -> int:
    names = [name for name, _ in stages(model)]
    found = [i for i, name in enumerate(names) if name == since or name.startswith(f"{since}.")]
    if not found:
        raise ValueError(f"since: {type(model).__name__} has no stage {since!r}; its stages are {', '.join(names)}")
    return found[0]


class GradualUnfreezing:
    """From the head downwards, one stage more each time ``step()`` is called (Howard and Ruder 2018, section 3.3).

    Parameters
    ----------
    model : the network; everything but its head is frozen at once.
    names : the stages to unfreeze, the one nearest to the head first; all of them by default.

    >>> from minicnn import models
    >>> unfreezing = GradualUnfreezing(models.resnet18())
    >>> unfreezing.step(), unfreezing.step()
    ('layer4', 'layer3')
    """

    def __init__(self, model: Module, names: Sequence[str] | None = None):
        freeze(model)
        self.model = model
        head = find_head(model).name
        every = [name for name, _ in stages(model) if not (head == name or head.startswith(f"{name}."))][::-1]
        self.names = every if names is None else list(names)
        self.done: list[str] = []
        top = next((name for name, _ in stages(model) if head.startswith(f"{name}.")), None)
        if top is not None:
            unfreeze(model, since=top)  # a head of several layers is trained whole

    def step(self) -> str | None:
        """Unfreeze the next stage; its name, or None when all are trained."""
        if len(self.done) == len(self.names):
            return None
        name = self.names[len(self.done)]
        unfreeze(self.model, since=name)
        self.done.append(name)
        return name
