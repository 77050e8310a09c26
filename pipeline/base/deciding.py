"""What decides a result: which settings, and which code. Nothing else makes a result stale.

    python -m pipeline.base.deciding

writes results/code.json, the meaning of the code behind each stage, each cell and each task as digests. The stages of
dvc.yaml depend on its keys and not on source files, so an edit that changes no meaning (see `meaning.py`) reruns none.
"""

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from pipeline.base.files import digest, write_json
from pipeline.base.meaning import Code
from pipeline.base.trees import flatten

ROOT = Path(__file__).parents[2]

# Settings, as sections or section.name.
NO_RESULT = (
    "executor",
    "paths",
    "sweep",
    "tracking",
    "training.threads",
    "search.fresh",
    "tune.fresh",
    "explain.fresh",
)
"""Where it runs, on how many threads, where things go, whether anew."""
NOT_OF_A_SEARCH = ("training.length", "training.replicas", "search.tuned")
"""Of train alone, or at work in other settings already."""

HOW_MANY = ("explain.share", "explain.group", "explain.round", "explain.failing", "explain.searches", "explain.least")
"""How many trainings an explanation makes: those that it has count on."""

# Code, as modules and rooms below pipeline/. A test holds that each module that a trial or a choice reaches is listed.
TRIALS = (
    "base/numbers.py",
    "data/held_out.py",
    "data/streams.py",
    "horizon/acquisition.py",
    "horizon/belief.py",
    "horizon/contradictions.py",
    "horizon/findings.py",
    "horizon/ladder.py",
    "horizon/model.py",
    "horizon/observation.py",
    "horizon/options.py",
    "horizon/plateau.py",
    "horizon/posterior.py",
    "horizon/stopping.py",
    "horizon/t90.py",
    "kernels",
    "learning",
    "runs/trial.py",
    "study/sampler.py",
    "study/trials.py",
)
"""Which trials a search runs and how they end: they name its study."""
CHOICES = ("runs/choosing.py", "runs/race.py", "tuning")
"""Which settings are chosen for a pair: with those above they name the study of a choice."""
RATES = ("runs/learning_rate.py",)
"""Which learning rate the atlas chooses for a pair, beside those two."""
EXPLANATIONS = ("explanation/arms.py", "explanation/evidence.py", "runs/arms.py", "runs/evidence.py")
"""How seeds are trained again, and what is kept of it: with those of trials they name the trainings kept."""
PARTS = ("cells", "tasks")
"""One module for each cell and task: only its own pair's results depend on it."""
STATEMENTS = (
    "explanation/vanishing.py",
    "horizon/answer.py",
    "horizon/by_budget.py",
    "horizon/diagnostics.py",
    "horizon/elasticity.py",
    "horizon/estimate.py",
    "horizon/learning_time.py",
    "horizon/random_effects.py",
    "horizon/rank_correlation.py",
    "horizon/ranking.py",
    "horizon/representation.py",
    "study/record.py",
)
"""What is said of trials: a search is written anew, from the trials that it has."""
ASIDE = (
    "base/checking.py",
    "base/deciding.py",
    "base/errors.py",
    "base/files.py",
    "base/lines.py",
    "base/meaning.py",
    "base/processes.py",
    "base/redaction.py",
    "base/rules.py",
    "base/sqlite.py",
    "base/terminal.py",
    "base/trees.py",
    "executors",
    "figures",
    "runs/beside.py",
    "runs/notes.py",
    "runs/search_summary.py",
    "runs/studies.py",
    "runs/watcher.py",
    "runs/work.py",
    "settings",
    "study/claims.py",
    "study/driver.py",
    "study/liveness.py",
    "study/opening.py",
    "study/optuna_private.py",
    "study/storage.py",
    "tracking",
)
"""What changes no result: reading settings, whose values count instead, showing, keeping, starting again.

A picture among the outs of a search or a training shows what lies beside it, and is drawn anew with that.
"""
STAGES = {
    "prepare": ("runs/prepared.py",),
    "train": ("runs/prepared.py", "runs/train.py"),
    "search": ("runs/search.py", *TRIALS),
    "tune": ("runs/tune.py", *TRIALS, *CHOICES),
    "retune": ("runs/retune.py", *TRIALS, *CHOICES),
    "atlas": ("runs/atlas.py", *TRIALS, *CHOICES),
    "explain": ("runs/explain.py", *EXPLANATIONS),
    "pair": ("reports/pairs.py", "figures"),
    "report": ("reports/page.py", "figures"),
}
"""Where the code of a stage begins: at what its command calls, and at what is only named in conf/ or is its work."""


@cache
def project() -> Code:
    """Return the code of this project."""
    return code_in(ROOT)


def code_in(root: Path) -> Code:
    """Return the code of a copy of this project."""
    return Code(root, aside=(*ASIDE, *PARTS))


def digests(code: Code) -> dict[str, Any]:
    """Return the content of code.json: a digest for each stage, and for each option of conf/cell and conf/task."""
    stages: dict[str, Any] = {name: code.digest(files) for name, files in files_of_stages(code).items()}
    conf = code.root / "conf"
    for group in ("cell", "task"):
        options = {
            path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
            for path in sorted((conf / group).glob("*.yaml"))
        }
        stages[group] = {name: of_parts(code, conf, option.get(group, option)) for name, option in options.items()}
    return stages


def files_of_stages(code: Code) -> dict[str, set[str]]:
    """Return the files behind each stage, without those of cells and tasks."""
    return {name: code.reached(*places) for name, places in STAGES.items()}


def of_parts(code: Code, conf: Path, settings: Mapping[str, Any], *others: str) -> str:
    """Return a digest of some files and of the classes that settings name, also those of packages in conf/trust.yaml.

    Those of torch and Optuna count by their names alone.
    """
    trusted = tuple(
        f"{package}." for package in yaml.safe_load((conf / "trust.yaml").read_text(encoding="utf-8"))["packages"]
    )
    named = sorted(value for value in flatten(settings).values() if isinstance(value, str))
    ours = (part(code, value) for value in named if value.startswith(f"{code.package}."))
    return digest(
        code.digest(set(others).union(*ours)), *(elsewhere(each) for each in named if each.startswith(trusted))
    )


def part(code: Code, target: str) -> set[str]:
    """Return the file that a `_target_` lies in, with what it needs of its own room."""
    file = code.module_of(target)
    return code.reached(file, within=file.partition("/")[0])


@cache
def elsewhere(target: str) -> str:
    """Return a digest of a class of another package, with what it needs there; "" if it is not installed."""
    package = target.partition(".")[0]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return ""
    if not spec.submodule_search_locations:
        return digest(Path(spec.origin))
    code = Code(Path(spec.origin).parents[1], package)
    return code.digest(code.reached(code.module_of(target)))


def digest_of(kind: type) -> str:
    """Return a digest of the code of a cell or a task."""
    code = project()
    return code.digest(part(code, f"{kind.__module__}.{kind.__qualname__}"))


def by_class(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which a class of this project has its own name, wherever it lies."""
    return {
        key: by_class(value) if isinstance(value, Mapping) else _class_of(value) if key == "_target_" else value
        for key, value in tree.items()
    }


def _class_of(target: str) -> str:
    """Return `HorizonSampler.of` of `pipeline.study.sampler.HorizonSampler.of`."""
    if not target.startswith("pipeline."):
        return target
    words = target.split(".")
    return ".".join(words[next((place for place, word in enumerate(words) if word[:1].isupper()), 0) :])


if __name__ == "__main__":
    (ROOT / "results").mkdir(exist_ok=True)
    write_json(ROOT / "results/code.json", digests(project()))
