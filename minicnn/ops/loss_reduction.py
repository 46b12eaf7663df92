"""What all losses share: how the losses of the elements become one number, and the checks of their arguments."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from ..autograd import Tensor

REDUCTIONS = ("mean", "sum", "none")


def reduction_of(
    size_average: bool | None, reduce: bool | None, reduction: str, allowed: Sequence[str] = REDUCTIONS
) -> str:
    """The reduction meant: torch's old pair of arguments, where given, has the last word, with a warning.

    Raises
    ------
    ValueError : for an unknown reduction.
    """
    if size_average is not None or reduce is not None:
        summed = "mean" if size_average in (None, True) else "sum"
        reduction = summed if reduce in (None, True) else "none"
        warnings.warn(
            f"size_average and reduce are deprecated: use reduction={reduction!r} instead", UserWarning, stacklevel=3
        )
    if reduction not in allowed:
        raise ValueError(f"reduction: expected one of {', '.join(map(repr, allowed))}, got {reduction!r}")
    return reduction


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """The losses themselves, their sum, or their mean."""
    return losses.mean() if reduction == "mean" else losses.sum() if reduction == "sum" else losses


def warn_of_broadcasting(what: str, input: Tensor, target: Tensor) -> None:
    """Where the shapes differ and broadcast, which is seldom meant."""
    if tuple(input.shape) != tuple(target.shape):
        warnings.warn(
            f"{what}: target has shape {tuple(target.shape)}, input {tuple(input.shape)}; they broadcast, which is "
            "seldom what is meant",
            UserWarning,
            stacklevel=4,  # the caller of the loss
        )


def require_same_shape(what: str, input: Tensor, target: Tensor) -> None:
    """Raise ValueError where target and input differ in shape."""
    if tuple(input.shape) != tuple(target.shape):
        raise ValueError(
            f"target: {what} needs a target of the input's shape {tuple(input.shape)}, got {tuple(target.shape)}"
        )
