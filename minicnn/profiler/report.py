"""The result of a profile: a row for each layer, what it means, as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from .peak import Peak


@dataclass(frozen=True)
class Row:
    """A layer's call (in a compiled model, and outside of any layer: an operation), in the order of the forward pass.

    Attributes
    ----------
    layer : its name in the model, ``"features.0"``; empty for the model itself.
    kind : what it is: a module's class, or an operation. shape : of its result.
    operations : how many operations it consists of.
    forward, backward : median seconds, Python's share included; ``backward`` is None in evaluation.
    flops, bytes : in both directions together; None where they are not known (``costs.py`` says how they are counted).
    """

    layer: str
    kind: str
    shape: tuple[int, ...]
    operations: int
    forward: float
    backward: float | None
    flops: int | None
    bytes: int | None

    @property
    def seconds(self) -> float:
        """Of both directions."""
        return self.forward + (self.backward or 0.0)

    def of_peak(self, peak: Peak) -> float | None:
        """How near it comes to what the machine could do (1 is all of it): the time that its arithmetic or its traffic
        would need at the peak rates, whichever takes longer, as a share of the time that it took."""
        needed = self._needed(peak)
        return None if needed is None or self.seconds <= 0 else max(needed) / self.seconds

    def bound(self, peak: Peak) -> str:
        """What keeps it from being quicker on this machine: ``"compute"``, ``"memory"`` or ``"overhead"``, whichever needs
        the longest: its arithmetic or its traffic at the peak rates, or that many operations that compute nothing. Empty
        where costs are not known."""
        needed = self._needed(peak)
        if needed is None:
            return ""
        each = peak.forward + (peak.backward if self.backward is not None else 0.0)
        floors = {"compute": needed[0], "memory": needed[1], "overhead": max(self.operations, 1) * each}
        return max(floors, key=lambda name: floors[name])

    def _needed(self, peak: Peak) -> tuple[float, float] | None:
        if self.flops is None or self.bytes is None:
            return None
        return self.flops / peak.flop_rate, self.bytes / peak.byte_rate


@dataclass(frozen=True)
class Profile:
    """What :func:`minicnn.profiler.profile` found. ``print`` shows it as a table.

    Attributes
    ----------
    model : the model's class. mode : ``"train"`` or ``"eval"``. compiled : whether its rows are those of a plan.
    inputs : the inputs' shapes. dtype : of the first. threads, repeats : how it was measured.
    step : median seconds of a whole pass (forward; in training, backward too) without the clock between the layers.
    rows : the layers. peak : what they are compared with.
    """

    model: str
    mode: str
    compiled: bool
    inputs: tuple[tuple[int, ...], ...]
    dtype: str
    threads: int
    repeats: int
    step: float
    rows: tuple[Row, ...]
    peak: Peak

    @property
    def seconds(self) -> float:
        """The sum over the rows: the step, with the clock in it."""
        return sum(row.seconds for row in self.rows)

    def share(self, row: Row) -> float:
        """A row's share of that sum."""
        return row.seconds / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """All of it as dicts, lists, numbers and text, the derived numbers too."""
        rows = [
            {
                **asdict(row),
                "shape": list(row.shape),
                "share": self.share(row),
                "of_peak": row.of_peak(self.peak),
                "bound": row.bound(self.peak),
            }
            for row in self.rows
        ]
        inputs = [list(shape) for shape in self.inputs]
        return {**self.__dict__, "inputs": inputs, "peak": self.peak._asdict(), "rows": rows}

    def to_json(self) -> str:
        """:meth:`to_dict` as JSON; seconds, bytes and flops are plain units."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        left_out = any(row.flops is None or row.bytes is None for row in self.rows)
        note = ["(the total leaves out what has a dash)"] if left_out else []
        return "\n".join([*self._heading(), "", *_aligned(self._cells()), *note])

    def _heading(self) -> list[str]:
        shapes = ", ".join("x".join(map(str, shape)) for shape in self.inputs)
        what = "forward and backward" if self.mode == "train" else "forward"
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        how = f"{self.mode}{', compiled' if self.compiled else ''}, {shapes} {self.dtype}, {threads}"
        peak = self.peak
        return [
            f"{self.model}: {how}",
            f"{what}: {1e3 * self.step:.2f} ms; with the clock between the layers {1e3 * self.seconds:.2f} ms "
            f"(medians of {self.repeats})",
            f"peak: {peak.flop_rate / 1e9:.0f} GFLOP/s (our matrix product), {peak.byte_rate / 1e9:.1f} GB/s "
            f"(a large copy), {1e6 * (peak.forward + (peak.backward if self.mode == 'train' else 0)):.0f} us an operation",
        ]

    def _cells(self) -> list[list[str]]:
        training = self.mode == "train"
        times = ["forward ms", "backward ms"] if training else ["ms"]
        header = ["layer", "kind", "result", *times, "share", "Mflop", "MB", "GFLOP/s", "GB/s", "of peak", "bound by"]
        lines = [header]
        for row in self.rows:
            of_peak = row.of_peak(self.peak)
            lines.append(
                [
                    *(row.layer, row.kind, "x".join(map(str, row.shape))),
                    *_times(row.forward, row.backward, training),
                    f"{self.share(row):.1%}",
                    *_amounts(row.flops, row.bytes, row.seconds),
                    f"{of_peak:.0%}" if of_peak else "-",
                    row.bound(self.peak) or "-",
                ]
            )
        forward, backward = sum(r.forward for r in self.rows), sum(r.backward or 0.0 for r in self.rows)
        flops, moved = ([getattr(row, name) for row in self.rows] for name in ("flops", "bytes"))
        amounts = _amounts(sum(n or 0 for n in flops), sum(n or 0 for n in moved), self.seconds)
        lines.append(
            [
                "total",
                "",
                "",
                *_times(forward, backward, training),
                "100.0%",
                *amounts,
                "",
                "",
            ]
        )
        return lines


def _times(forward: float, backward: float | None, training: bool) -> list[str]:
    return [f"{1e3 * forward:.3f}", *([f"{1e3 * (backward or 0.0):.3f}"] if training else [])]


def _amounts(flops: int | None, bytes: int | None, seconds: float) -> list[str]:
    """Amounts and rates; what is not known, and the rate of nothing, is a dash."""

    def amount(value: int | None) -> str:
        return "-" if value is None else f"{value / 1e6:.2f}"

    def rate(value: int | None) -> str:
        return f"{value / seconds / 1e9:.1f}" if value and seconds else "-"

    return [amount(flops), amount(bytes), rate(flops), rate(bytes)]


def _aligned(lines: list[list[str]]) -> list[str]:
    """Columns as wide as their widest cell: text to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    last = len(widths) - 1
    aligned = []
    for line in lines:
        cells = [
            cell.ljust(w) if i < 3 or i == last else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ]
        aligned.append("  ".join(cells).rstrip())
    return aligned
