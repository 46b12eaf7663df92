"""What the tests of the documentation need to know of Markdown: fenced blocks, headings, links."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)(?P=fence)\s*$", re.M | re.S
)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)


class Block(NamedTuple):
    """A fenced block: its language (the first word behind the fence), its text, and the line its text begins at."""

    language: str
    body: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page. Directives (``{...}``) are left out."""
    for match in FENCE.finditer(text):
        language = match["info"].strip()
        if not language.startswith("{"):
            yield Block(language, match["body"], text.count("\n", 0, match.start("body")) + 1)


def without_blocks(text: str) -> str:
    """The page without its fenced blocks and `inline code`, in which nothing is a link or a heading."""
    return FENCE.sub("", text)


def links(text: str) -> list[str]:
    """The targets of all links and images."""
    return LINK.findall(without_blocks(text))


def anchors(text: str) -> set[str]:
    """The names of a page's headings, as GitHub and MyST make them."""
    return {slug(heading) for heading in HEADING.findall(without_blocks(text))}


def slug(heading: str) -> str:
    """A heading as an anchor: lower case, punctuation dropped, spaces to hyphens."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.strip().replace(" ", "-")


def pages(root: Path) -> list[Path]:
    """All the Markdown that is written for readers."""
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]
