"""Trained weights on disk, and a model made of them that reads sequences of any length.

    from pipeline.runs import load

    model = load("results/train/adding-lstm")  # or the files of a model in MLflow
    answers = model(inputs, replica=0)         # inputs [batch, time, channel], or symbols [batch, time]

Two files, neither of which can run code: weights.safetensors, every replica's best weights, and model.json, the cell.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.base.errors import UserError, first_line, require, shown
from pipeline.base.files import write_json
from pipeline.learning.model import Layout, Model, begin
from pipeline.learning.replicas import TrainedReplicas
from pipeline.settings import Settings, build

WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"


@dataclass(frozen=True)
class Trained:
    """A cell with a linear readout and the weights that training found, one set a replica."""

    model: Model
    about: Mapping[str, Any]  # model.json
    replicas: int

    def __call__(self, inputs: object, replica: int = 0) -> Float[Tensor, "batch answer output"]:
        """Return the answers after the last steps of each sequence, however long: numbers, or scores of the classes.

        `inputs` are numbers [batch, time, channel] or symbols [batch, time], as a tensor, an array or nested lists.
        Raises `UserError` for anything else.
        """
        known = type(replica) is int and 0 <= replica < self.replicas
        require(known, "replica", f"must be a whole number from 0 to {self.replicas - 1}", replica)
        read = self.read(inputs)
        rows = self.model.rows[replica : replica + 1]
        one = replace(self.model, rows=rows)
        with torch.no_grad():
            answered: Tensor = one(read.transpose(0, 1).unsqueeze(0), int(self.about["answers"]))[0]
        return answered.transpose(0, 1)

    def read(self, inputs: object) -> Shaped[Tensor, "batch time ..."]:
        """Return inputs as the model reads them; raise `UserError` where they can't be."""
        symbols, channels, answers = (self.about[name] for name in ("symbols", "channels", "answers"))
        kind = f"[batch, time] of symbols, whole numbers below {channels}"
        reads = f"the model reads {kind if symbols else f'[batch, time, {channels}] of numbers'}"
        try:
            given = torch.as_tensor(inputs).detach()
        except (TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{reads}; got {shown(inputs)} ({first_line(error)})") from error
        got = f"{str(given.dtype).removeprefix('torch.')} {list(given.shape)}"
        whole = not (given.is_floating_point() or given.is_complex() or given.dtype == torch.bool)
        tokens = symbols and whole and given.ndim == 2
        numbers = given.ndim == 3 and given.shape[2] == channels and not given.is_complex()
        if not (tokens or numbers) or not given.numel():
            raise UserError(f"{reads}; got {got}")
        if given.shape[1] < answers:
            raise UserError(f"{reads}, and at least {answers} steps, which it answers; got {got}")
        if tokens and not 0 <= int(given.min()) <= int(given.max()) < channels:
            raise UserError(f"{reads}; got {got} with symbols from {int(given.min())} to {int(given.max())}")
        return given if tokens else given.to(self.model.rows.dtype)


def save(folder: Path, settings: Settings, done: TrainedReplicas) -> None:
    """Write the two files."""
    views = {name: weight.contiguous() for name, weight in done.layout.views(done.weights).items()}
    save_file(views, folder / WEIGHTS)
    write_json(folder / DESCRIPTION, describe(settings, len(done.outcomes)))


def describe(settings: Settings, replicas: int) -> dict[str, Any]:
    """Return the content of model.json."""
    task = settings.task
    return {
        "task": settings.names["task"],
        "cell": settings.names["cell"],
        "settings": dict(settings.parts["cell"]),
        "length": settings.training.length,
        "replicas": replicas,
        "kind": task.kind,
        "symbols": task.symbols,
        "channels": task.channels,
        "outputs": task.outputs,
        "answers": task.answers,
    }


def load(folder: str | Path) -> Trained:
    """Return the model of a folder; raises `UserError` where the files are not what they should be."""
    path = Path(folder)
    try:
        about = json.loads((path / DESCRIPTION).read_text())
        weights = load_file(path / WEIGHTS)
        layout = Layout({name: tuple(weight.shape[1:]) for name, weight in weights.items()})
        cell = build(about["settings"], "cell").for_length(int(about["length"]))
        fresh, expected = begin(cell, int(about["channels"]), int(about["outputs"]), 0, [0])
        shapes = {name: (int(about["replicas"]), *shape) for name, shape in expected.shapes.items()}
        if {name: tuple(weight.shape) for name, weight in weights.items()} != shapes or int(about["answers"]) < 1:
            raise ValueError(f"{WEIGHTS} has not the weights of the cell and task that {DESCRIPTION} names")
        rows = torch.cat([weight.flatten(1) for weight in weights.values()], dim=1).to(fresh)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} holds no trained model ({reason}); `python -m pipeline.train` writes one") from error
    return Trained(Model(cell, layout, rows, "auto", 1, int(about["channels"])), about, len(rows))
