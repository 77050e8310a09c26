"""The page on clusters (pipeline/executors/README.md), typed in: what it promises of results and passwords is so."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import optuna
import pytest
import yaml
from mlflow import MlflowClient

from pipeline.search import main
from tests import services
from tests.base import warm
from tests.base.commands import ROOT, small_project
from tests.base.readme import CLUSTER
from tests.conftest import run_stage
from tests.services.database import Postgres, binary
from tests.services.server import HOST, PATIENCE, free_port, surroundings
from tests.services.store import S3
from tests.study.toy_search import check_no_trial_is_lost_doubled_or_blocked

pytestmark = [pytest.mark.service, pytest.mark.slow]
SERVERS = ("mlflow server", "dask scheduler", "dask worker")
SEARCHES = ("temporal_order-rnn", "temporal_order-gru")


@dataclass(frozen=True)
class Team:
    """What is there after the page was typed in."""

    project: Path
    said: str  # by all commands and servers
    database: Postgres
    store: S3
    ports: dict[str, int]  # in place of the page's

    @property
    def runs(self) -> str:
        """The address of the MLflow server."""
        return f"http://{HOST}:{self.ports['5000']}"

    def outs(self, place: Path) -> dict[str, bytes]:
        """The files of all searches below a folder."""
        files = [path for name in SEARCHES for path in (place / "results/search" / name).glob("[!.]*")]
        return {str(path.relative_to(place)): path.read_bytes() for path in files}


def commands() -> list[str]:
    """The page's command lines."""
    page = CLUSTER.read_text().partition("\n## From laptop to cluster\n")[2]
    blocks = "".join(re.findall(r"```bash\n(.*?)```", page, flags=re.DOTALL))
    return blocks.replace("\\\n", " ").splitlines()


def here(line: str, ports: dict[str, int]) -> str:
    """A command line with the page's hosts on this machine, and workers for two cores."""
    changes = {"--nworkers -1": "--nworkers 1", "--array=1-100": "--array=1-1"}
    changes |= {f"{name}.example": HOST for name in ("db", "runs", "dask")}
    changes |= {port: str(number) for port, number in ports.items()}
    for old, new in changes.items():
        line = line.replace(old, new)
    return line


def script(ports: dict[str, int]) -> str:
    """The page as a script in which servers run beside what follows them, once they answer."""
    lines = ["set -euo pipefail"]
    for line in (here(line, ports) for line in commands()):
        lines.append(f"{line} &" if line.startswith(SERVERS) else line)
        if port := re.search(r"--port (\d+)", line) if line.startswith(SERVERS) else None:
            lines.append(f"until (: </dev/tcp/{HOST}/{port[1]}) 2>/dev/null; do kill -0 $!; sleep .1; done")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with services.postgres() as postgres, services.s3() as s3, at_work(tmp_path_factory, postgres, s3) as team:
        yield team


@contextmanager
def at_work(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, s3: S3) -> Iterator[Team]:
    """Type the page in, on a small project."""
    project = small_project(tmp_path_factory.mktemp("team"))
    for bucket in ("horizon-runs", "horizon-data"):
        s3.bucket(bucket)
    ports = {"5432": postgres.port, "5000": free_port(), "8786": free_port()}
    environment = commands_first() | s3.variables | {"PGPASSWORD": postgres.password, "GIT_AUTHOR_NAME": "test"}
    programs = f"{ROOT / 'tests/services'}{os.pathsep}{Path(binary('createdb')).parent}"
    environment["PYTHONPATH"] = str(project)  # as if it were installed
    environment["MLFLOW_WORKERS"] = "1"  # four take seconds each to start
    environment["TMPDIR"] = str(tmp_path_factory.mktemp("scratch"))  # of workers, which are killed
    environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
    with (project.parent / "said").open("w+") as said:
        typed = subprocess.Popen(
            ["bash", "-c", script(ports)],
            cwd=project,
            env=environment,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            status = typed.wait(4 * PATIENCE)
            text = (project.parent / "said").read_text()
            assert status == 0, text
            yield Team(project, text, postgres, s3, ports)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(typed.pid, signal.SIGKILL)


def test_the_results_are_those_of_one_machine_file_for_file(team: Team, reproduced: Path) -> None:
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["search"]
    assert len(team.outs(reproduced)) == len(SEARCHES) * (len(stage["outs"]) + len(stage["metrics"]))
    assert team.outs(reproduced).items() <= team.outs(team.project).items()


def test_the_runs_are_on_the_server_their_files_on_s3_and_the_trials_in_the_database(team: Team) -> None:
    client = MlflowClient(team.runs)
    experiment = client.get_experiment_by_name("temporal_order")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [found for found in runs if "mlflow.parentRunId" not in found.data.tags]
    assert {found.info.status for found in runs} == {"FINISHED"}
    assert {found.data.tags["cell"] for found in parents} == {"rnn", "gru"}
    keys = {each.key for each in team.store.bucket("horizon-runs").objects.all()}
    for found in parents:
        assert f"{experiment.experiment_id}/{found.info.run_id}/artifacts/horizon.json" in keys
    storage = team.database.url("studies")
    trials = [trial for study in optuna.get_all_study_summaries(storage) for trial in [study.n_trials]]
    assert sum(trials) == len(runs) - 2 and min(trials) > 0
    assert not any((team.project / name).exists() for name in ("mlflow.db", "mlartifacts", ".state/optuna.db"))


def test_both_workers_took_part(team: Team) -> None:
    assert "Submitted batch job 1" in team.said
    assert "Registered to" in (team.project / "slurm-1_1.out").read_text()


@pytest.mark.parametrize("remote", ["team", "shared"])
def test_another_clone_gets_data_and_results_without_computing_them(team: Team, remote: str, tmp_path: Path) -> None:
    keys = team.store.variables
    if remote == "shared":
        dvc(team.project, {}, "remote", "add", "shared", str(tmp_path / "store"))
        dvc(team.project, {}, "push", "--remote", "shared")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(team.project), str(clone)], check=True)
    if remote == "shared":
        dvc(clone, {}, "remote", "add", "shared", str(tmp_path / "store"))
    dvc(clone, keys if remote == "team" else {}, "pull", "--remote", remote, "prepare", "search")
    assert team.outs(clone) == team.outs(team.project)
    assert (clone / "data/temporal_order/task.json").exists()


