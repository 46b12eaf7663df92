"""Recycled memory: never while anybody can see it, always once nobody can."""

import gc
import threading

import numpy as np
import pytest

from minicnn_kernels import workspace

LARGE = (512, 512)  # float32: 1 MiB


@pytest.fixture(autouse=True)
def empty_shelf():
    gc.collect()
    workspace.clear()
    yield
    workspace.clear()


def address(array):
    return array.__array_interface__["data"][0]


def test_a_dead_result_is_lent_again():
    first = workspace.empty(LARGE, np.float32)
    where = address(first)
    del first
    assert workspace.kept_bytes() >= 1 << 20
    assert address(workspace.empty(LARGE, np.float32)) == where


@pytest.mark.parametrize(
    "look",
    [
        lambda a: a[3:7],
        lambda a: a.T,
        lambda a: a.reshape(-1)[5:],
        lambda a: a.view(np.int32),
        lambda a: np.broadcast_to(a, (2, *a.shape)),
        lambda a: memoryview(a),
        lambda a: a.transpose(1, 0)[::2].ravel(order="K"),
    ],
)
def test_memory_that_a_view_still_shows_is_not_lent_again(look):
    array = workspace.empty(LARGE, np.float32)
    array.fill(7)
    view = look(array)
    before = np.array(view)
    del array
    others = [workspace.empty(LARGE, np.float32) for _ in range(3)]
    for other in others:
        other.fill(1)
    np.testing.assert_array_equal(np.array(view), before)


def test_two_live_results_never_overlap():
    arrays = [workspace.empty(LARGE, np.float32) for _ in range(5)]
    for i, a in enumerate(arrays):
        for b in arrays[i + 1 :]:
            assert not np.shares_memory(a, b)


def test_zeros_are_zero_in_used_memory():
    used = workspace.empty(LARGE, np.float32)
    used.fill(np.nan)
    del used
    assert not workspace.zeros(LARGE, np.float32).any()


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((0, 5), np.float32), ((3,), np.float64), ((30, 31), np.float64), ((300, 301), np.float64), ((), np.float32)],
)
def test_shape_type_and_alignment(shape, dtype):
    array = workspace.empty(shape, dtype)
    assert (array.shape, array.dtype) == (shape, dtype)
    assert array.flags.carray
    assert workspace.owns(array)
    if array.nbytes >= workspace.ALIGNED:
        assert address(array) % workspace.ALIGNMENT == 0
        assert not workspace.owns(array[1:])


def test_a_shelf_that_overflows_is_cleared(monkeypatch):
    monkeypatch.setattr(workspace, "_limit", 3 << 20)
    arrays = [workspace.empty(LARGE, np.float32) for _ in range(6)]
    del arrays
    assert 0 < workspace.kept_bytes() <= 3 << 20


def test_results_from_several_threads_do_not_mix():
    wrong = []

    def work(number):
        for _ in range(200):
            array = workspace.empty(LARGE, np.float32)
            array.fill(number)
            if not (array == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("size", [1 << 18, (1 << 18) + 1, 6_422_528, 10**8])
def test_size_classes_waste_at_most_an_eighth(size):
    rounded = workspace._size_class(size)
    assert size <= rounded <= size * 1.125


@pytest.mark.parametrize("reshaped", [False, True])
def test_a_transposed_result_takes_over_the_lease(reshaped):
    result = workspace.empty((64, 64, 64), np.float32)
    address = result.ctypes.data
    if reshaped:
        result = result.reshape(64, 64, 8, 8)
    result[...] = np.arange(result.size, dtype=np.float32).reshape(result.shape)
    axes = (2, 0, 1, *range(3, result.ndim))
    view, expected = workspace.transposed(result, axes), result.transpose(axes).copy()
    del result
    assert workspace.owns(view)
    np.testing.assert_array_equal(view, expected)
    assert workspace.empty((64, 64, 64), np.float32).ctypes.data != address  # the view holds the memory
    part = workspace.empty((65, 64, 64), np.float32)[1:]
    assert not workspace.owns(workspace.transposed(part, (2, 0, 1)))


def test_elementwise_and_copied_keep_values_and_memory_order():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((8, 30, 40, 16)).astype(np.float32).transpose(0, 3, 1, 2)  # above the smallest size
    b = rng.standard_normal((16, 1, 1)).astype(np.float32)
    for x, y in ((a, a), (a, b), (b, a), (a, np.float32(2)), (a[..., ::2], a[..., ::2]), (a[:1], a), (b, b)):
        result = workspace.elementwise(np.add, x, y)
        np.testing.assert_array_equal(result, x + y)
        assert result.dtype == np.float32
        if result.nbytes >= workspace.SMALLEST and x.shape == result.shape:
            assert workspace.owns(result)
            assert np.argsort(result.strides).tolist() == np.argsort(x.strides).tolist()
    wide = np.broadcast_to(b, (40, 16, 30, 40))
    for x in (a, a[:, ::2], wide, a.transpose(1, 0, 2, 3)[::-1]):
        for order in ("C", "K"):
            copied = workspace.copied(x, order)
            np.testing.assert_array_equal(copied, x)
            assert copied.flags.writeable
            assert not np.shares_memory(copied, x)
            assert order == "K" or copied.flags.c_contiguous
    assert workspace.copied(a).strides == a.strides


def test_elementwise_recycles():
    a = np.ones((600, 600))
    first = workspace.elementwise(np.multiply, a, 3.0)
    address = first.ctypes.data
    view = first[1:]
    del first
    assert workspace.elementwise(np.multiply, a, 3.0).ctypes.data != address
    np.testing.assert_array_equal(view, 3)
    del view
    assert workspace.elementwise(np.negative, a).ctypes.data == address
