"""Gather the horizons of the grid into one table, one page and its figures.

    python -m pipeline.report

reads results/search/ and results/train/ by the names in conf/grid.yaml, and writes results/report/: horizons.json,
horizons.md, index.html (one file that works offline) and figures.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline import figures, ranking, records
from pipeline.files import replaced, write_json
from pipeline.settings import CONF, Settings, stage

TEMPLATE = "report.html"


@dataclass(frozen=True)
class Pair:
    """What is reported of one cell on one task."""

    name: str  # TASK-CELL
    horizon: Mapping[str, Any]  # horizon.json
    trials: Sequence[Mapping[str, str]]  # trials.csv
    profiles: Sequence[Mapping[str, Any]]  # see `contrast`
    training: Mapping[str, Any]  # outcome.json of train


@stage
def main(settings: Settings) -> None:
    """Write the report."""
    grid = yaml.safe_load((CONF / "grid.yaml").read_text())["grid"]
    pairs = [read(settings.results, f"{task}-{cell}") for task in grid["tasks"] for cell in grid["cells"]]
    target = settings.results / "report"
    with replaced(target) as folder:
        draw(folder, pairs)
        rankings = ranking.rankings([(pair.horizon, pair.trials) for pair in pairs])
        write_json(folder / "horizons.json", {"horizons": [pair.horizon for pair in pairs], "rankings": rankings})
        (folder / "horizons.md").write_text(table(pairs, rankings))
        (folder / "index.html").write_text(page(folder, settings.results, pairs, rankings))
    print(f"{target / 'index.html'}: {len(pairs)} horizons")


def read(results: Path, name: str) -> Pair:
    """All that the stages wrote about one pair; raises `UserError` where something is missing."""
    folder = results / "search" / name
    horizon, trials = records.read_horizon(folder / "horizon.json"), records.read_trials(folder / "trials.csv")
    profiles = contrast(trials, records.read_profiles(folder / "gradients.parquet"), horizon)
    return Pair(name, horizon, trials, profiles, records.read_outcome(results / "train" / name / "outcome.json"))


def contrast(
    trials: Sequence[Mapping[str, str]], profiles: Mapping[str, Any], horizon: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The gradient through time on both sides of the horizon.

    At the longest length below it of which half of the seeds solved, and the shortest above it of which fewer did.
    """
    chosen = [_solved(trials, horizon), _unsolved(trials, horizon)]
    return [_profile(profiles, row, when) for row in chosen if row for when in records.PROFILES]


def draw(folder: Path, pairs: Sequence[Pair]) -> None:
    """The figures that compare pairs, and the gradient of each."""
    figures.save(figures.overview([pair.horizon for pair in pairs]), folder / "overview.svg")
    for task in dict.fromkeys(pair.horizon["task"] for pair in pairs):
        same = [pair.horizon for pair in pairs if pair.horizon["task"] == task]
        figures.save(figures.by_budget(same), folder / f"by_budget-{task}.svg")
        if any(record.get("tuned") for record in same):
            figures.save(figures.learning_rates(same), folder / f"learning_rate-{task}.svg")
    for pair in pairs:
        title = f"{figures.label(pair.horizon['cell'])} on {figures.label(pair.horizon['task'])}"
        figures.save(figures.through_time(pair.profiles, title), folder / f"gradient-{pair.name}.svg")


def table(pairs: Sequence[Pair], rankings: Sequence[Mapping[str, Any]]) -> str:
    """horizons.md: one row a pair, and the order of the cells on each task."""
    head = (
        "task",
        "cell",
        "horizon T50",
        "with plain settings",
        "T90",
        "T50 at the easier goal",
        "goal",
        "updates",
        "trials",
    )
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row(pair.horizon))} |" for pair in pairs]
    level = pairs[0].horizon["level"]
    legend = (
        "Horizon T50: the length that half of the replicas solve within the budget of updates; T90: that nine in ten "
        "solve. "
        f"Median and {level:.0%} credible interval; *above* and *below*: beyond the lengths that were tried. "
        "With plain settings: T50 before each cell was tuned on the task (conf/tuned)."
    )
    orders = [f"- {ranking.sentence(entry, figures.label)}" for entry in rankings]
    return "\n".join(
        [*lines, "", legend, *(["", "Which cell has the longer horizon:", "", *orders] if orders else []), ""]
    )


def row(horizon: Mapping[str, Any]) -> list[str]:
    """The cells of one row."""
    return [
        figures.label(horizon["task"]),
        figures.label(horizon["cell"]),
        records.phrase(horizon["t50"]),
        ranking.plain_phrase(horizon),
        records.phrase(horizon["t90"]),
        f"{records.phrase(horizon['loose']['t50'])} at {horizon['loose']['goal']:g}",
        f"{horizon['goal']:g}",
        str(horizon["budget"]),
        str(horizon["trials"]),
    ]


def page(folder: Path, results: Path, pairs: Sequence[Pair], rankings: Sequence[Mapping[str, Any]]) -> str:
    """index.html: everything in one file."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.globals |= {
        "phrase": records.phrase,
        "label": figures.label,
        "plain_phrase": ranking.plain_phrase,
        "ranking_of": {entry["task"]: ranking.sentence(entry, figures.label) for entry in rankings},
        "reasons": records.REASONS,
        "image": embedded,
        "folder": folder,
    }
    template = environment.get_template(TEMPLATE)
    return template.render(
        pairs=pairs, results=results, tasks=list(dict.fromkeys(pair.horizon["task"] for pair in pairs))
    )


def embedded(path: Path) -> str:
    """A figure as an address that holds all of it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _solved(trials: Sequence[Mapping[str, str]], horizon: Mapping[str, Any]) -> Mapping[str, str] | None:
    median = horizon["t50"]["median"] or horizon["t50"]["lower"] or 0.0
    below = [row for row in trials if share(row) >= 0.5 and int(row["length"]) <= median]
    return max(below, key=lambda row: int(row["length"]), default=None)


def _unsolved(trials: Sequence[Mapping[str, str]], horizon: Mapping[str, Any]) -> Mapping[str, str] | None:
    median = horizon["t50"]["median"] or horizon["t50"]["lower"] or 0.0
    above = [row for row in trials if share(row) < 0.5 and int(row["length"]) >= median]
    return min(above, key=lambda row: int(row["length"]), default=None)


def share(trial: Mapping[str, str]) -> float:
    """The share of its replicas that a trial solved."""
    return int(trial["solved"]) / int(trial["replicas"])


def _profile(profiles: Mapping[str, Any], row: Mapping[str, str], when: str) -> dict[str, Any]:
    chosen = (profiles["trial"] == int(row["ordinal"])) & (profiles["when"] == when)
    bands = {name: profiles[f"log2_norm_{name}"][chosen] for name in ("median", "least", "greatest")}
    known = {"length": int(row["length"]), "share": f"{row['solved']}/{row['replicas']}", "solved": share(row) >= 0.5}
    known |= {"when": when, "update": int(profiles["update"][chosen][0])}
    return {**known, "steps": profiles["step"][chosen], **bands}


if __name__ == "__main__":
    main()
