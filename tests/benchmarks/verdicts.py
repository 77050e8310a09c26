"""Does the rule name causes that were planted? Some minutes of training on one core.

    python -m tests.benchmarks.verdicts

Each case is a training that fails for a reason which is known, for that is what was done to it: an RNN whose recurrent
matrix begins small, or large and without a clip; a learning rate of a hundredth; a cell that is linear in its state on
a task that needs a product; the two signatures of Pascanu et al. 2013, section 2. All seeds of a case are trained and,
where they fail, retrained as `pipeline.explain` does, at once and without a cap. Counted is the verdict of each failing
seed, and of each case. Killed and started again, it goes on from the last training that had ended.
"""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.files import write_json
from pipeline.base.terminal import Display, open_display
from pipeline.explanation.rule import CANNOT, SLOW, UNSTABLE, VANISHING, VERDICTS, verdict
from pipeline.records.explanation import case_of
from pipeline.runs.arms import Trainer
from pipeline.runs.explain import Rounds, cannot
from pipeline.runs.prepared import held_out_of
from pipeline.settings.fingerprint import explanation_fingerprint
from tests.conftest import compose

RESULT = Path("results/benchmarks/verdicts.json")
SEEDS = 7  # of a case: 63 trainings that fail for a known reason
WANTED = 0.9  # share of the failing seeds whose verdict is the planted one
SMALL = (
    f"explain.group={SEEDS}",
    f"explain.round={SEEDS}",
    f"explain.failing={SEEDS}",
    "data.held_out=200",
    "training.probe_every=25",
    "training.threads=1",
    "tracking.enabled=false",
)
UNCAPPED = 10**12


@dataclass(frozen=True)
class Planted:
    """One case: its settings, its length, and the verdict that it must have."""

    words: str
    length: int
    verdict: str


RNN = "task=temporal_order cell=rnn"
CASES = {
    "RNN, gain 0.4": Planted(f"{RNN} cell.gain=0.4 training.updates=150", 25, VANISHING),
    "RNN, tiny weights (Pascanu's sigmoid)": Planted(f"{RNN} cell.init=sigmoid training.updates=150", 25, VANISHING),
    "LSTM, forget bias -1": Planted(
        "task=temporal_order cell=lstm cell.init=torch cell.forget_bias=-1 optimizer.lr=0.01 training.updates=250",
        40,
        VANISHING,
    ),
    "RNN, gain 3, no clip": Planted(f"{RNN} cell.gain=3 training.clip=inf training.updates=300", 20, UNSTABLE),
    "RNN, SGD of rate 1, no clip (Pascanu's exploding)": Planted(
        f"{RNN} optimizer=sgd optimizer.lr=1 training.clip=inf training.updates=400", 10, UNSTABLE
    ),
    "GRU, a hundredth of the rate": Planted(
        "task=temporal_order cell=gru optimizer.lr=0.00003 training.updates=500", 10, SLOW
    ),
    "RNN, a hundredth of the rate": Planted(f"{RNN} optimizer.lr=0.00003 training.updates=400", 10, SLOW),
    "LRU, adding": Planted("task=adding cell=lru training.updates=300", 10, CANNOT),
    "LRU, multiplication": Planted("task=multiplication cell=lru training.updates=300", 10, CANNOT),
}


def found(name: str, display: Display) -> dict[str, Any]:
    """Train one case, and return its verdict and those of its failing seeds."""
    case = CASES[name]
    settings = compose(*case.words.split(), *SMALL)
    folder = settings.state / ".state" / "explain" / f"planted-{explanation_fingerprint(settings, case.length)}"
    rounds = Rounds(settings, display, Trainer(settings, held_out_of(settings), case.length, folder), UNCAPPED)
    reason = rounds.run()
    told = case_of(rounds.trainings, cannot(settings) is not None)
    shares = {arm: f"{share.solved}/{share.seeds}" for arm, share in told.arms.items()}
    return {
        "settings": case.words,
        "length": case.length,
        "planted": case.verdict,
        "verdict": verdict(told),
        "seeds": dict(Counter(told.own)),
        "solved": told.solved,
        "rescued": shares,
        "ended": reason,
    }


def confusion(cases: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Return how many failing seeds with each planted cause have each verdict."""
    table: dict[str, Counter[str]] = {}
    for case in cases.values():
        table.setdefault(case["planted"], Counter()).update(case["seeds"])
    return {planted: {each: counts[each] for each in VERDICTS if counts[each]} for planted, counts in table.items()}


def main() -> None:
    """Run all cases, or those that the command line names by a part of their name."""
    cases = {}
    with open_display("verdicts") as display:
        for name in CASES:
            if not sys.argv[1:] or any(word in name for word in sys.argv[1:]):
                cases[name] = found(name, display)
                print(name, {key: value for key, value in cases[name].items() if key != "settings"}, flush=True)
    table = confusion(cases)
    seeds = sum(sum(row.values()) for row in table.values())
    right = sum(row.get(planted, 0) for planted, row in table.items())
    pairs = sum(case["verdict"] == case["planted"] for case in cases.values())
    summary = {
        "seeds": seeds,
        "right": right,
        "share": round(right / seeds, 3),
        "cases": len(cases),
        "cases right": pairs,
    }
    print(table, summary)
    if len(cases) == len(CASES):
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        write_json(RESULT, {"wanted": WANTED, **summary, "confusion": table, "by_case": cases})
    raise SystemExit(0 if right >= WANTED * seeds else 1)


if __name__ == "__main__":
    main()
