"""Perspective and elastic distortion: Pillow as oracle for pictures, PyTorch's grid_sample for tensors; whitening."""

import numpy as np
import pytest
import torch
from PIL import Image

import minicnn as mc
from minicnn.data import transforms as T
from minicnn.data.randomness import SampleSource, drawing_from
from minicnn.data.transforms.batched import batched
from minicnn.data.transforms.distortion import perspective_coefficients

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (19, 26, 3), dtype=np.uint8)
IMAGE = Image.fromarray(PIXELS)
H, W = 19, 26


def read_at(x, y_in, x_in, mode):
    """torchvision's way: grid_sample at places in pixels, black outside."""
    grid = torch.tensor(np.stack([(2 * x_in + 1) / x.shape[-1] - 1, (2 * y_in + 1) / x.shape[-2] - 1], axis=-1))
    return torch.nn.functional.grid_sample(torch.tensor(x), grid, mode=mode, align_corners=False).numpy()


def test_coefficients_take_the_corners_back():
    starts, ends = [(0, 0), (25, 0), (25, 18), (0, 18)], [(3, 1), (22, 4), (24, 15), (2, 13)]
    a, b, c, d, e, f, g, k = perspective_coefficients(starts, ends)
    for (x, y), expected in zip(ends, starts, strict=True):
        depth = g * x + k * y + 1
        np.testing.assert_allclose([(a * x + b * y + c) / depth, (d * x + e * y + f) / depth], expected, atol=1e-9)


def test_corners_move_inwards_by_whole_pixels_up_to_the_scale():
    transform, seen = T.RandomPerspective(0.5, p=1), []
    for i in range(120):
        coefficients = transform._draw(SampleSource(0, i, 0)(), H, W)[1:]
        forward = np.linalg.inv(np.append(coefficients, 1).reshape(3, 3))
        corners = forward @ np.array([(0, 0, 1), (W - 1, 0, 1), (W - 1, H - 1, 1), (0, H - 1, 1)], float).T
        seen.append((corners[:2] / corners[2]).T)
    moved = np.abs(np.array(seen) - [(0, 0), (W - 1, 0), (W - 1, H - 1), (0, H - 1)])
    np.testing.assert_allclose(moved, np.rint(moved), atol=1e-6)
    for corner in range(4):  # int(0.5 * 13) and int(0.5 * 9): all steps occur, at each corner
        assert set(np.rint(moved[:, corner, 0]).astype(int)) == set(range(7))
        assert set(np.rint(moved[:, corner, 1]).astype(int)) == set(range(5))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_a_picture_is_seen_from_aside_by_pillow(mode, interpolation):
    image = IMAGE.convert(mode)
    transform = T.RandomPerspective(0.6, 1, interpolation, fill=7)
    for i in range(4):
        coefficients = transform._draw(SampleSource(0, i, 0)(), H, W)[1:].tolist()
        expected = image.transform(
            image.size,
            Image.Transform.PERSPECTIVE,
            coefficients,
            Image.Resampling[interpolation.upper()],
            fillcolor=7 if mode == "L" else (7, 7, 7),
        )
        with drawing_from(SampleSource(0, i, 0)):
            np.testing.assert_array_equal(np.asarray(transform(image)), np.asarray(expected))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_a_tensor_is_seen_from_aside_by_grid_sample(interpolation):
    x = RNG.random((1, 3, H, W))
    transform = T.RandomPerspective(0.6, 1, interpolation)
    for i in range(4):
        a, b, c, d, e, f, g, k = transform._draw(SampleSource(0, i, 0)(), H, W)[1:]
        px, py = np.arange(W) + 0.5, np.arange(H)[:, None] + 0.5
        depth = g * px + k * py + 1
        places = (d * px + e * py + f) / depth - 0.5, (a * px + b * py + c) / depth - 0.5
        with drawing_from(SampleSource(0, i, 0)):
            result = transform(mc.from_numpy(x)).numpy()
        np.testing.assert_allclose(result, read_at(x, *(p[None] for p in places), interpolation), atol=1e-12)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_a_tensor_under_water_is_read_by_grid_sample(interpolation):
    """The field: uniform numbers, smoothed as PyTorch's convolution smooths them, times alpha / height / 2 widths."""
    x = RNG.random((2, 3, 23, 31))
    transform = T.ElasticTransform((30, 60), (1.5, 2.0), interpolation)
    generator = SampleSource(0, 5, 0)()
    moves = []
    for sigma, scale in ((1.5, 30 / 23 * 31 / 2), (2.0, 60 / 31 * 23 / 2)):
        noise = torch.tensor(generator.uniform((1, 23, 31), np.float64) * 2 - 1)
        reach = int(8 * sigma + 1) // 2
        padded = torch.nn.functional.pad(noise[None], (reach,) * 4, mode="reflect")
        wide, high = (torch.exp(-0.5 * (torch.arange(-reach, reach + 1).double() / s) ** 2) for s in (1.5, 2.0))
        kernel = high[:, None] * wide / (high.sum() * wide.sum())
        moves.append(torch.nn.functional.conv2d(padded, kernel[None, None])[0, 0].numpy() * scale)
    places = np.arange(23)[:, None] + moves[1], np.arange(31) + moves[0]
    with drawing_from(SampleSource(0, 5, 0)):
        result = transform(mc.from_numpy(x)).numpy()
    expected = read_at(x, *(np.stack([p, p]) for p in places), interpolation)
    np.testing.assert_allclose(result, expected, atol=1e-9)  # floats round on the way through grid coordinates


