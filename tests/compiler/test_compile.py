"""Compiled models compute what eager ones do, notice every change, and never reuse memory that somebody holds."""

import collections
import copy
import gc
import pickle
import threading
import warnings

import numpy as np
import pytest

import minicnn as mc
from minicnn import nn
from minicnn.models.blocks import StochasticDepth
from minicnn.nn import functional as F
from minicnn_kernels import workspace


class Tutorial(nn.Module):
    """The tutorial network, smaller; ``dropout`` 0 makes two runs comparable."""

    def __init__(self, dropout=0.0, inplace=False):
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace), nn.MaxPool2d(2, 2)),
            *(nn.Conv2d(6, 7, 3, padding=1), nn.BatchNorm2d(7), nn.ReLU(inplace), nn.MaxPool2d(2, 2)),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(7 * 4 * 4, 20), nn.ReLU(inplace), nn.Dropout(dropout), nn.Linear(20, 5)
        )

    def forward(self, x):
        return self.classifier(self.features(x))


class Residual(nn.Module):
    """Branches: the block's input is used twice, and one batch norm feeds an addition."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + x)


class ManyThings(nn.Module):
    """Views, reductions, several inputs and a nested result."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x, y, scale=2.0):
        a = self.linear(x).view(-1, 2, 3).permute(0, 2, 1)
        b = mc.cat([a, a * scale], dim=1).mean(dim=(1, 2))
        return {"sum": a.sum(), "parts": [b, (y @ x.T).softmax(1)], "same": x}


def flatten(result):
    if isinstance(result, mc.Tensor):
        return [result]
    parts = result.values() if isinstance(result, dict) else result
    return [t for part in parts for t in flatten(part)]


def images(dtype=mc.float64, n=3, c=1, size=16, seed=0):
    return mc.randn(n, c, size, size, dtype=dtype, generator=mc.Generator().manual_seed(seed))


def step(model, *inputs):
    """Outputs, parameter gradients and input gradients, under random cotangents."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    model.zero_grad()
    outputs = flatten(model(*inputs))
    generator = mc.Generator().manual_seed(9)
    outputs = [y for y in outputs if y.requires_grad]
    mc.autograd.backward(outputs, [mc.randn(*y.shape, dtype=y.dtype, generator=generator) for y in outputs])
    grads = [p.grad.clone() for p in model.parameters()] + [x.grad.clone() for x in inputs if x.grad is not None]
    return [y.detach().clone() for y in outputs], grads


def assert_equal(first, second, tolerance):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        a, b = a.detach().numpy(), b.detach().numpy()
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, float(np.abs(b).max(initial=0))))


MODELS = {
    "tutorial": (lambda: Tutorial(), lambda dtype: (images(dtype),)),
    "in place": (lambda: Tutorial(inplace=True), lambda dtype: (images(dtype),)),
    "residual": (lambda: Residual(), lambda dtype: (images(dtype, c=4, size=9),)),
    "many things": (
        lambda: ManyThings(),
        lambda dtype: (images(dtype, 1, 1, 6).view(6, 6), images(dtype, 1, 1, 6, 5).view(6, 6)),
    ),
}


@pytest.mark.parametrize("name", MODELS)
# Fusion only reorders roundings: some ten of them in a row, at 2**-53 and 2**-24 each, through a few layers.
@pytest.mark.parametrize(("dtype", "tolerance"), [(mc.float64, 1e-12), (mc.float32, 2e-5)])
def test_forward_and_backward_equal_eager_over_several_steps(name, dtype, tolerance):
    make, make_inputs = MODELS[name]
    mc.manual_seed(1)
    eager = make().to(dtype)
    compiled = mc.compile(copy.deepcopy(eager))
    inputs = make_inputs(dtype)
    for i in range(4):
        ours, theirs = step(compiled, *inputs), step(eager, *inputs)
        assert compiled.plan is not None, f"step {i} has no plan"
        assert_equal(ours[0], theirs[0], tolerance)
        assert_equal(ours[1], theirs[1], tolerance)
        assert_equal(list(compiled.buffers()), list(eager.buffers()), tolerance)


@pytest.mark.parametrize("name", ["tutorial", "residual"])
def test_evaluation_folds_batch_norm_and_equals_eager(name):
    make, make_inputs = MODELS[name]
    eager = make().double()
    inputs = make_inputs(mc.float64)
    for _ in range(3):
        eager(*inputs)  # running statistics that are not the initial ones
    eager.eval()
    compiled = mc.compile(eager)
    with mc.no_grad():
        wanted = eager(*inputs)
        for _ in range(3):
            assert_equal([compiled(*inputs)], [wanted], 1e-12)
    assert compiled.plan.folded
    assert "BatchNormEval" in str(compiled.plan)


def test_folding_anew_needs_no_new_trace():
    """An evaluation after each epoch of training: Python's ``forward`` does not run again, and the filters are fresh."""

    class Counting(Residual):
        def forward(self, x):
            calls.append(self.training)
            return super().forward(x)

    calls = []
    model = Counting().double()
    compiled = mc.compile(model)
    x = images(c=4)
    for _ in range(3):
        compiled.train()
        compiled(x)  # new running statistics
        with mc.no_grad():
            model.conv1.weight.mul_(1.25)
            compiled.eval()
            got = compiled(x)
        assert calls == [True, False]
        with mc.no_grad():
            assert_equal([got], [Residual.forward(model, x)], 1e-12)


