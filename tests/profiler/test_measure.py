"""`profile`: rows that mean something, a model that is left as it was, and errors."""

import json

import pytest

import minicnn as mc
from minicnn import nn
from minicnn.profiler import Peak, ProfileError, profile

PEAK = Peak(1e11, 1e10, 1e-5, 1e-5)


def small():
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 3)),
    )


def test_training_measures_both_directions():
    result = profile(small(), mc.randn(5, 1, 8, 8), repeats=2, peak=PEAK)
    assert (result.model, result.mode, result.compiled, result.repeats) == ("Sequential", "train", False, 2)
    assert (result.inputs, result.dtype, result.threads) == (((5, 1, 8, 8),), "float32", mc.get_num_threads())
    assert [row.layer for row in result.rows] == list("0123456")
    assert [row.kind for row in result.rows][:3] == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert [row.shape for row in result.rows][3:5] == [(5, 4, 4, 4), (5, 64)]
    assert all(row.forward > 0 and row.backward > 0 for row in result.rows)
    multiply_adds = 5 * 4 * 64 * 9
    # forward with its bias, and the gradients of weight and bias: the images want none
    assert result.rows[0].flops == 2 * (2 * multiply_adds + 5 * 4 * 64)
    assert sum(result.share(row) for row in result.rows) == pytest.approx(1)


def test_evaluation_measures_forward_only():
    model = small().eval()
    result = profile(model, mc.randn(5, 1, 8, 8, dtype=mc.float64).to(mc.float32), repeats=1, peak=PEAK)
    assert result.mode == "eval"
    assert all(row.backward is None for row in result.rows)
    assert result.rows[0].flops == 2 * 5 * 4 * 64 * 9 + 5 * 4 * 64
    dropout = result.rows[5]
    assert (dropout.kind, dropout.operations, dropout.flops, dropout.bound(PEAK)) == ("Dropout", 0, 0, "overhead")
    assert "backward" not in str(result)


@pytest.mark.parametrize("training", [True, False])
def test_a_compiled_model_is_shown_by_its_plan(training):
    model = small().train(training)
    compiled = mc.compile(model)
    result = profile(compiled, mc.randn(5, 1, 8, 8), repeats=2, peak=PEAK)
    assert (result.model, result.compiled, result.mode) == ("Sequential", True, "train" if training else "eval")
    kinds = [row.kind for row in result.rows]
    assert ("Conv2dBatchNormReLUMaxPool2d" if training else "ConvEpilogue") in kinds
    assert "ReLU" not in kinds
    names = [call.name for call in compiled.plan.calls if hasattr(call, "op")]
    assert [kind for kind in kinds if kind != "Add"] == names  # (Add: batch norm counts its batches)


@pytest.mark.parametrize("wrap", [lambda model: model, mc.compile], ids=["eager", "compiled"])
def test_the_model_is_left_as_it_was(wrap):
    model = small()
    model[0].weight.grad = mc.ones_like(model[0].weight)
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    gradient, state = model[0].weight.grad, mc.random.default_generator.get_state()
    profile(wrap(model), mc.randn(5, 1, 8, 8, generator=mc.Generator()), repeats=1, peak=PEAK)
    for name, tensor in model.state_dict().items():
        assert tensor.numpy().tobytes() == before[name].tobytes(), name
    assert model[0].weight.grad is gradient
    assert model[0].bias.grad is None
    assert mc.random.default_generator.get_state() == state


def test_several_inputs_and_results_and_the_reference_back_end():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x, y):
            return {"sum": self.linear(x) + self.linear(y), "rest": [mc.tanh(self.linear(x)), 7]}

    with mc.use_backend("reference"):
        result = profile(Two(), mc.randn(4, 3), mc.randn(4, 3), repeats=1, peak=PEAK)
    assert [row.kind for row in result.rows] == ["Linear", "Linear", "Add", "Linear", "Tanh"]
    assert all(row.backward > 0 for row in result.rows)


def test_without_parameters_there_is_no_way_back():
    result = profile(nn.Sequential(nn.ReLU()), mc.randn(4), repeats=1, peak=PEAK)
    assert result.rows[0].backward == 0


def test_json_has_everything():
    result = profile(small(), mc.randn(2, 1, 8, 8), repeats=1, peak=PEAK)
    found = json.loads(result.to_json())
    assert found["inputs"] == [[2, 1, 8, 8]]
    assert found["peak"] == {"flop_rate": 1e11, "byte_rate": 1e10, "forward": 1e-5, "backward": 1e-5}
    assert [row["kind"] for row in found["rows"]] == [row.kind for row in result.rows]
    assert found["rows"][0]["of_peak"] == result.rows[0].of_peak(PEAK)
    assert found["rows"][4]["bytes"] is None


def test_errors():
    with pytest.raises(TypeError, match="model: expected a Module, got function"):
        profile(lambda x: x, mc.ones(1))
    with pytest.raises(TypeError, match="inputs: expected tensors, got none"):
        profile(nn.ReLU())
    with pytest.raises(TypeError, match="inputs: expected tensors, got list"):
        profile(nn.ReLU(), [1.0])
    with pytest.raises(ValueError, match="repeats: expected at least 1, got 0"):
        profile(nn.ReLU(), mc.ones(1), repeats=0)


def test_a_model_that_cannot_be_compiled_says_so():
    class Gate(nn.Module):
        def forward(self, x):
            return x * 2 if x.sum() > 0 else x

    with pytest.raises(ProfileError, match=r"Gate runs eagerly, its trace broke.*Profile the model itself"):
        profile(mc.compile(Gate()), mc.ones(3), repeats=1, peak=PEAK)
    assert profile(Gate(), mc.ones(3), repeats=1, peak=PEAK).rows[-1].kind == "Mul"


def test_a_model_that_does_something_else_each_time():
    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return mc.tanh(x) if self.calls % 2 else mc.exp(x)

    with pytest.raises(ProfileError, match="the model does something else each time"):
        profile(Moody(), mc.ones(3), repeats=2, peak=PEAK)
