"""How far from the machine's limits: no work takes less time than its operations at the peak rate, or its bytes at the
bandwidth; the longer of the two is its floor (Williams, Waterman, Patterson 2009, "Roofline"). ``peaks.py`` measures both.
"""

from __future__ import annotations

from typing import NamedTuple


class Peaks(NamedTuple):
    """Of all threads together: 10^9 operations a second, 10^9 bytes a second."""

    gflops: float
    gbs: float


def floor(flops: float, nbytes: float, peaks: Peaks) -> tuple[float, str]:
    """The least seconds that so much work takes, and what limits it: ``"flops"`` or ``"bytes"``.

    >>> floor(2e9, 1e9, Peaks(gflops=100, gbs=25))
    (0.04, 'bytes')
    """
    computing, moving = flops / peaks.gflops / 1e9, nbytes / peaks.gbs / 1e9
    return (computing, "flops") if computing >= moving else (moving, "bytes")
