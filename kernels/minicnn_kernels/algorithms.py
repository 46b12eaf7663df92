"""Which algorithm computes a convolution: what the user asked for. What ``"auto"`` then means is in ``cpu/conv_choice.py``.

The kernels themselves take the algorithm as an argument. This setting is read once, when a convolution runs forward; its
node in the graph keeps it, so that the gradients are computed the same way wherever ``backward()`` is called.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

CONV_ALGORITHMS = ("auto", "exact", "im2col", "direct", "winograd")

_asked: ContextVar[str | None] = ContextVar("minicnn_conv_algorithm", default=None)
_exact: bool | None = None  # not decided yet


@contextmanager
def conv_algorithm(name: str) -> Iterator[None]:
    """Within the ``with`` block, let this thread (this context) compute its 2-D convolutions by one algorithm.

    The gradients of a convolution follow its forward pass, inside the block or not. The back end ``"reference"`` knows
    im2col only, and takes no notice.

    Parameters
    ----------
    name : {"auto", "exact", "im2col", "direct", "winograd"}
        ``"auto"`` takes the fastest by shape, ``"exact"`` the fastest except Winograd (whose rounding errors are about ten
        times larger). ``"im2col"`` takes every convolution, ``"direct"`` too; ``"winograd"`` is for 3x3 filters with
        stride, dilation and groups 1: elsewhere the convolution raises ValueError.

    Raises
    ------
    ValueError
        If there is no such algorithm.

    Examples
    --------
    >>> with conv_algorithm("im2col"):
    ...     current_conv_algorithm()
    'im2col'
    >>> current_conv_algorithm()
    'auto'
    """
    if name not in CONV_ALGORITHMS:
        raise ValueError(
            f"conv_algorithm(): there is no algorithm {name!r}; choose one of {', '.join(map(repr, CONV_ALGORITHMS))}"
        )
    token = _asked.set(name)
    try:
        yield
    finally:
        _asked.reset(token)


def set_exact_convolutions(exact: bool) -> None:
    """Let convolutions for which no algorithm was asked for avoid Winograd, everywhere in this process.

    The start value comes from the environment: ``MINICNN_EXACT=1``.
    """
    global _exact
    _exact = bool(exact)


def current_conv_algorithm() -> str:
    """What holds here: the name given to :func:`conv_algorithm`, else ``"exact"`` or ``"auto"``."""
    global _exact
    asked = _asked.get()
    if asked is not None:
        return asked
    if _exact is None:
        setting = os.environ.get("MINICNN_EXACT", "")
        if setting not in ("", "0", "1"):
            raise ValueError(f"environment variable MINICNN_EXACT must be 0 or 1, got {setting!r}")
        _exact = setting == "1"
    return "exact" if _exact else "auto"
