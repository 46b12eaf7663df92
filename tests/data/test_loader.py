"""DataLoader: batches, order, workers, errors, and epochs that continue where they were interrupted."""

import contextvars
import gc
import json
import os
import threading
import time
import weakref

import numpy as np
import pytest
import torch
import torch.utils.data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minicnn as mc
from minicnn.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    ImageArrayDataset,
    IterableDataset,
    RandomSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    get_worker_info,
    sample_generator,
    transforms,
)


class Noise(Dataset):
    """Each item is its index and two random numbers."""

    def __init__(self, n=23):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return index, sample_generator().uniform((2,), np.float32)


class CountedStream(IterableDataset):
    def __init__(self, n=10):
        self.n = n

    def __iter__(self):
        for i in range(self.n):
            yield i, sample_generator().uniform((1,), np.float32)

    def __len__(self):
        return self.n


def augmented_digits(n=40):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (n, 9, 8), dtype=np.uint8), rng.integers(0, 3, n)
    crop = transforms.RandomCrop((9, 8), padding=1)
    flip = transforms.RandomHorizontalFlip()
    turn = transforms.RandomAffine(30, translate=(0.1, 0.1), interpolation="bilinear")
    return ImageArrayDataset(images, labels, transforms.Compose([crop, flip, turn]), mean=0.3, std=0.2)


def epochs(loader, n=1, seed=0):
    """n epochs as nested lists, from a given seed of the default generator."""
    mc.manual_seed(seed)
    return [[as_lists(batch) for batch in loader] for _ in range(n)]


def as_lists(batch):
    if isinstance(batch, (mc.Tensor, np.ndarray)):
        return batch.tolist()
    return [as_lists(part) for part in batch] if isinstance(batch, (list, tuple)) else batch


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("minicnn-loader")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    if loader_threads():
        gc.collect()
    deadline = time.monotonic() + 10
    while loader_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert loader_threads() == []


# ---- what torch's does


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixture has no state
@given(
    n=st.integers(1, 12),
    batch_size=st.integers(1, 5),
    drop_last=st.booleans(),
    workers=st.sampled_from([0, 2]),
)
def test_sequential_batches_equal_torchs(n, batch_size, drop_last, workers):
    x = np.arange(3 * n, dtype=np.float32).reshape(n, 3)
    ours = DataLoader(TensorDataset(mc.from_numpy(x)), batch_size, drop_last=drop_last, num_workers=workers)
    theirs = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.from_numpy(x)), batch_size, drop_last=drop_last
    )
    assert len(ours) == len(theirs)
    assert [as_lists(b) for b in ours] == [[part.tolist() for part in b] for b in theirs]


@pytest.mark.parametrize("workers", [0, 3])
def test_shuffling_is_a_new_order_each_epoch(workers):
    loader = DataLoader(list(range(30)), batch_size=7, shuffle=True, num_workers=workers)
    first, second = ([i for batch in epoch for i in batch] for epoch in epochs(loader, 2))
    assert sorted(first) == sorted(second) == list(range(30))
    assert first != second
    assert epochs(loader, 2) == epochs(loader, 2)
    assert epochs(loader, 2) != epochs(loader, 2, seed=1)


def test_a_generator_of_its_own():
    loader = DataLoader(range(30), 30, shuffle=True, generator=mc.Generator().manual_seed(3))
    before = mc.random.get_rng_state()
    first = next(iter(loader)).tolist()
    assert mc.random.get_rng_state() == before
    loader.generator.manual_seed(3)
    assert next(iter(loader)).tolist() == first


@pytest.mark.parametrize("workers", [0, 2])
def test_samplers_batch_samplers_and_no_batches(workers):
    data = [10, 11, 12, 13]
    assert epochs(DataLoader(data, 2, sampler=[3, 0, 1], num_workers=workers)) == [[[13, 10], [11]]]
    loader = DataLoader(data, batch_sampler=[[0, 3], [1]], num_workers=workers)
    assert epochs(loader) == [[[10, 13], [11]]]
    assert (len(loader), loader.batch_size) == (2, None)
    single = DataLoader(data, batch_size=None, num_workers=workers)
    assert list(single) == data
    assert len(single) == 4
    arrays = DataLoader([np.arange(2), np.arange(3)], batch_size=None, num_workers=workers)
    assert [part.tolist() for part in arrays] == [[0, 1], [0, 1, 2]]