def test_folded_weights_die_with_their_version():
    model = Residual().double().eval()
    compiled = mc.compile(model)
    x = images(c=4)
    with mc.no_grad():
        compiled(x)
        compiled(x)
        for change in (
            lambda: model.bn1.weight.mul_(2.0),
            lambda: model.bn2.running_var.add_(1.0),
            lambda: model.conv1.weight.add_(0.1),
            lambda: model.load_state_dict({k: v + 0.5 for k, v in model.state_dict().items()}),
        ):
            change()
            assert_equal([compiled(x)], [model(x)], 1e-12)
            assert_equal([compiled(x)], [model(x)], 1e-12)


def test_gradients_match_pytorch():
    torch = pytest.importorskip("torch")
    ours = Tutorial().double()
    theirs = torch.nn.Sequential(
        torch.nn.Sequential(
            *(torch.nn.Conv2d(1, 6, 3, padding=1), torch.nn.BatchNorm2d(6), torch.nn.ReLU(), torch.nn.MaxPool2d(2, 2)),
            *(torch.nn.Conv2d(6, 7, 3, padding=1), torch.nn.BatchNorm2d(7), torch.nn.ReLU(), torch.nn.MaxPool2d(2, 2)),
        ),
        torch.nn.Sequential(
            *(torch.nn.Flatten(), torch.nn.Linear(112, 20), torch.nn.ReLU(), torch.nn.Dropout(0.0)),
            torch.nn.Linear(20, 5),
        ),
    ).double()
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        a.data = torch.from_numpy(b.detach().numpy().copy())
    compiled = mc.compile(ours)
    x = images()
    for _ in range(3):
        compiled.zero_grad()
        F.cross_entropy(compiled(x), mc.tensor([0, 4, 2])).backward()
    for _ in range(1):
        logits = theirs(torch.from_numpy(x.numpy()))
        torch.nn.functional.cross_entropy(logits, torch.tensor([0, 4, 2])).backward()
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        # A bias before a batch norm has gradient zero, give or take rounding: hence the absolute term.
        np.testing.assert_allclose(b.grad.numpy(), a.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_dropout_draws_anew_at_each_call_and_repeats_with_the_seed():
    compiled = mc.compile(Tutorial(dropout=0.5))
    x = images(mc.float32)
    compiled(x)
    mc.manual_seed(3)
    first, second = compiled(x), compiled(x)
    mc.manual_seed(3)
    again = compiled(x)
    assert not mc.equal(first, second)
    assert mc.equal(first, again)


@pytest.mark.parametrize(
    "drop",
    [nn.Dropout1d(), nn.Dropout2d(), nn.Dropout3d(), StochasticDepth(0.5), StochasticDepth(0.5, "batch")],
    ids=str,
)
def test_dropout_of_channels_and_rows_is_traced(drop):
    """The mask is drawn anew in each run, from the same numbers as in eager mode."""
    x = images(n=8, c=4, size=3)
    x = {nn.Dropout1d: x.flatten(2), nn.Dropout3d: x.unsqueeze(2)}.get(type(drop), x)
    compiled = mc.compile(drop)
    results = []
    for model in (drop, compiled):
        mc.manual_seed(4)
        results.append([step(model, x) for _ in range(4)])
    assert compiled.plan is not None
    for (out, grads), (expected, expected_grads) in zip(*results, strict=True):
        assert_equal(out, expected, 0)
        assert_equal(grads, expected_grads, 0)
    assert len({out[0].numpy().tobytes() for out, _ in results[0]}) > 1


def test_the_batch_count_goes_on():
    model = Tutorial()
    compiled = mc.compile(model)
    for _ in range(5):
        compiled(images(mc.float32))
    assert model.features[1].num_batches_tracked.item() == 5


CHANGES = {
    "shape": lambda m: None,
    "training flag": lambda m: m.eval(),
    "one flag": lambda m: m.features[1].eval(),
    "requires_grad": lambda m: m.features[0].weight.requires_grad_(False),
    "a layer": lambda m: setattr(m.classifier, "4", nn.Linear(20, 5)),
    "a parameter": lambda m: setattr(m.features[0], "bias", nn.Parameter(mc.ones(6))),
    "data": lambda m: setattr(m.features[0].weight, "data", mc.ones(6, 1, 3, 3)),
    "an attribute": lambda m: setattr(m.features[3], "kernel_size", 1),
    "a stateless layer": lambda m: setattr(m.features, "2", nn.Tanh()),
    "in place": lambda m: m.features[0].weight.data.mul_(3.0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_noticed(change):
    model = Tutorial()
    compiled = mc.compile(model)
    x = images(mc.float32)
    compiled(x)
    compiled(x)
    CHANGES[change](model)
    x = images(mc.float32, n=5) if change == "shape" else x
    reference = copy.deepcopy(model)
    for _ in range(2):
        assert_equal([compiled(x)], [reference(x)], 2e-6)


def test_grad_mode_threads_and_back_end_are_guarded():
    model = Tutorial()
    compiled = mc.compile(model)
    x = images(mc.float32)
    assert compiled(x).requires_grad
    with mc.no_grad():
        assert not compiled(x).requires_grad
        assert not compiled(x).requires_grad
    assert compiled(x).requires_grad
    with mc.use_backend("reference"):
        compiled(x)
        assert compiled(x).grad_fn is not None
    before = mc.get_num_threads()
    try:
        mc.set_num_threads(before + 1)
        compiled(x)
    finally:
        mc.set_num_threads(before)
    assert len(compiled._cache.entries) == 4


def test_a_layer_that_comes_and_goes():
    """Modules are known by identity: that of one that is gone must not come back under another name."""
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    compiled = mc.compile(model)
    x = mc.randn(4, 3)
    for layer in (nn.Tanh, nn.Sigmoid, nn.ReLU) * 5:
        model[1] = layer()
        assert_equal([compiled(x)], [model(x)], 1e-6)
        gc.collect()


def test_the_first_call_has_the_bits_of_all_others():
    """A resumed run traces where an uninterrupted one does not."""
    mc.manual_seed(0)
    model = Tutorial(dropout=0.5)
    x = images(mc.float32)
    state, random = copy.deepcopy(model.state_dict()), mc.get_rng_state()
    results = []
    for warm in (False, True):
        compiled = mc.compile(model)
        if warm:
            compiled(x)
        model.load_state_dict(state)
        mc.set_rng_state(random)
        results.append((compiled(x), *(b.clone() for b in model.buffers()), mc.get_rng_state().offset))
    for a, b in zip(*results, strict=True):
        assert a == b if isinstance(a, int) else mc.equal(a, b)


def test_copies_and_pickles_trace_anew():
    compiled = mc.compile(Tutorial())
    x = images(mc.float32)
    compiled.eval()
    with mc.no_grad():
        wanted = compiled(x)
        for copied in (copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))):
            assert copied.plan is None
            assert mc.equal(copied(x), wanted)
            assert copied.features[0].weight is not compiled.features[0].weight


def test_an_input_changed_in_place_is_changed_once():
    class Shift(nn.Module):
        def forward(self, x):
            return x.add_(1.0) * 2

    compiled = mc.compile(Shift())
    x = mc.zeros(3)
    with pytest.warns(UserWarning, match="changes an input in place"):
        assert mc.equal(compiled(x), mc.full((3,), 2.0))
    assert mc.equal(x, mc.ones(3))


def test_a_plan_keeps_to_the_convolution_algorithm_that_is_asked_for(monkeypatch):
    from minicnn_kernels.cpu import conv_winograd

    compiled = mc.compile(nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()).double())
    x = images(c=16)
    with mc.conv_algorithm("winograd"):
        wanted = compiled(x)
    monkeypatch.setattr(conv_winograd, "forward", None)
    for name in ("exact", "im2col"):
        with mc.conv_algorithm(name):
            assert_equal([compiled(x)], [wanted], 1e-10)


