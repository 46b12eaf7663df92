"""Transforms: values that can be checked by hand, PIL and torch's grid_sample as oracles, batches equal to samples."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

import minicnn as mc
from minicnn.data import transforms as T
from minicnn.data.randomness import SampleGenerators, SampleSource, drawing_from
from minicnn.data.transforms.batched import batched
from minicnn.data.transforms.warp import InterpolationMode, inverse_affine_matrix, warp

RNG = np.random.default_rng(0)


def grey(h=7, w=5):
    return RNG.integers(0, 256, (h, w), dtype=np.uint8)


# ---- ToTensor, Normalize, Compose


def test_to_tensor_of_grey_and_colour():
    pixels, colour = grey(), RNG.integers(0, 256, (7, 5, 3), dtype=np.uint8)
    for image in (pixels, Image.fromarray(pixels)):
        tensor = T.ToTensor()(image)
        assert tensor.dtype == mc.float32
        np.testing.assert_array_equal(tensor.numpy(), (torch.from_numpy(pixels)[None].float() / 255).numpy())
    for image in (colour, Image.fromarray(colour)):
        expected = (torch.from_numpy(colour).permute(2, 0, 1).float() / 255).numpy()
        np.testing.assert_array_equal(T.ToTensor()(image).numpy(), expected)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(np.eye(2, dtype=bool)), np.eye(2, dtype=np.float32)),
        (Image.fromarray(np.array([[1, 70000]], np.int32)), np.array([[1, 70000]], np.int32)),
        (Image.fromarray(np.array([[1, 300]], np.uint16)), np.array([[1, 300]], np.int16)),
        (Image.fromarray(np.array([[0.5, 300]], np.float32)), np.array([[0.5, 300]], np.float32)),
        (np.array([[0.5, 3]]), np.array([[0.5, 3]])),
        (np.array([[1, 3]]), np.array([[1, 3]])),
    ],
)
def test_to_tensor_of_other_types_as_torchvision(image, expected):
    tensor = T.ToTensor()(image)
    assert tensor.numpy().dtype == expected.dtype
    np.testing.assert_array_equal(tensor.numpy(), expected[None])


def test_to_tensor_copies():
    array = np.zeros((2, 2))
    tensor = T.ToTensor()(array)
    array[:] = 1
    assert tensor.sum().item() == 0


@pytest.mark.parametrize("image", [mc.zeros(1, 2, 2), "image.png", None])
def test_to_tensor_refuses(image):
    with pytest.raises(TypeError, match="expected a PIL image or an ndarray, got"):
        T.ToTensor()(image)


def test_to_tensor_refuses_shapes():
    with pytest.raises(ValueError, match=r"\(h, w\) or \(h, w, c\), got shape \(2,\)"):
        T.ToTensor()(np.zeros(2))


def test_normalize():
    x = RNG.random((2, 3, 4, 5), dtype=np.float32)
    mean, std = [0.1, 0.2, 0.3], [0.5, 1.5, 2.0]
    expected = ((torch.from_numpy(x) - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]).numpy()
    np.testing.assert_array_equal(T.Normalize(mean, std)(mc.from_numpy(x)).numpy(), expected)
    np.testing.assert_array_equal(T.Normalize(mean, std)(mc.from_numpy(x[0])).numpy(), expected[0])
    assert T.Normalize(0.5, 0.5)(mc.ones(1, 1, 1)).item() == 1
    double = T.Normalize((0.1307,), (0.3081,))(mc.from_numpy(x[:, :1].astype(np.float64)))
    assert double.dtype == mc.float64
    np.testing.assert_allclose(double.numpy(), (x[:, :1].astype(np.float64) - 0.1307) / 0.3081, rtol=1e-15)


def test_normalize_in_place_writes_and_is_noticed():
    x = mc.ones(1, 2, 2)
    assert T.Normalize(0.5, 0.25, inplace=True)(x) is x
    assert x.tolist() == [[[2, 2], [2, 2]]]
    w = mc.ones(1, 2, 2, requires_grad=True)
    y = mc.ones(1, 2, 2)
    product = (w * y).sum()
    T.Normalize(0.5, 0.25, inplace=True)(y)
    with pytest.raises(RuntimeError):
        product.backward()
    fresh = mc.ones(1, 2, 2)
    T.Normalize(0.5, 0.25)(fresh)
    assert fresh.tolist() == [[[1, 1], [1, 1]]]


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: T.Normalize(0.5, 0), ValueError, "std: expected numbers above 0"),
        (lambda: T.Normalize([[0.5]], 1), ValueError, "a number or one a channel"),
        (lambda: T.Normalize(0.5, 1)(np.zeros((1, 2, 2))), TypeError, "got ndarray; put ToTensor"),
        (lambda: T.Normalize(0.5, 1)(mc.zeros(1, 2, 2, dtype=mc.uint8)), TypeError, "uint8; put ToTensor"),
        (lambda: T.Normalize(0.5, 1)(mc.zeros(2, 2)), ValueError, r"\(..., c, h, w\), got shape \(2, 2\)"),
        (lambda: T.Normalize([1, 2, 3], 1)(mc.zeros(1, 2, 2)), ValueError, "mean: 3 values for 1 channels"),
        (lambda: T.Lambda(3), TypeError, "expected a function"),
        (lambda: T.RandomHorizontalFlip(1.5), ValueError, "p: expected a probability"),
        (lambda: T.RandomCrop(0), ValueError, "size: expected"),
        (lambda: T.RandomCrop((1, 2, 3)), ValueError, "size: expected"),
        (lambda: T.RandomCrop(2, padding=-1), ValueError, "padding: expected"),
        (lambda: T.RandomCrop(2, padding=(1, 2, 3)), ValueError, "padding: expected"),
        (lambda: T.RandomCrop(2, padding_mode="wrap"), ValueError, "padding_mode: expected"),
        (lambda: T.RandomCrop(8)(mc.zeros(1, 7, 9)), ValueError, r"\(8, 8\) is larger than input image size \(7, 9\)"),
        (lambda: T.RandomRotation(-3), ValueError, "If degrees is a single number, it must be positive"),
        (lambda: T.RandomRotation((1, 2, 3)), ValueError, "degrees: expected a number or 2"),
        (lambda: T.RandomAffine(0, translate=(1, 2)), ValueError, "translate: expected two fractions"),
        (lambda: T.RandomAffine(0, scale=(0, 2)), ValueError, "scale: expected two factors above 0"),
        (lambda: T.RandomAffine(0, shear=(1, 2, 3)), ValueError, "shear: expected a number or 2 or 4"),
        (lambda: T.RandomAffine(0, center=(1,)), ValueError, "center: expected"),
        (lambda: T.RandomAffine(0, interpolation="cubic"), ValueError, "'nearest', 'bilinear', 'bicubic', got 'cubic'"),
        (lambda: T.RandomAffine(0, fill=float("nan")), ValueError, "fill: expected"),
        (lambda: T.RandomRotation(3)(np.zeros((2, 2))), TypeError, "got ndarray; put ToTensor"),
        (lambda: T.RandomRotation(3)(mc.zeros(2)), ValueError, r"\(..., h, w\), got shape \(2,\)"),
        (lambda: T.digit_augmentation("wild"), ValueError, "'none', 'light' or 'strong', got 'wild'"),
    ],
)
def test_errors(do, error, message):
    with pytest.raises(error, match=message):
        do()


def test_compose_lambda_and_reprs():
    both = T.Compose([T.Lambda(lambda x: x + 1), T.Lambda(lambda x: x * 2)])
    assert both(3) == 8
    assert both.batch is None
    shown = repr(T.Compose([T.ToTensor(), T.Normalize(0.5, 1), T.RandomCrop(3), T.RandomHorizontalFlip(), both]))
    for name in ("ToTensor()", "Normalize(mean=0.5", "RandomCrop(size=(3, 3)", "RandomHorizontalFlip(p=0.5)", "Lambda"):
        assert name in shown
    assert "RandomRotation(degrees=(-3, 3)" in repr(T.RandomRotation(3))


# ---- the warp itself


def grid_sample(images, matrices, mode):
    """torch's, from the same inverse matrices: zeros outside."""
    n, _, h, w = images.shape
    y, x = np.mgrid[:h, :w]
    points = np.stack([x - (w - 1) / 2, y - (h - 1) / 2, np.ones((h, w))]).reshape(3, -1)
    read_at = (matrices.reshape(n, 2, 3) @ points).reshape(n, 2, h, w)
    grid = np.stack([read_at[:, 0] * 2 / w, read_at[:, 1] * 2 / h], axis=-1)  # -1 and 1 are the image's edges
    return torch.nn.functional.grid_sample(
        torch.from_numpy(images), torch.from_numpy(grid).to(torch.from_numpy(images).dtype), mode, align_corners=False
    ).numpy()


