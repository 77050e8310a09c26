"""The course of a tuning, kept in an Optuna study so that it resumes where it was killed.

Each round (a generation, the last round, the learning rate's curve) is a pure function of the rounds before it, and is
written to the study in one piece when it has ended. A killed process loses the round that ran and nothing else, and
the round then ends as it would have. The trials of the study, one for each setting, are derived from the rounds.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, log2
from typing import Any

from optuna import Study
from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from pipeline.base.numbers import significant
from pipeline.data.streams import TUNING
from pipeline.horizon.ladder import ladder
from pipeline.tuning.climbing import Climb, Entrant, Train, climb, octaves_climbed
from pipeline.tuning.final import PER_OCTAVE, Standing, compete, ranked, rate_curve
from pipeline.tuning.options import TuneOptions
from pipeline.tuning.proposing import distributions, propose
from pipeline.tuning.space import Space, Values, holds, rounded

TYPICAL = 5.0
"""What a search costs, in units of its replicas x its budget x the horizon that it finds.

Replicas that solve end early, but a shallow curve takes more trials: within the range of lengths, the searches of the
default grid cost 2 to 10 of these units (LOG.md, "An easier copy").
"""

EACH_SEED = 2**20  # seeds of replicas that one `tune.seed` has
GENERATIONS, FINAL, CURVE, RATES = (block * 2**18 for block in range(4))  # where those of each kind of round begin


@dataclass(frozen=True)
class Question:
    """The pair that is tuned, and what a search of it with the plain settings took."""

    plain: Values
    space: Space
    shortest: int
    longest: int
    budget: int  # updates
    replicas: int  # of a trial of the search
    search_cost: float  # replica x updates x length
    search_horizon: float  # the median that it found
    search_upper: float = inf  # the upper end of its interval
    search_limit: float = inf  # the most that a search may cost


@dataclass(frozen=True)
class Chosen:
    """The result of a tuning."""

    order: list[Standing]  # the chosen settings, then the runner-up, ...
    climbs: list[Climb]  # of all settings
    octaves: list[float]  # how far they came
    curve: Mapping[str, Any]  # see `final.rate_curve`
    importance: Mapping[str, float]
    generations: int
    cost: int  # replica x updates x length of the tuning: generations and last round


OnRound = Callable[[int, Sequence[Climb], Sequence[float]], None]  # (generation, climbs, octaves of each)


def seed_of(options: TuneOptions, block: int, number: int) -> int:
    """Return a seed of the tuning; from 2^40 on, so no search comes to it (`streams.TUNING`)."""
    return TUNING + options.seed * EACH_SEED + block + number


@dataclass(frozen=True)
class Tuning:
    """Finds settings for one pair."""

    study: Study
    question: Question
    options: TuneOptions
    train: Train
    sampler: Callable[[int], BaseSampler]  # a fresh one for a generation
    on_round: OnRound = lambda generation, climbs, octaves: None

    def run(self) -> Chosen:
        """Run every round that is not in the study yet, and return what comes out."""
        climbs, generations = self.explore()
        final = self.once("final", lambda: [each.as_dict() for each in self.final(climbs)])
        order = ranked([Standing(**standing) for standing in final], self.options.margin)
        curve = self.once("curve", lambda: self.curve(order[0]))
        cost = sum(each.cost for each in climbs) + sum(standing.cost for standing in order)
        octaves = [self.octaves(each) for each in climbs]
        return Chosen(order, climbs, octaves, curve, importance(self.study), generations, cost)

    def explore(self) -> tuple[list[Climb], int]:
        """Run generations of settings, as many as the cost allows; return their climbs and how many there were."""
        climbs: list[Climb] = []
        last = 0.0  # cost of the last generation
        for generation in range(self.options.generations):
            spent = sum(each.cost for each in climbs)
            allowed = self.options.explore * self.allowance(climbs) - spent
            if allowed < last or self.is_at_the_end(climbs):
                return climbs, generation
            content = self.once(f"generation {generation}", partial(self.generation, generation, climbs, allowed))
            mine = [Climb.from_dict(entry) for entry in content]
            self.add_trials(generation, content, mine)
            self.on_round(generation, mine, [self.octaves(each) for each in mine])
            climbs, last = climbs + mine, sum(each.cost for each in mine)
        return climbs, self.options.generations

    def is_at_the_end(self, climbs: Sequence[Climb]) -> bool:
        """Return True if the longest length is solved: no settings can be told to reach farther."""
        return solved_twice(climbs) == self.question.longest

    def generation(self, number: int, before: Sequence[Climb], allowed: float) -> list[dict[str, Any]]:
        """Return the settings that the sampler proposes, the plain ones among the first, and how they climbed."""
        question, ordinals = self.question, self.options.ordinals(number)
        plain = [question.plain] if number == 0 else []
        params = [dict(each) for each in plain]
        params += propose(question.space, self.sampler(number), self.trials_before(number), len(ordinals) - len(plain))
        values = [*plain, *({**question.plain, **rounded(each)} for each in params[len(plain) :])]
        seeds = [seed_of(self.options, GENERATIONS, ordinal) for ordinal in ordinals]
        entrants = [Entrant(each, seed) for each, seed in zip(values, seeds, strict=True)]
        climbs = climb(entrants, self.lengths(before), self.train, self.options.kept, question.budget, allowed)
        return [each.as_dict() | {"params": given} for each, given in zip(climbs, params, strict=True)]

    def lengths(self, before: Sequence[Climb]) -> list[int]:
        """Return the lengths of a generation's climb: they begin below the longest that was solved."""
        question, options = self.question, self.options
        begin = max((each.solved_length for each in before), default=0) / options.back
        per_octave = options.per_octave if before else 1
        return ladder(min(max(question.shortest, round(begin)), question.longest), question.longest, per_octave)

    def final(self, climbs: Sequence[Climb]) -> list[Standing]:
        """Run the last round: the plain settings and the farthest others, on the same fresh seeds."""
        question, options = self.question, self.options
        order = sorted((each for each in climbs if each.outcomes), key=self.octaves, reverse=True)
        others = [dict(each.entrant.values) for each in order if dict(each.entrant.values) != question.plain]
        begin = max(question.shortest, round(max((each.solved_length for each in climbs), default=0) / 2))
        lengths = ladder(begin, question.longest, PER_OCTAVE)
        seeds = [seed_of(options, FINAL, place) for place in range(options.seeds)]
        left = self.allowance(climbs) - sum(each.cost for each in climbs)
        settings = [question.plain, *others[: options.finalists]]
        plain = log2(question.search_horizon) if begin > question.search_upper else None
        return compete(settings, seeds, lengths, self.train, question.budget, left, plain)

    def curve(self, chosen: Standing) -> dict[str, Any]:
        """Return the share of seeds that solve half of the chosen settings' horizon, over the learning rate."""
        length = min(max(self.question.shortest, round(2**chosen.octaves / 2)), self.question.longest)
        options = self.options
        seeds = [seed_of(options, CURVE, place) for place in range(options.rate_seeds)]
        return rate_curve(chosen.values, seeds, options.rates, options.rate_step, length, self.train)

    def allowance(self, climbs: Sequence[Climb]) -> float:
        """Return what the tuning may cost: `tune.searches` searches at the horizon that settings were found to have.

        What such a search will cost is not known yet. The least that it may come to counts, so that the tuning does not
        cost more than allowed: in proportion to the horizon, as with the plain settings; what is typical; its cap; and
        beyond the longest length, where a search only climbs.
        """
        question = self.question
        horizon = max(question.search_horizon, solved_twice(climbs))
        costs = [question.search_cost * horizon / question.search_horizon]
        costs += [TYPICAL * question.replicas * question.budget * horizon, question.search_limit]
        if self.is_at_the_end(climbs):
            costs += [question.replicas * each.cost for each in climbs if each.solved_length == question.longest]
        return self.options.searches * min(costs)

    def octaves(self, climbed: Climb) -> float:
        """Return how far settings came, in octaves; 0 if they could not even be tried."""
        if not climbed.outcomes:
            return 0.0
        return significant(octaves_climbed(climbed, self.question.budget))

    def once(self, name: str, work: Callable[[], Any]) -> Any:
        """Return a round from the study; run it and write it there first if it is missing."""
        found = self.study.user_attrs.get(name)
        if found is None:
            found = work()
            self.study.set_user_attr(name, found)
        return found

    def trials_before(self, generation: int) -> list[FrozenTrial]:
        """Return the trials of earlier generations."""
        return [trial for trial in complete_trials(self.study) if trial.user_attrs["generation"] < generation]

    def add_trials(self, generation: int, content: Sequence[Mapping[str, Any]], climbs: Sequence[Climb]) -> None:
        """Add the trials of a generation that are not in the study; plain settings beyond the space are no trial."""
        known = {trial.user_attrs["ordinal"] for trial in complete_trials(self.study)}
        for ordinal, entry, climbed in zip(self.options.ordinals(generation), content, climbs, strict=True):
            params = {name: entry["params"][name] for name in self.question.space}
            if ordinal not in known and climbed.outcomes and holds(self.question.space, params):
                attributes = {"ordinal": ordinal, "generation": generation, **climbed.as_dict(), "cost": climbed.cost}
                self.study.add_trial(
                    create_trial(
                        params=params,
                        distributions=distributions(self.question.space),
                        value=self.octaves(climbed),
                        user_attrs=attributes,
                    )
                )


def solved_twice(climbs: Sequence[Climb]) -> int:
    """Return the longest length that two settings solved, for what one alone does may be luck; 0 if there is none."""
    return max([0, *sorted(each.solved_length for each in climbs)[:-1]])


def complete_trials(study: Study) -> list[FrozenTrial]:
    """Return the complete trials of a study, by their ordinals."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(trials, key=lambda trial: int(trial.user_attrs["ordinal"]))


def importance(study: Study) -> dict[str, float]:
    """Return the share that each setting has in how far settings came, by PED-ANOVA (Watanabe et al. 2023).

    Empty if all came equally far, or hardly any were tried.
    """
    values = {trial.value for trial in complete_trials(study)}
    if len(values) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {name: significant(share) for name, share in found.items()}
