"""Module: attributes, the tree, modes, conversion, copying, printing. PyTorch's Module is the reference throughout."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import nn


def network(nn):
    """Shared parameters, a shared module, None members, a non-persistent buffer: what trips walks over the tree."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.second = nn.Linear(4, 4)
            self.second.weight = self.first.weight
            self.again = self.first
            self.blocks = nn.ModuleList([nn.ReLU(), nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.1))])
            self.nothing = None
            self.register_parameter("absent", None)
            self.register_buffer("temporary", self.first.bias.detach(), persistent=False)
            self.register_buffer("missing", None)

        def forward(self, x):
            return self.second(self.blocks[1](self.blocks[0](self.first(x))))

    return Net()


class TestTree:
    @pytest.mark.parametrize("kind", ["named_parameters", "named_buffers", "named_modules", "named_children"])
    def test_names_are_torchs(self, kind):
        ours, theirs = network(mc.nn), network(torch.nn)
        assert [name for name, _ in getattr(ours, kind)()] == [name for name, _ in getattr(theirs, kind)()]

    @pytest.mark.parametrize("kind", ["named_parameters", "named_buffers", "named_modules"])
    @pytest.mark.parametrize("remove_duplicate", [True, False])
    def test_prefix_and_duplicates(self, kind, remove_duplicate):
        options = {"prefix": "net", "remove_duplicate": remove_duplicate}
        ours, theirs = network(mc.nn), network(torch.nn)
        assert [n for n, _ in getattr(ours, kind)(**options)] == [n for n, _ in getattr(theirs, kind)(**options)]

    def test_without_recursion(self):
        net = network(mc.nn)
        assert list(net.parameters(recurse=False)) == []
        assert [name for name, _ in net.named_buffers(recurse=False)] == ["temporary"]
        assert len(list(net.children())) == len(list(network(torch.nn).children()))
        assert len(list(net.modules())) == len(list(network(torch.nn).modules()))

    def test_lookup_by_path(self):
        net = network(mc.nn)
        assert net.get_submodule("") is net
        assert net.get_submodule("blocks.1.0") is net.blocks[1][0]
        assert net.get_parameter("blocks.1.0.weight") is net.blocks[1][0].weight
        assert net.get_buffer("blocks.1.0.running_mean") is net.blocks[1][0].running_mean

    @pytest.mark.parametrize(
        ("method", "path", "message"),
        [
            ("get_submodule", "blocks.7", "ModuleList has no attribute `7`"),
            ("get_submodule", "first.weight", "`weight` is not an nn.Module"),
            ("get_parameter", "first.wait", "Linear has no attribute `wait`"),
            ("get_parameter", "blocks.1.0.running_mean", "`running_mean` is not an nn.Parameter"),
            ("get_buffer", "first.weight", "`weight` is not a buffer"),
        ],
    )
    def test_wrong_paths(self, method, path, message):
        with pytest.raises(AttributeError, match=message):
            getattr(network(mc.nn), method)(path)

    @pytest.mark.parametrize(
        ("target", "value", "strict"),
        [
            ("", "ReLU", False), ("first", 3, False), ("nothing", "ReLU", False), ("new", "ReLU", False),
            ("new", "ReLU", True), ("no.way", "ReLU", False), ("first.weight.x", "ReLU", False),
            ("blocks.1.0", "ReLU", True), ("blocks.1.0", "ReLU", False),
        ],
    )  # fmt: skip
    def test_set_submodule(self, target, value, strict):
        results = []
        for m in (mc, torch):
            net = network(m.nn)
            try:
                net.set_submodule(target, getattr(m.nn, value)() if isinstance(value, str) else value, strict)
            except (ValueError, AttributeError) as error:
                results.append((type(error), str(error)))
            else:
                results.append(repr(net))
        assert results[0] == results[1]

    def test_modules_as_often_as_they_are_there(self):
        ours, theirs = network(mc.nn), network(torch.nn)
        assert len(list(ours.modules(remove_duplicate=False))) == len(list(theirs.modules(remove_duplicate=False)))