@pytest.mark.parametrize("workers", [0, 2])
def test_collate_fn_and_dict_keys(workers):
    words = {"a": "x", "b": "y"}
    loader = DataLoader(words, 2, sampler=["b", "a"], collate_fn=lambda batch: "".join(batch), num_workers=workers)
    assert list(loader) == ["yx"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_workers": -1}, ValueError, "num_workers option should be"),
        ({"timeout": -1}, ValueError, "timeout option should be non-negative"),
        ({"prefetch_factor": 2}, ValueError, "prefetch_factor option"),
        ({"num_workers": 1, "prefetch_factor": -1}, ValueError, "prefetch_factor option should be"),
        ({"persistent_workers": True}, ValueError, "persistent_workers option needs num_workers > 0"),
        ({"sampler": [0], "shuffle": True}, ValueError, "sampler option is mutually exclusive with shuffle"),
        ({"batch_sampler": [[0]], "batch_size": 2}, ValueError, "batch_sampler option is mutually exclusive"),
        ({"batch_sampler": [[0]], "shuffle": True}, ValueError, "batch_sampler option is mutually exclusive"),
        ({"batch_sampler": [[0]], "drop_last": True}, ValueError, "batch_sampler option is mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, ValueError, "batch_size=None option disables auto-batching"),
        ({"batch_size": 0}, ValueError, "batch_size should be a positive integer"),
    ],
)
def test_bad_options_raise_as_in_torch(options, error, message):
    for module in (mc.utils.data, torch.utils.data):
        with pytest.raises(error, match=message):
            module.DataLoader([1, 2, 3], **options)


def test_options_that_only_ours_refuses_or_that_differ():
    with pytest.raises(ValueError, match="timeout option needs num_workers > 0"):
        DataLoader([1], timeout=3)
    with pytest.raises(ValueError, match="at least 1"):
        DataLoader([1], num_workers=1, prefetch_factor=0)
    for name in ("shuffle", "sampler", "batch_sampler"):
        with pytest.raises(ValueError, match=f"IterableDataset: expected unspecified {name} option"):
            DataLoader(CountedStream(), **{name: [[0]]})
    with pytest.raises(ValueError, match="batch_size should be"):
        DataLoader(CountedStream(), batch_size=-3)
    assert DataLoader([1], pin_memory=True).pin_memory


def test_attributes_that_would_have_no_effect_cannot_be_set():
    loader = DataLoader([1, 2])
    with pytest.raises(ValueError, match="batch_size attribute should not be set after DataLoader is initialized"):
        loader.batch_size = 2


def test_an_empty_data_set():
    assert list(DataLoader([])) == []
    assert len(DataLoader([], 3)) == 0
    with pytest.raises(ValueError, match="num_samples=0: the data set is empty"):
        DataLoader([], shuffle=True)


# ---- fast paths


def test_gathered_batches_equal_collated_ones():
    class Slow(TensorDataset):
        def __getitem__(self, index):
            return super().__getitem__(index)

    tensors = (mc.randn(11, 2), mc.arange(11))
    assert epochs(DataLoader(Slow(*tensors), 4, shuffle=True)) == epochs(
        DataLoader(TensorDataset(*tensors), 4, shuffle=True)
    )


def test_augmented_batches_equal_augmented_samples():
    """Not nearly: the same bits, or training would depend on which path was taken."""
    data = augmented_digits()

    class Slow(ImageArrayDataset):
        def __getitem__(self, index):
            return super().__getitem__(index)

    slow = Slow(data.images, data.labels, data.transform, mean=data.mean, std=data.std)
    part = list(range(5, 30))
    assert data.get_batch is not None
    assert epochs(DataLoader(data, 7, shuffle=True)) == epochs(DataLoader(slow, 7, shuffle=True))
    assert epochs(DataLoader(Subset(data, part), 7)) == epochs(DataLoader(Subset(slow, part), 7))


