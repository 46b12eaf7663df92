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
AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}  # by the number of spatial axes
SIZES = {1: ("length",), 2: ("h", "w"), 3: ("d", "h", "w")}
KERNEL_SIZES = {1: ("kw",), 2: ("kh", "kw"), 3: ("kd", "kh", "kw")}
_TUPLES = {1: "a tuple of one int", 2: "a pair of ints", 3: "three ints"}


def to_pair(value: Any, name: str) -> Pair:
    """An int, or a pair of ints -> a pair of ints: ``to_tuple`` for images.

    Examples
    --------
    >>> to_pair(3, "kernel_size"), to_pair((1, 2), "stride")
    ((3, 3), (1, 2))
    """
    first, second = to_tuple(value, name, 2)
    return first, second


def to_tuple(value: Any, name: str, n: int) -> tuple[int, ...]:
    """An int, or one for each of n = 1, 2 or 3 spatial axes -> n ints.

    Raises
    ------
    TypeError
        If an entry is not an integer.
    ValueError
        If there are not one or n of them.

    Examples
    --------
    >>> to_tuple(3, "kernel_size", 3), to_tuple((1, 2), "stride", 2)
    ((3, 3, 3), (1, 2))
    """
    try:
        return (operator.index(value),) * n
    except TypeError:
        pass
    wanted = f"{name} must be an int or {_TUPLES[n]} ({', '.join(AXES[n])}), got"
    try:
        entries = list(value)
        numbers = [operator.index(entry) for entry in entries]
    except TypeError:
        raise TypeError(f"{wanted} {value!r}") from None
    if len(numbers) == 1:
        return (numbers[0],) * n
    if len(numbers) != n:
        raise ValueError(f"{wanted} {len(numbers)} values: {value!r}")
    return tuple(numbers)


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
    stride: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int,
) -> Shape:
    """Check the arguments of a convolution in one, two or three dimensions and return (n, c_out, *spatial).

    Raises
    ------
    ValueError
        If the shapes or parameters do not fit together; the message says which and how to mend it.
    """
    axes = len(stride)
    sizes = ("n", "c_in", *SIZES[axes])
    _require_dims("x", x_shape, sizes, "add a batch axis to a single example with x.unsqueeze(0)")
    _require_dims("weight", weight_shape, ("c_out", "c_in/groups", *KERNEL_SIZES[axes]))
    _require_spatial(x_shape)
    n, c_in = x_shape[:2]
    c_out, c_per_group, *kernel = weight_shape
    if c_out < 1:
        raise ValueError(f"weight must have at least one filter, got shape {_text(weight_shape)}")
    _require_convolution(kernel, stride, padding, dilation)
    _require_groups(
        groups, {"the channels of x, c_in": c_in, "the filters of weight, c_out": c_out}, x_shape, weight_shape
    )
    if c_per_group * groups != c_in:
        hint = ""
        if x_shape[-1] == c_per_group * groups:
            order = ", ".join(map(str, (0, axes + 1, *range(1, axes + 1))))
            hint = f"; x seems to have its channels last: bring them forward with x.permute({order})"
        raise ValueError(
            f"x has {c_in} channels, but weight expects {c_per_group * groups} (weight.shape[1] * groups = "
            f"{c_per_group} * {groups}); shapes: x {_text(x_shape)} as ({', '.join(sizes)}), weight "
            f"{_text(weight_shape)} as (c_out, c_in/groups, {', '.join(KERNEL_SIZES[axes])}): make the layer with "
            f"in_channels={c_in}{hint}"
        )
    _require_bias(bias_shape, c_out, weight_shape)
    return n, c_out, *_window_positions("convolution", x_shape, kernel, stride, padding, dilation)


def conv_transpose_output_size(
    size: int, kernel: int, stride: int, padding: int, output_padding: int, dilation: int
) -> int:
    """The size along one axis that a convolution with these numbers could have had `size` positions on.

    Several sizes lead to the same number of positions; `output_padding` chooses among them.

    Examples
    --------
    >>> conv_transpose_output_size(14, kernel=2, stride=2, padding=0, output_padding=0, dilation=1)
    28
    """
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1


