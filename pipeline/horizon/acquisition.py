"""The next length to try: the most information about the horizon for its cost, climbing from the shortest.

    next T = argmax I(T) / C(T)        C(T) = R (T (1 - p(T) (1 - u)) + 16)

R replicas a trial, p the mean chance to solve, u the share of the budget that solvers use; 16 stands for what a trial
costs at any length. A length is allowed up to `leap` times the longest that at least half of the replicas solved, as
far as the cap on compute allows a trial (`findings.py`).
"""

from collections.abc import Iterator, Sequence
from math import expm1, log2
from typing import NamedTuple, TypeAlias

from pipeline.horizon.contradictions import next_check
from pipeline.horizon.findings import Findings
from pipeline.horizon.ladder import ladder
from pipeline.horizon.observation import Observation
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.stopping import aim_of
from pipeline.horizon.t90 import Ninety

OVERHEAD = 16  # steps through time that a replica costs whatever its length
USED = 0.5  # share of the budget that a solver uses, until one has solved
NEARLY = 1 - 1e-9  # values closer than this are a tie, which goes to the shorter length


Belief: TypeAlias = Posterior | Ninety  # what an ask goes by


class Question(NamedTuple):
    """What to try next."""

    length: int
    aim: str  # "t50"; "t90" once T50 is known; "check" to contradict what is known
    replicas: int


def next_question(found: Findings) -> Question:
    """Return the length to try next, what it is to tell about, and with how many replicas."""
    aim, replicas = purpose(found)
    if aim == "check" and (check := next_check(found)):
        return Question(check[0], aim, replicas)
    belief = found.ninety if aim == "t90" else found.posterior
    return Question(next_length(found, belief), aim, replicas)


def purpose(found: Findings) -> tuple[str, int]:
    """Return what the next trial is to tell about, and with how many replicas."""
    aim = aim_of(found)
    check = next_check(found) if aim == "check" else None
    return aim, check[1] if check else found.options.replicas


def next_length(found: Findings, belief: Belief) -> int:
    """Return the length of the ladder with the most expected information for its cost."""
    worth = {length: gain / cost for length, gain, cost in prospects(found, belief)}
    best = max(worth.values())
    return min(length for length, value in worth.items() if value >= NEARLY * best)


def prospects(found: Findings, belief: Belief) -> Iterator[tuple[int, float, float]]:
    """Yield every length that may be tried, its expected information I(T) and its expected cost C(T).

    A length of which a trial might exceed the cap on compute may not be tried.
    """
    options, used = found.options, share_used(found.seen)
    highest = max(min(found.ceiling, found.affordable), options.length_min)
    for length in ladder(options.length_min, options.length_max, options.per_octave):
        if length <= highest:
            cost = trial_cost(length, belief.chance(length), options.replicas, used)
            yield length, belief.information(length, options.replicas), cost


def share_used(seen: Sequence[Observation]) -> float:
    """Return the mean share of the budget that solved replicas used, .5 before there is one."""
    shares = [update / trial.budget for trial in seen if trial.budget for update in trial.updates if update is not None]
    return sum(shares) / len(shares) if shares else USED


def trial_cost(length: int, chance: float, replicas: int, used: float) -> float:
    """Return the expected cost C(T) of a trial, in replicas x budget x length."""
    return replicas * (length * (1 - chance * (1 - used)) + OVERHEAD)


def remaining_compute(found: Findings) -> float:
    """Return about how much more compute the interval needs, in replica x updates x length; for a progress bar.

    Precision grows in proportion to the trials: one that tells I nats multiplies it by exp(2 I), so that a width w
    reaches the goal w' after ((w / w')^2 - 1) / (exp(2 I) - 1) trials like the next.
    """
    options, belief = found.options, found.posterior
    best = max(prospects(found, belief), key=lambda prospect: prospect[1] / prospect[2])
    wanted = (belief.octaves(options.level) / log2(options.factor)) ** 2 - 1
    trials = max(wanted, 0.0) / max(expm1(2 * best[1]), 1e-9)
    left = min(max(trials, 1.0), options.trials - len(found.seen)) * best[2] * found.budget
    return min(left, max(options.limit - found.cost, 0.0))
