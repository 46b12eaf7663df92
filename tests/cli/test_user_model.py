"""Importing a model file of the user's own: what it may hold, and what it leaves behind."""

import random
import sys
import textwrap

import pytest

from minicnn import nn
from minicnn.cli.errors import UserError
from minicnn.cli.user_model import load_model

DATACLASS = """
    from __future__ import annotations

    from dataclasses import dataclass
    from minicnn import nn

    @dataclass
    class Sizes:
        inputs: int = 3
        classes: int = 2

    def net():
        sizes = Sizes()
        return nn.Linear(sizes.inputs, sizes.classes)
"""

NET = """
    from minicnn import nn

    def net():
        return nn.Linear(3, 2)
"""


@pytest.fixture
def write(monkeypatch, tmp_path):
    """Writes a model file, and gives its place on the command line; the path and the modules are put back after."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(name, text):
        (tmp_path / name).write_text(textwrap.dedent(text))
        return f"{tmp_path / name}:net"

    yield write
    for name in [name for name in sys.modules if name not in before and name.startswith("model file ")]:
        del sys.modules[name]


def test_a_dataclass_with_annotations_kept_as_text(write):
    model = load_model(write("sized.py", DATACLASS))
    assert isinstance(model, nn.Linear)
    assert model.weight.shape == (2, 3)


def test_a_file_that_fails_leaves_no_module(write):
    place = write("broken.py", "x = 1 / 0\n")
    before = set(sys.modules)
    with pytest.raises(UserError, match="ZeroDivisionError"):
        load_model(place)
    assert {name for name in set(sys.modules) - before if "broken" in name} == set()


def test_a_file_named_as_a_module_does_not_take_its_place(write):
    load_model(write("random.py", NET))
    assert sys.modules["random"] is random


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("sys.path.insert(0, '/a/folder/of/their/own')", ["/a/folder/of/their/own"]),
        ("sys.path.pop(0)", []),
        ("", []),
    ],
)
def test_the_path_is_as_the_file_left_it_without_the_files_own_folder(write, line, kept):
    place = write("pathy.py", f"import sys\n{line}\nfrom minicnn import nn\n\ndef net():\n    return nn.Linear(3, 2)\n")
    before = list(sys.path)
    load_model(place)
    assert sys.path == kept + before
