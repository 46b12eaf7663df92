"""``minicnn inspect``: what is in a file of weights, without running anything in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def inspect(
    file: Annotated[Path, typer.Argument(help="A .pth, .pt or .safetensors file.", metavar="FILE")],
    check_crc: Annotated[bool, typer.Option(help="Compare the check sums of a zip archive.")] = True,
) -> None:
    """List a file's tensors, what its pickle names, and which ready-made model it fits. Nothing in it is run."""
    from ..models.matching import best_matches
    from ..weights.describe import describe, norm, worth_reading

    found = describe(file, check_crc)
    kinds = {"zip": "PyTorch, zip archive", "legacy": "PyTorch, before 1.6", "safetensors": "safetensors"}
    print(f"{file}: {kinds[found.kind]}, {found.size / 2**20:.2f} MiB")
    if found.globals:
        print(f"names in the pickle: {', '.join(name[:100] for name in found.globals[:50])}")
    for key, value in list(found.metadata.items())[:50]:
        print(f"metadata {key[:100]}: {value[:200]}")
    if found.error is not None:
        raise found.error
    read = worth_reading(found)
    rows = [
        (
            *(name, str(tuple(t.shape)), t.dtype.name, f"{t.numel() * t.element_size() / 1024:.1f} KiB"),
            f"{norm(t):.6g}" if read else "not computed",
        )
        for name, t in found.tensors.items()
    ]
    table = [("tensor", "shape", "type", "size", "norm"), *rows]
    widths = [max(len(row[i]) for row in table) for i in range(5)]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for name, text in found.others.items():
        print(f"{name}: {text}")
    numbers = sum(t.numel() for t in found.tensors.values())
    print(f"{len(found.tensors)} tensors, {numbers:,} numbers, {len(found.others)} other values")
    for match in best_matches(found.state_dict()):
        differs = f"; another shape: {', '.join(match.other_shapes[:4])}" if match.other_shapes else ""
        print(f"fits {match.name}: {match.share:.1%} of the keys and shapes{differs}")
