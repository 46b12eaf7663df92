"""``minicnn train``: a run from the command line, new or resumed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import (
    RECIPE,
    CheckpointEveryOption,
    CompileOption,
    DataOption,
    DataRootOption,
    EpochsOption,
    MomentumOption,
    OptimizerName,
    OptimizerOption,
    OutOption,
    OverwriteOption,
    ResumeOption,
    ScheduleName,
    ScheduleOption,
    SeedOption,
    SkipBadImagesOption,
    ThreadsOption,
    WeightDecayOption,
    model_name,
)
from .running import chosen_config, new_run, recipe_line, skipped_line, train_to_the_end

if TYPE_CHECKING:
    from ..data import DatasetPair
    from ..training import RunFolder, TrainConfig, Trainer

_LIMITS = "Smaller runs"


def train(
    context: typer.Context,
    data: DataOption = "mnist10k",
    data_root: DataRootOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="cnn (or mnist_cnn), lenet5, mlp or resnet20; else cnn, and for CIFAR resnet20.",
            metavar="NAME",
            rich_help_panel=RECIPE,
        ),
    ] = None,
    epochs: EpochsOption = 5,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a step.", rich_help_panel=RECIPE)] = 64,
    lr: Annotated[
        float, typer.Option(help="Learning rate; with a schedule, its highest.", rich_help_panel=RECIPE)
    ] = 3e-3,
    optimizer: OptimizerOption = OptimizerName.adam,
    momentum: MomentumOption = 0.9,
    weight_decay: WeightDecayOption = 0.0,
    schedule: ScheduleOption = ScheduleName.onecycle,
    augment: Annotated[
        bool, typer.Option("--augment", help="Shift and turn the training images a little.", rich_help_panel=RECIPE)
    ] = False,
    seed: SeedOption = 0,
    compile: CompileOption = True,
    threads: ThreadsOption = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = None,
    checkpoint_every: CheckpointEveryOption = None,
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
    from ..data import DATASET_NAMES, dataset_name
    from ..training import TrainConfig
    from ..training.recipe import build_trainer, claim_threads, open_data, resume_run, start_run

    if data not in DATASET_NAMES:
        data = str(Path(data).resolve()) if Path(data).is_dir() else dataset_name(data) or data
    if model is None:
        model = "resnet20" if data in ("cifar10", "cifar100") else "cnn"
    choices: dict[str, Any] = {
        "data": data,
        "data_root": str(data_root.resolve()) if data_root else None,
        "model": model_name(model, "--model", ("resnet20",)),
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
    # No folder is made before the data are there: a typing error in --data should leave none.
    run, config = chosen_config(context, TrainConfig, choices, out, overwrite, resume)
    config = claim_threads(config)
    pair = open_data(config)
    trainer = build_trainer(config, pair)
    begin = resume_run
    if run is None:
        begin = start_run
        run = new_run(out, overwrite, pair.name, config.model)
    with run.locked():
        begin(trainer, run, config, pair, checkpoint_every)
        _announce(trainer, run, config, pair)
        train_to_the_end(trainer, run, config.COMMAND, pair.classes, lambda places: pair.test.images[places])


def _announce(trainer: Trainer, run: RunFolder, config: TrainConfig, pair: DatasetPair) -> None:
    parameters = sum(p.numel() for p in trainer.model.parameters())
    print(
        f"{skipped_line(pair.skipped)}{pair.name}: {len(pair.train):,} training and {len(pair.test):,} test images, "
        f"{len(pair.classes)} classes\n"
        f"{config.model}: {parameters:,} parameters; {recipe_line(config, config.batch_size)}\n"
        f"run folder: {run.path}",
        flush=True,
    )
