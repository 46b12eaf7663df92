"""Loading the weights of VGG-16, 528 MiB, in a fresh process: seconds, and memory at the peak over that after the imports.

minicnn's time is that of building the network and loading the file into it; PyTorch's is ``torch.load`` and
``load_state_dict`` alone, into a network built before (and, for the memory, building it). The file is in the system's cache.
The floor of the memory is the file's size, once; a network whose parameters lie in the mapped file itself would read
no more than it uses, and change the file's pages when it trains.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from .bench_memory import resident
from .case import MINICNN, TORCH, ProcessCase, Setting
from .harness import run_pinned

PROCESSES = True
SAFETENSORS = f"{MINICNN}, safetensors"
VGG16_MIB = 528  # of the file


def write(folder: str, name: str) -> None:
    """In a process of its own: files of a network's weights as PyTorch's ``torch.save`` writes them, and safetensors."""
    import minicnn as mc

    weights = getattr(mc.models, name)().state_dict()
    for ending in ("pth", "safetensors"):
        mc.save(weights, Path(folder) / f"{name}.{ending}")


def run(peer: str, folder: str, name: str) -> tuple[float, float]:
    """In a fresh process: seconds, and MiB of memory."""
    path = Path(folder) / f"{name}.{'safetensors' if peer == SAFETENSORS else 'pth'}"
    if peer == TORCH:
        import torch

        from .torch_zoo import builder

        build = builder(name)
        before = resident()[1]
        model = build()
        start = time.perf_counter()
        model.load_state_dict(torch.load(path))
    else:
        import minicnn as mc

        build = getattr(mc.models, name)
        before = resident()[1]
        start = time.perf_counter()
        model = build(weights=path)
    return time.perf_counter() - start, resident()[0] - before


def _process(which: int, peer: str, folder: str, name: str, threads: int) -> float:
    code = f"from benchmarks.bench_weights import run; print(run({peer!r}, {folder!r}, {name!r})[{which}])"
    return run_pinned(["-W", "ignore", "-c", code], threads)


def cases(setting: Setting) -> Iterator[ProcessCase]:
    name = "squeezenet1_1" if setting.quick else "vgg16"
    with tempfile.TemporaryDirectory() as folder:
        run_pinned(
            ["-W", "ignore", "-c", f"from benchmarks.bench_weights import write; write({folder!r}, {name!r})"], 1
        )
        for which, (what, unit) in enumerate((("loading", "s"), ("memory to load", "MiB"))):
            places = (folder, name, setting.threads)
            peers = {peer: partial(_process, which, peer, *places) for peer in (MINICNN, SAFETENSORS, TORCH)}
            yield ProcessCase(f"{what} {name}", unit, peers)
