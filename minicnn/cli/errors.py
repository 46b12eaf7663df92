"""Which exceptions are a user's to mend, and what to tell them. Everything else is a bug and shows its traceback."""

from __future__ import annotations

import errno
import os


class UserError(Exception):
    """Something the user can put right; the message says how."""


def check_environment() -> None:
    """Refuse environment variables that no command could run with, before anything else is done.

    Raises
    ------
    UserError : an unknown back end, or a number of threads that is none.
    """
    from minicnn_kernels import BACKENDS
    from minicnn_kernels.threads import get_num_threads

    backend = os.environ.get("MINICNN_BACKEND")
    if backend and backend not in BACKENDS:
        raise UserError(f"environment variable MINICNN_BACKEND: expected {' or '.join(BACKENDS)}, got {backend!r}")
    try:
        get_num_threads()
    except ValueError as error:
        raise UserError(str(error)) from None


def explain(error: BaseException) -> str | None:
    """The line for a user's mistake (or a full disk); None for an error of ours."""
    from ..data import DatasetError
    from ..data.errors import DownloadError, ImageReadError
    from ..training.digit_image import PictureError
    from ..training.finetuning import FinetuneError
    from ..training.nan_guard import NonFiniteLossError
    from ..training.run_folder import RunFolderError
    from ..weights import CheckpointError

    if isinstance(error, ImageReadError):
        return f"{error} (--skip-bad-images leaves such files out)"
    if isinstance(error, DownloadError):
        return f"{error} (with --data-root)"
    mendable = (
        UserError,
        CheckpointError,
        DatasetError,
        FinetuneError,
        NonFiniteLossError,
        PictureError,
        RunFolderError,
    )
    if isinstance(error, mendable):
        return str(error)
    if isinstance(error, OSError):
        return disk_full(error) or (f"{error.filename}: {error.strerror}" if error.filename is not None else None)
    return None


def disk_full(error: OSError) -> str | None:
    """The line for a disk (or a quota) that is full; None for any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return f"the disk is full: {lost_file(error)} could not be written. Free some space and try again"


def lost_file(error: OSError) -> str:
    """What could not be written; an error without a file's name comes from printing."""
    return "standard output" if error.filename is None else str(error.filename)
