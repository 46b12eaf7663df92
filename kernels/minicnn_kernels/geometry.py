"""Output sizes of windows that slide over an image, and the checks that come before any kernel.

``minicnn.ops`` calls these with shapes; a kernel never checks its arguments itself. Every message names the argument,
says what came, what was expected, and how to get there. Along one axis (Dumoulin and Visin 2016, "A guide to
convolution arithmetic", relation 15):

    size_out = floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1
"""

import math
import operator
from collections.abc import Sequence
from typing import Any

Pair = tuple[int, int]
Shape = tuple[int, ...]
AXES = ("height", "width")


def to_pair(value: Any, name: str) -> Pair:
    """An int, or a pair of ints -> a pair of ints.

    Raises
    ------
    TypeError
        If an entry is not an integer.
    ValueError
        If there are not one or two of them.

    Examples
    --------
    >>> to_pair(3, "kernel_size"), to_pair((1, 2), "stride")
    ((3, 3), (1, 2))
    """
    try:
        number = operator.index(value)
    except TypeError:
        pass
    else:
        return number, number
    try:
        entries = list(value)
        numbers = [operator.index(entry) for entry in entries]
    except TypeError:
        raise TypeError(f"{name} must be an int or a pair of ints (height, width), got {value!r}") from None
    if len(numbers) == 1:
        return numbers[0], numbers[0]
    if len(numbers) != 2:
        raise ValueError(
            f"{name} must be an int or a pair of ints (height, width), got {len(numbers)} values: {value!r}"
        )
    return numbers[0], numbers[1]


