"""Training and single operations in a loop, for somebody outside who counts this process' threads: run as a script.

A line ``KIND THREADS`` on standard input starts a kind of work with so many threads; ``ready`` comes back when all of it has
run once, and it goes on until the next line comes. The kinds are the keys of WORK.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue

import numpy  # noqa: F401 (for the threads that its BLAS starts)

AFTER_NUMPY = os.listdir("/proc/self/task")  # this thread, and those that NumPy's BLAS has started

import minicnn as mc  # noqa: E402
from minicnn.nn import functional as F  # noqa: E402
from minicnn.nn.utils import clip_grad_norm_  # noqa: E402
from minicnn_kernels import threads, use_backend  # noqa: E402
from tests.helpers.training import MODELS, batch, build, steps  # noqa: E402


def training(compiled: bool) -> Callable[[], None]:
    """A function that does a step of every model, in both dtypes."""
    runs = []
    for dtype in (mc.float32, mc.float64):
        for name in MODELS:
            model = build(name, dtype)
            images, labels = batch(name, dtype, n=32)
            runs.append(steps(mc.compile(model) if compiled else model, images, labels, 1_000_000))
    return lambda: [next(run) for run in runs] and None


def operations() -> None:
    """What the models do not use, large enough that a BLAS would wake its threads: products, norms, reductions."""
    for dtype in (mc.float32, mc.float64):
        a, b = mc.ones(301, 257, dtype=dtype), mc.ones(257, 403, dtype=dtype)
        (a @ b).sum()
        (a[:1] @ b).mean()  # a row
        (a @ b[:, 0]).sum()  # a vector
        a.reshape(-1) @ a.reshape(-1)
        (b.T @ a.T)[::2].std()
        (mc.ones(3, 67, 65, dtype=dtype) @ mc.ones(3, 65, 71, dtype=dtype)).max(dim=1)
        weight = mc.ones(64, 64, 3, 3, dtype=dtype, requires_grad=True)
        for name in ("im2col", "direct", "winograd"):
            with mc.conv_algorithm(name):
                F.conv2d(mc.ones(2, 64, 15, 13, dtype=dtype), weight, padding=1).sum().backward()
        clip_grad_norm_([weight], 1.0)
        a.softmax(dim=1).log().var(dim=0).argmax()


def blas() -> None:
    """The reference back end multiplies with NumPy."""
    a = mc.ones(700, 700)
    with use_backend("reference"):
        (a @ a).sum()


def main() -> None:
    work = {"eager": training(False), "compiled": training(True), "operations": operations, "blas": blas}
    orders: SimpleQueue[str] = SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            orders.put(line)
        orders.put("")

    threading.Thread(target=listen, daemon=True).start()
    print(*AFTER_NUMPY, flush=True)
    while order := orders.get():
        kind, n_threads = order.split()
        threads.set_num_threads(int(n_threads))
        work[kind]()
        print("ready", flush=True)
        while orders.empty():
            work[kind]()


if __name__ == "__main__":
    main()
