"""The course of a tuning, kept in an Optuna study so that it goes on where it was killed.

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
from pipeline.tuning.climbing import Climb, Entrant, Train, climb, reach
from pipeline.tuning.final import PER_OCTAVE, Standing, compete, ranked, rate_curve
from pipeline.tuning.options import TuneOptions
from pipeline.tuning.space import Space, Values, distributions, holds, propose, rounded

TYPICAL = 5.0
"""What a search costs, in units of its replicas x its budget x the horizon that it finds.

Replicas that solve end early, but a shallow curve takes more trials: within the range of lengths, the searches of the
default grid cost 2 to 10 of these units (LOG.md, "An easier copy").
"""

EACH_SEED = 2**20  # replica numbers that one seed of a choice has
GENERATIONS, FINAL, CURVE = (block * 2**18 for block in range(3))  # where those of each kind of round begin


@dataclass(frozen=True)
class Question:
    """What is tuned, and what a search of it with the plain settings took."""

    plain: Values
    space: Space
    shortest: int
    longest: int
    budget: int  # updates
    replicas: int  # of a trial of the search
    search_cost: float  # replica x updates x length
    search_horizon: float  # the median that it found
    search_upper: float = inf  # the upper end of its interval


@dataclass(frozen=True)
class Chosen:
    """What came out of a tuning."""

    order: list[Standing]  # the chosen settings, then the runner-up, ...
    climbs: list[Climb]  # of all settings
    reached: list[float]  # how far they came, octaves
    curve: Mapping[str, Any]  # see `final.rate_curve`
    importance: Mapping[str, float]
    generations: int
    cost: int  # replica x updates x length of the choice: generations and last round


OnRound = Callable[[int, Sequence[Climb], Sequence[float]], None]  # (generation, climbs, how far they came)


def seed_of(options: TuneOptions, block: int, number: int) -> int:
    """Return a replica number for the choice; from 2^40 on, so no search comes to it (`streams.TUNING`)."""
    return TUNING + options.seed * EACH_SEED + block + number


@dataclass(frozen=True)
class Tuning:
    """Finds settings for one pair."""

    study: Study
    question: Question
    options: TuneOptions
    train: Train
    sampler: Callable[[int], BaseSampler]  # a fresh one for a generation
    on_round: OnRound = lambda generation, climbs, reached: None

    def run(self) -> Chosen:
        """Every round that is not in the study yet, and what comes out."""
        climbs, generations = self.explore()
        final = self.kept("final", lambda: [each.as_dict() for each in self.final(climbs)])
        order = ranked([Standing(**standing) for standing in final], self.options.margin)
        curve = self.kept("curve", lambda: self.curve(order[0]))
        cost = sum(each.cost for each in climbs) + sum(standing.cost for standing in order)
        return Chosen(
            order, climbs, [self.reach(each) for each in climbs], curve, importance(self.study), generations, cost
        )

    def explore(self) -> tuple[list[Climb], int]:
        """Generations of settings, as many as the cost allows."""
        climbs: list[Climb] = []
        last = 0.0  # cost of the last generation
        for generation in range(self.options.generations):
            spent = sum(each.cost for each in climbs)
            allowed = self.options.explore * self.allowance(climbs) - spent
            if allowed < last or self.at_the_end(climbs):
                return climbs, generation
            content = self.kept(f"generation {generation}", partial(self.generation, generation, climbs, allowed))
            mine = [Climb.from_dict(entry) for entry in content]
            self.note(generation, content, mine)
            self.on_round(generation, mine, [self.reach(each) for each in mine])
            climbs, last = climbs + mine, sum(each.cost for each in mine)
        return climbs, self.options.generations

    def at_the_end(self, climbs: Sequence[Climb]) -> bool:
        """Whether the longest length is reached: no settings can be told to go farther."""
        return solved_twice(climbs) == self.question.longest

    def generation(self, number: int, before: Sequence[Climb], allowed: float) -> list[dict[str, Any]]:
        """Settings that the sampler proposes, the plain ones among the first, and how far they climbed."""
        question, ordinals = self.question, self.options.ordinals(number)
        plain = [question.plain] if number == 0 else []
        params = [dict(each) for each in plain]
        params += propose(question.space, self.sampler(number), self.seen(number), len(ordinals) - len(plain))
        values = [*plain, *({**question.plain, **rounded(each)} for each in params[len(plain) :])]
        seeds = [seed_of(self.options, GENERATIONS, ordinal) for ordinal in ordinals]
        entrants = [Entrant(each, seed) for each, seed in zip(values, seeds, strict=True)]
        climbs = climb(entrants, self.lengths(before), self.train, self.options.kept, question.budget, allowed)
        return [each.as_dict() | {"params": given} for each, given in zip(climbs, params, strict=True)]

    def lengths(self, before: Sequence[Climb]) -> list[int]:
        """The lengths of a generation's climb: from some way below the longest that was solved."""
        question, options = self.question, self.options
        begin = max((each.solved for each in before), default=0) / options.back
        per_octave = options.per_octave if before else 1
        return ladder(min(max(question.shortest, round(begin)), question.longest), question.longest, per_octave)

    def final(self, climbs: Sequence[Climb]) -> list[Standing]:
        """The plain settings and the farthest others, on the same fresh seeds."""
        question, options = self.question, self.options
        order = sorted((each for each in climbs if each.finishes), key=self.reach, reverse=True)
        others = [dict(each.entrant.values) for each in order if dict(each.entrant.values) != question.plain]
        begin = max(question.shortest, round(max((each.solved for each in climbs), default=0) / 2))
        lengths = ladder(begin, question.longest, PER_OCTAVE)
        seeds = [seed_of(options, FINAL, place) for place in range(options.seeds)]
        left = self.allowance(climbs) - sum(each.cost for each in climbs)
        settings = [question.plain, *others[: options.finalists]]
        plain = log2(question.search_horizon) if begin > question.search_upper else None
        return compete(settings, seeds, lengths, self.train, question.budget, left, plain)

    def curve(self, chosen: Standing) -> dict[str, Any]:
        """The share of seeds that solve half the chosen settings' horizon, over the learning rate."""
        length = min(max(self.question.shortest, round(2**chosen.octaves / 2)), self.question.longest)
        options = self.options
        seeds = [seed_of(options, CURVE, place) for place in range(options.rate_seeds)]
        return rate_curve(chosen.values, seeds, options.rates, options.rate_step, length, self.train)

    def allowance(self, climbs: Sequence[Climb]) -> float:
        """What the choice may cost: some searches at the horizon that settings were found to reach.

        What that search will cost is not known yet. The cheapest that it may come to counts, so that the choice does
        not cost more than it may: in proportion to the horizon as with the plain settings; what is typical; and
        beyond the longest length, where a search only climbs.
        """
        question = self.question
        horizon = max(question.search_horizon, solved_twice(climbs))
        costs = [question.search_cost * horizon / question.search_horizon]
        costs += [TYPICAL * question.replicas * question.budget * horizon]
        if self.at_the_end(climbs):
            costs += [question.replicas * each.cost for each in climbs if each.solved == question.longest]
        return self.options.searches * min(costs)

    def reach(self, climbed: Climb) -> float:
        """How far settings came, octaves; who could not even be tried came as far as the shortest length's failures."""
        if not climbed.finishes:
            return 0.0
        return significant(reach(climbed, self.question.budget))

    def kept(self, name: str, work: Callable[[], Any]) -> Any:
        """A round from the study, run and written to it if it is not there."""
        found = self.study.user_attrs.get(name)
        if found is None:
            found = work()
            self.study.set_user_attr(name, found)
        return found

    def seen(self, generation: int) -> list[FrozenTrial]:
        """The trials of earlier generations."""
        return [trial for trial in recorded(self.study) if trial.user_attrs["generation"] < generation]

    def note(self, generation: int, content: Sequence[Mapping[str, Any]], climbs: Sequence[Climb]) -> None:
        """Add the trials of a generation that are not in the study; plain settings beyond the space are no trial."""
        known = {trial.user_attrs["ordinal"] for trial in recorded(self.study)}
        for ordinal, entry, climbed in zip(self.options.ordinals(generation), content, climbs, strict=True):
            params = {name: entry["params"][name] for name in self.question.space}
            if ordinal not in known and climbed.finishes and holds(self.question.space, params):
                attributes = {"ordinal": ordinal, "generation": generation, **climbed.as_dict(), "cost": climbed.cost}
                self.study.add_trial(
                    create_trial(
                        params=params,
                        distributions=distributions(self.question.space),
                        value=self.reach(climbed),
                        user_attrs=attributes,
                    )
                )


def solved_twice(climbs: Sequence[Climb]) -> int:
    """Return the longest length that two settings solved, for what one alone does may be luck; 0 if there is none."""
    return max([0, *sorted(each.solved for each in climbs)[:-1]])


def recorded(study: Study) -> list[FrozenTrial]:
    """Return the trials of a study in their order."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(trials, key=lambda trial: int(trial.user_attrs["ordinal"]))


def importance(study: Study) -> dict[str, float]:
    """Return the share that each setting has in how far settings came, by PED-ANOVA (Watanabe et al. 2023).

    Empty where all came equally far, or hardly any were tried.
    """
    values = {trial.value for trial in recorded(study)}
    if len(values) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {name: significant(share) for name, share in found.items()}
