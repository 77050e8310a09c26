"""What a fault did to a search: read from its study, its files and its runs, and compared with one without a fault."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import optuna
from optuna import Study
from optuna.trial import TrialState

from pipeline.study import claims
from pipeline.study.opening import storage_at
from pipeline.study.trials import all_trials
from tests.study.rows import Row, trial_rows

ENDED = (TrialState.COMPLETE, TrialState.FAIL)
COUNTS = ("times", "lost", "doubled", "untrue", "halves")
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Evidence:
    """A row of the table."""

    fault: str
    how: str  # it was made, in words
    times: int  # that it was made
    lost: int  # finished trials that vanished or changed
    doubled: int  # finished trials that were run again
    untrue: int  # trials and runs whose status is not how they ended
    halves: int  # files that were half written, and folders that were left behind
    same: bool  # all results, byte for byte, as without the fault
    told: str = ""  # what the command said, where that is part of the promise

    @property
    def harmless(self) -> bool:
        """Whether nothing came to harm."""
        return self.times > 0 and self.same and not (self.lost or self.doubled or self.untrue or self.halves)


@dataclass
class Ledger:
    """Keeps account of one search while faults befall it."""

    storage: str  # of the study, the only one there
    results: Path  # the folder of its files
    expected: Files  # its files without the fault
    finished: dict[int, Row] = field(default_factory=dict)  # trials, by ordinal, as they were when first seen
    changed: set[int] = field(default_factory=set)
    halves: int = 0

    def study(self) -> Study | None:
        """The study, if there is one yet."""
        if self.storage.startswith("sqlite:///") and not Path(self.storage.removeprefix("sqlite:///")).exists():
            return None
        place = storage_at(self.storage)
        names = optuna.get_all_study_names(place)
        return optuna.load_study(study_name=names[0], storage=place) if names else None

    def note(self) -> None:
        """Look at what is there after a fault."""
        study = self.study()
        rows = {row["ordinal"]: row for row in trial_rows(study)} if study else {}
        self.changed |= {ordinal for ordinal, row in self.finished.items() if rows.get(ordinal) != row}
        self.finished = rows | self.finished
        found = files(self.results)
        self.halves += sum(content != self.expected.get(name) for name, content in found.items())

    def lost(self) -> int:
        """Finished trials that vanished or changed, and ordinals that were left out."""
        study = self.study()
        known = {row["ordinal"] for row in trial_rows(study)} if study else set()
        return len(self.changed) + len(set(range(len(known))) - known)

    def doubled(self) -> int:
        """Trials that were handed out, or finished, although their ordinal was finished already."""
        study = self.study()
        trials = all_trials(study) if study else []
        numbers, done, doubled = claims.ordinals(trials), set[int](), 0
        for trial in trials:
            if numbers[trial.number] in done:
                doubled += trial.state == TrialState.COMPLETE or "seeds" in trial.user_attrs
            elif trial.state == TrialState.COMPLETE:
                done.add(numbers[trial.number])
        return doubled

    def open_trials(self) -> int:
        """Trials that wait or run although nobody works on them."""
        study = self.study()
        return sum(trial.state not in ENDED for trial in all_trials(study)) if study else 0

    def left_behind(self) -> int:
        """Folders that a killed process made beside its results and nobody cleared away."""
        return len([path for path in self.results.parent.glob(".*-*") if path.is_dir()])

    def evidence(self, fault: str, how: str, times: int, untrue_runs: int = 0, told: str = "") -> Evidence:
        """The account."""
        self.note()
        return Evidence(
            fault=fault,
            how=how,
            times=times,
            lost=self.lost(),
            doubled=self.doubled(),
            untrue=self.open_trials() + untrue_runs,
            halves=self.halves + self.left_behind(),
            same=files(self.results) == self.expected,
            told=told,
        )


def combined(accounts: Sequence[Evidence]) -> Evidence:
    """One account of several searches that suffered the same."""
    first = accounts[0]
    sums = {name: sum(getattr(each, name) for each in accounts) for name in COUNTS}
    told = "; ".join(dict.fromkeys(each.told for each in accounts if each.told))
    return replace(first, **sums, same=all(each.same for each in accounts), told=told)


def files(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
