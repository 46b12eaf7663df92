"""How long until the first training step is done, in a fresh process, beside PyTorch's own start.

    python -m benchmarks.bench_start_up [--json FILE]

For minicnn with an empty compile cache (the very first run) and with a filled one; and imports beside
``import numpy``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from .harness import machine, write_json

_STEP = "from benchmarks.bench_train_step import {peer}_step as make; make({arguments})()"
MINICNN = _STEP.format(peer="minicnn", arguments="64, 2")
TORCH = _STEP.format(peer="torch", arguments="64, 2")


def seconds(code: str, cache: str | None = None) -> float:
    """Wall-clock time of a fresh interpreter that runs ``code``."""
    environment = dict(os.environ)
    if cache is not None:
        environment["MINICNN_CACHE_DIR"] = cache
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return time.perf_counter() - start


def median(code: str, repeats: int, cache: str | None = None) -> float:
    return statistics.median(seconds(code, cache) for _ in range(repeats))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    for code in (MINICNN, TORCH):
        seconds(code)  # fills the disk cache of the operating system
    empty = []
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            empty.append(seconds(MINICNN, folder))
    with tempfile.TemporaryDirectory() as folder:
        seconds(MINICNN, folder)
        rows = {
            "minicnn, first step, empty cache": statistics.median(empty),
            "minicnn, first step, filled cache": median(MINICNN, options.repeats, folder),
            "torch, first step": median(TORCH, options.repeats),
            "import minicnn": median("import minicnn", options.repeats),
            "import numpy": median("import numpy", options.repeats),
            "import torch": median("import torch", options.repeats),
            "python alone": median("pass", options.repeats),
        }

    from rich.console import Console
    from rich.table import Table

    table = Table("what", "seconds", title="from starting Python to done")
    for name, value in rows.items():
        table.add_row(name, f"{value:.2f}")
    Console(width=80).print(table)
    write_json(options.json, {"benchmark": "start_up", "machine": machine(), "seconds": rows})


if __name__ == "__main__":
    main()