def test_a_channels_last_input_has_a_plan_of_its_own():
    model = Residual()
    compiled = mc.compile(model)
    plain = images(mc.float32, c=4)
    last = mc.from_numpy(np.ascontiguousarray(plain.numpy().transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2))
    assert_equal([compiled(plain)], [compiled(last)], 1e-5)
    assert len(compiled._cache.entries) == 2


class Breaks(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how = how
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        y = self.linear(x)
        return y * self.how(y)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (lambda y: 2.0 if y.sum() > 0 else 3.0, "bool()"),
        (lambda y: y.sum().item(), "item()"),
        (lambda y: float(y.detach().numpy().max()), "numpy()"),
        (lambda y: float(y.sum()), "item()"),
        (lambda y: int(y.sum()), "item()"),
        (lambda y: y.tolist()[0][0], "tolist()"),
        (lambda y: [1.0, 2.0, 3.0][y.argmax() % 3], "an index"),
        (lambda y: 2.0 if 0.25 in y else 3.0, "in takes"),
        (lambda y: len(f"{y.sum():.3f}"), "item()"),
        (lambda y: len(str(y)) or 1.0, "printing"),
        (lambda y: print(y) or 1.0, "printing"),
        (lambda y: y[y > 0].sum(), "numpy()"),
        (lambda y: y[y.argmax(0)].sum(), "numpy()"),
        (lambda y: 2.0 if mc.equal(y, y) else 3.0, "equal()"),
        (lambda y: 2.0 if mc.allclose(y, y) else 3.0, "allclose()"),
        (lambda y: max(v.item() for v in y.sum(1)), "item()"),
        (lambda y: 2.0 if y.any() else 3.0, "bool()"),
        (lambda y: np.asarray(y.detach()).sum(), "numpy()"),
        (lambda y: mc.tensor(y.detach()).sum(), "neither an input"),
        (lambda y: mc.rand(4), "neither an input"),
        (lambda y: (y > 0).float(), "neither an input"),
        (lambda y: y.detach(), "neither an input"),
    ],
)
def test_what_cannot_be_traced_runs_eagerly_with_one_warning_that_says_where(how, reason):
    model = Breaks(how)
    compiled = mc.compile(model)
    x = mc.randn(3, 4)
    with pytest.warns(UserWarning, match="runs eagerly") as caught:
        compiled(x)
    assert reason in str(caught[0].message)
    assert "test_compile.py" in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mc.manual_seed(5)
        ours = compiled(x)
        mc.manual_seed(5)
        assert mc.equal(ours, model(x))
    assert compiled.plan is None


