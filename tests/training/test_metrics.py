"""Metrics against counting by hand."""

import numpy as np
import pytest

from minicnn.training.metrics import accuracy, confusion_matrix, per_class_accuracy


def test_confusion_matrix_counts_pairs():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 4, size=(2, 200))
    expected = np.zeros((5, 5), dtype=np.int64)
    for label, prediction in zip(labels, predictions, strict=True):
        expected[label, prediction] += 1
    got = confusion_matrix(predictions, labels, 5)
    np.testing.assert_array_equal(got, expected)
    assert accuracy(predictions, labels) == np.trace(expected) / 200
    by_class = [expected[c, c] / expected[c].sum() for c in range(4)]
    np.testing.assert_allclose(per_class_accuracy(got), [*by_class, np.nan], rtol=1e-15)  # class 4 never occurs


def test_empty():
    none = np.zeros(0, dtype=np.int64)
    assert np.isnan(accuracy(none, none))
    np.testing.assert_array_equal(confusion_matrix(none, none, 2), np.zeros((2, 2)))


def test_narrow_integers_do_not_overflow():
    labels = np.full(3, 199, dtype=np.uint8)
    assert confusion_matrix(labels, labels, 200)[199, 199] == 3


@pytest.mark.parametrize("bad", [[0, 3], [-1, 0]])
def test_numbers_outside_the_classes_are_named(bad):
    with pytest.raises(ValueError, match="labels: expected class numbers from 0 to 2, got values from"):
        confusion_matrix(np.array([0, 0]), np.array(bad), 3)
    with pytest.raises(ValueError, match="predictions: expected class numbers from 0 to 2"):
        confusion_matrix(np.array(bad), np.array([0, 0]), 3)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match=r"two vectors of equal length, got \(2,\) and \(3,\)"):
        accuracy(np.zeros(2), np.zeros(3))
