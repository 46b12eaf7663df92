"""PyTorch's own operator samples: equal values, types, shapes and gradients, and an error where PyTorch has one.

The default run takes a few samples of each operator, the slow one many. ``python -m tests.helpers.operator_battery`` runs
all of them and counts.
"""

from __future__ import annotations

import pytest
import torch

from tests.helpers.operator_battery import operators, run_operator

# What is not equal, and why: "kind: message" of these misses contains the text.
_UNSTABLE = tuple(f"{kind}[8000]" for kind in ("bool", "int8", "uint8", "int16", "int32", "int64"))
# For all: PyTorch forbids an out= that shares memory with an operand, since it might compute wrongly; here the result is
# complete before it is written. And it wants exactly the result's type in some functions, one that can hold it in most.
OUT = ("unsupported operation", "refer to a single memory location", "Expected out tensor to have dtype")
KNOWN: dict[str, tuple[str, ...]] = {
    # Without stable=True the order of equal elements is anybody's; PyTorch's depends on how its vectors are cut.
    "argsort": _UNSTABLE,
    "sort": _UNSTABLE,
    # Which of several equal elements: PyTorch's is what the C++ library's selection leaves in front. (Values are equal.)
    "topk": tuple(f"{kind}[5, 10, 5]" for kind in ("int8", "uint8", "int16", "int32", "int64")),
    # Which of several equal elements is named: values are equal.
    "mode": ("result 1 differs",),
    # What is left of float32 where terms cancel. Beside float64, PyTorch's gradients of ctc_loss are off by 1e-4, these by
    # 1e-5; over a single feature layer_norm's gradient is 0 but for rounding.
    "nn.functional.ctc_loss": ("ctc_loss (float32",),
    "nn.functional.layer_norm": ("layer_norm (float32[1], [1]",),
    "logcumsumexp": ("logcumsumexp (float32", "logcumsumexp method (float32"),
    "cov": ("cov (float32", "cov method (float32"),
}


def cases(more: bool) -> list:
    return [
        pytest.param(op, id=f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name)
        for op in operators(more=more)
    ]


def check(op, most: int, dtypes: list[torch.dtype] | None = None) -> None:
    tally = run_operator(op, most, dtypes)
    known = (*KNOWN.get(op.name, ()), *OUT)
    misses = [miss for miss in tally.misses if not any(text in miss for text in known)]
    assert not misses, f"{len(misses)} of {tally.total}:\n" + "\n".join(misses[:5])


@pytest.mark.parametrize("op", cases(more=False))
def test_a_few_samples(op):
    types = [dtype for dtype in (torch.float64, torch.int64, torch.bool) if dtype in op.dtypes]
    check(op, 2, types)


@pytest.mark.slow
@pytest.mark.parametrize("op", cases(more=True))
def test_many_samples(op):
    check(op, 6)
