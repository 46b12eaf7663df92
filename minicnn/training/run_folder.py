"""The folder of a run: which files it holds, and how one is made without harming another.

======================  =================================================================================
config.json             the configuration, the data's classes and normalisation, the version
checkpoint.safetensors  all that a bit-exact resume needs (:mod:`minicnn.training.checkpoint`)
weights.safetensors     the model's state dict, which PyTorch reads too
metrics.jsonl           a line of JSON an epoch
confusion.json          the confusion matrix and the accuracy of each class, at the end
curves.png              loss and accuracy over the epochs
misclassified.png       test images that the model got wrong
======================  =================================================================================
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.transforms import ImageClassification
from ..nn import Module
from ..weights import CheckpointError, load_state_dict_file, read_metadata
from ..weights.atomic import atomic_write_text
from .config import CONFIGS, FinetuneConfig, RunConfig, TrainConfig


class RunFolderError(ValueError):
    """A run folder that cannot be made or used; the message says what to do."""


@dataclass(frozen=True)
class RunFolder:
    """The paths of a run. Make one with :meth:`create`, find one with :meth:`open`."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def weights(self) -> Path:
        return self.path / "weights.safetensors"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def confusion(self) -> Path:
        return self.path / "confusion.json"

    @property
    def curves(self) -> Path:
        return self.path / "curves.png"

    @property
    def misclassified(self) -> Path:
        return self.path / "misclassified.png"

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, overwrite: bool = False) -> RunFolder:
        """Make a folder for a new run; one that exists must be empty, or a run that ``overwrite`` allows to replace.

        Only the files of a run are removed, nothing else that lies there.

        Raises
        ------
        RunFolderError : the folder holds a run (without ``overwrite``, or one that is being trained), or something else.
        """
        run = cls(Path(path))
        if run.path.is_file():
            raise RunFolderError(f"{run.path} is a file; name a folder for the run with --out")
        if run.path.is_dir() and any(run.path.iterdir()):
            if not run.config.exists():
                raise RunFolderError(
                    f"{run.path} exists and is not a run of minicnn: nothing there was touched. "
                    "Name another folder with --out"
                )
            if not overwrite:
                raise RunFolderError(
                    f"{run.path} already holds a run: continue it with --resume {run.path}, replace it with "
                    "--overwrite, or name another folder with --out"
                )
            with run.locked():
                for file in (run.checkpoint, run.weights, run.metrics, run.confusion, run.curves, run.misclassified):
                    file.unlink(missing_ok=True)
                run.config.unlink()
        run.path.mkdir(parents=True, exist_ok=True)
        return run

    @classmethod
    def create_numbered(cls, parent: str | os.PathLike[str], prefix: str) -> RunFolder:
        """Make ``parent/prefix-N`` with the smallest N that is free."""
        parent = Path(parent)
        if not parent.is_dir():
            parent.mkdir(parents=True)
        number = 1
        while True:
            path = parent / f"{prefix}-{number}"
            try:
                path.mkdir()  # fails if another process was quicker
                return cls(path)
            except FileExistsError:
                number += 1

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """The run in an existing folder.

        Raises
        ------
        RunFolderError : no such folder, or no run in it.
        """
        run = cls(Path(path))
        if not run.path.is_dir():
            raise RunFolderError(
                f"{run.path} is not a folder: expected one that `minicnn train` or `minicnn finetune` made"
            )
        if not run.config.exists():
            raise RunFolderError(
                f"{run.path} holds no config.json: expected a folder that `minicnn train` or `minicnn finetune` made"
            )
        return run

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Within the block no other process may train here: two would write into each other's files.

        The operating system ends the lock with the process, however that ends. Windows, and file systems that know no
        locks, have none.

        Raises
        ------
        RunFolderError : another process has the lock.
        """
        try:
            import fcntl
        except ImportError:
            yield
            return
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunFolderError(
                    f"{self.path} is in use: another process trains there. Wait until it ends, or name another folder "
                    "with --out"
                ) from None
            except OSError:
                pass  # no locks on this file system
            yield
        finally:
            os.close(descriptor)

    def write_config(self, config: RunConfig, data: dict[str, Any], version: str) -> None:
        """Write ``config.json``. ``data``: what :meth:`read_config` gives back of the data."""
        contents = {"minicnn": version, "command": config.COMMAND, "config": config.to_dict(), "data": data}
        atomic_write_text(self.config, json.dumps(contents, indent=2) + "\n")

    def read_config(self) -> tuple[TrainConfig | FinetuneConfig, dict[str, Any]]:
        """The configuration, and of the data the name, the classes, and how images are prepared: ``mean`` and ``std`` of a
        ``TrainConfig``'s, the settings of ``ImageClassification`` as ``preprocess`` of a ``FinetuneConfig``'s.

        Raises
        ------
        CheckpointError : a ``config.json`` that is damaged.
        """
        try:
            contents = json.loads(self.config.read_text(encoding="utf-8"))
            kind = CONFIGS[contents.get("command", "train")]
            data = contents["data"]
            if not isinstance(data["classes"], list) or not data["classes"]:
                raise ValueError(f"data.classes: expected a list of names, got {data['classes']!r}")
            facts: dict[str, Any] = {"name": str(data["name"]), "classes": [str(name) for name in data["classes"]]}
            if kind is FinetuneConfig:
                facts["preprocess"] = ImageClassification(**data["preprocess"]).settings
            else:
                facts |= {"mean": _numbers(data["mean"]), "std": _numbers(data["std"])}
                means, stds = (np.atleast_1d(facts[name]) for name in ("mean", "std"))
                if means.shape != stds.shape or not (np.isfinite(means) & (stds > 0) & (stds < math.inf)).all():
                    raise ValueError(f"data.mean and data.std: got {facts['mean']} and {facts['std']}")
            config = kind.from_dict(contents["config"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(
                self.config, "contents", f"cannot be used ({type(error).__name__}: {error})"
            ) from None
        assert isinstance(config, (TrainConfig, FinetuneConfig))
        return config, facts

    def weights_metadata(self, config: RunConfig, data: dict[str, Any]) -> dict[str, str]:
        """What the header of ``weights.safetensors`` says, so that the file can be understood by itself."""
        return {"model": config.model, **{key: json.dumps(value) for key, value in data.items()}}

    def require_weights(self, command: str) -> Path:
        """The file of the run's weights. ``command``: what made the run.

        Raises
        ------
        RunFolderError : no weights yet.
        """
        if not self.weights.exists():
            raise RunFolderError(
                f"{self.path} has no weights yet: finish an epoch with `minicnn {command} --resume {self.path}`"
            )
        return self.weights

    def load_weights(self, model: Module, name: str) -> None:
        """Put the run's weights into ``model``, which is a ``name``.

        Raises
        ------
        RunFolderError : no weights yet.
        CheckpointError : damaged weights, or those of another model (the message names both).
        """
        self.require_weights(TrainConfig.COMMAND)
        saved = read_metadata(self.weights).get("model", name)
        load_into(model, name, saved, load_state_dict_file(self.weights), self.weights)


def _numbers(value: Any) -> float | list[float]:
    """One number, or one a channel; ValueError or TypeError for anything else."""
    if isinstance(value, list) and not value:
        raise ValueError("no number, expected one a channel")
    return [float(number) for number in value] if isinstance(value, list) else float(value)


def load_into(model: Module, name: str, saved_name: str, state: dict[str, Any], path: Path) -> None:
    """``model.load_state_dict`` with an error that names the two models when they are not the same."""
    if saved_name != name:
        raise CheckpointError(path, "model", f"is of the model {saved_name!r}, and this run's is {name!r}")
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(path, "tensors", f"do not fit the model {name!r}: {error}") from None
