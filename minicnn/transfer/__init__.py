"""Transfer learning: a trained network's features for images of one's own.

>>> from minicnn import models, nn, transfer
>>> model = models.resnet18()  # weights="DEFAULT" downloads ImageNet's
>>> transfer.replace_head(model, 5).fc
Linear(in_features=512, out_features=5, bias=True)
>>> transfer.freeze(model, until="layer3")
Frozen(parameters=45, until='layer3', batch_norm='eval')
>>> len([p for p in model.parameters() if p.requires_grad])
17

==============  ========================================================================================
heads.py        find a model's head, replace it
freezing.py     freeze the lower layers (batch norm included), unfreeze, step by step
rates.py        learning rates that grow with depth
lr_finder.py    which learning rate to begin with, measured
features.py     what a network computes at a layer; features computed once for many epochs
doctor.py       what is about to go wrong, said before training
==============  ========================================================================================
"""

from .doctor import Finding, diagnose
from .features import FeatureExtractor, cached_features
from .freezing import Frozen, GradualUnfreezing, freeze, quicken_batch_norms, stages, train_top, unfreeze
from .heads import Head, find_head, replace_head
from .lr_finder import LRCurve, find_lr
from .rates import parameter_groups

__all__ = [
    "FeatureExtractor",
    "Finding",
    "Frozen",
    "GradualUnfreezing",
    "Head",
    "LRCurve",
    "cached_features",
    "diagnose",
    "find_head",
    "find_lr",
    "freeze",
    "parameter_groups",
    "quicken_batch_norms",
    "replace_head",
    "stages",
    "train_top",
    "unfreeze",
]