def test_pictures_under_water_are_tensors_under_water():
    image = Image.fromarray(RNG.integers(0, 256, (30, 41, 3), dtype=np.uint8))
    transform = T.ElasticTransform(80.0, 3.0, fill=(1, 2, 3))
    for mode in ("RGB", "L"):
        if mode == "L":
            transform = T.ElasticTransform(80.0, 3.0)
        results = []
        for given in (image.convert(mode), T.PILToTensor()(image.convert(mode))):
            with drawing_from(SampleSource(0, 1, 0)):
                results.append(transform(given))
        assert results[0].mode == mode
        np.testing.assert_array_equal(T.PILToTensor()(results[0]).numpy(), results[1].numpy())
    assert (
        T.ElasticTransform(0.0)(mc.from_numpy(PIXELS[None, :, :, 0].repeat(2, 1).copy())).numpy()[0, ::2] >= 0
    ).all()


def test_chance_and_batches():
    transform = T.RandomPerspective(p=0.3)
    x = RNG.random((200, 1, 8, 8))
    batch = batched(transform)(x, [SampleSource(0, i, 0)() for i in range(200)])
    same = (batch == x).all((1, 2, 3))
    assert abs((~same).sum() - 60) < 33  # 5 standard deviations, and those that move by nothing
    for i in range(5):
        with drawing_from(SampleSource(0, i, 0)):
            np.testing.assert_array_equal(transform(mc.from_numpy(x[i])).numpy(), batch[i])
    assert T.RandomPerspective(p=0)(IMAGE) is IMAGE


def test_whitening():
    x, matrix, mean = RNG.random((4, 3, 2, 5)), RNG.random((30, 30)), RNG.random(30)
    transform = T.LinearTransformation(mc.from_numpy(matrix), mc.from_numpy(mean))
    expected = ((x.reshape(4, 30) - mean) @ matrix).reshape(x.shape)
    np.testing.assert_allclose(transform(mc.from_numpy(x)).numpy(), expected, rtol=1e-12)
    alone = np.stack([transform(mc.from_numpy(image)).numpy() for image in x])
    np.testing.assert_array_equal(batched(transform)(x, []), alone)
    assert transform(mc.from_numpy(x[0])).shape == (3, 2, 5)
    assert repr(T.LinearTransformation(mc.eye(1), mc.zeros(1))) == (
        "LinearTransformation(transformation_matrix=[[1.0]], mean_vector=[0.0])"
    )


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda: T.RandomPerspective(1.5), "distortion_scale: expected a number between 0 and 1, got 1.5"),
        (lambda: T.RandomPerspective(p=1, interpolation="bicubic")(mc.zeros(5, 5)), "'bicubic' is for PIL images only"),
        (lambda: T.ElasticTransform(sigma=-1.0), "sigma: expected widths of at least 0"),
        (lambda: T.ElasticTransform((1, 2, 3)), "alpha: expected a number or two"),
        (
            lambda: T.ElasticTransform()(mc.zeros(1, 20, 28)),
            r"ElasticTransform: kernel_size \(41, 41\) for an image of",
        ),
        (lambda: T.LinearTransformation(mc.zeros(2, 3), mc.zeros(2)), "transformation_matrix should be square"),
        (lambda: T.LinearTransformation(mc.eye(3), mc.zeros(2)), "mean_vector should have the same length"),
        (lambda: T.LinearTransformation(mc.eye(3), mc.zeros(3))(mc.zeros(1, 2, 2)), "incompatible shape"),
    ],
)
def test_errors(do, message):
    with pytest.raises(ValueError, match=message):
        do()