def test_getitems_is_used_and_gets_one_generator():
    class Many(Dataset):
        def __len__(self):
            return 6

        def __getitems__(self, indices):
            return [(i, sample_generator().uniform((1,), np.float32)) for i in indices]

    for data, expected in ((Many(), [0, 1, 2, 3, 4, 5]), (Subset(Many(), [5, 4, 0]), [5, 4, 0])):
        first, second = (epochs(DataLoader(data, 2, num_workers=workers)) for workers in (0, 2))
        assert first == second
        assert [i for indices, _ in first[0] for i in indices] == expected
        numbers = [u for _, numbers in first[0] for (u,) in numbers]
        assert len(set(numbers)) == len(numbers)


# ---- randomness


@pytest.mark.parametrize("make", [Noise, augmented_digits])
def test_batches_do_not_depend_on_the_workers(make):
    loaders = [DataLoader(make(), 4, shuffle=True, num_workers=workers) for workers in (0, 1, 3)]
    loaders.append(DataLoader(make(), 4, shuffle=True, num_workers=2, prefetch_factor=5, persistent_workers=True))
    results = [epochs(loader, 3) for loader in loaders]
    assert all(result == results[0] for result in results)
    assert results[0][0] != results[0][1]


def test_a_samples_numbers_depend_on_seed_and_index_alone():
    def numbers(**options):
        (epoch,) = epochs(DataLoader(Noise(), **options))
        return {i: tuple(u) for indices, us in epoch for i, u in zip(indices, us, strict=True)}

    base = numbers()
    assert len(set(base.values())) == 23
    assert base == numbers(batch_size=5, shuffle=True) == numbers(batch_size=4, num_workers=2)


def test_a_sample_drawn_twice_gets_new_numbers():
    loader = DataLoader(Noise(3), 8, sampler=RandomSampler(range(3), replacement=True, num_samples=16))
    (epoch,) = epochs(loader)
    assert len({tuple(u) for _, us in epoch for u in us}) == 16


def test_fetching_draws_nothing_but_the_epoch_seed_from_the_default_generator():
    mc.manual_seed(0)
    iterator = iter(DataLoader(Noise(), 4, shuffle=True))
    state = mc.random.get_rng_state()
    list(iterator)
    assert mc.random.get_rng_state() == state
    assert sample_generator() is mc.random.default_generator


# ---- workers


def test_workers_run_ahead_and_in_parallel_but_hand_over_in_order():
    meeting = threading.Barrier(3)

    class Meets(Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            meeting.wait(timeout=20)  # breaks unless three samples are fetched at the same time
            time.sleep(0.01 * (5 - index))  # later ones are ready earlier
            return index

    assert [b.item() for b in DataLoader(Meets(), num_workers=3)] == [0, 1, 2, 3, 4, 5]


def test_only_as_many_batches_as_asked_are_fetched_ahead():
    fetched = []

    class Counts(Dataset):
        def __len__(self):
            return 100

        def __getitem__(self, index):
            fetched.append(index)
            return index

    iterator = iter(DataLoader(Counts(), num_workers=1, prefetch_factor=3))
    next(iterator)
    deadline = time.monotonic() + 10
    while len(fetched) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)  # for one too many to come
    assert sorted(fetched) == [0, 1, 2, 3]


def test_worker_init_fn_and_worker_info():
    started, seen = [], set()

    class Who(Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, index):
            info = get_worker_info()
            seen.add((info.id, info.num_workers, info.dataset is data))
            time.sleep(0.005)
            return index

    data = Who()
    loader = DataLoader(data, num_workers=2, worker_init_fn=started.append)
    list(loader), list(loader)
    assert sorted(started) == [0, 0, 1, 1]
    assert {(number, 2, True) for number in range(2)} >= seen
    assert get_worker_info() is None
    started.clear()
    loader = DataLoader(data, num_workers=2, worker_init_fn=started.append, persistent_workers=True)
    list(loader), list(loader)
    assert sorted(started) == [0, 1]
    assert len(loader_threads()) == 2


