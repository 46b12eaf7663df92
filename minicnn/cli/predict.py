"""``minicnn predict``: what a trained run sees in pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import UserError
from .evaluate import trained_model
from .options import RunArgument, ThreadsOption
from .running import quoted
from .terminal import print_picture

if TYPE_CHECKING:
    import numpy as np

    from ..nn import Module


def predict(
    run: RunArgument,
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG or other picture files.", metavar="IMAGE...")],
    threads: ThreadsOption = None,
) -> None:
    """Name the three likeliest classes of each picture, and show what the network saw.

    For a run on MNIST, QMNIST or EMNIST a picture becomes a digit as MNIST has them: inverted when its background is
    bright, cropped to the ink, scaled and centred. For other runs it becomes grey and 28 x 28, for CIFAR 32 x 32 in colour.
    """
    from ..training import FinetuneConfig, RunFolder
    from ..training.digit_image import prepare_picture

    if threads is not None:
        import minicnn as mc

        mc.set_num_threads(threads)
    folder = RunFolder.open(run)
    config, described = folder.read_config()
    if isinstance(config, FinetuneConfig):
        raise UserError(f"{run} was fine-tuned on photographs: minicnn classify IMAGE... --run {quoted(run)}")
    model = trained_model(folder, config, described)
    for path in images:
        seen = prepare_picture(path, described["name"])
        print(path)
        print_picture(seen)
        for name, probability in top(model, seen, described):
            print(f"  {name:<12} {100 * probability:6.2f} %")


def top(model: Module, seen: np.ndarray, described: dict[str, Any], count: int = 3) -> list[tuple[str, float]]:
    """The likeliest classes of an image (h, w) or (h, w, c) from 0 to 1, with their probabilities, the likeliest first."""
    import numpy as np

    import minicnn as mc

    normalised = (seen - np.asarray(described["mean"])) / np.asarray(described["std"])
    planes = normalised[None] if seen.ndim == 2 else np.moveaxis(normalised, 2, 0)
    x = mc.tensor(planes[None], dtype=mc.float32)  # (c, h, w) -> (1, c, h, w)
    with mc.no_grad():
        probabilities = mc.nn.functional.softmax(model(x), dim=1).numpy()[0]
    order = probabilities.argsort(kind="stable")[::-1][:count]
    return [(described["classes"][i], float(probabilities[i])) for i in order]
