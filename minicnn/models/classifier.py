"""A model, its preprocessing and its classes' names in one: pictures in, names with probabilities out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..compiler import compile
from ..data.images import pil_loader
from ..data.transforms import ImageClassification
from ..nn import Module
from ..weights import CheckpointError, load
from ..weights.safetensors import read_metadata
from .published import WeightsEnum, is_path, outputs


class Classifier:
    """What is on a picture?

    Parameters
    ----------
    model : a name of :func:`minicnn.models.list_models`.
    weights : a published name, such as ``"DEFAULT"``; or a file. One that ``minicnn finetune`` wrote knows its classes and
        its preprocessing; any other is taken to be prepared as the model's published weights are.

    Attributes
    ----------
    model, transforms, categories : the network in evaluation mode, its preprocessing, the names of its classes in order.

    Raises
    ------
    ValueError, DownloadError, CheckpointError, ImportError : as building the model does.
    """

    def __init__(self, model: str, weights: str | os.PathLike[str] = "DEFAULT"):
        from . import get_model, get_model_weights

        published: Any = get_model_weights(model)
        if is_path(os.fspath(weights)):
            path = Path(weights)
            facts = read_metadata(path) if path.suffix == ".safetensors" else {}
            if facts.get("model", model) != model:
                raise CheckpointError(
                    path, "metadata", f"says that it holds weights of {facts['model']}, not of {model}"
                )
            classes = json.loads(facts["classes"]) if "classes" in facts else None
            count = len(classes) if classes is not None else outputs(load(path, mmap=True))
            self.model: Module = get_model(model, weights=path, num_classes=count)
            names = published.DEFAULT.meta.get("categories", [])
            self.categories = classes or (names if len(names) == count else [f"class {i}" for i in range(count)])
            self.transforms = (
                ImageClassification(**json.loads(facts["preprocess"]))
                if "preprocess" in facts
                else published.DEFAULT.transforms()
            )
        else:
            member: WeightsEnum = published.verify(weights)
            self.model = get_model(model, weights=member)
            self.categories = member.meta.get("categories") or [
                f"class {i}" for i in range(member.meta["num_categories"])
            ]
            self.transforms = member.transforms()
        self.model.eval()
        self._network = compile(self.model)

    def __call__(self, picture: Any) -> list[tuple[str, float]]:
        """All classes with their probabilities, the likeliest first.

        Parameters
        ----------
        picture : a PIL image, or the name of a file.

        Raises
        ------
        ImageReadError : a file that is no picture.
        """
        image = pil_loader(picture) if isinstance(picture, (str, os.PathLike)) else picture
        with no_grad():
            logits = self._network(self.transforms(image).unsqueeze(0))
        scores = logits._array[0].astype(np.float64)
        probabilities = np.exp(scores - scores.max())
        probabilities /= probabilities.sum()
        order = np.argsort(-probabilities, kind="stable")
        return [(self.categories[i], float(probabilities[i])) for i in order]