def test_a_failing_worker_init_fn_is_told():
    def fail(worker):
        raise OSError("no camera")

    with pytest.raises(RuntimeError, match=r"worker_init_fn\(0\) failed: OSError: no camera"):
        list(DataLoader(range(3), num_workers=1, worker_init_fn=fail))


def test_workers_see_the_consumers_context():
    colour = contextvars.ContextVar("colour", default="none")

    class Context(Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return colour.get()

    colour.set("blue")
    assert list(DataLoader(Context(), 2, num_workers=1)) == [["blue", "blue"]]


class Broken(Dataset):
    def __init__(self, error=ZeroDivisionError):
        self.error = error

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if index == 7:
            raise self.error("sample seven")
        return index


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_is_raised_in_the_consumer_as_it_was_and_names_the_sample(workers):
    iterator = iter(DataLoader(Broken(), 3, num_workers=workers))
    assert [next(iterator).tolist() for _ in range(2)] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ZeroDivisionError, match="sample seven") as caught:
        next(iterator)
    assert str(caught.value) == "sample seven"
    assert caught.value.__notes__ == ["DataLoader: fetching sample 7 (batch 2)"]


@pytest.mark.parametrize("workers", [0, 2])
def test_iteration_can_go_on_after_an_error(workers):
    iterator = iter(DataLoader(Broken(), 3, num_workers=workers))
    assert [next(iterator).tolist() for _ in range(2)] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ZeroDivisionError):
        next(iterator)
    assert [batch.tolist() for batch in iterator] == [[9, 10, 11]]


@pytest.mark.parametrize("workers", [0, 2])
def test_stop_iteration_in_a_data_set_does_not_end_the_epoch_in_silence(workers):
    with pytest.raises(RuntimeError, match="StopIteration raised while fetching sample 7"):
        list(DataLoader(Broken(StopIteration), 3, num_workers=workers))


def test_collate_errors_name_the_batch():
    with pytest.raises(RuntimeError, match="one shape") as caught:
        list(DataLoader([np.zeros(1), np.zeros(1), np.zeros(2), np.zeros(3)], 2))
    assert caught.value.__notes__ == ["DataLoader: collating samples 2, 3 (batch 1)"]


