"""Cells from elsewhere: any torch.nn.Module that takes one step through time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pipeline.base.errors import UserError, require
from pipeline.cells.cell import Cell, Group, State, Weights, linear
from pipeline.cells.gru import GRU
from pipeline.cells.lstm import LSTM
from pipeline.cells.rnn import RNN


@dataclass(frozen=True)
class Module(Cell):
    """A module whose forward is (input, state) -> state, or (input, state) -> (output, state), as a cell.

    It is made as `module(inputs, hidden, **arguments)`, as torch.nn.LSTMCell is, once for each replica: its own
    initialisation from random numbers of the replica. Steps are those of `torch.func.functional_call`, with the weights
    of all replicas stacked and `torch.vmap` over them. Inputs are [batch, input], every part of the state is
    [batch, hidden]. Parameters without a gradient stay as they begin; buffers are the same for all replicas.
    """

    inits = ("published",)  # what the module's constructor does

    module: type[torch.nn.Module]
    parts: int = 1  # of the module's state: 1 for a tensor, 2 for a tuple like (h, c)
    output: bool = False  # whether it returns (output, state); the readout then sees the output
    arguments: Mapping[str, Any] = field(default_factory=dict)  # further ones of the constructor

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.parts <= 8, "cell.parts", "must be from 1 to 8", self.parts)

    @property
    def states(self) -> tuple[str, ...]:  # type: ignore[override]
        """`h`, `h` and `c`, or `h` and numbers; where there is an output, it is `h`."""
        if self.output:
            return ("h", *(f"state_{part}" for part in range(1, self.parts + 1)))
        return ("h", "c") if self.parts == 2 else ("h", *(f"state_{part}" for part in range(2, self.parts + 1)))

    @property
    def groups(self) -> Mapping[str, Group]:
        fixed = (name for name, weight in self._like(1).named_parameters() if not weight.requires_grad)
        return dict.fromkeys(fixed, Group(rate=0.0, decay=False))

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Float[Tensor, "..."]]:
        made = self._made(inputs, int(torch.randint(2**62, (1,), generator=random)))
        found = {name: weight.detach().float() for name, weight in made.named_parameters()}
        return {name: weight.reshape(1) if weight.ndim == 0 else weight for name, weight in found.items()}

    def forward(self, weights: Weights, state: State, input: Float[Tensor, "*replica batch input"]) -> State:
        step: Callable[..., State] = partial(self._step, self._like(input.shape[-1]))
        for _ in range(input.ndim - 2):
            step = torch.vmap(step, randomness="same")
        with _Elementary():
            return step(dict(weights), state, input)

    def _step(self, like: torch.nn.Module, weights: dict[str, Tensor], state: State, input: Tensor) -> State:
        """One step of one replica."""
        shapes = {name: weight.shape for name, weight in like.named_parameters()}
        tensors = {name: weight.reshape(shapes[name]) for name, weight in weights.items()}
        for name, buffer in like.named_buffers():
            tensors[name] = buffer.to(input) if buffer.is_floating_point() else buffer.to(input.device)
        before = state[1:] if self.output else state
        returned = torch.func.functional_call(like, tensors, (input, before[0] if self.parts == 1 else before))
        return self._state(returned)

    def _state(self, returned: Any) -> State:
        """Return the parts of a state that the module gave; raise `UserError` where the settings say otherwise."""
        output, after = returned if self.output and isinstance(returned, tuple | list) else (None, returned)
        found = (after,) if isinstance(after, Tensor) else tuple(after) if isinstance(after, tuple | list) else ()
        if len(found) != self.parts or (self.output and not isinstance(output, Tensor)):
            wanted = f"{'an output and ' * self.output}a state of {self.parts} part{'s' * (self.parts > 1)}"
            got = (
                f"{type(returned).__name__} of {len(returned)}" if isinstance(returned, tuple | list) else "one tensor"
            )
            raise UserError(
                f"cell.module {self.module.__name__} must return {wanted}, as cell.parts and cell.output say; got {got}"
            )
        return found if output is None else (output, *found)

    def _made(self, inputs: int, seed: int) -> torch.nn.Module:
        """Return a module whose own random numbers follow from the seed; the global ones are left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.module(inputs, self.hidden, **self.arguments)

    @cached_property
    def _modules(self) -> dict[int, torch.nn.Module]:
        return {}

    def _like(self, inputs: int) -> torch.nn.Module:
        """Return a module of the same shape, whose weights are not used."""
        if inputs not in self._modules:
            self._modules[inputs] = self._made(inputs, 0)
        return self._modules[inputs]


class _Elementary(TorchFunctionMode):
    """Takes the steps of torch.nn's cells by elementary functions, for which vmap has rules."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in STEPS:
            return func(*args, **(kwargs or {}))
        input, state, *weights = args
        matrices, biases = weights[:2], weights[2:]
        if not biases or biases[0] is None:
            biases = [matrix.new_zeros(matrix.shape[0]) for matrix in matrices]
        named = dict(zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), (*matrices, *biases), strict=True))
        after = STEPS[func](named, (state,) if isinstance(state, Tensor) else tuple(state), input)
        return after[0] if isinstance(state, Tensor) else after


def _relu_step(weights: Weights, state: State, input: Tensor) -> State:
    from_input = linear(input, weights["weight_ih"], weights["bias_ih"])
    return (torch.relu(from_input + linear(state[0], weights["weight_hh"], weights["bias_hh"])),)


STEPS: Mapping[Any, Callable[[Weights, State, Tensor], State]] = {
    torch.rnn_tanh_cell: RNN(1, "torch").forward,
    torch.rnn_relu_cell: _relu_step,
    torch.gru_cell: GRU(1, "torch", update_bias=0.0).forward,
    torch.lstm_cell: LSTM(1, "torch", forget_bias=0.0).forward,
}
