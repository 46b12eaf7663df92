"""Results as tables: how many times minicnn's time each peer takes, and how far everybody is from the machine's limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from .case import COMPILED
from .noise import LIMIT
from .roofline import Peaks, floor

RATIOS = "times minicnn", "times compiled"
COLUMNS = ("case", "threads", "peer", "median", "quartiles", *RATIOS, "GFLOP/s", "GB/s", "of floor", "cores")


def console() -> Console:
    """As wide as the terminal; where there is none, wide enough."""
    made = Console()
    return made if made.is_terminal else Console(width=170)


def rows(run: dict[str, Any]) -> Iterator[list[str]]:
    """The cells of a run, a row for each peer."""
    compiled = run["peers"].get(COMPILED)
    for position, (name, peer) in enumerate(run["peers"].items()):
        ratio = peer["ratio"]
        cells = [run["case"], str(run["threads"])] if position == 0 else ["", ""]
        cells += [name, f"{number(peer['median'])} {run['unit']}", f"{number(peer['q1'])} to {number(peer['q3'])}"]
        cells += [f"{ratio['median']:.2f} ({ratio['q1']:.2f} to {ratio['q3']:.2f})"]
        cells += [f"{peer['median'] / compiled['median']:.2f}" if compiled else ""]
        yield cells + _rates(run, peer)


def _rates(run: dict[str, Any], peer: dict[str, Any]) -> list[str]:
    if run["unit"] != "ms" or not (run["flops"] or run["bytes"]):
        return ["", "", "", f"{peer['cores']:.1f}" if "cores" in peer else ""]
    seconds = peer["median"] / 1e3
    least, limit = floor(run["flops"], run["bytes"], Peaks(**run["peaks"]))
    flops = f"{run['flops'] / seconds / 1e9:.0f}" if run["flops"] else ""
    return [
        flops,
        f"{run['bytes'] / seconds / 1e9:.1f}",
        f"{100 * least / seconds:.0f} % ({limit})",
        f"{peer['cores']:.1f}",
    ]


def number(value: float) -> str:
    """Three figures or so."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def caption(runs: Iterable[dict[str, Any]]) -> str:
    """The peaks, the noise, and who is not there."""
    peaks: dict[int, dict[str, float]] = {}
    skipped: dict[str, str] = {}
    noisy, loudest = [], 0.0
    for run in runs:
        skipped |= run["skipped"]
        if "peaks" in run:
            peaks[run["threads"]] = run["peaks"]
        if "noise" in run:
            found = run["noise"]
            loudest = max(loudest, found["compute"], found["memory"])
            if found["noisy"]:
                noisy.append(f"{run['case']} ({run['threads']} threads, {found['attempts']} attempts)")
    lines = []
    for threads, p in peaks.items():
        plural = "s" * (threads > 1)
        lines.append(
            f"Peaks measured with {threads} thread{plural}: {p['gflops']:.0f} GFLOP/s, {p['gbs']:.1f} GB/s from memory."
        )
    if peaks:
        lines.append(
            f"The reference loop's spread was at most {100 * loudest:.0f} % (noisy above {100 * LIMIT:.0f} %)."
        )
    if noisy:
        lines.append("NOISY MACHINE, believe less: " + "; ".join(noisy) + ".")
    lines += [f"Skipped: {peer}, because {reason}." for peer, reason in skipped.items()]
    return "\n".join(lines)


def show(console: Console, bench: str, headline: str, runs: list[dict[str, Any]]) -> None:
    """Print a bench's table."""
    body = [list(rows(run)) for run in runs]
    used = [i for i in range(len(COLUMNS)) if i < 6 or any(line[i] for lines in body for line in lines)]
    table = Table(title=f"{bench}: {headline}", caption=caption(runs), title_justify="left", caption_justify="left")
    for i in used:
        table.add_column(COLUMNS[i], justify="left" if i in (0, 2) else "right", no_wrap=i > 0)
    for lines in body:
        for line in lines:
            table.add_row(*(line[i] for i in used), end_section=line is lines[-1])
    console.print(table)
