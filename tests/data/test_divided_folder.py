"""How folders of images are divided. What `minicnn train` makes of it is tested with the catalogue."""

import pytest

from minicnn.data import DatasetError, DatasetNotFoundError
from minicnn.data.divided_folder import divide_folder


def touch(folder, classes, count=5):
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            (folder / name / f"{i}.png").touch()
    return folder


def names(samples):
    return sorted("/".join(path.split("/")[-3:]) for path, _ in samples)


def test_a_fifth_of_each_class_is_set_aside(tmp_path):
    parts = divide_folder(touch(tmp_path / "set", "ab", 10))
    assert (len(parts.train), len(parts.test), parts.classes) == (16, 4, ["a", "b"])
    assert [label for _, label in sorted(parts.test)] == [0, 0, 1, 1]
    assert not set(parts.train) & set(parts.test)
    assert parts.test_root is None
    assert parts.source.endswith("set, 4 of 20 images set aside for the test")
    # Whoever copies the folder elsewhere has the same division, in the same order.
    other = divide_folder(touch(tmp_path / "elsewhere" / "set", "ab", 10))
    for mine, theirs in ((parts.train, other.train), (parts.test, other.test)):
        assert [path.split("/")[-2:] for path, _ in mine] == [path.split("/")[-2:] for path, _ in theirs]


@pytest.mark.parametrize(("count", "fraction", "aside"), [(1, None, 0), (2, None, 1), (10, 0.5, 5), (3, 0.99, 2)])
def test_how_many(tmp_path, count, fraction, aside):
    parts = divide_folder(touch(tmp_path, "ab", count), fraction=fraction)
    assert (len(parts.train), len(parts.test)) == (2 * (count - aside), 2 * aside)


def test_folders_of_its_own(tmp_path):
    for part in ("train", "val"):
        touch(tmp_path / part, "ab", 2)
    parts = divide_folder(tmp_path)
    assert names(parts.train) == ["train/a/0.png", "train/a/1.png", "train/b/0.png", "train/b/1.png"]
    assert names(parts.test) == ["val/a/0.png", "val/a/1.png", "val/b/0.png", "val/b/1.png"]
    assert parts.test_root == tmp_path / "val"
    asked = divide_folder(tmp_path, fraction=0.5)  # leaves val/ alone
    assert names([*asked.train, *asked.test]) == names(parts.train)
    other = divide_folder(tmp_path, touch(tmp_path / "other", "b", 3))
    assert names(other.test) == ["other/b/0.png", "other/b/1.png", "other/b/2.png"]
    assert {label for _, label in other.test} == {1}


def test_mistakes(tmp_path):
    touch(tmp_path / "set", "ab")
    with pytest.raises(ValueError, match="give one of them"):
        divide_folder(tmp_path / "set", tmp_path / "set", 0.5)
    with pytest.raises(ValueError, match=r"fraction: expected a number between 0 and 1, got 1\.0"):
        divide_folder(tmp_path / "set", fraction=1.0)
    with pytest.raises(DatasetNotFoundError, match="no such folder"):
        divide_folder(tmp_path / "none")
    with pytest.raises(DatasetError, match="classes c that "):
        divide_folder(tmp_path / "set", touch(tmp_path / "other", "bc"))
