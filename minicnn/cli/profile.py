"""``minicnn profile``: where a model's time goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .errors import UserError
from .options import ThreadsOption
from .user_model import described, load_model

if TYPE_CHECKING:
    from ..autograd import Tensor
    from ..nn import Module


def profile(
    model: Annotated[
        str,
        typer.Argument(
            help="cnn (or mnist_cnn), lenet5, mlp; or your own: module:attribute or path/to/file.py:attribute, where a "
            "model is, or a class or function that makes one.",
            metavar="MODEL",
        ),
    ],
    input_shape: Annotated[str, typer.Option(help="Of one input.", metavar="C,H,W")] = "1,28,28",
    batch_size: Annotated[int, typer.Option(min=1, help="Inputs at once.")] = 64,
    threads: ThreadsOption = None,
    training: Annotated[
        bool, typer.Option("--train/--eval", help="Forward and backward, or forward as in evaluation.")
    ] = True,
    compile: Annotated[bool, typer.Option("--compile", help="The operations of mc.compile's plan.")] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Medians of so many passes.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")] = False,
) -> None:
    """Measure a model layer by layer: time, arithmetic, memory traffic, and how near it is to this machine's peak."""
    import minicnn as mc

    from ..profiler import ProfileError
    from ..profiler import profile as measure

    shape = _shape(input_shape)
    network = _model(model)
    if threads is not None:
        mc.set_num_threads(threads)
    network.train(training)
    x = mc.randn(batch_size, *shape, generator=mc.Generator().manual_seed(0))
    _try(network, x)
    try:
        result = measure(mc.compile(network) if compile else network, x, repeats=repeats)
    except ProfileError as error:
        raise UserError(str(error).replace("without compiling it", "without --compile")) from None
    print(result.to_json() if as_json else result)


def _model(name: str) -> Module:
    from ..models import get_model, list_models

    known = {"cnn": "mnist_cnn"}.get(name, name)
    if known in list_models():
        return get_model(known)
    if ":" not in name:
        raise UserError(
            f"MODEL {name}: there is cnn, {', '.join(list_models())}; your own is named module:attribute or "
            "path/to/file.py:attribute"
        )
    return load_model(name)


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(part) for part in text.replace("x", ",").split(","))
        if min(shape) < 1:
            raise ValueError
    except ValueError:
        raise typer.BadParameter(f"--input-shape {text}: expected positive numbers such as 1,28,28") from None
    return shape


def _try(network: Module, x: Tensor) -> None:
    """One pass, so that a shape that does not fit is said in a line."""
    from ..profiler.measure import unchanged

    try:
        with unchanged(network):
            network(x)
    except Exception as error:
        raise UserError(
            f"the model does not take inputs of shape {tuple(x.shape)}: {described(error)}. --input-shape gives the shape "
            "of one input, --batch-size their number"
        ) from None
