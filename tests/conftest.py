"""What all tests share: hypothesis draws the same examples every time, and every test starts from the same seed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

import minicnn as mc

# Compiling a kernel takes seconds at its first call: no deadline, and slowness is no failure.
settings.register_profile(
    "minicnn", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("minicnn")

# Hypothesis also tries constants that it reads in the modules loaded so far: with them, what a test draws would depend on
# the tests that ran before it, and on every line of the project.
if hasattr(providers, "is_local_module_file"):
    providers.is_local_module_file = lambda path: False


@pytest.fixture(autouse=True)
def seed() -> None:
    """The default generator, started from 0 for each test."""
    mc.manual_seed(0)
