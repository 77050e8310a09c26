"""Whatever a command line says: it is accepted and works, or one sentence says what is wrong; never a traceback.

About 120 lines, the same each time; `make test-long` tries 5000 others. `TEST_SEED=7 INPUT_CASES=900` does so by hand.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import prepare, report, retune, search, sweep, train, tune
from pipeline.base.errors import UserError
from pipeline.settings import Settings, composition, hydra_main
from pipeline.settings.composition import check
from tests.base.commands import COLD
from tests.conftest import ROOT, run_stage
from tests.input.lines import SMALL, Line, cases, is_about, lines, told, words
from tests.input.work import dear, refused_by_a_stage, use

STAGES = (prepare.main, train.main, search.main, tune.main, retune.main, sweep.main, report.main)
OURS = ("conf", "results", "pipeline/dvc")  # what no command of these tests may touch
ACCEPTED = "error: accepted\n"


def listing() -> dict[Path, tuple[int, int]]:
    """Every file of the project's settings and results, with its size and when it was changed."""
    files = [path for folder in OURS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


@pytest.fixture(scope="module", autouse=True)
def nothing_of_the_project_changes() -> Iterator[None]:
    before = listing()
    yield
    assert listing() == before


@cases()
@given(line=lines())
def test_settings_are_accepted_and_work_or_are_refused_in_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, line: Line
) -> None:
    found = told(line)
    refused = found if isinstance(found, str) else refused_by_a_stage(found)
    if refused is not None:
        assert is_about(refused, line.words), refused
    elif isinstance(found, Settings) and not dear(found):
        use(found, tmp_path_factory.mktemp("work"), line.words)


# The same through the whole of a command, where choosing parts, flags and what Hydra itself reads come in.

GROUPS = "cell task optimizer experiment cell@task nope hydra hydra/launcher cell/x"
CHOICES = "= =gru =adding =vanishing =null =[gru] =nope =../cell/gru =é ={a:1}"
FLAGS = "-m --nope -3 -- - --config-dir=/ --experimental-rerun=x.pickle --cfg=job"
chosen = st.builds(
    "{}{}{}".format,
    st.sampled_from(("", "+", "++", "~")),
    st.sampled_from(GROUPS.split()),
    st.sampled_from(("", *CHOICES.split())),
)
flags = st.sampled_from(FLAGS.split())


@pytest.fixture
def goes_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose settings are accepted ends there, and says so."""

    def checked_only(*arguments: Any, **options: Any) -> None:
        check(*arguments, **options)
        raise UserError("accepted")

    monkeypatch.setattr(composition, "check", checked_only)
    monkeypatch.setattr(hydra_main, "check", checked_only)


@cases(share=0.2)
@given(main=st.sampled_from(STAGES), line=st.lists(st.one_of(chosen, flags, words(())), min_size=1, max_size=3))
@pytest.mark.usefixtures("goes_no_further")
def test_a_whole_command_accepts_or_refuses_in_one_sentence(main: Callable[[], None], line: list[str]) -> None:
    ended = run_stage(main, line)
    if "--cfg=job" in line and ended.status == 0:
        assert ended.err == "" and "training:" in ended.out
        return
    assert ended.status == 2
    assert ended.err == ACCEPTED or is_about(ended.err.removeprefix("error: ").rstrip("\n"), line), ended.err


MANY = 10**9
BOMBS = {
    f"cell.hidden={MANY}": "cell.hidden 1000000000",
    f"training.batch={MANY}": "training.batch 1000000000",
    f"training.length={MANY}": "training.length 1000000000",
    f"search.length_max={10**12}": "search.length_max 1000000000000",
    "training.replicas=10000000": "training.replicas 10000000",
    f"data.held_out={10**12}": "data.held_out 1000000000000",
    f"training.test_lengths=[{10**12}]": "training.test_lengths 1000000000000",
    f"task=copy task.message={10**12}": "data.held_out 1000",
    f"search.replicas={MANY}": "search.replicas must be from 1 to 256; got 1000000000",
    f"search.per_octave={MANY}": "search.per_octave must be from 1 to 1024; got 1000000000",
    f"search.budgets={MANY}": "search.budgets must be from 1 to 64; got 1000000000",
    f"tune.settings={MANY}": "tune.settings must be from 1 to 256; got 1000000000",
    f"executor=processes executor.workers={MANY}": "executor.workers must be at most 1024; got 1000000000",
    f"executor=dask cell.hidden={MANY}": "must fit into a memory of",
    f"training.device=cuda training.batch={10**14}": "must fit into a memory of 1.638e+04 GiB; got",
    f"training.updates={2**63}": "training.updates must be a whole number, below 2^63 in size; got 9223372036854775808",
    f"cell.gain={'9' * 4000}": "cell.gain must be a number, below 2^63 in size; got 999",
}


@pytest.mark.parametrize("line", BOMBS)
@pytest.mark.usefixtures("goes_no_further")
def test_what_no_machine_can_hold_is_refused_before_anything_is_made(line: str) -> None:
    ended = run_stage(train.main, line)
    assert ended.status == 2
    assert BOMBS[line] in ended.err and len(ended.err.splitlines()) == 1 and len(ended.err) < 500


ODD = ("training.clip=.inf", "cell.gain=100", "optimizer.lr=1e30", "++optimizer.betas=[0.9,0.99]", "task.goal=1e-9")


def test_a_command_works_with_odd_settings(tmp_path: Path) -> None:
    """In folders with names that a shell would stumble over."""
    places = [f"paths.{name}='{tmp_path}/ä b #{name}'" for name in ("data", "results", "state", "tuned")]
    ended = run_stage(train.main, ["task=adding", "cell=rnn", *SMALL, *places, *ODD])
    assert (ended.status, ended.err) == (0, "")
    assert (tmp_path / "ä b #results" / "train" / "adding-rnn" / "outcome.json").exists()


@pytest.mark.slow
def test_a_command_in_a_process_of_its_own_runs_no_code_of_a_setting(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    words = ["+hydra.callbacks.a._target_=subprocess.check_call", f"+hydra.callbacks.a.args=[touch,{mark}]"]
    line = [sys.executable, "-m", "pipeline.prepare", f"paths.data={tmp_path}", *words]
    done = subprocess.run(line, cwd=ROOT, env=COLD, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: hydra.callbacks.a._target_ is not a setting") and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
