"""Networks of well-known tutorials: the same script under PyTorch and, with its imports exchanged, under minicnn.

Both start from PyTorch's weights; what ``train`` returns, losses mostly, must agree step by step.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import copy_into_ours
from tests.tutorials.test_tutorials import under_minicnn

SCRIPTS = sorted((Path(__file__).parent / "classics").glob("*.py"))


@pytest.fixture(autouse=True)
def _double_precision():
    """In float64 a step's rounding stays rounding over all steps; one thread, for torch's spin between small steps."""
    threads = torch.get_num_threads()
    states = mc.get_rng_state(), torch.get_rng_state()
    torch.set_num_threads(1)
    for library in (mc, torch):
        library.set_default_dtype(library.float64)
        library.manual_seed(0)
    yield
    for library, state in zip((mc, torch), states, strict=True):
        library.set_default_dtype(library.float32)
        library.set_rng_state(state)
    torch.set_num_threads(threads)


def load(name: str, source: str) -> Any:
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    return module


@pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_losses_agree(script):
    source = script.read_text(encoding="utf-8")
    theirs = load(f"classic_{script.stem}_torch", source)
    ours = load(f"classic_{script.stem}", under_minicnn(source))
    reference, model = theirs.make_model(), ours.make_model()
    assert repr(model) == repr(reference)
    copy_into_ours(model, reference)
    expected = theirs.train(reference)
    actual = ours.train(model)
    assert len(expected) > 3
    assert np.isfinite(expected).all()
    # A few steps of a small network. L-BFGS divides differences of gradients by each other.
    np.testing.assert_allclose(actual, expected, rtol=1e-5 if "LBFGS" in source else 1e-7, atol=1e-9)
