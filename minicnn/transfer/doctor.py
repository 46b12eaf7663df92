"""What is about to go wrong with fine-tuning, said before it costs an hour.

Each check is one mistake that people make: nothing to train, an optimizer that holds another head, images prepared unlike
those the weights were trained with, batch norms that drift or lag behind, classes in another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..nn import Module
from ..optim import Optimizer
from .freezing import BATCH_NORMS, slow_batch_norms
from .heads import Head, find_head


class Finding(NamedTuple):
    """One thing that is wrong or doubtful: ``"error"`` or ``"warning"``, a short name, and what to do."""

    severity: str
    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.message}"


def diagnose(
    model: Module,
    optimizer: Optimizer | None = None,
    weights: Any = None,
    transforms: Any = None,
    classes: Sequence[str] | None = None,
    other_classes: Sequence[str] | None = None,
) -> list[Finding]:
    """Look at a model, and whatever else is given, before training it.

    Parameters
    ----------
    model : the network, frozen and with its head as it will train.
    optimizer : that will train it.
    weights : the published weights it began with, such as ``ResNet18_Weights.DEFAULT``.
    transforms : the preprocessing of the images; its mean, std and sizes are compared with the weights'.
    classes : names of the training data's classes, in order.
    other_classes : those of the test data, or those that a saved model was trained with.

    Returns
    -------
    Findings, errors first; an empty list where nothing is wrong.

    >>> from minicnn import models, transfer
    >>> model = models.lenet5()
    >>> for p in model.parameters():
    ...     p.requires_grad = False
    >>> print(transfer.diagnose(model)[0])
    error: no parameter is trained: requires_grad is False for all of them. Unfreeze some, or give the model a new head
    """
    found = [*_parameters(model, optimizer), *_batch_norms(model)]
    head = _head(model)
    if head is not None:
        found += _head_findings(head, optimizer, classes)
    if weights is not None and transforms is not None:
        found += _preprocessing(weights, transforms)
    if classes is not None and other_classes is not None:
        found += _classes(list(classes), list(other_classes))
    return sorted(found, key=lambda finding: finding.severity)


def _head(model: Module) -> Head | None:
    try:
        return find_head(model)
    except ValueError:
        return None


def _held(optimizer: Optimizer) -> dict[int, Any]:
    return {id(p): p for group in optimizer.param_groups for p in group["params"]}


def _parameters(model: Module, optimizer: Optimizer | None) -> Iterator[Finding]:
    trained = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
    if not trained:
        yield Finding(
            "error",
            "nothing to train",
            "no parameter is trained: requires_grad is False for all of them. Unfreeze some, or give the model "
            "a new head",
        )
    if optimizer is None:
        return
    held = _held(optimizer)
    own = {id(p) for p in model.parameters()}
    foreign = sum(identity not in own for identity in held)
    if foreign:
        yield Finding(
            "error",
            "foreign parameters",
            f"the optimizer holds {foreign} parameters that the model does not have (any more): it was made before a "
            "part of the model was replaced. Make it again",
        )
    left_out = [name for identity, name in trained.items() if identity not in held]
    if left_out:
        yield Finding(
            "warning",
            "left out",
            f"{len(left_out)} parameters want gradients and are not in the optimizer, beginning with {left_out[0]}: freeze "
            "them or hand them over",
        )


def _head_findings(head: Head, optimizer: Optimizer | None, classes: Sequence[str] | None) -> Iterator[Finding]:
    weight = head.layer.weight
    if not weight.requires_grad:
        yield Finding("warning", "frozen head", f"the head, {head.name}, is frozen: its classes stay those it had")
    elif optimizer is not None and id(weight) not in _held(optimizer):
        yield Finding(
            "error",
            "head not in the optimizer",
            f"the head, {head.name}, is not in the optimizer: it keeps its random weights. Make the optimizer after it",
        )
    if classes is not None and len(classes) != head.num_classes:
        yield Finding(
            "error",
            "number of classes",
            f"the head, {head.name}, has {head.num_classes} outputs and the data {len(classes)} classes: "
            f"transfer.replace_head(model, {len(classes)})",
        )


def _batch_norms(model: Module) -> Iterator[Finding]:
    drifting = [
        name
        for name, module in model.named_modules()
        if isinstance(module, BATCH_NORMS)
        and module.track_running_stats
        and module.training
        and module.weight is not None
        and not module.weight.requires_grad
    ]
    if drifting:
        yield Finding(
            "warning",
            "drifting batch norm",
            f"{len(drifting)} frozen batch norms go on changing their running averages, beginning with {drifting[0]}: "
            "freeze with transfer.freeze(..., batch_norm='eval'), which keeps them in evaluation mode",
        )
    slow = slow_batch_norms(model)
    if slow:
        name, module = slow[0]
        left = (1 - module.momentum) ** 100
        yield Finding(
            "warning",
            "slow batch norm",
            f"{len(slow)} batch norms have a momentum below the usual 0.1, beginning with {name}, {module.momentum}: after "
            f"100 steps {100 * left:.0f} % of their running averages is what it was before, so that evaluation is bad after "
            "a short training that looked well. transfer.quicken_batch_norms(model) gives them 0.1; transfer.freeze keeps "
            "them as they are",
        )


def _preprocessing(weights: Any, transforms: Any) -> Iterator[Finding]:
    wanted = weights.transforms()
    settings = _settings(transforms)
    for name in ("mean", "std", "crop_size", "interpolation"):
        expected, given = getattr(wanted, name), settings.get(name)
        if given is None:
            if name in ("mean", "std"):
                yield Finding(
                    "warning",
                    "preprocessing",
                    f"the images are not normalised; the weights were trained with {name} {_round(expected)}",
                )
            continue
        if not _alike(expected, given):
            yield Finding(
                "warning",
                "preprocessing",
                f"the images are prepared with {name} {_round(given)}, the weights were trained with {_round(expected)}: "
                "use weights.transforms(), or the same numbers",
            )


def _settings(transforms: Any) -> dict[str, Any]:
    """What a transform, or those in a Compose, say about themselves."""
    found: dict[str, Any] = {}
    for transform in getattr(transforms, "transforms", None) or [transforms]:
        for name in ("mean", "std", "crop_size", "interpolation"):
            if hasattr(transform, name):
                found.setdefault(name, getattr(transform, name))
        if "Crop" in type(transform).__name__ and hasattr(transform, "size"):
            found["crop_size"] = transform.size
    return found


def _alike(a: Any, b: Any) -> bool:
    if hasattr(a, "value"):
        return a == b or a.value == b
    x, y = (tuple(v) if isinstance(v, (tuple, list)) else (v, v) for v in (a, b))
    if len(x) != len(y):
        x, y = (v * 3 if len(v) == 1 else v for v in (x, y))
    return len(x) == len(y) and all(abs(p - q) < 1e-3 for p, q in zip(x, y, strict=True))


def _round(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(round(v, 4) if isinstance(v, float) else v for v in value)
    return getattr(value, "value", value)


def _classes(classes: list[str], other: list[str]) -> Iterator[Finding]:
    if classes == other:
        return
    if sorted(classes) == sorted(other):
        first = next(i for i, (a, b) in enumerate(zip(classes, other, strict=True)) if a != b)
        yield Finding(
            "error",
            "order of classes",
            f"the classes are the same in another order: number {first} is {classes[first]!r} here and "
            f"{other[first]!r} there",
        )
        return
    missing = sorted(set(classes) ^ set(other))
    yield Finding("error", "classes", f"the classes differ, in {', '.join(map(repr, missing[:5]))} at least")
