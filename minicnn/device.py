"""Devices: what ``.to(device)`` means.

Today every tensor lives in NumPy arrays on the CPU. The names are torch's, so that device-agnostic code
(``device = "cuda" if mc.cuda.is_available() else "cpu"``) runs; asking for a device that is not there is an error that
says so, never a silent stay on the CPU.
"""

from __future__ import annotations

from typing import Any


class DeviceUnavailable(RuntimeError):
    """A device that this machine, or this version of minicnn, does not have."""


class device:
    """A place where tensors live: ``mc.device("cpu")``.

    >>> import minicnn as mc
    >>> mc.device("cpu"), mc.device("cpu") == mc.zeros(2).device
    (device(type='cpu'), True)

    Raises
    ------
    ValueError : a name that is no device.
    """

    __slots__ = ("index", "type")
    _TYPES = ("cpu", "cuda")

    def __init__(self, type: str | device, index: int | None = None):
        name, _, number = str(type).partition(":")
        if name not in self._TYPES or (number and not number.isdigit()):
            raise ValueError(f"device {type!r} is not known; expected one of {', '.join(self._TYPES)}, or 'cuda:0'")
        self.type: str = name
        self.index: int | None = int(number) if number else index

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            other = device(other)
        if not isinstance(other, device):
            return NotImplemented
        return (self.type, self.index or 0) == (other.type, other.index or 0)

    def __hash__(self) -> int:
        return hash((self.type, self.index or 0))

    def __repr__(self) -> str:
        return f"device(type={self.type!r}{'' if self.index is None else f', index={self.index}'})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"


CPU = device("cpu")


def require_cpu(wanted: Any) -> device:
    """``wanted`` as a device that tensors can live on.

    Raises
    ------
    DeviceUnavailable : for any device but the CPU.
    """
    if wanted is None:
        return CPU
    wanted = device(wanted)
    if wanted.type != "cpu":
        raise DeviceUnavailable(
            f"device {str(wanted)!r} is not there: this version of minicnn computes on the CPU. Use device='cpu', or "
            "choose by mc.cuda.is_available()"
        )
    return CPU
