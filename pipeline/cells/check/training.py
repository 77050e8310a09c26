"""Rules for what training asks of a cell, besides weights and steps: groups, a projection, a readout."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from pipeline.cells.cell import KINDS, Group
from pipeline.cells.check.trial import Trial, kind
from pipeline.cells.check.weights import RESERVED

OUTPUTS = 2  # of the readout
AWAY = 3.0  # how far weights are moved before they are projected


def require_training(trial: Trial, weights: Mapping[str, Tensor]) -> None:
    """Raise `UserError` where groups, projection or readout are not as they should be."""
    cell = trial.cell
    trial.must(cell.kind in ("", *KINDS), f"kind must be one of {', '.join(KINDS)}; got {cell.kind!r}")
    _require_groups(trial, weights)
    _require_projection(trial, weights)
    _require_readout(trial)


def _require_groups(trial: Trial, weights: Mapping[str, Tensor]) -> None:
    with trial.calling("groups"):
        groups: Any = trial.cell.groups
    trial.must(isinstance(groups, Mapping), f"groups must be a dict of Group by name of a weight; got {kind(groups)}")
    for name, group in groups.items():
        trial.must(name in (*weights, *RESERVED), f"groups names {name!r}, which is no weight of the cell")
        sound = isinstance(group, Group) and isfinite(group.rate) and group.rate >= 0
        trial.must(sound, f"groups must hold a Group whose rate is 0 or above for each weight; {name!r} has {group!r}")


@torch.no_grad()
def _require_projection(trial: Trial, weights: Mapping[str, Tensor]) -> None:
    """See that weights begin where they may be, and that what was projected stays when it is projected again."""
    for what, given in (
        ("as they begin", weights),
        ("as it returns them", _projected(trial, {name: weight + AWAY for name, weight in weights.items()})),
    ):
        for name, weight in _projected(trial, given).items():
            same = torch.allclose(weight, given[name], rtol=1e-5, atol=1e-6)
            trial.must(same, f"project must leave weights {what}; it changes {name!r}")


def _projected(trial: Trial, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    copies = {name: weight.clone() for name, weight in weights.items()}
    with trial.calling("project"):
        allowed: Any = trial.cell.project(weights)
    shapes = {name: (weight.shape, weight.dtype) for name, weight in weights.items()}
    kept = isinstance(allowed, Mapping) and {n: (w.shape, w.dtype) for n, w in allowed.items()} == shapes
    trial.must(kept, "project must return all weights, in their shapes and type")
    untouched = all(torch.equal(weights[name], copy) for name, copy in copies.items())
    trial.must(untouched, "project must change nothing that comes in, but return what it changes")
    found: Mapping[str, Tensor] = allowed
    return found


def _require_readout(trial: Trial) -> None:
    with trial.calling("readout"), trial.leaving_global_random_numbers("readout"):
        made: Any = [trial.cell.readout(OUTPUTS, torch.Generator().manual_seed(0)) for _ in range(2)]
    shapes = [(OUTPUTS, trial.cell.widths[0]), (OUTPUTS,)]
    for pair in made:
        fits = isinstance(pair, tuple) and [tuple(part.shape) for part in pair] == shapes
        trial.must(fits, f"readout must return a weight and a bias of the shapes {shapes[0]} and {shapes[1]}")
        sound = all(part.dtype == torch.float32 and bool(part.isfinite().all()) for part in pair)
        trial.must(sound, "readout must return finite numbers in torch.float32")
    same = all(torch.equal(one, other) for one, other in zip(*made, strict=True))
    trial.must(same, "readout must follow from the generator `random` alone")