def test_hooks_run_each_time():
    model = Tutorial()
    compiled = mc.compile(model)
    x = images(mc.float32)
    compiled(x)
    seen = []
    handle = model.features.register_forward_hook(lambda module, args, output: seen.append(output.shape))
    with pytest.warns(UserWarning, match="hooks"):
        compiled(x)
    compiled(x)
    assert len(seen) == 2
    handle.remove()
    compiled(x)
    assert len(seen) == 2
    assert compiled.plan is not None


def test_a_steady_step_allocates_no_new_blocks(monkeypatch):
    model = mc.compile(nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)))
    x = images(mc.float32, n=16, c=3, size=32)

    def train():
        model.zero_grad()
        model(x).sum().backward()

    for _ in range(3):
        train()
    made = []
    new_block = workspace._new_block
    monkeypatch.setattr(workspace, "_new_block", lambda size: made.append(size) or new_block(size))
    for _ in range(3):
        train()
    assert made == []


def test_a_result_that_is_held_is_never_overwritten():
    model = mc.compile(nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()))
    model(images(mc.float32, n=16, c=3, size=32))
    held = [model(images(mc.float32, n=16, c=3, size=32, seed=s)) for s in range(4)]
    copies = [h.detach().clone() for h in held]
    views = [h.detach()[1:, ::2] for h in held[:2]]
    view_copies = [v.clone() for v in views]
    del held[:2]
    gc.collect()
    for s in range(4):
        model(images(mc.float32, n=16, c=3, size=32, seed=s + 10)).sum().backward()
    for a, b in zip([*held, *views], [*copies[2:], *view_copies], strict=True):
        assert mc.equal(a.detach(), b)