@given(
    n=st.integers(1, 3),
    c=st.integers(1, 3),
    h=st.integers(1, 9),
    w=st.integers(1, 9),
    mode=st.sampled_from([InterpolationMode.NEAREST, InterpolationMode.BILINEAR]),
    seed=st.integers(0, 1000),
)
def test_warp_equals_grid_sample(n, c, h, w, mode, seed):
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((n, c, h, w))
    matrices = np.array(
        [
            inverse_affine_matrix((0, 0), rng.uniform(-180, 180), rng.uniform(-3, 3, 2), rng.uniform(0.5, 2), (a, b))
            for a, b in rng.uniform(-30, 30, (n, 2))
        ]
    )
    ours = warp(images, matrices, mode, np.zeros(1))
    # float64 throughout; a coordinate's rounding error of 1e-15 moves a bilinear value by as much
    np.testing.assert_allclose(ours, grid_sample(images, matrices, mode.value), atol=1e-12)


def test_bilinear_blends_the_fill_by_its_share():
    images = np.ones((1, 1, 1, 2), np.float32)
    half_right = np.array([[1, 0, -0.5, 0, 1, 0]])  # each output pixel reads half a pixel to its left
    np.testing.assert_array_equal(warp(images, half_right, InterpolationMode.BILINEAR, np.array([3.0]))[0, 0], [[2, 1]])


