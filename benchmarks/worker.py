"""The process in which the peers of one bench are timed; ``__main__.py`` starts it, held to its cores.

    python -m benchmarks.worker '{"bench": "conv", "threads": 1}'

Prints one line of JSON: the runs, a record for each case.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

from . import harness, noise
from .case import Case, Setting, missing
from .registry import load


class Order(NamedTuple):
    """What is to be measured. only, names : parts of the names of cases and peers; empty for all."""

    bench: str
    threads: int = 1
    quick: bool = False
    only: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    effort: dict[str, Any] | None = None

    def takes(self, case: str) -> bool:
        return not self.only or any(part in case for part in self.only)


def select(peers: Iterable[str], wanted: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """The peers that run, and why others do not. What the others are compared with, the first, always runs."""
    first, *others = peers
    parts = tuple(wanted)
    others = [name for name in others if not parts or any(part in name for part in parts)]
    skipped = {name: reason for name in others if (reason := missing(name))}
    return [first, *(name for name in others if name not in skipped)], skipped


def measure(case: Case, order: Order, reference: noise.Reference, peaks: Any) -> dict[str, Any]:
    """The record of one case."""
    names, skipped = select(case.peers, order.peers)
    calls = {name: case.calls(name, cached=order.quick) for name in names}
    effort = harness.Effort(**order.effort) if order.effort else harness.QUICK if order.quick else harness.Effort()
    peers, found = harness.interleave(calls, effort, reference)
    summary = harness.summarise({name: peer.rounds for name, peer in peers.items()})
    for name, peer in peers.items():
        summary[name]["cores"] = peer.cores
    return record(order, case, "ms", summary, skipped) | {"noise": found, "peaks": peaks._asdict()}


def record(order: Order, case: Any, unit: str, summary: dict[str, Any], skipped: dict[str, str]) -> dict[str, Any]:
    """What is written into the JSON of a case."""
    fixed = {"bench": order.bench, "case": case.name, "threads": order.threads, "unit": unit}
    return fixed | {"flops": case.flops, "bytes": float(case.bytes), "peers": summary, "skipped": skipped}


def main(text: str) -> list[dict[str, Any]]:
    """All runs of an order, one case after the other: the operands of one are gone before the next."""
    order = Order(**json.loads(text))
    import minicnn_kernels.threads

    from . import peaks

    minicnn_kernels.threads.set_num_threads(order.threads)
    if missing("torch") is None:
        import torch

        torch.set_num_threads(order.threads)
    limits = peaks.measure(order.threads, order.quick)
    reference = noise.Reference(order.threads)
    cases = load(order.bench).cases(Setting(order.threads, order.quick))
    return [measure(case, order, reference, limits) for case in cases if order.takes(case.name)]


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the peers' remarks about themselves
    print(json.dumps(main(sys.argv[1])))
