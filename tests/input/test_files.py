"""Files that are not what they should be: named in one sentence, left as they are, and never run."""

import io
import os
import pickle
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import yaml
from optuna.storages import RDBStorage
from pyarrow import parquet
from safetensors.numpy import save

from pipeline import explain, pair, prepare, report, search, train, tune
from pipeline.base.errors import UserError
from pipeline.base.trees import as_json
from pipeline.data.held_out import HeldOut
from pipeline.figures import style
from pipeline.records.explanation import read_explanation, read_maps
from pipeline.records.horizon import read_horizon
from pipeline.records.outcome import read_outcome
from pipeline.records.settings import read_settings
from pipeline.records.training import read_curves, read_norms
from pipeline.records.trials import read_trials
from pipeline.reports import pairs
from pipeline.reports.svg import inline
from pipeline.runs import weights
from pipeline.runs.studies import search_study
from pipeline.settings import Settings
from pipeline.settings.tuned_file import read_tuned
from tests.conftest import Ended, compose, run_stage
from tests.input.lines import SMALL
from tests.records.made import provenance

PAIR = "adding-rnn"
OTHER = "adding-gru"
MADE = ("task=adding", *SMALL)
FEW = ("explain.group=2", "explain.round=2", "explain.failing=2")
TUNED = """
optimizer: {_target_: torch.optim.Adam, _partial_: true, lr: 0.01}
training: {clip: 2.0}
cell: {init: torch}
"""


@dataclass(frozen=True)
class Place:
    """Everything that the stages wrote for two pairs, and commands that read it."""

    folder: Path

    def run(self, main: Callable[[], None], *words: str) -> Ended:
        places = [f"paths.{name}={self.folder / name}" for name in ("data", "results", "tuned", "state")]
        return run_stage(main, [*MADE, "cell=rnn", *places, *words])

    def content(self) -> dict[Path, bytes]:
        """Every file below the folder with its bytes."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".lock")
        return {path: path.read_bytes() for path in files}


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Stores are those of the test's folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "OPTUNA_STORAGE", "DVC_ROOT"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Both pairs, prepared, trained, searched and gathered once; and a database of something else."""
    place = Place(tmp_path_factory.mktemp("place"))
    for cell in ("rnn", "gru"):
        for main in (train.main, search.main, explain.main, pair.main):
            ended = place.run(main, f"cell={cell}", "cell.hidden=3", *FEW)
            assert ended.status == 0, ended.err
    (place.folder / "mlflow.db").write_bytes(another_database())
    (place.folder / "tuned").mkdir()
    whence = yaml.safe_dump({"provenance": as_json(provenance())})
    (place.folder / "tuned" / f"{PAIR}.yaml").write_text(TUNED + whence)
    return place