def test_far_outside_is_all_fill_and_integers_are_rounded():
    images = np.full((1, 2, 3, 3), 200, np.uint8)
    far = np.array([[1, 0, 1e9, 0, 1, -1e9]])
    for mode in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        result = warp(images, far, mode, np.array([7.0, 9.0]))
        assert result.dtype == np.uint8
        assert (result[0, 0] == 7).all()
        assert (result[0, 1] == 9).all()
    quarter = np.array([[1, 0, 0.25, 0, 1, 0]])
    pixels = np.array([[[[0, 10]]]], np.uint8)
    assert warp(pixels, quarter, InterpolationMode.BILINEAR, np.zeros(1)).tolist() == [[[[2, 8]]]]  # 2.5, 7.5: to even


def test_inverse_matrix_undoes_the_map_it_is_documented_to_invert():
    centre, angle, shift, scale, shear = (2.0, 3.0), 25.0, (1.5, -4.0), 1.3, (10.0, -7.0)
    rot, sx, sy = (math.radians(v) for v in (angle, *shear))

    def translation(x, y):
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])

    # rotation and shears as torchvision composes them: R(rot - sy) along y, then x
    turn = np.array(
        [
            [math.cos(rot - sy) / math.cos(sy), -math.cos(rot - sy) * math.tan(sx) / math.cos(sy) - math.sin(rot), 0],
            [math.sin(rot - sy) / math.cos(sy), -math.sin(rot - sy) * math.tan(sx) / math.cos(sy) + math.cos(rot), 0],
            [0, 0, 1],
        ]
    )
    forward = translation(*shift) @ translation(*centre) @ turn @ np.diag([scale, scale, 1])
    forward = forward @ translation(-centre[0], -centre[1])
    inverse = np.array([*inverse_affine_matrix(centre, angle, shift, scale, shear), 0, 0, 1]).reshape(3, 3)
    np.testing.assert_allclose(inverse @ forward, np.eye(3), atol=1e-12)