def test_a_sweep_that_is_killed_goes_on_and_ends_as_if_nothing_had_happened(team: Team, tmp_path: Path) -> None:
    command = [*next(line for line in commands() if "pipeline.sweep" in line).split(), "tracking.enabled=false"]
    command = [here(word, team.ports) for word in command] + [f"paths.results={tmp_path / 'results'}"]
    storage = team.database.url("killed")
    given = {"cwd": team.project, "env": commands_first() | {"OPTUNA_STORAGE": storage}, "text": True}
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, **given)
    assert killed.stdout is not None
    assert any("horizon between" in line for line in killed.stdout)  # a trial has ended
    killed.kill()
    killed.communicate()
    done = subprocess.run(command, capture_output=True, check=False, **given)
    assert done.returncode == 0, done.stderr
    assert "resumes study" in done.stdout
    assert team.outs(tmp_path).items() <= team.outs(team.project).items()
    for name in optuna.get_all_study_names(storage):
        check_no_trial_is_lost_doubled_or_blocked(optuna.load_study(study_name=name, storage=storage))


def test_passwords_and_keys_are_in_nothing_that_anybody_else_reads(team: Team, tmp_path: Path) -> None:
    """Also where they stand in an address, which the page does not do."""
    secret = token_hex()
    runs = team.runs.replace("http://", f"http://ann:{secret}@")
    addresses = {"OPTUNA_STORAGE": team.database.url("studies"), "MLFLOW_TRACKING_URI": runs}
    done = search(team, tmp_path, addresses | team.store.variables)
    assert done.returncode == 0, done.stderr
    assert f"{team.runs}/#/experiments/" in done.stdout
    read = {"commands and servers": team.said + team.database.log + team.store.log, "search": done.stdout + done.stderr}
    read |= {name: team.database.dump(name) for name in ("runs", "studies")}
    for bucket in ("horizon-runs", "horizon-data"):
        objects = team.store.bucket(bucket).objects.all()
        read |= {f"{bucket}/{each.key}": each.get()["Body"].read().decode("latin-1") for each in objects}
    files = [path for place in (team.project, tmp_path) for path in place.rglob("*") if path.is_file()]
    read |= {str(path): path.read_bytes().decode("latin-1") for path in files}
    assert "studies" in read and len(read) > 100
    kept = (secret, team.database.password, team.store.secret_key)
    assert [name for name, text in read.items() if any(each in text for each in kept)] == []


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("postgresql://ann:open-sesame@127.0.0.1:9/studies", "OPTUNA_STORAGE must begin with postgresql+psycopg2://"),
        ("open-sesame", "OPTUNA_STORAGE must begin with postgresql+psycopg2://"),
    ],
)
def test_a_wrong_address_is_a_sentence_without_the_password(
    address: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTUNA_STORAGE", address)
    paths = " ".join(f"paths.{name}={tmp_path}" for name in ("data", "results", "state"))
    ended = run_stage(main, f"task=temporal_order tracking.enabled=false {paths}")
    assert ended.status == 2
    assert ended.err.startswith(f"error: {sentence}") and ended.err.count("\n") == 1
    assert "sesame" not in ended.out + ended.err


def commands_first() -> dict[str, str]:
    """Return the environment of a user, in which commands start fast and no store is named."""
    around = surroundings()
    return around | {"PATH": f"{warm.programs()}{os.pathsep}{around['PATH']}"}


def search(team: Team, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """One search by hand, with stores from the environment."""
    command = ["python", "-m", "pipeline.search", "task=temporal_order", "cell=gru", "search.trials=2"]
    command += [f"paths.results={folder / 'results'}", f"paths.state={folder}"]
    environment = commands_first() | variables
    return subprocess.run(command, cwd=team.project, env=environment, capture_output=True, text=True, check=False)


def dvc(folder: Path, variables: dict[str, str], *arguments: str) -> None:
    """A command of DVC, with stores from the environment."""
    environment = commands_first() | variables
    done = subprocess.run(["dvc", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
