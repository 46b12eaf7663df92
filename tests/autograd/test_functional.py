"""jacobian, vjp, jvp against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import assert_close

RNG = np.random.default_rng(0)
A, B, C = RNG.standard_normal((2, 3)), RNG.standard_normal(3), RNG.standard_normal(())

CASES = {
    "one": (lambda m: lambda a: a * a, (A,), False),
    "matrix": (lambda m: lambda a: a @ m.tensor(B), (A,), False),
    "number": (lambda m: lambda a: (a * a).sum(), (A,), False),
    "of a number": (lambda m: lambda c: c * m.tensor(B), (C,), False),
    "two": (lambda m: lambda a, b: a * b, (A, B), True),
    "several": (lambda m: lambda a, b: (a.sum(1), (a * b).sum(), b * 2), (A, B), True),
    "tuples of one": (lambda m: lambda a: (a.exp(),), (A,), True),
    "constant": (lambda m: lambda a: m.ones(2, dtype=m.float64), (A,), False),
    "int too": (lambda m: lambda a, b: (a * b, b), (A, B), True),
}


def flat(value):
    if isinstance(value, tuple):
        return [type(value).__name__, len(value), *(x for part in value for x in flat(part))]
    return [value]


def same(ours, theirs):
    for a, b in zip(flat(ours), flat(theirs), strict=True):
        if isinstance(b, torch.Tensor):
            assert not a.requires_grad
            assert_close(a, b, np.float64, "result")
        else:
            assert a == b


def run(name, call):
    function, arrays, as_tuple = CASES[name]
    results = []
    for m in (mc, torch):
        tensors = tuple(m.tensor(a) for a in arrays)
        results.append(call(m, function(m), tensors if as_tuple else tensors[0], tensors))
    same(*results)


@pytest.mark.parametrize("name", CASES)
def test_jacobian(name):
    run(name, lambda m, f, inputs, tensors: m.autograd.functional.jacobian(f, inputs))


@pytest.mark.parametrize("name", CASES)
def test_vjp(name):
    def call(m, f, inputs, tensors):
        outputs = f(*tensors)
        rng = np.random.default_rng(1)
        listed = outputs if isinstance(outputs, tuple) else (outputs,)
        vectors = tuple(m.tensor(np.asarray(rng.standard_normal(tuple(o.shape)))) for o in listed)
        return m.autograd.functional.vjp(f, inputs, vectors if isinstance(outputs, tuple) else vectors[0])

    run(name, call)


@pytest.mark.parametrize("name", CASES)
def test_jvp(name):
    def call(m, f, inputs, tensors):
        rng = np.random.default_rng(1)
        vectors = tuple(m.tensor(np.asarray(rng.standard_normal(tuple(x.shape)))) for x in tensors)
        return m.autograd.functional.jvp(f, inputs, vectors if isinstance(inputs, tuple) else vectors[0])

    run(name, call)


def test_without_a_vector():
    run("number", lambda m, f, inputs, tensors: m.autograd.functional.vjp(f, inputs))
    run("of a number", lambda m, f, inputs, tensors: m.autograd.functional.jvp(f, inputs))


def test_inputs_stay_as_they_are():
    x = mc.tensor([1.0, 2.0], requires_grad=True)
    mc.autograd.functional.jacobian(lambda x: x * x, x)
    assert x.grad is None
    with mc.no_grad():  # differentiates all the same
        assert mc.autograd.functional.jacobian(lambda x: x * 2, x).tolist() == [[2, 0], [0, 2]]


ONE = (2,)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda f, m: f.jacobian(lambda x: 3.0, m.ones(2)), TypeError, "outputs .*jacobian must be either a Tensor"),
        (lambda f, m: f.jacobian(lambda x: x, 3.0), TypeError, "inputs .*jacobian must be either a Tensor"),
        (lambda f, m: f.jacobian(lambda x: m.ones(1), m.ones(2), strict=True), RuntimeError, "does not require grad"),
        (lambda f, m: f.jacobian(lambda x, y: x, (m.ones(2), m.ones(2)), strict=True), RuntimeError, "of input 1"),
        (lambda f, m: f.vjp(lambda x: x * x, m.ones(2)), RuntimeError, "v can only be None"),
        (lambda f, m: f.vjp(lambda x: x * x, m.ones(2), m.ones(3)), RuntimeError, "invalid size: should be"),
        (lambda f, m: f.vjp(lambda x: x * x, m.ones(2), (m.ones(2),) * 2), RuntimeError, "number of|tuple"),
        (lambda f, m: f.jvp(lambda x: x * x, m.ones(2)), RuntimeError, "v can only be None"),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error):
        call(torch.autograd.functional, torch)
    with pytest.raises(error, match=match):
        call(mc.autograd.functional, mc)


def test_what_is_not_there():
    functional, x = mc.autograd.functional, mc.ones(2)
    for name in ("hessian", "hvp", "vhp"):
        with pytest.raises(NotImplementedError, match="gradients of gradients"):
            getattr(functional, name)(lambda x: x.sum(), x)
    for name in ("jacobian", "vjp", "jvp"):
        with pytest.raises(NotImplementedError, match="gradients of gradients"):
            getattr(functional, name)(lambda x: x.sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="strategy"):
        functional.jacobian(lambda x: x, x, vectorize=True, strategy="forward-mode")
    with pytest.raises(NotImplementedError, match="gradgradcheck"):
        mc.autograd.gradgradcheck(lambda x: x, (x,))
