"""An Optuna sampler that searches for the length at which half of the replicas still solve a task."""

from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from pipeline.horizon.acquisition import next_question
from pipeline.horizon.findings import Findings
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.stopping import reason_to_stop
from pipeline.study.trials import LENGTH, observations


class HorizonSampler(BaseSampler):
    """Asks for the length that tells most about the horizon for its cost.

    A study has one integer parameter, `length`, on a log scale. A trial trains some replicas at that length; its value
    is the share that solved it. The horizon is the length at which that share crosses one half.

    The sampler keeps no state and draws nothing at random: the next length is a function of the complete trials, which
    it reads from the study at each ask. So a search goes on where it was stopped, in any number of processes.

    A trial may record as user attributes `replicas` and `solved` (else `replicas` is that of the sampler, `solved` the
    value times that), `updates` (at which each replica solved, or None) and `budget`, from which the cost is predicted.

    >>> import random
    >>> import optuna
    >>> def share_solved(trial):  # a toy: the chance to solve falls from 1 to 0 around length 100
    ...     length = trial.suggest_int("length", 4, 1024, log=True)
    ...     chance = 1 / (1 + (length / 100) ** 4)
    ...     draw = random.Random(trial.number)
    ...     return sum(draw.random() < chance for replica in range(4)) / 4
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> sampler = HorizonSampler(4, 1024, replicas=4)
    >>> study = optuna.create_study(direction="maximize", sampler=sampler)
    >>> study.optimize(share_solved, n_trials=60, callbacks=[sampler.stop_when_known])
    >>> len(study.trials) < 60
    True
    >>> lower, upper = (2**end for end in sampler.posterior(study).interval(0.9))
    >>> lower < 100 < upper < 1.5 * lower
    True
    """

    def __init__(
        self,
        shortest: int,
        longest: int,
        *,
        replicas: int = 4,
        leap: float = 2.0,
        per_octave: int = 8,
        factor: float = 1.5,
        level: float = 0.9,
        certainty: float = 0.95,
        t90: bool = False,
        t90_trials: int = 12,
        independent_sampler: BaseSampler | None = None,
    ) -> None:
        """Search between two lengths; the other settings are those of `SearchOptions`, under the same names.

        `independent_sampler` samples any parameter other than `length`; without it, another parameter is an error.
        """
        self.options = SearchOptions(
            length_min=shortest,
            length_max=longest,
            replicas=replicas,
            factor=factor,
            level=level,
            certainty=certainty,
            trials=10**9,
            compute=None,
            leap=leap,
            per_octave=per_octave,
            t90=t90,
            t90_trials=t90_trials,
            budgets=1,
            fresh=False,
        )
        self.options.check()
        self.independent_sampler = independent_sampler

    @classmethod
    def of(cls, options: SearchOptions) -> "HorizonSampler":
        """Return the sampler of a search with these options."""
        sampler = cls(options.length_min, options.length_max)
        sampler.options = options
        return sampler

    def posterior(self, study: Study) -> Posterior:
        """Return what the complete trials of a study say about the horizon."""
        return self._findings(study).posterior

    def stop_when_known(self, study: Study, trial: FrozenTrial) -> None:
        """Stop `study.optimize` once the horizon is known; a callback."""
        if reason_to_stop(self._findings(study)):
            study.stop()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the one parameter."""
        return {LENGTH: IntDistribution(self.options.length_min, self.options.length_max, log=True)}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the next length, or nothing where the study does not ask for one."""
        require_one_objective(study)
        return {LENGTH: next_question(self._findings(study))[0]} if LENGTH in search_space else {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Leave any other parameter to the independent sampler; raise ValueError if there is none."""
        require_one_objective(study)
        if self.independent_sampler is None:
            low, high = self.options.length_min, self.options.length_max
            raise ValueError(
                f"HorizonSampler suggests one parameter, suggest_int({LENGTH!r}, {low}, {high}, log=True); "
                f"got {param_name!r}, {param_distribution}"
            )
        return self.independent_sampler.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Reseed the independent sampler; the length is not drawn at random."""
        if self.independent_sampler is not None:
            self.independent_sampler.reseed_rng()

    def _findings(self, study: Study) -> Findings:
        return Findings.of(observations(study, self.options.replicas), self.options)


def require_one_objective(study: Study) -> None:
    """Raise ValueError where trials have more values than the share that solved."""
    if len(study.directions) > 1:
        raise ValueError("HorizonSampler needs a study with one objective, the share of the replicas that solved")
