"""The shapes in the sources use the letters of docs/notation.md, and no others."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ["kernels/minicnn_kernels", "minicnn/ops", "minicnn/nn", "minicnn/models", "minicnn/data", "minicnn/training"]
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
# A shape begins with the batch, or with the groups: "x (n, c_in, h, w)", not the arguments of "f(n, m)".
SHAPE = re.compile(r"(?<![\w.\])])\(((?:n|groups|chunks|kh\*kw), [\w*/+.\- ,]+)\)")
# Words that say by themselves what they count.
PLAIN_WORDS = {"pixels", "chunks", "blocks", "lanes", "taps", "tiles", "points", "windows", "panels", "columns"}
PLAIN_WORDS |= {"hidden", "padded", "h_padded", "w_padded"}
PLAIN_WORDS |= {"places", "positions", "axes", "size"}  # of what may have one, two or three dimensions
PLAIN_WORDS |= {"steps", "states", "longest", "features", "depth", "m"}  # of sequences; values that are averaged


def glossary() -> set[str]:
    """The letters and words in the first columns of the tables."""
    text = (ROOT / "docs" / "notation.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return {word for cell in cells for code in re.findall(r"`([^`]+)`", cell) for word in re.findall(r"\w+", code)}


def described_shapes(text: str) -> list[str]:
    """Shapes in comments and docstrings (a shape in the code is a tuple of variables, which have names of their own)."""
    comments = re.findall(r"#.*", text)
    docstrings = re.findall(r'"""(.*?)"""', text, flags=re.DOTALL)
    return [shape for part in comments + docstrings for shape in SHAPE.findall(part)]


@pytest.mark.parametrize("path", SOURCES, ids=[path.relative_to(ROOT).as_posix() for path in SOURCES])
def test_letters_are_in_the_glossary(path):
    known = glossary() | PLAIN_WORDS
    unknown = {
        f"{letter} in ({shape})"
        for shape in described_shapes(path.read_text(encoding="utf-8"))
        for size in shape.split(",")
        if " of " not in size  # said in words
        for letter in re.findall(r"[A-Za-z_]\w*", size)
        if letter not in known
    }
    assert not unknown, "explain it in docs/notation.md, or use the letter that is there: " + "; ".join(sorted(unknown))


def test_many_shapes_are_read():
    found = [shape for path in SOURCES for shape in described_shapes(path.read_text(encoding="utf-8"))]
    assert len(found) > 100