class TestAttributes:
    def test_a_name_belongs_to_one_kind_at_a_time(self):
        net = nn.Module()
        net.x = 3
        net.x = nn.Parameter(mc.zeros(1))
        assert "x" not in net.__dict__
        net.x = nn.ReLU()
        assert list(net.parameters()) == []
        net.x = nn.Buffer(mc.zeros(2), persistent=False)
        assert list(net.children()) == []
        assert [name for name, _ in net.named_buffers()] == ["x"]
        assert list(net.state_dict()) == []
        net.x = nn.Parameter(mc.zeros(1))
        assert list(net.state_dict()) == ["x"]

    def test_none_keeps_the_place(self):
        layer = nn.Linear(2, 2)
        layer.bias = None
        assert list(layer.state_dict()) == ["weight"]
        layer.bias = nn.Parameter(mc.zeros(2))
        assert list(layer.state_dict()) == ["weight", "bias"]

    def test_a_tensor_replaces_a_buffer(self):
        norm = nn.BatchNorm2d(2)
        norm.running_mean = mc.ones(2)
        assert norm.state_dict()["running_mean"].tolist() == [1, 1]
        norm.running_mean = None
        assert "running_mean" not in norm.state_dict()

    def test_deletion(self):
        norm = nn.BatchNorm2d(2)
        del norm.weight, norm.running_mean
        assert list(norm.state_dict()) == ["bias", "running_var", "num_batches_tracked"]
        with pytest.raises(AttributeError):
            del norm.nothing

    def test_dir_knows_them(self):
        assert {"weight", "bias", "forward", "training"} <= set(dir(nn.Linear(1, 1)))
        assert "0" not in dir(nn.Sequential(nn.ReLU()))

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("weight", mc_value, message)
            for mc_value, message in [
                (3, "cannot assign 'int' as parameter 'weight'"),
                ("tensor", "cannot assign 'minicnn.*Tensor' as parameter 'weight'.*no_grad"),
            ]
        ],
    )
    def test_a_parameter_is_not_overwritten_by_something_else(self, name, value, message):
        layer = nn.Linear(2, 2)
        with pytest.raises(TypeError, match=message):
            setattr(layer, name, mc.zeros(2, 2) if value == "tensor" else value)

    def test_nor_a_module_nor_a_buffer(self):
        net = nn.Module()
        net.act = nn.ReLU()
        net.register_buffer("count", mc.zeros(1))
        with pytest.raises(TypeError, match="as child module 'act'"):
            net.act = 3
        with pytest.raises(TypeError, match="as buffer 'count'"):
            net.count = 3

    @pytest.mark.parametrize(
        ("method", "value"),
        [("register_parameter", None), ("register_buffer", None), ("add_module", None), ("register_module", None)],
    )
    @pytest.mark.parametrize("name", ["", "a.b", "forward", "training"])
    def test_names_that_cannot_be(self, method, value, name):
        with pytest.raises(KeyError, match=r"name|already exists"):
            getattr(nn.Module(), method)(name, value)

    @pytest.mark.parametrize(
        ("method", "message"),
        [
            ("register_parameter", "nn.Parameter or None required"),
            ("register_buffer", "a Tensor or None required"),
            ("add_module", "is not a Module subclass"),
        ],
    )
    def test_values_that_cannot_be(self, method, message):
        with pytest.raises(TypeError, match=message):
            getattr(nn.Module(), method)("x", "a string")
        with pytest.raises(TypeError, match="name should be a string"):
            getattr(nn.Module(), method)(3, None)

    def test_a_parameter_is_a_leaf(self):
        computed = nn.Parameter(mc.zeros(2)) * 2
        parameter = nn.Parameter(mc.zeros(2))
        parameter._node = computed._node
        with pytest.raises(ValueError, match="Cannot assign non-leaf Tensor to parameter 'x'"):
            nn.Module().register_parameter("x", parameter)

    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            (lambda: nn.Parameter(mc.zeros(1)), "parameter"),
            (nn.ReLU, "module"),
            (lambda: nn.Buffer(mc.zeros(1)), "buffer"),
        ],
    )
    def test_assignment_before_init(self, value, kind):
        class Forgetful(nn.Module):
            def __init__(self):
                self.x = value()

        with pytest.raises(AttributeError, match=rf"cannot assign {kind} before Module.__init__\(\) call: .*Forgetful"):
            Forgetful()

    def test_unknown_attribute(self):
        with pytest.raises(AttributeError, match="'Linear' object has no attribute 'wieght'"):
            _ = nn.Linear(1, 1).wieght

    def test_forward_is_required(self):
        with pytest.raises(NotImplementedError, match=r'Module \[Module\] is missing the required "forward" function'):
            nn.Module()(1)