# ---- random transforms


def test_rotation_by_right_angles_is_exact_and_counter_clockwise():
    x = RNG.random((2, 6, 6), dtype=np.float32)
    for quarter_turns in range(4):
        turned = T.RandomRotation((90 * quarter_turns,) * 2)(mc.from_numpy(x)).numpy()
        np.testing.assert_array_equal(turned, np.rot90(x, quarter_turns, axes=(1, 2)))
        clockwise = T.RandomAffine((90 * quarter_turns,) * 2)(mc.from_numpy(x)).numpy()
        np.testing.assert_array_equal(clockwise, np.rot90(x, -quarter_turns, axes=(1, 2)))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_pil_rotation_equals_pils_own(interpolation):
    resample = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}[interpolation]
    for shape, fill in (((9, 12), 3), ((9, 12, 3), (1, 2, 3))):
        image = Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8))
        for angle in (7.3, -31.0, 100.0):
            turned = T.RandomRotation((angle, angle), interpolation, fill=fill)(image)
            expected = image.rotate(angle, resample, fillcolor=fill)
            np.testing.assert_array_equal(np.asarray(turned), np.asarray(expected))


def test_translation_is_in_whole_pixels_and_bounded():
    x = np.zeros((1, 11, 21), np.float32)
    x[0, 5, 10] = 1
    shifts = set()
    mc.manual_seed(0)
    for _ in range(300):
        moved = T.RandomAffine(0, translate=(0.1, 0.2))(mc.from_numpy(x)).numpy()
        (row,), (column,) = np.nonzero(moved[0])
        shifts.add((row - 5, column - 10))
    assert shifts == {(dy, dx) for dy in (-2, -1, 0, 1, 2) for dx in (-2, -1, 0, 1, 2)}


def test_scale_and_shear_draw_within_their_limits():
    transform = T.RandomAffine((-5, 10), scale=(0.5, 0.7), shear=(1, 2, 3, 4))
    drawn = np.array([transform._draw(SampleSource(0, i, 0)(), 10, 20) for i in range(200)])
    low, high = np.array([-5, 0, 0, 0.5, 1, 3, 10, 20]), np.array([10, 0, 0, 0.7, 2, 4, 10, 20])
    assert (drawn >= low).all()
    assert (drawn <= high).all()
    assert (drawn[:, [0, 3, 4, 5]].std(axis=0) > 0.2 * (high - low)[[0, 3, 4, 5]]).all()


def test_centre_stays_where_it_is():
    x = np.zeros((1, 9, 9), np.float32)
    x[0, 2, 6] = 1  # the pixel around (6.5, 2.5)
    for transform in (T.RandomRotation((40, 40), center=(6.5, 2.5)), T.RandomAffine((40, 40), center=(6.5, 2.5))):
        assert transform(mc.from_numpy(x))[0, 2, 6].item() == 1
        assert np.asarray(transform(Image.fromarray((x[0] * 255).astype(np.uint8))))[2, 6] == 255


def test_flip_and_its_probability():
    pixels = grey()
    np.testing.assert_array_equal(np.asarray(T.RandomHorizontalFlip(1)(Image.fromarray(pixels))), pixels[:, ::-1])
    np.testing.assert_array_equal(np.asarray(T.RandomHorizontalFlip(0)(Image.fromarray(pixels))), pixels)
    flip, x = T.RandomHorizontalFlip(0.25), mc.tensor([[0.0, 1.0]])
    mc.manual_seed(0)
    flips = sum(int(flip(x)[0, 0].item()) for _ in range(800))
    assert abs(flips - 200) < 62  # binomial deviation 12.2: five of them


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
def test_crop_is_a_window_of_the_padded_image(mode):
    pixels = RNG.integers(1, 256, (8, 9), dtype=np.uint8)
    options = {"constant_values": 7} if mode == "constant" else {}
    padded = np.pad(pixels, ((2, 4), (1, 3)), mode=mode, **options)
    windows = {padded[y : y + 6, x : x + 5].tobytes() for y in range(9) for x in range(9)}
    crop = T.RandomCrop((6, 5), padding=(1, 2, 3, 4), fill=7, padding_mode=mode)
    mc.manual_seed(0)
    seen = {np.asarray(crop(Image.fromarray(pixels))).tobytes() for _ in range(600)}
    assert seen <= windows
    assert len(seen) > 70  # of 81
    assert crop(mc.from_numpy(pixels)).numpy().tobytes() in windows


