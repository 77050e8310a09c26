"""Cells that are wrong, one mistake each, and the sentence that names it."""

# ruff: noqa: F821

import math
import random as python_random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pipeline.cells.cell import Cell, Group, State, Weights

WRONG: list[tuple[type[Cell], str]] = []


def wrong(sentence: str) -> Callable[[type[Cell]], type[Cell]]:
    """Note the sentence, after `cell NAME: `, that a cell ends with; a regular expression."""

    def note(kind: type[Cell]) -> type[Cell]:
        WRONG.append((kind, sentence))
        return kind

    return note


def product(x: Tensor, weight: Tensor) -> Tensor:
    return x @ weight.mT


@dataclass(frozen=True)
class Right(Cell):
    """A tanh RNN, from which the wrong ones are derived."""

    def weights(self, inputs: int, random: torch.Generator) -> dict[str, Tensor]:
        return {
            "weight_ih": torch.randn(self.hidden, inputs, generator=random) / math.sqrt(self.hidden),
            "weight_hh": torch.randn(self.hidden, self.hidden, generator=random) / math.sqrt(self.hidden),
            "bias": torch.zeros(self.hidden),
        }

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (self.next(weights, state[0], input),)

    def next(self, weights: Weights, h: Tensor, input: Tensor) -> Tensor:
        from_input = product(input, weights["weight_ih"]) + weights["bias"].unsqueeze(-2)
        return torch.tanh(from_input + product(h, weights["weight_hh"]))


class TwoParts(Right):
    """With a second part that keeps a mean of the first."""

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        h, c = state
        c = 0.9 * c + 0.1 * h
        return self.next(weights, h + c, input), c


class Changed(Right):
    """With weights that differ from the right ones by `change`."""

    def weights(self, inputs: int, random: torch.Generator) -> Any:
        return self.change(super().weights(inputs, random))

    def change(self, weights: dict[str, Tensor]) -> Any:
        return weights


