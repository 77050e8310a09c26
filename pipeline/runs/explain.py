"""Why a pair stops learning: the interventions, round by round, until the rule names a cause or the cap is reached."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.base.deciding import NOT_OF_A_SEARCH, by_class
from pipeline.base.errors import UserError
from pipeline.base.files import digest, write_json
from pipeline.base.terminal import Display, duration, open_display
from pipeline.base.trees import as_json, without
from pipeline.explanation.arms import ARMS, BOTH, BUDGET, LARGER, LUCK, PLAIN, SAME_BUDGET, words
from pipeline.explanation.design import FIRST_SEED, Question, question
from pipeline.explanation.rule import MIXED, UNKNOWN, Case, verdict
from pipeline.figures.explanation import draw_explanation
from pipeline.records import explanation
from pipeline.records.explanation import ExplanationRecord, Training, case_of, explained, plain_of, retrained, spared
from pipeline.records.horizon import HorizonRecord, about_cell, read_horizon
from pipeline.records.labels import title
from pipeline.records.settings import read_settings
from pipeline.runs.arms import Trainer, left_out
from pipeline.runs.beside import show_beside_search
from pipeline.runs.notes import note
from pipeline.runs.work import Work, open_work
from pipeline.settings import Settings
from pipeline.settings.destination import folder_of
from pipeline.settings.fingerprint import explanation_fingerprint
from pipeline.settings.tuned import tuned

WROTE = "digest.explanation"  # tag: by it the report finds the run that wrote its explanation.json
CAPPED = "its cost reached the cap, explain.searches"
SETTLED = "the rule named a cause"
BOTH_WAYS = "the seeds' causes differ, which more seeds do not change"
EVERY = "explain.failing seeds were retrained"
PART = 1 / 8  # of the cap: what seeds that are trained side by side may cost, but for two of them
FEW = "too few seeds fail at this length"


def explain(settings: Settings) -> ExplanationRecord:
    """Explain one pair."""
    settings = tuned(settings)
    horizon = searched(settings)
    search = settings.search
    asked = question(
        horizon.t50, horizon.slope, search.length_min, search.length_max, search.per_octave, settings.explain.share
    )
    settings.require_runs()
    with (
        open_display(f"{settings.title} explain") as display,
        lock(settings),
        open_work("explain", settings, display) as work,
    ):
        work.run.params({"explain": vars(settings.explain)})
        course = course_of(work, asked, horizon)
        found = explained(settings.names, horizon, cannot(settings), course, settings.explain)
        with work.results() as folder:
            write(folder, settings, found, course.trainings)
        log_answer(work, found)
        display.print_summary(outline(work, found))
    return found


def searched(settings: Settings) -> HorizonRecord:
    """Return the horizon that is explained; raise `UserError` where there is none of a search with these settings."""
    folder, again = folder_of(settings, "search"), f"`{settings.command('search')}`"
    used = read_settings(folder / "settings.json", again).tree
    ours, theirs = (by_class(without(each, *NOT_OF_A_SEARCH)) for each in (settings.recorded, used))
    if ours != theirs:
        raise UserError(f"{folder} holds a search with other settings than these; {again} makes it anew")
    return read_horizon(folder / "horizon.json", again)


def cannot(settings: Settings) -> str | None:
    """Return why the cell can't represent the task; None where no reason is known."""
    found: str | None = about_cell(settings.cell, settings.names["task"], settings.task)["cannot_represent"]
    return found


@contextmanager
def lock(settings: Settings) -> Iterator[None]:
    """Hold the lock of a pair's explanation, which a killed process does not; raise `UserError` where it is taken."""
    folder = settings.state / ".state"
    folder.mkdir(parents=True, exist_ok=True)
    held = FileLock(folder / f"explain-{settings.title}.lock", timeout=0)
    try:
        held.acquire()
    except Timeout as error:
        raise UserError(
            f"another process explains {settings.title} in {settings.state}; wait until it ended"
        ) from error
    try:
        yield
    finally:
        held.release()


