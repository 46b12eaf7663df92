"""Forward and backward hooks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import nn
from tests.helpers.modules import assert_close


class Two(nn.Module):
    """Two inputs, an option, and two outputs."""

    def forward(self, a, b, scale=1.0):
        return a * b * scale, a + b


class TestForward:
    def test_sees_arguments_and_output(self):
        seen = []
        layer = nn.ReLU()
        handle = layer.register_forward_hook(lambda module, args, output: seen.append((module, args, output)))
        x = mc.ones(2)
        y = layer(x)
        assert seen == [(layer, (x,), y)]
        handle.remove()
        layer(x)
        assert len(seen) == 1

    def test_order_replacement_and_context(self):
        layer = nn.Identity()
        layer.register_forward_hook(lambda module, args, output: output + "a")
        layer.register_forward_hook(lambda module, args, output: output + "b")
        with layer.register_forward_hook(lambda module, args, output: output + "0", prepend=True):
            assert layer("x") == "x0ab"
        assert layer("x") == "xab"

    def test_pre_hooks(self):
        layer = nn.Identity()
        layer.register_forward_pre_hook(lambda module, args: args[0] + "a")
        layer.register_forward_pre_hook(lambda module, args: (args[0] + "b",))
        layer.register_forward_pre_hook(lambda module, args: None)
        layer.register_forward_pre_hook(lambda module, args: args[0] + "0", prepend=True)
        assert layer("x") == "x0ab"

    def test_with_kwargs(self):
        module, seen = Two(), []
        module.register_forward_pre_hook(lambda m, args, kwargs: (args, {"scale": 3.0}), with_kwargs=True)
        module.register_forward_hook(lambda m, args, kwargs, output: seen.append(kwargs), with_kwargs=True)
        product, _ = module(mc.tensor(2.0), mc.tensor(5.0), scale=1.0)
        assert product.item() == 30
        assert seen == [{"scale": 3.0}]

    def test_a_pre_hook_that_returns_nonsense(self):
        module = Two()
        module.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
        with pytest.raises(RuntimeError, match=r"must return None or a tuple of \(new_args, new_kwargs\), but got 3"):
            module(1, 2)

    def test_always_call(self):
        class Fails(nn.Module):
            def forward(self, x):
                raise ValueError("no")

        module, seen = Fails(), []
        module.register_forward_hook(lambda m, args, output: seen.append("plain"))
        module.register_forward_hook(lambda m, args, output: seen.append(output), always_call=True)
        with pytest.raises(ValueError, match="no"):
            module(1)
        assert seen == [None]

        def broken(m, args, output):
            raise KeyError("hook")

        module.register_forward_hook(broken, always_call=True)
        with pytest.warns(UserWarning, match="silenced"), pytest.raises(ValueError, match="no"):
            module(1)


def both(hook=None, inputs_need=True):
    """The same two-layer network in both libraries, a hook on its second layer: gradients and what the hooks saw."""
    results = []
    for library in (mc, torch):
        rng = np.random.default_rng(0)
        first, second = library.nn.Linear(3, 4).double(), library.nn.Linear(4, 2).double()
        with library.no_grad():
            for layer in (first, second):
                for p in layer.parameters():
                    p.copy_(library.tensor(rng.standard_normal(tuple(p.shape))))
        seen = []

        def record(module, grad_input, grad_output, seen=seen):
            seen.append((grad_input, grad_output))
            return None if hook is None else hook(grad_input)

        second.register_full_backward_hook(record)
        x = library.tensor(rng.standard_normal((5, 3)))
        hidden = first(x) if inputs_need else first(x).detach()
        (second(hidden) ** 2).sum().backward()
        results.append((seen, [p.grad for p in (*first.parameters(), *second.parameters())]))
    return results


class TestFullBackward:
    @pytest.mark.parametrize("hook", [None, lambda grad_input: (grad_input[0] * 3,)])
    def test_gradients_seen_and_replaced_are_torchs(self, hook):
        (seen, grads), (seen_theirs, grads_theirs) = both(hook)
        assert len(seen) == len(seen_theirs) == 1
        for side in (0, 1):
            for ours, theirs in zip(seen[0][side], seen_theirs[0][side], strict=True):
                assert_close(ours, theirs, np.float64, "hook argument")
        for ours, theirs in zip(grads, grads_theirs, strict=True):
            assert_close(ours, theirs, np.float64, "gradient")

    @pytest.mark.filterwarnings("ignore:Full backward hook is firing")
    def test_without_input_gradients(self):
        (seen, _), (seen_theirs, _) = both(inputs_need=False)
        assert seen[0][0] == seen_theirs[0][0] == (None,)
        assert_close(seen[0][1][0], seen_theirs[0][1][0], np.float64, "grad_output")

    def test_several_inputs_and_outputs(self):
        module, seen = Two(), []

        def hook(m, grad_input, grad_output):
            seen.append([None if g is None else g.item() for g in (*grad_input, *grad_output)])
            return tuple(g * 10 for g in grad_input)

        module.register_full_backward_hook(hook)
        a, b = mc.tensor(2.0, requires_grad=True), mc.tensor(5.0, requires_grad=True)
        product, total = module(a, b)
        (product * 3 + total).backward()
        assert seen == [[16.0, 7.0, 3.0, 1.0]]  # 3 b + 1, 3 a + 1
        assert (a.grad.item(), b.grad.item()) == (160.0, 70.0)

    def test_each_call_has_its_own(self):
        layer, seen = nn.Identity(), []
        layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi[0].item(), go[0].item())))
        x = mc.tensor(1.0, requires_grad=True)
        (layer(layer(x) * 2) * 3).backward()
        assert seen == [(3.0, 3.0), (6.0, 6.0)]

    def test_wrong_number_of_gradients(self):
        layer = nn.Identity()
        layer.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
        y = layer(mc.ones(1, requires_grad=True))
        with pytest.raises(RuntimeError, match="invalid number of grad_input, got 2, but expected 1"):
            y.backward()

    def test_nothing_to_replace(self):
        layer = nn.Linear(1, 1)
        layer.register_full_backward_hook(lambda m, gi, go: (mc.ones(1),))
        y = layer(mc.ones(1))
        with pytest.raises(RuntimeError, match="no input requires gradient"):
            y.backward()

    def test_no_grad_and_odd_outputs(self):
        layer, seen = nn.Identity(), []
        layer.register_full_backward_hook(lambda m, gi, go: seen.append(1))
        with mc.no_grad():
            layer(mc.ones(1, requires_grad=True))
        with pytest.warns(UserWarning, match="module output should be a Tensor or a tuple of Tensors"):
            layer([1])
        assert seen == []


class TestBackwardPre:
    @pytest.mark.parametrize("with_hook", [True, False])
    def test_order_and_replacement(self, with_hook):
        """A pre-hook's replacement is what the backward hook and the gradients see."""
        results = []
        for m in (mc, torch):
            layer, seen = m.nn.Linear(3, 2, dtype=m.float64), []
            results.append(seen)
            with m.no_grad():
                layer.weight.copy_(m.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
            layer.register_full_backward_pre_hook(lambda mod, g, seen=seen: seen.append(g[0].tolist()))
            layer.register_full_backward_pre_hook(lambda mod, g: (g[0] * 2,))
            handle = layer.register_full_backward_pre_hook(lambda mod, g: (g[0] + 1,), prepend=True)
            if with_hook:
                layer.register_full_backward_hook(
                    lambda mod, gi, go, seen=seen: seen.append((gi[0].tolist(), go[0].tolist()))
                )
            x = m.tensor([[1.0, -1.0, 0.5]], dtype=m.float64).requires_grad_()
            layer(x).backward(m.tensor([[1.0, 10.0]], dtype=m.float64))
            handle.remove()
            layer(x).backward(m.tensor([[1.0, 10.0]], dtype=m.float64))
            seen.append((x.grad.tolist(), layer.weight.grad.tolist()))
        assert results[0] == results[1]

    def test_without_a_gradient_of_the_input(self):
        layer, seen = nn.Linear(3, 2), []
        layer.register_full_backward_pre_hook(lambda mod, g: seen.append(g[0].tolist()))
        layer(mc.ones(1, 3)).backward(mc.tensor([[1.0, 2.0]]))
        assert seen == [[[1, 2]]]

    def test_a_wrong_number(self):
        layer = nn.Linear(3, 2)
        layer.register_full_backward_pre_hook(lambda mod, g: (g[0], g[0]))
        with pytest.raises(RuntimeError, match="invalid number of grad_output, got 2, but expected 1"):
            layer(mc.ones(1, 3)).sum().backward()

    def test_the_old_kind_is_refused(self):
        with pytest.raises(NotImplementedError, match="register_full_backward_hook"):
            nn.Linear(1, 1).register_backward_hook(print)
