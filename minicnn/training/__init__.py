"""Training: the loop and what surrounds it.

Read :mod:`minicnn.training.trainer` first, the loop itself. Around it: :mod:`~minicnn.training.config` (what a run is),
:mod:`~minicnn.training.recipe` (from a configuration to a trainer), :mod:`~minicnn.training.finetuning` (the same from the
weights of a trained network), :mod:`~minicnn.training.callbacks` (what happens beside the loop),
:mod:`~minicnn.training.checkpoint` (bit-exact resume), :mod:`~minicnn.training.evaluation` and
:mod:`~minicnn.training.metrics`, :mod:`~minicnn.training.run_folder` (the files a run leaves),
:mod:`~minicnn.training.warmup` (compiling beforehand).

>>> from minicnn.training import TrainConfig, train
>>> trainer = train(TrainConfig(model="mlp", epochs=1, limit_train=256, limit_test=64))
>>> [record["epoch"] for record in trainer.history], trainer.step
([1], 4)
"""

from .callbacks import Callback, Checkpointer, MetricsLog
from .checkpoint import load_checkpoint, save_checkpoint
from .config import FinetuneConfig, TrainConfig
from .evaluation import Evaluation, evaluate
from .finetuning import FinetuneError, finetune
from .metrics import accuracy, confusion_matrix, per_class_accuracy
from .nan_guard import NonFiniteLossError
from .recipe import build_trainer, open_data, train
from .run_folder import RunFolder
from .trainer import Trainer, TrainingStopped
from .warmup import warm_up

__all__ = [
    "Callback",
    "Checkpointer",
    "Evaluation",
    "FinetuneConfig",
    "FinetuneError",
    "MetricsLog",
    "NonFiniteLossError",
    "RunFolder",
    "TrainConfig",
    "Trainer",
    "TrainingStopped",
    "accuracy",
    "build_trainer",
    "confusion_matrix",
    "evaluate",
    "finetune",
    "load_checkpoint",
    "open_data",
    "per_class_accuracy",
    "save_checkpoint",
    "train",
    "warm_up",
]
