"""The steps of ``docs/fast_convolution``, measured: the functions as they stand in the pages, the framework's, PyTorch's.

    python -m benchmarks.story [--write]

One layer, one thread, forward. The pages' Python blocks are executed, and the functions taken from there: what is measured
is what is printed. ``--write`` puts the tables into ``docs/fast_convolution/index.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import noise
from .case import missing
from .harness import QUICK, Effort, interleave, run_pinned
from .machine import machine, today, versions

PAGES = Path(__file__).resolve().parents[1] / "docs" / "fast_convolution"
MARKS = ("<!-- begin: python -m benchmarks.story --write -->", "<!-- end -->")
NO_WINDOW = (1, 1), (0, 0), (1, 1), 1  # stride, padding, dilation, groups


class Sizes(NamedTuple):
    """The layer: n images, channels in and out, the output's side."""

    n: int = 8
    c: int = 64
    side: int = 56


TINY = Sizes(n=1, c=16, side=8)


class Step(NamedTuple):
    """A row of a table: the operations (or the bytes, in chapter 5) of one call, and what is called."""

    name: str
    chapter: str
    amount: float
    call: Callable[[], Any]


def functions_of(page: str) -> dict[str, Any]:
    """Everything that the Python blocks of a page define."""
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": page}
    with contextlib.redirect_stdout(io.StringIO()):
        for match in re.finditer(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
            exec(compile(match[1], f"{page}.md", "exec"), namespace)
    return namespace


def convolutions(sizes: Sizes) -> list[Step]:
    """The same convolution by every step of chapters 1 to 4. Each call returns (n, c_out, h_out, w_out)."""
    from minicnn_kernels import cpu

    loop, im2col, blocking, winograd = map(functions_of, ("loop", "im2col", "blocking", "winograd"))
    rng = np.random.default_rng(0)
    last = rng.standard_normal((sizes.n, sizes.side + 2, sizes.side + 2, sizes.c), np.float32)  # padded, channels-last
    weight = rng.standard_normal((sizes.c, sizes.c, 3, 3), np.float32)
    first = np.ascontiguousarray(last.transpose(0, 3, 1, 2))
    small_image, small_weight = first[:1, :8, :10, :10], weight[:4, :8]
    turned = np.ascontiguousarray(weight.transpose(2, 3, 1, 0))  # (c_out, c_in, 3, 3) -> (3, 3, c_in, c_out)
    amount = loop["operations"](sizes.n, sizes.c, sizes.side, sizes.side, sizes.c, 3, 3)
    small_amount = loop["operations"](1, 8, 8, 8, 4, 3, 3)

    def ours(algorithm: str) -> Callable[[], Any]:
        return lambda: cpu.conv_forward(last.transpose(0, 3, 1, 2), weight, None, *NO_WINDOW, algorithm)

    def logical(function: Callable[..., Any], filters: np.ndarray) -> Callable[[], Any]:
        return lambda: function(last, filters).transpose(0, 3, 1, 2)

    steps = [
        Step(
            "the loop, interpreted (a small piece)",
            "1",
            small_amount,
            lambda: loop["conv_python"](small_image, small_weight),
        ),
        Step("the loop, compiled by Numba", "1", amount, lambda: loop["conv_compiled"](first, weight)),
        Step("the same in another order", "1", amount, logical(loop["conv_reordered"], turned)),
        Step("im2col, NumPy and its BLAS", "2", amount, lambda: im2col["conv_im2col"](first, weight)),
        Step("tiles of 4 x 4, Numba", "3", amount, logical(blocking["conv_blocked"], weight)),
        Step("Winograd, NumPy and its BLAS", "4", amount, logical(winograd["conv_winograd"], weight)),
        *(
            Step(f"minicnn, {name}", c, amount, ours(name))
            for name, c in (("im2col", "2"), ("direct", "3"), ("winograd", "4"))
        ),
    ]
    if not missing("torch"):
        import torch

        tensor, filters = torch.from_numpy(last.transpose(0, 3, 1, 2)), torch.from_numpy(weight)
        filters = filters.contiguous(memory_format=torch.channels_last)

        def theirs() -> Any:
            with torch.no_grad():
                return torch.nn.functional.conv2d(tensor, filters)

        steps.append(Step("PyTorch, channels_last", "", amount, theirs))
    return steps


def memory_bound(sizes: Sizes) -> list[Step]:
    """Chapter 5: scale, ReLU, pooling by NumPy and by the page's loop; batch norm + ReLU + pooling there and back."""
    import minicnn as mc

    page = functions_of("memory_bound")
    rng = np.random.default_rng(0)
    n, c, side = 32 * sizes.n, sizes.c // 2, sizes.side // 2  # 26 MB an image: no cache holds all of the arrays
    image = rng.standard_normal((n, side, side, c), np.float32)
    scale, shift = rng.standard_normal((2, c)).astype(np.float32)
    grad = rng.standard_normal((n, side // 2, side // 2, c), np.float32)

    def chain(framework: Any) -> Any:
        nn = framework.nn
        return nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.MaxPool2d(2))

    def there_and_back(framework: Any, model: Any) -> Callable[[], Any]:
        x, grad_out = (framework.from_numpy(a.transpose(0, 3, 1, 2)) for a in (image, grad))
        x.requires_grad_()

        def step() -> Any:
            x.grad = None
            out = model(x)
            out.backward(grad_out)
            return out

        return step

    forward_bytes, both_bytes = 1.25 * image.nbytes, (2.25 + 2.25) * image.nbytes
    steps = [
        Step("forward, three steps in NumPy", "5", forward_bytes, lambda: page["three_steps"](image, scale, shift)),
        Step("forward, one pass in Numba", "5", forward_bytes, lambda: page["one_pass"](image, scale, shift)),
        Step("training, minicnn, three operations", "5", both_bytes, there_and_back(mc, chain(mc))),
        Step("training, minicnn, `mc.compile`", "5", both_bytes, there_and_back(mc, mc.compile(chain(mc)))),
    ]
    if not missing("torch"):
        import torch

        steps.append(Step("training, PyTorch, channels_last", "", both_bytes, there_and_back(torch, chain(torch))))
    return steps


def table(steps: list[Step], rounds: list[list[list[float]]], unit: str, peak: float) -> str:
    """Rows of Markdown: GFLOP/s or GB/s by the median time, with the quartiles, and the share of the peak."""
    lines = [f"| step | chapter | ms | {unit} (quartiles) | of {peak:.0f} |", "|---|---|---|---|---|"]
    for step, turns in zip(steps, rounds, strict=True):
        low, middle, high = noise.quartiles([seconds for turn in turns for seconds in turn])
        digits = 3 if step.amount / middle < 1e8 else 1
        rate, worst, best = (f"{step.amount / t / 1e9:.{digits}f}" for t in (middle, high, low))
        share = f"{step.amount / middle / 1e9 / peak:.{2 if digits == 3 else 0}%}"
        lines.append(f"| {step.name} | {step.chapter} | {middle * 1e3:.2f} | {rate} ({worst} to {best}) | {share} |")
    return "\n".join(lines)


def report(sizes: Sizes, effort: Effort) -> str:
    """Measure everything in this process; returns the text between the marks in the page."""
    from minicnn_kernels.cpu.microkernel import SIMD

    from . import peaks

    limits = peaks.measure(1, effort == QUICK)
    reference = noise.Reference(1)
    tables, spread = [], 0.0
    for steps, unit, peak in (
        (convolutions(sizes), "GFLOP/s", limits.gflops),
        (memory_bound(sizes), "GB/s", limits.gbs),
    ):
        peers, found = interleave({step.name: step.call for step in steps}, effort, reference)
        tables.append(table(steps, [peers[step.name].rounds for step in steps], unit, peak))
        spread = max(spread, found["compute"], found["memory"])
    libraries = ", ".join(f"{name} {version}" for name, version in versions().items())
    where = f"{machine()['cpu']} ({SIMD.name}), one core, {machine()['system']}"
    lines = [
        f"Output of {today()}: {where}; {libraries}. Peaks: {limits.gflops:.0f} GFLOP/s, {limits.gbs:.0f} GB/s (copy).",
        f"Medians of calls in turns. A loop that only the machine can disturb varied by {spread:.0%} meanwhile.",
    ]
    return "\n".join(lines) + f"\n\n{tables[0]}\n\n{tables[1]}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(report(TINY, QUICK) if options.quick else report(Sizes(), Effort(rounds=7, attempts=2))))
        return
    quick = ["--quick"] if options.quick else []
    text = run_pinned(["-m", f"{__package__}.story", "--worker", *quick], threads=1)
    sys.stdout.write(text)
    if options.write:
        page = PAGES / "index.md"
        before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        page.write_text(f"{before}{MARKS[0]}\n\n{text}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
