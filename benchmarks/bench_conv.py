"""Convolutions alone: forward and both gradients, each algorithm, against PyTorch eager in NCHW and channels_last.

    python -m benchmarks.bench_conv [--threads 1 2] [--only NAME ...] [--algorithms auto im2col ...] [--json FILE]

The floor of a direct algorithm is the multiply-add units: about 110 GFLOP/s a core of the machine this was written on.
GFLOP/s are those of the direct sum, so Winograd's may lie above the peak. One channel is bound by memory instead.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from .harness import interleave, machine, run_pinned, summarise, write_json

# n, c_in, c_out, size, kernel, stride, padding, groups
SHAPES = {
    "3x3, 64 channels, 56x56": (8, 64, 64, 56, 3, 1, 1, 1),
    "3x3, 128 channels, 28x28": (8, 128, 128, 28, 3, 1, 1, 1),
    "3x3, 256 channels, 14x14": (8, 256, 256, 14, 3, 1, 1, 1),
    "MNIST CNN, first": (64, 1, 32, 28, 3, 1, 1, 1),
    "MNIST CNN, second": (64, 32, 64, 14, 3, 1, 1, 1),
    "1x1, 64 -> 256, 56x56": (8, 64, 256, 56, 1, 1, 0, 1),
    "3x3 stride 2, 64 -> 128": (8, 64, 128, 56, 3, 2, 1, 1),
    "7x7 stride 2, 3 -> 64": (8, 3, 64, 112, 7, 2, 3, 1),
    "5x5, 32 channels, 28x28": (8, 32, 32, 28, 5, 1, 2, 1),
    "3x3, 4 groups of 16": (8, 64, 64, 28, 3, 1, 1, 4),
    "3x3 depthwise, 64, 56x56": (8, 64, 64, 56, 3, 1, 1, 64),
}
PARTS = ("forward", "grad input", "grad weight")


def flops(n: int, c_in: int, c_out: int, size: int, kernel: int, stride: int, padding: int, groups: int) -> float:
    """Operations of one of the three parts, by the direct sum."""
    out = (size + 2 * padding - kernel) // stride + 1
    return 2.0 * n * out * out * c_out * (c_in // groups) * kernel * kernel


def peers_of(shape: tuple[int, ...], threads: int, algorithms: list[str]) -> dict[str, dict[str, Callable[[], object]]]:
    """For each part: the functions to time."""
    import numpy as np
    import torch

    from minicnn_kernels import cpu
    from minicnn_kernels.threads import set_num_threads

    set_num_threads(threads)
    torch.set_num_threads(threads)
    n, c_in, c_out, size, kernel, stride, padding, groups = shape
    out = (size + 2 * padding - kernel) // stride + 1
    rng = np.random.default_rng(0)
    x, grad = (
        rng.standard_normal((n, s, s, c), np.float32).transpose(0, 3, 1, 2) for s, c in ((size, c_in), (out, c_out))
    )
    weight = rng.standard_normal((c_out, c_in // groups, kernel, kernel), np.float32)
    bias = np.zeros(c_out, np.float32)
    window = (stride,) * 2, (padding,) * 2, (1, 1), groups
    peers: dict[str, dict[str, Callable[[], object]]] = {part: {} for part in PARTS}
    for name in algorithms:
        try:
            cpu.conv2d_forward(x, weight, bias, *window, name)
        except ValueError:  # Winograd where it cannot
            continue
        arguments = (*window, name)
        peers["forward"][name] = lambda a=arguments: cpu.conv2d_forward(x, weight, bias, *a)
        peers["grad input"][name] = lambda a=arguments: cpu.conv2d_backward_input(grad, weight, x.shape, *a)
        peers["grad weight"][name] = lambda a=arguments: cpu.conv2d_backward_weight(grad, x, weight.shape, *a)
    torch_bias = torch.from_numpy(bias)
    for name, order in (("torch", torch.contiguous_format), ("torch channels_last", torch.channels_last)):
        tensors = [torch.from_numpy(np.ascontiguousarray(a)).contiguous(memory_format=order) for a in (x, weight, grad)]

        def forward(x=tensors[0], weight=tensors[1], bias=torch_bias) -> object:
            with torch.no_grad():
                return torch.nn.functional.conv2d(x, weight, bias, stride, padding, 1, groups)

        def backward(mask: list[bool], x=tensors[0], weight=tensors[1], grad=tensors[2]) -> object:
            settings = ([c_out], *map(list, window[:3]), False, [0, 0], groups, mask)
            return torch.ops.aten.convolution_backward(grad, x, weight, *settings)

        peers["forward"][name] = forward
        peers["grad input"][name] = lambda run=backward: run([True, False, False])
        peers["grad weight"][name] = lambda run=backward: run([False, True, False])
    return peers


def worker(name: str, threads: int, algorithms: list[str], rounds: int, steps: int) -> dict:
    """Measure one shape in this process."""
    peers = peers_of(SHAPES[name], threads, algorithms)
    return {
        part: {peer: summarise(seconds) for peer, seconds in interleave(functions, rounds, steps, pause=0.05).items()}
        for part, functions in peers.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--algorithms", nargs="+", default=["auto", "im2col", "direct", "winograd"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--json")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(
            json.dumps(worker(options.only[0], options.threads[0], options.algorithms, options.rounds, options.steps))
        )
        return

    from rich.console import Console
    from rich.table import Table

    table = Table("shape", "threads", "peer", *PARTS, "all ms", "times auto", title="convolution, ms (GFLOP/s)")
    runs = []
    for name in options.only:
        for threads in options.threads:
            arguments = ["--only", name, "--rounds", str(options.rounds), "--steps", str(options.steps)]
            result = run_pinned(__spec__.name, threads, [*arguments, "--algorithms", *options.algorithms])
            runs.append({"shape": name, "threads": threads, "parts": result})
            own = sum(result[part]["auto"]["median_ms"] for part in PARTS) if "auto" in options.algorithms else None
            for peer in result["forward"]:
                times = [result[part][peer]["median_ms"] for part in PARTS]
                cells = [f"{t:.2f} ({flops(*SHAPES[name]) / t / 1e6:.0f})" for t in times]
                ratio = f"{sum(times) / own:.2f}" if own else ""
                table.add_row(name, str(threads), peer, *cells, f"{sum(times):.2f}", ratio)
    Console(width=130).print(table)
    write_json(options.json, {"benchmark": "conv", "machine": machine(), "runs": runs})


if __name__ == "__main__":
    main()
