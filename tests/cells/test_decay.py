"""How fast a random error at the end fades on its way back through an untrained cell: known rates.

RATES were measured for this project, with 50 units, by another program. PyTorch's defaults lose it equally fast in
the three cells; inits and gate biases change that.
"""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pipeline.cells.cell import Cell
from pipeline.cells.gru import GRU
from pipeline.cells.lstm import LSTM
from pipeline.cells.rnn import RNN
from tests.cells.decay import error_decay

SYMBOLS, TIME, BATCH = 6, 100, 20
RATES = [
    (RNN(50, "basic_tanh"), 0.74),
    (RNN(50, "smart_tanh"), 0.945),
    (RNN(50, "orthogonal"), 0.948),
    (RNN(50, "torch"), 0.60),
    (LSTM(50, "torch", forget_bias=0.0), 0.64),
    (GRU(50, "torch", update_bias=0.0), 0.64),
    (LSTM(50, "torch", forget_bias=1.0), 0.86),
    (LSTM(50, "torch", forget_bias=3.0), 0.99),
    (LSTM(50, "torch", forget_bias=0.0, chrono=200), 0.99),
    (GRU(50, "torch", update_bias=1.0), 0.81),
    (GRU(50, "torch", update_bias=0.0, chrono=200), 0.99),
]


def rates(cell: Cell, replicas: int) -> Tensor:
    """The factor a step for each of several seeds."""
    random = torch.Generator().manual_seed(0)
    drawn = [cell.weights(SYMBOLS, random) for _ in range(replicas)]
    weights = {name: torch.stack([one[name] for one in drawn]).double() for name in drawn[0]}
    inputs = one_hot(torch.randint(SYMBOLS, (replicas, TIME, BATCH), generator=random), SYMBOLS).double()
    error = torch.randn(replicas, BATCH, cell.hidden, generator=random).double()
    return error_decay(cell, weights, inputs, error)


@pytest.mark.parametrize(("cell", "expected"), RATES, ids=lambda value: repr(value))
def test_an_end_error_fades_at_the_measured_rate(cell: Cell, expected: float) -> None:
    assert float(rates(cell, 5).mean()) == pytest.approx(expected, abs=0.03)
