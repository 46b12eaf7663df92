"""Learning-rate schedules: ``optim.lr_scheduler``, with torch's names.

Call ``scheduler.step()`` after ``optimizer.step()``: once an epoch for most, once a *batch* for ``OneCycleLR`` and
``CyclicLR``. ``scheduler.py`` has the base class; then ``decay.py`` and ``cosine.py``, ``by_function.py``,
``one_cycle.py`` and ``cyclic.py``, ``plateau.py``, and ``combined.py``, schedules made of schedules.
"""

from minicnn.optim.lr_scheduler.by_function import LambdaLR, MultiplicativeLR
from minicnn.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from minicnn.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from minicnn.optim.lr_scheduler.cyclic import CyclicLR
from minicnn.optim.lr_scheduler.decay import (
    ConstantLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from minicnn.optim.lr_scheduler.one_cycle import OneCycleLR
from minicnn.optim.lr_scheduler.plateau import ReduceLROnPlateau
from minicnn.optim.lr_scheduler.scheduler import LRScheduler, _LRScheduler

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