def test_timeout():
    release = threading.Event()

    class Slow(Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            release.wait(20)
            return index

    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.05 seconds waiting for batch 0"):
        list(DataLoader(Slow(), num_workers=1, timeout=0.05))
    release.set()


def test_leaving_early_sends_the_workers_home_and_frees_the_data():
    class Data(Noise):
        pass

    data = Data(1000)
    for batch in DataLoader(data, 2, num_workers=2):
        del batch
        break
    gone = weakref.ref(data)
    del data
    gc.collect()
    deadline = time.monotonic() + 10
    while (loader_threads() or gone()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not loader_threads()
    assert gone() is None


def test_batches_are_not_kept_alive():
    loader = DataLoader([np.zeros(3)] * 8, 2, num_workers=1)
    iterator = iter(loader)
    batch = weakref.ref(next(iterator))
    next(iterator)
    assert batch() is None


def test_two_iterations_at_once():
    loader = DataLoader(range(6), 2, num_workers=1, persistent_workers=True)
    assert [(a.tolist(), b.tolist()) for a, b in zip(loader, loader, strict=True)] == [
        ([0, 1], [0, 1]),
        ([2, 3], [2, 3]),
        ([4, 5], [4, 5]),
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_after_a_fork_a_new_iteration_works_and_an_old_one_says_so():
    loader = DataLoader(range(40), 2, num_workers=2, persistent_workers=True)
    iterator = iter(loader)
    next(iterator)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            try:
                next(iterator)
            except RuntimeError as error:
                status = 0 if "before a fork" in str(error) else 2
            if len(list(loader)) != 20:
                status = 3
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(iterator)) == 19


# ---- iterable data sets


@pytest.mark.parametrize("workers", [0, 3])
def test_iterable_batches(workers):
    for drop_last, sizes in ((False, [4, 4, 2]), (True, [4, 4])):
        loader = DataLoader(CountedStream(), 4, drop_last=drop_last, num_workers=workers)
        (epoch,) = epochs(loader)
        assert [len(indices) for indices, _ in epoch] == sizes
        assert len(loader) == len(sizes)
        assert [i for indices, _ in epoch for i in indices] == list(range(sum(sizes)))
        assert epochs(DataLoader(CountedStream(), 4, drop_last=drop_last)) == [epoch]
    assert len(DataLoader(CountedStream(), None)) == len(list(DataLoader(CountedStream(), None, num_workers=workers)))


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_of_an_iterable(workers):
    class Fails(IterableDataset):
        def __iter__(self):
            yield 1
            raise OSError("cable")

    iterator = iter(DataLoader(Fails(), num_workers=workers))
    assert next(iterator).tolist() == [1]
    with pytest.raises(OSError, match="cable") as caught:
        next(iterator)
    assert caught.value.__notes__ == ["DataLoader: reading batch 1 of an iterable data set"]
    with pytest.raises(TypeError):
        len(DataLoader(Fails()))


# ---- resuming


def weighted():
    return DataLoader(Noise(), 4, sampler=WeightedRandomSampler([1.0 + i for i in range(23)], 30), num_workers=2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DataLoader(Noise(), 4, shuffle=True),
        lambda: DataLoader(Noise(), 4, shuffle=True, num_workers=3),
        lambda: DataLoader(augmented_digits(), 4, shuffle=True, num_workers=2, drop_last=True),
        lambda: DataLoader(Noise(), batch_sampler=BatchSampler(RandomSampler(Noise()), 5, False)),
        lambda: DataLoader(Noise(), None, shuffle=True, num_workers=1),
        lambda: DataLoader(CountedStream(), 3, num_workers=1),
        lambda: DataLoader(CountedStream(), 3),
        weighted,
    ],
)
def test_interrupted_and_resumed_equals_uninterrupted(make):
    whole = epochs(make(), 3)
    for stop in (0, 1, 3, len(whole[1])):
        mc.manual_seed(0)
        loader = make()
        list(loader)
        begun, iterator = [], iter(loader)
        for _ in range(stop):
            begun.append(as_lists(next(iterator)))
        saved = json.dumps([loader.state_dict(), mc.random.get_rng_state()])
        del iterator

        mc.manual_seed(99)  # another process
        loader = make()
        state, rng = json.loads(saved)
        assert state["position"] == stop
        loader.load_state_dict(state)
        mc.random.set_rng_state(rng)
        assert loader.state_dict() == state
        assert begun + [as_lists(batch) for batch in loader] == whole[1]
        assert [as_lists(batch) for batch in loader] == whole[2]


def test_state_between_epochs_is_empty_and_loading_it_begins_an_epoch():
    loader = DataLoader(range(5), 2, shuffle=True)
    assert loader.state_dict() == {"epoch_seed": None, "position": 0}
    list(loader)
    assert loader.state_dict() == {"epoch_seed": None, "position": 0}
    loader.load_state_dict(loader.state_dict())
    assert epochs(loader) == epochs(DataLoader(range(5), 2, shuffle=True))


def test_an_abandoned_epoch_is_not_continued_unasked():
    loader = DataLoader(range(6), 2)
    next(iter(loader))
    assert loader.state_dict()["position"] == 1
    assert len(list(loader)) == 3


@pytest.mark.parametrize(
    "state",
    [
        {},
        None,
        {"epoch_seed": 1},
        {"epoch_seed": None, "position": 2},
        {"epoch_seed": -1, "position": 0},
        {"epoch_seed": 1, "position": -1},
        {"epoch_seed": "1", "position": 0},
        {"epoch_seed": 1 << 64, "position": 0},
    ],
)
def test_a_wrong_state_is_refused(state):
    with pytest.raises(ValueError, match=r"state: expected what DataLoader.state_dict\(\) returns"):
        DataLoader(range(3)).load_state_dict(state)


@pytest.mark.parametrize("make", [lambda: DataLoader(range(3), num_workers=1), lambda: DataLoader(CountedStream(3))])
def test_a_state_of_a_longer_loader_is_refused(make):
    loader = make()
    loader.load_state_dict({"epoch_seed": 1, "position": 9})
    with pytest.raises(ValueError, match="9 batches behind it, but this loader only has 3"):
        list(loader)
