"""Tables and pictures as text: they fit where they are shown, and say what is so."""

import numpy as np
import pytest

from minicnn.cli.terminal import confusion_lines, picture_lines

CLOTHES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


@pytest.mark.parametrize("columns", [80, 100, 300])
def test_long_names_are_cut_to_the_terminals_width(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = confusion_lines(np.diag(np.arange(10)), CLOTHES)
    assert max(map(len, lines)) <= columns
    assert len({len(line) for line in lines[1:]}) == 1
    assert ("Ankle boot" in lines[1]) == (columns == 300)
    assert lines[-1].split()[-12:] == [*"." * 9, "9", "100.00", "%"]
    assert lines[-1].startswith("  Ankle ~" if columns == 80 else "  Ankle boot")
    assert lines[2].endswith("none")  # no example of the first class


def test_many_classes_are_summarised():
    confusion = np.diag(np.full(30, 10))
    confusion[3, 7], confusion[3, 3] = 6, 4
    confusion[5, 2], confusion[5, 5] = 1, 9
    lines = confusion_lines(confusion, [f"c{i}" for i in range(30)])
    assert lines[1:3] == ["  c3 taken for c7: 6", "  c5 taken for c2: 1"]
    assert lines[lines.index("the least accurate classes") + 1] == "  c3: 40.00 %"


def test_pictures_of_odd_height_keep_their_last_row():
    assert picture_lines(np.array([[0.0], [0.0], [1.0]])) == [" ", "="]
