"""Choices of settings with other seeds, and the horizons that they lead to: the runs in MLflow and the file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import optuna

from pipeline import tracking
from pipeline.base.errors import UserError, require
from pipeline.base.files import replaced, write_json
from pipeline.base.numbers import significant
from pipeline.base.terminal import Display, display
from pipeline.base.trees import as_json
from pipeline.data.held_out import HeldOut
from pipeline.records.choices import ChoicesRecord, read_choices, settings_digest
from pipeline.records.wording import phrase
from pipeline.runs import search, tune
from pipeline.runs.prepared import ensure_prepared
from pipeline.runs.race import Trainer
from pipeline.settings import Settings
from pipeline.settings.tuned import file_of, read, with_values
from pipeline.tuning.record import Choice, Provenance, flow
from pipeline.tuning.rounds import Tuning
from pipeline.tuning.space import Values


def retune(settings: Settings) -> None:
    """Find how far another choice of settings moves the horizon of one pair."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    first = first_choice(settings)
    asked = others(settings, first.seed)
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
        made = {} if settings.tune.fresh else made_before(settings)
        rows: list[Choice] = []
        for each in asked:
            rows.append(again(each, first, held_out, shown, made.get(tune.study_name(each))))
            log(run, rows[-1])
        with replaced(settings.results_of("retune")) as folder:
            write_json(folder / "retune.json", as_json(content(settings, first, rows)))
            run.artifacts(folder)
        run.note(note_of(settings, rows))
        words = ", ".join(phrase(row.horizon) for row in rows)
        shown.say(f"chosen again, T50 is {words}; {settings.results_of('retune')}")


def first_choice(settings: Settings) -> Provenance:
    """Where the settings in conf/tuned come from; raises `UserError` where this code and these settings make others."""
    path = file_of(settings)
    advice = f"`python -m pipeline.tune task={settings.names['task']} cell={settings.names['cell']}` first"
    if not path.exists() or not (known := read(path)):
        raise UserError(f"{path} must hold the first choice; run {advice}")
    provenance: Provenance = known["provenance"]
    name = tune.study_name(seeded(settings, provenance.seed))
    if not re.fullmatch(rf"{re.escape(name)}(-\d+)?", provenance.study):  # -2: made by tune.fresh=true
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


def made_before(settings: Settings) -> dict[str, Choice]:
    """The choices in retune.json by the study that made each, whichever the first choice was."""
    found = read_choices(settings.results_of("retune") / "retune.json")
    return {each.study: each for each in found.choices} if found else {}


def seeded(settings: Settings, seed: int) -> Settings:
    """The settings for the choice that has this seed."""
    return replace(settings, tune=replace(settings.tune, seed=seed))


def again(
    settings: Settings, first: Provenance, held_out: HeldOut, shown: Display, made: Choice | None = None
) -> Choice:
    """One choice and its horizon.

    `first` says where the choice in conf/tuned comes from; `made` is this very choice as a file states it, which is not
    made anew, nor searched anew if it was searched with this code and these settings.
    """
    study, chosen, cost = (made.study, made.chosen, made.cost) if made else choose(settings, first, shown)
    searched = with_choice(settings, first, chosen)
    if made and made.horizon.study == search.study_name(searched):
        horizon = made.horizon
    else:
        horizon = tune.horizon_of(searched, held_out, shown, f"settings of seed {settings.tune.seed}")
    plain_searches, tuned_searches = (significant(cost / each.compute) for each in (first.plain, horizon))
    return Choice(settings.tune.seed, study, chosen, cost, plain_searches, tuned_searches, horizon)


def choose(settings: Settings, first: Provenance, shown: Display) -> tuple[str, Values, int]:
    """Make one choice, and return its study, its settings and its cost."""
    seed = settings.tune.seed
    space, values = tune.asked(settings)
    study, question = tune.study_of(settings), tune.question_of(settings, space, values, first.plain)

    def watch(update: int, curve: Mapping[str, float]) -> None:
        if "replicas/running" in curve:
            shown.now(0.0, f"choice with seed {seed}, update {update}, {curve['replicas/solved']:.0f} solved")

    chosen = Tuning(study, question, settings.tune, Trainer(settings, watch), lambda g: tune.sampler(settings, g)).run()
    return study.study_name, dict(chosen.order[0].values), chosen.cost


def with_choice(settings: Settings, first: Provenance, chosen: Values) -> Settings:
    """The settings that were chosen, with a `training.seed` of this choice's own for the search of their horizon."""
    sections = tune.sections_of(settings, dict(chosen))
    own = {"seed": settings.training.seed + settings.tune.seed - first.seed}
    return with_values(settings, sections | {"training": sections.get("training", {}) | own})


def content(settings: Settings, first: Provenance, rows: Sequence[Choice]) -> ChoicesRecord:
    """The content of retune.json."""
    digest = settings_digest(settings.recorded, rows[0].chosen)
    return ChoicesRecord(settings.names["task"], settings.names["cell"], first.study, digest, tuple(rows))


def log(run: tracking.Run, row: Choice) -> None:
    """A choice as a nested run."""
    words = phrase(row.horizon)
    child = run.child(f"seed {row.seed} · {words}", {"level": "choice", "study": row.study, "horizon": words})
    child.params(row.chosen)
    ends = {f"search/{name}": end for name, end in row.horizon.ends.items()}
    child.metrics(
        0, ends | {f"tune/{name}": getattr(row, name) for name in ("cost", "plain_searches", "tuned_searches")}
    )
    child.close()
    run.flush()


def note_of(settings: Settings, rows: Sequence[Choice]) -> str:
    """The description of the run in Markdown."""
    task, cell = settings.names["task"], settings.names["cell"]
    return "\n".join(
        [
            f"How far does another choice of settings move the horizon of **{cell}** on **{task}**?\n",
            "| seed | T50 | cost, searches | settings |",
            "|---|---|---|---|",
            *(
                f"| {row.seed} | {phrase(row.horizon)} | {row.tuned_searches:.2g} | {', '.join(flow(row.chosen))} |"
                for row in rows
            ),
            f"\nReproduce: `python -m pipeline.retune task={task} cell={cell}` with the settings under Parameters.",
        ]
    )
