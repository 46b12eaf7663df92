"""``minicnn evaluate``: how good a trained run is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import UserError
from .options import DataRootOption, RunArgument, SkipBadImagesOption, ThreadsOption
from .terminal import confusion_lines

if TYPE_CHECKING:
    from ..nn import Module
    from ..training import TrainConfig


def evaluate(
    run: RunArgument,
    data: Annotated[
        str | None, typer.Option(help="Other data with the same classes; else the run's own.", metavar="NAME|FOLDER")
    ] = None,
    data_root: DataRootOption = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at once.")] = 256,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N test images.", metavar="N")] = None,
    threads: ThreadsOption = None,
    skip_bad_images: SkipBadImagesOption = False,
) -> None:
    """Evaluate a run on its test images, or on those of other data."""
    import dataclasses

    import minicnn as mc

    from ..data import DataLoader
    from ..training import evaluate as evaluate_model
    from ..training.recipe import claim_threads, open_data

    model, config, described = load_run(run)
    changes: dict[str, Any] = {"threads": threads, "limit_train": None}
    if data is not None:
        changes.update(data=data, data_root=None, limit_test=None)
    if data_root is not None:
        changes["data_root"] = str(data_root)
    if limit is not None:
        changes["limit_test"] = limit
    if skip_bad_images:
        changes["skip_bad_images"] = True
    pair = open_data(
        claim_threads(dataclasses.replace(config, **changes)), mean=described["mean"], std=described["std"]
    )
    if list(pair.classes) != described["classes"]:
        raise UserError(
            f"{pair.name} has other classes ({_some(pair.classes)}) than {run} learnt ({_some(described['classes'])}): "
            "name data with the same classes with --data"
        )
    # Run as it was in training, so that the loss is the same to the last digit.
    network = mc.compile(model) if config.compile else model
    result = evaluate_model(network, DataLoader(pair.test, batch_size))
    print(f"{run} ({config.model}) on the {len(pair.test):,} test images of {pair.name}")
    print("\n".join(confusion_lines(result.confusion, described["classes"])))
    right = int((result.predictions == result.labels).sum())
    print(f"\naccuracy {100 * result.accuracy:.2f} % ({right:,} of {len(result.labels):,}), loss {result.loss:.4f}")


def load_run(path: Path) -> tuple[Module, TrainConfig, dict[str, Any]]:
    """A run's trained model in evaluation mode, its configuration, and what it says of its data."""
    from ..models import get_model
    from ..training import RunFolder

    run = RunFolder.open(path)
    config, described = run.read_config()
    model = get_model(config.model, num_classes=len(described["classes"]))
    run.load_weights(model, config.model)
    model.eval()
    return model, config, described


def _some(names: Any) -> str:
    shown = ", ".join(map(str, list(names)[:5]))
    return f"{len(names)}: {shown}, ..." if len(names) > 5 else shown
