"""Effects of the state's Jacobian along a trajectory: on errors on their way back, and on a frame of directions.

One step of a cell takes s_(t-1) and x_t to s_t, where s holds every part of the state (h; h and c of an LSTM), and

    J_t = ds_t / ds_(t-1)

for each sequence. Everything here works for any cell, from its pure `forward`, in the number type of the weights (use
float64), one step at a time; it is for inspections, not for every update.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.cells.cell import Cell, State

Weights = Mapping[str, Float[Tensor, "replica ..."]]
Frame = tuple[Float[Tensor, "replica carried _"], ...]  # directions in the parts of a state; carried: count x batch
Inputs = Float[Tensor, "replica time batch input"]
WARM_UP = 4  # the first of so many parts turns a frame to the leading directions, and is not counted
TOGETHER = 4  # steps between two orthonormalizations: in float64 directions may part by 10^15 before they mix


def trajectory(cell: Cell, weights: Weights, inputs: Inputs) -> list[State]:
    """Return the states before the first step and after each step, time + 1 of them; here weights are materialised."""
    states: list[State] = [cell.start(weights, inputs.shape[2])]
    with torch.no_grad():
        for step in range(inputs.shape[1]):
            states.append(cell.forward(weights, states[-1], inputs[:, step]))
    return states


def backward(
    cell: Cell,
    weights: Weights,
    states: Sequence[State],
    inputs: Inputs,
    upstream: Float[Tensor, "replica answer batch hidden"],
    rescaled: int = 0,
) -> Iterator[tuple[int, State, Float[Tensor, " replica"]]]:
    """Yield errors on their way back: (t, g, e) for t = T … 1, with dL/ds_t = exp(e) g for each replica and sequence.

    g_(t-1) = J_t' g_t, and `upstream` enters at the last steps' first part. Down to step `rescaled` g is divided by
    its largest entry, so that nothing underflows; at earlier steps e stays.
    """
    steps, answers = inputs.shape[1], upstream.shape[1]
    running = tuple(torch.zeros_like(part) for part in states[-1])
    scale = upstream.new_zeros(len(upstream))
    for step in range(steps, 0, -1):
        if step > steps - answers:
            entering = upstream[:, step - 1 - steps + answers] * torch.exp(-scale).view(-1, 1, 1)
            running = (running[0] + entering, *running[1:])
        if step > rescaled:
            largest = torch.stack([part.abs().amax(dim=(1, 2)) for part in running]).amax(0)
            largest = torch.where(largest > 0, largest, 1.0)
            running, scale = tuple(part / largest.view(-1, 1, 1) for part in running), scale + largest.log()
        yield step, running, scale
        running = _carried_back(cell, weights, states[step - 1], inputs[:, step - 1], running)


def lyapunov(
    cell: Cell, weights: Weights, states: Sequence[State], inputs: Inputs, count: int
) -> Float[Tensor, "replica count"]:
    """Return the `count` largest Lyapunov exponents a step along a trajectory, means over its sequences.

    An orthonormal frame Q is carried along with J_t' and made orthonormal again, J_t' Q_t = Q_(t-1) R_t, and the i-th
    exponent is the mean of ln |R_t[i, i]| (Benettin et al. 1980; for recurrent networks Engelken, Wolf, Abbott 2023,
    doi:10.1103/PhysRevResearch.5.043044). It goes from the last step to the first, as gradients do: a product of
    Jacobians and its transpose have the same singular values, thus exponents. The quarter of the steps at which it
    starts is not counted. -inf where nothing is left of a direction.
    """
    replicas, steps, batch = inputs.shape[:3]
    warm, widths = steps // WARM_UP, [part.shape[2] for part in states[0]]
    tangent = _columns(_first_frame(states[0], count, batch), widths)
    total = inputs.new_zeros(replicas, batch, count)
    for done in range(1, steps + 1):
        tangent = _carried_back(cell, weights, states[steps - done], inputs[:, steps - done], tangent, count)
        if done == steps or (done - warm) % TOGETHER == 0:
            frame, triangle = torch.linalg.qr(_frame(tangent, count, batch))
            tangent = _columns(frame, widths)
            if done > warm:
                total = total + triangle.diagonal(dim1=-2, dim2=-1).abs().log()
    return total.mean(dim=1) / (steps - warm)


def _carried_back(
    cell: Cell,
    weights: Weights,
    state: State,
    input: Float[Tensor, "replica sequence input"],
    tangent: Frame,
    count: int = 1,
) -> Frame:
    """Return J_t' times the tangent, where `state` is the one before step t; `count` tangents for each sequence."""
    before = tuple(part.repeat(1, count, 1).requires_grad_() for part in state)
    with torch.enable_grad():
        after = cell.forward(weights, before, input.repeat(1, count, 1))
    return torch.autograd.grad(after, before, tangent, allow_unused=True, materialize_grads=True)


def _first_frame(state: State, count: int, batch: int) -> Float[Tensor, "replica sequence state count"]:
    """Return orthonormal columns, the same for all."""
    size = sum(part.shape[2] for part in state)
    drawn = torch.randn(size, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    frame: Tensor = torch.linalg.qr(drawn)[0].to(state[0])
    return frame.expand(len(state[0]), batch, size, count)


def _columns(frame: Float[Tensor, "replica sequence state count"], widths: Sequence[int]) -> Frame:
    """Return the columns of a frame as the parts, of these widths, of `count` x batch states."""
    stacked = frame.permute(0, 3, 1, 2).flatten(1, 2)
    return tuple(part.contiguous() for part in stacked.split(list(widths), dim=2))


def _frame(tangent: Frame, count: int, batch: int) -> Float[Tensor, "replica sequence state count"]:
    """Return the frame of some columns: the inverse of `_columns`."""
    frame: Tensor = torch.cat(tangent, dim=2).unflatten(1, (count, batch)).permute(0, 2, 3, 1)
    return frame
