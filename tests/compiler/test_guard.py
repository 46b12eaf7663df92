"""Whatever a trace depends on: one thing is changed, and the compiled model follows the eager one."""

from __future__ import annotations

import copy
import functools
import random
import threading
import types
import warnings

import numpy as np
import pytest

import minicnn as mc
from minicnn import nn
from minicnn.nn import functional as F


class Net(nn.Module):
    """Something of everything that a guard looks at."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.features = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2, 2))
        self.linear = nn.Linear(4 * 4 * 4, 3)
        self.register_buffer("shift", mc.zeros(3, dtype=mc.float64))
        self.activation = mc.tanh
        self.scale = 1.0
        self.sizes = [2, 1]
        self.options = {"times": 1, "deep": (1, [2])}
        self.config = types.SimpleNamespace(slope=0.5)
        self.factors = np.ones(3)
        self.loose = [nn.Dropout(0.5).eval()]  # not registered

    def forward(self, x, times=1):
        y = self.features(self.norm(self.conv(x)))
        y = self.loose[0](y)
        y = self.linear(y.flatten(1)) + self.shift
        y = self.activation(y) * (self.scale * self.options["times"] * self.config.slope)
        y = y * float(self.factors[0]) * times + self.options["deep"][1][0]
        return y.reshape(-1, 3) * self.sizes[0]


def images(n=2, size=8, seed=0, dtype=mc.float64):
    return mc.randn(n, 2, size, size, dtype=dtype, generator=mc.Generator().manual_seed(seed))


def double():
    mc.manual_seed(3)
    return Net().double()


def step(model, x, **options):
    """The result and all gradients, for a random cotangent."""
    model.zero_grad()
    x = x.detach().requires_grad_(x.requires_grad)
    y = model(x, **options)
    if not y.requires_grad:
        return [y.numpy()]
    y.backward(mc.randn(*y.shape, dtype=y.dtype, generator=mc.Generator().manual_seed(4)))
    grads = [t.grad for t in (x, *model.parameters())]
    return [y.detach().numpy(), *(None if g is None else g.numpy() for g in grads)]


def assert_equal(ours, theirs, tolerance=1e-11):  # some ten roundings in another order, at 2**-53 each
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, float(np.abs(b).max(initial=0))))


def set_parameter(module, name, value):
    setattr(module, name, nn.Parameter(value.to(mc.float64)))


MODEL_CHANGES = {
    "training": lambda m: m.eval(),
    "training of one module": lambda m: m.norm.eval(),
    "training of a module that is not registered": lambda m: m.loose[0].train() and setattr(m.loose[0], "p", 1.0),
    "requires_grad": lambda m: m.conv.weight.requires_grad_(False),
    "requires_grad of all": lambda m: m.requires_grad_(False),
    "parameter replaced": lambda m: set_parameter(m.linear, "bias", mc.ones(3)),
    "parameter removed": lambda m: setattr(m.linear, "bias", None),
    "parameter changed in place": lambda m: m.conv.weight.mul_(2.0),
    "parameter changed through data": lambda m: m.conv.weight.data.mul_(2.0),
    "parameter's data replaced": lambda m: setattr(m.conv.weight, "data", mc.ones(4, 2, 3, 3, dtype=mc.float64)),
    "parameter changed in NumPy": lambda m: np.multiply(m.conv.weight.detach().numpy(), 2, m.conv.weight._array),
    "state loaded": lambda m: m.load_state_dict({k: v * 2 for k, v in double().state_dict().items()}),
    "buffer replaced": lambda m: setattr(m, "shift", mc.ones(3, dtype=mc.float64)),
    "buffer changed in place": lambda m: m.shift.add_(1.0),
    "running statistics": lambda m: (m.norm.running_var.add_(1.0), m.norm.running_mean.sub_(1.0)),
    "statistics forgotten": lambda m: m.norm.reset_running_stats(),
    "statistics not tracked": lambda m: setattr(m.norm, "track_running_stats", False),
    "momentum": lambda m: setattr(m.norm, "momentum", 0.5),
    "eps": lambda m: setattr(m.norm, "eps", 0.5),
    "module replaced": lambda m: setattr(m.features, "0", nn.Tanh()),
    "module added": lambda m: m.features.append(nn.Sigmoid()),
    "module removed": lambda m: m.features.__delitem__(0),
    "modules exchanged": lambda m: setattr(m, "features", nn.Sequential(*reversed(list(m.features)))),
    "class replaced": lambda m: setattr(m.features[0], "__class__", nn.Tanh),
    "forward replaced": lambda m: setattr(m.features[0], "forward", lambda x: x * 3),
    "stride": lambda m: (setattr(m.features[1], "kernel_size", 1), setattr(m.features[1], "padding", 0)),
    "number": lambda m: setattr(m, "scale", 2.0),
    "function": lambda m: setattr(m, "activation", mc.sigmoid),
    "partial function": lambda m: setattr(m, "activation", functools.partial(F.dropout, training=False)),
    "list changed in place": lambda m: m.sizes.__setitem__(0, 3),
    "dictionary changed in place": lambda m: m.options.__setitem__("times", 3),
    "list in a tuple in a dictionary": lambda m: m.options["deep"][1].__setitem__(0, 5),
    "attribute of an object": lambda m: setattr(m.config, "slope", 2.0),
    "small array changed in place": lambda m: m.factors.__setitem__(0, 5.0),
    "type": lambda m: m.float(),
    "hook before": lambda m: m.features.register_forward_pre_hook(lambda module, args: (args[0] * 2,)),
    "hook after": lambda m: m.norm.register_forward_hook(lambda module, args, out: out * 2),
    "hook backward": lambda m: m.conv.register_full_backward_hook(lambda module, gi, go: (gi[0] * 2,)),
    "hook of a parameter": lambda m: m.conv.weight.register_hook(lambda grad: grad * 2),
    "hook after accumulation": lambda m: m.norm.weight.register_post_accumulate_grad_hook(lambda p: p.grad.mul_(2.0)),
}


@pytest.mark.parametrize("grad", [True, False], ids=["grad", "no_grad"])
@pytest.mark.parametrize("evaluating", [False, True], ids=["train", "eval"])
@pytest.mark.parametrize("change", MODEL_CHANGES)
def test_a_change_of_the_model(change, evaluating, grad):
    eager = double()
    compiled = mc.compile(double())
    for model in (eager, compiled):
        model.train(not evaluating)
    x = images().requires_grad_(grad)
    with mc.set_grad_enabled(grad), warnings.catch_warnings():
        if change.startswith("hook"):
            warnings.filterwarnings("ignore", "compile: ")  # tested below
        for _ in range(2):
            assert_equal(step(compiled, x), step(eager, x))
        assert compiled.plan is not None
        for model in (eager, compiled._orig_mod):
            with mc.no_grad():
                MODEL_CHANGES[change](model)
        x = x.detach().to(eager.conv.weight.dtype).requires_grad_(grad)
        for _ in range(3):
            tolerance = 1e-11 if change != "type" else 1e-4
            assert_equal(step(compiled, x), step(eager, x), tolerance)
        assert_equal([b.numpy() for b in compiled.buffers()], [b.numpy() for b in eager.buffers()], tolerance)


CALL_CHANGES = {
    "batch": lambda x: images(5),
    "size": lambda x: mc.cat([images(), images()], 3)[:, :, :, :8],
    "memory order": lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
    "gaps": lambda x: mc.cat([x, x], 3)[..., ::2],
    "broadcast": lambda x: x[:1].expand(3, 2, 8, 8),
    "requires_grad": lambda x: x.detach().requires_grad_(),
    "values": lambda x: images(seed=9),
}


@pytest.mark.parametrize("change", CALL_CHANGES)
def test_a_change_of_the_input(change):
    eager, compiled = double(), mc.compile(double())
    for x in (images(), images(), CALL_CHANGES[change](images()), CALL_CHANGES[change](images()), images()):
        assert_equal(step(compiled, x), step(eager, x))
    assert compiled.plan is not None


def test_a_change_of_the_inputs_type():
    eager, compiled = nn.Sequential(nn.Tanh(), nn.Tanh()), mc.compile(nn.Sequential(nn.Tanh(), nn.Tanh()))
    for dtype in (mc.float32, mc.float64, mc.float32, mc.int64):
        x = images().to(dtype)
        assert compiled(x).dtype == eager(x).dtype
        assert mc.equal(compiled(x), eager(x))


def test_a_change_of_an_argument():
    eager, compiled = double(), mc.compile(double())
    for times in (1, 2, 2.0, True, 1):
        assert_equal(step(compiled, images(), times=times), step(eager, images(), times=times))
    assert len(compiled._cache.entries) == 4  # 1 and True are equal, and are not the same


def test_the_settings():
    eager, compiled = double().eval(), mc.compile(double()).eval()
    x = images()
    before = mc.get_num_threads()

    def compare():
        assert_equal(step(compiled, x), step(eager, x))

    for mode in (mc.no_grad, mc.enable_grad, mc.inference_mode):
        with mode():
            compare()
            compare()
    with mc.use_backend("reference"):
        compare()
        assert compiled.plan is not None
    plans = len(compiled._cache.entries)
    assert plans == 3  # inference_mode is no_grad
    try:
        mc.set_num_threads(before + 1)
        compare()
        assert len(compiled._cache.entries) == plans + 1
    finally:
        mc.set_num_threads(before)
    for name in ("exact", "im2col", "direct", "winograd"):
        with mc.conv_algorithm(name):
            compare()
    assert len(compiled._cache.entries) == plans + 1  # each convolution asks when it runs


def test_the_default_type():
    class Half(nn.Module):
        def forward(self, x):
            return x / 2

    compiled = mc.compile(Half())
    x = mc.arange(3)
    assert compiled(x).dtype == mc.float32
    try:
        mc.set_default_dtype(mc.float64)
        assert compiled(x).dtype == mc.float64
    finally:
        mc.set_default_dtype(mc.float32)
    assert compiled(x).dtype == mc.float32


def test_exact_convolutions_hold_in_a_plan_made_before(monkeypatch):
    from minicnn_kernels.cpu import conv_winograd

    compiled = mc.compile(nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()))
    x = mc.randn(1, 64, 8, 8)
    wanted = compiled(x)
    monkeypatch.setattr(conv_winograd, "forward", None)
    try:
        mc.set_exact_convolutions(True)
        np.testing.assert_allclose(compiled(x).detach().numpy(), wanted.detach().numpy(), atol=1e-4)
    finally:
        mc.set_exact_convolutions(False)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(mc.ones(3, 3))

    def forward(self, a, b=None, *rest, scale=None):
        others = [t for part in (b, *rest) if part is not None for t in (part if isinstance(part, list) else [part])]
        return sum(others, a @ self.weight) * (1.0 if scale is None else scale["value"])


def test_which_inputs_are_one_tensor():
    eager = Two()
    x, y, z = mc.rand(3, 3, requires_grad=True), mc.rand(3, 3, requires_grad=True), mc.rand(3, 3, requires_grad=True)
    for scale in ({"value": 2.0}, {"value": z}, None):
        compiled = mc.compile(eager)
        for args in ((x, x), (x, y), (y, y), (x, y, x), (x, y, z), (x, [y, z]), (x, [y, y]), (x,), (x, None, y)):
            ours = mc.autograd.grad(compiled(*args, scale=scale).sum(), (args[0], eager.weight))
            theirs = mc.autograd.grad(eager(*args, scale=scale).sum(), (args[0], eager.weight))
            assert all(mc.allclose(a, b) for a, b in zip(ours, theirs, strict=True))
            assert compiled.plan is not None


def test_a_parameter_as_an_input_is_not_taken_for_the_parameter():
    eager = Two()
    compiled = mc.compile(eager)
    with pytest.warns(UserWarning, match="an input is one of the model's own tensors"):
        compiled(eager.weight)
    assert mc.equal(compiled(mc.eye(3)), eager.weight)


def test_what_cannot_be_guarded_runs_eagerly_and_says_so_once():
    compiled = mc.compile(Two())
    with pytest.warns(UserWarning, match=r"an argument is a float32.*at .*test_guard.py"):
        compiled(mc.eye(3), scale={"value": np.float32(2)})
    hooked = mc.compile(double())
    hooked.features.register_forward_hook(lambda *args: None)
    with pytest.warns(UserWarning, match=r"the module 'features' has hooks, at .*test_guard.py"):
        hooked(images())
    hooked(images())
    assert hooked.plan is None


def test_too_many_plans_are_said_once():
    compiled = mc.compile(nn.Sequential(nn.Tanh(), nn.Tanh()))
    for n in range(16):
        compiled(mc.ones(n + 1))
    with pytest.warns(UserWarning, match="more than 16 kinds of inputs"):
        compiled(mc.ones(17))
    compiled(mc.ones(18))
    assert len(compiled._cache.entries) == 16


# ---- folded weights


SOURCES = {
    "filters": lambda m: m.conv.weight,
    "bias": lambda m: m.conv.bias,
    "gamma": lambda m: m.norm.weight,
    "beta": lambda m: m.norm.bias,
    "mean": lambda m: m.norm.running_mean,
    "variance": lambda m: m.norm.running_var,
}
WRITES = {
    "in place": lambda t: t.mul_(1.5),
    "copied": lambda t: t.copy_(t * 1.5),
    "data in place": lambda t: t.data.mul_(1.5),
    "data": lambda t: setattr(t, "data", t.data * 1.5),
    "detached": lambda t: t.detach().mul_(1.5),
    "a view": lambda t: t.detach()[:1].mul_(1.5),
    "numpy": lambda t: np.multiply(t.detach().numpy(), 1.5, t.detach().numpy()),
    "index": lambda t: t.detach().__setitem__(0, t.detach()[0] * 1.5),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("source", SOURCES)
def test_folded_weights_die_with_what_they_came_from(source, write):
    model = double().eval()
    with mc.no_grad():
        model.norm.running_mean.add_(0.5)  # not the zero that no factor changes
        model.norm.bias.add_(0.5)
    compiled = mc.compile(model)
    x = images()
    with mc.no_grad():
        for _ in range(3):
            for _ in range(2):
                assert_equal([compiled(x).numpy()], [model(x).numpy()])
                assert compiled.plan.folded
            before = compiled(x)
            WRITES[write](SOURCES[source](model))
            assert not mc.equal(compiled(x), before)


def test_folded_weights_after_training_steps():
    """Through an optimiser, and through running statistics that a plan moves."""
    model = double()
    model.norm.num_batches_tracked = None  # a module of one's own may have no such counter
    compiled = mc.compile(model)
    optimizer = mc.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for i in range(4):
        compiled.eval()
        with mc.no_grad():
            assert_equal([compiled(images()).numpy()], [model(images()).numpy()])
            assert compiled.plan.folded
        compiled.train()
        if i % 2:
            compiled(images(seed=i))  # the statistics alone
        else:
            optimizer.zero_grad()
            compiled(images(seed=i)).square().sum().backward()
            optimizer.step()


def test_a_freed_array_does_not_come_back_as_the_folded_one():
    """Data replaced again and again: ids of arrays return, and versions start at 0."""
    model = double().eval()
    compiled = mc.compile(model)
    x = images()
    with mc.no_grad():
        for i in range(20):
            model.conv.weight.data = mc.full((4, 2, 3, 3), float(i), dtype=mc.float64)
            assert_equal([compiled(x).numpy()], [model(x).numpy()])


# ---- what forward does besides


class Effect(nn.Module):
    def __init__(self, effect):
        super().__init__()
        self.effect = effect
        self.linear = nn.Linear(3, 3)
        self.calls, self.kept = 0, []
        self.register_buffer("average", mc.zeros(3))

    def forward(self, x):
        y = self.linear(x)
        return y * self.effect(self, x, y)


def count(m, x, y):
    m.calls += 1
    return m.calls


def keep(m, x, y):
    m.kept.append(y)
    return 1.0


def remember(m, x, y):
    m.latest = y
    return 1.0


def average(m, x, y):
    with mc.no_grad():
        m.average = m.average * 0.9 + y.mean(0) * 0.1
    return m.average


def average_in_place(m, x, y):
    with mc.no_grad():
        m.average.mul_(0.9).add_(0.5)
    return m.average


def decay(m, x, y):
    with mc.no_grad():
        m.linear.weight.mul_(0.5)
    return 1.0


def hook(m, x, y):
    y.register_hook(lambda grad: grad * 2)
    return 1.0


def backward(m, x, y):
    y.sum().backward(retain_graph=True)
    return 1.0


def loss(m, x, y):
    return F.cross_entropy(y, mc.tensor([0, 1, 2]))


EFFECTS = {
    "a counter": count,
    "results kept": keep,
    "the last result": remember,
    "a buffer replaced": average,
    "a parameter changed": decay,
    "a hook": hook,
    "a backward pass": backward,
    "retain_grad": lambda m, x, y: y.retain_grad() or 1.0,
    "requires_grad": lambda m, x, y: m.linear.weight.requires_grad_() is None or 1.0,
    "gradients cleared": lambda m, x, y: m.zero_grad() or 1.0,
    "Python's random": lambda m, x, y: random.random(),
    "NumPy's random": lambda m, x, y: float(np.random.rand()),  # noqa: NPY002
}


@pytest.mark.parametrize("effect", EFFECTS)
def test_effects_besides_the_result_run_each_time(effect):
    mc.manual_seed(0)
    eager = Effect(EFFECTS[effect])
    compiled = mc.compile(copy.deepcopy(eager))
    results = []
    for model in (eager, compiled):
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            outputs = []
            for i in range(4):
                y = model(mc.ones(2, 3) * (i + 1))
                y.backward(mc.tensor([[1.0, 2.0, 3.0], [0.5, 0.0, 1.0]]))
                outputs.append(y.detach().clone().numpy())
        grads = [p.grad.numpy() for p in model.parameters()]
        results.append([*outputs, *grads, model.average.detach().numpy(), np.array([model.calls, len(model.kept)])])
    assert_equal(*results, tolerance=1e-6)  # float32
    assert len([w for w in caught if "compile:" in str(w.message)]) == 1
    assert compiled.plan is None


def test_a_buffer_changed_by_constants_is_changed_in_each_run():
    eager = Effect(average_in_place)
    compiled = mc.compile(copy.deepcopy(eager))
    for _ in range(4):
        compiled(mc.ones(2, 3)), eager(mc.ones(2, 3))
        assert mc.equal(compiled.average, eager.average)


def test_what_is_made_at_the_first_call_is_no_change():
    class Lazy(nn.Module):
        size = None

        def forward(self, x):
            if self.size is None:
                self.size = x.shape[0]
            return x.tanh() * self.size

    compiled = mc.compile(Lazy())
    for _ in range(3):
        compiled(mc.ones(3))
    assert compiled.plan is not None


def test_the_generator_of_a_module_draws_what_it_draws_eagerly():
    class Noise(nn.Module):
        def __init__(self):
            super().__init__()
            self.generator = mc.Generator().manual_seed(5)

        def forward(self, x):
            return F.dropout(x, 0.5, generator=self.generator) * 2

    eager, compiled = Noise(), mc.compile(Noise())
    for _ in range(3):
        assert mc.equal(compiled(mc.ones(50)), eager(mc.ones(50)))


def test_the_loss_inside_is_not_taken_for_a_constant():
    class WithLoss(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x, target):
            return F.cross_entropy(self.linear(x), target)

    eager = WithLoss()
    compiled = mc.compile(eager)
    x = mc.randn(4, 3)
    with pytest.warns(UserWarning, match="takes numbers as its option"):
        compiled(x, mc.tensor([0, 0, 0, 0]))
    for target in ([0, 1, 2, 0], [2, 2, 1, 1]):
        assert mc.equal(compiled(x, mc.tensor(target)), eager(x, mc.tensor(target)))


class Child(nn.Module):
    def __init__(self, parent):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.parent = [parent]  # not registered
        self.__dict__["owner"] = parent

    def forward(self, x):
        return self.linear(x) * self.parent[0].scale + self.owner.shift


class Parent(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.shift = 2.0, 1.0
        self.child = Child(self)

    def forward(self, x):
        return self.child(x)


def test_a_module_that_knows_its_parent():
    eager = Parent()
    compiled, x = mc.compile(eager), mc.randn(2, 3)
    assert_equal(step(compiled, x), step(eager, x), tolerance=1e-6)  # float32
    plan = compiled.plan
    assert plan is not None
    compiled(x)
    assert compiled.plan is plan
    eager.scale, eager.shift = 3.0, -1.0
    assert_equal(step(compiled, x), step(eager, x), tolerance=1e-6)
    assert compiled.plan is not plan


def test_numpys_global_generator_may_be_another_one():
    before = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(1))
    try:
        compiled = mc.compile(nn.Linear(3, 3))
        compiled(mc.randn(2, 3))
        assert compiled.plan is not None
        drawing = mc.compile(Effect(EFFECTS["NumPy's random"]))
        drawing(mc.ones(2, 3))
        with pytest.warns(UserWarning, match="draws random numbers from Python or NumPy"):
            drawing(mc.ones(2, 3))
    finally:
        np.random.set_bit_generator(before)


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_another_threads_draw_is_no_reason_to_give_up(draw):
    class Meanwhile(nn.Module):
        def forward(self, x):
            if draws:
                thread = threading.Thread(target=draws.pop())
                thread.start()
                thread.join()
            return F.relu(x + x)

    draws = [draw]
    compiled, x = mc.compile(Meanwhile()), mc.randn(2, 3)
    first = compiled(x)  # no warning
    assert compiled.plan is None
    second = compiled(x)
    assert compiled.plan is not None
    assert_equal([first.numpy(), second.numpy()], [F.relu(x + x).numpy()] * 2, tolerance=0)
