"""Helpers around modules and gradients: ``nn.utils``."""

from minicnn.nn.utils import parametrize, rnn
from minicnn.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parametrize", "rnn"]
