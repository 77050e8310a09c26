"""Choices of settings with other seeds, and the horizons that they lead to: the runs in MLflow and the file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline import tracking
from pipeline.base.errors import UserError, require
from pipeline.base.files import write_json
from pipeline.base.numbers import significant
from pipeline.base.terminal import Display, open_display
from pipeline.base.trees import as_json
from pipeline.data.held_out import HeldOut
from pipeline.records.choices import ChoicesRecord, read_choices, settings_digest
from pipeline.records.wording import phrase
from pipeline.runs.choosing import choose, find_horizon, lock_pair, new_sampler, question_of, sections_of
from pipeline.runs.notes import note
from pipeline.runs.studies import search_name, tuning_name, tuning_study
from pipeline.runs.work import open_work
from pipeline.settings import Settings
from pipeline.settings.destination import folder_of
from pipeline.settings.tuned import file_of, with_values
from pipeline.settings.tuned_file import read_tuned
from pipeline.tuning.record import Choice, Provenance
from pipeline.tuning.space import Values


def retune(settings: Settings) -> ChoicesRecord:
    """Find how far another choice of settings moves the horizon of one pair."""
    settings.require_runs()
    first = first_choice(settings)
    each_seed = next_seeds(settings, first.seed)
    with (
        open_display(f"{settings.pair} retune") as display,
        lock_pair(settings),
        open_work("retune", settings, display) as work,
    ):
        work.run.params({"tune": vars(settings.tune)})
        made = {} if settings.tune.fresh else made_before(settings)
        choices: list[Choice] = []
        for each in each_seed:
            choices.append(retune_once(each, first, work.held_out, display, made.get(tuning_name(each))))
            log(work.run, choices[-1])
        found = choices_record(settings, first, choices)
        with work.results() as folder:
            write_json(folder / "retune.json", as_json(found))
        work.run.note(note("retune", found=found))
        display.print(f"re-tuned, T50 is {', '.join(phrase(each.horizon) for each in choices)}; {work.folder}")
    return found


def first_choice(settings: Settings) -> Provenance:
    """Return where the settings in conf/tuned come from.

    Raises `UserError` where there are none, or where this code and these settings would make others.
    """
    path = file_of(settings)
    advice = f"`python -m pipeline.tune task={settings.names['task']} cell={settings.names['cell']}` first"
    if not path.exists() or not (known := read_tuned(path)):
        raise UserError(f"{path} must hold the first choice; run {advice}")
    name = tuning_name(with_seed(settings, known.provenance.seed))
    if not re.fullmatch(rf"{re.escape(name)}(-\d+)?", known.provenance.study):  # -2: made by tune.fresh=true
        raise UserError(f"{path} was chosen with other settings or code than these; run {advice}")
    return known.provenance


def next_seeds(settings: Settings, first: int) -> list[Settings]:
    """Return the settings with each of the seeds that follow the first."""
    named = settings.tune.seed if "tune.seed" in settings.fixed else first
    require(named == first, "tune.seed", f"must be that of the choice in conf/tuned, {first}, or left out", named)
    found = [with_seed(settings, first + place) for place in range(1, settings.retune.choices + 1)]
    found[-1].tune.check()
    replace(settings.training, seed=settings.training.seed + settings.retune.choices).check()
    return found


def with_seed(settings: Settings, seed: int) -> Settings:
    """Return the settings for the choice that has this seed."""
    return replace(settings, tune=replace(settings.tune, seed=seed))


def made_before(settings: Settings) -> dict[str, Choice]:
    """Return the choices in retune.json by the study that made each, whichever the first choice was."""
    found = read_choices(folder_of(settings, "retune") / "retune.json")
    return {each.study: each for each in found.choices} if found else {}


def retune_once(
    settings: Settings, first: Provenance, held_out: HeldOut, display: Display, made: Choice | None = None
) -> Choice:
    """Return one choice and its horizon.

    `first` says where the choice in conf/tuned comes from. `made` is this very choice from a file: it is not made
    again, nor searched again if it was searched with this code and these settings.
    """
    study, chosen, cost = (made.study, made.chosen, made.cost) if made else make_choice(settings, first, display)
    searched = with_choice(settings, first, chosen)
    if made and made.horizon.study == search_name(searched):
        horizon = made.horizon
    else:
        horizon = find_horizon(searched, held_out, display, f"settings of seed {settings.tune.seed}")
    plain_searches, tuned_searches = (significant(cost / each.compute) for each in (first.plain, horizon))
    return Choice(settings.tune.seed, study, chosen, cost, plain_searches, tuned_searches, horizon)


def make_choice(settings: Settings, first: Provenance, display: Display) -> tuple[str, Values, int]:
    """Make one choice, and return the name of its study, its settings and its cost."""
    seed = settings.tune.seed
    study, question = tuning_study(settings, new_sampler(settings, 0)), question_of(settings, first.plain)

    def watch(update: int, curve: Mapping[str, float]) -> None:
        if "replicas/running" in curve:
            solved = curve["replicas/solved"]
            display.progress(0.0, f"choice with seed {seed}, update {update}, {solved:.0f} solved")

    chosen = choose(settings, study, question, watch)
    return study.study_name, dict(chosen.order[0].values), chosen.cost


def with_choice(settings: Settings, first: Provenance, chosen: Values) -> Settings:
    """Return the chosen settings, with a `training.seed` of this choice's own for the search of their horizon."""
    sections = sections_of(settings, dict(chosen))
    own = {"seed": settings.training.seed + settings.tune.seed - first.seed}
    return with_values(settings, sections | {"training": sections.get("training", {}) | own})


def choices_record(settings: Settings, first: Provenance, choices: Sequence[Choice]) -> ChoicesRecord:
    """Return the content of retune.json."""
    digest = settings_digest(settings.recorded, choices[0].chosen)
    return ChoicesRecord(settings.names["task"], settings.names["cell"], first.study, digest, tuple(choices))


def log(run: tracking.Run, choice: Choice) -> None:
    """Log a choice as a nested run."""
    words = phrase(choice.horizon)
    child = run.child(f"seed {choice.seed} · {words}", {"level": "choice", "study": choice.study, "horizon": words})
    child.params(choice.chosen)
    numbers = {f"search/{name}": end for name, end in choice.horizon.ends.items()}
    numbers |= {f"tune/{name}": getattr(choice, name) for name in ("cost", "plain_searches", "tuned_searches")}
    child.metrics(0, numbers)
    child.close()
    run.flush()
