"""The law of learning time: how many updates solving takes, against length, with seeds that did not solve as censored.

    log U = a + b log T + sigma z,  z ~ N(0, 1)

an accelerated failure time model with log-normal times (Kalbfleisch and Prentice 2002, The Statistical Analysis of
Failure Time Data, 2nd ed., ch. 7), fitted by maximum likelihood; a seed that was stopped at the budget counts by
P(U > budget). b is the exponent of the power law U ~ T^b: 1 / b octaves of length for an octave of updates. Its
interval is that of the profile likelihood. A large b is a wall.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np

from pipeline.base.numbers import significant
from pipeline.horizon.model import Array
from pipeline.horizon.observation import Observation

STEEPEST = 64.0  # exponents beyond are not told apart
LEAST = 1e-3  # of sigma: updates are counted between probes


@dataclass(frozen=True)
class LearningTime:
    """The exponent of the power law with its interval, and the law itself."""

    exponent: float
    lower: float
    upper: float
    log_updates: float  # a: log of the updates that length 1 would take
    spread: float  # sigma, in natural logarithms
    solved: int  # seeds
    censored: int  # seeds that did not solve within the budget

    def updates(self, length: float) -> float:
        """Return the median number of updates that solving this length takes."""
        return exp(self.log_updates + self.exponent * log(length))


@dataclass(frozen=True)
class Times:
    """Learning times of all seeds, as logarithms."""

    lengths: Array  # log T - mean
    updates: Array  # log U, or log of the budget where it was censored
    solved: Array  # 1 or 0

    def minus_log_likelihood(self, a: float, b: float, log_sigma: float) -> float:
        """Return minus the log likelihood of a law, up to a constant."""
        from scipy.special import log_ndtr  # here and below: who only reads a law does without scipy, a second

        sigma = LEAST + np.exp(log_sigma)
        z = (self.updates - a - b * self.lengths) / sigma
        each = np.where(self.solved > 0, -z * z / 2 - np.log(sigma), log_ndtr(-z))
        return float(-each.sum())


def learning_time(seen: Sequence[Observation], level: float) -> LearningTime | None:
    """Return the law; None where fewer than two lengths were solved, or no trial says when."""
    rows = [(trial.length, update, trial.budget) for trial in seen for update in trial.updates]
    if len({length for length, update, _ in rows if update}) < 2:
        return None
    from scipy.stats import chi2

    raw = np.log([float(length) for length, _, _ in rows])
    centre = float(raw.mean())
    solved = np.array([float(update is not None) for _, update, _ in rows])
    times = Times(raw - centre, np.log([float(update or budget) for _, update, budget in rows]), solved)
    best = fit(times)
    limit = best[3] + float(chi2.ppf(level, 1)) / 2
    lower, upper = (edge(times, best, limit, far) for far in (-STEEPEST, STEEPEST))
    return LearningTime(
        exponent=significant(best[1]),
        lower=significant(lower),
        upper=significant(upper),
        log_updates=significant(best[0] - best[1] * centre),
        spread=significant(LEAST + exp(best[2])),
        solved=int(solved.sum()),
        censored=int((1 - solved).sum()),
    )


def fit(times: Times, exponent: float | None = None) -> tuple[float, float, float, float]:
    """Return a, b, log sigma and minus the log likelihood of the best law, or of the best with this exponent."""
    known = times.solved > 0
    begin = [float(times.updates[known].mean()), 0.5, log(max(float(times.updates[known].std()), 0.1))]
    from scipy.optimize import minimize

    def cost(point: Array) -> float:
        a, b, log_sigma = (point[0], point[1], point[2]) if exponent is None else (point[0], exponent, point[1])
        return times.minus_log_likelihood(a, b, min(log_sigma, 20.0))

    begin = begin if exponent is None else [begin[0], begin[2]]
    found = minimize(cost, begin, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000})
    point = [float(value) for value in found.x]
    b = point[1] if exponent is None else exponent
    return point[0], b, point[-1], float(found.fun)


def edge(times: Times, best: tuple[float, float, float, float], limit: float, far: float) -> float:
    """Return the exponent on the side of `far` at which the profile likelihood falls to the limit, or `far`."""

    def above(exponent: float) -> float:
        return fit(times, exponent)[3] - limit

    return crossing(above, best[1], far)


def crossing(above: Callable[[float], float], begin: float, far: float) -> float:
    """Return where a function that is negative at `begin` turns positive towards `far`; `far` if it never does."""
    from scipy.optimize import brentq

    step, last = 0.25 if far > begin else -0.25, begin
    while abs(last - begin) < abs(far - begin):
        here = last + step
        if above(here) > 0:
            return float(brentq(above, last, here, xtol=1e-5))
        last, step = here, 2 * step
    return far
