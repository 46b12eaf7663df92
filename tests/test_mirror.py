"""The back ends mirror each other: same files, same public names, same signatures."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import minicnn_kernels
from minicnn_kernels import cpu, reference

ROOT = Path(minicnn_kernels.__file__).parent


def public_functions(source: Path) -> list[str]:
    """Names of the functions of a file that are offered to other packages: those in `__all__` of its back end."""
    offered = set(reference.__all__)
    return [
        node.name
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name in offered
    ]


def test_same_names():
    assert cpu.__all__ == reference.__all__ == sorted(reference.__all__)


@pytest.mark.parametrize("name", reference.__all__)
def test_same_signature(name):
    """Names, order, kinds, defaults and annotations of the parameters (as text: `Pair` is an alias in each file)."""
    assert str(inspect.signature(getattr(cpu, name))) == str(inspect.signature(getattr(reference, name)))


@pytest.mark.parametrize(
    "source", sorted(path.name for path in (ROOT / "reference").glob("*.py") if path.name != "__init__.py")
)
def test_same_files(source):
    """What a reference file defines is found in the file of the same name in cpu/."""
    assert sorted(public_functions(ROOT / "cpu" / source)) == sorted(public_functions(ROOT / "reference" / source))
