"""Keep the links to lines of the sources right: ``python docs/line_links.py`` mends those that have moved.

A link such as ``[`class Conv2d(Op)`](../minicnn/ops/conv.py#L28)`` quotes a piece of the line that it leads to, which no
other line of the file has. When the file changes, the quotation says where the line is now.
``tests/docs/test_links.py`` fails while a link is out of date.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[`([^`]+)`\]\(([\w./-]+)#L(\d+)\)")


class LineLink(NamedTuple):
    """A link that quotes a line: where it stands, what it quotes, where it leads, and where it should lead."""

    page: Path
    start: int
    end: int
    quotation: str
    target: Path
    line: int
    right_line: int | None


def pages() -> list[Path]:
    """All the Markdown that is written for readers."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def line_links(page: Path) -> Iterator[LineLink]:
    """The links of a page to lines. ``right_line`` is the one line with the quotation; None where there is not just one."""
    for match in LINK.finditer(page.read_text(encoding="utf-8")):
        quotation, path, number = match[1], match[2], int(match[3])
        target = (page.parent / path).resolve()
        lines = target.read_text(encoding="utf-8").splitlines() if target.is_file() else []
        found = [i for i, line in enumerate(lines, start=1) if quotation in line]
        right = found[0] if len(found) == 1 else None
        yield LineLink(page, match.start(), match.end(), quotation, target, number, right)


def mend() -> list[str]:
    """Correct the line numbers; returns what could not be mended."""
    lost = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for link in reversed(list(line_links(page))):
            if link.right_line is None:
                lost.append(f"{page.name}: `{link.quotation}` is in none or several lines of {link.target}")
            elif link.right_line != link.line:
                old = text[link.start : link.end]
                new = old.replace(f"#L{link.line})", f"#L{link.right_line})")
                text = text[: link.start] + new + text[link.end :]
                print(f"{page.name}: `{link.quotation}` is at line {link.right_line} now, not {link.line}")
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
    return lost


if __name__ == "__main__":
    raise SystemExit("\n".join(mend()) or 0)