def conv_transpose_output_shape(
    x_shape: Shape,
    weight_shape: Shape,
    bias_shape: Shape | None,
    stride: Shape,
    padding: Shape,
    output_padding: Shape,
    dilation: Shape,
    groups: int,
) -> Shape:
    """Check the arguments of a transposed convolution and return (n, c_out, *spatial).

    Raises
    ------
    ValueError
        If the shapes or parameters do not fit together.
    """
    axes = len(stride)
    sizes = ("n", "c_in", *SIZES[axes])
    _require_dims("x", x_shape, sizes, "add a batch axis to a single example with x.unsqueeze(0)")
    _require_dims("weight", weight_shape, ("c_in", "c_out/groups", *KERNEL_SIZES[axes]))
    _require_spatial(x_shape)
    c_in, c_per_group, *kernel = weight_shape
    _require_convolution(kernel, stride, padding, dilation)
    _require_not_negative("output_padding", output_padding)
    _require_groups(groups, {"the channels of x, c_in": c_in}, x_shape, weight_shape)
    if x_shape[1] != c_in:
        raise ValueError(
            f"x has {x_shape[1]} channels, but weight expects {c_in} (weight.shape[0]); shapes: x {_text(x_shape)} as "
            f"({', '.join(sizes)}), weight {_text(weight_shape)} as (c_in, c_out/groups, "
            f"{', '.join(KERNEL_SIZES[axes])}): make the layer with in_channels={x_shape[1]}"
        )
    _require_bias(bias_shape, c_per_group * groups, weight_shape)
    for extra, step, spread in zip(output_padding, stride, dilation, strict=True):
        if extra >= max(step, spread):
            raise ValueError(
                f"output_padding must be smaller than stride or dilation, got output_padding={output_padding}, "
                f"stride={stride}, dilation={dilation}"
            )
    out = tuple(map(conv_transpose_output_size, x_shape[2:], kernel, stride, padding, output_padding, dilation))
    if min(out) < 1:
        raise ValueError(
            f"transposed convolution: the output would have the size {_text(out)} for x of shape {_text(x_shape)}; "
            "use less padding or larger inputs"
        )
    return x_shape[0], c_per_group * groups, *out


def pool_output_shape(
    x_shape: Shape, kernel_size: Shape, stride: Shape, padding: Shape, dilation: Shape, ceil_mode: bool
) -> Shape:
    """Check the arguments of a pooling in one, two or three dimensions and return (n, c, *spatial).

    Raises
    ------
    ValueError
        If the shape or parameters do not fit together.
    """
    axes = len(kernel_size)
    _require_dims("x", x_shape, ("n", "c", *SIZES[axes]), "add a batch axis to a single example with x.unsqueeze(0)")
    _require_window(kernel_size, stride, padding, dilation)
    if min(x_shape[1:]) < 1:
        raise ValueError(f"pooling: x of shape {_text(x_shape)} must not be empty; only its batch may")
    for axis, name in enumerate(AXES[axes]):
        if 2 * padding[axis] > kernel_size[axis]:
            raise ValueError(
                "padding must be at most half of kernel_size, or a window could lie on padding alone: along the "
                f"{name}, kernel_size={kernel_size[axis]} and padding={padding[axis]}; "
                f"use at most {kernel_size[axis] // 2}"
            )
    _window_positions("pooling", x_shape, kernel_size, stride, padding, dilation)
    positions = zip(x_shape[2:], kernel_size, stride, padding, dilation, strict=True)
    return *x_shape[:2], *(pool_output_size(*axis, ceil_mode) for axis in positions)


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
    positions = _window_positions("unfold", x_shape, kernel_size, stride, padding, dilation)
    return x_shape[0], x_shape[1] * kernel_size[0] * kernel_size[1], math.prod(positions)


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
        If x has no channel axis, a parameter is not of shape (c,), or training sees one value a channel.
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
    if training and values == 1:
        raise ValueError(
            f"batch norm in training needs more than one value a channel, got {values} with x of shape "
            f"{_text(x_shape)}: use a larger batch, drop the last incomplete one (drop_last=True), or call eval()"
        )


