"""Gather the horizons of the grid into one table, one page and its figures.

    python -m pipeline.report

reads results/search/, results/train/ and, where it is there, results/retune/ by the names in conf/grid.yaml, and writes
results/report/: horizons.json, horizons.md, index.html (one file that works offline), overview.svg and figures/. Other
files there are left alone.

The page names no MLflow run by its id, for ids are drawn by chance and a page must have the same bytes each time. It
names the digest of what a run wrote, which is a tag of that run; `make ui` makes a copy in which the ids are filled in.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.base.errors import UserError
from pipeline.base.files import digest, replaced, write_json
from pipeline.base.trees import flatten
from pipeline.figures import interactive, style
from pipeline.figures.comparison import by_budget, overview
from pipeline.figures.tuning import learning_rates
from pipeline.horizon import random_effects
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.random_effects import Another, Horizons
from pipeline.records import choices
from pipeline.records.gradients import read_profiles
from pipeline.records.horizon import belief_of, read_horizon, read_settings, require_same
from pipeline.records.outcome import read_outcome
from pipeline.records.trials import read_trials
from pipeline.records.wording import REASONS, cost_phrase, label, phrase, plain_phrase, sentence, words
from pipeline.reports import edges, ranking, svg
from pipeline.settings import CONF, Settings, stage_with
from pipeline.tuning.space import space_of

TEMPLATE = "report.html"
ORDER = "Which cell has the longer horizon:"
ORDER_AGAIN = "Which cell has the longer horizon, with settings chosen again:"
NOT_AGAIN = (
    "Not chosen again beside the choice in conf/tuned (`python -m pipeline.retune task=… cell=…`), "
    "so the spread of the others' choices counts:"
)
PLAIN = "With plain settings, for none were chosen (`python -m pipeline.tune`), so without the luck of a choice:"
SEARCH_OPTIONS = ("length_min", "length_max", "level", "certainty", "factor")  # by which an estimate is stated
BEYOND = "Chosen at an end of what was tried (tune.space and tune.cells), so other settings may reach farther:"


@dataclass(frozen=True)
class Pair:
    """What is reported of one cell on one task."""

    name: str  # TASK-CELL
    horizon: Mapping[str, Any]  # horizon.json
    trials: Sequence[Mapping[str, str]]  # trials.csv
    profiles: Mapping[str, Any]  # gradients.parquet
    training: Mapping[str, Any]  # outcome.json of train
    settings: Mapping[str, Any]  # settings.json, as one level
    runs: Mapping[str, str]  # digests of trials.csv and outcome.json, tags of the runs that wrote them
    ends: Mapping[str, Any]  # settings that were chosen at an end of what was tried
    again: Sequence[Mapping[str, Any]] = ()  # other choices of settings, as in retune.json
    another: Another | None = None  # where the horizon of one more choice lies; None where nobody can tell


@stage_with()
def main(settings: Settings) -> None:
    """Write the report."""
    grid = yaml.safe_load((CONF / "grid.yaml").read_text())["grid"]
    pairs = with_another_choice(
        settings, [read(settings, f"{task}-{cell}") for task in grid["tasks"] for cell in grid["cells"]]
    )
    target = settings.results / "report"
    with replaced(target, whole=False) as folder, replaced(target / "figures") as drawn:
        draw(folder, drawn, pairs)
        rankings = ranking.rankings([belief(pair) for pair in pairs])
        write_json(folder / "horizons.json", content(pairs, rankings))
        (folder / "horizons.md").write_text(table(pairs, rankings))
        (folder / "index.html").write_text(page(folder, drawn, settings.results, pairs, rankings))
    print(f"{target / 'index.html'}: {len(pairs)} horizons")


def read(settings: Settings, name: str) -> Pair:
    """All that the stages wrote about one pair; raises `UserError` where something is missing."""
    search, train = settings.results / "search" / name, settings.results / "train" / name
    horizon, trials = read_horizon(search / "horizon.json"), read_trials(search / "trials.csv")
    profiles, outcome = (
        read_profiles(search / "gradients.parquet"),
        read_outcome(train / "outcome.json"),
    )
    used = read_settings(search / "settings.json")
    require_same(search, horizon, trials, profiles, used)
    if (told := f"{outcome['task']}-{outcome['cell']}") != name:
        raise UserError(f"{train / 'outcome.json'} is of {told}, not of {name}; `dvc repro` makes it anew")
    space = space_of(settings.tune.space, settings.tune.cells.get(horizon["cell"]))
    return Pair(
        name,
        horizon,
        trials,
        profiles,
        outcome,
        flatten(used),
        {"search": digest(search / "trials.csv"), "train": digest(train / "outcome.json")},
        edges.at_an_end(space, flatten(used), horizon),
        chosen_again(settings, search, horizon, used),
    )


def chosen_again(
    settings: Settings, search: Path, horizon: Mapping[str, Any], used: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Other choices of a pair's settings; none for a pair that was not tuned. Raises `UserError` as `choices.read`."""
    if not horizon.get("tuned"):
        return []
    try:
        choices.check_estimate(horizon["t50"])
        options_of(settings, flatten(used)).check()
    except (ValueError, KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(f"{search} has a value that can't be used ({error}); `dvc repro` makes it anew") from error
    return choices.read(settings.results / "retune" / search.name / "retune.json", horizon["tuned"]["study"], used)


def options_of(settings: Settings, used: Mapping[str, Any]) -> SearchOptions:
    """The options of the search of a pair, from its settings.json as one level."""
    return replace(settings.search, **{name: used[f"search.{name}"] for name in SEARCH_OPTIONS})


def with_another_choice(settings: Settings, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs with where the horizon of one more choice lies, as far as any pair was chosen again."""
    tuned = [pair for pair in pairs if pair.horizon.get("tuned")]
    if not any(pair.again for pair in tuned):
        return list(pairs)
    seen = {pair.name: [pair.horizon["t50"], *(each["horizon"] for each in pair.again)] for pair in tuned}
    options = {pair.name: options_of(settings, pair.settings) for pair in tuned}
    found = random_effects.another({name: Horizons(estimates, options[name]) for name, estimates in seen.items()})
    return [replace(pair, another=found.get(pair.name)) for pair in pairs]


def belief(pair: Pair) -> tuple[str, str, Posterior]:
    """Where the horizon of a pair lies, with the luck of the choice of settings as far as it is known."""
    own = pair.another.horizon if pair.another else belief_of(pair.trials, pair.horizon)
    return pair.horizon["task"], pair.horizon["cell"], own


def content(pairs: Sequence[Pair], rankings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """horizons.json: every horizon.json, what choosing again came to, and the order of the cells."""
    again = [
        {"task": pair.horizon["task"], "cell": pair.horizon["cell"], "t50": pair.another.t50}
        | {"spread_octaves": pair.another.spread, "choices": [dict(each) for each in pair.again]}
        for pair in pairs
        if pair.another
    ]
    return {"horizons": [pair.horizon for pair in pairs], "chosen_again": again, "rankings": rankings}


def draw(folder: Path, drawn: Path, pairs: Sequence[Pair]) -> None:
    """The figures that compare pairs."""
    again = {(pair.horizon["task"], pair.horizon["cell"]): pair.another.t50 for pair in pairs if pair.another}
    style.save(overview([pair.horizon for pair in pairs], again), folder / "overview.svg")
    for task in dict.fromkeys(pair.horizon["task"] for pair in pairs):
        same = [pair.horizon for pair in pairs if pair.horizon["task"] == task]
        style.save(by_budget(same), drawn / f"by_budget-{task}.svg")
        if any(record.get("tuned") for record in same):
            style.save(learning_rates(same), drawn / f"learning_rate-{task}.svg")


def table(pairs: Sequence[Pair], rankings: Sequence[Mapping[str, Any]]) -> str:
    """horizons.md: one row a pair, and the order of the cells on each task."""
    head = (
        "task",
        "cell",
        "horizon T50",
        "settings chosen again",
        "with plain settings",
        "T90",
        "T50 at the easier goal",
        "goal",
        "updates",
        "trials",
        "cost of the choice",
    )
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row(pair))} |" for pair in pairs]
    level = pairs[0].horizon["level"]
    legend = (
        "Horizon T50: the length that half of the replicas solve within the budget of updates; T90: that nine in ten "
        "solve. "
        f"Median and {level:.0%} credible interval; *above* and *below*: beyond the lengths that were tried. "
        "With plain settings: T50 before each cell was tuned on the task (conf/tuned). "
        "Settings chosen again: where T50 of one more choice of settings lies, with the luck of that choice "
        f"({count_of_choices(pairs)}). "
        "Cost of the choice: what choosing the settings took, in searches with them (replicas × updates × length)."
    )
    orders = [f"- {sentence(entry, label)}" for entry in rankings]
    ends = [f"- {name_of(pair)}: {words(pair.ends)}" for pair in pairs if pair.ends]
    luck = any(pair.another for pair in pairs)
    told = {
        ORDER_AGAIN if luck else ORDER: orders,
        PLAIN: [f"- {name_of(pair)}" for pair in pairs if luck and not pair.another],
        NOT_AGAIN: [f"- {name_of(pair)}" for pair in pairs if pair.another and not pair.again],
        BEYOND: ends,
    }
    more = [line for title, entries in told.items() if entries for line in ("", title, "", *entries)]
    return "\n".join([*lines, "", legend, *more, ""])


def name_of(pair: Pair) -> str:
    """A pair in words."""
    return f"{label(pair.horizon['task'])} × {label(pair.horizon['cell'])}"


def count_of_choices(pairs: Sequence[Pair]) -> str:
    """How many choices are known, in words."""
    counts = {len(pair.again) + 1 for pair in pairs if pair.another}
    return f"{' or '.join(map(str, sorted(counts)))} choices of each tuned pair" if counts else "none was made"


def again_phrase(pair: Pair) -> str:
    """Where the horizon of one more choice lies; a dash where nobody can tell."""
    return phrase(pair.another.t50) if pair.another else "–"


def row(pair: Pair) -> list[str]:
    """The cells of one row."""
    horizon = pair.horizon
    return [
        label(horizon["task"]),
        label(horizon["cell"]),
        phrase(horizon["t50"]),
        again_phrase(pair),
        plain_phrase(horizon),
        phrase(horizon["t90"]),
        f"{phrase(horizon['loose']['t50'])} at {horizon['loose']['goal']:g}",
        f"{horizon['goal']:g}",
        str(horizon["budget"]),
        str(horizon["trials"]),
        cost_phrase(horizon),
    ]


def page(folder: Path, drawn: Path, results: Path, pairs: Sequence[Pair], rankings: Sequence[Mapping[str, Any]]) -> str:
    """index.html: everything in one file."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "reports" / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    environment.globals |= {
        "phrase": phrase,
        "label": label,
        "plain_phrase": plain_phrase,
        "cost_phrase": cost_phrase,
        "again_phrase": again_phrase,
        "made": count_of_choices(pairs),
        "lucky": {pair.horizon["task"] for pair in pairs if pair.another},
        "words": words,
        "ranking_of": {entry["task"]: sentence(entry, label) for entry in rankings},
        "reasons": REASONS,
        "drawing": svg.inline,
        "place": place,
        "command": command,
        "values": lambda text: json.loads(text),
    }
    cells = list(dict.fromkeys(pair.horizon["cell"] for pair in pairs))
    return environment.get_template(TEMPLATE).render(
        pairs=pairs,
        folder=folder,
        drawn=drawn,
        results=results,
        tasks=list(dict.fromkeys(pair.horizon["task"] for pair in pairs)),
        cells=cells,
        longest=max((pair.horizon for pair in pairs), key=lambda horizon: place(horizon["t50"])),
        library=interactive.library(),
        explored=safe({"pairs": [explored(pair) for pair in pairs], "charts": described(cells)}),
    )


def explored(pair: Pair) -> dict[str, Any]:
    """What the interactive charts show of one pair."""
    return {
        "task": pair.horizon["task"],
        "cell": label(pair.horizon["cell"]),
        "curves": interactive.curves(pair.horizon, pair.trials),
        "points": interactive.points(pair.trials),
        "lines": interactive.lines(pair.trials, pair.profiles),
    }


def described(cells: Sequence[str]) -> dict[str, Any]:
    """The interactive charts."""
    return {
        "shares": interactive.shares_chart([label(c) for c in cells]),
        "gradients": interactive.gradients_chart(),
    }


def safe(content: Mapping[str, Any]) -> str:
    """JSON that may stand inside a <script> element."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def place(estimate: Mapping[str, Any]) -> float:
    """A number by which estimates are sorted: the median, or the limit beyond which it lies."""
    known = [estimate[name] for name in ("median", "lower", "upper") if estimate[name] is not None]
    return float(known[0]) if known else -1.0


def command(pair: Pair, name: str) -> str:
    """What makes these results again: the settings stand in conf/, or in the table of settings."""
    return shlex.join(
        ["python", "-m", f"pipeline.{name}", f"task={pair.horizon['task']}", f"cell={pair.horizon['cell']}"]
    )


if __name__ == "__main__":
    main()