class TestModes:
    def test_train_and_eval_reach_every_module(self):
        net = network(mc.nn)
        assert net.eval() is net
        assert not any(module.training for module in net.modules())
        assert net.train() is net
        assert all(module.training for module in net.modules())
        with pytest.raises(ValueError, match="training mode is expected to be boolean, got 1"):
            net.train(1)

    def test_freezing(self):
        net = network(mc.nn)
        assert net.requires_grad_(False) is net
        assert not any(p.requires_grad for p in net.parameters())
        assert not net(mc.randn(3, 4)).requires_grad

    def test_zero_grad(self):
        layer = nn.Linear(2, 2)
        layer(mc.ones(1, 2)).sum().backward()
        layer.zero_grad(set_to_none=False)
        assert layer.weight.grad.tolist() == [[0, 0], [0, 0]]
        layer.zero_grad()
        assert layer.weight.grad is None

    def test_apply_goes_children_first(self):
        seen = []
        net = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU()))
        assert net.apply(lambda module: seen.append(type(module).__name__)) is net
        assert seen == ["Linear", "ReLU", "Sequential", "Sequential"]


class TestConversion:
    @pytest.mark.parametrize(
        "convert",
        [
            lambda net: net.to(mc.float64),
            lambda net: net.to("cpu", mc.float64),
            lambda net: net.to(mc.device("cpu"), dtype=mc.float64, non_blocking=True),
            lambda net: net.to(mc.zeros(1, dtype=mc.float64)),
            lambda net: net.double(),
        ],
    )
    def test_floating_point_only(self, convert):
        norm = nn.BatchNorm2d(2)
        weight = norm.weight
        norm(mc.randn(2, 2, 3, 3)).sum().backward()
        assert convert(norm) is norm
        assert norm.weight is weight  # an optimizer made before still updates it
        assert weight.requires_grad
        assert weight.is_leaf
        assert weight.dtype == weight.grad.dtype == norm.running_mean.dtype == mc.float64
        assert norm.num_batches_tracked.dtype == mc.int64
        assert norm.float().weight.dtype == mc.float32
        assert weight.grad.dtype == mc.float32

    def test_devices(self):
        layer = nn.Linear(1, 1)
        assert layer.to("cpu") is layer
        assert layer.cpu() is layer
        assert layer.to(mc.device("cpu")).weight.device == mc.device("cpu")
        with pytest.raises(RuntimeError, match="cuda"):
            layer.to("cuda")
        with pytest.raises(RuntimeError, match="cuda"):
            layer.cuda()

    def test_type_converts_all(self):
        assert nn.BatchNorm2d(1).type(mc.float64).num_batches_tracked.dtype == mc.float64

    def test_refusals(self):
        layer = nn.Linear(1, 1)
        with pytest.raises(TypeError, match="only accepts floating point dtypes, but got desired dtype="):
            layer.to(mc.int64)
        with pytest.raises(TypeError, match="takes a dtype, a device or a Tensor, got 3"):
            layer.to(3)
        with pytest.raises(TypeError, match="unexpected keyword argument 'dtpye'"):
            layer.to(dtpye=mc.float64)
        with pytest.raises(NotImplementedError, match="leave it out"):
            layer.to(memory_format="channels_last")

    @pytest.mark.parametrize(
        ("call", "match"),
        [
            (lambda net: net.half(), r"float\(\) and double\(\)"),
            (lambda net: net.bfloat16(), r"float\(\) and double\(\)"),
            (lambda net: net.share_memory(), r"state_dict\(\)"),
            (lambda net: net.compile(), r"minicnn.compile\(model\)"),
        ],
    )
    def test_what_is_not_there(self, call, match):
        with pytest.raises(NotImplementedError, match=match):
            call(nn.Linear(1, 1))

    def test_to_empty(self):
        net = nn.Sequential(nn.BatchNorm1d(3))
        weight = net[0].weight
        assert net.to_empty(device="cpu", recurse=False) is net
        assert net.to_empty(device="cpu") is net
        assert net[0].weight is weight
        assert (weight.shape, weight.requires_grad, net[0].running_mean.shape) == ((3,), True, (3,))


