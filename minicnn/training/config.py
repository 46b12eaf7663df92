"""What a training run is: every choice that its weights depend on, in one dataclass that goes into ``config.json``.

:class:`TrainConfig` is a run from nothing on small grey images, :class:`FinetuneConfig` one that begins with the weights of
a trained network. What they share is checked once, in :class:`RunConfig`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, get_args, get_type_hints

from ..models import SMALL, list_models, video
from ..models.matching import unknown_model

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("onecycle", "cosine", "step", "none")


class RunConfig:
    """What both kinds of configuration can do: checks of what they share, and to and from a dict."""

    COMMAND: ClassVar[str]  # the command of ``minicnn`` that makes such runs

    # Fields of both; each class declares them with its own defaults.
    model: str
    epochs: int
    batch_size: Any
    lr: float
    optimizer: str
    momentum: float
    weight_decay: float
    schedule: str
    seed: int
    compile: bool
    threads: int | None

    @classmethod
    def models(cls) -> list[str]:
        """The models that such a run can train."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            declared = get_type_hints(type(self))[field.name]
            value, types = getattr(self, field.name), get_args(declared) or (declared,)
            # An int does for a float, but a bool for no number, though Python counts it as an int.
            if not (type(value) in types or (float in types and type(value) is int)):
                expected = " or ".join("null" if one is type(None) else one.__name__ for one in types)
                raise TypeError(f"{field.name}: expected {expected}, got {value!r}")
        for name in ("epochs", "batch_size", "threads", "limit_train", "limit_test", "image_size"):
            value = getattr(self, name, None)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        if not 0 <= self.seed < 1 << 64:
            raise ValueError(f"seed: expected a number from 0 to 2**64 - 1, got {self.seed}")
        if self.model not in self.models():
            raise ValueError(unknown_model(self.model, self.models()))
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
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`. Fields that are missing have their defaults, but without ``compile`` it is False:
        a run from before there was a choice.

        Raises
        ------
        TypeError, ValueError : a field that there is not, a value of another type or out of range.
        """
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if unknown:
            raise ValueError(f"unknown configuration {', '.join(sorted(unknown))}: from another version of minicnn?")
        return cls(**{"compile": False, **values})


@dataclass(frozen=True)
class TrainConfig(RunConfig):
    """The choices of a run. The defaults are those of ``minicnn train`` (which takes resnet20 for CIFAR).

    Attributes
    ----------
    data : what :func:`minicnn.data.open_dataset` takes: ``"mnist10k"`` (inside the package), ``"mnist"``,
        ``"fashion-mnist"``, ``"cifar10"`` ..., or a folder of class-named folders of images.
    data_root : where to look for the files of ``data`` first.
    model : a name among :meth:`models`; for images in colour, ``"resnet20"``.
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

    COMMAND: ClassVar[str] = "train"

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

    @classmethod
    def models(cls) -> list[str]:
        """The small ones, for grey images of 28 x 28, and resnet20, for those in colour or of another size too."""
        return sorted([*SMALL, "resnet20"])


@dataclass(frozen=True)
class FinetuneConfig(RunConfig):
    """The choices of a run that fine-tunes a network. The defaults are those of ``minicnn finetune``.

    Attributes
    ----------
    data : a folder of class-named folders of images, or one with such folders in train/ and maybe in val/ or test/.
    validation : another such folder, of the images to judge by.
    val_split : which part of the training images to set aside for that; None for a fifth where ``data`` has no val/ or test/
        and ``validation`` is not given.
    model : a name among :meth:`models`.
    weights : ``"DEFAULT"`` or another published name; a file; or ``"none"`` to train from nothing.
    unfreeze : how many stages below the head are trained too (``transfer.train_top``); 0 for the head alone. None for 0,
        but for everything where there are no weights to keep.
    epochs : passes over the training set.
    head_epochs : so many of them, the first ones, train the head alone.
    batch_size : images a step; None for 32, or all where there are fewer.
    lr : the head's learning rate; with a schedule, its highest.
    layer_decay : the factor from one stage's learning rate to that of the one below; None for 0.7, and for 1 where there are
        no weights to keep.
    optimizer, momentum, weight_decay, schedule : as in :class:`TrainConfig`.
    label_smoothing : how much of each label goes to all classes alike.
    image_size : side of the square images; None for what the weights were trained with.
    augment : whether training images are cropped and flipped at random, anew each time; None for where more than the head is
        trained. Without, the features of a network whose head alone is trained are computed once.
    flip : whether augmentation may change left and right.
    seed, compile, threads, skip_bad_images : as in :class:`TrainConfig`.

    Raises
    ------
    TypeError, ValueError : a value of another type or out of range; the message names it.

    >>> FinetuneConfig("photos", unfreeze=1).augmented
    True
    >>> FinetuneConfig("photos", model="resnet81")
    Traceback (most recent call last):
    ValueError: model 'resnet81' is not known; expected one of alexnet, ...; did you mean resnet18 ...?
    """

    COMMAND: ClassVar[str] = "finetune"

    data: str
    validation: str | None = None
    val_split: float | None = None
    model: str = "resnet18"
    weights: str = "DEFAULT"
    unfreeze: int | None = None
    epochs: int = 10
    head_epochs: int = 0
    batch_size: int | None = None
    lr: float = 1e-3
    layer_decay: float | None = None
    optimizer: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.01
    schedule: str = "onecycle"
    label_smoothing: float = 0.0
    image_size: int | None = None
    augment: bool | None = None
    flip: bool = True
    seed: int = 0
    compile: bool = True
    threads: int | None = None
    skip_bad_images: bool = False

    def __post_init__(self) -> None:
        if self.model in SMALL:
            raise ValueError(
                f"model {self.model!r} takes grey images of 28 x 28 and has no weights to begin with: train it with "
                f"`minicnn train --data FOLDER --model {self.model}`"
            )
        if hasattr(video, self.model):
            raise ValueError(f"model {self.model!r} takes clips of video; expected one of {', '.join(self.models())}")
        super().__post_init__()
        if self.val_split is not None and not 0 < self.val_split < 1:
            raise ValueError(f"val_split: expected a number between 0 and 1, got {self.val_split}")
        if self.val_split is not None and self.validation is not None:
            raise ValueError("val_split: sets images aside, and validation names others; give one of them")
        for name in ("unfreeze", "head_epochs"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name}: expected 0 or more, got {value}")
        if self.head_epochs > self.epochs:
            raise ValueError(f"head_epochs: expected at most epochs, {self.epochs}, got {self.head_epochs}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing: expected a number from 0 to below 1, got {self.label_smoothing}")
        if self.layer_decay is not None and not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay: expected a number above 0 and up to 1, got {self.layer_decay}")

    @classmethod
    def models(cls) -> list[str]:
        """Those of the zoo that take colour images."""
        return [name for name in list_models() if name not in SMALL and not hasattr(video, name)]

    @property
    def from_nothing(self) -> bool:
        """Whether there are no weights to begin with."""
        return self.weights == "none"

    @property
    def head_only(self) -> bool:
        """Whether all but the head is frozen."""
        return self.unfreeze == 0 or (self.unfreeze is None and not self.from_nothing)

    @property
    def augmented(self) -> bool:
        """Whether training images are changed at random."""
        return not self.head_only if self.augment is None else self.augment

    @property
    def decay(self) -> float:
        """``layer_decay``, or what stands for None."""
        if self.layer_decay is not None:
            return self.layer_decay
        return 1.0 if self.from_nothing else 0.7


CONFIGS: dict[str, type[RunConfig]] = {config.COMMAND: config for config in (TrainConfig, FinetuneConfig)}