def test_a_plan_may_run_in_several_threads_at_once():
    model = Residual().eval()
    compiled = mc.compile(model)
    inputs = [images(mc.float32, c=4, seed=s) for s in range(4)]
    with mc.no_grad():
        wanted = [model(x) for x in inputs]
    wrong = []

    def work(i):
        with mc.no_grad():
            for _ in range(20):
                if not np.allclose(compiled(inputs[i]).numpy(), wanted[i].numpy(), atol=1e-5):
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_stale_backward_is_an_error_as_in_eager_mode():
    compiled = mc.compile(Tutorial())
    x = images(mc.float32)
    compiled(x)
    y = compiled(x).sum()
    with mc.no_grad():
        compiled.features[4].weight.mul_(2.0)
    with pytest.raises(RuntimeError, match="changed it in place"):
        y.backward()


def test_attributes_parameters_and_state_are_the_models():
    model = Tutorial()
    compiled = mc.compile(model)
    assert compiled.features is model.features
    assert next(iter(compiled.parameters())) is model.features[0].weight
    assert list(compiled.state_dict()) == ["_orig_mod." + k for k in model.state_dict()]
    assert compiled.train(False) is compiled
    assert not model.training
    with pytest.raises(AttributeError, match="nothing"):
        _ = compiled.nothing


def test_bad_arguments():
    with pytest.raises(TypeError, match="expected a Module, got function"):
        mc.compile(lambda x: x)
    with pytest.raises(NotImplementedError, match="fullgraph"):
        mc.compile(nn.Linear(1, 1), fullgraph=True)


def test_the_plan_prints_what_was_fused():
    compiled = mc.compile(Tutorial())
    compiled(images(mc.float32))
    table = str(compiled.plan)
    assert "BatchNormTrain + ReLU + MaxPool2d" in table
    assert table.count("Conv2dBatchNormReLUMaxPool2d") == 2


def test_len_shape_and_iteration_do_not_break_a_trace():
    class Rows(nn.Module):
        def forward(self, x):
            a, *rest = x.tanh()
            return sum(rest, a) * len(x) * x.shape[1] * x.size(0) * x.ndim * x.numel()

    compiled = mc.compile(Rows())
    for rows in (2, 3, 3):
        x = mc.randn(rows, 4)
        assert mc.allclose(compiled(x), Rows()(x))
        assert compiled.plan is not None


def test_an_index_that_is_an_input_is_looked_at_in_each_run():
    class Choose(nn.Module):
        def forward(self, x, index):
            return mc.where(index > 0, x, -x)

    compiled = mc.compile(Choose())
    x = mc.randn(3)
    with pytest.warns(UserWarning, match="neither an input"):
        compiled(x, mc.tensor([0, 1, 2]))
    for index in ([0, 0, 1], [1, 1, 0]):
        assert mc.equal(compiled(x, mc.tensor(index)), Choose()(x, mc.tensor(index)))


def test_a_compiled_part_of_a_compiled_model():
    inner = Residual()
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), mc.compile(inner), nn.ReLU())
    eager = nn.Sequential(model[0], inner, nn.ReLU())
    compiled = mc.compile(model)
    x = images(mc.float32)
    for _ in range(2):
        for mode in (True, False):
            model.train(mode)
            assert_equal([compiled(x)], [eager(x)], 1e-5)
            assert_equal([model(x)], [eager(x)], 1e-5)
            with mc.no_grad():
                assert_equal([compiled(x)], [eager(x)], 1e-5)
    assert compiled.plan.traced == 9
    assert mc.compile(mc.compile(inner))(eager[0](x)).shape == (3, 4, 16, 16)