class TestCopies:
    def test_deepcopy_is_independent(self):
        net = network(mc.nn)
        net(mc.randn(3, 4)).sum().backward()
        twin = copy.deepcopy(net)
        assert twin.first.weight is twin.second.weight is not net.first.weight  # sharing is kept
        assert type(twin.first.weight) is nn.Parameter
        before = net.first.weight.detach().clone()
        with mc.no_grad():
            twin.first.weight.add_(1)
        np.testing.assert_array_equal(net.first.weight.detach().numpy(), before.numpy())
        assert list(twin.state_dict()) == list(net.state_dict())

    def test_pickle(self):
        net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval()
        twin = pickle.loads(pickle.dumps(net))
        assert repr(twin) == repr(net)
        assert not twin.training
        assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in twin.parameters())
        x = mc.randn(4, 3)
        np.testing.assert_array_equal(twin(x).detach().numpy(), net(x).detach().numpy())


class TestParameter:
    def test_is_a_tensor_that_shares_memory(self):
        data = mc.zeros(2)
        parameter = nn.Parameter(data)
        assert isinstance(parameter, mc.Tensor)
        assert parameter.requires_grad
        assert parameter.is_leaf
        with mc.no_grad():
            parameter.add_(1)
        assert data.tolist() == [1, 1]
        assert type(parameter * 2) is mc.Tensor
        assert type(parameter.detach()) is mc.Tensor

    def test_repr_is_torchs(self):
        ours, theirs = nn.Parameter(mc.tensor([1.0, 2.5])), torch.nn.Parameter(torch.tensor([1.0, 2.5]))
        assert repr(ours) == repr(theirs)

    def test_frozen_and_integer(self):
        assert not nn.Parameter(mc.zeros(1), requires_grad=False).requires_grad
        assert nn.Parameter(mc.tensor([1]), requires_grad=False).dtype == mc.int64
        with pytest.raises(RuntimeError, match="pass requires_grad=False"):
            nn.Parameter(mc.tensor([1]))

    def test_empty_and_wrong(self):
        assert nn.Parameter().shape == (0,)
        with pytest.raises(TypeError, match=r"expected a Tensor, got ndarray.*from_numpy"):
            nn.Parameter(np.zeros(2))

    def test_deepcopy_and_pickle(self):
        parameter = nn.Parameter(mc.tensor([1.0, 2.0]), requires_grad=False)
        parameter.grad = mc.ones(2)
        for twin in (copy.deepcopy(parameter), pickle.loads(pickle.dumps(parameter))):
            assert type(twin) is nn.Parameter
            assert not twin.requires_grad
            assert twin.tolist() == [1, 2]
            assert twin.grad is None

    def test_buffer_copies_stay_buffers(self):
        buffer = nn.Buffer(mc.ones(2), persistent=False)
        for twin in (copy.deepcopy(buffer), pickle.loads(pickle.dumps(buffer))):
            assert type(twin) is nn.Buffer
            assert not twin.persistent


def test_repr_layout_is_torchs():
    def model(nn):
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Sequential()})
                self.gone = nn.ReLU()
                self.gone = None

            def extra_repr(self):
                return "one=1\ntwo=2"

        class Line(nn.Module):
            def extra_repr(self):
                return "x=1"

        return nn.Sequential(
            Block(), Line(), nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1), nn.ModuleList()]), nn.Module()
        )

    assert repr(model(mc.nn)) == repr(model(torch.nn))
