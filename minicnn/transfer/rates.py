"""Discriminative learning rates: low for the general features at the bottom, high for the head (Howard and Ruder 2018)."""

from __future__ import annotations

from typing import Any

from ..nn import Module, Parameter
from .freezing import is_step, outside_stages, stages


def parameter_groups(
    model: Module, lr: float, decay: float = 0.5, weight_decay: float | None = None
) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer, one a stage: the head learns with ``lr``, each stage below ``decay`` times as fast.

    A stage that is only a normalisation learns like the one before it, and an auxiliary head too. Frozen parameters are left
    out, and so are stages that have no others.

    Parameters
    ----------
    model : the network.
    lr : the head's learning rate.
    decay : the factor from one stage to the one below it; 1 gives all the same.
    weight_decay : for each group; without it the optimizer's own.

    >>> import minicnn as mc
    >>> from minicnn import models
    >>> groups = parameter_groups(models.resnet18(), lr=0.1, decay=0.5)
    >>> [(g["name"], g["lr"]) for g in groups][-3:]
    [('layer3', 0.025), ('layer4', 0.05), ('fc', 0.1)]
    >>> optimizer = mc.optim.SGD(groups, lr=0.1)

    Raises
    ------
    ValueError : a rate or a factor that is not positive, or nothing to train.
    """
    if not lr > 0 or not decay > 0:
        raise ValueError(f"lr, decay: expected positive numbers, got {lr} and {decay}")
    parts = stages(model)
    placed: set[int] = set()
    groups: list[dict[str, Any]] = []

    def add(name: str, parameters: list[Parameter], rate: float) -> None:
        new = [p for p in parameters if p.requires_grad and id(p) not in placed]
        placed.update(id(p) for p in new)
        if new:
            group: dict[str, Any] = {"params": new, "lr": rate, "name": name}
            if weight_decay is not None:
                group["weight_decay"] = weight_decay
            groups.append(group)

    steps = [i > 0 and is_step(*part) for i, part in enumerate(parts)]
    for i, (name, module) in enumerate(parts):
        along = outside_stages(model) if i == 0 else []
        add(name, [*module.parameters(), *along], lr * decay ** sum(steps[i + 1 :]))
    add("others", list(model.parameters()), lr)  # of a model without parts
    if not groups:
        raise ValueError("model: no parameter is trained (requires_grad is False for all); unfreeze some")
    return groups
