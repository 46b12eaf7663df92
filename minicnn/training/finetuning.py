"""Fine-tuning: from a folder of images and the weights of a trained network to a network for these images.

:func:`finetune` is ``minicnn finetune`` for programs. Its steps can be taken one by one: ``open_images`` (``image_data.py``)
finds the images, :func:`prepare` loads the network, freezes what is not to be trained and asks the doctor, and
:meth:`FineTuning.trainer` makes the same :class:`Trainer` that training from nothing uses. What freezing, heads and rates by
depth are: :mod:`minicnn.transfer`.

While everything but the head is frozen and no augmentation changes the images, what goes into the head is the same in every
epoch. It is computed once, and the epochs only train the head.
"""

from __future__ import annotations

import functools
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import minicnn as mc

from ..data import DataLoader, DownloadError, ImageFiles, TensorDataset
from ..data.transforms import ImageClassification
from ..models import get_model_weights
from ..models.published import is_path
from ..models.restore import bare, misfit, preprocessing, restore
from ..nn import Linear, Module, init
from ..nn import functional as F
from ..optim import Optimizer
from ..random import Generator
from ..transfer import (
    Finding,
    cached_features,
    diagnose,
    find_head,
    freeze,
    parameter_groups,
    quicken_batch_norms,
    replace_head,
    stages,
    train_top,
    unfreeze,
)
from ..weights import CheckpointError, load, read_metadata
from .callbacks import Callback
from .checkpoint import load_checkpoint
from .config import FinetuneConfig
from .image_data import ImageData, OnProgress, augmentation, open_images
from .recipe import build_optimizer, build_scheduler, claim_threads, start_run
from .run_folder import RunFolder, load_into
from .trainer import Trainer

BATCH_SIZE = 32


class FinetuneError(ValueError):
    """Fine-tuning that cannot begin; the message says what to do."""


@dataclass
class FineTuning:
    """A network that is ready to be fine-tuned, as :func:`prepare` makes it.

    Attributes
    ----------
    model, optimizer : frozen and grouped as they will train. trained : the names of the stages that are.
    notes : what was done to the weights. findings : the doctor's.
    """

    config: FinetuneConfig
    data: ImageData
    model: Module
    optimizer: Optimizer
    trained: list[str]
    notes: list[str]
    findings: list[Finding]

    @property
    def batch_size(self) -> int:
        """Images a step."""
        return self.config.batch_size or min(BATCH_SIZE, len(self.data.train))

    @property
    def preprocess(self) -> ImageClassification:
        """How images are prepared to be judged."""
        assert self.data.preprocess is not None, "set by prepare"
        return self.data.preprocess

    @property
    def frozen(self) -> list[str]:
        """The names of the stages of which nothing is trained."""
        return [name for name, part in stages(self.model) if not any(p.requires_grad for p in part.parameters())]

    @property
    def caches_features(self) -> bool:
        """Whether the frozen part runs once, rather than in every epoch."""
        # Behind a head that is a convolution there is more, such as SqueezeNet's pooling.
        last = isinstance(find_head(self.model).layer, Linear)
        return self.config.head_only and not self.config.augmented and last

    def trainer(
        self, callbacks: Iterable[Callback] = (), workers: int = 0, on_progress: OnProgress | None = None
    ) -> Trainer:
        """A trainer at its first step. Where the features are computed once, that happens here.

        Parameters
        ----------
        callbacks : as for :class:`Trainer`.
        workers : threads that read images ahead; the results do not depend on it.
        on_progress : called with "computing features", the number of images that are done, and their number.
        """
        config, data = self.config, self.data
        train: Any = data.train
        test: Any = data.test
        network = mc.compile(self.model) if config.compile else self.model
        if self.caches_features:
            train, test = self._features(workers, on_progress)
            network = find_head(self.model).layer
            workers = 0
        # One image by itself at the end of an epoch has no batch statistics.
        alone = len(train) > self.batch_size and len(train) % self.batch_size == 1
        train_loader = DataLoader(train, self.batch_size, shuffle=True, num_workers=workers, drop_last=alone)
        # A generator of its own: an evaluation must not change what training draws next.
        test_loader = DataLoader(test, self.batch_size, num_workers=workers, generator=Generator())
        first = [HeadFirst(self.model, config.head_epochs, self.train_all)] if config.head_epochs else []
        return Trainer(
            self.model,
            self.optimizer,
            build_scheduler(config, self.optimizer, steps=config.epochs * len(train_loader)),
            train_loader,
            test_loader,
            epochs=config.epochs,
            callbacks=[*first, *callbacks],
            network=network,
            loss=functools.partial(F.cross_entropy, label_smoothing=config.label_smoothing),
        )

    def train_all(self) -> None:
        """Unfreeze what the configuration says."""
        _unfreeze(self.model, self.config)

    def _features(self, workers: int, on_progress: OnProgress | None) -> tuple[TensorDataset, TensorDataset]:
        parts = (self.data.train, self.data.test)
        total, done = sum(len(part) for part in parts), 0

        def counted(loader: DataLoader) -> Iterator[Any]:
            nonlocal done
            for batch in loader:
                yield batch
                done += len(batch[1])  # when the next one is asked for, this one's features are there
                if on_progress is not None:
                    on_progress("computing features", done, total)

        def of(part: ImageFiles) -> TensorDataset:
            loader = DataLoader(part, BATCH_SIZE, num_workers=workers, generator=Generator())
            return cached_features(self.model, counted(loader), compile=self.config.compile)

        return of(parts[0]), of(parts[1])