def test_threads_that_differentiate_one_compiled_model():
    """Each thread with inputs, a graph and gradients of its own; in evaluation mode, where nothing is tracked."""
    eager = Residual().double().eval()
    inputs = [images(c=4, n=n + 1, seed=n) for n in range(3)]  # three shapes: the threads trace at the same time
    wanted = [mc.autograd.grad(eager(x).square().sum(), list(eager.parameters())) for x in inputs]
    compiled = mc.compile(eager)
    wrong: list = []
    start = threading.Barrier(6)

    def work(i):
        start.wait()
        for _ in range(10):
            with mc.conv_algorithm("exact") if i % 2 else mc.enable_grad():
                grads = mc.autograd.grad(compiled(inputs[i % 3]).square().sum(), list(eager.parameters()))
            for ours, theirs in zip(grads, wanted[i % 3], strict=True):
                if not np.allclose(ours.numpy(), theirs.numpy(), rtol=1e-9, atol=1e-9):
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert len(compiled._cache.entries) == 3


def test_training_flags_attributes_and_removal_reach_the_model():
    model = Tutorial()
    compiled = mc.compile(model)
    model.eval()
    assert compiled.training is False
    compiled.train()
    assert model.training
    assert model.features.training
    compiled.note = "set"
    compiled.classifier[3] = nn.Dropout(0.25)
    assert model.note == "set"
    del compiled.note
    assert not hasattr(model, "note")
    assert not hasattr(compiled, "note")
    assert {"features", "plan", "forward"} <= set(dir(compiled))
    assert bool(compiled)
    assert compiled.double() is compiled
    assert model.features[0].weight.dtype == mc.float64
    assert "Tutorial" in repr(compiled)
    optimizer = mc.optim.SGD(compiled.parameters(), lr=0.1)
    assert optimizer.param_groups[0]["params"][0] is model.features[0].weight


def test_state_goes_in_and_out():
    first, second = mc.compile(Tutorial()), mc.compile(Tutorial())
    x = images(mc.float32)
    first.eval(), second.eval()
    with mc.no_grad():
        second(x)
        second.load_state_dict(first.state_dict())
        assert_equal([second(x)], [first(x)], 1e-6)
        plain = Tutorial().eval()
        plain.load_state_dict({k.removeprefix("_orig_mod."): v for k, v in first.state_dict().items()})
        assert_equal([plain(x)], [first(x)], 1e-5)


def test_a_copy_of_a_model_that_is_training():
    compiled = mc.compile(Tutorial())
    x = images(mc.float32)
    step(compiled, x)
    copied = copy.deepcopy(compiled)
    for _ in range(2):
        assert_equal(step(copied, x)[0], step(compiled, x)[0], 1e-6)


def test_anomaly_detection_names_the_line_of_the_layer():
    class Root(nn.Module):
        def forward(self, x):
            y = x * 2
            return y.sqrt()

    compiled = mc.compile(Root())
    compiled(mc.ones(2))
    with mc.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"Sqrt made the first NaN.*y.sqrt\(\)"):
        compiled(-mc.ones(2))


def test_named_tuples_and_parameters_may_be_returned():
    Pair = collections.namedtuple("Pair", "first second")

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(mc.ones(2))

        def forward(self, x):
            return Pair(x * self.weight, {"weight": self.weight, "x": x, "n": 3})

    model = Two()
    compiled = mc.compile(model)
    for _ in range(2):
        x = mc.randn(2)
        result = compiled(x)
        assert type(result) is Pair
        assert mc.equal(result.first, x)
        assert result.second["weight"] is model.weight
        assert result.second["x"] is x
        assert result.second["n"] == 3
    assert compiled.plan is not None


def test_decorator_form():
    compiled = mc.compile()(nn.Linear(2, 2))
    assert compiled(mc.ones(1, 2)).shape == (1, 2)
    with pytest.raises(TypeError, match=r"got the class Linear; compile an object: Linear\(\)"):
        mc.compile(nn.Linear)
