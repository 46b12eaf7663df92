"""Measuring whole processes: each peer starts a fresh one, in turns; the number is its wall-clock time or what it prints."""

from __future__ import annotations

from typing import Any

from .case import Setting
from .harness import summarise
from .registry import load
from .worker import Order, record, select


def measure(order: Order) -> list[dict[str, Any]]:
    """The records of a bench whose cases are ``ProcessCase``."""
    runs = []
    for case in load(order.bench).cases(Setting(order.threads, order.quick)):
        if not order.takes(case.name):
            continue
        names, skipped = select(case.peers, order.peers)
        numbers: dict[str, list[list[float]]] = {name: [] for name in names}
        for _ in range(1 if order.quick else case.rounds):
            for name in names:
                numbers[name].append([case.peers[name]()])
        runs.append(record(order, case, case.unit, summarise(numbers, scale=1), skipped))
    return runs