class HeadFirst(Callback):
    """Trains the head alone in the first epochs, and then what is to be trained; resumed or not."""

    def __init__(self, model: Module, epochs: int, train_all: Callable[[], object]):
        self.model, self.epochs, self.train_all = model, epochs, train_all

    def on_train_begin(self, trainer: Trainer) -> None:
        if trainer.epoch < self.epochs:
            freeze(self.model)
        else:
            self.train_all()

    def on_epoch_end(self, trainer: Trainer) -> None:
        if trainer.epoch == self.epochs:
            self.train_all()


def prepare(config: FinetuneConfig, data: ImageData, run: RunFolder | None = None) -> FineTuning:
    """Load the network, give it its head, freeze, make the optimizer, and look at all of it before anything is trained.

    Parameters
    ----------
    run : one to be continued. Its checkpoint has the weights, so those that it began with need not be there any more.

    Raises
    ------
    FinetuneError : weights that are not to be had, what the doctor calls an error, more images a step than there are, a size
        that the network does not take.
    CheckpointError : a file of weights that is damaged or does not fit.
    """
    if config.batch_size is not None and config.batch_size > len(data.train):
        raise FinetuneError(
            f"batch_size: {config.batch_size} images a step, but there are only {len(data.train)} to train with; choose "
            f"--batch-size {len(data.train)} or less"
        )
    mc.manual_seed(config.seed)
    resumed = run is not None and run.checkpoint.exists()
    if run is not None and resumed:
        model, preprocess, notes = _from_run(config, data, run)
    else:
        model, preprocess, notes = _with_weights(config, data.classes)
    if config.image_size is not None and not resumed:
        preprocess = _resized(preprocess, config.image_size)
    data.preprocess = data.test.transform = preprocess
    data.train.transform = augmentation(preprocess, config.flip) if config.augmented else preprocess
    _try_size(model, preprocess, config)
    trained = _unfreeze(model, config)
    if slow := quicken_batch_norms(model):
        notes.append(f"{slow} batch norms follow with momentum 0.1; their own is for trainings of many thousand steps")
    groups = parameter_groups(model, config.lr, config.decay)
    optimizer = build_optimizer(config, model, groups)
    member = None if config.from_nothing or is_path(config.weights) else _published(config)
    # As training will see it: frozen batch norms stay in evaluation mode.
    model.train()
    findings = diagnose(model, optimizer, member, preprocess, data.classes)
    errors = [finding.message for finding in findings if finding.severity == "error"]
    if errors:
        raise FinetuneError("; ".join(errors))
    return FineTuning(config, data, model, optimizer, trained, notes, findings)


def finetune(
    config: FinetuneConfig,
    out: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    callbacks: Iterable[Callback] = (),
    workers: int = 0,
    on_progress: OnProgress | None = None,
) -> Trainer:
    """Fine-tune as ``config`` says, and return the trainer: ``.model``, ``.history``, ``.last_evaluation``.

    Parameters
    ----------
    config : the run.
    out : a folder for the run's files (:mod:`minicnn.training.run_folder`); None keeps nothing.
    overwrite : whether a run that is in ``out`` may be replaced.
    callbacks : called before those that write the files.
    workers : threads that read images ahead; the results do not depend on it.
    on_progress : called with what is done, how many images are, and of how many, while images are looked at and features
        computed.

    The doctor's warnings are issued as warnings.

    Raises
    ------
    DatasetError, ImageReadError, FinetuneError, CheckpointError : as the steps do. RunFolderError : ``out``
    holds something. NonFiniteLossError : the loss became nan or infinite.
    """
    config = claim_threads(config)
    data = open_images(config, on_progress)
    tuning = prepare(config, data)
    for finding in tuning.findings:
        warnings.warn(finding.message, stacklevel=2)
    if out is None:
        trainer = tuning.trainer(callbacks, workers, on_progress)
        trainer.fit()
        return trainer
    run = RunFolder.create(out, overwrite=overwrite)
    with run.locked():
        trainer = tuning.trainer(callbacks, workers, on_progress)
        start_run(trainer, run, config, data)
        trainer.fit()
    return trainer