@pytest.fixture
def place(original: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A copy of it, and a grid of the first pair alone for the report, whose own figures are not drawn."""
    shutil.copytree(original.folder, tmp_path / "place")
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "grid.yaml").write_text("grid: {tasks: [adding], cells: [rnn]}\n")
    monkeypatch.setattr(pairs, "CONF", conf)
    monkeypatch.setattr(style, "save", lambda figure, path: path.write_text("<svg></svg>"))
    return Place(tmp_path / "place")


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def foreign(path: Path) -> bytes:
    """Another program's file, well formed in the same format."""
    buffer = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(buffer, weights=np.zeros(3))
    elif path.suffix == ".parquet":
        parquet.write_table(pyarrow.table({"price": [1.0, 2.0]}), buffer)
    elif path.suffix == ".safetensors":
        buffer.write(save({"embedding": np.zeros((2, 3), np.float32)}))
    elif path.suffix == ".db":
        buffer.write(another_database())
    else:
        texts = {
            ".json": '{"a": [1, {"b": null}]}',
            ".csv": "name,price\nx,1\n",
            ".svg": "<html>no</html>",
            ".yaml": "a: 1",
        }
        buffer.write(texts[path.suffix].encode())
    return buffer.getvalue()


def another_database() -> bytes:
    """A sqlite database of something else."""
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.execute("create table prices (name text)")
        return opened.serialize()


def bomb(path: Path) -> bytes:
    """A pickle that leaves `mark` beside the place, in the file's own format where that can hold one."""
    mark = Bomb(path.parents[-1] / os.environ["MARK"])
    if path.suffix == ".npz":
        buffer = io.BytesIO()
        np.savez(buffer, inputs=np.array([mark], dtype=object), targets=np.zeros(1))
        return buffer.getvalue()
    return pickle.dumps(mark)


DAMAGES: Mapping[str, Callable[[Path], bytes]] = {
    "half": lambda path: path.read_bytes()[: path.stat().st_size // 2],
    "cut": lambda path: path.read_bytes()[:-20],
    "empty": lambda path: b"",
    "random bytes": lambda path: np.random.default_rng(1).bytes(5000),
    "another program's": foreign,
    "a pickle": bomb,
}
READERS: Mapping[str, tuple[Callable[[], None], Callable[[Path], object]]] = {  # the command, and what it reads with
    "data/adding/held_out/00012.npz": (train.main, lambda path: prepared(path).sequences(12)),
    "data/adding/task.json": (train.main, lambda path: prepared(path).description()),
    f"tuned/{PAIR}.yaml": (train.main, read_tuned),
    f"results/search/{PAIR}/horizon.json": (pair.main, read_horizon),
    f"results/search/{PAIR}/trials.csv": (pair.main, read_trials),
    f"results/search/{PAIR}/gradients.parquet": (pair.main, lambda path: pairs.read_files(path.parents[2], PAIR)),
    f"results/search/{PAIR}/settings.json": (pair.main, read_settings),
    f"results/train/{PAIR}/outcome.json": (pair.main, read_outcome),
    f"results/train/{PAIR}/curves.csv": (pair.main, read_curves),
    f"results/train/{PAIR}/gradients.parquet": (pair.main, read_norms),
    f"results/explain/{PAIR}/explanation.json": (pair.main, read_explanation),
    f"results/explain/{PAIR}/maps.parquet": (pair.main, read_maps),
    f"results/pairs/{PAIR}/pair.json": (report.main, lambda path: pairs.read_pair(path.parent)),
    f"results/pairs/{PAIR}/search/course.svg": (report.main, lambda path: inline(path, "course", "its words")),
    "state/.state/optuna.db": (search.main, lambda path: studies(path)),
}
NEW = (f"tuned/{PAIR}.yaml", "state/.state/optuna.db")  # an empty one is one that nobody has written to yet


@cache
def settings_of_the_pair() -> Settings:
    """Settings as the stages have them, but for the folders."""
    return compose(*MADE, "cell=rnn")


def prepared(path: Path) -> HeldOut:
    """The held-out sequences to which a file belongs."""
    settings = settings_of_the_pair()
    folder = next(folder for folder in path.parents if folder.name == "adding")
    return HeldOut(settings.task, settings.data.seed, settings.data.held_out, folder)


def studies(path: Path) -> object:
    """The studies of a database, as a search opens them."""
    settings = settings_of_the_pair()
    return search_study(replace(settings, paths=replace(settings.paths, state=str(path.parents[1]))))


def refused(place: Place, name: str) -> None:
    """The command that reads a file names it in one sentence, and leaves everything as it was."""
    before = place.content()
    ended = place.run(READERS[name][0], *(["search.tuned=true"] if name.startswith("tuned") else []))
    said = [line for line in ended.out.splitlines() if ": writes " not in line]  # where it would have written
    assert (ended.status, said) == (2, []), ended
    assert ended.err.startswith("error: ")
    assert_names(ended.err.rstrip("\n"), place.folder / name)
    assert place.content() == before


def assert_names(sentence: str, path: Path) -> None:
    """It is one sentence, and names the file."""
    assert len(sentence.splitlines()) == 1 and str(path) in sentence, sentence


def unreadable(place: Place, name: str) -> None:
    """The reader of a file names it in one sentence, and leaves everything as it was."""
    before = place.content()
    with pytest.raises(UserError) as refusal:
        READERS[name][1](place.folder / name)
    assert_names(str(refusal.value), place.folder / name)
    assert place.content() == before


def damages(name: str) -> list[str]:
    """The damages that leave something else than the file."""
    short = ["cut"] if not name.endswith((".csv", ".db")) else []
    return [damage for damage in DAMAGES if damage not in short and not (damage == "empty" and name in NEW)]


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_named_and_left_as_it_is(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """By the command once, and by what it reads the file with whatever the damage."""
    mark = tmp_path / "mark"
    monkeypatch.setenv("MARK", str(mark))
    path = place.folder / name
    whole = path.read_bytes()
    for damage in damages(name):
        path.write_bytes(whole)
        path.write_bytes(DAMAGES[damage](path))
        unreadable(place, name)
        assert not mark.exists(), damage
    path.write_bytes(whole[: len(whole) // 2])
    refused(place, name)


@pytest.mark.parametrize("name", READERS)
def test_a_folder_in_place_of_a_file_is_named(place: Place, name: str) -> None:
    path = place.folder / name
    path.unlink()
    path.mkdir()
    unreadable(place, name)


@pytest.mark.parametrize("name", ["data/adding/task.json", *NEW])
def test_a_link_to_nothing_is_a_file_that_can_not_be_read(place: Place, name: str) -> None:
    path = place.folder / name
    path.unlink()
    path.symlink_to(path)
    unreadable(place, name)


SWAPPED = {
    f"results/search/{PAIR}/horizon.json": f"results/search/{OTHER}/horizon.json",
    f"results/search/{PAIR}/trials.csv": f"results/search/{OTHER}/trials.csv",
    f"results/train/{PAIR}/outcome.json": f"results/train/{OTHER}/outcome.json",
    f"results/pairs/{PAIR}/pair.json": f"results/pairs/{OTHER}/pair.json",
    "data/adding/held_out/00012.npz": "data/adding/held_out/00016.npz",
    "data/adding/task.json": f"results/search/{OTHER}/horizon.json",
    "state/.state/optuna.db": "mlflow.db",
}


@pytest.mark.parametrize("name", SWAPPED)
def test_a_file_of_another_pair_or_store_is_named(place: Place, name: str) -> None:
    """The searches of both pairs are told apart by what they tried, so one of them is made to have cost more."""
    other = place.folder / SWAPPED[name]
    if other.suffix == ".csv":
        other.write_text(other.read_text().replace(",48.0,", ",49.0,"))
    if other.suffix == ".db":
        with closing(sqlite3.connect(other)) as opened:
            opened.execute("create table experiments (name text)")
    assert other.read_bytes() != (place.folder / name).read_bytes()
    shutil.copy(other, place.folder / name)
    refused(place, name)


def test_the_gradients_of_another_search_are_named(place: Place) -> None:
    path = place.folder / f"results/search/{PAIR}/gradients.parquet"
    table = parquet.read_table(path)
    parquet.write_table(table.slice(0, table.num_rows // 2), path)
    refused(place, f"results/search/{PAIR}/gradients.parquet")


@pytest.mark.parametrize("name", [weights.WEIGHTS, weights.DESCRIPTION])
@pytest.mark.parametrize("damage", [*DAMAGES, "another pair's", "a folder"])
def test_damaged_weights_are_named_and_never_run(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: str
) -> None:
    folder, mark = place.folder / "results" / "train" / PAIR, tmp_path / "mark"
    monkeypatch.setenv("MARK", str(mark))
    if damage == "another pair's":
        shutil.copy(folder.parent / OTHER / name, folder / name)
    elif damage == "a folder":
        (folder / name).unlink()
        (folder / name).mkdir()
    else:
        (folder / name).write_bytes(DAMAGES[damage](folder / name))
    before = place.content()
    with pytest.raises(UserError, match="holds no trained model") as refusal:
        weights.load(folder)
    assert str(folder) in str(refusal.value) and len(str(refusal.value).splitlines()) == 1
    assert place.content() == before and not mark.exists()


@pytest.mark.parametrize(
    ("main", "damage"),
    [
        *((train.main, damage) for damage in ("half", "cut", "random bytes", "another program's", "a pickle")),
        (search.main, "half"),
        (tune.main, "half"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__module__,
)
def test_a_damaged_store_of_runs_is_named_and_left_as_it_is(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, main: Callable[[], None], damage: str
) -> None:
    monkeypatch.setenv("MARK", str(tmp_path / "mark"))
    path = place.folder / "state" / "mlflow.db"
    shutil.copy(place.folder / "state" / ".state" / "optuna.db", path)  # a real database, of a kind
    path.write_bytes(DAMAGES[damage](path))
    before = place.content()
    ended = place.run(main, "tracking.enabled=true")
    assert (ended.status, ended.out) == (2, "") and len(ended.err.splitlines()) == 1
    assert ended.err.startswith(f"error: {path} ")
    assert place.content() == before and not (tmp_path / "mark").exists()


def test_prepare_does_not_replace_files_that_it_did_not_write(place: Place) -> None:
    folder = place.folder / "mine" / "adding"
    folder.mkdir(parents=True)
    (folder / "thesis.tex").write_text("years of work")
    before = place.content()
    ended = place.run(prepare.main, f"paths.data={folder.parent}")
    assert ended == Ended(2, "", f"error: {folder} must be a folder of prepare's own, or empty; got thesis.tex\n")
    assert place.content() == before


def test_a_store_that_nobody_has_written_to_yet_is_used(place: Place) -> None:
    """A process that was killed as it made the file leaves an empty one."""
    path = place.folder / "state" / ".state" / "optuna.db"
    path.write_bytes(b"")
    assert place.run(search.main).status == 0
    assert len(RDBStorage(f"sqlite:///{path}").get_all_studies()) == 1
