"""Optimizers and learning-rate schedules: ``import minicnn.optim as optim``, with torch's names.

Start at ``optimizer.py``; ``sgd.py`` and ``adam.py`` are the rules, ``arena.py`` is where their state lies, and
``lr_scheduler`` changes their rate in time.
"""

from minicnn.optim import lr_scheduler
from minicnn.optim.adam import Adam, AdamW
from minicnn.optim.optimizer import Optimizer
from minicnn.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
