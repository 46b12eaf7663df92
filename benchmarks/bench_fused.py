"""Operations that are bound by memory, forward and backward, against PyTorch eager, row-major and channels_last.

    python -m benchmarks.bench_fused [--threads 1 2] [--json FILE]

Every call takes the next of so many copies of its operands that they fit no cache: as in a training step, the data of a
call come from memory, while its code stays warm. GB/s counts the bytes that the best known sequence of passes has to
move (batch norm: x for the statistics and once more for the result, and both again with the gradient), for all peers
alike: compare it with what ``copy`` reaches, which is the machine's limit.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .harness import interleave, machine, run_pinned, summarise, write_json

SHAPES = ((64, 32, 28, 28), (64, 64, 14, 14), (8, 64, 112, 112))
UNCACHED = 96 << 20  # bytes: several times the last-level cache of common machines


class Case(NamedTuple):
    """One row block of the table: peers to call, and the bytes that must be moved."""

    name: str
    peers: dict[str, Callable[[], Any]]
    bytes: int


def in_turn(make: Callable[[], Callable[[], Any]], nbytes: int, cached: bool) -> Callable[[], Any]:
    """Calls made alike, each with operands of nbytes of its own, taken in turn."""
    calls = itertools.cycle([make() for _ in range(1 if cached else -(-UNCACHED // nbytes))])
    return lambda: next(calls)()


def image_cases(mc: Any, torch: Any, shape: tuple[int, int, int, int], cached: bool) -> Iterator[Case]:
    """The operations on one image batch, one after the other: the copies of one are gone before the next."""
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
            function(x, *parameters, *running).backward(grad)
            x.grad = parameters[0].grad = parameters[1].grad = None

        return call

    def torch_peer(function: Callable[..., Any], cotangent: np.ndarray, last: bool) -> Callable[[], Any]:
        order = torch.channels_last if last else torch.contiguous_format
        x = torch.from_numpy(values).clone(memory_format=order).requires_grad_()
        parameters = [torch.ones(c, requires_grad=True), torch.zeros(c, requires_grad=True)]
        running = torch.zeros(c), torch.ones(c)
        grad = torch.from_numpy(cotangent).clone(memory_format=order)

        def call() -> None:
            function(x, *parameters, *running).backward(grad)
            x.grad = parameters[0].grad = parameters[1].grad = None

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
    for name, (function, cotangent) in plain(theirs).items():
        makers = {"minicnn": partial(own, fused.get(name) or plain(ours)[name][0], cotangent)}
        if name in fused:
            makers["minicnn, one operation at a time"] = partial(own, plain(ours)[name][0], cotangent)
        makers["torch"] = partial(torch_peer, function, cotangent, False)
        makers["torch, channels_last"] = partial(torch_peer, function, cotangent, True)
        peers = {peer: in_turn(make, size, cached) for peer, make in makers.items()}
        yield Case(f"{name} {'x'.join(map(str, shape))}", peers, moved[name])


def adam_case(mc: Any, torch: Any, cached: bool) -> Case:
    """One update of the MNIST CNN's parameters, 1.6 million numbers in layers of very different sizes."""
    shapes = [tuple(p.shape) for p in mc.models.mnist_cnn().parameters()]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]

    def stepper(framework: Any, **options: Any) -> Callable[[], Any]:
        parameters = [framework.from_numpy(a.copy()).requires_grad_() for a in arrays]
        for p, a in zip(parameters, arrays, strict=True):
            p.grad = framework.from_numpy(a.copy())
        return framework.optim.Adam(parameters, lr=1e-3, **options).step

    size = sum(a.nbytes for a in arrays)
    makers = {
        "minicnn": partial(stepper, mc),
        "torch": partial(stepper, torch),
        "torch, fused=True": partial(stepper, torch, fused=True),
    }
    peers = {peer: in_turn(make, 4 * size, cached) for peer, make in makers.items()}
    # parameter and both averages read and written, the gradient read
    return Case(f"Adam, {size // 4:,} parameters", peers, 7 * size)


def copy_case(cached: bool) -> Case:
    """What this machine can do at best."""

    def copier() -> Callable[[], Any]:
        source, target = np.ones(SHAPES[0], np.float32), np.empty(SHAPES[0], np.float32)
        return lambda: np.copyto(target, source)

    size = 2 * 4 * math.prod(SHAPES[0])
    return Case("copy " + "x".join(map(str, SHAPES[0])), {"minicnn": in_turn(copier, size, cached)}, size)


def worker(threads: int, rounds: int, steps: int, cached: bool, only: str) -> dict[str, Any]:
    """Measure everything in this process."""
    import torch

    import minicnn as mc

    mc.set_num_threads(threads)
    torch.set_num_threads(threads)
    makers: list[Callable[[], Iterable[Case]]] = [lambda: [copy_case(cached), adam_case(mc, torch, cached)]]
    makers += [partial(image_cases, mc, torch, shape, cached) for shape in SHAPES]
    results = []
    for make in makers:
        for case in make():
            if only in case.name:
                peers = {name: summarise(s) for name, s in interleave(case.peers, rounds, steps).items()}
                results.append({"case": case.name, "threads": threads, "bytes": case.bytes, "peers": peers})
    return {"runs": results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--cached", action="store_true", help="one copy of the operands: small ones stay in the caches")
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
