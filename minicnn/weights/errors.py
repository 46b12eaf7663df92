"""The one error of files that hold weights or training state. Readers: :mod:`minicnn.weights.safetensors`."""

from __future__ import annotations

import os


class CheckpointError(ValueError):
    """A file of weights or training state that cannot be used: the message names the file, the place and the reason.

    Attributes
    ----------
    path : the file.
    place : where in it, such as ``"header"`` or ``"tensor 'fc.weight'"``.
    reason : what is wrong, and what to do about it.

    >>> str(CheckpointError("run/weights.safetensors", "header", "is cut short"))
    'run/weights.safetensors: header: is cut short'
    """

    def __init__(self, path: str | os.PathLike[str], place: str, reason: str):
        self.path = os.fspath(path)
        self.place = place
        self.reason = reason
        super().__init__(f"{self.path}: {place}: {reason}")