@wrong(r"weights must return a dict of tensors by name; got a list")
class WeightsAreAList(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return list(weights.values())


@wrong(r"weights must return a dict of tensors by name; got None")
class WeightsAreNone(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return None


@wrong(r"weights must return one weight or more; got none")
class NoWeights(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {}


@wrong(r"weights must return tensors; 'bias' is a float")
class WeightIsANumber(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "bias": 0.0}


@wrong(r"a weight must be a tensor of one axis or more, like torch.zeros\(1\); 'gain' is \[\]")
class WeightIsAScalar(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "gain": torch.tensor(1.0)}


@wrong(r"a weight can't have the name 'readout.weight'")
class WeightHasATakenName(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "readout.weight": torch.zeros(1)}


@wrong(r"a weight can't have the name 3")
class WeightHasNoName(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, 3: torch.zeros(1)}


@wrong(r"weights must be torch.float32; 'weight_ih' is torch.float64")
class WeightsAreFloat64(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {name: weight.double() for name, weight in weights.items()}


@wrong(r"weights must be torch.float32; 'bias' is torch.float64")
class WeightsAreMixed(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "bias": torch.zeros(self.hidden, dtype=torch.float64)}


@wrong(r"weights must be torch.float32; 'weight_hh' is torch.float16")
class WeightsAreHalf(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "weight_hh": weights["weight_hh"].half()}


@wrong(r"weights must be torch.float32; 'bias' is torch.int64")
class WeightsAreWhole(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "bias": torch.zeros(self.hidden, dtype=torch.int64)}


@wrong(r"weights must begin with finite numbers; 'bias' does not")
class WeightsAreNaN(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "bias": torch.full((self.hidden,), torch.nan)}


@wrong(r"weights must begin with finite numbers; 'weight_hh' does not")
class WeightsAreInfinite(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "weight_hh": weights["weight_hh"] / 0.0}


@wrong(r"weights must be plain tensors; 'bias' requires a gradient \(no torch.nn.Parameter, no requires_grad\)")
class WeightIsAParameter(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "bias": torch.nn.Parameter(weights["bias"])}


@wrong(r"weights must be plain tensors; 'weight_hh' requires a gradient")
class WeightIsNoLeaf(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "weight_hh": 2 * weights["weight_hh"].requires_grad_()}


@wrong(r"weights must leave torch's global random numbers alone .*; runs could not be repeated")
class WeightsFromTheGlobalGenerator(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "bias": torch.randn(self.hidden)}


@wrong(r"weights must leave torch's global random numbers alone")
class WeightsSeedTheGlobalGenerator(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        torch.manual_seed(0)
        return {**weights, "bias": torch.randn(self.hidden)}


@wrong(r"weights must follow from the generator `random` alone; 'bias' differs when drawn again")
class WeightsFromNumPy(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "bias": torch.from_numpy(np.random.rand(self.hidden)).float()}


@wrong(r"weights must follow from the generator `random` alone; 'bias' differs when drawn again")
class WeightsFromAGeneratorOfTheirOwn(Changed):
    own: ClassVar[torch.Generator] = torch.Generator()

    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "bias": torch.randn(self.hidden, generator=self.own)}


@wrong(r"weights must have the same names and shapes whatever the seed")
class WeightsOfManyShapes(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "more": torch.zeros(1 + int(weights["weight_ih"].sum() * 1000) % 5)}


@wrong(r"weights fails with RuntimeError: no idea \(tests/cells/wrong_cells.py, line \d+\)")
class WeightsFail(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        raise RuntimeError("no idea")


@wrong(r"states must be a tuple of different names that begins with 'h', which the readout sees; got \('y', 'z'\)")
class StatesWithoutH(TwoParts):
    states: ClassVar[tuple[str, ...]] = ("y", "z")


@wrong(r"states must be a tuple of different names .*; got \('h', 'h'\)")
class StatesOfOneName(TwoParts):
    states: ClassVar[tuple[str, ...]] = ("h", "h")


@wrong(r"forward must return a tuple with the part h of the next state; got a list")
class StepIsAList(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> Any:
        return list(super().forward(weights, state, input))


@wrong(r"forward must return a tuple with the part h of the next state; got a tensor")
class StepIsATensor(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> Any:
        return self.next(weights, state[0], input)


@wrong(r"forward must return a tuple with the parts h, c of the next state; got None")
class StepIsNone(TwoParts):
    def forward(self, weights: Weights, state: State, input: Tensor) -> Any:
        super().forward(weights, state, input)


@wrong(r"forward must return a tuple with the parts h, c of the next state; got a tuple of 1")
class TooFewParts(TwoParts):
    def forward(self, weights: Weights, state: State, input: Tensor) -> Any:
        return super().forward(weights, state, input)[:1]


@wrong(r"forward must return a tuple with the part h of the next state; got a tuple of 2")
class TooManyParts(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> Any:
        return super().forward(weights, state, input) * 2


@wrong(r"forward must return a tuple with the parts h, c of the next state; 'c' is a float")
class PartIsANumber(TwoParts):
    def forward(self, weights: Weights, state: State, input: Tensor) -> Any:
        return super().forward(weights, state, input)[0], 1.0


@wrong(r"forward must keep the shape of a part, \[replica, batch, unit\]; 'h' was \[3, 5, 4\] and is \[3, 5, 4, 1\]")
class AnExtraAxis(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (super().forward(weights, state, input)[0].unsqueeze(-1),)


@wrong(r"forward must keep the shape of a part, \[replica, batch, unit\]; 'h' was \[3, 5, 4\] and is \[3, 5, 3\]")
class AUnitTooFew(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (super().forward(weights, state, input)[0][..., 1:],)


@wrong(r"forward must stay in the type of the weights, here torch.float32; 'h' is torch.float64")
class AnotherType(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (super().forward(weights, state, input)[0].double(),)


@wrong(r"forward must stay in the type of the weights, here torch.float64; 'h' is torch.float32")
class AlwaysFloat32(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (super().forward(weights, state, input)[0].float(),)


@wrong(r"forward must change nothing that comes in; it changes the part 'h' of the state in place")
class ChangesTheState(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        after = self.next(weights, state[0], input)
        return (state[0].mul_(0.5) + after,)


@wrong(r"forward must change nothing that comes in; it changes the input in place")
class ChangesTheInput(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        input += 1
        return super().forward(weights, state, input)


@wrong(r"forward must change nothing that comes in; it changes the weight 'bias' in place")
class ChangesAWeight(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        weights["bias"].data.clamp_(0.1, 1)
        return super().forward(weights, state, input)


@wrong(r"'c' of the next state must depend on weights, state or input; it is constant or detached")
class AConstantPart(TwoParts):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return super().forward(weights, state, input)[0], torch.zeros_like(state[1])


@wrong(r"'c' of the next state must depend on weights, state or input; it is constant or detached")
class ADetachedPart(TwoParts):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        h, c = super().forward(weights, state, input)
        return h, c.detach()


@wrong(r"the part 'c' of the state is never used; leave it out of states")
class APartThatNobodyReads(TwoParts):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        h, c = state
        return self.next(weights, h, input), 0.9 * c + 0.1 * h


@wrong(r"the weight 'more' is never used; leave it out of weights")
class AWeightThatNobodyReads(Changed):
    def change(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "more": torch.zeros(3)}


@wrong(r"forward never uses the state, so nothing is carried from step to step")
class NothingIsCarried(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (self.next(weights, self.next(weights, 0 * input @ weights["weight_ih"].mT, input), input),)


@wrong(r"forward never uses the input")
class TheInputIsIgnored(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (self.next(weights, state[0], state[0] @ weights["weight_ih"]),)


@wrong(r"the gradient by the part 'h' of the state is cut: it moves the state, but by a detour without gradient")
class TheGradientIsCut(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (self.next(weights, state[0].detach(), input),)


@wrong(r"the gradient by the part 'h' of the state is cut")
class TheGradientIsCutBesideAnother(TwoParts):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        h, c = state
        return self.next(weights, h.detach() + c, input), 0.9 * c + 0.1 * h.data


@wrong(r"the gradient by the weight 'bias' is cut")
class TheGradientOfAWeightIsCut(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        with torch.no_grad():
            bias = 2 * weights["bias"]
        return super().forward({**weights, "bias": bias}, state, input)


@wrong(r"the gradient of forward must be finite from the first state on; by the part 'h' of the state it is not")
class TheGradientIsNaN(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        h = state[0]
        return (self.next(weights, h / h.square().sum(-1, keepdim=True).sqrt().clamp(min=1e-3), input),)


@wrong(r"forward must lead to finite numbers; 'h' is not finite")
class TheStateIsNaN(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        h = state[0]
        return (self.next(weights, h / h.norm(dim=-1, keepdim=True), input),)


@wrong(r"forward fails with ValueError: not today \(tests/cells/wrong_cells.py, line \d+\)")
class AnExceptionOfItsOwn(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        raise ValueError("not today")


@wrong(r"forward fails with NameError: name 'undefined' is not defined \(tests/cells/wrong_cells.py, line \d+\)")
class ANameThatIsNotDefined(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (undefined(state, input),)  # type: ignore[name-defined, no-any-return]


@wrong(r"forward fails with KeyError: 'weight_hx' \(tests/cells/wrong_cells.py, line \d+\)")
class AWeightThatIsNotThere(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (state[0] @ weights["weight_hx"].mT,)


@wrong(r"forward serves one replica, but all tensors may have a leading axis of replicas: write products as linear")
class WithoutReplicas(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        from_state = torch.nn.functional.linear(state[0], weights["weight_hh"], weights["bias"])
        return (torch.tanh(from_state + torch.nn.functional.linear(input, weights["weight_ih"])),)


@wrong(r"forward serves one replica, but all tensors may have a leading axis of replicas")
class ABiasWithoutReplicas(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        from_input = product(input, weights["weight_ih"]) + weights["bias"]
        return (torch.tanh(from_input + product(state[0], weights["weight_hh"])),)


@wrong(r"forward must not mix replicas; 'h' of the first replica is another without the others")
class MixesReplicas(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        after = self.next(weights, state[0], input)
        return (after - after.mean(dim=0, keepdim=True),)


@wrong(r"forward must not mix sequences; 'h' of the first sequence is another without the others")
class MixesSequences(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        after = self.next(weights, state[0], input)
        return (after / (1 + after.square().mean(dim=-2, keepdim=True)),)


@wrong(r"forward of a single sequence fails with IndexError: .* \(tests/cells/wrong_cells.py, line \d+\)")
class NeedsSeveralSequences(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        after = self.next(weights, state[0], input)
        return (after + 0 * after[..., 1:2, :],) if after.shape[-2] > 1 else (after[:, 1],)


@wrong(r"forward must leave torch's global random numbers alone \(no dropout, no seeding\)")
class Dropout(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (torch.nn.functional.dropout(super().forward(weights, state, input)[0], 0.1),)


@wrong(r"forward must depend on weights, state and input alone; called again it leads to another state")
class PythonsRandomNumbers(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (super().forward(weights, state, input)[0] + 1e-6 * python_random.random(),)


@wrong(r"forward must depend on weights, state and input alone; called again it leads to another state")
class CountsItsCalls(Right):
    calls: ClassVar[list[int]] = [0]

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        self.calls[0] += 1
        return (super().forward(weights, state, input)[0] + self.calls[0],)


@wrong(r"forward must compute in the type of the weights; it turns numbers into torch.int64, where digits and gradient")
class ADetourByWholeNumbers(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return super().forward(weights, state, input.long().to(input))


@wrong(r"forward must compute in the type of the weights; it turns numbers into torch.int32")
class AnotherDetourByWholeNumbers(TwoParts):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        h, c = super().forward(weights, state, input)
        return h, c + 0.1 * (10 * c).to(torch.int32)


@wrong(r"forward must compute in the type of the weights; it turns numbers into torch.float16")
class ADetourByHalfPrecision(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (super().forward(weights, state, input)[0].half().to(input),)


@wrong(r"forward must compute in the type of the weights; it turns numbers into torch.bfloat16")
class Autocast(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        with torch.autocast("cpu"):
            return (super().forward(weights, state, input)[0].to(input),)


@wrong(
    r"forward must compute in the type of the weights; 'h' in float32 is farther from float64 than rounding explains"
)
class LosesDigits(Right):
    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return (super().forward(weights, state, input)[0] + 1e4 - 1e4,)


class Ready(Right):
    """With one more method."""

    def materialise(self, weights: Weights) -> Any:
        return self.changed(dict(weights))

    def changed(self, weights: dict[str, Tensor]) -> Any:
        return weights


@wrong(r"materialise must return a dict of tensors by name; got a list")
class MaterialiseIsAList(Ready):
    def changed(self, weights: dict[str, Tensor]) -> Any:
        return list(weights.values())


@wrong(r"materialise must change nothing that comes in; it changes 'bias' in place")
class MaterialiseChangesAWeight(Ready):
    def changed(self, weights: dict[str, Tensor]) -> Any:
        weights["bias"].data.add_(1)
        return weights


@wrong(r"materialise must keep the type torch.float64 and the first axis, of 3 replicas; 'weight_hh' is torch.float32")
class MaterialiseInFloat32(Ready):
    def changed(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "weight_hh": weights["weight_hh"].float()}


@wrong(r"materialise must keep the type torch.float64 and the first axis, of 3 replicas; 'more' is torch.float64 \[4\]")
class MaterialiseWithoutReplicas(Ready):
    def changed(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "more": weights["bias"].new_zeros(self.hidden)}


@wrong(r"materialise fails with KeyError: 'skew' \(tests/cells/wrong_cells.py, line \d+\)")
class MaterialiseFails(Ready):
    def changed(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "weight_hh": weights["skew"]}


@wrong(r"the gradient by the weight 'weight_hh' is cut")
class MaterialiseCutsTheGradient(Ready):
    def changed(self, weights: dict[str, Tensor]) -> Any:
        return {**weights, "weight_hh": weights["weight_hh"].detach()}


@wrong(r"widths must be a tuple of a number of units for each of h, c; got \(4,\)")
class TooFewWidths(TwoParts):
    @property
    def widths(self) -> tuple[int, ...]:
        return (self.hidden,)


@wrong(r"forward must keep the shape of a part, \[replica, batch, unit\]; 'c' was \[3, 5, 5\] and is \[3, 5, 4\]")
class OtherWidths(TwoParts):
    @property
    def widths(self) -> tuple[int, ...]:
        return self.hidden, self.hidden + 1

    def forward(self, weights: Weights, state: State, input: Tensor) -> State:
        return super().forward(weights, (state[0], state[1][..., 1:]), input)


@wrong(r"initial fails with RuntimeError: .* \(.*cell.py, line \d+\)")
class InitialOfAnotherShape(Right):
    def initial(self, weights: Weights) -> State:
        return (weights["bias"][..., 1:].unsqueeze(-2),)


@wrong(r"initial fails with ValueError: zip\(\) argument 2 is longer than argument 1")
class InitialWithoutAPart(TwoParts):
    def initial(self, weights: Weights) -> State:
        return (weights["bias"].unsqueeze(-2),)


@wrong(r"groups names 'wieght_hh', which is no weight of the cell")
class GroupsOfNoWeight(Right):
    @property
    def groups(self) -> Mapping[str, Group]:
        return {"wieght_hh": Group(0.1)}


@wrong(r"the gradient by the part 'h' of the state is 0 everywhere, though it moves the state: steps of round")
class Rounds(Right):
    def next(self, weights: Weights, h: Tensor, input: Tensor) -> Tensor:
        return torch.round(super().next(weights, h, input) * 100) / 100


@wrong(r"forward must compute with tensors, .*; it reads numbers out of one by if, so that all replicas hang on it")
class BranchesOnNumbers(Right):
    def next(self, weights: Weights, h: Tensor, input: Tensor) -> Tensor:
        new = super().next(weights, h, input)
        return new if new.sum() > 0 else -new


@wrong(r"forward must compute with tensors, .*; it reads numbers out of one by \.item\(\)")
class ReadsItems(Right):
    def next(self, weights: Weights, h: Tensor, input: Tensor) -> Tensor:
        return super().next(weights, h, input) / max(h.abs().max().item(), 10.0)


@wrong(r"groups must hold a Group whose rate is 0 or above for each weight; 'weight_hh' has -0.1")
class GroupsOfNumbers(Right):
    @property
    def groups(self) -> Any:
        return {"weight_hh": -0.1}


@wrong(r"project must leave weights as they begin; it changes 'weight_hh'")
class BeginsWhereItMayNotBe(Right):
    def project(self, weights: Weights) -> Weights:
        return {**weights, "weight_hh": weights["weight_hh"].clamp(-1e-3, 1e-3)}


@wrong(r"project must leave weights as it returns them; it changes 'bias'")
class ProjectsOnAndOn(Right):
    def project(self, weights: Weights) -> Weights:
        return {**weights, "bias": 0.5 * weights["bias"]}


@wrong(r"project must change nothing that comes in, but return what it changes")
class ProjectsInPlace(Right):
    def project(self, weights: Weights) -> Weights:
        weights["bias"].add_(1)
        return weights


@wrong(r"project must return all weights, in their shapes and type")
class ProjectsAPart(Right):
    def project(self, weights: Weights) -> Weights:
        return {"bias": weights["bias"]}


@wrong(r"for_length fails with TypeError: .* \(tests/cells/wrong_cells.py, line \d+\)")
class ForNoLength(Right):
    def for_length(self, length: int) -> Any:
        return self + length  # type: ignore[operator]


@wrong(r"for_length must return a cell; got None")
class ForLengthIsNone(Right):
    def for_length(self, length: int) -> Any:
        return None


@wrong(r"kind must be one of ungated, .*; got 'best'")
class OfNoKind(Right):
    kind = "best"


@wrong(r"readout must return a weight and a bias of the shapes \(2, 4\) and \(2,\)")
class AReadoutOfAnotherShape(Right):
    def readout(self, outputs: int, random: torch.Generator) -> Any:
        return torch.zeros(self.hidden, outputs), torch.zeros(outputs)


def made(kind: type[Cell], hidden: int = 4) -> Cell:
    """A cell of this kind."""
    return kind(hidden, "torch")
