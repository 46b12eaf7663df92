"""``mc.accelerator``: torch's newer questions for a GPU of any maker. There is none in this version.

>>> import minicnn as mc
>>> mc.accelerator.current_accelerator().type if mc.accelerator.is_available() else "cpu"
'cpu'
"""

from __future__ import annotations

from .device import device


def is_available() -> bool:
    """Whether there is one: False in this version."""
    return False


def device_count() -> int:
    """How many there are: 0 in this version."""
    return 0


def current_accelerator(check_available: bool = False) -> device | None:
    """The one that is used: None in this version."""
    return None
