"""How fast an error fades on its way back through a cell's state alone."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.cells.cell import Cell
from pipeline.learning import jacobian


def error_decay(
    cell: Cell,
    weights: Mapping[str, Float[Tensor, "replica ..."]],
    inputs: Float[Tensor, "replica time batch input"],
    error: Float[Tensor, "replica batch hidden"],
) -> Float[Tensor, " replica"]:
    """Return the factor by which an error at the last output changes with each step back through the Jacobian.

    2^(-slope) of log2 ‖dL/dh_t‖ over t, least squares over the steps from .4 T to .8 T: far from the end, where the
    error still turns towards the directions that last, and from the beginning, where the state still fills. At init
    it is what sets how far a gradient reaches, whatever the task (Pascanu et al. 2013, section 2).
    """
    states, steps = jacobian.trajectory(cell, weights, inputs), inputs.shape[1]
    norms = {
        step: parts[0].flatten(1).norm(dim=1).log2() + scale / torch.log(scale.new_tensor(2.0))
        for step, parts, scale in jacobian.backward(cell, weights, states, inputs, error.unsqueeze(1))
    }
    chosen = range(int(0.4 * steps) + 1, int(0.8 * steps) + 1)
    before = torch.stack([norms[step] for step in chosen], dim=1)
    steps_from_middle = torch.arange(len(chosen), dtype=before.dtype, device=before.device) - (len(chosen) - 1) / 2
    return torch.exp2(-(before @ steps_from_middle) / steps_from_middle.square().sum())