def course_of(work: Work, asked: Question, horizon: HorizonRecord) -> explanation.Course:
    """Train what the question asks, and return what was done."""
    settings, cap = work.settings, work.settings.explain.cap(horizon.compute)
    if asked.length is None:
        return explanation.Course(None, asked.reason, (), {}, cap)
    folder = settings.state / ".state" / "explain"
    folder /= f"{settings.title}-{explanation_fingerprint(settings, asked.length)}"
    rounds = Rounds(settings, work.display, Trainer(settings, work.held_out, asked.length, folder), cap)
    reason = rounds.run()
    return explanation.Course(asked.length, reason, tuple(rounds.trainings), rounds.without, cap)


@dataclass
class Rounds:
    """The trainings that were made, and what may still be spent."""

    settings: Settings
    display: Display
    train: Trainer
    cap: int  # replica x updates x length
    trainings: list[Training] = field(default_factory=list)
    without: dict[str, str] = field(default_factory=dict)  # arms that were left out, with the reason
    capped: bool = False

    def run(self) -> str:
        """Train until a cause is named, all seeds were retrained, or the cap is reached; return why it ended.

        What is left then goes to a seed that solves, which the maps show beside one that fails. Where seeds that fail
        on the way to it unsettle the rule, it is asked again.
        """
        reason = self.ask()
        self.find_solving()
        return reason if self.settled or reason != SETTLED else self.ask()

    def ask(self) -> str:
        """Retrain failing seeds in rounds until the rule has an answer, or nothing is left to ask; return why."""
        options = self.settings.explain
        self.without |= {arm: why for arm in ARMS if (why := left_out(self.settings, arm, self.train.length))}
        needed = options.round
        while True:
            self.find_failing(needed)
            for arms in ((LUCK, *SAME_BUDGET, BUDGET), (BOTH,), (LARGER,)):
                if not self.settled or (needed == options.round and BUDGET in arms):
                    for arm in arms:
                        self.retrain(arm, needed)
            if self.settled:
                return SETTLED
            if self.capped:
                return CAPPED
            if self.verdict == MIXED and needed > options.round:
                return BOTH_WAYS
            if len(self.failing) < needed:
                return FEW
            if needed >= options.failing:
                return EVERY
            needed = min(2 * needed, options.failing)

    @property
    def failing(self) -> list[int]:
        """The seeds that failed in the plain training."""
        return [seed for seed, (update, _) in plain_of(self.trainings).items() if update is None]

    @property
    def settled(self) -> bool:
        """Whether the rule names a cause."""
        return self.verdict not in (MIXED, UNKNOWN)

    @property
    def verdict(self) -> str:
        """What the rule says by now."""
        return verdict(self.case)

    @property
    def case(self) -> Case:
        """What the rule reads by now."""
        return case_of(self.trainings, cannot(self.settings) is not None)

    @property
    def cost(self) -> int:
        """What was spent."""
        return sum(each.cost for each in self.trainings)

    def find_failing(self, needed: int) -> None:
        """Train plain seeds until so many failed."""
        while len(self.failing) < needed and self.train_next(2 * self.settings.explain.failing):
            pass

    def find_solving(self) -> None:
        """Train plain seeds until one solved, or as many as may be retrained have failed."""
        while len(plain_of(self.trainings)) == len(self.failing) and self.train_next(self.settings.explain.failing):
            pass

    def train_next(self, most: int) -> bool:
        """Train the next plain seeds, up to so many in all; return whether there were any within the cap."""
        trained = len(plain_of(self.trainings))
        end = min(trained + self.abreast(PLAIN), most)
        return trained < end and self.attempt(PLAIN, range(FIRST_SEED + trained, FIRST_SEED + end))

    def retrain(self, arm: str, needed: int) -> None:
        """Retrain the first failing seeds, a few at a time, while the rule may still hear more from this arm."""
        self.trainings += spared(self.trainings, arm, self.failing[:needed])
        while arm not in self.without and (seeds := self.left(arm, needed)):
            if not self.attempt(arm, seeds):
                if arm not in retrained(self.trainings):
                    self.without[arm] = "it might have exceeded the cost cap"
                return

    def left(self, arm: str, needed: int) -> list[int]:
        """Return the seeds that an arm retrains next; none where it has had them, or could not rescue any more."""
        done = retrained(self.trainings).get(arm, {})
        seeds = [seed for seed in self.failing[:needed] if seed not in done]
        if not self.case.may_rescue(arm, len(seeds)):
            return []
        return seeds[: self.abreast(arm)]

    def abreast(self, arm: str) -> int:
        """Return how many seeds are trained side by side: fewer where they are a large part of the cap."""
        most, room = self.settings.explain.group, self.cap - self.cost
        wanted = most if self.train.cost(arm, most) <= PART * self.cap else min(2, most)
        return wanted if self.train.cost(arm, wanted) <= room else 1

    def attempt(self, arm: str, seeds: Sequence[int]) -> bool:
        """Train seeds unless that may exceed the cap; return whether they were trained."""
        if self.cost + self.train.cost(arm, len(seeds)) > self.cap:
            self.capped = True
            return False

        def watch(update: int, curve: Mapping[str, float]) -> None:
            self.display.progress(self.cost / self.cap, f"{told}, update {update}")

        told = f"{words(arm, self.settings.explain.budget)}, {len(seeds)} seeds"
        self.trainings += (done := self.train(arm, seeds, watch))
        solved = sum(update is not None for each in done for update in each.updates)
        changed = words(arm, self.settings.explain.budget)
        row = {"T": f"{self.train.length:5}", "solved": f"{solved} of {len(seeds)}", "changed": changed}
        self.display.row(row, f"{told}: {solved} solved at T = {self.train.length}")
        return True


