"""Crops: Pillow's own crop and resize as oracle, torchvision's published algorithm for what is drawn."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import minicnn as mc
from minicnn.data import transforms as T
from minicnn.data.randomness import SampleSource, drawing_from

RNG = np.random.default_rng(0)
MODES = {"L": (), "RGB": (3,), "RGBA": (4,)}


def picture(h, w, mode="RGB"):
    return Image.fromarray(RNG.integers(0, 256, (h, w, *MODES[mode]), dtype=np.uint8))


def drawn(transform, h, w, n=300):
    return np.array([transform._draw(SampleSource(0, i, 0)(), h, w) for i in range(n)])


# ---- RandomResizedCrop


def torchvisions_window(rng, h, w, scale, ratio):
    """torchvision's `RandomResizedCrop.get_params`, from its documentation: ten attempts, then the middle."""
    for _ in range(10):
        area = h * w * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= w and 0 < height <= h:
            return rng.integers(0, h - height + 1), rng.integers(0, w - width + 1), height, width
    aspect = w / h
    if aspect < min(ratio):
        width, height = w, round(w / min(ratio))
    elif aspect > max(ratio):
        width, height = round(h * max(ratio)), h
    else:
        width, height = w, h
    return (h - height) // 2, (w - width) // 2, height, width


@pytest.mark.parametrize(("h", "w"), [(60, 80), (40, 200)])
@pytest.mark.parametrize(("scale", "ratio"), [((0.08, 1.0), (3 / 4, 4 / 3)), ((0.5, 0.9), (0.9, 2.0))])
def test_windows_are_distributed_as_torchvisions(h, w, scale, ratio):
    ours = drawn(T.RandomResizedCrop(8, scale, ratio), h, w, 1500)
    rng = np.random.default_rng(1)
    theirs = np.array([torchvisions_window(rng, h, w, scale, ratio) for _ in range(1500)])
    for column in range(4):
        a, b = np.sort(ours[:, column]), np.sort(theirs[:, column])
        values = np.union1d(a, b)
        distance = np.abs(np.searchsorted(a, values, "right") - np.searchsorted(b, values, "right")).max() / 1500
        assert distance < 0.071  # Kolmogorov and Smirnov's distance for a chance of 0.001


@given(h=st.integers(1, 50), w=st.integers(1, 50), seed=st.integers(0, 99))
def test_windows_lie_inside_and_keep_the_ratio(h, w, seed):
    transform = T.RandomResizedCrop(8, scale=(0.3, 0.7), ratio=(0.5, 2.0))
    top, left, height, width = transform._draw(SampleSource(seed, 0, 0)(), h, w).astype(int)
    assert top >= 0
    assert left >= 0
    assert 0 < height <= h - top
    assert 0 < width <= w - left
    # each side is rounded to whole pixels, so it is off by half of one at most
    assert (height - 0.5) * 0.5 <= width + 0.5
    assert (width - 0.5) * 0.5 <= height + 0.5


def test_where_no_window_fits_it_is_the_middle():
    assert drawn(T.RandomResizedCrop(8, scale=(0.9, 1)), 10, 1000, 5).tolist() == [[0, 493, 10, 13]] * 5
    assert drawn(T.RandomResizedCrop(8, scale=(0.9, 1)), 1000, 10, 5).tolist() == [[493, 0, 13, 10]] * 5
    assert drawn(T.RandomResizedCrop(8, scale=(3, 4)), 20, 20, 5).tolist() == [[0, 0, 20, 20]] * 5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_a_picture_is_cropped_and_resized_by_pillow(mode, interpolation):
    image = picture(31, 45, mode)
    transform = T.RandomResizedCrop((9, 14), interpolation=interpolation)
    top, left, height, width = transform._draw(SampleSource(3, 1, 0)(), 31, 45).astype(int).tolist()
    window = image.crop((left, top, left + width, top + height))
    expected = window.resize((14, 9), Image.Resampling[interpolation.upper()])
    with drawing_from(SampleSource(3, 1, 0)):
        result = transform(image)
    assert result.mode == mode
    np.testing.assert_array_equal(np.asarray(result), np.asarray(expected))


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("interpolation", ["nearest", "nearest-exact", "bilinear", "bicubic"])
def test_a_tensor_is_cropped_and_resized_as_by_torch(interpolation, antialias):
    x = RNG.random((2, 3, 31, 45))
    transform = T.RandomResizedCrop((9, 14), interpolation=interpolation, antialias=antialias)
    top, left, height, width = transform._draw(SampleSource(3, 1, 0)(), 31, 45).astype(int).tolist()
    smooth = interpolation in ("bilinear", "bicubic")
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(x)[..., top : top + height, left : left + width],
        (9, 14),
        mode=interpolation,
        align_corners=False if smooth else None,
        antialias=antialias and smooth,
    )
    with drawing_from(SampleSource(3, 1, 0)):
        result = transform(mc.from_numpy(x))
    np.testing.assert_allclose(result.numpy(), expected.numpy(), rtol=1e-12, atol=1e-13)


