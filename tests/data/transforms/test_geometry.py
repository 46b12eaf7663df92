"""Rotations and affine maps of photographs: Pillow itself as oracle, and for tensors of another size."""

import numpy as np
import pytest
from PIL import Image

import minicnn as mc
from minicnn.data import transforms as T
from minicnn.data.randomness import SampleSource, drawing_from
from minicnn.data.transforms.warp import inverse_affine_matrix

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (19, 26, 3), dtype=np.uint8)
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize(("angle", "center"), [(33.3, None), (90, None), (180, None), (-120.5, None), (20, (3, 7))])
def test_a_picture_is_rotated_by_pillow(mode, interpolation, expand, angle, center):
    image = Image.fromarray(COLOURS).convert(mode)
    turned = T.RandomRotation((angle, angle), interpolation, expand, center, fill=3)(image)
    fill = 3 if mode in "LP" else (3,) * len(mode)
    expected = image.rotate(angle, FILTERS[interpolation], expand, center, fillcolor=fill)
    assert turned.mode == mode
    np.testing.assert_array_equal(np.asarray(turned), np.asarray(expected))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("interpolation", FILTERS)
def test_a_picture_is_moved_by_pillow(mode, interpolation):
    image = Image.fromarray(COLOURS).convert(mode)
    transform = T.RandomAffine(30, (0.2, 0.3), (0.7, 1.4), (-10, 10, -5, 5), interpolation, fill=7)
    for i in range(5):
        numbers = transform._draw(SampleSource(0, i, 0)(), 19, 26).tolist()
        angle, shift, scale, shear = numbers[0], numbers[1:3], numbers[3], numbers[4:6]
        matrix = inverse_affine_matrix((13, 9.5), angle, shift, scale, shear)  # which has a test of its own
        fill = 7 if mode == "L" else (7, 7, 7)
        expected = image.transform(image.size, Image.Transform.AFFINE, matrix, FILTERS[interpolation], fillcolor=fill)
        with drawing_from(SampleSource(0, i, 0)):
            np.testing.assert_array_equal(np.asarray(transform(image)), np.asarray(expected))


@pytest.mark.parametrize("angle", [0, 90, 180, 270, -90])
def test_a_tensor_that_expands_at_right_angles_is_exact(angle):
    # where both sides are odd or both even; else torchvision's rule, rounding outwards about the old middle, adds a pixel
    x = RNG.random((2, 3, 5, 7))
    for interpolation in ("nearest", "bilinear"):
        turned = T.RandomRotation((angle, angle), interpolation, expand=True)(mc.from_numpy(x))
        np.testing.assert_allclose(turned.numpy(), np.rot90(x, angle // 90, (2, 3)), atol=1e-12)


@pytest.mark.parametrize("angle", [10, 45, -77.7, 123])
def test_a_tensor_that_expands_is_about_what_pillow_makes(angle):
    """One measures corners, the other rounds: a pixel of size may differ, and then all pixels by half of one."""
    smooth = np.add.outer(np.arange(40), 2 * np.arange(60)).astype(np.float32)
    picture = Image.fromarray(smooth).rotate(angle, Image.Resampling.BILINEAR, expand=True)
    turned = T.RandomRotation((angle, angle), "bilinear", expand=True)(mc.from_numpy(smooth)).numpy()
    assert np.abs(np.subtract(turned.shape, picture.size[::-1])).max() <= 1
    middle = (
        np.asarray(picture)[picture.height // 2, picture.width // 2],
        turned[len(turned) // 2, turned.shape[1] // 2],
    )
    assert abs(middle[0] - middle[1]) <= 3
    inside = turned > 0
    assert abs(inside.sum() - 2400) < 150  # nothing of the image is lost: its area but for the border's


def test_expanded_tensors_make_no_batches():
    from minicnn.data.transforms.batched import batched

    assert batched(T.RandomRotation(30, expand=True)) is None
    assert batched(T.RandomRotation(30)) is not None


def test_interpolation_by_pillows_numbers_too():
    assert T.RandomRotation(5, Image.Resampling.BICUBIC).interpolation is T.InterpolationMode.BICUBIC
    assert T.Resize(5, 1).interpolation is T.InterpolationMode.LANCZOS
    with pytest.raises(ValueError, match="77 is not a valid InterpolationMode"):
        T.Resize(5, 77)


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda: T.RandomRotation(5, "bicubic")(mc.zeros(3, 3)), "'bicubic' turns PIL images only"),
        (lambda: T.RandomRotation(5, "lanczos"), "interpolation: expected one of 'nearest', 'bilinear', 'bicubic'"),
        (lambda: T.RandomAffine(5, fill=(1, 2))(Image.fromarray(COLOURS)), "fill: 2 values for an image of mode RGB"),
    ],
)
def test_errors(do, message):
    with pytest.raises(ValueError, match=message):
        do()
