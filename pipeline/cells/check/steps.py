"""Rules for one step: pure, in one type of numbers, for any number of replicas and sequences, none of which mix."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pipeline.base.errors import UserError
from pipeline.cells.cell import State
from pipeline.cells.check.trial import Trial, near

NEAR = 1e-9  # largest relative difference of float64 results that should be equal, but for the order of sums
SINGLE = 2e-5  # the same of float32 and float64 results; a detour by half precision leaves 1e-4 or more

Weights = Mapping[str, Tensor]


@torch.no_grad()
def require_pure_steps(trial: Trial, weights: Weights) -> None:
    """Take two steps in float32, and hold them against the same ones in float64."""
    wide = trial.ready({name: weight.double() for name, weight in weights.items()})
    weights = trial.ready(weights)
    state, exact = trial.start(weights), trial.start(wide)
    _require_replicas(trial, weights, state)
    for step in range(2):
        input = trial.input(step, state[0])
        state = _pure_step(trial, weights, state, input)
        exact = trial.step(wide, exact, input.double())
        for name, part, truth in zip(trial.cell.states, state, exact, strict=True):
            trial.must(bool(part.isfinite().all()), f"forward must lead to finite numbers; {name!r} is not finite")
            trial.must(
                near(part.double(), truth, SINGLE),
                f"forward must compute in the type of the weights; {name!r} in float32 is farther from float64 than "
                "rounding explains (half precision inside?)",
            )


def _require_replicas(trial: Trial, weights: Weights, state: State) -> None:
    """Tell a step that fails from one that serves a single replica only."""
    input, state = trial.input(0, state[0]), tuple(part.clone() for part in state)
    weights = {name: weight.clone() for name, weight in weights.items()}
    try:
        trial.step(weights, state, input)
    except UserError:
        try:
            trial.step({name: w[0] for name, w in weights.items()}, tuple(part[0] for part in state), input[0])
        except UserError:
            pass
        else:
            trial.fail(
                "forward serves one replica, but all tensors may have a leading axis of replicas: write products as "
                "linear(x, weight, bias) or x @ weight.mT, and biases as bias.unsqueeze(-2)"
            )
        raise


def _pure_step(trial: Trial, weights: Weights, state: State, input: Tensor) -> State:
    """Take one step, which changes nothing that came in, and is the same when it is taken again."""
    came_in = {f"the weight {name!r}": weight for name, weight in weights.items()} | {"the input": input}
    came_in |= {f"the part {name!r} of the state": part for name, part in zip(trial.cell.states, state, strict=True)}
    before = {name: (tensor.clone(), tensor._version) for name, tensor in came_in.items()}
    with trial.leaving_global_random_numbers("forward"), _Calls() as calls:
        after = trial.step(weights, state, input)
    for name, tensor in came_in.items():
        copy, version = before[name]
        trial.must(
            tensor._version == version and torch.equal(tensor, copy),
            f"forward must change nothing that comes in; it changes {name} in place",
        )
    trial.must(
        calls.type is None,
        f"forward must compute in the type of the weights; it turns numbers into {calls.type}, where digits and "
        "gradient are lost",
    )
    trial.must(
        calls.read is None,
        f"forward must compute with tensors, as torch.where does; it reads numbers out of one by {calls.read}, so that "
        "all replicas hang on it",
    )
    again = trial.step(weights, state, input)
    trial.must(
        all(torch.equal(one, other) for one, other in zip(after, again, strict=True) if one.isfinite().all()),
        "forward must depend on weights, state and input alone; called again it leads to another state",
    )
    return after


@torch.no_grad()
def require_alone(trial: Trial, weights: Weights) -> None:
    """See that a replica, and a sequence, comes to the same state without the others."""
    first = trial.ready({name: weight[:1] for name, weight in weights.items()})
    weights = trial.ready(weights)
    state = trial.start(weights)
    for step in range(2):
        state = trial.step(weights, state, trial.input(step, state[0]))
    input = trial.input(2, state[0])
    after = trial.step(weights, state, input)
    cases: Sequence[tuple[str, Weights, Callable[[Tensor], Tensor]]] = (
        ("replica", first, lambda tensor: tensor[:1]),
        ("sequence", weights, lambda tensor: tensor[:, :1]),
    )
    for what, of_one, cut in cases:
        one = trial.step(of_one, tuple(cut(part) for part in state), cut(input), f" of a single {what}")
        for name, part, own in zip(trial.cell.states, after, one, strict=True):
            trial.must(
                near(own, cut(part), NEAR),
                f"forward must not mix {what}s; {name!r} of the first {what} is another without the others",
            )


class _Calls(TorchFunctionMode):
    """Notes where a call of torch makes whole numbers, or numbers of half precision, of others, or Python's numbers."""

    CASTS = ("to", "type", "int", "long", "short", "char", "byte", "half", "bfloat16", "type_as")
    READS = {"__bool__": "if", "__float__": "float()", "__int__": "int()", "__index__": "int()"} | {
        name: f".{name}()" for name in ("item", "tolist", "numpy")
    }

    def __init__(self) -> None:
        super().__init__()
        self.type: torch.dtype | None = None
        self.read: str | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made, name = func(*args, **(kwargs or {})), getattr(func, "__name__", "")
        of_numbers = bool(args) and isinstance(args[0], Tensor) and args[0].is_floating_point()
        if isinstance(made, Tensor) and of_numbers and made.dtype not in (torch.float32, torch.float64, torch.bool):
            cast = name in self.CASTS  # others, like argmax, are asked for whole numbers
            self.type = made.dtype if cast or made.is_floating_point() else self.type
        if bool(args) and isinstance(args[0], Tensor) and not isinstance(made, Tensor):
            self.read = self.READS.get(name, self.read)
        return made