def _require_dims(name: str, shape: Shape, letters: Sequence[str], remedy: str = "") -> None:
    if len(shape) != len(letters):
        tail = f": {remedy}" if remedy and len(shape) == len(letters) - 1 else ""
        raise ValueError(f"{name} must have {len(letters)} axes ({', '.join(letters)}), got shape {_text(shape)}{tail}")


def _require_convolution(kernel: Sequence[int], stride: Shape, padding: Shape, dilation: Shape) -> None:
    _require_positive("stride", stride)
    _require_positive("dilation", dilation)
    _require_not_negative("padding", padding)
    _require_positive("the last sizes of weight, the kernel size,", tuple(kernel))


def _require_spatial(x_shape: Shape) -> None:
    if min(x_shape[2:]) < 1:
        raise ValueError(f"x must not be empty along a spatial axis, got shape {_text(x_shape)}; a batch may be empty")


def _require_groups(groups: int, channels: dict[str, int], x_shape: Shape, weight_shape: Shape) -> None:
    if groups < 1:
        raise ValueError(f"groups must be at least 1, got {groups}")
    if any(c % groups for c in channels.values()):
        text = ", and ".join(f"{name}={c}" for name, c in channels.items())
        raise ValueError(
            f"groups={groups} must divide {text} (shapes: x {_text(x_shape)}, weight {_text(weight_shape)}); a divisor "
            f"is {math.gcd(*channels.values())}"
        )


def _require_bias(bias_shape: Shape | None, c_out: int, weight_shape: Shape) -> None:
    if bias_shape is not None and tuple(bias_shape) != (c_out,):
        raise ValueError(
            f"bias must have shape ({c_out},), one value a filter of weight {_text(weight_shape)}, "
            f"got {_text(bias_shape)}"
        )


def _require_window(kernel_size: Shape, stride: Shape, padding: Shape, dilation: Shape) -> None:
    _require_positive("kernel_size", kernel_size)
    _require_positive("stride", stride)
    _require_positive("dilation", dilation)
    _require_not_negative("padding", padding)


def _require_positive(name: str, numbers: Shape) -> None:
    if min(numbers) < 1:
        raise ValueError(f"{name} must be at least 1 along {_every(numbers)}, got {numbers}")


def _require_not_negative(name: str, numbers: Shape) -> None:
    if min(numbers) < 0:
        raise ValueError(f"{name} must not be negative, got {numbers}")


def _every(numbers: Shape) -> str:
    return {1: "its axis", 2: "both axes"}.get(len(numbers), "all axes")


def _window_positions(
    what: str, x_shape: Shape, kernel_size: Sequence[int], stride: Shape, padding: Shape, dilation: Shape
) -> Shape:
    """The number of positions along each spatial axis, after checking that at least one window fits."""
    for axis, name in enumerate(AXES[len(stride)]):
        size, kernel, pad = x_shape[2 + axis], kernel_size[axis], padding[axis]
        extent = (kernel - 1) * dilation[axis] + 1
        if extent > size + 2 * pad:
            spread = f" (spread over {extent} pixels by dilation={dilation[axis]})" if dilation[axis] > 1 else ""
            padded = f" plus 2 * {pad} of padding" if pad else ""
            raise ValueError(
                f"{what}: the kernel is larger than the padded input: its {name} is {kernel}{spread}, that of x "
                f"is {size}{padded} (x of shape {_text(x_shape)}); use a smaller kernel, more padding or larger inputs"
            )
    return tuple(map(conv_output_size, x_shape[2:], kernel_size, stride, padding, dilation))


def _text(shape: Shape) -> str:
    return str(tuple(int(size) for size in shape))
