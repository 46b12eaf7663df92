"""Freezing: parameters that are not trained, and batch norms that keep what they know.

``requires_grad = False`` is half of it. A batch norm also changes its running averages in every forward pass in training
mode, and ``model.train()`` turns that mode on again at each epoch; pretrained features drift away that way.
:func:`freeze` sets ``frozen`` on the batch norms among the frozen layers, and a frozen batch norm stays in evaluation mode.

A network's *stages* are its children in the order in which they run, down to the blocks of a ``features`` sequence or of a
transformer's encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..nn import BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, LayerNorm, Module, ModuleList, Parameter, Sequential
from .heads import find_head, is_part

BATCH_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)
NORMS = (*BATCH_NORMS, GroupNorm, LayerNorm)
SEQUENCES = ("features", "_blocks", "blocks", "layers", "stages")  # children whose children are stages
AUXILIARY = {"aux1": "inception4a", "aux2": "inception4d"}  # a head in the middle, and the stage that it looks at
SLOW_MOMENTUM = 0.05


class Frozen(NamedTuple):
    """What :func:`freeze` did: how many parameters are frozen now, up to which stage, and what batch norms do."""

    parameters: int
    until: str | None
    batch_norm: str


def stages(model: Module) -> list[tuple[str, Module]]:
    """The parts of a network that have parameters, in order from the input: names and modules.

    Its children; of one that is a sequence of blocks by its name, such as ``features`` or the ``layers`` of an encoder, the
    blocks. GoogLeNet's auxiliary heads come where they branch off.

    >>> from minicnn import models
    >>> [name for name, _ in stages(models.resnet18())]
    ['conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4', 'fc']
    >>> [name for name, _ in stages(models.VisionTransformer(32, 16, 2, 2, 8, 16))]
    ['conv_proj', 'encoder.layers.encoder_layer_0', 'encoder.layers.encoder_layer_1', 'encoder.ln', 'heads']
    """
    found: list[tuple[str, Module]] = []
    for name, child in model.named_children():
        if not _has_parameters(child):
            continue
        encoder = not _is_sequence(name, child) and any(_is_sequence(*part) for part in child.named_children())
        for part in _below(name, child) if encoder else [(name, child)]:
            found += _blocks(*part)
    for name, before in AUXILIARY.items():
        names = [stage for stage, _ in found]
        if name in names and before in names:
            stage = found.pop(names.index(name))
            found.insert([stage for stage, _ in found].index(before) + 1, stage)
    return found


def _is_sequence(name: str, module: Module) -> bool:
    return name in SEQUENCES and isinstance(module, (Sequential, ModuleList))


def _has_parameters(module: Module) -> bool:
    return any(True for _ in module.parameters())


def _blocks(name: str, module: Module) -> list[tuple[str, Module]]:
    """The blocks of a sequence of them; any other module is one itself."""
    return _below(name, module) if _is_sequence(name.rpartition(".")[2], module) else [(name, module)]


def _below(name: str, module: Module) -> list[tuple[str, Module]]:
    """The children that have parameters, with their full names."""
    return [(f"{name}.{part}", child) for part, child in module.named_children() if _has_parameters(child)]


def is_step(name: str, module: Module) -> bool:
    """Whether a stage is one by itself: a normalisation goes with the one before it, an auxiliary head likewise."""
    return not isinstance(module, NORMS) and name not in AUXILIARY


def outside_stages(model: Module) -> list[Parameter]:
    """Parameters in no stage, such as a class token and the embedding of positions: they go with the first one."""
    inside = {id(p) for _, module in stages(model) for p in module.parameters()}
    return [p for p in model.parameters() if id(p) not in inside]


def _position(model: Module, until: str) -> int:
    names = [name for name, _ in stages(model)]
    below = [i for i, name in enumerate(names) if is_part(name, until)]
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
        for parameter in outside_stages(model):
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
    first = 0 if since is None else _first(model, since)
    parts = [model] if first == 0 else [m for _, m in stages(model)[first:]]
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

    A stage that is only a normalisation goes with the one before it and does not count, nor does an auxiliary head. With
    stages to train below it, a head of several layers is trained whole.

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
    first = next(i for i, (name, _) in enumerate(parts) if is_part(head, name))
    while first > 0 and below > 0:
        first -= 1
        below -= is_step(*parts[first])
    unfreeze(model, since=parts[first][0])
    return [name for name, _ in parts[first:]]


def _first(model: Module, since: str) -> int:
    names = [name for name, _ in stages(model)]
    found = [i for i, name in enumerate(names) if is_part(name, since)]
    if not found:
        raise ValueError(f"since: {type(model).__name__} has no stage {since!r}; its stages are {', '.join(names)}")
    return found[0]


def quicken_batch_norms(model: Module, momentum: float = 0.1) -> int:
    """Let the running averages of batch norms that are trained follow within tens of steps; how many were slower.

    After n steps ``(1 - momentum) ** n`` of an average is still what it was before: with the 0.01 of MobileNetV3 and some
    EfficientNets, a third after 100 steps, and evaluation is far worse than training. PyTorch's own momentum is 0.1.

    Parameters
    ----------
    model : the network; frozen batch norms, and those whose momentum is 0.05 or more, stay as they are.
    momentum : what the others get.

    >>> from minicnn import models
    >>> model = models.efficientnet_lite0()
    >>> model._bn0.momentum, quicken_batch_norms(model), model._bn0.momentum
    (0.01, 49, 0.1)
    """
    slow = slow_batch_norms(model)
    for _, module in slow:
        module.momentum = momentum
    return len(slow)


def slow_batch_norms(model: Module) -> list[tuple[str, Module]]:
    """Those that are trained and whose running averages follow slowly, with their names."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, BATCH_NORMS)
        and module.track_running_stats
        and not module.frozen
        and (module.weight is None or module.weight.requires_grad)
        and module.momentum is not None
        and module.momentum < SLOW_MOMENTUM
    ]


class GradualUnfreezing:
    """From the head downwards, one stage more each time ``step()`` is called (Howard and Ruder 2018, section 3.3).

    Parameters
    ----------
    model : the network; everything but its head is frozen at once.
    names : the stages to unfreeze, the one nearest to the head first; by default all of them, a normalisation together with
        the stage before it.

    >>> from minicnn import models
    >>> unfreezing = GradualUnfreezing(models.resnet18())
    >>> unfreezing.step(), unfreezing.step()
    ('layer4', 'layer3')
    """

    def __init__(self, model: Module, names: Sequence[str] | None = None):
        freeze(model)
        self.model = model
        head = find_head(model).name
        every = [name for name, module in stages(model) if is_step(name, module) and not is_part(head, name)][::-1]
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
