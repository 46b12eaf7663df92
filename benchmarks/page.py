"""Results as Markdown, for a page of the documentation: the targets, then a table for each bench."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .case import COMPILED, MINICNN
from .report import number
from .roofline import Peaks, floor
from .targets import HEADER, Row, cells


def page(documents: dict[str, dict[str, Any]], rows: Sequence[Row], headlines: dict[str, str]) -> str:
    """The whole text. documents : what ``--json`` writes, by bench."""
    parts = [where(documents.values()), table(HEADER, [cells(row) for row in rows])]
    for bench, document in documents.items():
        parts += [f"**{bench}.** {headlines[bench]}", *bench_table(document["runs"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def where(documents: Any) -> str:
    """Date, machine and versions; several, if they differ."""
    told: dict[str, None] = {}
    for document in documents:
        machine, libraries = document["machine"], document["versions"]
        text = f"{document['date']}: {machine['cpu']}, {machine['cores']} cores, {machine['system']}; "
        told[text + ", ".join(f"{name} {version}" for name, version in libraries.items())] = None
    return "Measured on " + "; on ".join(told) + "." if told else ""


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *lines))


def bench_table(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line for each case and thread count: minicnn's own times, and how many times as long the others take.

    The others are compared with the compiled version where there is one. **Bold** is what takes less time than minicnn.
    """
    if not runs:
        return
    peers = dict.fromkeys(name for run in runs for name in run["peers"])
    own = [name for name in (MINICNN, COMPILED) if name in peers]
    others = [name for name in peers if name not in own]
    floors = any(run["unit"] == "ms" for run in runs)
    header = ["case", "threads", *own, *["of floor"] * floors, *others]
    lines = []
    for run in runs:
        found = run["peers"]
        base = found[COMPILED if COMPILED in found else MINICNN]["median"]
        noisy = " (noisy)" if run.get("noise", {}).get("noisy") else ""
        line = [run["case"] + noisy, str(run["threads"])]
        line += [f"{number(found[name]['median'])} {run['unit']}" if name in found else "" for name in own]
        if floors:
            least, limit = floor(run["flops"], run["bytes"], Peaks(**run["peaks"]))
            line.append(f"{100 * least / (base / 1e3):.0f} % ({limit})")
        for name in others:
            ratio = found[name]["median"] / base if name in found else None
            line.append("" if ratio is None else f"{ratio:.2f}" if ratio >= 1 else f"**{ratio:.2f}**")
        lines.append(line)
    yield table(header, lines)
    yield limits(runs)


def limits(runs: Sequence[dict[str, Any]]) -> str:
    """The peaks and the noise."""
    peaks = {run["threads"]: run["peaks"] for run in runs if "peaks" in run}
    if not peaks:
        return ""
    told = ", ".join(f"{p['gflops']:.0f} GFLOP/s and {p['gbs']:.1f} GB/s ({threads})" for threads, p in peaks.items())
    spreads = [max(run["noise"]["compute"], run["noise"]["memory"]) for run in runs]
    return f"Peaks (threads): {told}. The reference loop's spread: at most {100 * max(spreads):.0f} %."
