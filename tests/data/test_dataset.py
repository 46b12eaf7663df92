"""Data sets and how they are cut and joined, against torch.utils.data."""

import warnings

import numpy as np
import pytest
import torch
import torch.utils.data
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from minicnn.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset, random_split
from minicnn.data.dataset import batch_getter
from minicnn.data.randomness import SampleGenerators


def test_tensor_dataset_items():
    x, y = mc.arange(12).reshape(4, 3), mc.arange(4)
    data = TensorDataset(x, y)
    assert len(data) == 4
    first, second = data[2]
    assert (first.tolist(), second.item()) == ([6, 7, 8], 2)
    assert [part.tolist() for part in data[-1]] == [[9, 10, 11], 3]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TensorDataset(), ValueError, "expected at least one"),
        (lambda: TensorDataset(mc.zeros(3), mc.zeros(4, 2)), ValueError, r"size mismatch.*\(3,\), \(4, 2\)"),
        (lambda: TensorDataset(mc.tensor(1.0)), ValueError, "size mismatch"),
        (lambda: TensorDataset(np.zeros(3)), TypeError, r"tensors\[0\]: expected a Tensor, got ndarray.*from_numpy"),
        (lambda: ConcatDataset([]), ValueError, "expected at least one"),
        (lambda: ConcatDataset([range(2), IterableDataset()]), TypeError, r"datasets\[1\]"),
        (lambda: IterableDataset() + IterableDataset(), TypeError, "itertools.chain"),
        (lambda: Dataset()[0], NotImplementedError, "Dataset must define __getitem__"),
        (lambda: iter(IterableDataset()), NotImplementedError, "must define __iter__"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_gathered_batch_equals_collated_samples():
    data = TensorDataset(mc.randn(7, 2, 3), mc.arange(7))
    indices = [5, 0, -1, 5]
    batch = data.get_batch(indices, SampleGenerators(0, [(i, 0) for i in indices]))
    for part, whole in zip(batch, data.tensors, strict=True):
        np.testing.assert_array_equal(part.numpy(), whole.numpy()[indices])
    with pytest.raises(IndexError):
        data.get_batch([7], SampleGenerators(0, [(7, 0)]))


def test_gathered_batch_keeps_the_graph_of_tensors_that_require_grad():
    x = mc.ones(4, 2, requires_grad=True)
    (batch,) = TensorDataset(x).get_batch([1, 1, 3], SampleGenerators(0, [(1, 0), (1, 1), (3, 0)]))
    batch.sum().backward()
    assert x.grad.tolist() == [[0, 0], [2, 2], [0, 0], [1, 1]]


def test_subset_forwards_items_lists_and_batches():
    data = TensorDataset(mc.arange(10) * 10)
    part = Subset(data, [4, 2, 9])
    assert part[1][0].item() == 20
    assert [s[0].item() for s in part.__getitems__([2, 0])] == [90, 40]
    assert part.get_batch([2, 0], SampleGenerators(0, [(2, 0), (0, 0)]))[0].tolist() == [90, 40]
    nested = Subset(part, [2])
    assert nested.get_batch([0], SampleGenerators(0, [(0, 0)]))[0].tolist() == [90]
    assert Subset(range(5), [1]).get_batch is None


def test_subset_uses_the_whole_sets_getitems():
    class Many(Dataset):
        def __getitem__(self, index):
            raise AssertionError("not one by one")

        def __getitems__(self, indices):
            return [i * 2 for i in indices]

    assert Subset(Many(), [5, 6]).__getitems__([1, 0]) == [12, 10]


def test_a_subclass_that_changes_items_has_no_fast_path():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return tuple(2 * tensor for tensor in super().__getitem__(index))

    class Named(TensorDataset):
        pass

    assert batch_getter(Doubled(mc.arange(3))) is None
    assert batch_getter(Named(mc.arange(3))) is not None
    assert batch_getter(Subset(Doubled(mc.arange(3)), [0])) is None
    assert batch_getter(range(3)) is None


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_concat_equals_torch(sizes):
    parts = [list(range(100 * i, 100 * i + n)) for i, n in enumerate(sizes)]
    ours, theirs = ConcatDataset(parts), torch.utils.data.ConcatDataset(parts)
    assert len(ours) == len(theirs)
    assert ours.cumulative_sizes == theirs.cumulative_sizes
    assert [ours[i] for i in range(-len(ours), len(ours))] == [theirs[i] for i in range(-len(ours), len(ours))]
    for outside in (len(ours), -len(ours) - 1):
        with pytest.raises(IndexError, match="outside a data set"):
            ours[outside]


def test_plus_concatenates():
    both = TensorDataset(mc.arange(2)) + TensorDataset(mc.arange(3))
    assert isinstance(both, ConcatDataset)
    assert [sample[0].item() for sample in (both[i] for i in range(5))] == [0, 1, 0, 1, 2]


@pytest.mark.parametrize(
    ("n", "lengths"),
    [
        (10, [7, 3]),
        (10, [10]),
        (10, [1]),
        (0, [0, 0]),
        (7, [0.5, 0.5]),
        (1, [0.5, 0.5]),
        (11, [0.3, 0.3, 0.4]),
        (10, [0.9, 0.1, 0]),
        (10, [0.5, 0.25, 0.25]),
        (3, [1 / 3] * 3),
    ],
)
def test_random_split_has_torchs_lengths_and_parts(n, lengths):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = torch.utils.data.random_split(range(n), lengths)
        ours = random_split(range(n), lengths)
    assert [len(part) for part in ours] == [len(part) for part in theirs]
    assert sorted(sample for part in ours for sample in part) == list(range(n))


def test_random_split_is_the_generators_choice():
    def split(seed):
        return [list(part.indices) for part in random_split(range(50), [30, 20], mc.Generator().manual_seed(seed))]

    assert split(3) == split(3)
    assert split(3) != split(4)
    mc.manual_seed(5)
    first = random_split(range(50), [0.5, 0.5])[0].indices
    assert first != random_split(range(50), [0.5, 0.5])[0].indices
    mc.manual_seed(5)
    assert first == random_split(range(50), [0.5, 0.5])[0].indices


@pytest.mark.parametrize("lengths", [[7, 4], [0.7, 0.4], [-1, 11], [1.5, 8.5], [2]])
def test_random_split_rejects_what_does_not_add_up(lengths):
    with pytest.raises(ValueError, match="lengths: "):
        random_split(range(10), lengths)


def test_random_split_warns_of_empty_parts():
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        random_split(range(1), [0.5, 0.5])
