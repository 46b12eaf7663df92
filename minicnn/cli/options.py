"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataOption = Annotated[
    str,
    typer.Option(
        help="mnist10k (comes with minicnn), mnist, fashion-mnist, kmnist, or a folder of class-named folders of images.",
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
RunArgument = Annotated[Path, typer.Argument(help="Folder that `minicnn train` made.", metavar="RUN")]


def model_name(name: str, option: str) -> str:
    """A ready-made model's full name; ``option`` is what the message calls it by.

    Raises
    ------
    typer.BadParameter : there is no such model.
    """
    from ..models import SMALL

    name = {"cnn": "mnist_cnn"}.get(name, name)
    if name not in SMALL:
        raise typer.BadParameter(f"{option} {name}: there is cnn, {', '.join(sorted(SMALL))}")
    return name
