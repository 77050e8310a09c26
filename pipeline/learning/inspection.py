"""The figures that cost more than a pass through time, at inspections: `training.inspect_every`.

All are of the weights that an update starts from, and of its training sequences, one number a replica; NaN where they
are not defined.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from numpy import ndarray
from torch import Tensor

from pipeline.cells.cell import Cell, State
from pipeline.learning import jacobian
from pipeline.learning.batches import Sequences
from pipeline.learning.model import READOUT, Model
from pipeline.learning.objective import Objective

SATURATED = 0.97  # |tanh| above which its derivative is below .06
EARLY = 4  # the first of so many parts of a sequence counts as early
EXPONENTS = 3  # the largest Lyapunov exponents that are shown
SEQUENCES = 4  # of a batch, along which the exponents are taken
WINDOW = 32  # last steps of a sequence, along which the exponents are taken: they are means over steps
CHUNK = 32  # sequences whose gradients by the recurrent weights are held at once

Weights = Mapping[str, Float[Tensor, "replica ..."]]
PerReplica = Float[Tensor, " replica"]
Record = Callable[[int, Int64[ndarray, " running"], Mapping[str, Float[ndarray, " running"]]], None]


@dataclass
class Inspector:
    """Looks at the first and the last update of a budget, and at one in `every` between, where it is given."""

    every: int | None
    updates: int  # the budget
    channels: int  # of the task: symbols are read one-hot
    objective: Objective
    record: Record
    _before: dict[int, Float[Tensor, "replica weight"]] = field(default_factory=dict)

    def wants(self, update: int) -> bool:
        """Return True if this update is inspected."""
        return update in (1, self.updates) or (self.every is not None and update % self.every == 0)

    def before(self, update: int, rows: Float[Tensor, "replica weight"]) -> None:
        """Keep the weights from which an inspected update starts."""
        self._before = {update: rows.detach().clone()} if self.wants(update) else {}

    def after(self, update: int, running: Int64[ndarray, " running"], model: Model, sequences: Sequences) -> None:
        """Inspect this update, if it is one of those."""
        if update in self._before:
            started = self._before.pop(update)
            sound = bool(started.isfinite().all(dim=1).any())  # else there is nothing to look at
            self.record(update, running, self.figures(started, model, sequences) if sound else {})

    def figures(
        self, started: Float[Tensor, "replica weight"], model: Model, sequences: Sequences
    ) -> dict[str, Float[ndarray, " replica"]]:
        """Return all of them, for an update from the weights `started` to those of the model."""
        sound = started.isfinite().all(dim=1)
        views = {name: view[sound].double() for name, view in model.layout.views(started).items()}
        weights = model.cell.materialise({name: view for name, view in views.items() if name not in READOUT})
        inputs = as_floats(sequences.inputs[sound], self.channels)
        states = jacobian.trajectory(model.cell, weights, inputs)
        upstream = error(self.objective, views, states, sequences.targets[sound])
        found = {
            "gradient/signal_to_noise": signal_to_noise(model.cell, weights, states, inputs, upstream),
            "weight/spectral_radius": spectral_radius(model.cell, weights),
            "weight/update_ratio": update_ratio(started[sound], model.rows.detach()[sound]),
            "unit/saturated": saturated(states),
            **exponents(model.cell, weights, states, inputs),
        }
        return {name: _spread(values, sound) for name, values in found.items()}


def as_floats(
    inputs: Shaped[Tensor, "replica time batch ..."], channels: int
) -> Float[Tensor, "replica time batch input"]:
    """Return what the cell reads, in float64; a symbol is a row with a single 1."""
    floats = inputs if inputs.dtype.is_floating_point else torch.nn.functional.one_hot(inputs.long(), channels)
    return floats.double()


def error(
    objective: Objective, weights: Weights, states: Sequence[State], targets: Shaped[Tensor, "replica answer batch ..."]
) -> Float[Tensor, "replica answer batch hidden"]:
    """Return dL/dh at each answer, of every sequence, as it comes from the readout alone."""
    read, bias = (weights[name] for name in READOUT)
    answered = torch.stack([state[0] for state in states[-targets.shape[1] :]], dim=1)
    outputs = torch.einsum("rabh,roh->rabo", answered, read) + bias[:, None, None]
    return torch.einsum("rabo,roh->rabh", objective.loss(outputs, targets)[1], read)


def signal_to_noise(
    cell: Cell,
    weights: Weights,
    states: Sequence[State],
    inputs: Float[Tensor, "replica time batch input"],
    upstream: Float[Tensor, "replica answer batch hidden"],
) -> PerReplica:
    """Return, of the early steps' part of dL/dW, the squared norm of its batch mean by the variance of that mean.

    v_b = sum over early t of dL_b/dW through step t alone, for sequence b; W the recurrent weights

        SNR = ‖mean v_b‖² / (tr cov(v_b) / B)

    Noise alone gives about 1, and what the early steps should teach rises above one batch's noise where it is well
    above. It does not depend on the scale of the gradient, so it is known where that is 2^-400. NaN for one sequence,
    for a cell without recurrent weights, and where nothing at all arrives.
    """
    early, batch = early_steps(inputs.shape[1]), inputs.shape[2]
    arriving = [
        parts for step, parts, _ in jacobian.backward(cell, weights, states, inputs, upstream, early) if step <= early
    ]
    errors = _by_sequence(arriving[::-1])
    before, read = _by_sequence(states[:early]), inputs[:, :early].transpose(1, 2)
    ratios = []
    for replica in range(len(inputs)):
        total, squares = torch.zeros(()), torch.zeros(())
        for start in range(0, batch, CHUNK):
            chosen = (replica, slice(start, start + CHUNK))
            each = by_recurrent(
                cell,
                {name: weight[replica] for name, weight in weights.items()},
                tuple(part[chosen] for part in before),
                read[chosen],
                tuple(part[chosen] for part in errors),
            )
            total, squares = total.to(each) + each.sum(0), squares.to(each) + each.square().sum()
        mean = total.square().sum() / batch**2
        ratios.append(mean / ((squares / batch - mean) / (batch - 1)) if batch > 1 else mean * torch.nan)
    return torch.stack(ratios)


def early_steps(steps: int) -> int:
    """Return the first quarter of the steps, at least two: at the first, recurrent weights see a state of zero."""
    return min(max(steps // EARLY, 2), steps)


def by_recurrent(
    cell: Cell,
    weights: Mapping[str, Float[Tensor, "..."]],
    states: tuple[Float[Tensor, "sequence time _"], ...],
    inputs: Float[Tensor, "sequence time input"],
    errors: tuple[Float[Tensor, "sequence time _"], ...],
) -> Float[Tensor, "sequence weight"]:
    """Return each sequence's gradient by the recurrent weights of one replica, summed over steps.

    Sequences take the place of replicas and steps that of the batch, so that one call of `forward` does all.
    """
    sequences = len(inputs)
    own = {name: weight.expand(sequences, *weight.shape) for name, weight in weights.items()}
    leaves = {name: own[name].clone().requires_grad_() for name in cell.recurrent if name in own}
    if not leaves:
        return inputs.new_full((sequences, 1), torch.nan)
    with torch.enable_grad():
        after = cell.forward({**own, **leaves}, states, inputs)
    moved = [index for index, part in enumerate(after) if part.requires_grad]
    found = torch.autograd.grad([after[i] for i in moved], list(leaves.values()), [errors[i] for i in moved])
    return torch.cat([gradient.flatten(1) for gradient in found], dim=1)


def spectral_radius(cell: Cell, weights: Weights) -> PerReplica:
    """Return the largest |eigenvalue| of a recurrent matrix; if each gate has one, the largest of all gates.

    A vector of units stands for a diagonal matrix.

    Above 1 is necessary for gradients of a tanh RNN to explode (Pascanu et al. 2013, section 2.1).
    """
    blocks = [
        block
        for name in cell.recurrent
        for block in (weights[name].split(cell.hidden, dim=1) if name in weights else ())
        if block.shape[1:] == (cell.hidden, cell.hidden)
    ]
    vectors = [weights[name] for name in cell.recurrent if name in weights and weights[name].ndim == 2]
    largest = [vector.abs().amax(dim=1) for vector in vectors]
    if blocks:
        largest.append(torch.linalg.eigvals(torch.stack(blocks, dim=1)).abs().amax(dim=(1, 2)))
    if not largest:
        return next(iter(weights.values())).new_full((len(next(iter(weights.values()))),), torch.nan)
    return torch.stack(largest).amax(dim=0)


def update_ratio(before: Float[Tensor, "replica weight"], after: Float[Tensor, "replica weight"]) -> PerReplica:
    """Return ‖W' - W‖ / ‖W‖ of one update, over all weights of a replica."""
    ratio: Tensor = (after - before).double().norm(dim=1) / before.double().norm(dim=1)
    return ratio


