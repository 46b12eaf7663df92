"""PyTorch's own samples of the modules that have no other sweep: equal in everything."""

from __future__ import annotations

import pytest
from torch.testing._internal.common_modules import module_db

from tests.helpers.module_battery import module_name, run_module

NAMES = {
    "GRU", "GRUCell", "LSTM", "LSTMCell", "MultiheadAttention", "RNN", "RNNCell", "Transformer",
    "TransformerDecoderLayer", "TransformerEncoderLayer",
}  # fmt: skip
INFOS = {module_name(info): info for info in module_db if module_name(info) in NAMES}


def test_the_names_are_in_pytorchs_table():
    assert set(INFOS) == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NAMES))
def test_all_samples_are_equal(name):
    tally = run_module(INFOS[name])
    assert tally.total > 20
    assert tally.misses == []
