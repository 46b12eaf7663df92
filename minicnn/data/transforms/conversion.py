"""Between images, tensors and types of numbers: PILToTensor, ToPILImage, ConvertImageDtype, ToDtype, ToImage.

`ToTensor` is in `basic.py`. Read next: `resizing.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import dtypes
from minicnn.autograd import Tensor

from .colour_arithmetic import largest
from .pil import is_image, require_image

# The bands of an array or tensor -> the mode that is taken, and those that may be asked for.
_MODES = {2: ("LA", ("LA",)), 3: ("RGB", ("RGB", "YCbCr", "HSV")), 4: ("RGBA", ("RGBA", "CMYK", "RGBX"))}
_GREY_MODES = {"uint8": "L", "int16": "I;16", "int32": "I", "float32": "F"}


class PILToTensor:
    """A PIL image -> a tensor (c, h, w) of its own values: uint8 for the usual modes, nothing is scaled.

    >>> from PIL import Image
    >>> PILToTensor()(Image.new("RGB", (1, 1), (10, 20, 30))).tolist()
    [[[10]], [[20]], [[30]]]
    """

    def __call__(self, image: Any) -> Tensor:
        require_image(image, "PILToTensor", "arrays are converted with ToTensor() or minicnn.from_numpy")
        return _planes(np.asarray(image))

    def __repr__(self) -> str:
        return "PILToTensor()"


class ToImage:
    """A PIL image or an array (h, w) or (h, w, c) -> a tensor (c, h, w) of its own values; tensors stay.

    What torchvision's v2 puts at the beginning: ``Compose([ToImage(), ..., ToDtype(mc.float32, scale=True)])``.
    """

    def __call__(self, image: Any) -> Tensor:
        if isinstance(image, Tensor):
            return image
        if isinstance(image, np.ndarray):
            if image.ndim not in (2, 3):
                raise ValueError(f"image: expected an array (h, w) or (h, w, c), got shape {image.shape}")
            return _planes(image)
        require_image(image, "ToImage", "an array or a tensor do as well")
        return _planes(np.asarray(image))

    def __repr__(self) -> str:
        return "ToImage()"


def _planes(pixels: np.ndarray) -> Tensor:
    if pixels.dtype == np.uint16:
        pixels = pixels.astype(np.int32)  # there are no unsigned tensors of 16 bits
    # (h, w) -> (1, h, w), (h, w, c) -> (c, h, w); a copy: the tensor must not change with the image
    return Tensor(np.array(pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0), order="C"))


class ConvertImageDtype:
    """A tensor of another type, its values scaled so that white stays white: 1 for floating point, 255 for uint8.

    Raises
    ------
    RuntimeError : float32 to int32 or int64, float64 to int64, which hold numbers that the floating-point type does not.

    >>> import minicnn as mc
    >>> ConvertImageDtype(mc.float32)(mc.tensor([51, 255], dtype=mc.uint8))
    tensor([0.2000, 1.0000])
    >>> ConvertImageDtype(mc.uint8)(mc.tensor([0.5, 1.0]))
    tensor([127, 255], dtype=minicnn.uint8)
    """

    def __init__(self, dtype: Any = dtypes.float32):
        self.dtype = dtypes.as_dtype(dtype)

    def __call__(self, image: Any) -> Tensor:
        if not isinstance(image, Tensor):
            raise TypeError(
                f"ConvertImageDtype: expected a tensor, got {type(image).__name__}; put PILToTensor() before it"
            )
        return Tensor(convert_dtype(image._array, self.dtype.numpy))

    def __repr__(self) -> str:
        return f"ConvertImageDtype(dtype={self.dtype})"


class ToDtype:
    """A tensor of another type; with ``scale`` as `ConvertImageDtype` does it, else the numbers as they are.

    >>> import minicnn as mc
    >>> ToDtype(mc.float32, scale=True)(mc.tensor([255], dtype=mc.uint8)), ToDtype(mc.float32)(mc.tensor([255]))
    (tensor([1.]), tensor([255.]))
    """

    def __init__(self, dtype: Any, scale: bool = False):
        self.dtype, self.scale = dtypes.as_dtype(dtype), scale

    def __call__(self, image: Any) -> Any:
        if not isinstance(image, Tensor):
            return image  # as in torchvision: PIL images pass
        array, dtype = image._array, self.dtype.numpy
        return Tensor(convert_dtype(array, dtype) if self.scale else array.astype(dtype))

    def __repr__(self) -> str:
        return f"ToDtype(dtype={self.dtype}, scale={self.scale})"


def convert_dtype(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """torchvision's rules: fractions are cut off so that each whole number has the same share of 0..1."""
    if x.dtype == dtype:
        return x
    if x.dtype.kind == "f":
        if dtype.kind == "f":
            return x.astype(dtype)
        if (x.dtype == np.float32 and dtype in (np.int32, np.int64)) or (x.dtype == np.float64 and dtype == np.int64):
            raise RuntimeError(f"The cast from {x.dtype} to {dtype} cannot be performed safely; convert to uint8")
        return (x * (_white(dtype) + 1 - 1e-3)).astype(dtype)
    if dtype.kind == "f":
        return x.astype(dtype) / dtype.type(_white(x.dtype))
    white, new_white = _white(x.dtype), _white(dtype)
    if white > new_white:
        return (x // ((white + 1) // (new_white + 1))).astype(dtype)
    return x.astype(dtype) * dtype.type((new_white + 1) // (white + 1))


def _white(dtype: np.dtype) -> int:
    return 1 if dtype.kind == "b" else largest(dtype)


class ToPILImage:
    """A tensor (c, h, w) or (h, w), or an array (h, w, c) or (h, w) -> a PIL image.

    Floating-point tensors are images in 0..1 and become 8 bits; arrays keep their values.

    Parameters
    ----------
    mode : the image's; None is "L", "LA", "RGB" or "RGBA" for 1 to 4 channels, "I;16", "I" or "F" for one channel of int16,
        int32 or float32.

    Raises
    ------
    TypeError : neither, or a dtype that no image has. ValueError : a shape or a mode that does not fit.

    >>> import minicnn as mc
    >>> image = ToPILImage()(mc.tensor([[[0.0, 1.0]]]))
    >>> image.mode, image.size, image.getpixel((1, 0))
    ('L', (2, 1), 255)
    """

    def __init__(self, mode: str | None = None):
        self.mode = mode

    def __call__(self, pic: Any) -> Any:
        from PIL import Image

        pixels = _pixels(pic, self.mode)
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        if channels == 1:
            pixels = pixels.reshape(pixels.shape[:2])
            expected = _GREY_MODES.get(str(pixels.dtype))
            allowed: tuple[Any, ...] = (expected,)
        elif channels in _MODES:
            expected, allowed = _MODES[channels]
            if pixels.dtype != np.uint8:
                expected = None
        else:
            raise ValueError(f"pic: expected 1 to 4 channels, got {channels} of shape {pixels.shape} (h, w, c)")
        if expected is None:
            raise TypeError(f"pic: no image has {channels} channels of {pixels.dtype}; convert it to uint8")
        if self.mode is not None and self.mode not in allowed:
            raise ValueError(
                f"mode: {self.mode!r} for {channels} channels of {pixels.dtype}, expected one of {allowed}"
            )
        mode = self.mode or expected
        if mode == "I;16":
            return Image.frombytes(mode, pixels.shape[::-1], pixels.astype("<i2").tobytes())
        if mode == expected:
            return Image.fromarray(np.ascontiguousarray(pixels))
        return Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())

    def __repr__(self) -> str:
        return "ToPILImage()" if self.mode is None else f"ToPILImage(mode={self.mode})"


def _pixels(pic: Any, mode: str | None) -> np.ndarray:
    """(h, w) or (h, w, c)"""
    if not isinstance(pic, (Tensor, np.ndarray)):
        what = "a PIL image already" if is_image(pic) else type(pic).__name__
        raise TypeError(f"pic: expected a tensor or an ndarray, got {what}")
    if pic.ndim not in (2, 3):
        raise ValueError(f"pic: expected 2 or 3 dimensions, got {pic.ndim}")
    if isinstance(pic, np.ndarray):
        return pic
    array = pic._array
    if array.dtype.kind == "f" and mode != "F":
        array = (array * 255).astype(np.int64).astype(np.uint8)  # as torch: what is above 255 begins again
    # (h, w) -> (h, w, 1), (c, h, w) -> (h, w, c)
    return array[..., None] if array.ndim == 2 else np.moveaxis(array, 0, 2)
