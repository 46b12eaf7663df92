"""Benchmarks: minicnn beside its peers, as ratios of medians that were measured in turns in one process.

``python -m benchmarks`` from a checkout; ``README.md`` says how. A bare time says little, since machines are noisy and
differ; a ratio says more, and the spread beside it how much to believe. Read ``case.py`` for what a benchmark is made of,
``harness.py`` for how it is measured, and any ``bench_*.py`` for an example.
"""
