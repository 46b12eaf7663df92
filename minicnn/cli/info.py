"""``minicnn info``: what this installation is and has."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator
from pathlib import Path


def info() -> None:
    """Show versions, threads, back ends, the processor's vector units, the cache folder and the optional extras."""
    rows = list(_rows())
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


def _rows() -> Iterator[tuple[str, str]]:
    import os

    import minicnn as mc
    import minicnn_kernels

    from ..training.warmup import cache_size

    yield "minicnn", f"{mc.__version__} ({Path(mc.__file__).parent})"
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    for package in ("numpy", "numba", "llvmlite", "safetensors", "pillow"):
        yield package, _installed(package) or "not installed"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "threads", f"{mc.get_num_threads()} (this process may use {cores} cores; --threads, MINICNN_NUM_THREADS)"
    chosen = os.environ.get("MINICNN_BACKEND") or "cpu"
    yield "back ends", f"{', '.join(minicnn_kernels.BACKENDS)}; in use: {chosen} (MINICNN_BACKEND)"
    yield "vector units", _vector_units()
    status = minicnn_kernels.compile_cache_status()
    count, size = cache_size(status.folder)
    kept = "" if status.persistent else ", not kept"
    yield (
        "kernel cache",
        f"{status.folder} ({count} files, {size / 1e6:.1f} MB; {status.reason}{kept}; `minicnn warmup` fills it)",
    )
    bench = _extra("torch", "bench") + ", " + _extra("jax", "bench")
    yield "extras", "plots: " + _extra("matplotlib", "plots") + "; bench: " + bench


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _extra(package: str, extra: str) -> str:
    version = _installed(package)
    return f"{package} {version}" if version else f'{package} is not installed (pip install "minicnn[{extra}]")'


def _vector_units() -> str:
    """The processor's widest vector instructions, as LLVM, which compiles the kernels, sees them."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    known = ("avx512f", "avx2", "fma", "avx", "sse4.2", "sve", "neon")
    found = [name for name in known if features.get(name)]
    return f"{', '.join(found) or 'none known'} ({binding.get_host_cpu_name()})"
