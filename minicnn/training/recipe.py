"""From a configuration to a trained model: data, model, optimiser, schedule and loaders, put together.

:func:`train` is ``minicnn train`` for programs. :func:`build_trainer` shows what each choice of a
:class:`~minicnn.training.config.TrainConfig` means.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

import minicnn as mc

from .. import optim
from ..data import DataLoader, DatasetError, DatasetPair, ImageArrayDataset, open_dataset
from ..data.transforms import Compose, RandomCrop, RandomHorizontalFlip, digit_augmentation
from ..models import get_model
from ..nn import Module
from ..optim import Optimizer, lr_scheduler
from ..random import Generator
from ..weights import CheckpointError
from .callbacks import Callback, Checkpointer, MetricsLog
from .checkpoint import load_checkpoint
from .config import RunConfig, TrainConfig
from .run_folder import RunFolder, load_into
from .trainer import Trainer

IMAGE_SHAPE = (28, 28)  # of the small models' images, which are grey; resnet20 takes others too

Config = TypeVar("Config", bound=RunConfig)


class Described(Protocol):
    """Data that can say what they are."""

    def describe(self) -> dict[str, Any]:
        """What a run's files say of them; equal for equal data."""


def train(
    config: TrainConfig,
    out: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    callbacks: Iterable[Callback] = (),
) -> Trainer:
    """Train as ``config`` says, and return the trainer: ``.model``, ``.history``, ``.last_evaluation``.

    Parameters
    ----------
    config : the run.
    out : a folder for the run's files (:mod:`minicnn.training.run_folder`); None keeps nothing.
    overwrite : whether a run that is in ``out`` may be replaced.
    callbacks : called before those that write the files.

    Raises
    ------
    ValueError : an unknown model. DatasetError : the data cannot be had. RunFolderError : ``out`` holds something.
    NonFiniteLossError : the loss became nan or infinite.
    """
    config = claim_threads(config)
    data = open_data(config)
    trainer = build_trainer(config, data, callbacks)
    if out is None:
        trainer.fit()
        return trainer
    run = RunFolder.create(out, overwrite=overwrite)
    with run.locked():
        start_run(trainer, run, config, data)
        trainer.fit()
    return trainer


def claim_threads(config: Config) -> Config:
    """Set the number of threads, and return the configuration with that number in it: a resumed run needs the same."""
    if config.threads is not None:
        mc.set_num_threads(config.threads)
    return dataclasses.replace(config, threads=mc.get_num_threads())  # type: ignore[type-var]


def open_data(
    config: TrainConfig, mean: float | Sequence[float] | None = None, std: float | Sequence[float] | None = None
) -> DatasetPair:
    """The data of a configuration: cut to its limits, and with its augmentation on the training images.

    Parameters
    ----------
    mean, std : normalise by these instead of the training images' own (for a model that learnt with these).

    Raises
    ------
    DatasetError : not there, not what it should be, or not what the model takes; the message says what to do.
    """
    pair = open_dataset(config.data, root=config.data_root, on_bad_image="skip" if config.skip_bad_images else "raise")
    shape = pair.train.images.shape[1:]
    if config.model != "resnet20" and shape != IMAGE_SHAPE:
        kind = "grey" if len(shape) == 2 else "in colour"
        raise DatasetError(
            f"{pair.name}: images {kind}, of {shape[0]} x {shape[1]} pixels; the model {config.model} takes grey ones of "
            f"{IMAGE_SHAPE[0]} x {IMAGE_SHAPE[1]}. resnet20 takes any"
        )
    augmentation = None
    if config.augment:
        augmentation = digit_augmentation() if len(shape) == 2 else photo_augmentation(shape[:2])
    mean, std = pair.mean if mean is None else mean, pair.std if std is None else std

    def part(whole: ImageArrayDataset, limit: int | None, transform: Any) -> ImageArrayDataset:
        images, labels = whole.images[:limit], whole.labels[:limit]
        return ImageArrayDataset(images, labels, transform, mean=mean, std=std, classes=pair.classes)

    train = part(pair.train, config.limit_train, augmentation)
    test = part(pair.test, config.limit_test, None)
    return dataclasses.replace(pair, train=train, test=test, mean=train.mean, std=train.std)


