"""The lengths at which a few replicas may contradict the model at little cost, once it has an answer.

A search that climbs from the shortest length ends at the first one that fails. Two things would then be missed: that
longer lengths are solved again (the failing ones are a dip, or some replicas go farther), and that lengths which it
leapt over are not solved. So a stated part of the compute (`search.checks`), but at least one replica, goes to replicas
- beyond the horizon, `STEP` octaves and twice that, or wherever the model is as good as sure of failure (`SURE`);
- below it, in the middle of the widest gap between lengths that were tried, or between them and where failure begins.
What comes out against the model is repeated at once with all replicas of a trial. That takes no part of that share, for
it is cheap where they solve, and it decides: the belief then follows, and the search goes on by itself.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log2

from pipeline.horizon.belief import belief
from pipeline.horizon.findings import Findings
from pipeline.horizon.ladder import ladder
from pipeline.horizon.observation import Observation
from pipeline.horizon.posterior import Posterior

MOST = 2  # replicas of a check
SURE = 0.05  # chance to solve beyond the horizon, or to fail below it, at which the model is contradicted
STEP = 0.75  # octaves
DEEP = 3.0  # octaves below the horizon: gaps farther down are left alone
GAP = 0.6  # octaves between neighbouring lengths, from which on there is one


def next_check(found: Findings) -> tuple[int, int] | None:
    """Return the next length to check, and with how many replicas; None where nothing is left, or the part is spent."""
    options, budget = found.options, found.budget
    if not options.checks or not budget:
        return None
    checks = [trial for trial in found.seen if trial.aim == "check"]
    if odd := first_odd(checks, found):
        return odd, options.replicas
    done = {trial.length for trial in checks}
    spent = sum(trial.cost for trial in checks if trial.replicas <= MOST)
    left = min(options.checks * (found.cost - spent) - spent, options.limit - found.cost)
    before = [trial for trial in found.seen if trial.aim != "check"]
    for length in lengths_to_check(before, found):
        replicas = min(MOST, options.replicas, max(int(left / (budget * length)), 0 if checks else 1))
        if length not in done and replicas and length <= found.affordable:
            return length, replicas
    return None


def first_odd(checks: Sequence[Observation], found: Findings) -> int | None:
    """Return the length of a check that came out against the model and was not repeated with all replicas yet."""
    middle = found.posterior.quantile(0.5)
    for trial in checks:
        beyond_it = log2(trial.length) > middle
        odd = trial.solved > 0 if beyond_it else trial.solved < trial.replicas
        alone = sum(each.length == trial.length for each in found.seen) == 1
        if odd and alone and trial.length <= found.affordable:
            return trial.length
    return None


def lengths_to_check(before: Sequence[Observation], found: Findings) -> Iterator[int]:
    """Yield the lengths worth a check after these trials, the one that tells most first."""
    options = found.options
    alone = found.posterior if len(before) == len(found.seen) else belief(before, found.posterior.grid)
    rungs = ladder(options.length_min, options.length_max, options.per_octave)
    middle = alone.quantile(0.5)
    near, far = beyond(alone, rungs, middle + STEP), beyond(alone, rungs, middle + 2 * STEP)
    yield from [near] if near else []
    yield from gap_below(before, alone, rungs, middle)
    yield from [far] if far and far != near else []


def beyond(alone: Posterior, rungs: Sequence[int], octaves: float) -> int | None:
    """Return the shortest length from `octaves` on at which the model is sure of failure; None if there is none."""
    return next((each for each in rungs if log2(each) >= octaves and alone.chance(each) <= SURE), None)


def gap_below(before: Sequence[Observation], alone: Posterior, rungs: Sequence[int], middle: float) -> list[int]:
    """Return the length in the middle of the widest gap at which the model is sure of success, if there is one."""
    lengths = sorted({trial.length for trial in before if middle - DEEP <= log2(trial.length)})
    sure = [each for each in rungs if log2(each) <= middle and alone.chance(each) >= 1 - 2 * SURE]
    gaps = [(log2(longer / shorter), shorter, longer) for shorter, longer in pairwise(lengths)]
    for octaves, shorter, longer in sorted(gaps, reverse=True):
        centre = (shorter * longer) ** 0.5
        inside = [each for each in sure if shorter < each < longer]
        if octaves >= GAP and inside:
            return [min(inside, key=lambda each: abs(log2(each / centre)))]
    return []
