"""``minicnn finetune``: a trained network for images of one's own, new or resumed."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import (
    RECIPE,
    CheckpointEveryOption,
    CompileOption,
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
)
from .running import (
    chosen_config,
    how_to_resume,
    new_run,
    quoted,
    recipe_line,
    skipped_line,
    train_to_the_end,
)
from .terminal import console, is_live

if TYPE_CHECKING:
    from ..training import RunFolder, Trainer
    from ..training.finetuning import FineTuning
    from ..training.progress import Counting

_IMAGES, _NETWORK = "Images", "Network"


def finetune(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of class-named folders of images; or with these in train/, and in val/ or test/.",
            metavar="IMAGE_FOLDER",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="A ready-made model for photographs.", metavar="NAME", rich_help_panel=_NETWORK)
    ] = "resnet18",
    weights: Annotated[
        str,
        typer.Option(
            help="DEFAULT or another published name; a file; or none, to train from nothing.",
            metavar="NAME|FILE",
            rich_help_panel=_NETWORK,
        ),
    ] = "DEFAULT",
    unfreeze: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Train so many stages below the head too; else the head alone (all without weights).",
            metavar="N",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    head_epochs: Annotated[
        int,
        typer.Option(min=0, help="Train the head alone in the first N epochs.", metavar="N", rich_help_panel=_NETWORK),
    ] = 0,
    validation: Annotated[
        Path | None,
        typer.Option(help="Another such folder to judge by.", metavar="FOLDER", rich_help_panel=_IMAGES),
    ] = None,
    val_split: Annotated[
        float | None,
        typer.Option(
            help="Set this part of each class aside to judge by; else a fifth, where there is no other folder.",
            metavar="PART",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Side of the images; else as the weights want it.", metavar="N", rich_help_panel=_IMAGES
        ),
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option(
            "--augment/--no-augment",
            help="Crop and flip the training images at random; else where more than the head is trained.",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    flip: Annotated[
        bool, typer.Option(help="Whether left and right may change places (not for text).", rich_help_panel=_IMAGES)
    ] = True,
    skip_bad_images: SkipBadImagesOption = False,
    epochs: EpochsOption = 10,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images a step; else 32.", metavar="N", rich_help_panel=RECIPE)
    ] = None,
    lr: Annotated[
        float, typer.Option(help="The head's learning rate; with a schedule, its highest.", rich_help_panel=RECIPE)
    ] = 1e-3,
    layer_decay: Annotated[
        float | None,
        typer.Option(
            help="Factor from a stage's learning rate to that of the one below; else 0.7.",
            metavar="FACTOR",
            rich_help_panel=RECIPE,
        ),
    ] = None,
    optimizer: OptimizerOption = OptimizerName.adamw,
    momentum: MomentumOption = 0.9,
    weight_decay: WeightDecayOption = 0.01,
    schedule: ScheduleOption = ScheduleName.onecycle,
    label_smoothing: Annotated[
        float, typer.Option(help="How much of a label goes to all classes alike.", rich_help_panel=RECIPE)
    ] = 0.0,
    seed: SeedOption = 0,
    compile: CompileOption = True,
    threads: ThreadsOption = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Threads that read images ahead; else one a CPU, at most 4.", metavar="N"),
    ] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = None,
    checkpoint_every: CheckpointEveryOption = None,
) -> None:
    """Fine-tune a trained network on images of your own, and leave a run folder as `minicnn train` does.

    The network gets a new head for the folder's classes. While the head alone is trained, the rest of the network runs once
    over the images, and the epochs take seconds. Ctrl-C finishes the step, saves everything and prints the command that
    continues the run. `minicnn classify IMAGE... --run RUN` then says what is on new pictures.
    """
    from .. import __version__
    from ..models.published import is_path
    from ..training import FinetuneConfig
    from ..training.finetuning import prepare
    from ..training.image_data import open_images
    from ..training.progress import Counting
    from ..training.recipe import claim_threads, resume_run, start_run

    if data is None and resume is None:
        raise typer.BadParameter("IMAGE_FOLDER is missing: a folder of class-named folders of images")
    if weights.lower() == "none":
        weights = "none"
    choices: dict[str, Any] = {
        "data": str(data.resolve()) if data is not None else None,
        "validation": str(validation.resolve()) if validation is not None else None,
        "val_split": val_split,
        "model": model,
        "weights": os.path.abspath(weights) if is_path(weights) else weights,
        "unfreeze": unfreeze,
        "epochs": epochs,
        "head_epochs": head_epochs,
        "batch_size": batch_size,
        "lr": lr,
        "layer_decay": layer_decay,
        "optimizer": optimizer.value,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "schedule": schedule.value,
        "label_smoothing": label_smoothing,
        "image_size": image_size,
        "augment": augment,
        "flip": flip,
        "seed": seed,
        "compile": compile,
        "threads": threads,
        "skip_bad_images": skip_bad_images,
    }
    run, config = chosen_config(context, FinetuneConfig, choices, out, overwrite, resume)
    config = claim_threads(config)
    workers = min(4, os.cpu_count() or 1) if workers is None else workers
    counting = Counting(sys.stdout, console() if is_live() else None)
    try:
        images = open_images(config, counting)
        tuning = prepare(config, images, run)
        begin = start_run if run is None else resume_run
        run = new_run(out, overwrite, images.name, config.model) if run is None else run
        with run.locked():
            if begin is start_run:
                run.write_config(config, images.describe(), __version__)  # so that it can be resumed from here on
            _announce(tuning, run)
            trainer = _trainer(tuning, run, workers, counting)
            begin(trainer, run, config, images, checkpoint_every)
            train_to_the_end(trainer, run, config.COMMAND, images.classes, images.pictures, "val")
    finally:
        counting.close()
    where = quoted(run.path)
    print(f"Classify new pictures, or judge the run again, with:\n  minicnn classify IMAGE... --run {where}")
    print(f"  minicnn evaluate {where}")


def _trainer(tuning: FineTuning, run: RunFolder, workers: int, counting: Counting) -> Trainer:
    """The trainer; computing the features may take a while, and be interrupted."""
    try:
        return tuning.trainer(workers=workers, on_progress=counting)
    except KeyboardInterrupt:
        counting.close()
        print(f"stopped before the first step. Begin again with:\n  {how_to_resume(tuning.config.COMMAND, run)}")
        raise typer.Exit(128 + signal.SIGINT) from None


def _announce(tuning: FineTuning, run: RunFolder) -> None:
    """What will be trained, on what, and how."""
    config, data = tuning.config, tuning.data
    parameters = list(tuning.model.parameters())
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    frozen = tuning.frozen
    print(
        f"{skipped_line(data.skipped)}{data.name}: {len(data.train):,} training and {len(data.test):,} validation images, "
        f"{len(data.classes)} classes ({data.source})\n"
        f"{config.model}: {'; '.join(tuning.notes)}\n"
        f"trained: {_some(tuning.trained)}, {trained:,} of {sum(p.numel() for p in parameters):,} parameters"
        f"{f'; frozen: {_some(frozen)}' if frozen else ''}"
    )
    if config.head_epochs and not config.head_only:
        print(f"the head alone in the first {config.head_epochs} of {config.epochs} epochs")
    height, width = tuning.preprocess.crop_size
    how = "cropped and flipped at random" if config.flip else "cropped at random"
    if tuning.caches_features:
        how = "not augmented: the frozen part runs once over them, and the epochs train the head alone"
    elif not config.augmented:
        how = "not augmented"
    print(f"images of {height} x {width}, {how}")
    print(recipe_line(config, tuning.batch_size))
    for finding in tuning.findings:
        print(finding)
    print(f"run folder: {run.path}", flush=True)


def _some(names: list[str]) -> str:
    """Names, the middle ones left out where there are many."""
    return ", ".join(names if len(names) <= 6 else [*names[:2], "...", *names[-2:]])
