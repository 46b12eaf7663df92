"""Learning-rate schedules: ``optim.lr_scheduler``, with torch's names.

Call ``scheduler.step()`` after ``optimizer.step()``: once an epoch for most, once a *batch* for ``OneCycleLR``.
``scheduler.py`` has the base class, ``decay.py`` the schedules that fall, ``one_cycle.py`` the one that rises first.
"""

from minicnn.optim.lr_scheduler.decay import CosineAnnealingLR, ExponentialLR, LambdaLR, LinearLR, MultiStepLR, StepLR
from minicnn.optim.lr_scheduler.one_cycle import OneCycleLR
from minicnn.optim.lr_scheduler.scheduler import LRScheduler

__all__ = [
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "StepLR",
]
