"""Layer, RMS, group, instance and local response normalisation against torch and central differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, check_gradients, compare, layouts, values

F = mc.nn.functional
# Two passes over up to a few hundred values in another order; float32 loses digits where mean and deviation cancel.
TOLERANCE = {np.float64: {"rtol": 1e-9, "atol": 1e-10}, np.float32: {"rtol": 2e-4, "atol": 5e-5}}


def arranged(data, shape, dtype):
    array = values(np.random.default_rng(data.draw(SEEDS)), shape, np.float64, "normal") * 2 + 0.7
    options = list(layouts(array.astype(dtype)))
    return options[data.draw(st.integers(0, len(options) - 1))]


class TestLayerNorm:
    @pytest.mark.parametrize("affine", ["both", "weight", "bias", "none"])
    @given(
        batch=st.lists(st.integers(0, 3), max_size=3), last=st.lists(st.integers(2, 4), min_size=1, max_size=2),
        dtype=FLOATS, data=st.data(),
    )  # fmt: skip
    def test_against_torch(self, affine, batch, last, dtype, data):
        x = arranged(data, (*batch, *last), dtype)
        w, b = (values(np.random.default_rng(s), tuple(last), dtype, "normal") for s in (1, 2))

        def function(m, x, w, b):
            weight, bias = w if affine in ("both", "weight") else None, b if affine in ("both", "bias") else None
            return m.nn.functional.layer_norm(x, last, weight, bias, 1e-3) + 0 * w.sum() + 0 * b.sum()

        compare(function, x, w, b, **TOLERANCE[dtype])

    @pytest.mark.parametrize("eps", [None, 1e-3])
    @given(batch=st.lists(st.integers(0, 3), max_size=3), last=st.integers(1, 5), dtype=FLOATS, data=st.data())
    def test_rms_norm(self, eps, batch, last, dtype, data):
        x, w = arranged(data, (*batch, last), dtype), values(np.random.default_rng(1), (last,), dtype, "normal")
        compare(lambda m, x, w: m.nn.functional.rms_norm(x, (last,), w, eps), x, w, **TOLERANCE[dtype])
        compare(lambda m, x: m.nn.functional.rms_norm(x, (last,), eps=eps), x, **TOLERANCE[dtype])

    def test_gradcheck(self):
        x, w, b = (
            values(np.random.default_rng(s), shape, kind="normal") for s, shape in enumerate([(3, 4), (4,), (4,)])
        )
        check_gradients(lambda m, x, w, b: m.nn.functional.layer_norm(x, (4,), w, b), x, w, b)
        check_gradients(lambda m, x, w: m.nn.functional.rms_norm(x, (4,), w), x, w)

    def test_over_the_channels_of_channels_last_memory_nothing_is_copied(self):
        """As in ConvNeXt: permuted, normalised over the channels, and permuted back, the image still lies channels-last."""
        x = mc.from_numpy(np.random.default_rng(0).standard_normal((2, 5, 4, 8)).astype(np.float32)).permute(0, 3, 1, 2)
        y = F.layer_norm(x.permute(0, 2, 3, 1), (8,)).permute(0, 3, 1, 2)
        assert y.stride() == x.stride()

    def test_errors(self):
        x, w = np.ones((2, 3)), np.ones(3)
        both_raise(lambda m, x: m.nn.functional.layer_norm(x, (2,)), x, match=r"input: layer_norm over \(2,\) needs")
        both_raise(lambda m, x: m.nn.functional.layer_norm(x, ()), x, match=r"normalized_shape: layer_norm needs")
        both_raise(lambda m, x: m.nn.functional.layer_norm(x, (4, 2, 3)), x, match=r"shape \(..., 4, 2, 3\)")
        both_raise(lambda m, x, w: m.nn.functional.layer_norm(x, (2, 3), w), x, w, match=r"weight: .*got \(3,\)")
        both_raise(lambda m, x, w: m.nn.functional.rms_norm(x, (2, 3), w), x, w, match=r"weight: .*got \(3,\)")
        both_raise(lambda m, x: m.nn.functional.layer_norm(x, (3,)), x.astype(np.int64), match=r"needs floating point")
        with pytest.raises(TypeError, match=r"weight: layer_norm needs one type"):
            F.layer_norm(mc.tensor(x), (3,), mc.ones(3))


class TestGroupNorm:
    @pytest.mark.parametrize("affine", ["both", "weight", "none"])
    @given(
        n=st.integers(0, 3), groups=st.integers(1, 3), width=st.integers(1, 3),
        spatial=st.lists(st.integers(1, 3), max_size=3), dtype=FLOATS, data=st.data(),
    )  # fmt: skip
    def test_against_torch(self, affine, n, groups, width, spatial, dtype, data):
        c = groups * width
        if n * width * int(np.prod(spatial)) == 1:
            return
        x = arranged(data, (n, c, *spatial), dtype)
        w, b = (values(np.random.default_rng(s), (c,), dtype, "normal") for s in (1, 2))

        def function(m, x, w, b):
            weight, bias = w if affine in ("both", "weight") else None, b if affine in ("both", "bias") else None
            return m.nn.functional.group_norm(x, groups, weight, bias, 0.1) + 0 * w.sum() + 0 * b.sum()

        compare(function, x, w, b, **TOLERANCE[dtype])

    def test_gradcheck(self):
        x, w, b = (values(np.random.default_rng(s), t, kind="normal") for s, t in enumerate([(2, 4, 3), (4,), (4,)]))
        check_gradients(lambda m, x, w, b: m.nn.functional.group_norm(x, 2, w, b), x, w, b)
        check_gradients(lambda m, x, b: m.nn.functional.group_norm(x, 2, None, b), x, b)  # (torch fails at this one)

    def test_errors(self):
        x = np.ones((2, 6, 3))
        group = lambda *a: lambda m, x, *t: m.nn.functional.group_norm(x, *a, *t)  # noqa: E731
        both_raise(group(4), x, match=r"num_groups: group_norm needs a number that divides the 6 channels, got 4")
        both_raise(group(2), x, np.ones(3), match=r"weight: group_norm needs one number for each of the 6 channels")
        both_raise(group(1), x[0, 0], match=r"input: group_norm needs \(n, c, ...\), got shape \(3,\)")
        both_raise(group(1), x[:1, :1, :1], match=r"input: group_norm needs more than one value")


class TestInstanceNorm:
    @pytest.mark.parametrize("tracked", [False, True])
    @pytest.mark.parametrize("affine", [False, True])
    @pytest.mark.parametrize("shape", [(2, 3, 5), (3, 2, 4, 5), (2, 4, 2, 3, 2)])
    @pytest.mark.parametrize("own", [False, True])
    def test_against_torch(self, shape, affine, tracked, own):
        if not own and not tracked:
            return
        rng = np.random.default_rng(0)
        x = values(rng, shape, kind="normal") * 2 + 1
        w, b, mean = (values(rng, shape[1:2], kind="normal") for _ in range(3))
        var = values(rng, shape[1:2], kind="positive")

        def function(m, x, w, b):
            running = (m.tensor(mean), m.tensor(var)) if tracked else (None, None)
            parameters = (w, b) if affine else (None, None)
            out = m.nn.functional.instance_norm(x, *running, *parameters, own, 0.3, 1e-3)
            return out + 0 * w.sum() + 0 * b.sum(), *(running if tracked else ())

        compare(function, x, w, b, **TOLERANCE[np.float64])

    def test_errors(self):
        x = np.ones((2, 3, 4))
        norm = lambda *a: lambda m, x, *t: m.nn.functional.instance_norm(x, *t, *a)  # noqa: E731
        both_raise(norm(), x[:, :, :1], match=r"input: instance_norm needs more than one value a channel")
        both_raise(norm(), x[..., 0], match=r"input: instance_norm needs \(n, c, ...\)")
        both_raise(norm(), x, np.ones(2), np.ones(2), match=r"running_mean: instance_norm needs one number for each")


class TestLocalResponseNorm:
    @pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
    @pytest.mark.parametrize("shape", [(2, 6, 3), (2, 6, 3, 2), (1, 5, 2, 2, 2), (2, 0, 3)])
    def test_against_torch(self, size, shape):
        x = values(np.random.default_rng(0), shape, kind="normal")
        compare(lambda m, x: m.nn.functional.local_response_norm(x, size, 0.5, 0.75, 1.5), x)
        check_gradients(lambda m, x: m.nn.functional.local_response_norm(x, size, 0.5), x)

    def test_errors(self):
        both_raise(lambda m, x: m.nn.functional.local_response_norm(x, 2), np.ones((2, 3)), match=r"at least 3 dim")
        both_raise(lambda m, x: m.nn.functional.local_response_norm(x, 0), np.ones((2, 3, 4)), match=r"size: ")
