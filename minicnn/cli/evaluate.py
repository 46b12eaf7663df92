"""``minicnn evaluate``: how good a trained run is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import UserError
from .options import DataRootOption, RunArgument, SkipBadImagesOption, ThreadsOption
from .terminal import confusion_lines

if TYPE_CHECKING:
    from ..nn import Module
    from ..training import FinetuneConfig, RunFolder, TrainConfig


def evaluate(
    run: RunArgument,
    data: Annotated[
        str | None, typer.Option(help="Other data with the same classes; else the run's own.", metavar="NAME|FOLDER")
    ] = None,
    data_root: DataRootOption = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images at once; else 256 small ones, or 32 photographs.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N test images.", metavar="N")] = None,
    threads: ThreadsOption = None,
    skip_bad_images: SkipBadImagesOption = False,
) -> None:
    """Evaluate a run on its test images, or on those of other data."""
    import minicnn as mc

    from ..data import DataLoader
    from ..training import FinetuneConfig, RunFolder
    from ..training import evaluate as evaluate_model
    from ..training.recipe import claim_threads

    folder = RunFolder.open(run)
    config, described = folder.read_config()
    choices: dict[str, Any] = {"threads": threads}
    if skip_bad_images:
        choices["skip_bad_images"] = True
    config = claim_threads(dataclasses.replace(config, **choices))
    test: Any
    if isinstance(config, FinetuneConfig):
        if data_root is not None:
            raise typer.BadParameter(
                "--data-root is for named data; a fine-tuned run is judged by a folder, with --data"
            )
        model, test, name = _photographs(folder, config, described, data, limit)
    else:
        model, test, name = _small_images(folder, config, described, data, data_root, limit)
    if list(test.classes) != described["classes"]:
        raise UserError(
            f"{name} has other classes ({_some(test.classes)}) than {run} learnt ({_some(described['classes'])}): "
            "name data with the same classes with --data"
        )
    # Run as it was in training, so that the loss is the same to the last digit.
    network = mc.compile(model) if config.compile else model
    size = batch_size or (32 if isinstance(config, FinetuneConfig) else 256)
    result = evaluate_model(network, DataLoader(test, size))
    print(f"{run} ({config.model}) on the {len(test):,} test images of {name}")
    print("\n".join(confusion_lines(result.confusion, described["classes"])))
    right = int((result.predictions == result.labels).sum())
    print(f"\naccuracy {100 * result.accuracy:.2f} % ({right:,} of {len(result.labels):,}), loss {result.loss:.4f}")


def _small_images(
    run: RunFolder,
    config: TrainConfig,
    described: dict[str, Any],
    data: str | None,
    data_root: Path | None,
    limit: int | None,
) -> tuple[Module, Any, str]:
    """The model, the images to judge by, and what they are called."""
    from ..training.recipe import open_data

    changes: dict[str, Any] = {"limit_train": None}
    if data is not None:
        changes.update(data=data, data_root=None, limit_test=None)
    if data_root is not None:
        changes["data_root"] = str(data_root)
    if limit is not None:
        changes["limit_test"] = limit
    pair = open_data(dataclasses.replace(config, **changes), mean=described["mean"], std=described["std"])
    return trained_model(run, config, described), pair.test, pair.name


def _photographs(
    run: RunFolder, config: FinetuneConfig, described: dict[str, Any], data: str | None, limit: int | None
) -> tuple[Module, Any, str]:
    """The same for a run that was fine-tuned."""
    from ..data import ImageFiles
    from ..models.classifier import Classifier
    from ..training.image_data import open_test_images

    classifier = Classifier(config.model, run.require_weights(config.COMMAND))
    test, name = open_test_images(config, data)
    return classifier.model, ImageFiles(test.samples[:limit], test.classes, classifier.transforms), name


def trained_model(run: RunFolder, config: TrainConfig, described: dict[str, Any]) -> Module:
    """The trained model of a `minicnn train` run in evaluation mode."""
    from ..training.recipe import build_model

    model = build_model(config.model, described["classes"], described["mean"])
    run.load_weights(model, config.model)
    return model.eval()


def _some(names: Any) -> str:
    shown = ", ".join(map(str, list(names)[:5]))
    return f"{len(names)}: {shown}, ..." if len(names) > 5 else shown
