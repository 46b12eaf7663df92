"""The layers of the house: an import only ever points down. Read from the sources with `ast`, not by running them.

Imports inside functions count as well: a lazy import saves time at the start, but it is knowledge of another layer all
the same. What a room may know and why is in ``docs/architecture.md``.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {"minicnn": ROOT / "minicnn", "minicnn_kernels": ROOT / "kernels" / "minicnn_kernels"}

# From the top down. "minicnn" by itself is the front door, minicnn/__init__.py: what it gathers lies below it.
LAYERS = [
    {"minicnn.cli", "minicnn.__main__"},
    {"minicnn.training", "minicnn.verify", "minicnn.inspect"},
    {"minicnn.transfer", "minicnn.distributed"},
    {"minicnn"},
    {"minicnn.models", "minicnn.profiler"},
    {"minicnn.compiler"},
    {"minicnn.nn", "minicnn.optim", "minicnn.utils", "minicnn.datasets", "minicnn.transforms"},
    {"minicnn.data", "minicnn.weights"},
    {"minicnn.ops"},
    {"minicnn.autograd"},
    {"minicnn.device", "minicnn.dtypes", "minicnn.layout", "minicnn.random", "minicnn.absent"}
    | {"minicnn.cuda", "minicnn.accelerator", "minicnn.backends"},
    {"minicnn_kernels"},
]
RANK = {room: len(LAYERS) - i for i, layer in enumerate(LAYERS) for room in layer}

# Rooms of one layer that may know each other.
NEIGHBOURS = {
    ("minicnn.__main__", "minicnn.cli"),  # python -m minicnn
    ("minicnn.weights", "minicnn.data"),  # weights come over the network the way data sets do
    ("minicnn.accelerator", "minicnn.device"),  # whose type an accelerator has
    ("minicnn.random", "minicnn.device"),  # Generator(device=...) refuses devices that are not there
}
# Modules that may import against the rules. Each with its reason.
EXCEPTIONS: set[tuple[str, str]] = {
    # Only the published constants of Philox; both versions are tested against the paper's known answers.
    ("minicnn_kernels.cpu.random", "minicnn_kernels.reference.random"),
    # An averaged model is a module, and batch norm's statistics are its business. Its place is in optim, as in torch.
    ("minicnn.optim.swa_utils", "minicnn.nn.batchnorm"),
    ("minicnn.optim.swa_utils", "minicnn.nn.module"),
}

# Libraries that cost time or may be missing, and the only rooms that may import them at all.
LIBRARIES = {
    "numba": {"minicnn_kernels.cpu"},
    "llvmlite": {"minicnn_kernels.cpu", "minicnn.cli.info"},
    "typer": {"minicnn.cli"},
    "rich": {"minicnn.cli", "minicnn.training.progress", "minicnn.data.downloads"},
    "PIL": {"minicnn.data", "minicnn.training.digit_image"},
    "pooch": {"minicnn.data.downloads"},
    "safetensors": {"minicnn.weights.safetensors"},
    "matplotlib": {"minicnn.training.figures", "minicnn.transfer.lr_finder"},
    "torch": set(),
    "torchvision": set(),
}


class Import(NamedTuple):
    """One imported module, as the importing file names it."""

    importer: str
    imported: str
    line: int
    inside_function: bool


def modules() -> dict[str, Path]:
    """Dotted names of all modules of both packages."""
    found = {}
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(name: str, source: str, known: set[str], is_package: bool) -> Iterator[Import]:
    """All imports in a module: ``from package import x`` is one of ``package.x`` where that is a module."""
    package = name if is_package else name.rpartition(".")[0]

    def visit(node: ast.AST, inside: bool) -> Iterator[Import]:
        inside = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, node.lineno, inside)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                start = package.split(".")
                start = start[: len(start) - node.level + 1]
                base = ".".join([*start, *([base] if base else [])])
            for alias in node.names:
                module = f"{base}.{alias.name}"
                yield Import(name, module if module in known else base, node.lineno, inside)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    yield from visit(ast.parse(source), False)


def room_of(module: str) -> str | None:
    """The room that a module belongs to; None for other people's modules."""
    parts = module.split(".")
    if parts[0] == "minicnn_kernels":
        return "minicnn_kernels"
    return ".".join(parts[:2]) if parts[0] == "minicnn" else None


