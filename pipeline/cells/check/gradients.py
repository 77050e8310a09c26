"""Rules for the gradient of a few steps: it reaches every weight and every part of the state, and it is finite."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pipeline.cells.cell import State
from pipeline.cells.check.trial import Trial

NEAR = (0.5, -0.5)  # added to a tensor to see whether it moves the state
SHIFTS = (*NEAR, 3.0)

Source = tuple[str, str]  # "part", "weight" or "input", and its name


def require_gradients(trial: Trial, weights: Mapping[str, Tensor]) -> None:
    """Take as many steps as a part may need to reach the readout, and differentiate what the readout sees."""
    leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    shift = tuple(torch.zeros_like(part).requires_grad_() for part in trial.start(trial.ready(weights)))
    inputs = [trial.input(step, shift[0]).requires_grad_() for step in range(len(shift) + 1)]
    with torch.enable_grad():
        ready = trial.ready(leaves)
        first = tuple(part + added for part, added in zip(trial.start(ready), shift, strict=True))
        state = trial.step(ready, first, inputs[0])
        for name, part in zip(trial.cell.states, state, strict=True):
            trial.must(
                part.requires_grad,
                f"{name!r} of the next state must depend on weights, state or input; it is constant or detached",
            )
        for input in inputs[1:]:
            state = trial.step(ready, state, input)
    sought: dict[Source, Tensor] = {("part", name): part for name, part in zip(trial.cell.states, shift, strict=True)}
    sought |= {("weight", name): leaf for name, leaf in leaves.items()} | {("input", ""): inputs[0]}
    weighed = trial.input(len(state), state[0], state[0].shape[-1]) * state[0]  # the sum of units may be constant
    with trial.calling("the gradient of forward"):
        found = torch.autograd.grad(weighed.sum(), list(sought.values()), allow_unused=True)
    gradients = dict(zip(sought, found, strict=True))
    carried = any(kind == "part" and gradient is not None for (kind, _), gradient in gradients.items())
    for source, gradient in gradients.items():
        if gradient is None:
            _explain(trial, source, weights, carried)
        else:
            flat = not gradient.any() and _moves(trial, source, weights, NEAR)
            trial.must(
                not flat,
                f"the gradient by {_named(source)} is 0 everywhere, though it moves the state: steps of round, floor, "
                "sign or a comparison have none",
            )
            trial.must(
                bool(gradient.isfinite().all()),
                f"the gradient of forward must be finite from the first state on; by {_named(source)} it is not",
            )


def _explain(trial: Trial, source: Source, weights: Mapping[str, Tensor], carried: bool) -> None:
    """Say why no gradient arrives; the part that the readout sees need not be read by the next step."""
    kind, name = source
    if _moves(trial, source, weights):
        trial.fail(
            f"the gradient by {_named(source)} is cut: it moves the state, but by a detour without gradient (detach, "
            "torch.no_grad, .data, .item() or a conversion)"
        )
    trial.must(kind != "weight", f"the weight {name!r} is never used; leave it out of weights")
    trial.must(kind != "input", "forward never uses the input")
    trial.must(carried, "forward never uses the state, so nothing is carried from step to step")
    trial.must(name == "h", f"the part {name!r} of the state is never used; leave it out of states")


@torch.no_grad()
def _moves(trial: Trial, source: Source, weights: Mapping[str, Tensor], by: Sequence[float] = SHIFTS) -> bool:
    """Return True if what the readout sees after some steps changes with this tensor."""

    def after(shift: float) -> Tensor:
        shifts = {source: shift}
        changed = {name: weight + shifts.get(("weight", name), 0.0) for name, weight in weights.items()}
        changed = trial.ready(changed)
        start = zip(trial.cell.states, trial.start(changed), strict=True)
        state: State = tuple(part + shifts.get(("part", name), 0.0) for name, part in start)
        for step in range(len(state) + 1):
            input = trial.input(step, state[0])
            state = trial.step(changed, state, input + shifts.get(("input", ""), 0.0) * (step == 0))
        return state[0]

    return not all(torch.equal(after(0.0), after(shift)) for shift in by)


def _named(source: Source) -> str:
    kind, name = source
    return {"weight": f"the weight {name!r}", "part": f"the part {name!r} of the state", "input": "the input"}[kind]