def test_a_tensor_of_bytes_is_near_the_picture():
    image = picture(40, 40)
    x = mc.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(image), 2, 0)))
    results = []
    for given_image in (image, x):
        mc.manual_seed(2)
        results.append(T.RandomResizedCrop(16)(given_image))
    assert results[1].dtype == mc.uint8
    # Pillow computes in fixed point, one axis after the other, each rounded
    difference = np.moveaxis(np.asarray(results[0]).astype(int), 2, 0) - results[1].numpy()
    assert np.abs(difference).max() <= 1


def test_resized_crop_of_the_whole_image_in_its_own_size_is_the_image():
    image = picture(16, 16)
    assert (np.asarray(T.RandomResizedCrop(16, (1, 1), (1, 1))(image)) == np.asarray(image)).all()


def test_repeatable_by_the_seed_and_by_the_sample():
    image, transform = picture(50, 60), T.RandomResizedCrop(8)

    def five():
        return [np.asarray(transform(image)).tobytes() for _ in range(5)]

    mc.manual_seed(5)
    first = five()
    assert len(set(first)) == 5
    mc.manual_seed(5)
    assert five() == first


def test_a_reversed_range_warns_as_torchvision_does():
    with pytest.warns(UserWarning, match=r"Scale and ratio should be of kind \(min, max\)"):
        T.RandomResizedCrop(8, scale=(1, 0.5))


# ---- the fixed windows


@pytest.mark.parametrize("size", [(6, 8), (5, 5), (12, 4), (3, 15), (13, 14)])
def test_center_crop_of_pictures_and_tensors_is_the_same(size):
    image = picture(9, 11)
    result = T.CenterCrop(size)(image)
    tensor = T.CenterCrop(size)(T.ToTensor()(image))
    assert result.size == size[::-1]
    np.testing.assert_array_equal(T.ToTensor()(result).numpy(), tensor.numpy())


def test_center_crop_pads_with_black_its_odd_pixel_after():
    assert T.CenterCrop((1, 4))(mc.tensor([[5]])).tolist() == [[0, 5, 0, 0]]
    assert T.CenterCrop((4, 2))(mc.tensor([[1, 2, 3, 4, 5]])).tolist() == [[0, 0], [3, 4], [0, 0], [0, 0]]


def test_five_and_ten_crops():
    image = picture(7, 9)
    pixels = np.asarray(image)

    def five(p):
        return [p[:4, :3], p[:4, -3:], p[-4:, :3], p[-4:, -3:], p[2:6, 3:6]]

    for vertical, mirrored in ((False, pixels[:, ::-1]), (True, pixels[::-1])):
        expected = five(pixels) + five(mirrored)
        crops = T.TenCrop((4, 3), vertical_flip=vertical)(image)
        assert type(crops) is tuple
        for a, b in zip(crops, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(a), b)
    x = mc.from_numpy(pixels[..., 0].copy())
    for a, b in zip(T.FiveCrop((4, 3))(x), five(pixels[..., 0]), strict=True):
        np.testing.assert_array_equal(a.numpy(), b)


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: T.RandomResizedCrop(0), ValueError, "size: expected a positive integer"),
        (lambda: T.RandomResizedCrop(8, scale=0.5), ValueError, "scale: expected two numbers above 0"),
        (lambda: T.RandomResizedCrop(8, ratio=(0, 1)), ValueError, "ratio: expected two numbers above 0"),
        (lambda: T.RandomResizedCrop(8, interpolation="spline"), ValueError, "spline"),
        (
            lambda: T.RandomResizedCrop(8, interpolation="lanczos")(mc.zeros(9, 9)),
            ValueError,
            "tensors are resized with",
        ),
        (lambda: T.RandomResizedCrop(8)(np.zeros((9, 9))), TypeError, "got ndarray; put ToTensor"),
        (lambda: T.FiveCrop(5)(mc.zeros(4, 9)), ValueError, r"FiveCrop: requested crop size \(5, 5\) is bigger"),
        (lambda: T.TenCrop(5)(picture(9, 4)), ValueError, "TenCrop: requested crop size"),
        (lambda: T.CenterCrop(5)(np.zeros((9, 9))), TypeError, "CenterCrop: expected a PIL image, got ndarray"),
        (lambda: T.CenterCrop(5)(mc.zeros(9)), ValueError, r"\(..., h, w\), got shape \(9,\)"),
    ],
)
def test_errors(do, error, message):
    with pytest.raises(error, match=message):
        do()


def test_reprs():
    assert repr(T.RandomResizedCrop(224)) == (
        "RandomResizedCrop(size=(224, 224), scale=(0.08, 1.0), ratio=(0.75, 1.3333), interpolation=bilinear, antialias=True)"
    )
    assert repr(T.CenterCrop(3)) == "CenterCrop(size=(3, 3))"
    assert repr(T.FiveCrop(3)) == "FiveCrop(size=(3, 3))"
    assert repr(T.TenCrop(3)) == "TenCrop(size=(3, 3), vertical_flip=False)"
