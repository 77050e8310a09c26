"""Choices of settings with other seeds, and the horizons that they lead to: the runs in MLflow and the file."""

import re
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

import optuna

from pipeline import tracking
from pipeline.base.errors import UserError, require
from pipeline.base.files import replaced, write_json
from pipeline.base.numbers import significant
from pipeline.base.terminal import Display, display
from pipeline.data.held_out import HeldOut
from pipeline.records import choices
from pipeline.records.wording import phrase
from pipeline.runs import search, tune
from pipeline.runs.prepared import ensure_prepared
from pipeline.runs.race import Trainer
from pipeline.runs.search_summary import ENDS
from pipeline.settings import Settings
from pipeline.settings.tuned import file_of, read, with_values
from pipeline.tuning.rounds import Tuning


def retune(settings: Settings) -> None:
    """Find how far another choice of settings moves the horizon of one pair."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    first = first_choice(settings)
    asked = others(settings, first["seed"])
    settings.require_runs()
    tags = {"stage": "retune", "task": settings.names["task"], "cell": settings.names["cell"]}
    name = f"{settings.names['cell']} · retune"
    with (
        display(f"{settings.pair} retune") as shown,
        tune.alone(settings),
        tracking.open_run(settings.tracking.enabled, settings.state, settings.names["task"], name, tags) as run,
    ):
        held_out = ensure_prepared(settings)
        run.params(settings.tree)
        run.params({"tune": vars(settings.tune)})
        made = {} if settings.tune.fresh else choices.by_study(settings.results_of("retune") / "retune.json")
        rows = []
        for each in asked:
            rows.append(again(each, first, held_out, shown, made.get(tune.study_name(each))))
            log(run, rows[-1])
        with replaced(settings.results_of("retune")) as folder:
            write_json(folder / "retune.json", content(settings, first, rows))
            run.artifacts(folder)
        run.note(note_of(settings, rows))
        words = ", ".join(phrase(row["horizon"]) for row in rows)
        shown.say(f"chosen again, T50 is {words}; {settings.results_of('retune')}")


def first_choice(settings: Settings) -> dict[str, Any]:
    """Where the settings in conf/tuned come from; raises `UserError` where this code and these settings make others."""
    path = file_of(settings)
    advice = f"`python -m pipeline.tune task={settings.names['task']} cell={settings.names['cell']}` first"
    if not path.exists() or not (known := read(path)):
        raise UserError(f"{path} must hold the first choice; run {advice}")
    provenance: dict[str, Any] = known["provenance"]
    space, plain = tune.asked(settings)
    try:
        name = tune.study_name(seeded(settings, provenance["seed"]))
        same = re.fullmatch(rf"{re.escape(name)}(-\d+)?", provenance["study"])  # -2: made by tune.fresh=true
        question = tune.question_of(settings, space, plain, provenance["plain"])
        choices.check_estimate({"censored": None, "lower": None, "upper": None, "median": question.search_horizon})
        if not 0 < question.search_cost < inf:
            raise ValueError("compute must be above 0")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: provenance can't be used; run {advice}") from error
    if not same:
        raise UserError(f"{path} was chosen with other settings or code than these; run {advice}")
    return provenance


def others(settings: Settings, first: int) -> list[Settings]:
    """The same settings with the seeds that follow the first."""
    named = settings.tune.seed if "tune.seed" in settings.fixed else first
    require(named == first, "tune.seed", f"must be that of the choice in conf/tuned, {first}, or left out", named)
    found = [seeded(settings, first + place) for place in range(1, settings.retune.choices + 1)]
    found[-1].tune.check()
    replace(settings.training, seed=settings.training.seed + settings.retune.choices).check()
    return found


def seeded(settings: Settings, seed: int) -> Settings:
    """The settings for the choice that has this seed."""
    return replace(settings, tune=replace(settings.tune, seed=seed))


def again(
    settings: Settings,
    first: Mapping[str, Any],
    held_out: HeldOut,
    shown: Display,
    made: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One choice and its horizon, as retune.json states them.

    `first` is the provenance of the choice in conf/tuned; `made` is this very choice as a file states it, which is not
    made anew, nor searched anew if it was searched with this code and these settings.
    """
    chosen = made or choose(settings, first, shown)
    searched = with_choice(settings, first, chosen["chosen"])
    if made and made["horizon"]["study"] == search.study_name(searched):
        horizon = made["horizon"]
    else:
        horizon = tune.horizon_of(searched, held_out, shown, f"settings of seed {settings.tune.seed}")
    return {name: chosen[name] for name in ("seed", "study", "chosen", "cost")} | {
        "plain_searches": significant(chosen["cost"] / first["plain"]["compute"]),
        "tuned_searches": significant(chosen["cost"] / horizon["compute"]),
        "horizon": horizon,
    }


def choose(settings: Settings, first: Mapping[str, Any], shown: Display) -> dict[str, Any]:
    """One choice: its seed, study, settings and cost."""
    seed = settings.tune.seed
    space, values = tune.asked(settings)
    study, question = tune.study_of(settings), tune.question_of(settings, space, values, first["plain"])

    def watch(update: int, curve: Mapping[str, float]) -> None:
        if "replicas/running" in curve:
            shown.now(0.0, f"choice with seed {seed}, update {update}, {curve['replicas/solved']:.0f} solved")

    chosen = Tuning(study, question, settings.tune, Trainer(settings, watch), lambda g: tune.sampler(settings, g)).run()
    return {"seed": seed, "study": study.study_name, "chosen": dict(chosen.order[0].values), "cost": chosen.cost}


def with_choice(settings: Settings, first: Mapping[str, Any], chosen: Mapping[str, Any]) -> Settings:
    """The settings that were chosen, with a `training.seed` of this choice's own for the search of their horizon."""
    sections = tune.sections_of(settings, dict(chosen))
    own = {"seed": settings.training.seed + settings.tune.seed - first["seed"]}
    return with_values(settings, sections | {"training": sections.get("training", {}) | own})


def content(settings: Settings, first: Mapping[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The content of retune.json."""
    names = {"task": settings.names["task"], "cell": settings.names["cell"], "first_study": first["study"]}
    digest = choices.settings_digest(settings.recorded, rows[0]["chosen"])
    return names | {"settings_digest": digest, "choices": rows}


def log(run: tracking.Run, row: Mapping[str, Any]) -> None:
    """A choice as a nested run."""
    name = f"seed {row['seed']} · {phrase(row['horizon'])}"
    child = run.child(name, {"level": "choice", "study": row["study"], "horizon": phrase(row["horizon"])})
    child.params(row["chosen"])
    ends = {f"search/{end}": row["horizon"][end] for end in ENDS if row["horizon"][end] is not None}
    child.metrics(0, ends | {f"tune/{name}": row[name] for name in ("cost", "plain_searches", "tuned_searches")})
    child.close()
    run.flush()


def note_of(settings: Settings, rows: list[dict[str, Any]]) -> str:
    """The description of the run in Markdown."""
    task, cell = settings.names["task"], settings.names["cell"]
    return "\n".join(
        [
            f"How far does another choice of settings move the horizon of **{cell}** on **{task}**?\n",
            "| seed | T50 | cost, searches | settings |",
            "|---|---|---|---|",
            *(
                f"| {row['seed']} | {phrase(row['horizon'])} | {row['tuned_searches']:.2g} | "
                f"{', '.join(tune.flow(row['chosen']))} |"
                for row in rows
            ),
            f"\nReproduce: `python -m pipeline.retune task={task} cell={cell}` with the settings under Parameters.",
        ]
    )
