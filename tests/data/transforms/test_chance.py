"""What happens by chance: RandomApply, RandomChoice, RandomOrder, RandomErasing, GaussianBlur, flips."""

import numpy as np
import pytest
import torch
from PIL import Image

import minicnn as mc
from minicnn.data import transforms as T
from minicnn.data.randomness import SampleGenerators, SampleSource, drawing_from
from minicnn.data.transforms.batched import batched

RNG = np.random.default_rng(0)


def counts(transform, x, n=900):
    mc.manual_seed(0)
    values, numbers = np.unique([transform(x) for _ in range(n)], return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


def plus(n):
    return lambda x: x + n


def test_apply_choice_and_order():
    seen = counts(T.RandomApply([plus(1), plus(10)], p=0.3), 0)
    assert set(seen) == {0, 11}
    assert abs(seen[11] - 270) < 69  # five binomial deviations
    seen = counts(T.RandomChoice([plus(1), plus(2), plus(3)]), 0)
    assert set(seen) == {1, 2, 3}
    assert max(seen.values()) < 371
    seen = counts(T.RandomChoice([plus(1), plus(2), plus(3)], p=[1, 0, 2]), 0)
    assert set(seen) == {1, 3}
    assert abs(seen[1] - 300) < 71
    assert set(counts(T.RandomOrder([plus(1), lambda x: x * 2, lambda x: x * x]), 1)) == {3, 4, 5, 8, 9, 16}
    with drawing_from(SampleSource(0, 1, 0)):
        first = [T.RandomChoice([plus(i) for i in range(100)])(0) for _ in range(3)]
    with drawing_from(SampleSource(0, 1, 0)):
        assert [T.RandomChoice([plus(i) for i in range(100)])(0) for _ in range(3)] == first


def test_their_reprs():
    assert repr(T.RandomApply([T.ToTensor()], p=0.3)) == "RandomApply(\n    p=0.3\n    ToTensor()\n)"
    assert repr(T.RandomChoice([T.ToTensor()], p=[2])) == "RandomChoice(\n    p=[2]\n    ToTensor()\n)"
    assert repr(T.RandomOrder([T.ToTensor()])) == "RandomOrder(\n    ToTensor()\n)"


def test_vertical_flip():
    pixels = RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(T.RandomVerticalFlip(1)(Image.fromarray(pixels))), pixels[::-1])
    np.testing.assert_array_equal(T.RandomVerticalFlip(1)(mc.from_numpy(pixels)).numpy(), pixels[:, ::-1])
    image = Image.fromarray(pixels)
    assert T.RandomVerticalFlip(0)(image) is image


# ---- RandomErasing


def rectangle(changed):
    """(top, left, height, width) of the pixels that are true, which must fill it."""
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    top, left, height, width = rows[0], columns[0], len(rows), len(columns)
    assert changed[top : top + height, left : left + width].all()
    assert changed.sum() == height * width
    return top, left, height, width


def test_erased_rectangles_have_the_shares_and_proportions_asked_for():
    transform = T.RandomErasing(p=1, scale=(0.1, 0.3), ratio=(0.5, 2), value=(5, 6))
    x = mc.zeros(2, 40, 60)
    found = []
    for i in range(200):
        with drawing_from(SampleSource(0, i, 0)):
            result = transform(x).numpy()
        found.append(rectangle(result[0] == 5))
        assert found[-1] == rectangle(result[1] == 6)
    top, left, height, width = np.array(found).T
    assert (x == 0).all()
    # sides are rounded to whole pixels: half of one, of 11 at least
    assert 0.1 * 0.91 < (height * width / 2400).min() < 0.12
    assert 0.26 < (height * width / 2400).max() < 0.3 * 1.09
    assert 0.5 * 0.91 < (height / width).min() < 0.6
    assert 1.7 < (height / width).max() < 2 * 1.09
    assert top.min() == 0
    assert left.min() <= 1
    assert (top + height).max() == 40


def test_how_often_it_erases_and_when_it_cannot():
    mc.manual_seed(0)
    x = mc.zeros(1, 8, 8)
    erased = sum(bool((T.RandomErasing(0.25, value=1)(x) == 1).any()) for _ in range(400))
    assert abs(erased - 100) < 44
    assert (T.RandomErasing(1, scale=(1, 1), ratio=(1, 1), value=1)(x) == 0).all()  # it must be smaller than the image


def test_noise_is_normal_and_repeatable():
    transform = T.RandomErasing(1, scale=(0.3, 0.3), ratio=(1, 1), value="random")
    x = mc.full((3, 100, 100), 100.0)
    mc.manual_seed(1)
    first = transform(x).numpy()
    noise = first[first < 50]
    assert len(noise) == 3 * 55 * 55
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.03
    mc.manual_seed(1)
    np.testing.assert_array_equal(transform(x).numpy(), first)


def test_in_place_writes_and_is_noticed():
    x = mc.zeros(1, 8, 8)
    assert T.RandomErasing(1, value=1, inplace=True)(x) is x
    assert (x == 1).any()


