"""PyTorch's own samples of modules, run through both frameworks: state-dict keys, outputs, gradients, repr, errors.

The counterpart of ``operator_battery.py`` for ``torch.nn``'s classes; weights are copied. From a checkout:

    python -m tests.helpers.module_battery                 # all modules: a summary
    python -m tests.helpers.module_battery LSTM GRU -v     # some, with each miss explained
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_modules import module_db

import minicnn as mc

from .operator_battery import DTYPES, Foreign, Tally, close, convert, tensors_of


def module_name(info: Any) -> str:
    """``LSTM`` of the table's ``nn.LSTM``."""
    return info.name.rpartition(".")[2]


def run_module(info: Any, dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64)) -> Tally:
    """All samples of one module, in training and evaluation."""
    tally = Tally(module_name(info))
    ours = getattr(mc.nn, tally.name, None)
    for dtype in dtypes:
        for training in (True, False):
            torch.manual_seed(0)
            options = {"device": "cpu", "dtype": dtype, "requires_grad": True, "training": training}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    samples = list(info.module_inputs_func(info, **options))
                    errors = info.module_error_inputs_func
                    mistakes = list(errors(info, **options)) if errors else []
                except (TypeError, RuntimeError):  # the table's own samples do not run
                    continue
                for sample in samples:
                    what = f"{tally.name}{_arguments(sample.constructor_input)} {sample.desc}"
                    if ours is None:
                        tally.note("refused", f"{what}: there is no nn.{tally.name}")
                        continue
                    try:
                        found = _difference(info.module_cls, ours, sample, dtype, training)
                    except Foreign:
                        continue
                    except NotImplementedError as error:
                        tally.note("refused", f"{what}: {error}")
                    except Exception as error:
                        tally.note("error", f"{what}: {type(error).__name__}: {error}")
                    else:
                        if found is not None:
                            tally.note("wrong" if found else "equal", f"{what}: {found}")
                for mistake in mistakes if ours is not None else ():
                    _check_mistake(tally, ours, mistake)
    return tally


def _arguments(given: Any) -> str:
    listed = [*map(repr, given.args), *(f"{k}={v!r}" for k, v in given.kwargs.items())]
    return f"({', '.join(listed)})"


def _difference(theirs: Any, ours: Any, sample: Any, dtype: torch.dtype, training: bool) -> str | None:
    """What is different, "" if nothing is, or None where the sample does not run under torch itself."""
    built = sample.constructor_input
    try:
        expected = theirs(*built.args, **built.kwargs).to(dtype).train(training)
    except Exception:
        return None
    options = convert(built.kwargs, {})
    options.pop("device", None)
    module = ours(*convert(list(built.args), {}), **options).to(DTYPES[dtype]).train(training)
    if list(module.state_dict()) != list(expected.state_dict()):
        return f"keys {list(module.state_dict())}, expected {list(expected.state_dict())}"
    if repr(module) != repr(expected):
        return f"repr {module!r}, expected {expected!r}"
    if sample.forward_input is None:
        return ""
    if any(isinstance(p, torch.nn.parameter.UninitializedParameter) for p in expected.parameters()):
        return None  # lazy: torch draws the weights in the first call
    module.load_state_dict({k: mc.from_numpy(v.numpy().copy()) for k, v in expected.state_dict().items()})
    memo: dict[int, Any] = {}
    given = sample.forward_input
    arguments, keywords = convert(list(given.args), memo), convert(given.kwargs, memo)
    try:
        results_theirs = tensors_of([expected(*given.args, **given.kwargs)], torch.Tensor)
    except Exception:
        return None
    results = tensors_of([module(*arguments, **keywords)], mc.Tensor)
    if len(results) != len(results_theirs):
        return f"{len(results)} results, expected {len(results_theirs)}"
    for i, (a, b) in enumerate(zip(results, results_theirs, strict=True)):
        if not _same(a, b):
            return f"result {i} differs"
    pairs = [(a, b) for a, b in zip(results, results_theirs, strict=True) if b.requires_grad]
    if not pairs:
        return ""
    rng = np.random.default_rng(0)
    cotangents = [np.asarray(rng.standard_normal(tuple(b.shape)), str(b.dtype).rpartition(".")[2]) for _, b in pairs]
    torch.autograd.backward([b for _, b in pairs], [torch.from_numpy(c) for c in cotangents])
    mc.autograd.backward([a for a, _ in pairs], [mc.from_numpy(c) for c in cotangents])
    gradients = [(n, p, q) for (n, p), q in zip(module.named_parameters(), expected.parameters(), strict=True)]
    leaves = [t for t in tensors_of([list(given.args), given.kwargs], torch.Tensor) if t.requires_grad and t.is_leaf]
    gradients += [("an input", memo[id(t)], t) for t in leaves if id(t) in memo]
    for name, a, b in gradients:
        if b.grad is None and a.grad is None:
            continue
        if a.grad is None or b.grad is None or not _same(a.grad, b.grad):
            return f"gradient of {name} differs"
    return ""


def _same(ours: Any, theirs: Any) -> bool:
    a, b = ours.detach().numpy(), theirs.detach().numpy()
    return a.shape == b.shape and a.dtype == b.dtype and close(a, b)


def _check_mistake(tally: Tally, ours: Any, mistake: Any) -> None:
    sample = mistake.module_error_input
    built, given = sample.constructor_input, sample.forward_input
    what = f"{tally.name}{_arguments(built)}"
    try:
        options = convert(built.kwargs, {})
        options.pop("device", None)
        arguments, inputs = convert(list(built.args), {}), convert(list(given.args), {}) if given else None
    except Foreign:
        return
    try:
        module = ours(*arguments, **options)
        if inputs is not None:
            module(*inputs, **convert(given.kwargs, {}))
    except Exception:
        tally.note("equal")
    else:
        tally.note("wrong", f"{what}: no error, torch says {mistake.error_regex!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is wrong with each miss")
    options = parser.parse_args()
    total: Counter[str] = Counter()
    for info in module_db:
        if options.names and module_name(info) not in options.names:
            continue
        tally = run_module(info)
        total += tally.counts
        if options.names or tally.counts["equal"] != tally.total:
            misses = {kind: count for kind, count in tally.counts.items() if kind != "equal"}
            print(f"{tally.name:30} {tally.counts['equal']:5} of {tally.total:5} equal  {misses}", flush=True)
        if options.verbose:
            for miss in tally.misses[:10]:
                print("    " + miss[:400])
    everything = sum(total.values())
    print(f"{everything} calls, {total['equal'] / max(1, everything):.2%} equal: {dict(total)}")


if __name__ == "__main__":
    main()
