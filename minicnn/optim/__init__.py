"""Optimizers and learning-rate schedules: ``import minicnn.optim as optim``, with torch's names.

Start at ``optimizer.py`` and ``sgd.py``; ``elementwise.py`` is what most of the other rules share, ``arena.py`` is where
their state lies. ``lr_scheduler`` changes their rate in time, ``swa_utils`` averages what they
arrive at.
"""

from minicnn.optim import lr_scheduler, swa_utils
from minicnn.optim.adadelta import Adadelta
from minicnn.optim.adafactor import Adafactor
from minicnn.optim.adagrad import Adagrad
from minicnn.optim.adam import Adam, AdamW, SparseAdam
from minicnn.optim.adamax import Adamax
from minicnn.optim.asgd import ASGD
from minicnn.optim.lbfgs import LBFGS
from minicnn.optim.muon import Muon
from minicnn.optim.nadam import NAdam
from minicnn.optim.optimizer import Optimizer
from minicnn.optim.radam import RAdam
from minicnn.optim.rmsprop import RMSprop
from minicnn.optim.rprop import Rprop
from minicnn.optim.sgd import SGD

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "lr_scheduler",
    "swa_utils",
]
