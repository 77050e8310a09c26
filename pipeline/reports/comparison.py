"""All pairs of a grid together: what one more choice of settings would lead to, and the order of the cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.base.errors import UserError
from pipeline.base.trees import as_json
from pipeline.horizon import random_effects
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.random_effects import Another, Horizons
from pipeline.horizon.ranking import Ranking, ranking
from pipeline.records.labels import label
from pipeline.records.wording import probability
from pipeline.reports.pairs import Pair

SHARED = ("cell.hidden", "training.batch", "training.probe_every", "training.shortest")


@dataclass(frozen=True)
class Comparison:
    """The pairs of a grid, and what they say together."""

    pairs: Sequence[Pair]
    another: Mapping[str, Another]  # where the horizon of one more choice lies, by pair; as far as anybody can tell
    rankings: Mapping[str, Ranking]  # of the cells, by task; only tasks with several cells

    @property
    def labels(self) -> dict[str, str]:
        """How a reader writes the cells."""
        return {pair.horizon.cell: pair.label for pair in self.pairs}

    @property
    def tasks(self) -> list[str]:
        """The tasks in the order of the grid."""
        return list(dict.fromkeys(pair.horizon.task for pair in self.pairs))

    @property
    def level(self) -> float:
        """The probability that the intervals hold."""
        return self.pairs[0].horizon.level

    @property
    def retuned(self) -> set[str]:
        """The tasks on which the luck of a choice counts."""
        return {pair.horizon.task for pair in self.pairs if pair.name in self.another}

    def of(self, task: str) -> list[Pair]:
        """Return the pairs of one task."""
        return [pair for pair in self.pairs if pair.horizon.task == task]

    def order(self, task: str) -> str:
        """Return the ranking of a task: `GRU > RNN > LSTM with probability 0.62 (GRU > RNN 0.64, RNN > LSTM 0.9)`."""
        found = self.rankings[task]
        names = [self.labels[cell] for cell in found.order]
        steps = zip(names, names[1:], found.pairs, strict=False)
        pairs = ", ".join(f"{high} > {low} {probability(chance)}" for high, low, chance in steps)
        whole = f"{label(task)}: {' > '.join(names)} with probability {probability(found.probability)}"
        return f"{whole} ({pairs})" if len(names) > 2 else whole

    def to_json(self) -> dict[str, Any]:
        """Return the content of horizons.json."""
        again = [
            {
                "task": pair.horizon.task,
                "cell": pair.horizon.cell,
                "t50": as_json(self.another[pair.name].t50),
                "spread_octaves": as_json(self.another[pair.name].spread),
                "choices": as_json(pair.choices),
            }
            for pair in self.pairs
            if pair.name in self.another
        ]
        rankings = [{"task": task, **as_json(found)} for task, found in self.rankings.items()]
        horizons = [as_json(pair.horizon) for pair in self.pairs]
        return {"horizons": horizons, "chosen_again": again, "rankings": rankings}


def compare(pairs: Sequence[Pair]) -> Comparison:
    """Compare the pairs of a grid; raises `UserError` where the cells of a task answer other questions."""
    another = one_more_choice(pairs)
    beliefs: dict[str, dict[str, Posterior]] = {}
    for pair in pairs:
        own = another[pair.name].horizon if pair.name in another else pair.horizon.belief(pair.trials)
        beliefs.setdefault(pair.horizon.task, {})[pair.horizon.cell] = own
    require_same_question(pairs)
    return Comparison(pairs, another, {task: ranking(cells) for task, cells in beliefs.items() if len(cells) > 1})


def one_more_choice(pairs: Sequence[Pair]) -> dict[str, Another]:
    """Return where the horizon of one more choice of settings lies, by pair; nothing where no pair was chosen again."""
    tuned = [pair for pair in pairs if pair.horizon.tuned]
    if not any(pair.choices for pair in tuned):
        return {}
    found = {
        pair.name: Horizons([pair.horizon.t50, *(each.horizon for each in pair.choices)], pair.settings.options)
        for pair in tuned
    }
    return random_effects.another(found)


def require_same_question(pairs: Sequence[Pair]) -> None:
    """Raise `UserError` where the cells of a task can't be compared: another budget, goal, range or size."""
    for task in dict.fromkeys(pair.horizon.task for pair in pairs):
        asked = {pair.horizon.cell: question(pair) for pair in pairs if pair.horizon.task == task}
        for name in dict.fromkeys(name for each in asked.values() for name in each):
            values = {cell: each[name] for cell, each in asked.items() if name in each}
            if len(set(map(repr, values.values()))) > 1:
                told = ", ".join(f"{task}-{cell} {value}" for cell, value in values.items())
                raise UserError(
                    f"the cells of {task} can't be compared, for they were searched with other settings ({name}: "
                    f"{told}); `dvc repro -f search@TASK-CELL` makes one anew with those of conf/"
                )


def question(pair: Pair) -> dict[str, Any]:
    """Return what the cells of a task must have in common, by the full names of the settings."""
    found, used = pair.horizon, pair.settings.flat
    of_task = ("data.", "task.")  # but not the class, which may lie elsewhere by now
    shared = {name: each for name, each in used.items() if name in SHARED or name.startswith(of_task)}
    shared.pop("task._target_", None)
    searched = {"search.length_min": found.length_min, "search.length_max": found.length_max}
    return shared | searched | {"training.updates": found.budget, "task.goal": found.goal, "search.level": found.level}
