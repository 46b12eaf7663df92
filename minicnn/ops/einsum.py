"""``einsum``: sums of products, said by naming each dimension with a letter.

Operands are taken in from left to right. Of each pair, the dimensions that occur in both and are still needed become a
batch, those that are not needed any more are summed over by a matrix product, and the rest are its rows and columns.
"""

from __future__ import annotations

import math
import string
from typing import Any

from ..autograd import Tensor
from .elementwise import mul
from .matmul import matmul
from .promotion import promote
from .reduction import sum as total
from .shape import permute, reshape
from .views import diagonal

Label = str | int  # a letter or number; the dimensions of "..." are numbered -1, -2, ... from the right


def einsum(*args: Any) -> Tensor:
    """The sum of products that an equation describes: ``einsum("ij,jk->ik", a, b)`` is ``a @ b``.

    A letter names a dimension of an operand. Those after ``->`` are the dimensions of the result; over all others is summed.
    A letter that comes twice in an operand stands for its diagonal. ``...`` stands for the dimensions not named, which
    broadcast. Without ``->``, the result has the letters that come once, in alphabetical order, after ``...``.

    The other form names dimensions with numbers: ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.

    >>> import minicnn as mc
    >>> a, b = mc.tensor([[1.0, 2.0], [3.0, 4.0]]), mc.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> mc.einsum("ij,jk->ik", a, b)
    tensor([[1., 4.],
            [3., 8.]])
    >>> mc.einsum("ii", a), mc.einsum("ij->j", a)
    (tensor(5.), tensor([4., 6.]))

    Raises
    ------
    ValueError : an equation that does not fit the operands.
    """
    if not args:
        raise ValueError("equation: einsum needs one")
    if isinstance(args[0], str):
        equation, *rest = args
        operands = list(rest[0]) if len(rest) == 1 and isinstance(rest[0], (list, tuple)) else rest
        terms, result = _letters(equation)
    else:
        operands = list(args[: len(args) // 2 * 2 : 2])
        terms = [_numbers(sublist) for sublist in args[1::2]]
        result = _numbers(args[-1]) if len(args) % 2 else None
    if not operands or len(terms) != len(operands):
        raise ValueError(f"equation: it names {len(terms)} operands, got {len(operands)}")
    for i, x in enumerate(operands):
        if not isinstance(x, Tensor):
            raise TypeError(f"operands[{i}]: einsum takes tensors, got {type(x).__name__}")

    longest = 0  # dimensions that "..." stands for
    named: list[list[Label]] = []
    for i, (x, term) in enumerate(zip(operands, terms, strict=True)):
        left = x.ndim - sum(label is not Ellipsis for label in term)
        if left < 0 or (left > 0 and Ellipsis not in term):
            raise ValueError(
                f"equation: operand {i} of shape {tuple(x.shape)} has {x.ndim} dimensions, and "
                f"{sum(label is not Ellipsis for label in term)} are named"
            )
        longest = max(longest, left)
        named.append(_without_dots(term, left))
    output = _output(named, result, longest)

    pieces = [_diagonals(x, labels) for x, labels in zip(operands, named, strict=True)]
    sizes: dict[Label, int] = {}
    for i, (x, labels) in enumerate(pieces):
        for label, size in zip(labels, x.shape, strict=True):
            known = sizes.get(label, 1)
            if 1 not in (known, size) and known != size:
                raise ValueError(
                    f"operands[{i}]: dimension {_show(label)} has size {size}, and {known} in another operand"
                )
            sizes[label] = size if known == 1 else known
    missing = [label for label in output if label not in sizes]
    if missing:
        raise ValueError(f"equation: {_show(missing[0])} of the result is in no operand")
    # A size of 1 beside a larger one broadcasts: as if the operand had not had it.
    pieces = [_without_ones(x, labels, sizes) for x, labels in pieces]

    x, labels = pieces[0]
    for i, (y, others) in enumerate(pieces[1:], 1):
        needed = {*output, *(label for _, later in pieces[i + 1 :] for label in later)}
        x, labels = _contract(
            *_summed(x, labels, needed | set(others)), *_summed(y, others, needed | set(labels)), needed
        )
    x, labels = _summed(x, labels, set(output))
    return permute(x, tuple(labels.index(label) for label in output))


def _letters(equation: str) -> tuple[list[list], list | None]:
    """``"ab,...b->a..."`` as lists of letters and Ellipsis, for each operand, and for the result or None."""
    inputs, arrow, result = equation.replace(" ", "").partition("->")

    def read(term: str) -> list:
        before, dots, after = term.partition("...")
        letters = [*before, *([Ellipsis] if dots else []), *after]
        wrong = [c for c in letters if c is not Ellipsis and not (c.isascii() and c.isalpha())]
        if wrong:
            raise ValueError(f"equation: expected letters, '...', ',' and '->', got {wrong[0]!r} in {equation!r}")
        return letters

    return [read(term) for term in inputs.split(",")], read(result) if arrow else None


def _numbers(sublist: Any) -> list:
    """A list of numbers and Ellipsis, checked. Letters, so that they sort as torch sorts them: A-Z, then a-z."""
    for label in sublist:
        if label is not Ellipsis and not 0 <= label < 52:
            raise ValueError(f"sublist: expected numbers from 0 to 51 and ..., got {label}")
    if sum(label is Ellipsis for label in sublist) > 1:
        raise ValueError("sublist: '...' may come once")
    letters = string.ascii_uppercase + string.ascii_lowercase
    return [label if label is Ellipsis else letters[label] for label in sublist]


def _without_dots(term: list, count: int) -> list[Label]:
    """A term with the ``count`` dimensions that "..." stands for numbered: ..., -2, -1."""
    if Ellipsis not in term:
        return term
    at = term.index(Ellipsis)
    return [*term[:at], *range(-count, 0), *term[at + 1 :]]


def _output(named: list[list[Label]], result: list | None, longest: int) -> list[Label]:
    """The labels of the result."""
    if result is None:
        everywhere = [label for term in named for label in term if isinstance(label, str)]
        once = sorted(label for label in set(everywhere) if everywhere.count(label) == 1)
        return [*range(-longest, 0), *once]
    output = _without_dots(result, longest)
    twice = [label for label in output if output.count(label) > 1]
    if twice:
        raise ValueError(f"equation: {_show(twice[0])} comes twice in the result")
    return output


def _diagonals(x: Tensor, labels: list[Label]) -> tuple[Tensor, list[Label]]:
    """Dimensions of one label made into one, their diagonal."""
    labels = list(labels)
    for label in list(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            if x.shape[i] != x.shape[j]:
                raise ValueError(f"operand: {_show(label)} stands for dimensions of size {x.shape[i]} and {x.shape[j]}")
            x = diagonal(x, 0, i, j)
            labels = [*(other for d, other in enumerate(labels) if d not in (i, j)), label]
    return x, labels


def _without_ones(x: Tensor, labels: list[Label], sizes: dict[Label, int]) -> tuple[Tensor, list[Label]]:
    kept = [d for d, label in enumerate(labels) if x.shape[d] == sizes[label]]
    if len(kept) == len(labels):
        return x, labels
    return reshape(x, tuple(x.shape[d] for d in kept)), [labels[d] for d in kept]


def _summed(x: Tensor, labels: list[Label], needed: set[Label]) -> tuple[Tensor, list[Label]]:
    """Summed over what nobody needs."""
    over = tuple(d for d, label in enumerate(labels) if label not in needed)
    if not over:
        return x, labels
    return total(x, over), [label for label in labels if label in needed]


def _contract(
    x: Tensor, left: list[Label], y: Tensor, right: list[Label], needed: set[Label]
) -> tuple[Tensor, list[Label]]:
    """Two operands made into one: the sum over the labels of both that are not needed any more."""
    batch = [label for label in left if label in right and label in needed]
    inner = [label for label in left if label in right and label not in needed]
    rows = [label for label in left if label not in right]
    columns = [label for label in right if label not in left]
    size = dict(zip([*left, *right], [*x.shape, *y.shape], strict=True))
    shapes = [[size[label] for label in part] for part in (batch, rows, inner, columns)]
    b, m, k, n = map(math.prod, shapes)
    x = reshape(permute(x, tuple(map(left.index, [*batch, *rows, *inner]))), (b, m, k) if batch else (m, k))
    y = reshape(permute(y, tuple(map(right.index, [*batch, *inner, *columns]))), (b, k, n) if batch else (k, n))
    if inner:
        x, y = promote(x, y)  # sums of whole numbers are int64
        out = matmul(x, y)  # (b, m, k) @ (b, k, n) -> (b, m, n)
    else:
        out = mul(x, y)  # k is 1: (b, m, 1) * (b, 1, n) -> (b, m, n)
    return reshape(out, (*shapes[0], *shapes[1], *shapes[3])), [*batch, *rows, *columns]


def _show(label: Label) -> str:
    return repr(label) if isinstance(label, str) else f"{label} of '...'"
