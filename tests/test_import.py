"""``import minicnn`` costs NumPy and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = [
    "numba", "llvmlite", "torch", "PIL", "matplotlib", "typer", "rich", "pooch", "safetensors", "scipy", "pandas", "click",
    "requests", "hypothesis", "pytest",
]  # fmt: skip


def run(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("module", ["minicnn", "minicnn.utils.data", "minicnn.nn.functional", "minicnn_kernels"])
def test_import_loads_nothing_heavy(module):
    assert run(f"import sys, {module}; print(*[m for m in {HEAVY} if m in sys.modules])") == ""


def test_work_without_kernels_loads_nothing_heavy():
    code = """
import sys, minicnn as mc
x = mc.ones(3, 4, requires_grad=True)
y = (x.exp() * 2).T.reshape(-1)[1:].sum() + x.max()
y.backward()
"""
    assert run(code + f"print(*[m for m in {HEAVY} if m in sys.modules])") == ""


def test_the_first_kernel_loads_numba():
    assert run("import sys, minicnn as mc; mc.relu(mc.ones(2)); print('numba' in sys.modules)") == "True"


def test_import_is_silent():
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import minicnn"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == result.stderr == ""


def test_everything_announced_is_there():
    import minicnn as mc

    for module in (mc.ops, mc.autograd, mc.nn.functional):
        for name in module.__all__:
            assert getattr(module, name).__doc__, f"{module.__name__}.{name} has no docstring"
    assert set(mc.ops.__all__) <= set(dir(mc))
