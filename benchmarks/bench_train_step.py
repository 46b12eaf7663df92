"""One training step of the MNIST CNN (forward, loss, backward, Adam; dropout on), against PyTorch eager.

    python -m benchmarks.bench_train_step [--threads 1 2] [--batch-size 64 256] [--json FILE]

The floor at batch 64: 2.3 GFLOP a step (convolutions 1.4, linear layers 0.6, both three times over: forward and two
gradients, save the first convolution's input), so about 25 ms on one core of 100 GFLOP/s, and some 150 MB of activations,
gradients and Adam state to move.
"""

from __future__ import annotations

import argparse
import json

from .harness import interleave, machine, run_pinned, summarise, write_json


def minicnn_step(batch_size: int, threads: int, compiled: bool = False):
    """A function that takes one training step with minicnn."""
    import minicnn as mc

    mc.set_num_threads(threads)
    model = mc.models.mnist_cnn()
    return _step(mc, batch_size, mc.compile(model) if compiled else model)


def torch_step(batch_size: int, threads: int, channels_last: bool = False, compiled: bool = False):
    """A function that takes one training step with PyTorch."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    features = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2, 2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2, 2)),
    )
    classifier = (nn.Flatten(), nn.Linear(64 * 7 * 7, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10))
    model = nn.Sequential(features, *classifier)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    return _step(torch, batch_size, torch.compile(model) if compiled else model)


def _step(framework, batch_size: int, model):
    framework.manual_seed(0)
    images = framework.randn(batch_size, 1, 28, 28)
    labels = framework.randint(0, 10, (batch_size,))
    optimizer = framework.optim.Adam(model.parameters(), lr=1e-3)
    criterion = framework.nn.CrossEntropyLoss()

    def step() -> float:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def worker(batch_size: int, threads: int, rounds: int, steps: int) -> dict:
    """Measure all peers in this process."""
    peers = {
        "minicnn": minicnn_step(batch_size, threads),
        "minicnn compiled": minicnn_step(batch_size, threads, compiled=True),
        "torch eager": torch_step(batch_size, threads),
        "torch eager, channels_last": torch_step(batch_size, threads, channels_last=True),
        "torch compiled": torch_step(batch_size, threads, compiled=True),
    }
    return {name: summarise(seconds) for name, seconds in interleave(peers, rounds, steps).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch-size", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--json")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(worker(options.batch_size[0], options.threads[0], options.rounds, options.steps)))
        return

    from rich.console import Console
    from rich.table import Table

    table = Table(
        "batch", "threads", "peer", "median ms", "quartiles", "times minicnn's", title="MNIST CNN training step"
    )
    runs = []
    for batch_size in options.batch_size:
        for threads in options.threads:
            arguments = [
                "--batch-size",
                str(batch_size),
                "--rounds",
                str(options.rounds),
                "--steps",
                str(options.steps),
            ]
            result = run_pinned(__spec__.name, threads, arguments)
            runs.append({"batch_size": batch_size, "threads": threads, "peers": result})
            own = result["minicnn"]["median_ms"]
            for name, s in result.items():
                quartiles = f"{s['q1_ms']:.1f} to {s['q3_ms']:.1f}"
                ratio = f"{s['median_ms'] / own:.2f}"
                table.add_row(str(batch_size), str(threads), name, f"{s['median_ms']:.1f}", quartiles, ratio)
    Console(width=110).print(table)
    write_json(options.json, {"benchmark": "train_step", "machine": machine(), "runs": runs})


if __name__ == "__main__":
    main()
