"""The learning rate of a pair: each rate climbs the lengths on some seeds, at the same cost for every cell."""

from collections.abc import Sequence
from statistics import mean

from pipeline.base.numbers import significant
from pipeline.horizon.ladder import ladder
from pipeline.records.atlas import RateRecord
from pipeline.runs.race import Trainer
from pipeline.settings import Settings
from pipeline.settings.fingerprint import rate_fingerprint
from pipeline.tuning.climbing import Climb, Entrant, climb, octaves_climbed
from pipeline.tuning.rounds import RATES, seed_of

ALL = 1.0  # share that goes on to the next length: a rate that is slow at short lengths may be the best at long ones


def choose_rate(settings: Settings) -> RateRecord:
    """Return the learning rate with which a pair comes farthest, its seeds' mean.

    Seeds that solve a length try that of twice as many steps, until the cost is spent; the fastest then go first. No
    seed and no held-out sequence is one of a search. A pure function of the settings.
    """
    options, budget = settings.atlas, settings.training.updates
    climbs = climb(
        entrants(settings),
        ladder(settings.search.length_min, settings.search.length_max, 1),
        Trainer(settings),
        ALL,
        budget,
        float(options.climb * budget),
    )
    octaves = tuple(of_rates(climbs, options.seeds, budget))
    best = max(octaves)
    return RateRecord(
        made_by=rate_fingerprint(settings),
        chosen=options.rates[octaves.index(best)],
        rates=tuple(options.rates),
        seeds=options.seeds,
        octaves=octaves,
        longest=max(each.solved_length for each in climbs),
        cost=sum(each.cost for each in climbs),
    )


def entrants(settings: Settings) -> list[Entrant]:
    """Return each rate with each seed, the rates in their order."""
    plain = {"optimizer.name": settings.names["optimizer"], "training.clip": settings.training.clip}
    rates, seeds = settings.atlas.rates, [seed_of(settings.tune, RATES, each) for each in range(settings.atlas.seeds)]
    return [Entrant({**plain, "optimizer.lr": rate}, seed) for rate in rates for seed in seeds]


def of_rates(climbs: Sequence[Climb], seeds: int, budget: int) -> list[float]:
    """Return how far each rate came, in octaves."""
    reached = [octaves_climbed(each, budget) if each.outcomes else 0.0 for each in climbs]
    return [significant(mean(reached[begin : begin + seeds])) for begin in range(0, len(reached), seeds)]
