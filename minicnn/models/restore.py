"""A model around a state dict that some training left: of how many classes it is, building it, preparing its images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..data.transforms import ImageClassification
from ..dtypes import get_default_dtype
from ..nn import Module, init
from ..nn.checkpoint_keys import unwrapped

# Heads that only help training. What is restored is to be used, or to be given a head of its own.
AUXILIARY = ("aux1", "aux2")


def restore(name: str, state: Mapping[str, Any], num_classes: int, skip: Sequence[str] = ()) -> Module:
    """A model with the tensors of a state dict, which become its own; no random number is drawn.

    It is built as its published weights expect it, and without auxiliary heads.

    Parameters
    ----------
    name : of :func:`minicnn.models.list_models`.
    state : a state dict, or a training checkpoint that holds one.
    num_classes : outputs.
    skip : names of parts that are not loaded; they hold nothing yet.

    Raises
    ------
    ValueError : no such model.
    RuntimeError : tensors that do not fit it.
    """
    with init.skipped():
        model = bare(name, num_classes)
    assign = get_default_dtype().name == "float32"
    model.load_state_dict(state, assign=assign, skip=(*skip, *AUXILIARY))
    return model


def misfit(error: RuntimeError) -> str:
    """What :func:`restore` found not to fit, in a line."""
    found = [line.strip().rstrip(". ") for line in str(error).splitlines()[1:]] or [str(error)]
    first = found[0] if len(found[0]) <= 200 else f"{found[0][:200]} ..."
    return f"{first}, and {len(found) - 1} more" if len(found) > 1 else first


def bare(name: str, num_classes: int) -> Module:
    """A model without weights, made as its published weights expect it, and without auxiliary heads."""
    from . import get_model

    # Its published weights see the images normalised in another way, which the model does itself.
    extra = {"aux_logits": False, "transform_input": True} if name == "googlenet" else {}
    return get_model(name, num_classes=num_classes, **extra)


def classes_in(name: str, state: Mapping[str, Any]) -> int:
    """How many classes the head in a state dict of the model has; 0 where there is none.

    >>> from minicnn import models
    >>> classes_in("lenet5", models.lenet5(num_classes=7).state_dict())
    7
    """
    with init.skipped():
        keys = list(bare(name, 1).state_dict())
    found, _ = unwrapped(state, set(keys))
    return int(found[keys[-1]].shape[0]) if keys[-1] in found else 0


def preprocessing(name: str, facts: Mapping[str, str] | None = None) -> ImageClassification:
    """How images are prepared for a model: as its published weights want them, or as a file of weights says.

    Parameters
    ----------
    name : of :func:`minicnn.models.list_models`; one that takes colour images.
    facts : the metadata of a file.

    Raises
    ------
    ValueError : a model for grey images or for video.

    >>> preprocessing("resnet18").crop_size, preprocessing("resnet20").crop_size
    ((224, 224), (32, 32))
    """
    from . import SMALL, get_model_weights, video

    if facts is not None and "preprocess" in facts:
        return ImageClassification(**json.loads(facts["preprocess"]))
    if name in SMALL or hasattr(video, name):
        raise ValueError(
            f"model {name!r} takes {'grey images' if name in SMALL else 'clips of video'}, not photographs"
        )
    if name == "resnet20":  # for CIFAR's small pictures; nothing is published
        return ImageClassification(crop_size=32, resize_size=32)
    return cast(Any, get_model_weights(name)).DEFAULT.transforms()