def saturated(states: Sequence[State]) -> PerReplica:
    """Return the share of (step, sequence, unit) at which tanh of the unit is flat, from the state alone: for any cell.

    A unit counts where |h| > .97, or |tanh c| > .97 for another part of its state, which an LSTM reads through tanh.
    """
    flat = torch.stack([_flat(state) for state in states[1:]], dim=1)
    return flat.double().mean(dim=(1, 2, 3))


def exponents(
    cell: Cell, weights: Weights, states: Sequence[State], inputs: Float[Tensor, "replica time batch input"]
) -> dict[str, PerReplica]:
    """Return the largest Lyapunov exponents over the last `WINDOW` steps, the largest of all with a plain name."""
    count, start = min(EXPONENTS, sum(cell.widths)), max(inputs.shape[1] - WINDOW, 0)
    chosen = [tuple(part[:, :SEQUENCES] for part in state) for state in states[start:]]
    found = jacobian.lyapunov(cell, weights, chosen, inputs[:, start:, :SEQUENCES], count).unbind(dim=1)
    return {f"jacobian/lyapunov{f'_{rank}' if rank > 1 else ''}": each for rank, each in enumerate(found, start=1)}


def _flat(state: State) -> Tensor:
    flat = state[0].abs() > SATURATED
    for part in state[1:]:
        if part.shape == flat.shape:  # else its units are others
            flat = flat | (part.tanh().abs() > SATURATED)
    return flat


def _by_sequence(states: Sequence[State]) -> tuple[Float[Tensor, "replica sequence time _"], ...]:
    """Return each part, with steps in the place of the batch."""
    return tuple(torch.stack(list(part), dim=2) for part in zip(*states, strict=True))


def _spread(values: Float[Tensor, " sound"], sound: Tensor) -> Float[ndarray, " replica"]:
    """Return the values with NaN for the replicas that were left out."""
    spread = np.full(len(sound), np.nan)
    spread[sound.cpu().numpy()] = values.cpu().numpy()
    return spread
