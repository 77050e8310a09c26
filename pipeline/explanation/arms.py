"""The interventions: failing seeds are trained again with the same weights and sequences and one thing changed.

luck           other training sequences, all else the same: what any retraining may rescue
memory         the cell begins with a longer memory, as it has one: `Cell.memory`
regularizer    Omega (Pascanu et al. 2013), which preserves the norm of the gradient from step to step; tanh RNN
smaller        smaller steps: a third of the learning rate and a tenth of the clip
budget         four times the updates
both           smaller steps and four times the updates; compared with `budget`
larger         ten times the learning rate, where nothing else has rescued: steps too small to learn within the budget

The factors are those of conf/explain.yaml.
"""

from dataclasses import dataclass

from pipeline.explanation.options import ExplainOptions

PLAIN = "plain"  # the first training, which tells who fails
LUCK, MEMORY, REGULARIZER, SMALLER, BUDGET, BOTH, LARGER = ARMS = (
    "luck",
    "memory",
    "regularizer",
    "smaller",
    "budget",
    "both",
    "larger",
)
WORDS = {
    PLAIN: "plain",
    LUCK: "other sequences",
    MEMORY: "longer memory at init",
    REGULARIZER: "regularizer",
    SMALLER: "smaller steps",
    BUDGET: "{budget} × the updates",
    BOTH: "smaller steps, {budget} × the updates",
    LARGER: "larger steps",
}
PRESERVE = (MEMORY, REGULARIZER)  # what keeps a gradient alive on its way back
SAME_BUDGET = (MEMORY, REGULARIZER, SMALLER)
BASELINE = {BOTH: BUDGET}  # of the others: luck
SHORTER = {BUDGET: PLAIN, BOTH: SMALLER}  # what differs from it in the number of updates alone


@dataclass(frozen=True)
class Change:
    """What an arm changes, as factors of the pair's own settings."""

    budget: int = 1
    rate: float = 1.0
    clip: float = 1.0
    memory: bool = False
    regularizer: float | None = None  # the weight; None: as it is
    other_sequences: bool = False


def change(arm: str, options: ExplainOptions) -> Change:
    """Return what an arm changes."""
    rate, clip = 1 / options.slower, 1 / options.clip
    known = {
        PLAIN: Change(),
        LUCK: Change(other_sequences=True),
        MEMORY: Change(memory=True),
        REGULARIZER: Change(regularizer=options.regularizer),
        SMALLER: Change(rate=rate, clip=clip),
        BUDGET: Change(budget=options.budget),
        BOTH: Change(budget=options.budget, rate=rate, clip=clip),
        LARGER: Change(rate=options.faster),
    }
    return known[arm]


def words(arm: str, budget: int) -> str:
    """Return an arm in words; `budget` is its multiple of the updates where it changes that."""
    return WORDS[arm].format(budget=budget)
