"""The error function and the gamma function, against multiple-precision arithmetic."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from minicnn_kernels import cpu, reference
from tests.helpers.kernel_cases import ORDERS, arrange, num_threads

# name -> (the function in many digits, arguments). digamma is compared by its absolute error: it has a zero.
FUNCTIONS = {
    "erf": (mpmath.erf, np.concatenate([np.linspace(-6, 6, 241), [1e-300, 1e-8, -1e-5, 30]])),
    "erfc": (mpmath.erfc, np.concatenate([np.linspace(-6, 20, 241), [1e-300, 26]])),
    "erfinv": (
        mpmath.erfinv,
        np.concatenate([np.linspace(-0.999, 0.999, 241), [1e-300, 1e-9, 1 - 1e-13, -1 + 2**-53]]),
    ),
    "lgamma": (lambda x: mpmath.loggamma(x).real, np.concatenate([np.linspace(-5.3, 30, 241), [1e-9, 1e5, 1e300]])),
    "digamma": (mpmath.digamma, np.concatenate([np.linspace(-5.3, 30, 241), [1e-9, 1e5, 1e300]])),
    "trigamma": (lambda x: mpmath.psi(1, x), np.concatenate([np.linspace(-5.3, 30, 241), [1e-9, 1e5, 1e100]])),
}
BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])


def kernel(backend, name):
    return getattr(backend, f"{name}_forward")


@BOTH
@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_many_digits(name, backend):
    function, x = FUNCTIONS[name]
    x = x[x != np.floor(x)] if name in ("lgamma", "digamma", "trigamma") else x
    with mpmath.workdps(40):
        expected = np.array([float(function(mpmath.mpf(float(v)))) for v in x])
    actual = kernel(backend, name)(x)
    # A few units in the last place; beside a zero of the function, of the terms that cancel there (lgamma and digamma), and
    # for a reflected argument of pi x, which is rounded.
    units = {"erf": 2, "erfc": 4, "erfinv": 4}.get(name, 8)
    scale = np.maximum(np.abs(expected), 1.0 if name in ("lgamma", "digamma") else 0)
    scale = np.where(x < 0.5, scale * (1 + np.abs(expected) * 8), scale) if name in ("digamma", "trigamma") else scale
    assert np.all(np.abs(actual - expected) <= units * np.finfo(float).eps * scale)

    with mpmath.workdps(40):
        x32 = x.astype(np.float32)
        expected = np.array(
            [float(function(mpmath.mpf(float(v)))) if abs(v) < 1 or name != "erfinv" else v * np.inf for v in x32]
        )
    actual = kernel(backend, name)(x32)
    assert actual.dtype == np.float32
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(actual, expected.astype(np.float32), rtol=1.2e-7, atol=1e-45)  # one unit


@BOTH
def test_special_values(backend):
    x = np.array([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 2.0, -2.0])
    expected = {
        "erf": [math.nan, 1, -1, 0, -0.0, math.erf(1), -math.erf(1), math.erf(2), -math.erf(2)],
        "erfc": [math.nan, 0, 2, 1, 1, math.erfc(1), math.erfc(-1), math.erfc(2), math.erfc(-2)],
        "erfinv": [math.nan, math.nan, math.nan, 0, -0.0, math.inf, -math.inf, math.nan, math.nan],
        "lgamma": [math.nan, math.inf, math.inf, math.inf, math.inf, 0, math.inf, 0, math.inf],
        "digamma": [math.nan, math.inf, math.nan, -math.inf, math.inf, -np.euler_gamma, math.nan, 1 - np.euler_gamma,
                    math.nan],
        "trigamma": [math.nan, 0, math.inf, math.inf, math.inf, math.pi**2 / 6, math.inf, math.pi**2 / 6 - 1, math.inf],
    }  # fmt: skip
    for name, values in expected.items():
        for dtype in (np.float64, np.float32):
            actual = kernel(backend, name)(x.astype(dtype))
            np.testing.assert_allclose(actual, np.array(values, dtype), rtol=1e-15 if dtype == np.float64 else 1e-7)
            np.testing.assert_array_equal(np.signbit(actual[3:5]), np.signbit(np.array(values)[3:5]))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("order", ORDERS)
def test_memory_order_and_threads(name, order):
    x = arrange(np.random.default_rng(0).uniform(0.1, 0.9, (3, 4, 5, 7)), order)
    expected = np.array([kernel(reference, name)(x[i, 2, 3:5, 4:7]) for i in range(3)])
    for threads in (1, 2):
        with num_threads(threads):
            actual = kernel(cpu, name)(x)
        np.testing.assert_allclose(actual[:, 2, 3:5, 4:7], expected, rtol=1e-14)
    assert kernel(cpu, name)(np.zeros((0, 3))).shape == (0, 3)
    assert kernel(cpu, name)(np.array(0.5)).shape == ()