# ---- GaussianBlur


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize(("kernel_size", "sigma"), [(5, 0.8), ((3, 7), 2.0), (1, 1.0)])
def test_blur_is_the_convolution_that_torchvision_documents(dtype, kernel_size, sigma):
    x = RNG.integers(0, 256, (2, 3, 9, 11)).astype(dtype)
    taps = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    curves = [torch.exp(-0.5 * (torch.arange(k).double() - k // 2).square() / sigma**2) for k in taps]
    kernel = torch.outer(curves[1], curves[0])  # rows: along y
    kernel = (kernel / kernel.sum()).expand(3, 1, *kernel.shape)
    padded = torch.nn.functional.pad(
        torch.from_numpy(x).double(), [taps[0] // 2, taps[0] // 2, taps[1] // 2, taps[1] // 2], mode="reflect"
    )
    expected = torch.nn.functional.conv2d(padded, kernel, groups=3).numpy()
    result = T.GaussianBlur(kernel_size, sigma)(mc.from_numpy(x)).numpy()
    assert result.dtype == dtype
    # float32 over at most 21 weights; bytes are rounded
    np.testing.assert_allclose(result, expected, atol={np.uint8: 0.5001, np.float32: 2e-4, np.float64: 1e-10}[dtype])
    if dtype == np.uint8:
        picture = Image.fromarray(np.moveaxis(x[0], 0, 2))
        blurred = T.GaussianBlur(kernel_size, sigma)(picture)
        np.testing.assert_array_equal(np.moveaxis(np.asarray(blurred), 2, 0), result[0])


@pytest.mark.parametrize(
    "transform",
    [
        T.RandomVerticalFlip(),
        T.RandomErasing(0.7),
        T.RandomErasing(value="random"),
        T.GaussianBlur(3),
        T.ColorJitter(0.3, 0.3, 0.3, 0.1),
        T.RandomGrayscale(0.5),
        T.RandomResizedCrop(6),
        T.RandomCrop(8, padding=2, padding_mode="reflect"),
        T.Compose([T.RandomResizedCrop(8), T.ColorJitter(0.5), T.RandomErasing()]),
    ],
)
def test_a_batch_is_bit_for_bit_its_samples(transform):
    images = RNG.random((9, 3, 10, 8), dtype=np.float32)
    before = images.copy()
    together = batched(transform)(images, SampleGenerators(3, [(i, 0) for i in range(9)]))
    assert len(np.unique(together.reshape(9, -1), axis=0)) == 9
    for i, image in enumerate(images):
        with drawing_from(SampleSource(3, i, 0)):
            np.testing.assert_array_equal(transform(mc.from_numpy(image)).numpy(), together[i])
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: T.RandomApply(abs), TypeError, "transforms: expected a list"),
        (lambda: T.RandomOrder([]), ValueError, "transforms: expected at least one"),
        (lambda: T.RandomApply([abs], p=2), ValueError, "p: expected a probability"),
        (lambda: T.RandomChoice([abs], p=[1, 2]), TypeError, "p: expected one number for each of 1"),
        (lambda: T.RandomChoice([abs], p=[-1]), ValueError, "p: expected numbers of at least 0"),
        (lambda: T.RandomErasing(p=-1), ValueError, "p: expected a probability"),
        (lambda: T.RandomErasing(scale=0.5), TypeError, "scale: expected two numbers"),
        (lambda: T.RandomErasing(scale=(0, 2)), ValueError, "scale: expected shares between 0 and 1"),
        (lambda: T.RandomErasing(ratio=(0, 2)), ValueError, "ratio: expected numbers above 0"),
        (lambda: T.RandomErasing(value="noise"), ValueError, "value: expected a number, one a channel or 'random'"),
        (lambda: T.RandomErasing(value=None), TypeError, "value: expected a number"),
        (lambda: T.RandomErasing(1, value=(1, 2))(mc.zeros(3, 9, 9)), ValueError, "value: 2 numbers for an image of 3"),
        (lambda: T.RandomErasing(1)(Image.new("L", (9, 9))), TypeError, "RandomErasing: expected a tensor, got Image"),
        (lambda: T.RandomErasing(1, inplace=True)(mc.zeros(9, 9)), ValueError, r"\(..., c, h, w\)"),
        (lambda: T.GaussianBlur(4), ValueError, "kernel_size: expected odd numbers"),
        (lambda: T.GaussianBlur(3, sigma=0), ValueError, "sigma: expected a number above 0"),
        (lambda: T.GaussianBlur(3, sigma=(2, 1)), ValueError, "sigma: expected a number above 0"),
        (lambda: T.GaussianBlur(9)(mc.zeros(4, 20)), ValueError, r"kernel_size \(9, 9\) for an image of \(4, 20\)"),
    ],
)
def test_errors(do, error, message):
    with pytest.raises(error, match=message):
        do()
