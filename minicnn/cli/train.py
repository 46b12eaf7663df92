"""``minicnn train``: a run from the command line, new or resumed."""

from __future__ import annotations

import dataclasses
import json
import math
import signal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import UserError, disk_full, lost_file
from .options import DataOption, DataRootOption, SkipBadImagesOption, ThreadsOption, model_name
from .terminal import confusion_lines, console, is_live

if TYPE_CHECKING:
    from ..data import DatasetPair
    from ..training import Evaluation, RunFolder, TrainConfig, Trainer


class OptimizerName(StrEnum):
    adam = "adam"
    adamw = "adamw"
    sgd = "sgd"


class ScheduleName(StrEnum):
    onecycle = "onecycle"
    cosine = "cosine"
    step = "step"
    none = "none"


_RECIPE, _FILES, _LIMITS = "Recipe", "Files", "Smaller runs"


def train(
    context: typer.Context,
    data: DataOption = "mnist10k",
    data_root: DataRootOption = None,
    model: Annotated[
        str, typer.Option(help="cnn (or mnist_cnn), lenet5 or mlp.", metavar="NAME", rich_help_panel=_RECIPE)
    ] = "cnn",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training set.", rich_help_panel=_RECIPE)] = 5,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a step.", rich_help_panel=_RECIPE)] = 64,
    lr: Annotated[
        float, typer.Option(help="Learning rate; with a schedule, its highest.", rich_help_panel=_RECIPE)
    ] = 3e-3,
    optimizer: Annotated[
        OptimizerName, typer.Option(help="What updates the weights.", rich_help_panel=_RECIPE)
    ] = OptimizerName.adam,
    momentum: Annotated[float, typer.Option(help="Of sgd.", rich_help_panel=_RECIPE)] = 0.9,
    weight_decay: Annotated[float, typer.Option(help="As in PyTorch.", rich_help_panel=_RECIPE)] = 0.0,
    schedule: Annotated[
        ScheduleName, typer.Option(help="How the learning rate changes, step by step.", rich_help_panel=_RECIPE)
    ] = ScheduleName.onecycle,
    augment: Annotated[
        bool, typer.Option("--augment", help="Shift and turn the training images a little.", rich_help_panel=_RECIPE)
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, help="Of weights, order, dropout, augmentation.", rich_help_panel=_RECIPE)
    ] = 0,
    compile: Annotated[
        bool, typer.Option(help="Run the model by fused plans, as mc.compile makes them.", rich_help_panel=_RECIPE)
    ] = True,
    threads: ThreadsOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the run; else runs/DATA-MODEL-N.", metavar="RUN", rich_help_panel=_FILES),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that is in --out.", rich_help_panel=_FILES)
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option(help="Continue this run, bit for bit.", metavar="RUN", rich_help_panel=_FILES),
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Write a checkpoint every N steps too, not only each epoch and each minute.",
            metavar="N",
            rich_help_panel=_FILES,
        ),
    ] = None,
    skip_bad_images: SkipBadImagesOption = False,
    limit_train: Annotated[
        int | None, typer.Option(min=1, help="Only the first N training images.", metavar="N", rich_help_panel=_LIMITS)
    ] = None,
    limit_test: Annotated[
        int | None, typer.Option(min=1, help="Only the first N test images.", metavar="N", rich_help_panel=_LIMITS)
    ] = None,
) -> None:
    """Train a network, and leave a run folder with its weights, metrics and pictures.

    Ctrl-C finishes the step, saves everything and prints the command that continues the run.
    """
    from ..data import DATASET_NAMES
    from ..training import RunFolder, TrainConfig
    from ..training.recipe import build_trainer, claim_threads, open_data, resume_run, start_run

    choices: dict[str, Any] = {
        "data": str(Path(data).resolve()) if data not in DATASET_NAMES and Path(data).is_dir() else data,
        "data_root": str(data_root.resolve()) if data_root else None,
        "model": model_name(model, "--model"),
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "optimizer": optimizer.value,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "schedule": schedule.value,
        "augment": augment,
        "seed": seed,
        "compile": compile,
        "threads": threads,
        "limit_train": limit_train,
        "limit_test": limit_test,
        "skip_bad_images": skip_bad_images,
    }
    given = {name for name in choices if _was_given(context, name)}
    if resume is not None:
        if out is not None or overwrite:
            raise typer.BadParameter("--resume continues a run in its own folder: leave out --out and --overwrite")
        run = RunFolder.open(resume)
        config = _same_config(run, {name: choices[name] for name in given})
    else:
        try:
            config = TrainConfig(**choices)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        run = None  # made when the data are there: a typing error in --data should leave no folder
    config = claim_threads(config)
    pair = open_data(config)
    trainer = build_trainer(config, pair)
    begin = resume_run
    if run is None:
        begin = start_run
        if out is not None:
            run = RunFolder.create(out, overwrite=overwrite)
        else:
            run = RunFolder.create_numbered("runs", f"{_short(pair.name)}-{config.model}")
    with run.locked():
        begin(trainer, run, config, pair, checkpoint_every)
        _announce(trainer, run, config, pair)
        if trainer.epoch == trainer.epochs:
            print(f"all {trainer.epochs} epochs are done already")
        stopped_by = _fit(trainer, run)
        if stopped_by is None:
            _finish(trainer, run, pair)
            return
    done = f"{trainer.epoch} of {trainer.epochs} epochs and {trainer.running.batches} steps of the next"
    print(f"stopped after {done}; everything is saved. Continue with:\n  minicnn train --resume {_quoted(run.path)}")
    raise typer.Exit(128 + stopped_by)


