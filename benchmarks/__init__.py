"""Benchmarks: ratios against a peer, in the same process and run, interleaved, medians, same threads.

``python -m benchmarks.bench_train_step`` and ``python -m benchmarks.bench_start_up`` print a table and, with
``--json FILE``, write it. A bare time says little (machines are noisy); the ratio of two medians measured in turns says
more, and the spread beside it says how much to believe. ``harness.py`` does the measuring.
"""
