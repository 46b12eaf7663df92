"""``get_params``: the random numbers of a transform alone, to change an image and its mask or boxes alike."""

import numpy as np
import pytest
from PIL import Image

import minicnn as mc
from minicnn.data import transforms as T
from minicnn.data.transforms import functional as F

IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
TENSOR = F.to_tensor(IMAGE)


def pixels(image) -> np.ndarray:
    return np.asarray(image) if not isinstance(image, mc.Tensor) else image.numpy()


# the transform, its get_params with the same numbers, and the function that takes them
SAME = {
    "crop": (T.RandomCrop((20, 30)), lambda x: T.RandomCrop.get_params(x, (20, 30)), F.crop),
    "resized crop": (
        T.RandomResizedCrop((8, 9)),
        lambda x: T.RandomResizedCrop.get_params(x, (0.08, 1.0), (3 / 4, 4 / 3)),
        lambda x, *window: F.resized_crop(x, *window, (8, 9)),
    ),
    "rotation": (T.RandomRotation(30), lambda x: [T.RandomRotation.get_params((-30, 30))], F.rotate),
    "affine": (
        T.RandomAffine(20, (0.1, 0.2), (0.8, 1.2), 5),
        lambda x: T.RandomAffine.get_params((-20, 20), (0.1, 0.2), (0.8, 1.2), (-5, 5), F.get_image_size(x)),
        lambda x, angle, shift, scale, shear: F.affine(x, angle, list(shift), scale, list(shear)),
    ),
    "blur": (T.GaussianBlur(5), lambda x: [T.GaussianBlur.get_params(0.1, 2.0)], lambda x, s: F.gaussian_blur(x, 5, s)),
}


@pytest.mark.parametrize("image", [IMAGE, TENSOR], ids=["PIL", "tensor"])
@pytest.mark.parametrize("name", SAME)
def test_the_numbers_are_those_of_the_transform(name, image):
    transform, get_params, function = SAME[name]
    mc.manual_seed(5)
    expected = transform(image)
    mc.manual_seed(5)
    np.testing.assert_array_equal(pixels(function(image, *get_params(image))), pixels(expected))


def test_one_window_for_image_and_mask():
    mask = Image.fromarray(np.arange(2400, dtype=np.int32).reshape(40, 60))
    i, j, h, w = T.RandomCrop.get_params(IMAGE, output_size=(16, 16))
    assert all(type(n) is int for n in (i, j, h, w))
    assert np.asarray(F.crop(mask, i, j, h, w))[0, 0] == 60 * i + j
    with pytest.raises(ValueError, match="larger than input image size"):
        T.RandomCrop.get_params(IMAGE, (41, 10))


def test_colours():
    order, brightness, contrast, saturation, hue = T.ColorJitter.get_params((0.5, 0.6), None, (1.2, 1.2), None)
    assert sorted(order.tolist()) == [0, 1, 2, 3]
    assert (0.5 <= brightness <= 0.6, contrast, saturation, hue) == (True, None, pytest.approx(1.2), None)


def test_erasing():
    i, j, h, w, paint = T.RandomErasing.get_params(TENSOR, (0.1, 0.1), (1, 1), [0.5])
    assert h == w == round((0.1 * 2400) ** 0.5)
    erased = F.erase(TENSOR, i, j, h, w, paint)
    assert (erased[:, i : i + h, j : j + w] == 0.5).all()
    noise = T.RandomErasing.get_params(TENSOR, (0.1, 0.1), (1, 1))[-1]
    assert noise.shape == (3, h, w)
    assert T.RandomErasing.get_params(TENSOR, (1, 1), (1, 1))[:4] == (0, 0, 40, 60)  # none fits


def test_perspective():
    starts, ends = T.RandomPerspective.get_params(60, 40, 0.5)
    assert starts == [[0, 0], [59, 0], [59, 39], [0, 39]]
    assert all(
        abs(a - b) <= reach
        for s, e in zip(starts, ends, strict=True)
        for a, b, reach in zip(s, e, (15, 10), strict=True)
    )
    assert F.perspective(IMAGE, starts, ends).size == IMAGE.size


def test_several_inputs_together():
    """As torchvision's tutorial on MixUp has it: one of two, for a batch and its labels."""
    images, labels = mc.rand(4, 3, 8, 8), mc.tensor([0, 1, 2, 1])
    choice = T.RandomChoice([T.CutMix(num_classes=3), T.MixUp(num_classes=3)])
    for transform in (choice, T.Compose([choice]), T.RandomApply([choice], p=1), T.RandomOrder([choice])):
        mixed, soft = transform(images, labels)
        assert mixed.shape == (4, 3, 8, 8)
        np.testing.assert_allclose(soft.sum(1).numpy(), 1, rtol=1e-6)  # float32 rounding of two shares
    assert T.RandomApply([choice], p=0)(images, labels) == (images, labels)
