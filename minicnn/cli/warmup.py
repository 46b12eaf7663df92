"""``minicnn warmup``: compile before it is waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from .errors import UserError
from .options import model_name
from .terminal import console, is_live


class DtypeName(StrEnum):
    float32 = "float32"
    float64 = "float64"


def warmup(
    models: Annotated[
        list[str] | None, typer.Argument(help="cnn (or mnist_cnn), lenet5, mlp; else all.", metavar="[MODEL]...")
    ] = None,
    dtype: Annotated[
        list[DtypeName] | None, typer.Option(help="Give it twice for both; else float32.", show_default=False)
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="The kernels of every layer there is, in both types.")
    ] = False,
) -> None:
    """Compile the kernels that the ready-made models need, so that nothing waits for the compiler later.

    They are kept in the cache folder that `minicnn info` names, and a second warm-up only loads them.
    """
    import minicnn as mc

    from ..training.warmup import WarmUpError, warm_up

    if everything and (models or dtype):
        raise typer.BadParameter("--all means all models and types: leave the others out")
    chosen = None if not models else [model_name(name, "MODEL") for name in models]
    names = list(DtypeName) if everything else dtype or [DtypeName.float32]
    dtypes = [getattr(mc, name.value) for name in dict.fromkeys(names)]
    try:
        with _progress() as on_job:
            done = warm_up(chosen, dtypes, layers=everything, on_job=on_job)
    except WarmUpError as error:
        raise UserError(str(error)) from None
    kept = (
        "" if done.persistent else "\nit is not kept: `minicnn info` says why; MINICNN_CACHE_DIR names another folder"
    )
    if done.new_files:
        print(f"compiled what was missing in {done.seconds:.1f} s; from now on it is only loaded")
    else:
        print(f"everything was there: loaded in {done.seconds:.1f} s")
    print(f"cache: {done.folder} ({done.after.files} files, {done.after.bytes / 1e6:.1f} MB){kept}")


@contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    """What shows each job: a bar in a terminal, a line elsewhere."""
    if not is_live():
        yield lambda done, total, name: print(f"{done + 1}/{total}  {name}", flush=True) if name else None
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console(), transient=True) as bar:
        task = bar.add_task("")
        yield lambda done, total, name: bar.update(task, completed=done, total=total, description=name)