def conv_output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Number of window positions along one axis.

    Examples
    --------
    >>> conv_output_size(28, kernel=3, stride=1, padding=1, dilation=1)
    28
    """
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def pool_output_size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """The same for pooling. With `ceil_mode` a last window may hang over the edge, if it starts on the image or before.

    Examples
    --------
    >>> pool_output_size(5, 2, 2, 0, 1, ceil_mode=False), pool_output_size(5, 2, 2, 0, 1, ceil_mode=True)
    (2, 3)
    """
    if not ceil_mode:
        return conv_output_size(size, kernel, stride, padding, dilation)
    n_out = -(-(size + 2 * padding - dilation * (kernel - 1) - 1) // stride) + 1
    if (n_out - 1) * stride >= size + padding:
        n_out -= 1
    return n_out


def conv_output_shape(
    x_shape: Shape,
    weight_shape: Shape,
    bias_shape: Shape | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> tuple[int, int, int, int]:
    """Check the arguments of a convolution and return (n, c_out, h_out, w_out).

    Raises
    ------
    ValueError
        If the shapes or parameters do not fit together; the message says which and how to mend it.
    """
    _require_dims("x", x_shape, ("n", "c_in", "h", "w"), "add a batch axis to a single image with x.unsqueeze(0)")
    _require_dims("weight", weight_shape, ("c_out", "c_in/groups", "kh", "kw"))
    n, c_in, _, w = x_shape
    c_out, c_per_group, kh, kw = weight_shape
    _require_positive("stride", stride)
    _require_positive("dilation", dilation)
    _require_not_negative("padding", padding)
    _require_positive("the last two sizes of weight, the kernel size,", (kh, kw))
    if groups < 1:
        raise ValueError(f"groups must be at least 1, got {groups}")
    if c_in % groups or c_out % groups:
        raise ValueError(
            f"groups={groups} must divide the channels of x, c_in={c_in}, and the filters of weight, c_out={c_out} "
            f"(shapes: x {_text(x_shape)}, weight {_text(weight_shape)}); a divisor of both is {math.gcd(c_in, c_out)}"
        )
    if c_per_group * groups != c_in:
        hint = ""
        if w == c_per_group * groups:
            hint = "; x seems to have its channels last: bring them forward with x.permute(0, 3, 1, 2)"
        raise ValueError(
            f"x has {c_in} channels, but weight expects {c_per_group * groups} (weight.shape[1] * groups = "
            f"{c_per_group} * {groups}); shapes: x {_text(x_shape)} as (n, c_in, h, w), weight {_text(weight_shape)} "
            f"as (c_out, c_in/groups, kh, kw): make the layer with in_channels={c_in}{hint}"
        )
    if bias_shape is not None and tuple(bias_shape) != (c_out,):
        raise ValueError(
            f"bias must have shape ({c_out},), one value a filter of weight {_text(weight_shape)}, "
            f"got {_text(bias_shape)}"
        )
    h_out, w_out = _window_positions("conv2d", x_shape, (kh, kw), stride, padding, dilation)
    return n, c_out, h_out, w_out


def pool2d_output_shape(
    x_shape: Shape, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[int, int, int, int]:
    """Check the arguments of a pooling and return (n, c, h_out, w_out).

    Raises
    ------
    ValueError
        If the shape or parameters do not fit together.
    """
    _require_dims("x", x_shape, ("n", "c", "h", "w"), "add a batch axis to a single image with x.unsqueeze(0)")
    _require_positive("kernel_size", kernel_size)
    _require_positive("stride", stride)
    _require_positive("dilation", dilation)
    _require_not_negative("padding", padding)
    for axis in range(2):
        if 2 * padding[axis] > kernel_size[axis]:
            raise ValueError(
                "padding must be at most half of kernel_size, or a window could lie on padding alone: along the "
                f"{AXES[axis]}, kernel_size={kernel_size[axis]} and padding={padding[axis]}; "
                f"use at most {kernel_size[axis] // 2}"
            )
    _window_positions("pooling", x_shape, kernel_size, stride, padding, dilation)
    h_out, w_out = (
        pool_output_size(x_shape[2 + a], kernel_size[a], stride[a], padding[a], dilation[a], ceil_mode)
        for a in range(2)
    )
    return x_shape[0], x_shape[1], h_out, w_out


def unfold_output_shape(
    x_shape: Shape, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[int, int, int]:
    """Check the arguments of im2col and return (n, c*kh*kw, h_out*w_out).

    Raises
    ------
    ValueError
        If the shape or parameters do not fit together.
    """
    _require_dims("x", x_shape, ("n", "c", "h", "w"), "add a batch axis to a single image with x.unsqueeze(0)")
    _require_window(kernel_size, stride, padding, dilation)
    h_out, w_out = _window_positions("unfold", x_shape, kernel_size, stride, padding, dilation)
    return x_shape[0], x_shape[1] * kernel_size[0] * kernel_size[1], h_out * w_out


def fold_output_shape(
    cols_shape: Shape, output_size: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[int, int, int, int]:
    """Check the arguments of col2im and return (n, c, h, w).

    Raises
    ------
    ValueError
        If the columns cannot have come from an image of `output_size`.
    """
    _require_dims("cols", cols_shape, ("n", "c*kh*kw", "h_out*w_out"))
    _require_positive("output_size", output_size)
    _require_window(kernel_size, stride, padding, dilation)
    n, rows, n_windows = cols_shape
    kh, kw = kernel_size
    if rows % (kh * kw):
        raise ValueError(
            f"cols.shape[1] must be a multiple of kh * kw = {kh} * {kw}, got {rows} "
            f"in cols of shape {_text(cols_shape)}"
        )
    shape = (n, rows // (kh * kw), *output_size)
    h_out, w_out = _window_positions("fold", shape, kernel_size, stride, padding, dilation)
    if n_windows != h_out * w_out:
        raise ValueError(
            f"cols.shape[2] must be the number of windows, {h_out} * {w_out} = {h_out * w_out} for "
            f"output_size={output_size}, kernel_size={kernel_size}, stride={stride}, padding={padding}, "
            f"dilation={dilation}; got {n_windows} in cols of shape {_text(cols_shape)}"
        )
    return n, rows // (kh * kw), output_size[0], output_size[1]


def check_batch_norm(x_shape: Shape, parameters: dict[str, Shape | None], training: bool) -> None:
    """Check the arguments of a batch normalisation; `parameters` maps names (weight, running_mean, ...) to shapes.

    Raises
    ------
    ValueError
        If x has no channel axis, a parameter is not of shape (c,), or training sees fewer than two values a channel.
    """
    if len(x_shape) < 2:
        raise ValueError(f"x must have shape (n, c) or (n, c, *spatial), got {_text(x_shape)}")
    c = x_shape[1]
    for name, shape in parameters.items():
        if shape is not None and tuple(shape) != (c,):
            raise ValueError(
                f"{name} must have shape ({c},), one value a channel of x {_text(x_shape)}, got {_text(shape)}: "
                f"make the layer with num_features={c}"
            )
    values = x_shape[0] * math.prod(x_shape[2:])
    if training and values < 2:
        raise ValueError(
            f"batch norm in training needs more than one value a channel, got {values} with x of shape "
            f"{_text(x_shape)}: use a larger batch, drop the last incomplete one (drop_last=True), or call eval()"
        )


def _require_dims(name: str, shape: Shape, letters: Sequence[str], remedy: str = "") -> None:
    if len(shape) != len(letters):
        tail = f": {remedy}" if remedy and len(shape) == len(letters) - 1 else ""
        raise ValueError(f"{name} must have {len(letters)} axes ({', '.join(letters)}), got shape {_text(shape)}{tail}")


def _require_window(kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> None:
    _require_positive("kernel_size", kernel_size)
    _require_positive("stride", stride)
    _require_positive("dilation", dilation)
    _require_not_negative("padding", padding)


def _require_positive(name: str, pair: Pair) -> None:
    if min(pair) < 1:
        raise ValueError(f"{name} must be at least 1 along both axes, got {pair}")


def _require_not_negative(name: str, pair: Pair) -> None:
    if min(pair) < 0:
        raise ValueError(f"{name} must not be negative, got {pair}")


def _window_positions(
    what: str, x_shape: Shape, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Pair:
    """(h_out, w_out), after checking that at least one window fits."""
    for axis in range(2):
        size, kernel, pad = x_shape[2 + axis], kernel_size[axis], padding[axis]
        extent = (kernel - 1) * dilation[axis] + 1
        if extent > size + 2 * pad:
            spread = f" (spread over {extent} pixels by dilation={dilation[axis]})" if dilation[axis] > 1 else ""
            padded = f" plus 2 * {pad} of padding" if pad else ""
            raise ValueError(
                f"{what}: the kernel is larger than the padded input: its {AXES[axis]} is {kernel}{spread}, that of x "
                f"is {size}{padded} (x of shape {_text(x_shape)}); use a smaller kernel, more padding or larger images"
            )
    h_out, w_out = (
        conv_output_size(x_shape[2 + a], kernel_size[a], stride[a], padding[a], dilation[a]) for a in range(2)
    )
    return h_out, w_out


def _text(shape: Shape) -> str:
    return str(tuple(int(size) for size in shape))
