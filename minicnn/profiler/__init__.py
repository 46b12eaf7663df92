"""Profiling: where the time of a model goes, layer by layer, and how far each layer is from what the machine can do.

Read in this order: ``record.py`` (the clock), ``costs.py`` (what an operation has to compute and to move), ``peak.py`` (what
the machine can do), ``report.py`` (the table), ``measure.py`` (all of it together).

>>> import minicnn as mc
>>> from minicnn.profiler import profile
>>> result = profile(mc.models.mlp(), mc.randn(8, 1, 28, 28), repeats=2, peak=Peak(1e10, 1e10, 1e-5, 1e-5))
>>> [(row.layer, row.kind, row.flops) for row in result.rows][:2]
[('layers.0', 'Flatten', 0), ('layers.1', 'Linear', 12853248)]
"""

from .costs import Cost, backward_cost, forward_cost
from .measure import ProfileError, profile
from .peak import Peak, measure_peak
from .report import Profile, Row

__all__ = ["Cost", "Peak", "Profile", "ProfileError", "Row", "backward_cost", "forward_cost", "measure_peak", "profile"]
