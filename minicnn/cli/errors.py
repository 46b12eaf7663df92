"""Which exceptions are a user's to mend, and what to tell them. Everything else is a bug and shows its traceback."""

from __future__ import annotations

import errno


class UserError(Exception):
    """Something the user can put right; the message says how."""


def explain(error: BaseException) -> str | None:
    """The line for a user's mistake (or a full disk); None for an error of ours."""
    from ..data import DatasetError
    from ..data.errors import DownloadError, ImageReadError
    from ..training.digit_image import PictureError
    from ..training.nan_guard import NonFiniteLossError
    from ..training.run_folder import RunFolderError
    from ..weights import CheckpointError

    if isinstance(error, ImageReadError):
        return f"{error} (--skip-bad-images leaves such files out)"
    if isinstance(error, DownloadError):
        return f"{error} (with --data-root)"
    if isinstance(error, (UserError, CheckpointError, DatasetError, NonFiniteLossError, PictureError, RunFolderError)):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return disk_full(error) or f"{error.filename}: {error.strerror}"
    return None


def disk_full(error: OSError) -> str | None:
    """The line for a disk (or a quota) that is full; None for any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return f"the disk is full: {error.filename} could not be written. Free some space and try again"
