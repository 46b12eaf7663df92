"""Products: mm to einsum, as torch: values, gradients, whole numbers, empty sizes, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from minicnn.ops import products
from tests.helpers.oracle import both_raise, check_gradients, compare, layouts

rng = np.random.default_rng(0)
A, B, C = rng.standard_normal((3, 4)), rng.standard_normal((4, 5)), rng.standard_normal((3, 5))
BATCH_A, BATCH_B = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 4, 5))
FUNCTIONS = {
    "mm": lambda m, a, b, c: m.mm(a, b),
    "mv": lambda m, a, b, c: (m.mv(a, b[:, 0]), a.mv(b[:, 1])),
    "dot": lambda m, a, b, c: (m.dot(a[0], b[:, 0]), m.vdot(a[0], a[0])),
    "inner": lambda m, a, b, c: (m.inner(a, b.T), m.inner(a[0], a[1]), m.inner(a, b[0, 0])),
    "outer": lambda m, a, b, c: (m.outer(a[0], b[0]), a[:, 0].ger(b[:, 0])),
    "addmm": lambda m, a, b, c: (m.addmm(c, a, b), m.addmm(c[0], a, b, beta=0.5, alpha=-2), c[0, 0].addmm(a, b)),
    "addmm_beta_0": lambda m, a, b, c: m.addmm(c / 0, a, b, beta=0),
    "addmv": lambda m, a, b, c: (m.addmv(a[:, 0], c, b[0]), m.addmv(a[0, 0], c, b[0], alpha=3, beta=2)),
    "addr": lambda m, a, b, c: (m.addr(c, a[:, 0], b[0]), m.addr(c[0], a[:, 0], b[0], beta=2, alpha=0.5)),
    "trace": lambda m, a, b, c: m.trace(a),
    "kron": lambda m, a, b, c: (m.kron(a, b), m.kron(a[0], b), m.kron(a, b[0, 0])),
    "tensordot": lambda m, a, b, c: (m.tensordot(a, b, 1), m.tensordot(a, c, ([0], [0])), m.tensordot(a, b, 0)),
    "cross": lambda m, a, b, c: (
        m.cross(a[:, :3], a[:, 1:], 0),
        m.cross(a[:, :3], a[:1, 1:], 1),
        m.linalg.cross(a[0, :3], c[:, 0]),
    ),
    "multi_dot": lambda m, a, b, c: (m.linalg.multi_dot([a, b, c.T, a]), m.linalg.multi_dot((a[0], b, b[0]))),
    "chain_matmul": lambda m, a, b, c: m.chain_matmul(a, b, c.T) if m is mc else m.linalg.multi_dot((a, b, c.T)),
    "vecdot": lambda m, a, b, c: (m.linalg.vecdot(a, a), m.linalg.vecdot(a, a[0], dim=0)),
    "matrix_power": lambda m, a, b, c: tuple(m.linalg.matrix_power(a[:, :3], n) for n in (0, 1, 2, 5, -1, -2)),
    "linalg_views": lambda m, a, b, c: (
        m.linalg.diagonal(a, offset=1),
        m.linalg.vander(a[0], N=3),
        m.linalg.matmul(a, b),
    ),
    "rmatmul": lambda m, a, b, c: b.__rmatmul__(a),
    "linear": lambda m, a, b, c: (m.nn.functional.linear(a, b.T, c[0]), m.nn.functional.linear(a, b[:, 0])),
}
BATCHED = {
    "bmm": lambda m, a, b: m.bmm(a, b),
    "baddbmm": lambda m, a, b: (m.baddbmm(a[0, 0, 0], a, b), m.baddbmm(b[:, :3] * 2, a, b, beta=0.1, alpha=2)),
    "addbmm": lambda m, a, b: (m.addbmm(b[0, :3], a, b), m.addbmm(b[0, 0], a, b, beta=-1, alpha=0.5)),
    "tensordot": lambda m, a, b: (m.tensordot(a, b, ([0, 2], [0, 1])), m.tensordot(a, b, dims=([-1], [1]))),
    "inner": lambda m, a, b: m.inner(a, b.transpose(1, 2)),
    "bilinear": lambda m, a, b: m.nn.functional.bilinear(
        a, b[:, :3], a.new_ones(6, 4, 5) * a[0, 0, 0], a[0, :, 0].repeat(2)
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_torch(name):
    for a in layouts(A):
        compare(FUNCTIONS[name], a, B, C)


@pytest.mark.parametrize("name", BATCHED)
def test_batches_against_torch(name):
    for a in layouts(BATCH_A):
        compare(BATCHED[name], a, BATCH_B)


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n != "addmm_beta_0"])
def test_gradcheck(name):
    check_gradients(FUNCTIONS[name], A, B, C)


@pytest.mark.parametrize("name", BATCHED)
def test_gradcheck_of_batches(name):
    check_gradients(BATCHED[name], BATCH_A, BATCH_B)


@pytest.mark.parametrize("dtype", [np.int64, np.int8])
def test_whole_numbers(dtype):
    a, b, c = ((x * 3).astype(dtype) for x in (A, B, C))
    compare(
        lambda m, a, b, c: (m.mm(a, b), m.addmm(c, a, b, alpha=2), m.inner(a, a), m.kron(a, b), m.trace(a)), a, b, c
    )
    compare(lambda m, a, b, c: (m.outer(a[0], b[0]), m.einsum("ij,jk->ki", a, b), m.dot(a[0], a[1])), a, b, c)
    compare(lambda m, a, b, c: (m.nn.functional.linear(a, b.T, c[0]), m.tensordot(a, b, 1)), a, b, c)


def test_mixed_types_and_bools():
    compare(lambda m, a, b: (m.outer(a, b), m.kron(a, b)), np.arange(3), np.ones(2, np.float32))
    compare(lambda m, x: (m.outer(x, x), m.addr(x, x, x, beta=3)), np.array([True, False]))


def test_nothing_to_add_up():
    compare(lambda m, a, b: (m.mm(a[:, :0], b[:0]), m.mm(a[:0], b), m.einsum("ij,jk", a[:, :0], b[:0])), A, B)
    compare(
        lambda m, a, b: (m.bmm(a[:0], b[:0]), m.bmm(a[..., :0], b[:, :0]), m.tensordot(a[:0], b[:0], ([0], [0]))),
        BATCH_A,
        BATCH_B,
    )
    compare(lambda m, a, b: m.addmm(a[0, 0], a[:, :0], b[:0], beta=2), A, B)


EQUATIONS = {
    "ij,jk->ik": (A, B),
    "ij,jk": (A, B),
    "ij,kj->": (A, A),
    "ij->ji": (A,),
    "ij": (A,),
    "ba": (A,),
    "ij->": (A,),
    "ij->j": (A,),
    "ii": (C[:, :3],),
    "ii->i": (C[:, :3],),
    "iji->j": (BATCH_A[:, :, :2],),
    "bij,bjk->bik": (BATCH_A, BATCH_B),
    "bij , bjk -> kb": (BATCH_A, BATCH_B),
    "...ij,...jk->...ik": (BATCH_A, B),
    "i...,i...->...": (BATCH_A, BATCH_A),
    "...,...": (BATCH_A, A),
    "...ij->...": (BATCH_A,),
    "i...j": (BATCH_A,),
    "i,j->ij": (A[0], B[0]),
    "i,i->i": (A[0], A[1]),
    "i,i": (A[0], A[1]),
    "ij,ij,ij->i": (A, A, A),
    "ab,bc,ad->cd": (A, B, C),
    "ab,ab,c->bc": (A, A, B[0]),
    "bn,anm,bm->ba": (A[:2], rng.standard_normal((6, 4, 3)), B[:2, :3]),
    "ijk,lk->ijl": (BATCH_A, A),
    ",ij->ij": (np.array(2.0), A),
    "ij,jk->ik ": (A[:1, :], B),
    "ij,ij->ij": (A, A[:1]),
    "ik,jk->ij": (A[:, :1], A),
}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(equation):
    operands = EQUATIONS[equation]
    compare(lambda m, *x: m.einsum(equation, *x), *operands)
    compare(lambda m, *x: m.einsum(equation, list(x)), *(np.array(x, order="F") for x in operands))
    if equation.count(",") < 2:
        check_gradients(lambda m, *x: m.einsum(equation, *x), *operands)


def test_einsum_by_numbers():
    compare(lambda m, a, b: m.einsum(a, [0, 1], b, [1, 2], [2, 0]), A, B)
    compare(lambda m, a, b: m.einsum(a, [0, 1], b, [1, 2]), A, B)
    compare(lambda m, a, b: m.einsum(a, [..., 0, 1], b, [..., 1, 30], [30, ..., 0]), BATCH_A, BATCH_B)
    compare(lambda m, a: m.einsum(a, [30, 2]), A)


@given(data=st.data())
def test_any_equation(data):
    """Letters drawn: batches, sums, diagonals and sizes of 1 in whatever order."""
    sizes = dict(zip("abcd", data.draw(st.lists(st.integers(1, 3), min_size=4, max_size=4)), strict=True))
    terms = data.draw(st.lists(st.text("abcd", max_size=4), min_size=1, max_size=3))
    known = sorted(set("".join(terms)))
    result = "".join(data.draw(st.permutations(known)))[: data.draw(st.integers(0, len(known)))]
    equation = ",".join(terms) + (f"->{result}" if data.draw(st.booleans()) else "")
    numbers = np.random.default_rng(data.draw(st.integers(0, 99)))
    operands = [numbers.standard_normal([sizes[letter] for letter in term]) for term in terms]
    compare(lambda m, *x: m.einsum(equation, *x), *operands)


def test_brackets_that_cost_least(monkeypatch):
    """Of 10x30, 30x2, 2x40, 40x1: from the right, since the last is a column (2*40 + 30*2 + 10*30 multiplications)."""
    seen = []
    matmul = products.matmul
    monkeypatch.setattr(products, "matmul", lambda a, b: seen.append((*a.shape, b.shape[1])) or matmul(a, b))
    out = mc.linalg.multi_dot([mc.ones(10, 30), mc.ones(30, 2), mc.ones(2, 40), mc.ones(40, 1)])
    assert seen == [(2, 40, 1), (30, 2, 1), (10, 30, 1)]
    np.testing.assert_array_equal(out.numpy(), np.full((10, 1), 30 * 2 * 40))


def test_functions_of_matrices():
    square = A[:, :3]
    for function in (
        lambda m, a, c: (m.linalg.solve(a, c), m.linalg.solve(a, c[:, 0]), m.linalg.solve(a, c.T, left=False)),
        lambda m, a, c: (m.linalg.inv(a), m.linalg.matrix_exp(a), m.linalg.svdvals(a), m.linalg.svdvals(c)),
        lambda m, a, c: m.linalg.solve(a.expand(2, 3, 3), c),
    ):
        compare(function, square, C, rtol=1e-9)
        check_gradients(function, square, C)
    both_raise(lambda m, a: m.linalg.inv(a), A, match="A: inv takes square matrices")
    both_raise(lambda m, a: m.linalg.inv(a * 0), square, match="Singular")
    both_raise(lambda m, a: m.linalg.solve(a, a[:2]), square, match="B: solve needs 3 rows")
    both_raise(lambda m, a: m.linalg.svdvals(a[0]), square, match="svdvals takes matrices")


def test_what_linalg_does_not_have():
    for name in ("svd", "qr", "det"):
        assert hasattr(torch.linalg, name)
        with pytest.raises(NotImplementedError, match=rf"linalg\.{name}: not there; use numpy\.linalg"):
            getattr(mc.linalg, name)(mc.ones(2, 2))


ERRORS = {
    "mm: vector": (lambda m, a, b: m.mm(a, b[:, 0]), "mat2: mm takes a matrix, got shape"),
    "mm: sizes": (lambda m, a, b: m.mm(a, a), "matmul needs as many rows"),
    "mm: types": (lambda m, a, b: m.mm(a, b.float()), "one type"),
    "bmm: matrix": (lambda m, a, b: m.bmm(a, b), "input: bmm takes a batch of matrices"),
    "bmm: batches": (lambda m, a, b: m.bmm(a[None], b.expand(2, 4, 5)), "batches of one size, got 1 and 2"),
    "mv: matrix": (lambda m, a, b: m.mv(a, b), "vec: mv takes a vector"),
    "dot: sizes": (lambda m, a, b: m.dot(a[0], b[0]), "matmul needs"),
    "dot: matrix": (lambda m, a, b: m.dot(a, b), "input: dot takes a vector"),
    "outer: matrix": (lambda m, a, b: m.outer(a, b), "input: outer takes a vector"),
    "inner: sizes": (lambda m, a, b: m.inner(a, b), "a last size of 4"),
    "addmm: shape": (lambda m, a, b: m.addmm(b, a, b), "input: addmm adds to a product of shape"),
    "addmm: type": (lambda m, a, b: m.addmm(b[0].float(), a, b), "input: addmm needs one type"),
    "addbmm: sizes": (lambda m, a, b: m.addbmm(b, a[None], a[None]), "batch2: shape"),
    "trace: vector": (lambda m, a, b: m.trace(a[0]), "input: trace takes a matrix"),
    "cross: size": (lambda m, a, b: m.cross(a, a, 1), "has to be 3"),
    "cross: none": (lambda m, a, b: m.cross(b, b), "no dimension has size 3"),
    "tensordot: sizes": (lambda m, a, b: m.tensordot(a, b, ([0], [0])), "dims: dimension 0 of a has size 3"),
    "tensordot: lists": (lambda m, a, b: m.tensordot(a, b, ([0, 1], [0])), "as many dimensions of a as of b"),
    "tensordot: negative": (lambda m, a, b: m.tensordot(a, b, -1), "not negative"),
    "multi_dot: one": (lambda m, a, b: m.linalg.multi_dot([a]), "at least two"),
    "multi_dot: middle": (lambda m, a, b: m.linalg.multi_dot([a, b[:, 0], a]), r"tensors\[1\]: expected a matrix"),
    "power: shape": (lambda m, a, b: m.linalg.matrix_power(a, 2), "square"),
    "einsum: named": (lambda m, a, b: m.einsum("i,jk", a, b), "operand 0 of shape"),
    "einsum: sizes": (lambda m, a, b: m.einsum("ij,ik", a, b), "'i' has size 4, and 3"),
    "einsum: number": (lambda m, a, b: m.einsum("ij", a, b), "names 1 operands, got 2"),
    "einsum: result": (lambda m, a, b: m.einsum("ij->k", a), "'k' of the result is in no operand"),
    "einsum: twice": (lambda m, a, b: m.einsum("ij->ii", a), "comes twice in the result"),
    "einsum: letters": (lambda m, a, b: m.einsum("i1", a), "expected letters"),
    "einsum: diagonal": (lambda m, a, b: m.einsum("ii", a), "of size 3 and 4"),
    "einsum: sublist": (lambda m, a, b: m.einsum(a, [0, 99]), "from 0 to 51"),
    "bilinear: sizes": (lambda m, a, b: m.nn.functional.bilinear(a, b, a[None]), "bilinear needs"),
    "bilinear: weight": (lambda m, a, b: m.nn.functional.bilinear(a, a, a), "weight: bilinear needs"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    function, match = ERRORS[name]
    both_raise(function, A, B, match=match)
