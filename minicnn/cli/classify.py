"""``minicnn classify``: what is on pictures, by a network with published weights, those of a file, or a run's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .errors import UserError
from .options import ThreadsOption
from .running import quoted
from .terminal import warnings_as_notes


def classify(
    images: Annotated[list[Path], typer.Argument(help="Picture files.", metavar="IMAGE...")],
    model: Annotated[
        str | None,
        typer.Option(help="A ready-made model; else what the weights are of, or resnet18.", metavar="NAME"),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="DEFAULT or another published name, or a file.", metavar="NAME|FILE")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Folder that `minicnn finetune` made: its network and its classes.", metavar="RUN"),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes to show.", metavar="N")] = 5,
    threads: ThreadsOption = None,
) -> None:
    """Classify pictures: the likeliest classes with their probabilities.

    The classes are a run's own with --run, ImageNet's with ImageNet's weights.
    """
    import minicnn as mc

    from ..data import ImageReadError
    from ..models import list_models
    from ..models.classifier import Classifier
    from ..models.matching import unknown_model
    from ..models.published import is_path
    from ..weights import CheckpointError

    if run is not None:
        if model is not None or weights is not None:
            raise typer.BadParameter("--run names a network with its weights: leave out --model and --weights")
        model, weights = _of_run(run)
    if model is not None and model not in list_models():
        raise typer.BadParameter(unknown_model(model, list_models()))
    if threads is not None:
        mc.set_num_threads(threads)
    weights = weights or "DEFAULT"
    if model is None and not is_path(weights):
        model = "resnet18"
    with warnings_as_notes():
        try:
            classifier = Classifier(model, weights)
        except CheckpointError:
            raise
        except (ImportError, ValueError) as error:
            hint = f" (is it a run? --run {quoted(Path(weights))})" if Path(weights).is_dir() else ""
            raise UserError(f"{error}{hint}") from None
    unread = 0
    for path in images:
        try:
            found = classifier(path)
        except ImageReadError as error:  # the others may be pictures
            print(f"error: {error}", file=sys.stderr)
            unread += 1
            continue
        print(path)
        for name, probability in found[:top]:
            print(f"  {100 * probability:5.1f} %  {name}")
    if unread:
        raise typer.Exit(1)


def _of_run(path: Path) -> tuple[str, str]:
    """A run's model and the file of its weights."""
    from ..training import FinetuneConfig, RunFolder

    run = RunFolder.open(path)
    config, _ = run.read_config()
    if not isinstance(config, FinetuneConfig):
        raise UserError(f"{path} was trained on small grey images: minicnn predict {quoted(path)} IMAGE...")
    return config.model, str(run.require_weights(config.COMMAND))
