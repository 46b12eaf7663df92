"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

RECIPE, FILES = "Recipe", "Files"  # headings of the help


class OptimizerName(StrEnum):
    adam = "adam"
    adamw = "adamw"
    sgd = "sgd"


class ScheduleName(StrEnum):
    onecycle = "onecycle"
    cosine = "cosine"
    step = "step"
    none = "none"


DataOption = Annotated[
    str,
    typer.Option(
        help="mnist10k (comes with minicnn), mnist, fashion-mnist, kmnist, qmnist, emnist-SPLIT, cifar10, cifar100, or a "
        "folder of class-named folders of images.",
        metavar="NAME|FOLDER",
    ),
]
DataRootOption = Annotated[
    Path | None, typer.Option(help="Folder in which to look for the files of --data first.", metavar="FOLDER")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads; else all.", metavar="N")]
SkipBadImagesOption = Annotated[
    bool, typer.Option("--skip-bad-images", help="Leave unreadable images out instead of stopping.")
]
EpochsOption = Annotated[int, typer.Option(min=1, help="Passes over the training set.", rich_help_panel=RECIPE)]
OptimizerOption = Annotated[OptimizerName, typer.Option(help="What updates the weights.", rich_help_panel=RECIPE)]
MomentumOption = Annotated[float, typer.Option(help="Of sgd.", rich_help_panel=RECIPE)]
WeightDecayOption = Annotated[float, typer.Option(help="As in PyTorch.", rich_help_panel=RECIPE)]
ScheduleOption = Annotated[
    ScheduleName, typer.Option(help="How the learning rate changes, step by step.", rich_help_panel=RECIPE)
]
SeedOption = Annotated[
    int, typer.Option(min=0, help="Of weights, order, dropout, augmentation.", rich_help_panel=RECIPE)
]
CompileOption = Annotated[
    bool, typer.Option(help="Run the model by fused plans, as mc.compile makes them.", rich_help_panel=RECIPE)
]
OutOption = Annotated[
    Path | None,
    typer.Option(help="Folder for the run; else runs/DATA-MODEL-N.", metavar="RUN", rich_help_panel=FILES),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace the run that is in --out.", rich_help_panel=FILES)
]
ResumeOption = Annotated[
    Path | None, typer.Option(help="Continue this run, bit for bit.", metavar="RUN", rich_help_panel=FILES)
]
CheckpointEveryOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Write a checkpoint every N steps too, not only each epoch and each minute.",
        metavar="N",
        rich_help_panel=FILES,
    ),
]
RunArgument = Annotated[Path, typer.Argument(help="Folder that `minicnn train` or `finetune` made.", metavar="RUN")]


def model_name(name: str, option: str, more: tuple[str, ...] = ()) -> str:
    """A small model's full name; ``option`` is what the message calls it by, ``more`` are names that do as well.

    Raises
    ------
    typer.BadParameter : there is no such model.
    """
    from ..models import SMALL

    name = {"cnn": "mnist_cnn"}.get(name, name)
    if name not in SMALL and name not in more:
        raise typer.BadParameter(f"{option} {name}: there is cnn, {', '.join(sorted([*SMALL, *more]))}")
    return name
