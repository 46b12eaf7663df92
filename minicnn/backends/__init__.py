"""``torch.backends``: the switches of libraries that are not here. Programs set them at their start; nothing changes.

>>> import minicnn as mc
>>> mc.backends.cudnn.benchmark = True
>>> "mps" if mc.backends.mps.is_available() else "cpu"
'cpu'
"""

from . import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
