"""A line search for ``LBFGS``: how far to go along a direction.

It looks for a t at which the loss f(t) has fallen enough and its slope f'(t) has become flat enough, the strong Wolfe
conditions (Nocedal & Wright, Numerical Optimization, 2nd edition, equations 3.7 and algorithms 3.5 and 3.6):

::

    f(t) <= f(0) + c1 t f'(0)    and    |f'(t)| <= c2 |f'(0)|

First further and further out until an interval must contain such a t, then into that interval, each time to the lowest
point of the cubic through two values and slopes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

C1, C2 = 1e-4, 0.9
MAX_EVALUATIONS = 25


class Point(NamedTuple):
    """A step length, the loss there, its gradient, and its slope along the direction."""

    t: float
    value: float
    gradient: np.ndarray
    slope: float


def strong_wolfe(
    at: Callable[[float], Point], start: Point, t: float, largest: float, tolerance_change: float = 1e-9
) -> Point:
    """The point to go to.

    Parameters
    ----------
    at : evaluates a step length.
    start : the point at 0, where the slope is negative.
    t : the first step length to try.
    largest : the largest element of the direction: times an interval, how far apart its ends are.
    tolerance_change : the distance below which it is not worth going on.
    """

    def fell_too_little(point: Point) -> bool:
        return point.value > start.value + C1 * point.t * start.slope

    def is_flat(point: Point) -> bool:
        return abs(point.slope) <= -C2 * start.slope

    previous, point = start, at(t)
    for evaluations in range(MAX_EVALUATIONS):
        if fell_too_little(point) or (evaluations > 1 and point.value >= previous.value):
            break
        if is_flat(point):
            return point
        if point.slope >= 0:
            break
        further = point.t + 0.01 * (point.t - previous.t), point.t * 10
        previous, point = point, at(lowest_of_cubic(previous, point, *further))
    else:
        return start if start.value <= point.value else point

    ends = [previous, point]  # the conditions hold somewhere between these
    made_little_progress = False
    while evaluations < MAX_EVALUATIONS:
        low, high = (0, 1) if ends[0].value <= ends[1].value else (1, 0)
        left, right = sorted((ends[0].t, ends[1].t))
        if (right - left) * largest < tolerance_change:
            break
        t = lowest_of_cubic(ends[0], ends[1], left, right)
        # A point close to an end, twice in a row, would hardly narrow the interval: go a tenth of it inside.
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:
            if made_little_progress or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                made_little_progress = False
            else:
                made_little_progress = True
        else:
            made_little_progress = False
        point = at(t)
        evaluations += 1
        if fell_too_little(point) or point.value >= ends[low].value:
            ends[high] = point
        else:
            if is_flat(point):
                return point
            if point.slope * (ends[high].t - ends[low].t) >= 0:
                ends[high] = ends[low]
            ends[low] = point
    return min(ends, key=lambda end: end.value)


def lowest_of_cubic(a: Point, b: Point, lowest: float, highest: float) -> float:
    """Where the cubic through both points' values and slopes has its minimum, within [lowest, highest]; equation 3.59."""
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not 0 <= square < math.inf:
        return (lowest + highest) / 2
    d2 = math.sqrt(square)
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(t, lowest), highest)
