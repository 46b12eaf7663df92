"""What the commands that train share: resuming, the display, Ctrl-C, and the files and the summary at the end."""

from __future__ import annotations

import dataclasses
import json
import math
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from .errors import UserError, disk_full, lost_file
from .terminal import confusion_lines, console, is_live, warnings_as_notes

if TYPE_CHECKING:
    import numpy as np

    from ..training import Evaluation, RunFolder, Trainer
    from ..training.config import RunConfig

Config = TypeVar("Config", bound="RunConfig")
Pictures = Callable[["np.ndarray"], "np.ndarray | Sequence[np.ndarray]"]


def new_run(out: Path | None, overwrite: bool, data: str, model: str) -> RunFolder:
    """The folder that ``--out`` names, or a numbered one."""
    from ..training import RunFolder

    if out is not None:
        return RunFolder.create(out, overwrite=overwrite)
    return RunFolder.create_numbered("runs", f"{_short(data)}-{model}")


def chosen_config(
    context: typer.Context,
    kind: type[Config],
    choices: dict[str, Any],
    out: Path | None,
    overwrite: bool,
    resume: Path | None,
) -> tuple[RunFolder | None, Config]:
    """The run to be continued and its configuration; or no run yet, and a new configuration of ``choices``."""
    from ..training import RunFolder

    if resume is None:
        try:
            return None, kind(**choices)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    if out is not None or overwrite:
        raise typer.BadParameter("--resume continues a run in its own folder: leave out --out and --overwrite")
    run = RunFolder.open(resume)
    return run, same_config(run, kind, {name: value for name, value in choices.items() if was_given(context, name)})


def was_given(context: typer.Context, name: str) -> bool:
    """Whether an option was on the command line, rather than left to its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


def same_config(run: RunFolder, kind: type[Config], given: dict[str, Any]) -> Config:
    """The run's configuration. Options that would change it are refused: the run would not be the same any more."""
    config, _ = run.read_config()
    if not isinstance(config, kind):
        raise UserError(
            f"{run.path} was made by `minicnn {config.COMMAND}`: minicnn {config.COMMAND} --resume {quoted(run.path)}"
        )
    saved = config.to_dict()
    if "threads" in given:  # the one choice that may be necessary to change, on another machine
        if given["threads"] != saved["threads"]:
            print(f"this run began with {saved['threads']} threads: with another number it goes on, not bit for bit")
        config = dataclasses.replace(config, threads=given.pop("threads"))
    changed = [name for name, value in given.items() if value != saved[name]]
    if changed:
        what = ", ".join(_contrast(name, given[name], saved[name]) for name in changed)
        raise UserError(f"{run.path} cannot be resumed with {what}: leave this out, or begin a new run with --out")
    return config


def _contrast(name: str, given: Any, saved: Any) -> str:
    """An option as it was given, beside what the run has."""
    name = name.replace("_", "-")
    if isinstance(given, bool):
        return f"--{name} (the run is without)" if given else f"--no-{name} (the run is with it)"
    return f"--{name} {given} (the run has {saved})"


def skipped_line(skipped: Sequence[tuple[str, str]]) -> str:
    """How many images were left out, and the first of them, as a line; nothing where there are none."""
    if not skipped:
        return ""
    names = ", ".join(path for path, _ in skipped[:5]) + (", ..." if len(skipped) > 5 else "")
    return f"skipped {len(skipped)} unreadable image{'s' if len(skipped) > 1 else ''}: {names}\n"


def recipe_line(config: RunConfig, batch_size: int) -> str:
    """The choices of both kinds of runs."""
    return (
        f"{config.optimizer}, schedule {config.schedule}, learning rate {config.lr:g}, batches of {batch_size}, seed "
        f"{config.seed}, {config.threads} thread{'s' if config.threads != 1 else ''}{', compiled' if config.compile else ''}"
    )


