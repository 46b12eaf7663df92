"""Pictures from elsewhere become digits as MNIST has them."""

import numpy as np
import pytest
from PIL import Image

from minicnn.training.digit_image import PictureError, digit_from_picture, prepare_picture, read_ink


@pytest.fixture(scope="module")
def digits():
    from minicnn.data import open_dataset

    pair = open_dataset("mnist10k")
    return pair.test.images[:100] / np.float32(255)


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def test_mnists_own_digits_stay_where_they_are(digits):
    similar = [correlation(digit_from_picture(digit), digit) for digit in digits]
    assert np.mean(similar) > 0.97  # cropping by a threshold moves a few digits by a pixel
    assert min(similar) > 0.6


def test_a_large_dark_drawing_on_bright_paper_off_centre(digits):
    for digit in digits[:20]:
        drawing = Image.fromarray(np.uint8(255 - 255 * digit)).resize((280, 280), Image.Resampling.BICUBIC)
        page = Image.new("L", (700, 500), 255)
        page.paste(drawing, (350, 20))
        got = digit_from_picture(np.asarray(page, dtype=np.float32) / 255)
        assert correlation(got, digit) > 0.75


@pytest.mark.parametrize("bright_ink", [False, True])
@pytest.mark.parametrize("noise", [0, 0.08])
@pytest.mark.parametrize("light", ["from the left", "in the middle"])
def test_a_photograph_in_uneven_light(digits, light, noise, bright_ink):
    """The paper's own brightness changes by more than half of what the ink does, and the camera adds noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:300j, -1:1:400j]
    lamp = {"from the left": 1 - 0.25 * x - 0.1 * y, "in the middle": 1.1 - 0.2 * (x**2 + y**2)}[light]
    similar = []
    for digit in digits[:10]:
        drawing = np.zeros((300, 400))
        drawing[60:228, 150:318] = digit.repeat(6, axis=0).repeat(6, axis=1)
        grey = (0.1 + 0.6 * drawing if bright_ink else 0.8 - 0.4 * drawing) * lamp + rng.normal(0, noise, drawing.shape)
        similar.append(correlation(digit_from_picture(np.clip(grey, 0, 1)), digit_from_picture(digit)))
    assert np.mean(similar) > 0.9
    assert min(similar) > 0.6  # a digit may move by a pixel


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (2, 2), (3, 4000)])
def test_pictures_of_any_shape(shape):
    picture = np.ones(shape)
    picture[shape[0] // 3 : shape[0] // 3 + 1, shape[1] // 3 : shape[1] * 2 // 3 + 1] = 0
    digit = digit_from_picture(picture)
    assert digit.shape == (28, 28)
    assert np.isfinite(digit).all()


def test_field_box_and_centre_of_mass():
    picture = np.zeros((60, 200))
    picture[10:20, 20:120] = 1.0  # a horizontal bar, 100 wide
    digit = digit_from_picture(picture)
    assert digit.shape == (28, 28)
    assert digit.dtype == np.float32
    columns = np.nonzero(digit.max(axis=0) > 0.5)[0]
    rows = np.nonzero(digit.max(axis=1) > 0.5)[0]
    assert (len(columns), len(rows)) == (20, 2)  # the longer side is 20, the other in proportion
    mass = digit / digit.sum()
    # Whole pixels: half of one, and a rounding.
    assert abs((mass.sum(0) * np.arange(28)).sum() - 14) <= 0.501
    assert abs((mass.sum(1) * np.arange(28)).sum() - 14) <= 0.501


def test_a_thin_line_does_not_fade():
    picture = np.ones((400, 400))
    picture[50:350, 200:202] = 0
    assert digit_from_picture(picture).max() == 1.0


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_an_empty_page_is_an_error(value):
    with pytest.raises(ValueError, match="no digit in it"):
        digit_from_picture(np.full((30, 30), value))


def bar(dtype, high):
    array = np.full((40, 30), high, dtype=dtype)
    array[10:30, 12:16] = 0
    return array


MODES = {
    "grey.png": lambda: Image.fromarray(bar(np.uint8, 255)),
    "grey.jpg": lambda: Image.fromarray(bar(np.uint8, 255)),
    "rgb.png": lambda: Image.fromarray(bar(np.uint8, 255)).convert("RGB"),
    "rgb.jpeg": lambda: Image.fromarray(bar(np.uint8, 255)).convert("RGB"),
    "cmyk.jpg": lambda: Image.fromarray(bar(np.uint8, 255)).convert("CMYK"),
    "palette.png": lambda: Image.fromarray(bar(np.uint8, 255)).convert("P"),
    "bits.png": lambda: Image.fromarray(bar(np.uint8, 255)).convert("1"),
    "16bit.png": lambda: Image.fromarray(bar(np.uint16, 65535)),
    "32bit.tiff": lambda: Image.fromarray(bar(np.int32, 65535)),
    "float.tiff": lambda: Image.fromarray(bar(np.float32, 1.0)),
    "alpha.png": lambda: Image.merge(
        "RGBA", [Image.new("L", (30, 40), 0)] * 3 + [Image.fromarray(255 - bar(np.uint8, 255))]
    ),
    "white on nothing.png": lambda: Image.merge(
        "LA", [Image.new("L", (30, 40), 255), Image.fromarray(255 - bar(np.uint8, 255))]
    ),
    "palette with a transparent colour.gif": lambda: transparent_palette(),
}


def transparent_palette():
    image = Image.new("P", (30, 40), 1)
    image.putpalette([0, 0, 0, 90, 120, 50])
    image.paste(0, (12, 10, 16, 30))
    image.info["transparency"] = 1
    return image


@pytest.mark.parametrize("name", MODES)
def test_every_kind_of_file_shows_the_same_bar(name, tmp_path):
    path = tmp_path / name
    MODES[name]().save(path)
    grey = read_ink(path)
    assert grey.shape == (40, 30)
    assert grey.dtype == np.float32
    assert 0 <= grey.min() <= grey.max() <= 1
    digit = digit_from_picture(grey)
    rows, columns = np.nonzero(digit > 0.5)
    tolerance = 1 if "jp" in name else 0  # JPEG's ripples may tip a pixel of the edge
    np.testing.assert_allclose([rows.min(), rows.max(), columns.min(), columns.max()], [4, 23, 12, 15], atol=tolerance)


def test_exif_orientation_is_obeyed(tmp_path):
    image = Image.fromarray(bar(np.uint8, 255)).rotate(90, expand=True)
    exif = image.getexif()
    exif[0x0112] = 6  # "turn right by 90 degrees to see it upright"
    image.save(tmp_path / "a.jpg", exif=exif)
    assert read_ink(tmp_path / "a.jpg").shape == (40, 30)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"text", "not a readable image"),
        (b"", "not a readable image"),
        ("cut", "not a readable image"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, content, message):
    path = tmp_path / "a.png"
    if content == "cut":
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50), np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:900])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(PictureError, match=message) as caught:
        read_ink(path)
    assert str(path) in str(caught.value)


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(PictureError, match="not a readable image"):
        read_ink(tmp_path)


def test_only_runs_on_digits_crop_to_the_ink(tmp_path):
    picture = np.full((56, 56), 255, np.uint8)
    picture[:8, :8] = 0
    Image.fromarray(picture).save(tmp_path / "a.png")
    digit = prepare_picture(tmp_path / "a.png", "mnist10k")
    assert digit[0, 0] == 0
    assert digit.max() == 1
    plain = prepare_picture(tmp_path / "a.png", "shirts")
    assert plain.shape == (28, 28)
    assert plain[0, 0] == pytest.approx(0, abs=0.01)
    assert plain[20, 20] == pytest.approx(1, abs=0.01)


def test_an_empty_picture_names_its_file(tmp_path):
    Image.new("L", (9, 9), 255).save(tmp_path / "blank.png")
    with pytest.raises(PictureError, match=r"blank\.png: it has no digit in it"):
        prepare_picture(tmp_path / "blank.png", "mnist")
