"""Operations that are bound by memory, forward and backward, against PyTorch eager, row-major and channels_last.

    python -m benchmarks.bench_fused [--threads 1 2] [--json FILE]

Before every timed call the caches are flushed, as the rest of a training step would do. GB/s counts the bytes that the
best known sequence of passes has to move (batch norm: x for the statistics and once more for the result, and both again
with the gradient), for all peers alike: compare it with what ``copy`` reaches, which is the machine's limit.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .harness import interleave, machine, run_pinned, summarise, write_json

SHAPES = ((64, 32, 28, 28), (64, 64, 14, 14), (8, 64, 112, 112))
FLUSHED = 96 << 20  # bytes: several times the last-level cache of common machines


class Case(NamedTuple):
    """One row block of the table: peers to call, and the bytes that must be moved."""

    name: str
    peers: dict[str, Callable[[], Any]]
    bytes: int


def image_cases(mc: Any, torch: Any, shape: tuple[int, int, int, int]) -> list[Case]:
    """The operations on one image batch."""
    from minicnn.ops.fused import BatchNormReLU, BatchNormReLUMaxPool2d

    n, c, h, w = shape
    rng = np.random.default_rng(0)
    values = rng.standard_normal(shape).astype(np.float32)
    pooled = rng.standard_normal((n, c, h // 2, w // 2)).astype(np.float32)
    norm = {"eps": 1e-5, "momentum": 0.1, "running_mean": np.zeros(c, "f"), "running_var": np.ones(c, "f")}
    pooling = {"window": ((2, 2), (2, 2), (0, 0), (1, 1)), "ceil_mode": False}
    ours, theirs = mc.nn.functional, torch.nn.functional

    def channels_last(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)

    def own(function: Callable[..., Any], cotangent: np.ndarray) -> Callable[[], Any]:
        x = mc.from_numpy(channels_last(values)).requires_grad_()
        parameters = [mc.ones(c).requires_grad_(), mc.zeros(c).requires_grad_()]
        running = mc.zeros(c), mc.ones(c)
        grad = mc.from_numpy(channels_last(cotangent))

        def call() -> None:
            x.grad = parameters[0].grad = parameters[1].grad = None
            function(x, *parameters, *running).backward(grad)

        return call

    def torch_peer(function: Callable[..., Any], cotangent: np.ndarray, last: bool) -> Callable[[], Any]:
        order = torch.channels_last if last else torch.contiguous_format
        x = torch.from_numpy(values).clone(memory_format=order).requires_grad_()
        parameters = [torch.ones(c, requires_grad=True), torch.zeros(c, requires_grad=True)]
        running = torch.zeros(c), torch.ones(c)
        grad = torch.from_numpy(cotangent).clone(memory_format=order)

        def call() -> None:
            x.grad = parameters[0].grad = parameters[1].grad = None
            function(x, *parameters, *running).backward(grad)

        return call

    def plain(f: Any) -> dict[str, tuple[Callable[..., Any], np.ndarray]]:
        def batch_norm(x: Any, weight: Any, bias: Any, mean: Any, var: Any) -> Any:
            return f.batch_norm(x, mean, var, weight, bias, training=True)

        def batch_norm_relu(*operands: Any) -> Any:
            return f.relu(batch_norm(*operands))

        return {
            "batch norm + ReLU + max-pool": (lambda *o: f.max_pool2d(batch_norm_relu(*o), 2), pooled),
            "batch norm + ReLU": (batch_norm_relu, values),
            "batch norm": (batch_norm, values),
            "ReLU": (lambda x, *_: f.relu(x), values),
            "max-pool": (lambda x, *_: f.max_pool2d(x, 2), pooled),
            "dropout": (lambda x, *_: f.dropout(x, 0.5), values),
        }

    fused = {
        "batch norm + ReLU + max-pool": lambda x, w, b, *_: BatchNormReLUMaxPool2d.apply(x, w, b, **norm, **pooling),
        "batch norm + ReLU": lambda x, w, b, *_: BatchNormReLU.apply(x, w, b, **norm),
    }
    size, small = values.nbytes, pooled.nbytes
    moved = {
        # forward: x twice, result; backward: gradient and x twice, gradient of x
        "batch norm + ReLU + max-pool": (2 * size + small) + 2 * (small + size) + size,
        "batch norm + ReLU": 3 * size + 2 * 3 * size + size,  # and the result, for the rectifier
        "batch norm": 3 * size + 2 * 2 * size + size,
        "ReLU": 2 * size + 3 * size,
        "max-pool": (size + small) + (small + size),
        "dropout": 2 * size + 2 * size,
    }
    cases = []
    for name, (function, cotangent) in plain(theirs).items():
        peers = {"minicnn": own(fused.get(name) or plain(ours)[name][0], cotangent)}
        if name in fused:
            peers["minicnn, one operation at a time"] = own(plain(ours)[name][0], cotangent)
        peers["torch"] = torch_peer(function, cotangent, False)
        peers["torch, channels_last"] = torch_peer(function, cotangent, True)
        cases.append(Case(f"{name} {'x'.join(map(str, shape))}", peers, moved[name]))
    return cases


def adam_case(mc: Any, torch: Any) -> Case:
    """One update of the MNIST CNN's parameters, 1.6 million numbers in layers of very different sizes."""
    shapes = [tuple(p.shape) for p in mc.models.mnist_cnn().parameters()]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]

    def stepper(framework: Any, **options: Any) -> Callable[[], Any]:
        parameters = [framework.from_numpy(a.copy()).requires_grad_() for a in arrays]
        for p, a in zip(parameters, arrays, strict=True):
            p.grad = framework.from_numpy(a.copy())
        return framework.optim.Adam(parameters, lr=1e-3, **options).step

    peers = {"minicnn": stepper(mc), "torch": stepper(torch), "torch, fused=True": stepper(torch, fused=True)}
    # parameter and both averages read and written, the gradient read
    return Case(f"Adam, {sum(a.size for a in arrays):,} parameters", peers, 7 * sum(a.nbytes for a in arrays))


