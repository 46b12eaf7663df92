"""What lies in the repository: the top-level folders, and nothing that belongs to one machine only.

Looks at the files that git tracks, so it is skipped in an unpacked source distribution.
"""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "benchmarks",
    "docs",
    "kernels",
    "minicnn",
    "pyproject.toml",
    "tests",
}
SUFFIXES = {".py", ".pyi", ".typed", ".md", ".toml", ".json", ".jsonl", ".csv", ".svg", ".png", ".gz", ".css", ".html"}
NO_SUFFIX = {"LICENSE", ".gitignore", "run", "Makefile"}
BINARY = {".png", ".gz"}
MEBIBYTE = 2**20

# Written in pieces, so that this file does not find itself.
MACHINE_BOUND = {
    "an absolute path of one machine": re.compile(
        r"(?<![\w.])/(?:" + "|".join(["wor" + "k", "ro" + "ot", "ho" + "me"]) + r")/\w"
    ),
    "a temporary folder by name": re.compile(r"(?<![\w.])/t" + r"mp/"),
    "a package index of one machine": re.compile(r"(?:--)?(?:extra-)?index-" + r"url\b|file:" + r"//"),
    "an address of a private network": re.compile(
        r"\b(?:10\.\d+|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d+" + r"\.\d+\b"
    ),
    "a conflict left by a merge": re.compile(r"^(?:<<<<<<<|>>>>>>>) ", re.MULTILINE),
}


def tracked() -> list[str]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("needs git")
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_top_level_is_what_a_newcomer_was_promised():
    assert {name.split("/")[0] for name in tracked()} <= TOP_LEVEL


def test_no_stray_files():
    stray = [name for name in tracked() if Path(name).suffix not in SUFFIXES and Path(name).name not in NO_SUFFIX]
    assert not stray, f"what are these? {stray}"


def test_no_large_files():
    large = {name: (ROOT / name).stat().st_size for name in tracked() if (ROOT / name).stat().st_size > 2 * MEBIBYTE}
    assert not large


def test_nothing_of_one_machine():
    found = []
    for name in tracked():
        if Path(name).suffix in BINARY:
            continue
        text = (ROOT / name).read_text(encoding="utf-8")
        for what, pattern in MACHINE_BOUND.items():
            for match in pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{name}:{line}: {what}: {match.group()}")
    assert not found, "\n".join(found)


def test_kernels_folder_is_no_package():
    """An installed top-level ``kernels`` would collide with others: the import name is ``minicnn_kernels``."""
    assert not (ROOT / "kernels" / "__init__.py").exists()
