"""The zoo against torchvision: keys, shapes, counts, logits, features, gradients.

The oracle is torchvision itself, whose numbers lie in ``tests/reference``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn as mc
from minicnn import models, nn
from minicnn.nn import functional as F
from tests.helpers.formula_weights import digest, formula_input, formula_weights, reference

DICTS = reference("torchvision_state_dicts")["models"]
CASES = reference("golden_logits")["cases"]
LITE = reference("efficientnet_lite0")

QUICK = {
    "resnet18",
    "mobilenet_v3_small",
    "squeezenet1_1",
    "efficientnet_b0",
}  # in the default run; all others are slow
ALL = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CASES]


@pytest.fixture(scope="module", autouse=True)
def double_precision():
    """float64 comes with the model's own type."""
    yield
    mc.set_default_dtype(mc.float32)


def without_initialisation(name: str, **config: Any) -> nn.Module:
    with nn.init.skipped():
        return models.get_model(name, **config)


@pytest.mark.parametrize("name", [*DICTS, "efficientnet_lite0"])
def test_keys_shapes_and_counts(name):
    facts = LITE if name == "efficientnet_lite0" else DICTS[name]
    model = without_initialisation(name)
    state = model.state_dict()
    assert [(k, tuple(v.shape), v.dtype.name) for k, v in state.items()] == [
        (key, tuple(shape), dtype.removeprefix("torch.")) for key, shape, dtype in facts["state_dict"]
    ]
    assert sum(p.numel() for p in model.parameters()) == facts["total_params"]


def test_every_model_is_compared():
    assert set(models.list_models()) - set(DICTS) == {"efficientnet_lite0", "lenet5", "mlp", "mnist_cnn", "resnet20"}


def filled(name: str, sha256: str, dtype: mc.dtype, **config: Any) -> nn.Module:
    """The model with the formula's weights, in evaluation mode."""
    model = without_initialisation(name, **config)
    values = formula_weights((k, tuple(v.shape)) for k, v in model.state_dict().items())
    assert digest(values.values()) == sha256
    model = model.to(dtype)
    model.load_state_dict({k: mc.from_numpy(v) for k, v in values.items()})
    return model.eval()


def check_features(model: nn.Module, case: dict[str, Any], x: mc.Tensor, hooked: dict[str, nn.Module]) -> mc.Tensor:
    """Run the model, comparing what each child returns: the first layer that is wrong is named."""
    seen: dict[str, mc.Tensor] = {}

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, mc.Tensor):
                seen.setdefault(name, output.detach().clone())  # the next layer may work in place

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in hooked.items()]
    with mc.no_grad():
        logits = model(x)
    for handle in handles:
        handle.remove()
    for feature in case["features"]:
        if feature["name"] not in seen:
            continue
        value = seen[feature["name"]].numpy()
        assert list(value.shape) == feature["shape"], feature["name"]
        scale = feature["max_abs"]
        # Float64 rounding grows over a hundred layers; a wrong layer is wrong by percents.
        np.testing.assert_allclose(value.ravel()[:16], feature["first16"], atol=1e-10 * scale, err_msg=feature["name"])
        np.testing.assert_allclose(np.linalg.norm(value), feature["l2"], rtol=1e-10, err_msg=feature["name"])
    return logits


@pytest.mark.parametrize("name", ALL)
def test_logits_in_float64(name):
    case = CASES[name]
    model = filled(case["model"], case["weights_sha256"], mc.float64)
    x = mc.from_numpy(formula_input(case["input_seed"], tuple(case["input_shape"]))).double()
    logits = check_features(model, case, x, dict(model.named_modules())).numpy().ravel()
    np.testing.assert_allclose(logits, np.ravel(case["logits"]), rtol=0, atol=1e-9 * case["logits_max_abs"])
    assert int(logits.argmax()) == np.ravel(case["argmax"])[0]


@pytest.mark.parametrize("name", ALL)
def test_logits_in_float32(name):
    case = CASES[name]
    model = filled(case["model"], case["weights_sha256"], mc.float32)
    x = mc.from_numpy(formula_input(case["input_seed"], tuple(case["input_shape"])))
    with mc.no_grad():
        eager = model(x).numpy().ravel()
        compiled = mc.compile(model)(x).numpy().ravel()
    # Ten times PyTorch's own float32 error on the same weights and input.
    for logits in (eager, compiled):
        np.testing.assert_allclose(logits, np.ravel(case["logits"]), rtol=0, atol=10 * case["float32_max_abs_error"])


GRADIENTS = [
    pytest.param(name, marks=() if name == "resnet18" else pytest.mark.slow)
    for name, case in CASES.items()
    if "gradient" in case
]


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_in_float64(name):
    case = CASES[name]
    expected = case["gradient"]
    model = filled(case["model"], case["weights_sha256"], mc.float64).train()
    for module in model.modules():
        if isinstance(module, nn.Dropout) or type(module).__name__ == "StochasticDepth":
            module.p = 0.0
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    x = mc.from_numpy(formula_input(expected["input_seed"], tuple(expected["input_shape"]))).double().requires_grad_()
    logits = model(x)
    loss = F.cross_entropy(logits, mc.tensor(expected["target"]))
    loss.backward()
    np.testing.assert_allclose(loss.item(), expected["loss"], rtol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(logits.detach().numpy()), expected["logits_l2"], rtol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(x.grad.numpy()), expected["input_grad_l2"], rtol=1e-8)
    total = expected["total_grad_l2"]
    given = dict(model.named_parameters())
    assert list(given) == [key for key, _, _ in expected["parameters"]]
    for key, norm, first in expected["parameters"]:
        gradient = given[key].grad.numpy()
        # PyTorch's Hardsigmoid multiplies gradients with 1/6 rounded to float32, also in float64: 3e-8 off in these layers.
        rtol = 4e-8 if name == "mobilenet_v3_small" and ".fc" in key else 1e-8
        # Gradients that cancel exactly are about 1e-16 of the total here.
        np.testing.assert_allclose(np.linalg.norm(gradient), norm, rtol=rtol, atol=1e-12 * total, err_msg=key)
        np.testing.assert_allclose(
            gradient.ravel()[:4], first, rtol=10 * rtol, atol=1e-10 * max(norm, 1e-2 * total), err_msg=key
        )
    buffers = dict(model.named_buffers())
    for key, norm in expected["buffers_after_l2"]:
        np.testing.assert_allclose(np.linalg.norm(buffers[key].numpy()), norm, rtol=1e-9, err_msg=key)


def test_efficientnet_lite0_logits():
    case = LITE["deterministic_weights"]
    model = filled("efficientnet_lite0", case["weights_sha256"], mc.float64)
    x = mc.from_numpy(formula_input(case["input_seed"], tuple(case["input_shape"]))).double()
    hooked = {name: module for name, module in model.named_modules() if name.count(".") <= 1}
    logits = check_features(model, case, x, hooked).numpy().ravel()
    np.testing.assert_allclose(logits, np.ravel(case["logits"]), rtol=0, atol=1e-9 * np.abs(case["logits"]).max())