def photo_augmentation(size: tuple[int, int]) -> Compose:
    """What ``--augment`` means for small pictures in colour: shifted by up to an eighth, mirrored or not."""
    return Compose([RandomCrop(size, padding=size[0] // 8), RandomHorizontalFlip()])


def build_model(name: str, classes: Sequence[str], mean: float | Sequence[float]) -> Module:
    """A model for images that are normalised by ``mean``: grey where that is one number, else of so many channels."""
    extra = {"in_channels": 1 if isinstance(mean, float) else len(mean)} if name == "resnet20" else {}
    return get_model(name, num_classes=len(classes), **extra)


def build_trainer(config: TrainConfig, data: DatasetPair, callbacks: Iterable[Callback] = ()) -> Trainer:
    """A trainer at its first step. Seeds the default generator, from which all randomness of the run comes.

    Raises
    ------
    ValueError : an unknown model, or an empty training set.
    """
    mc.manual_seed(config.seed)
    model = build_model(config.model, data.classes, data.mean)
    train_loader = DataLoader(data.train, config.batch_size, shuffle=True)
    # A generator of its own: an evaluation must not change what training draws next.
    test_loader = DataLoader(data.test, 256, generator=Generator())
    optimizer = build_optimizer(config, model)
    scheduler = build_scheduler(config, optimizer, steps=config.epochs * len(train_loader))
    network = mc.compile(model) if config.compile else model
    return Trainer(network, optimizer, scheduler, train_loader, test_loader, epochs=config.epochs, callbacks=callbacks)


def build_optimizer(config: RunConfig, model: Module, groups: list[dict[str, Any]] | None = None) -> Optimizer:
    """The optimiser over all of the model's parameters, or over those of parameter groups with rates of their own."""
    parameters: Any = model.parameters() if groups is None else groups
    match config.optimizer:
        case "adam":
            return optim.Adam(parameters, lr=config.lr, weight_decay=config.weight_decay)
        case "adamw":
            return optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
        case _:
            return optim.SGD(parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)


def build_scheduler(config: RunConfig, optimizer: Optimizer, steps: int) -> lr_scheduler.LRScheduler | None:
    """The schedule, to be stepped after each of ``steps`` steps; None for a constant learning rate."""
    match config.schedule:
        case "onecycle":
            highest = [group["lr"] for group in optimizer.param_groups]
            return lr_scheduler.OneCycleLR(optimizer, max_lr=highest, total_steps=steps)
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
        case "step":
            return lr_scheduler.StepLR(optimizer, step_size=-(-steps // 3), gamma=0.1)
        case _:
            return None


def start_run(
    trainer: Trainer, run: RunFolder, config: RunConfig, data: Described, every_steps: int | None = None
) -> None:
    """Write a new run's configuration, and let the trainer keep its metrics, checkpoints and weights in the folder."""
    run.write_config(config, data.describe(), mc.__version__)
    _keep_files(trainer, run, config, data, every_steps)


def resume_run(
    trainer: Trainer, run: RunFolder, config: RunConfig, data: Described, every_steps: int | None = None
) -> None:
    """Put a trainer where the run's checkpoint is; a run that was killed before its first one starts anew.

    Raises
    ------
    CheckpointError : a damaged checkpoint, or one of another model (the message names both), of other choices than
        ``config`` or of other data.
    """
    if run.checkpoint.exists():
        state = load_checkpoint(run.checkpoint)
        try:
            saved_config, saved_data, progress = state["config"], state["data"], state["trainer"]
            load_into(trainer.model, config.model, saved_config["model"], progress["model"], run.checkpoint)
            saved_config = type(config).from_dict(saved_config).to_dict()  # with what an older one did not say
            choices = {**config.to_dict(), "threads": saved_config["threads"]}  # the one that may change
            if saved_config != choices:
                raise CheckpointError(
                    run.checkpoint,
                    "config",
                    f"is not that of {run.config.name}: {_difference(saved_config, choices)}. Put {run.config.name} "
                    "back as it was, or begin a new run",
                )
            if saved_data != data.describe():
                raise CheckpointError(
                    run.checkpoint,
                    "data",
                    f"are not those that the run began with: {_difference(saved_data, data.describe())}. Put the data "
                    "back as they were, or begin a new run",
                )
            trainer.load_state_dict(progress)
        except CheckpointError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = f"cannot be used ({type(error).__name__}: {error})"
            raise CheckpointError(run.checkpoint, "state", reason) from None
    _keep_files(trainer, run, config, data, every_steps)


def _keep_files(trainer: Trainer, run: RunFolder, config: RunConfig, data: Described, every_steps: int | None) -> None:
    described = data.describe()
    # The metrics first: a checkpoint that has an epoch behind it has that epoch's line beside it.
    trainer.callbacks += [
        MetricsLog(run.metrics),
        Checkpointer(
            run.checkpoint,
            run.weights,
            extra={"config": config.to_dict(), "data": described},
            metadata=run.weights_metadata(config, described),
            every_steps=every_steps,
        ),
    ]


def _difference(saved: dict[str, Any], now: dict[str, Any]) -> str:
    return ", ".join(f"{key} was {saved.get(key)!r} and is {now[key]!r}" for key in now if saved.get(key) != now[key])