def within(module: str, places: set[str]) -> bool:
    return any(module == place or module.startswith(place + ".") for place in places)


MODULES = modules()
IMPORTS = [
    found
    for name, path in MODULES.items()
    for found in imports_of(name, path.read_text(encoding="utf-8"), set(MODULES), path.name == "__init__.py")
]


def test_reader_of_imports_sees_every_form():
    source = (
        "import minicnn.nn.conv as c\nfrom . import random\nfrom ..ops import add\nfrom minicnn import data, tensor\n"
        "def f():\n    from ...minicnn.cli import main\n"
    )
    known = {"minicnn.data", "minicnn.ops", "minicnn.nn.random"}
    found = [(i.imported, i.inside_function) for i in imports_of("minicnn.nn.conv", source, known, is_package=False)]
    assert found == [
        ("minicnn.nn.conv", False),
        ("minicnn.nn.random", False),
        ("minicnn.ops", False),
        ("minicnn.data", False),
        ("minicnn", False),
        ("minicnn.cli", True),
    ]
    # The same line in a package's __init__ starts from the package itself.
    assert [i.imported for i in imports_of("minicnn.nn", "from . import random", known, True)] == ["minicnn.nn.random"]


def test_every_module_has_a_layer():
    homeless = {str(room_of(name)) for name in MODULES} - set(RANK)
    assert not homeless, f"not in a layer: {homeless}; give them one in LAYERS and in docs/architecture.md"


def test_imports_point_down():
    wrong = []
    for found in IMPORTS:
        here, there = room_of(found.importer), room_of(found.imported)
        if here is None or there is None or here == there:
            continue
        if RANK[there] < RANK[here] or (here, there) in NEIGHBOURS or (found.importer, found.imported) in EXCEPTIONS:
            continue
        wrong.append(f"{MODULES[found.importer].relative_to(ROOT)}:{found.line} imports {found.imported}")
    assert not wrong, "an import points up or sideways:\n" + "\n".join(wrong)


def test_kernels_never_import_the_framework():
    wrong = [i for i in IMPORTS if i.importer.startswith("minicnn_kernels") and i.imported.split(".")[0] == "minicnn"]
    assert not wrong


def test_backends_do_not_know_each_other():
    """The reference is the oracle of the compiled kernels: neither may borrow from the other."""
    for mine, other in (("reference", "cpu"), ("cpu", "reference")):
        wrong = [
            i
            for i in IMPORTS
            if within(i.importer, {f"minicnn_kernels.{mine}"})
            and within(i.imported, {f"minicnn_kernels.{other}"})
            and (i.importer, i.imported) not in EXCEPTIONS
        ]
        assert not wrong


def test_nothing_below_the_back_ends_imports_them():
    """Importing ``minicnn_kernels`` itself must not compile anything."""
    backends = {"minicnn_kernels.reference", "minicnn_kernels.cpu"}
    wrong = [
        i
        for i in IMPORTS
        if within(i.importer, {"minicnn_kernels"}) and not within(i.importer, backends) and within(i.imported, backends)
    ]
    assert not wrong


@pytest.mark.parametrize("library", LIBRARIES)
def test_library_is_imported_where_it_may_be(library):
    users = {i.importer for i in IMPORTS if i.imported.split(".")[0] == library}
    strangers = sorted(user for user in users if not within(user, LIBRARIES[library]))
    assert not strangers, (
        f"{library} is imported in {strangers}; its place is {sorted(LIBRARIES[library]) or 'nowhere'}"
    )


def test_lists_of_this_file_are_not_stale():
    pairs = {(room_of(i.importer), room_of(i.imported)) for i in IMPORTS}
    assert pairs >= NEIGHBOURS
    assert {(i.importer, i.imported) for i in IMPORTS} >= EXCEPTIONS


def test_import_minicnn_imports_nothing_slow_or_optional(tmp_path):
    """In a process of its own: here everything has been imported long ago."""
    code = f"import sys, minicnn; print(sorted(set({sorted(LIBRARIES)!r}) & set(sys.modules)))"
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert result.stdout.strip() == "[]"