def copy_case() -> Case:
    """What this machine can do at best."""
    source = np.ones(SHAPES[0], np.float32)
    target = np.empty_like(source)
    return Case(
        "copy " + "x".join(map(str, SHAPES[0])), {"minicnn": lambda: np.copyto(target, source)}, 2 * source.nbytes
    )


def worker(threads: int, rounds: int, steps: int, cached: bool, only: str) -> dict[str, Any]:
    """Measure everything in this process."""
    import torch

    import minicnn as mc

    mc.set_num_threads(threads)
    torch.set_num_threads(threads)
    flushed = np.ones(FLUSHED // 8)

    def flush() -> None:
        if not cached:
            np.add(flushed, 1, out=flushed)

    cases = [copy_case(), adam_case(mc, torch)]
    for shape in SHAPES:
        cases += image_cases(mc, torch, shape)
    results = []
    for case in cases:
        if only in case.name:
            seconds = interleave(case.peers, rounds, steps, before=flush)
            peers = {name: summarise(s) for name, s in seconds.items()}
            results.append({"case": case.name, "threads": threads, "bytes": case.bytes, "peers": peers})
    return {"runs": results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--cached", action="store_true", help="leave in the caches what the last call left there")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--json")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(worker(options.threads[0], options.rounds, options.steps, options.cached, options.only)))
        return

    from rich.console import Console
    from rich.table import Table

    table = Table("operation", "threads", "peer", "median ms", "quartiles", "times minicnn's", "GB/s")
    runs: list[dict[str, Any]] = []
    for threads in options.threads:
        arguments = ["--rounds", str(options.rounds), "--steps", str(options.steps), "--only", options.only]
        runs += run_pinned(__spec__.name, threads, arguments + ["--cached"] * options.cached)["runs"]
    for run in runs:
        own = run["peers"]["minicnn"]["median_ms"]
        for peer, s in run["peers"].items():
            table.add_row(
                run["case"],
                str(run["threads"]),
                peer,
                f"{s['median_ms']:.2f}",
                f"{s['q1_ms']:.2f} to {s['q3_ms']:.2f}",
                f"{s['median_ms'] / own:.2f}",
                f"{run['bytes'] / s['median_ms'] / 1e6:.1f}",
            )
    Console(width=140).print(table)
    write_json(options.json, {"benchmark": "fused", "machine": machine(), "cached": options.cached, "runs": runs})


if __name__ == "__main__":
    main()
