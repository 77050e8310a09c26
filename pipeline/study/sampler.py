"""An Optuna sampler that searches for the length at which half of the replicas still solve a task."""

from collections.abc import Sequence
from operator import index
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from pipeline.base.errors import UserError
from pipeline.horizon.acquisition import next_question
from pipeline.horizon.findings import Findings
from pipeline.horizon.options import SearchOptions
from pipeline.horizon.posterior import Posterior
from pipeline.horizon.stopping import reason_to_stop
from pipeline.study import optuna_private
from pipeline.study.trials import LENGTH, REFUSED, observations, told


class HorizonSampler(BaseSampler):
    """Asks for the length that tells most about the horizon for its cost.

    A study has one integer parameter, `length`, on a log scale. A trial trains some replicas at that length; its value
    is the share that solved it. The horizon is the length at which that share crosses one half.

    That share is taken to fall with the length: what fails at the shortest lengths and solves longer ones is called
    "below", and a dip ends the study at its lower end. `python -m pipeline.search` looks for contradictions.

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

        Raises ValueError for the first that has another type or is out of its range.
        `independent_sampler` samples any parameter other than `length`; without it, another parameter is an error.
        """
        self.options = _checked(
            SearchOptions(
                length_min=_whole("shortest", shortest),
                length_max=_whole("longest", longest),
                replicas=_whole("replicas", replicas),
                factor=_number("factor", factor),
                level=_number("level", level),
                certainty=_number("certainty", certainty),
                trials=10**9,
                compute=None,
                leap=_number("leap", leap),
                per_octave=_whole("per_octave", per_octave),
                t90=_flag("t90", t90),
                t90_trials=_whole("t90_trials", t90_trials),
                budgets=1,
                fresh=False,
            )
        )
        self.independent_sampler = independent_sampler

    @classmethod
    def of(cls, options: SearchOptions) -> "HorizonSampler":
        """Return the sampler of a search with these options, which are checked where they are read."""
        sampler = cls(1, 2)
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
        """Return nothing: a length is chosen where it is asked for, for only there its distribution can be checked."""
        require_one_objective(study)
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the next length, and leave any other parameter to the independent sampler.

        Raises ValueError where there is none, and where the length has another distribution than it must have.
        """
        require_one_objective(study)
        wanted = self.infer_relative_search_space(study, trial).get(param_name)
        if wanted is not None and wanted == param_distribution:
            return next_question(self._findings(study)).length
        if self.independent_sampler is None or wanted is not None:
            low, high = self.options.length_min, self.options.length_max
            raise ValueError(
                f"HorizonSampler suggests one parameter, suggest_int({LENGTH!r}, {low}, {high}, log=True); "
                f"got {param_name!r}, {param_distribution}"
            )
        return self.independent_sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Raise ValueError where a trial was told something else than a share of its replicas, or has no length.

        Its value is not recorded, and it counts for nothing.
        """
        alone = self.independent_sampler is None
        if state != TrialState.COMPLETE or not values or not (alone or LENGTH in trial.params):
            return
        try:
            if LENGTH not in trial.params:
                low, high = self.options.length_min, self.options.length_max
                raise ValueError(f"trial {trial.number} must suggest_int({LENGTH!r}, {low}, {high}, log=True)")
            told(trial.number, trial.params[LENGTH], values[0], trial.user_attrs, self.options.replicas)
        except ValueError as error:
            optuna_private.note(study, trial, REFUSED, str(error))
            raise

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


def _whole(name: str, value: Any) -> int:
    """Return a whole number, also one of numpy's; raise ValueError for anything else."""
    try:
        if not isinstance(value, bool):
            return index(value)
    except TypeError:
        pass
    raise ValueError(f"HorizonSampler: {name} must be a whole number; got {value!r}")


def _flag(name: str, value: Any) -> bool:
    """Return a truth value; raise ValueError for anything else."""
    if isinstance(value, bool):
        return value
    raise ValueError(f"HorizonSampler: {name} must be True or False; got {value!r}")


def _number(name: str, value: Any) -> float:
    """Return a number; raise ValueError for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"HorizonSampler: {name} must be a number; got {value!r}")


def _checked(options: SearchOptions) -> SearchOptions:
    """Return the options; raise ValueError for the first value that is out of its range, in the sampler's words."""
    try:
        options.check()
    except UserError as error:
        words = str(error).replace("search.length_min", "shortest").replace("search.length_max", "longest")
        raise ValueError(f"HorizonSampler: {words.replace('search.', '')}") from error
    return options
