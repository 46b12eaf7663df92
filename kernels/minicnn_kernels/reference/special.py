"""The error function, its complement and inverse; the logarithm of the gamma function and two derivatives of it.

    erf(x) = 2 / sqrt(pi) integral_0^x e^(-t^2) dt        erfc(x) = 1 - erf(x)
    lgamma(x) = ln |gamma(x)|       digamma = lgamma'      trigamma = lgamma''

One number at a time, in float64, from Python's ``math`` where it has the function. The inverse of erf is found by Halley's
iteration. digamma and trigamma are climbed up by their recurrences, f(x) = f(x + 1) + ..., until the asymptotic series
in 1/x (Abramowitz and Stegun 1964, 6.3.18 and 6.4.12) is exact; what is left of 1/2 is reflected first (6.3.7, 6.4.7).
"""

import math
from collections.abc import Callable

import numpy as np

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)  # B_2, B_4, ... B_14
LARGE = 10.0  # from here on seven terms of the series are all of float64


def erf_forward(x: np.ndarray) -> np.ndarray:
    """x of any shape -> erf(x)."""
    return _each(math.erf, x)


def erfc_forward(x: np.ndarray) -> np.ndarray:
    """x of any shape -> 1 - erf(x), small numbers to full precision."""
    return _each(math.erfc, x)


def erfinv_forward(x: np.ndarray) -> np.ndarray:
    """x of any shape -> the y with erf(y) = x: infinite at -1 and 1, NaN outside."""
    return _each(_erfinv, x)


def lgamma_forward(x: np.ndarray) -> np.ndarray:
    """x of any shape -> ``ln |gamma(x)|``: infinite at 0, -1, -2, ..."""
    return _each(lambda v: math.inf if v <= 0 and v == np.floor(v) else math.lgamma(v), x)


def digamma_forward(x: np.ndarray) -> np.ndarray:
    """x of any shape -> the derivative of lgamma: infinite at 0, NaN at -1, -2, ..."""
    return _each(_digamma, x)


def trigamma_forward(x: np.ndarray) -> np.ndarray:
    """x of any shape -> the second derivative of lgamma: infinite at 0, -1, -2, ..."""
    return _each(_trigamma, x)


def _each(function: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    out[...] = np.frompyfunc(lambda v: math.nan if math.isnan(v) else function(v), 1, 1)(x.astype(np.float64))
    return out


def _erfinv(x: float) -> float:
    magnitude = abs(x)
    if magnitude >= 1:
        return math.copysign(math.inf if magnitude == 1 else math.nan, x)
    # Winitzki's approximation, to three digits; then each step triples them.
    a, log = 0.147, math.log1p(-x * x)
    half = 2 / (math.pi * a) + log / 2
    root = math.sqrt(half * half - log / a)
    y = math.sqrt(max(0.0, -log / a / (root + half)))
    for _ in range(3):
        # Near 1 the error in terms of erfc: there 1 - x is exact, and erf(y) - x would be rounding only.
        error = math.erf(y) - magnitude if magnitude < 0.5 else (1 - magnitude) - math.erfc(y)
        step = error * math.sqrt(math.pi) / 2 * math.exp(y * y)
        y -= step / (1 + y * step)
    return math.copysign(y, x)


def _digamma(x: float) -> float:
    if x == 0:
        return math.copysign(math.inf, -x)
    nearest = x if abs(x) == math.inf else math.floor(x + 0.5)
    if x <= 0 and nearest == x:
        return math.nan
    total = 0.0
    if x < 0.5:
        total, x = -math.pi / math.tan(math.pi * (x - nearest)), 1 - x
    while x < LARGE:
        total, x = total - 1 / x, x + 1
    if x > 1e17:  # (infinity too)
        return total + math.log(x)
    series, power = 0.0, 1 / (x * x)
    for k in range(len(BERNOULLI), 0, -1):
        series = (series + BERNOULLI[k - 1] / (2 * k)) * power
    return total + math.log(x) - 0.5 / x - series


def _trigamma(x: float) -> float:
    nearest = x if abs(x) == math.inf else math.floor(x + 0.5)
    if x <= 0 and nearest == x:
        return math.inf
    total, sign = 0.0, 1.0
    if x < 0.5:
        total, sign, x = (math.pi / math.sin(math.pi * (x - nearest))) ** 2, -1.0, 1 - x
    while x < LARGE:
        total, x = total + sign / (x * x), x + 1
    series, power = 0.0, 1 / (x * x)
    for k in range(len(BERNOULLI), 0, -1):
        series = (series + BERNOULLI[k - 1]) * power
    return total + sign * (1 + 0.5 / x + series) / x
