"""Which back end is taken: by array type, by context, by environment."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from minicnn_kernels import backend_of, cpu, reference, use_backend


def test_context_chooses_and_restores():
    array = np.ones(2)
    default = backend_of(array)
    with use_backend("reference"):
        assert backend_of(array) is reference
        with use_backend("cpu"):
            assert backend_of(array) is cpu
        assert backend_of(array) is reference
    with pytest.raises(ZeroDivisionError), use_backend("reference"):
        raise ZeroDivisionError
    assert backend_of(array) is default


def test_choice_is_the_thread_s_own():
    seen = []
    with use_backend("reference"):
        thread = threading.Thread(target=lambda: seen.append(backend_of(np.ones(1))))
        thread.start()
        thread.join()
    assert seen == [backend_of(np.ones(1))]


def test_unknown_names_are_refused():
    with (
        pytest.raises(ValueError, match=r"there is no back end 'gpu'; choose one of 'cpu', 'reference'"),
        use_backend("gpu"),
    ):
        pass


@pytest.mark.parametrize("thing", [[1.0], 3, None])
def test_other_types_are_refused(thing):
    with pytest.raises(TypeError, match=rf"no kernels for builtins\.{type(thing).__name__}: expected a numpy\.ndarray"):
        backend_of(thing)


def in_new_process(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(sys.path)
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_environment_chooses():
    code = "import numpy, minicnn_kernels as k; print(k.backend_of(numpy.ones(1)).__name__)"
    assert in_new_process(code, MINICNN_BACKEND="reference").stdout.strip() == "minicnn_kernels.reference"
    refused = in_new_process(code, MINICNN_BACKEND="cuda")
    assert (
        "environment variable MINICNN_BACKEND: there is no back end 'cuda'; choose one of 'cpu', 'reference'"
        in refused.stderr
    )


def test_number_of_threads_from_the_environment():
    code = "from minicnn_kernels import threads; print(threads.get_num_threads())"
    assert in_new_process(code, MINICNN_NUM_THREADS="3").stdout.strip() == "3"
    for bad in ("0", "many"):
        refused = in_new_process(code, MINICNN_NUM_THREADS=bad)
        assert (
            f"environment variable MINICNN_NUM_THREADS must be an integer of at least 1, got '{bad}'" in refused.stderr
        )


def test_neither_the_import_nor_the_reference_loads_numba():
    code = (
        "import sys, numpy, minicnn_kernels as k\n"
        "with k.use_backend('reference'): k.backend_of(numpy.ones(1)).relu_forward(numpy.ones(3))\n"
        "print('numba' in sys.modules)"
    )
    assert in_new_process(code).stdout.strip() == "False"


def test_importing_leaves_numba_s_own_settings_alone():
    code = (
        "import numba; before = numba.config.CACHE_DIR; import minicnn_kernels.cpu; "
        "print(numba.config.CACHE_DIR == before)"
    )
    assert in_new_process(code).stdout.strip() == "True"