def test_crop_padding_forms_and_pad_if_needed():
    x = mc.ones(2, 4, 4)
    assert T.RandomCrop(4, padding=1)(x).shape == (2, 4, 4)
    assert T.RandomCrop((8, 6), padding=(1, 2))(x).tolist()[0][2] == [0, 1, 1, 1, 1, 0]
    assert T.RandomCrop([5])(mc.ones(5, 5)).tolist() == [[1] * 5] * 5
    image = Image.fromarray(np.full((3, 4), 9, np.uint8))
    wide = T.RandomCrop(6, pad_if_needed=True)(image)
    assert wide.size == (6, 6)
    assert np.asarray(wide).sum() == 9 * 12
    palette = ImageOps.posterize(image, 2).convert("P")
    assert T.RandomCrop(3)(palette).convert("L").getpixel((0, 0)) == palette.convert("L").getpixel((0, 0))


def test_colour_fill_and_leading_dimensions_share_one_draw():
    x = mc.ones(4, 3, 8, 8)
    turned = T.RandomAffine((30, 30), fill=(5, 6, 7))(x).numpy()
    assert turned[0, :, 0, 0].tolist() == [5, 6, 7]
    assert (turned == turned[0]).all()
    assert T.RandomAffine(30)(mc.ones(8, 8)).shape == (8, 8)


@pytest.mark.parametrize(
    "transform",
    [
        T.RandomAffine(30, (0.2, 0.1), (0.8, 1.2), (-5, 5, -3, 3), "bilinear", fill=0.5),
        T.RandomRotation(30, fill=0.25),
        T.RandomCrop((9, 7), padding=2, fill=0.5),
        T.RandomHorizontalFlip(),
        T.Normalize([0.5], [0.25]),
        T.Compose([T.RandomCrop((10, 8), padding=1), T.RandomHorizontalFlip(), T.RandomRotation(20)]),
        T.digit_augmentation("light"),
        T.digit_augmentation("strong"),
    ],
)
def test_a_batch_is_bit_for_bit_its_samples(transform):
    images = RNG.random((9, 1, 10, 8), dtype=np.float32)
    before = images.copy()
    keys = [(i, 0) for i in range(9)]
    together = batched(transform)(images, SampleGenerators(3, keys))
    for i, image in enumerate(images):
        with drawing_from(SampleSource(3, i, 0)):
            np.testing.assert_array_equal(transform(mc.from_numpy(image)).numpy(), together[i])
    np.testing.assert_array_equal(images, before)


def test_a_subclass_with_another_call_is_not_batched():
    class Louder(T.RandomHorizontalFlip):
        def __call__(self, image):
            return 2 * super().__call__(image)

    assert batched(Louder()) is None
    assert batched(T.Compose([Louder()])) is None
    assert batched(T.Lambda(abs)) is None


def test_digit_augmentation_is_small():
    """A pixel in the middle of a digit stays within a few pixels, and what comes in is background."""
    x = np.zeros((1, 28, 28), np.float32)
    x[0, 12:16, 12:16] = 1
    for level, reach in (("light", 3), ("strong", 5)):
        for i in range(50):
            with drawing_from(SampleSource(0, i, 0)):
                moved = T.digit_augmentation(level)(mc.from_numpy(x)).numpy()
            rows, columns = np.nonzero(moved[0] > 0.5)
            assert abs(rows.mean() - 13.5) <= reach
            assert abs(columns.mean() - 13.5) <= reach
            assert 8 <= len(rows) <= 26
            assert moved.min() >= 0
    assert T.digit_augmentation("none") is None
