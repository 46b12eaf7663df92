"""Recurrent layers against torch's: copied weights, all options, packed sequences, states and their gradients."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.modules import assert_close, copy_into_ours, to_ours

MODES = [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}), ("LSTM", {"proj_size": 2}), ("GRU", {})]


def tensors(value):
    """The tensors of a result, packed sequences included, in order."""
    if isinstance(value, (mc.Tensor, torch.Tensor)):
        return [value]
    return [] if value is None else [t for part in value for t in tensors(part)]


def twins(name, options, dtype=np.float64, **sizes):
    theirs = getattr(torch.nn, name)(**sizes, **options).to(getattr(torch, np.dtype(dtype).name))
    ours = getattr(mc.nn, name)(**sizes, **options).to(getattr(mc, np.dtype(dtype).name))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    copy_into_ours(ours, theirs)
    return ours, theirs


def check(ours, theirs, results, inputs, dtype=np.float64):
    """Equal results, and equal gradients of (ours, theirs) inputs and of parameters, for random cotangents."""
    rng = np.random.default_rng(0)
    roots, roots_theirs, cotangents = [], [], []
    for i, (a, b) in enumerate(zip(*map(tensors, results), strict=True)):
        if b.dtype.is_floating_point:
            assert_close(a, b, dtype, f"result {i}")
            roots.append(a)
            roots_theirs.append(b)
            cotangents.append(rng.standard_normal(tuple(b.shape)).astype(dtype))
        else:
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    mc.autograd.backward(roots, [mc.tensor(c) for c in cotangents])
    torch.autograd.backward(roots_theirs, [torch.tensor(c) for c in cotangents])
    for i, (a, b) in enumerate(inputs):
        assert_close(a.grad, b.grad, dtype, f"gradient of input {i}")
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert_close(parameter.grad, gradients[name].grad, dtype, f"gradient of {name}")


def leaf(rng, *shape, dtype=np.float64):
    theirs = torch.from_numpy(rng.standard_normal(shape).astype(dtype)).requires_grad_()
    return to_ours(theirs).requires_grad_(), theirs


@st.composite
def cases(draw):
    name, special = draw(st.sampled_from(MODES))
    options = dict(special) | {
        "num_layers": draw(st.integers(1, 3)), "bias": draw(st.booleans()),
        "bidirectional": draw(st.booleans()), "batch_first": draw(st.booleans()),
    }  # fmt: skip
    return (
        name,
        options,
        draw(st.integers(1, 5)),
        draw(st.integers(0, 4)),
        draw(st.booleans()),
        draw(st.integers(0, 99)),
    )


def states_for(rng, name, options, batch, hidden, dtype=np.float64):
    """First states, and how the modules take them."""
    layers = options["num_layers"] * (2 if options["bidirectional"] else 1)
    middle = () if batch is None else (batch,)
    h = leaf(rng, layers, *middle, options.get("proj_size") or hidden, dtype=dtype)
    if name != "LSTM":
        return [h], h[0], h[1]
    c = leaf(rng, layers, *middle, hidden, dtype=dtype)
    return [h, c], (h[0], c[0]), (h[1], c[1])


@given(cases())
def test_as_torch(case):
    name, options, steps, batch, with_state, seed = case
    batch = None if batch == 0 else batch  # no batch
    rng = np.random.default_rng(seed)
    ours, theirs = twins(name, options, input_size=3, hidden_size=4)
    if batch is None:
        x = leaf(rng, steps, 3)
    else:
        x = leaf(rng, batch, steps, 3) if options["batch_first"] else leaf(rng, steps, batch, 3)
    leaves, states, states_theirs = states_for(rng, name, options, batch, 4) if with_state else ([], None, None)
    check(ours, theirs, (ours(x[0], states), theirs(x[1], states_theirs)), [x, *leaves])


@given(cases(), st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_packed_as_torch(case, lengths):
    name, options, _, _, with_state, seed = case
    options["batch_first"] = False
    rng = np.random.default_rng(seed)
    ours, theirs = twins(name, options, input_size=3, hidden_size=4)
    x = leaf(rng, max(lengths), len(lengths), 3)
    leaves, states, states_theirs = states_for(rng, name, options, len(lengths), 4) if with_state else ([], None, None)
    results = []
    for m, module, value, state in ((mc, ours, x[0], states), (torch, theirs, x[1], states_theirs)):
        rnn = m.nn.utils.rnn
        packed = rnn.pack_padded_sequence(value, lengths, enforce_sorted=False)
        out, last = module(packed, state)
        assert type(out) is rnn.PackedSequence
        results.append((rnn.pad_packed_sequence(out, padding_value=-1.0), last))
    check(ours, theirs, results, [x, *leaves])


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(("name", "special"), MODES)
def test_float32_and_more_rows(name, special):
    options = {"num_layers": 2, "bidirectional": True, **special}
    ours, theirs = twins(name, options, np.float32, input_size=20, hidden_size=33)
    x = leaf(np.random.default_rng(0), 12, 17, 20, dtype=np.float32)
    check(ours, theirs, (ours(x[0]), theirs(x[1])), [x], np.float32)


@pytest.mark.parametrize(("name", "special"), MODES)
def test_the_reference_gives_the_same(name, special):
    module = getattr(mc.nn, name)(3, 4, **special).double()
    x = mc.randn(5, 2, 3, dtype=mc.float64)
    out, _ = module(x)
    with mc.use_backend("reference"):
        expected, _ = module(x)
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("options", [{}, {"bias": False}])
@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("with_state", [True, False])
def test_cells(name, options, batch, with_state):
    kinds = [{}, {"nonlinearity": "relu"}] if name == "RNNCell" else [{}]
    for kind in kinds:
        rng = np.random.default_rng(0)
        ours, theirs = twins(name, options | kind, input_size=3, hidden_size=4)
        assert repr(ours) == repr(theirs)
        x, states = leaf(rng, *batch, 3), [leaf(rng, *batch, 4) for _ in range(2 if name == "LSTMCell" else 1)]
        hx = [tuple(s[i] for s in states) if len(states) == 2 else states[0][i] for i in range(2)]
        hx, states = (hx, states) if with_state else ([None, None], [])
        check(ours, theirs, (ours(x[0], hx[0]), theirs(x[1], hx[1])), [x, *states])


def test_frozen_weights_and_inputs_get_no_gradient():
    module = mc.nn.LSTM(3, 4)
    module.weight_hh_l0.requires_grad_(False)
    module(mc.randn(5, 2, 3))[0].sum().backward()
    assert module.weight_hh_l0.grad is None
    assert module.weight_ih_l0.grad is not None


def test_gradients_by_differences():
    module = mc.nn.GRU(2, 3).double()
    x = mc.randn(4, 2, 2, dtype=mc.float64, requires_grad=True)
    h = mc.randn(1, 2, 3, dtype=mc.float64, requires_grad=True)
    assert mc.autograd.gradcheck(lambda x, h: module(x, h), (x, h))


def test_dropout_between_layers_only():
    module, x = mc.nn.GRU(3, 4, num_layers=2, dropout=1.0), mc.randn(5, 2, 3)
    dropped = module(x)[0]
    np.testing.assert_array_equal(
        dropped.detach().numpy()[:, 0], dropped.detach().numpy()[:, 1]
    )  # nothing came through
    module.eval()
    assert not np.array_equal(module(x)[0].detach().numpy(), dropped.detach().numpy())
    with pytest.warns(UserWarning, match="non-zero dropout expects num_layers greater than 1"):
        mc.nn.GRU(3, 4, dropout=0.5)


def test_learns_to_count():
    """A sum over time: half a second of training takes the loss down by a factor of ten."""
    mc.manual_seed(0)
    module, head = mc.nn.LSTM(1, 16), mc.nn.Linear(16, 1)
    optimizer = mc.optim.Adam([*module.parameters(), *head.parameters()], lr=0.01)
    losses = []
    for _ in range(150):
        x = mc.rand(8, 32, 1)
        loss = ((head(module(x)[0][-1]) - x.sum(dim=0)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10


@pytest.mark.parametrize(
    "make",
    [
        lambda nn: nn.RNN(3, 4), lambda nn: nn.RNN(3, 4, 2, "relu", False), lambda nn: nn.LSTM(3, 4, proj_size=2),
        lambda nn: nn.GRU(3, 4, 2, batch_first=True, dropout=0.5, bidirectional=True),
    ],
)  # fmt: skip
def test_repr_copies_and_names_are_torchs(make):
    ours, theirs = make(mc.nn), make(torch.nn)
    assert repr(ours) == repr(theirs)
    assert [[tuple(p.shape) for p in ps] for ps in ours.all_weights] == [
        [tuple(p.shape) for p in ps] for ps in theirs.all_weights
    ]
    assert ours.flatten_parameters() is None
    bound = 1 / np.sqrt(4)
    assert all(np.abs(p.detach().numpy()).max() <= bound for p in ours.parameters())
    x = mc.randn(5, 2, 3)
    for twin in (copy.deepcopy(ours.eval()), pickle.loads(pickle.dumps(ours))):
        np.testing.assert_array_equal(twin(x)[0].detach().numpy(), ours(x)[0].detach().numpy())


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda nn, m: nn.RNN(3, 0), "hidden_size must be greater than zero"),
        (lambda nn, m: nn.RNN(3, 4, num_layers=0), "num_layers must be greater than zero"),
        (lambda nn, m: nn.RNN(3, 4.0), "hidden_size should be of type int"),
        (lambda nn, m: nn.RNN(0, 4), "input_size must be greater than zero"),
        (lambda nn, m: nn.RNN(3, 4, bias=1), "bias should be of type bool, got: int"),
        (lambda nn, m: nn.RNN(3, 4, nonlinearity="elu"), "Unknown nonlinearity 'elu'"),
        (lambda nn, m: nn.GRU(3, 4, dropout=1.5), "dropout should be a number"),
        (lambda nn, m: nn.GRU(3, 4, proj_size=2), "only supported for LSTM"),
        (lambda nn, m: nn.LSTM(3, 4, proj_size=4), "proj_size must be"),
        (lambda nn, m: nn.GRU(3, 4)(m.ones(3)), "2D or 3D"),
        (lambda nn, m: nn.GRU(3, 4)(m.ones(2, 1, 5)), "Expected 3, got 5"),
        (lambda nn, m: nn.GRU(3, 4)(m.ones(0, 1, 3)), "at least one step"),
        (lambda nn, m: nn.GRU(3, 4)(m.ones(2, 1, 3), m.ones(1, 2, 4)), r"h_0 of size \(1, 1, 4\), got \(1, 2, 4\)"),
        (lambda nn, m: nn.LSTM(3, 4)(m.ones(2, 1, 3), (m.ones(1, 1, 4), m.ones(1, 1, 3))), "Expected c_0"),
        (lambda nn, m: nn.LSTM(3, 4)(m.ones(2, 1, 3), m.ones(1, 1, 4)), "the pair"),
        (lambda nn, m: nn.GRU(3, 4)(m.ones(2, 1, 3).double()), "one type"),
        (lambda nn, m: nn.GRUCell(3, 4)(m.ones(2, 2, 3)), "1D or 2D"),
        (lambda nn, m: nn.GRUCell(3, 4)(m.ones(2, 4)), "inconsistent input_size: got 4 expected 3"),
        (lambda nn, m: nn.GRUCell(3, 4)(m.ones(2, 3), m.ones(3, 4)), "hx0: expected shape"),
        (lambda nn, m: nn.RNNCell(3, 4, nonlinearity="elu")(m.ones(2, 3)), "Unknown nonlinearity: elu"),
    ],
)
def test_refusals(call, match):
    errors = (RuntimeError, ValueError, TypeError, IndexError)
    with pytest.raises(errors):
        call(torch.nn, torch)
    with pytest.raises(errors, match=match):
        call(mc.nn, mc)
