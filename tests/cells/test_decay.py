"""How fast a random error at the end fades on its way back through an untrained cell: known rates.

RATES were measured for this project, with 50 units, by another program. PyTorch's defaults lose it equally fast in
the three cells; inits and gate biases change that.
"""

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from pipeline.cells.cell import Cell
from pipeline.cells.gru import GRU
from pipeline.cells.lstm import LSTM
from pipeline.cells.rnn import RNN

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


def rate(cell: Cell, seed: int) -> float:
    """The factor a step, from the slope of log2 ‖error‖ over steps that are far from both ends."""
    random = torch.Generator().manual_seed(seed)
    weights = {name: weight.double() for name, weight in cell.weights(SYMBOLS, random).items()}
    inputs = one_hot(torch.randint(SYMBOLS, (TIME, BATCH), generator=random), SYMBOLS).double()
    state = tuple(torch.zeros(BATCH, 50, dtype=torch.float64, requires_grad=True) for _ in cell.states)
    outputs = []
    for step in range(TIME):
        state = cell.forward(weights, state, inputs[step])
        state[0].retain_grad()
        outputs.append(state[0])
    state[0].backward(torch.randn(BATCH, 50, generator=random).double())
    norms = [float(output.grad.norm().log2()) for output in outputs if output.grad is not None]
    return float(2 ** -np.polyfit(np.arange(40), norms[40:80], 1)[0])


@pytest.mark.parametrize(("cell", "expected"), RATES, ids=lambda value: repr(value))
def test_an_end_error_fades_at_the_measured_rate(cell: Cell, expected: float) -> None:
    assert np.mean([rate(cell, seed) for seed in range(5)]) == pytest.approx(expected, abs=0.03)
