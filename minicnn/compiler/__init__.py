"""Compilation: trace a model's forward, fuse known patterns, run the plan. ``mc.compile`` is the door.

Read in this order: ``trace.py`` (what is written down), ``patterns.py`` (what is fused), ``plan.py`` (how it runs),
``compiled.py`` (when a plan may be used).
"""

from .compiled import CompiledModule, compile
from .plan import Plan

__all__ = ["CompiledModule", "Plan", "compile"]
