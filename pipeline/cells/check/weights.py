"""Rules for how the weights of a cell begin."""

from typing import Any

import torch
from torch import Tensor

from pipeline.cells.check.trial import Trial, kind

RESERVED = ("readout.weight", "readout.bias")  # names of the weights that every model adds to those of its cell


def begun(trial: Trial) -> dict[str, Tensor]:
    """Return the weights of all replicas, one above the other."""
    drawn = [_drawn(trial, seed) for seed in range(trial.replicas)]
    again = _drawn(trial, 0)
    for name, weight in drawn[0].items():
        trial.must(
            name in again and torch.equal(weight, again[name]),
            f"weights must follow from the generator `random` alone; {name!r} differs when drawn again",
        )
    shapes = [{name: tuple(weight.shape) for name, weight in each.items()} for each in drawn]
    trial.must(
        all(each == shapes[0] for each in shapes), "weights must have the same names and shapes whatever the seed"
    )
    return {name: torch.stack([each[name] for each in drawn]) for name in drawn[0]}


def _drawn(trial: Trial, seed: int) -> dict[str, Tensor]:
    """Return the weights of one seed, each as it should be."""
    generator = torch.Generator().manual_seed(seed)
    with trial.calling("weights"), trial.leaving_global_random_numbers("weights"):
        weights: Any = trial.cell.weights(trial.channels, generator)
    trial.must(isinstance(weights, dict), f"weights must return a dict of tensors by name; got {kind(weights)}")
    trial.must(len(weights) > 0, "weights must return one weight or more; got none")
    for name, weight in weights.items():
        trial.must(isinstance(name, str) and name not in RESERVED, f"a weight can't have the name {name!r}")
        _require_plain(trial, name, weight)
    return dict(weights)


def _require_plain(trial: Trial, name: str, weight: Any) -> None:
    """Raise `UserError` unless a weight is a finite float32 tensor without a graph."""
    trial.must(isinstance(weight, Tensor), f"weights must return tensors; {name!r} is {kind(weight)}")
    trial.must(weight.dtype == torch.float32, f"weights must be torch.float32; {name!r} is {weight.dtype}")
    trial.must(
        not weight.requires_grad,
        f"weights must be plain tensors; {name!r} requires a gradient (no torch.nn.Parameter, no requires_grad)",
    )
    trial.must(
        weight.ndim > 0 and weight.numel() > 0,
        f"a weight must be a tensor of one axis or more, like torch.zeros(1); {name!r} is {list(weight.shape)}",
    )
    trial.must(bool(weight.isfinite().all()), f"weights must begin with finite numbers; {name!r} does not")
