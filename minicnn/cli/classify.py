"""``minicnn classify``: what is on pictures, by a network with published or own weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import UserError
from .options import ThreadsOption


def classify(
    images: Annotated[list[Path], typer.Argument(help="Picture files.", metavar="IMAGE...")],
    model: Annotated[str, typer.Option(help="A ready-made model.", metavar="NAME")] = "resnet18",
    weights: Annotated[
        str, typer.Option(help="DEFAULT or another published name, or a file.", metavar="NAME|FILE")
    ] = "DEFAULT",
    top: Annotated[int, typer.Option(min=1, help="How many classes to show.", metavar="N")] = 5,
    threads: ThreadsOption = None,
) -> None:
    """Classify pictures: the likeliest classes with their probabilities, ImageNet's names for ImageNet's weights."""
    import minicnn as mc

    from ..models import list_models
    from ..models.classifier import Classifier

    if model not in list_models():
        raise typer.BadParameter(f"--model {model}: there is {', '.join(list_models())}")
    if threads is not None:
        mc.set_num_threads(threads)
    try:
        classifier = Classifier(model, weights)
    except ImportError as error:
        raise UserError(str(error)) from None
    for path in images:
        print(path)
        for name, probability in classifier(path)[:top]:
            print(f"  {100 * probability:5.1f} %  {name}")
