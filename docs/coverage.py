"""Write the page that lists every name of torch: the same here, different (how), or not there (what instead).

``python docs/coverage.py`` looks at both frameworks and writes ``docs/torch_coverage.md``; ``tests/docs/test_coverage.py``
fails while the page is out of date. What differs is told in ``tests/helpers/surface.py``; whatever is neither there nor
explained in ``minicnn/absent.py`` is an error. Needs PyTorch, from the ``test`` extra.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

from minicnn import absent  # noqa: E402
from tests.helpers.surface import BEHAVIOUR, SIGNATURES, Group, groups  # noqa: E402

PAGE = ROOT / "docs" / "torch_coverage.md"


INTRODUCTION = """# What of torch is there

Every public name of `torch`, `torch.Tensor`, `torch.nn`, `torch.nn.functional`, `torch.optim` and their companions
in torch 2.13, and how it stands here. This page is made by `docs/coverage.py` from both frameworks, and a test keeps
it up to date.

- **The same**: the signature accepts each call that torch's overloads accept (names, order, defaults), and tests compare
  results, types, gradients and errors with PyTorch's.
- **Differs**: it is there, with the difference named.
- **Not there**: asking for it raises an error that says what to use instead, which is what the table repeats.

What holds throughout: `float32`, `float64`, `bool` and the integer types `uint8` to `int64`; no complex, half-precision,
sparse or quantised tensors; the CPU; no gradients of gradients (`create_graph=True` raises).
"""


def explain(name: str) -> str | None:
    """What to use instead of a name that is not there."""
    return absent.instead(name) or absent.instead(name.rstrip("_"))


def section(group: Group) -> list[str]:
    """The lines of one group."""
    differences = {**SIGNATURES, **BEHAVIOUR}
    notes = {name: how for name in group.names if (how := differences.get(f"{group.title}.{name}"))}
    same, differs, missing = [], [], []
    for name, _, ours in group:
        if ours is None:
            missing.append(name)
        elif name in notes:
            differs.append(name)
        else:
            same.append(name)
    lines = [f"## {group.title}", ""]
    lines += [f"{len(same)} the same, {len(differs)} different, {len(missing)} not there.", ""]
    if same:
        lines += ["**The same**: " + ", ".join(f"`{name}`" for name in same) + ".", ""]
    if differs:
        lines += ["| differs | how |", "| --- | --- |", *(f"| `{name}` | {notes[name]} |" for name in differs), ""]
    by_reason: dict[str, list[str]] = {}
    for name in missing:
        reason = explain(name)
        if reason is None:
            raise SystemExit(
                f"{group.title}.{name} is not there, and minicnn/absent.py does not say what to use instead"
            )
        by_reason.setdefault(reason, []).append(name)
    if missing:
        lines += ["| not there | instead |", "| --- | --- |"]
        lines += [f"| {', '.join(f'`{name}`' for name in names)} | {reason} |" for reason, names in by_reason.items()]
        lines += [""]
    return lines


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *(line for group in groups() for line in section(group))]).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
