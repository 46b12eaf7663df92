"""``python -m benchmarks``: all benches, or those named; ratios to every peer that is installed.

python -m benchmarks                                every bench, with 1 and with 2 threads
python -m benchmarks conv train_step --threads 2    these
python -m benchmarks targets --markdown FILE        what the targets need, and whether they are met
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from rich.table import Table

from . import page, processes, report, targets
from .harness import run_pinned
from .machine import machine, today, versions
from .registry import BENCHES, headline, load
from .worker import Order

TARGETS = "targets"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bench", nargs="*", help=f"{', '.join(BENCHES)}, or {TARGETS}; without any: all")
    parser.add_argument("--list", action="store_true", help="say what each bench measures, and end")
    parser.add_argument("--threads", type=int, nargs="+", default=None, help="thread counts (1 2, if there are cores)")
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="cases whose names contain one of these")
    parser.add_argument("--peers", nargs="+", default=[], metavar="TEXT", help="peers whose names contain one of these")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of all peers in turns")
    parser.add_argument("--attempts", type=int, default=3, help="how often a noisy measurement is made, at most")
    parser.add_argument("--quick", action="store_true", help="tiny shapes: shows that all works, measures nothing")
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="write FOLDER/BENCH.json for each bench")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="measure nothing, read what --json wrote")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables, the targets first")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.bench if name not in (*BENCHES, TARGETS)]
    if unknown:
        parser.error(f"there is no bench {unknown[0]!r}; choose from {', '.join(BENCHES)}, {TARGETS}")
    return options


def measure(bench: str, options: argparse.Namespace, only: tuple[str, ...]) -> list[dict[str, Any]]:
    """The runs of one bench, for all thread counts."""
    effort = None if options.quick else {"rounds": options.rounds, "attempts": options.attempts}
    runs = []
    for threads in options.threads:
        order = Order(bench, threads, options.quick, only, tuple(options.peers), effort)
        if getattr(load(bench), "PROCESSES", False):
            runs += processes.measure(order)
        else:
            runs += run_pinned(["-m", f"{__package__}.worker", json.dumps(order._asdict())], threads)
    return runs


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    console = report.console()
    if options.list:
        for name in BENCHES:
            console.print(f"[bold]{name}[/bold]  {headline(name)}")
        return
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    options.threads = options.threads or [n for n in (1, 2) if n <= cores]
    runs: list[dict[str, Any]] = []
    documents = {}
    for bench, only in chosen(options).items():
        if options.results:
            path = options.results / f"{bench}.json"
            if not path.exists():
                continue
            document = json.loads(path.read_text())
        else:
            found = measure(bench, options, only)
            document = {"benchmark": bench, "quick": options.quick, "date": today(), "threads": options.threads}
            document |= {"machine": machine(), "versions": versions(), "runs": found}
        documents[bench] = document
        runs += document["runs"]
        report.show(console, bench, headline(bench), document["runs"])
        if options.json:
            options.json.mkdir(parents=True, exist_ok=True)
            (options.json / f"{bench}.json").write_text(json.dumps(document, indent=1) + "\n")
    if TARGETS in options.bench or not options.bench or options.markdown:
        rows = targets.assess(runs)
        console.print(targets.table(rows, Table))
        if options.markdown:
            headlines = {bench: headline(bench) for bench in documents}
            options.markdown.write_text(page.page(documents, rows, headlines))


def chosen(options: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """The benches to run, and of each the cases; none means all."""
    named = [name for name in options.bench if name != TARGETS]
    if not options.bench:
        named = list(BENCHES)
    benches = dict.fromkeys(named, tuple(options.only))
    if TARGETS in options.bench:
        benches = {bench: cases for bench, cases in targets.needed().items() if bench not in benches} | benches
    return benches


if __name__ == "__main__":
    main()
