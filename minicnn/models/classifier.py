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
from .published import WeightsEnum, is_path
from .restore import classes_in, misfit, preprocessing, restore


class Classifier:
    """What is on a picture?

    Parameters
    ----------
    model : a name of :func:`minicnn.models.list_models`; None for what the file of weights says.
    weights : a published name, such as ``"DEFAULT"``; or a file. One that ``minicnn finetune`` wrote knows its model, its
        classes and its preprocessing; any other is taken to be prepared as the model's published weights are.

    Attributes
    ----------
    model, transforms, categories : the network in evaluation mode, its preprocessing, the names of its classes in order.

    Raises
    ------
    ValueError : no such model or published weights, no model named where the file does not say it, or a model that takes no
        photographs.
    CheckpointError : a file that is damaged, or of another model.
    DownloadError, ImportError : published weights that are not to be had.
    """

    def __init__(self, model: str | None, weights: str | os.PathLike[str] = "DEFAULT"):
        from . import get_model, get_model_weights

        self.transforms: ImageClassification
        self.categories: list[str]
        self.model: Module
        if is_path(os.fspath(weights)):
            self._from_file(model, Path(weights))
        elif model is None:
            raise ValueError(f"model: expected its name beside the weights {os.fspath(weights)!r}, got None")
        else:
            self.transforms = preprocessing(model)
            published: Any = get_model_weights(model)
            member: WeightsEnum | None = published.verify(weights)
            if member is None:
                raise ValueError("weights: expected a published name or a file, got None")
            self.model = get_model(model, weights=member)
            self.transforms = member.transforms()
            self.categories = member.meta.get("categories") or _numbered(member.meta["num_categories"])
        self.model.eval()
        self._network = compile(self.model)

    def _from_file(self, model: str | None, path: Path) -> None:
        from . import get_model_weights

        state = load(path, mmap=True)
        facts = read_metadata(path) if path.suffix == ".safetensors" else {}
        name = model or facts.get("model")
        if name is None:
            raise ValueError(
                f"model: {path} does not say what it is; name the model (`minicnn inspect {path}` guesses)"
            )
        if facts.get("model", name) != name:
            raise CheckpointError(path, "metadata", f"says that it holds weights of {facts['model']}, not of {name}")
        self.transforms = preprocessing(name, facts)
        count = classes_in(name, state) if isinstance(state, dict) else 0
        if not count:
            raise CheckpointError(
                path, "tensors", f"have no head of a {name}: `minicnn inspect {path}` says which model they fit"
            )
        try:
            self.model = restore(name, state, count)
        except RuntimeError as error:
            raise CheckpointError(path, "tensors", f"do not fit the model {name!r}: {misfit(error)}") from None
        self.categories = json.loads(facts.get("classes", "[]"))
        if len(self.categories) != count:
            try:
                published: Any = get_model_weights(name)
                self.categories = published.DEFAULT.meta.get("categories", [])
            except ValueError:
                pass  # nothing is published
        if len(self.categories) != count:
            self.categories = _numbered(count)

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


def _numbered(count: int) -> list[str]:
    return [f"class {i}" for i in range(count)]