def write(folder: Path, settings: Settings, found: ExplanationRecord, trainings: Sequence[Training]) -> None:
    """Write every out of the stage."""
    maps = [each for training in trainings for each in training.maps]
    write_json(folder / "explanation.json", as_json(found))
    explanation.write_seeds(folder / "seeds.csv", found)
    explanation.write_maps(folder / "maps.parquet", maps)
    draw_explanation(folder, found, maps, title(found.task, found.cell, settings.tree["cell"]))


def log_answer(work: Work, found: ExplanationRecord) -> None:
    """Log the verdict and what it rests on."""
    numbers: dict[str, float] = {f"rescue/{arm.name}": arm.share.solved / arm.share.seeds for arm in found.arms}
    numbers |= {"explain/cost": found.cost, "explain/seconds": work.seconds, "replicas/solved": found.solved}
    shown = {"signal_to_noise": found.failing.signal_to_noise, "vanished": found.failing.vanished}
    numbers |= {f"failing/{name}": value for name, value in shown.items() if value is not None}
    work.run.metrics(0, numbers)
    tags = {"verdict": found.verdict or "none", "duration": duration(work.seconds)}
    show_beside_search(work, tags["verdict"], found.reason)
    work.run.tags(tags | {WROTE: digest(work.folder / "explanation.json")})
    work.run.note(note("explain", found=found, command=work.settings.command("explain")))


def outline(work: Work, found: ExplanationRecord) -> dict[str, str]:
    """Return what the command prints at its end."""
    return {
        "verdict": found.verdict or "none",
        "seeds": ", ".join(f"{count} {each}" for each, count in found.counts.items()),
        "because": found.reason,
        "cost": f"{found.cost:.3g} of {found.cap:.3g} (replicas × updates × length), {duration(work.seconds)}",
        "files": str(work.folder),
        "MLflow": work.run.link(work.settings.address),
    }