def train_to_the_end(
    trainer: Trainer, run: RunFolder, command: str, classes: Sequence[str], pictures: Pictures, held_out: str = "test"
) -> None:
    """Train with a display, then evaluate, draw and say where everything is. Stopped by a signal, say how to go on.

    Parameters
    ----------
    command : of ``minicnn``, which made the run.
    pictures : the images at some places of the set to judge by, (h, w) or (h, w, 3) each.
    held_out : what that set is called.
    """
    if trainer.epoch == trainer.epochs:
        print(f"all {trainer.epochs} epochs are done already")
    stopped_by = _fit(trainer, run, command, held_out)
    if stopped_by is None:
        _finish(trainer, run, list(classes), pictures, held_out)
        return
    done = f"{trainer.epoch} of {trainer.epochs} epochs and {trainer.running.batches} steps of the next"
    print(f"stopped after {done}; everything is saved. Continue with:\n  {how_to_resume(command, run)}")
    raise typer.Exit(128 + stopped_by)


def how_to_resume(command: str, run: RunFolder) -> str:
    """The command that continues a run."""
    return f"minicnn {command} --resume {quoted(run.path)}"


def _fit(trainer: Trainer, run: RunFolder, command: str, held_out: str) -> int | None:
    """Train with a display; the number of the signal that ended it, or None when it came to its end."""
    import sys

    from ..training import NonFiniteLossError, TrainingStopped
    from ..training.progress import LiveProgress, PlainProgress
    from .signals import stop_on_signals

    display = LiveProgress(console(), held_out) if is_live() else PlainProgress(sys.stdout, held_out=held_out)
    trainer.callbacks.insert(0, display)
    with stop_on_signals(trainer) as received, warnings_as_notes():
        try:
            trainer.fit()
        except TrainingStopped:
            return received[0] if received else signal.SIGINT
        except NonFiniteLossError as error:
            raise UserError(
                f"training stopped: {error}. The last good checkpoint is {run.checkpoint}. A smaller --lr often helps"
            ) from None
        except OSError as error:
            if disk_full(error) is None:
                raise
            kept = "The checkpoint before it is whole: free" if run.checkpoint.exists() else "Free"
            raise UserError(
                f"the disk is full: {lost_file(error)} could not be written. {kept} some space, then continue with: "
                f"{how_to_resume(command, run)}"
            ) from None
        finally:
            if isinstance(display, LiveProgress):
                display.close()
    return None


def _finish(trainer: Trainer, run: RunFolder, classes: list[str], pictures: Pictures, held_out: str) -> None:
    """The last evaluation in the terminal and in the folder, and the pictures."""
    # None where a resumed run had nothing left to do.
    result = trainer.last_evaluation or trainer.evaluate()
    print("\n" + "\n".join(confusion_lines(result.confusion, classes)))
    right = int((result.predictions == result.labels).sum())
    print(
        f"\n{held_out} accuracy {100 * result.accuracy:.2f} % ({right:,} of {len(result.labels):,}), "
        f"loss {result.loss:.4f}"
    )
    _write_confusion(result, classes, run)
    files = [run.weights, run.checkpoint, run.metrics, run.config, run.confusion]
    files += _write_figures(trainer, result, run, classes, pictures, held_out)
    print(f"wrote {run.path}: {', '.join(file.name for file in files)}")


def _write_confusion(result: Evaluation, classes: list[str], run: RunFolder) -> None:
    from ..weights.atomic import atomic_write_text

    per_class = [None if math.isnan(share) else share for share in result.per_class.tolist()]
    contents = {
        "classes": classes,
        "accuracy": result.accuracy,
        "loss": result.loss,
        "per_class_accuracy": dict(zip(classes, per_class, strict=True)),
        "confusion": result.confusion.tolist(),
    }
    atomic_write_text(run.confusion, json.dumps(contents) + "\n")


def _write_figures(
    trainer: Trainer, result: Evaluation, run: RunFolder, classes: list[str], pictures: Pictures, held_out: str
) -> list[Path]:
    import numpy as np

    from ..training import figures

    if not figures.available():
        print(f"no pictures of the curves and the mistakes: they need matplotlib ({figures.HOW_TO_INSTALL})")
        return []
    figures.save_curves(trainer.history, run.curves, held_out)
    wrong = np.flatnonzero(result.predictions != result.labels)[: figures.MOST]
    if not wrong.size:
        return [run.curves]
    figures.save_misclassified(
        pictures(wrong), result.labels[wrong], result.predictions[wrong], classes, run.misclassified
    )
    return [run.curves, run.misclassified]


def _short(name: str) -> str:
    """A data set's name as a part of a folder's name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(name).name) or "data"


def quoted(path: Path) -> str:
    """A path as a shell takes it."""
    import shlex

    return shlex.quote(str(path))