def _fit(trainer: Trainer, run: RunFolder) -> int | None:
    """Train with a display; the number of the signal that ended it, or None when it came to its end."""
    import sys

    from ..training import NonFiniteLossError, TrainingStopped
    from ..training.progress import LiveProgress, PlainProgress
    from .signals import stop_on_signals

    display = LiveProgress(console()) if is_live() else PlainProgress(sys.stdout)
    trainer.callbacks.insert(0, display)
    with stop_on_signals(trainer) as received:
        try:
            trainer.fit()
        except TrainingStopped:
            return received[0] if received else signal.SIGINT
        except NonFiniteLossError as error:
            raise UserError(
                f"training stopped: {error}. The last good checkpoint is {run.checkpoint}. A smaller --lr often helps"
            ) from None
        except OSError as error:
            if disk_full(error) is None:
                raise
            kept = "The checkpoint before it is whole: free" if run.checkpoint.exists() else "Free"
            raise UserError(
                f"the disk is full: {lost_file(error)} could not be written. {kept} some space, then continue with: "
                f"minicnn train --resume {_quoted(run.path)}"
            ) from None
        finally:
            if isinstance(display, LiveProgress):
                display.close()
    return None


def _announce(trainer: Trainer, run: RunFolder, config: TrainConfig, pair: DatasetPair) -> None:
    parameters = sum(p.numel() for p in trainer.model.parameters())
    if pair.skipped:
        names = ", ".join(path for path, _ in pair.skipped[:5]) + (", ..." if len(pair.skipped) > 5 else "")
        print(f"skipped {len(pair.skipped)} unreadable image{'s' if len(pair.skipped) > 1 else ''}: {names}")
    print(
        f"{pair.name}: {len(pair.train):,} training and {len(pair.test):,} test images, {len(pair.classes)} classes\n"
        f"{config.model}: {parameters:,} parameters; {config.optimizer}, schedule {config.schedule}, "
        f"learning rate {config.lr:g}, batches of {config.batch_size}, seed {config.seed}, "
        f"{config.threads} thread{'s' if config.threads != 1 else ''}{', compiled' if config.compile else ''}\n"
        f"run folder: {run.path}",
        flush=True,
    )


def _finish(trainer: Trainer, run: RunFolder, pair: DatasetPair) -> None:
    """The last evaluation in the terminal and in the folder, and the pictures."""
    # None where a resumed run had nothing left to do.
    result = trainer.last_evaluation or trainer.evaluate()
    classes = list(pair.classes)
    print("\n" + "\n".join(confusion_lines(result.confusion, classes)))
    right = int((result.predictions == result.labels).sum())
    print(
        f"\ntest accuracy {100 * result.accuracy:.2f} % ({right:,} of {len(result.labels):,}), loss {result.loss:.4f}"
    )
    _write_confusion(result, classes, run)
    files = [run.weights, run.checkpoint, run.metrics, run.config, run.confusion]
    files += _write_figures(trainer, result, run, pair)
    print(f"wrote {run.path}: {', '.join(file.name for file in files)}")


def _write_confusion(result: Evaluation, classes: list[str], run: RunFolder) -> None:
    from ..weights.atomic import atomic_write_text

    per_class = [None if math.isnan(share) else share for share in result.per_class.tolist()]
    contents = {
        "classes": classes,
        "accuracy": result.accuracy,
        "loss": result.loss,
        "per_class_accuracy": dict(zip(classes, per_class, strict=True)),
        "confusion": result.confusion.tolist(),
    }
    atomic_write_text(run.confusion, json.dumps(contents) + "\n")


def _write_figures(trainer: Trainer, result: Evaluation, run: RunFolder, pair: DatasetPair) -> list[Path]:
    import numpy as np

    from ..training import figures

    if not figures.available():
        print(f"no pictures of the curves and the mistakes: they need matplotlib ({figures.HOW_TO_INSTALL})")
        return []
    figures.save_curves(trainer.history, run.curves)
    wrong = np.flatnonzero(result.predictions != result.labels)
    if not wrong.size:
        return [run.curves]
    images, labels, predictions = pair.test.images[wrong], result.labels[wrong], result.predictions[wrong]
    figures.save_misclassified(images, labels, predictions, pair.classes, run.misclassified)
    return [run.curves, run.misclassified]


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


def _same_config(run: RunFolder, given: dict[str, Any]) -> TrainConfig:
    """The run's configuration. Options that would change it are refused: the run would not be the same any more."""
    config, _ = run.read_config()
    saved = config.to_dict()
    if "threads" in given:  # the one choice that may be necessary to change, on another machine
        if given["threads"] != saved["threads"]:
            print(f"this run began with {saved['threads']} threads: with another number it goes on, not bit for bit")
        config = dataclasses.replace(config, threads=given.pop("threads"))
    changed = [name for name, value in given.items() if value != saved[name]]
    if changed:
        what = ", ".join(_contrast(name, given[name], saved[name]) for name in changed)
        raise UserError(f"{run.path} cannot be resumed with {what}: leave this out, or begin a new run with --out")
    return config


def _contrast(name: str, given: Any, saved: Any) -> str:
    """An option as it was given, beside what the run has."""
    name = name.replace("_", "-")
    if isinstance(given, bool):
        return f"--{name} (the run is without)" if given else f"--no-{name} (the run is with it)"
    return f"--{name} {given} (the run has {saved})"


def _short(name: str) -> str:
    """A data set's name as a part of a folder's name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(name).name) or "data"


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
