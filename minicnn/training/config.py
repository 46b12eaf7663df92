"""What a training run is: every choice that its weights depend on, in one dataclass that goes into ``config.json``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from ..models import SMALL

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("onecycle", "cosine", "step", "none")


@dataclass(frozen=True)
class TrainConfig:
    """The choices of a run. The defaults are those of ``minicnn train``.

    Attributes
    ----------
    data : ``"mnist10k"`` (inside the package), ``"mnist"``, ``"fashion-mnist"``, or a folder of class-named folders of
        images.
    data_root : where to look for the files of ``data`` first.
    model : a name among ``minicnn.models.SMALL``.
    epochs : passes over the training set.
    batch_size : examples a step.
    lr : learning rate; with a schedule, its highest.
    optimizer : ``"adam"``, ``"adamw"`` or ``"sgd"``.
    momentum : of sgd.
    weight_decay : of the optimiser, as torch means it.
    schedule : ``"onecycle"`` (Smith and Topin 2019: up, then down, by the step), ``"cosine"`` (down to 0), ``"step"``
        (a tenth after each third of the run) or ``"none"``.
    augment : whether training images are shifted and turned a little, anew each time.
    seed : of initialisation, order, dropout and augmentation.
    compile : whether the model runs by fused plans (``mc.compile``). Without, the last digits differ.
    threads : CPU threads; None for all that the process may use. Results are bitwise repeatable for one number of
        threads.
    limit_train, limit_test : use only the first so many examples; None for all.
    skip_bad_images : leave out unreadable images of a folder, with a count, where the default is an error.

    Raises
    ------
    TypeError, ValueError : a value of another type or out of range; the message names it.

    >>> TrainConfig(epochs=1).lr
    0.003
    >>> TrainConfig(epochs=0)
    Traceback (most recent call last):
    ValueError: epochs: expected at least 1, got 0
    """

    data: str = "mnist10k"
    data_root: str | None = None
    model: str = "mnist_cnn"
    epochs: int = 5
    batch_size: int = 64
    lr: float = 3e-3
    optimizer: str = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "onecycle"
    augment: bool = False
    seed: int = 0
    compile: bool = True
    threads: int | None = None
    limit_train: int | None = None
    limit_test: int | None = None
    skip_bad_images: bool = False

    def __post_init__(self) -> None:
        for name, declared in get_type_hints(type(self)).items():
            value, types = getattr(self, name), get_args(declared) or (declared,)
            # An int does for a float, but a bool for no number, though Python counts it as an int.
            if not (type(value) in types or (float in types and type(value) is int)):
                expected = " or ".join("null" if one is type(None) else one.__name__ for one in types)
                raise TypeError(f"{name}: expected {expected}, got {value!r}")
        for name in ("epochs", "batch_size", "threads", "limit_train", "limit_test"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        if not 0 <= self.seed < 1 << 64:
            raise ValueError(f"seed: expected a number from 0 to 2**64 - 1, got {self.seed}")
        if self.model not in SMALL:
            raise ValueError(f"model {self.model!r} is not known; expected one of {', '.join(sorted(SMALL))}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ValueError(f"lr: expected a positive learning rate, got {self.lr}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum: expected a number from 0 to below 1, got {self.momentum}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay: expected 0 or more, got {self.weight_decay}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer {self.optimizer!r} is not known; expected one of {', '.join(OPTIMIZERS)}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule {self.schedule!r} is not known; expected one of {', '.join(SCHEDULES)}")

    def to_dict(self) -> dict[str, Any]:
        """The fields as a dict that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """The inverse of :meth:`to_dict`. Fields that are missing have their defaults, but without ``compile`` it is False:
        a run from before there was a choice.

        Raises
        ------
        TypeError, ValueError : a field that there is not, a value of another type or out of range.
        """
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise ValueError(f"unknown configuration {', '.join(sorted(unknown))}: from another version of minicnn?")
        return cls(**{"compile": False, **values})
