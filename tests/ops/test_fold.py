"""im2col and back against torch and central differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.kernel_cases import pairs
from tests.helpers.oracle import FLOATS, both_raise, check_gradients, compare, layouts, values

PAIR = pairs(1, 3)


@settings(max_examples=40)
@given(
    kernel=PAIR,
    stride=PAIR,
    dilation=PAIR,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dtype=FLOATS,
    layout=st.integers(0, 4),
)
def test_unfold_and_fold(kernel, stride, dilation, padding, dtype, layout):
    x = list(layouts(values(np.random.default_rng(0), (2, 3, 7, 8), dtype, "normal")))[layout]
    options = {"kernel_size": kernel, "stride": stride, "dilation": dilation, "padding": padding}

    def there_and_back(m, x):
        cols = m.nn.functional.unfold(x, **options)
        return cols, m.nn.functional.fold(cols * 2, (7, 8), **options)

    compare(there_and_back, x)


def test_fold_gradcheck():
    rng = np.random.default_rng(0)
    check_gradients(lambda m, x: m.nn.functional.unfold(x, (2, 3), padding=1), values(rng, (2, 2, 3, 4), kind="normal"))
    check_gradients(lambda m, c: m.nn.functional.fold(c, (3, 4), 2), values(rng, (2, 8, 6), kind="normal"))


def test_fold_errors():
    fold = lambda *size: lambda m, c: m.nn.functional.fold(c, size, 2)  # noqa: E731
    both_raise(fold(4, 4), np.ones((1, 8, 6)), match=r"number of windows, 3 . 3 = 9")
    both_raise(fold(3, 4), np.ones((1, 7, 6)), match=r"multiple of kh . kw")
    both_raise(lambda m, x: m.nn.functional.unfold(x, 4), np.ones((1, 1, 3, 5)), match=r"kernel is larger")
    both_raise(lambda m, x: m.nn.functional.unfold(x, 2), np.ones((3, 5)), match=r"x must have 4 axes")
    both_raise(
        lambda m, x: m.nn.functional.unfold(x, 2), np.ones((1, 1, 3, 3), int), match=r"unfold needs floating point"
    )
    both_raise(fold(2, 2), np.ones((1, 4, 1), int), match=r"fold needs floating point")


@pytest.mark.parametrize("dtype", [np.float32, bool])
def test_one_image_without_a_batch(dtype):
    """Bools: fold adds them up, to True."""
    x = np.random.default_rng(0).standard_normal((2, 5, 4)) > 0
    cols = x.reshape(4, 10)
    compare(lambda m, x: m.nn.functional.unfold(x, (2, 3), padding=1), x.astype(dtype))
    compare(lambda m, c: m.nn.functional.fold(c, (3, 6), 2), cols.astype(dtype))