def _published(config: FinetuneConfig) -> Any:
    """The published weights that the configuration names.

    Raises
    ------
    FinetuneError : there are none of that name.
    """
    try:
        return cast(Any, get_model_weights(config.model)).verify(config.weights)
    except ValueError as error:
        raise FinetuneError(f"{error}; or give --weights FILE, or --weights none to train from nothing") from None


def _with_weights(config: FinetuneConfig, classes: Sequence[str]) -> tuple[Module, ImageClassification, list[str]]:
    """The model with the weights that the configuration names and a head for these classes; how its images are prepared."""
    if config.from_nothing:
        return bare(config.model, len(classes)), preprocessing(config.model), ["no weights to begin with"]
    facts: dict[str, str] = {}
    if is_path(config.weights):
        path = Path(config.weights)
        facts = read_metadata(path) if path.suffix == ".safetensors" else {}
        if facts.get("model", config.model) != config.model:
            raise CheckpointError(
                path, "metadata", f"says that it holds weights of {facts['model']}: --model {facts['model']}"
            )
        state, preprocess = load(path), preprocessing(config.model, facts)
        if not isinstance(state, dict):
            raise CheckpointError(path, "object", f"is a {type(state).__name__}, expected a state dict")
    else:
        member = _published(config)
        try:
            state = member.get_state_dict()
        except (ImportError, DownloadError) as error:  # some come in a package
            raise FinetuneError(str(error)) from None
        preprocess = member.transforms()
    with init.skipped():
        head = find_head(bare(config.model, 1)).name
    same = "classes" in facts and json.loads(facts["classes"]) == list(classes)
    notes = [f"weights {os.path.relpath(config.weights) if is_path(config.weights) else member.name}"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = restore(config.model, state, len(classes), skip=() if same else (head,))
        except RuntimeError as error:
            raise CheckpointError(
                config.weights,
                "tensors",
                f"do not fit the model {config.model!r}: {misfit(error)}; `minicnn inspect` says which model they fit",
            ) from None
    notes += [str(warning.message).removeprefix("load_state_dict: ") for warning in caught]
    if same:
        notes.append(f"its head {head} is of these {len(classes)} classes and stays")
    else:
        replace_head(model, len(classes))
        notes.append(f"a new head {head} for {len(classes)} classes in place of its own")
    return model, preprocess, notes


def _from_run(config: FinetuneConfig, data: ImageData, run: RunFolder) -> tuple[Module, ImageClassification, list[str]]:
    """The model as the run's checkpoint has it."""
    _, described = run.read_config()
    if described["classes"] != list(data.classes):
        raise CheckpointError(
            run.config,
            "classes",
            f"are not those of {config.data} any more: {', '.join(described['classes'])} then, {', '.join(data.classes)} "
            "now. Put the data back as they were, or begin a new run",
        )
    state = load_checkpoint(run.checkpoint)
    try:
        saved_name, tensors = state["config"]["model"], state["trainer"]["model"]
    except (LookupError, TypeError) as error:
        raise CheckpointError(run.checkpoint, "state", f"has no model ({type(error).__name__}: {error})") from None
    with init.skipped():
        model = bare(config.model, len(data.classes))
    load_into(model, config.model, saved_name, tensors, run.checkpoint)
    return model, ImageClassification(**described["preprocess"]), ["weights from the run's checkpoint"]


def _resized(preprocess: ImageClassification, size: int) -> ImageClassification:
    """The same for square images of another size, with the same part of the picture around them."""
    resize = preprocess.resize_size
    margin = (resize if isinstance(resize, int) else min(resize)) / min(preprocess.crop_size)
    return ImageClassification(**{**preprocess.settings, "crop_size": size, "resize_size": round(size * margin)})


def _try_size(model: Module, preprocess: ImageClassification, config: FinetuneConfig) -> None:
    """Whether the network takes images of this size: some have one that they were made for."""
    if config.image_size is None:
        return
    model.eval()
    try:
        with mc.no_grad():
            model(mc.zeros(1, 3, *preprocess.crop_size))
    except (ValueError, RuntimeError) as error:
        raise FinetuneError(
            f"image_size: {config.model} cannot take images of {config.image_size} x {config.image_size} ({error}); "
            "leave --image-size out for what it was trained with"
        ) from None


def _unfreeze(model: Module, config: FinetuneConfig) -> list[str]:
    """Freeze all that the configuration does not want trained; the names of the stages that are."""
    if config.unfreeze is None and config.from_nothing:
        unfreeze(model)
        return [name for name, _ in stages(model)]
    return train_top(model, config.unfreeze or 0)
