"""`dvc repro` on a small grid, in a copy of the project: it runs once, and it runs the same way twice."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.base.commands import dvc, run
from tests.base.edits import MEANINGLESS, change_a_constant

TRAINED = ("train", "search", "explain")


def digests(folder: Path) -> dict[str, str]:
    files = [path for out in ("data", "results") for path in (folder / out).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def project(reproduced: Path) -> Path:
    """The small project, which each test leaves as it was."""
    return reproduced


@pytest.mark.slow
def test_repro_ends_with_a_row_for_each_pair(project: Path) -> None:
    rows = (project / "results/report/horizons.md").read_text().splitlines()[2:4]
    assert [re.split(r"\s*\|\s*", row)[1:3] for row in rows] == [["temporal order", "RNN"], ["temporal order", "GRU"]]
    page = (project / "results/report/index.html").read_text()
    told = [json.loads(path.read_text()) for path in sorted((project / "results/explain").glob("*/explanation.json"))]
    explained = sum(each["length"] is not None for each in told)
    assert not re.search(r"""(src|href)=["']?https?:|@import|url\(["']?https?:""", page.split("<script")[0])
    assert page.count("<svg role=") == 3 + 2 * 6 + 2 * explained


@pytest.mark.slow
def test_dvc_shows_the_horizons_and_what_changed_them(project: Path) -> None:
    shown = json.loads(dvc(project, "metrics", "show", "--json"))[""]["data"]
    horizon = json.loads((project / "results/search/temporal_order-gru/horizon.json").read_text())
    told = shown["results/search/temporal_order-gru/metrics.json"]["data"]
    assert told.keys() == {"horizon", "t50", "t90", "trials"}
    assert told["trials"] == horizon["trials"]
    path = project / "conf/cell/gru.yaml"
    text = path.read_text()
    path.write_text(text.replace("hidden: 32", "hidden: 16"))
    changed = json.loads(dvc(project, "params", "diff", "--json"))
    path.write_text(text)
    assert changed["conf/cell/gru.yaml"]["hidden"].items() >= {"old": 32, "new": 16}.items()


@pytest.mark.slow
def test_a_stage_that_runs_again_writes_the_same_bytes_and_leaves_other_pages_alone(project: Path) -> None:
    """A training and the report; of the searches the sweep below says as much."""
    other = project / "results/report/published/index.html"
    other.parent.mkdir()
    other.write_text("made by another stage")
    before = digests(project)
    for stage in ("train@temporal_order-gru", "report"):
        assert dvc(project, "repro", "--single-item", "--force", stage).count("Running stage") == 1
    assert digests(project) == before
    shutil.rmtree(other.parent)


@pytest.mark.slow
def test_repro_again_runs_nothing(project: Path) -> None:
    assert dvc(project, "status", "dvc.yaml").strip().endswith("up to date.")
    assert "Running stage" not in dvc(project, "repro")


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    """The file with other words in it."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    try:
        yield
    finally:
        path.write_text(text)


@pytest.mark.slow
def test_a_cell_is_added_to_the_grid_by_one_word(project: Path) -> None:
    """Its stages are planned, its pair after them, and the report last; no other stage is stale.

    With --force, for else a dry run of DVC 3.67 fails at a file that an earlier stage of the plan is to make
    (treeverse/dvc#9021).
    """
    with edited(project / "conf/grid.yaml", "gru]", "gru, lstm]"):
        stale = set(json.loads(dvc(project, "status", "dvc.yaml", "--json")))
        plan = re.findall(r"Running stage '(.*)'", dvc(project, "repro", "--dry", "--force"))
    new = {f"{name}@temporal_order-lstm" for name in ("train", "search", "explain", "pair")}
    assert stale == {*new, "report"} and new < set(plan)
    assert plan[-1] == "report" and max(map(plan.index, new)) == plan.index("pair@temporal_order-lstm")
    assert "Running stage" not in dvc(project, "repro", "--dry")


@pytest.mark.slow
def test_another_colour_draws_pairs_and_report_and_trains_nothing(project: Path) -> None:
    with edited(project / "pipeline/figures/colors.py", "#0072B2", "#0072B3"):
        ran = re.findall(r"Running stage '(.*)'", dvc(project, "repro"))
        page = (project / "results/report/index.html").read_text()
    assert (ran[0], ran[-1]) == ("code", "report")
    assert set(ran[1:-1]) == {"pair@temporal_order-rnn", "pair@temporal_order-gru"}
    assert "#0072b3" in page
    dvc(project, "repro")


@pytest.mark.slow
def test_a_sweep_on_a_dask_cluster_writes_what_repro_wrote_file_for_file(project: Path) -> None:
    before = digests(project)
    shutil.rmtree(project / ".state")
    for path in (project / "results/search").rglob("*.*"):
        if path.name != ".gitignore":  # DVC's
            path.unlink()
    done = run("sweep", "executor=dask", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "resumes study" not in done.stdout  # it trained them anew
    assert {name: digest for name, digest in digests(project).items() if name in before} == before
    assert dvc(project, "status", "dvc.yaml").strip().endswith("up to date.")
    assert "Running stage" not in dvc(project, "repro")


@pytest.mark.slow
def test_an_edit_of_one_cell_makes_only_its_stages_stale(project: Path) -> None:
    path = project / "conf/cell/gru.yaml"
    text = path.read_text()
    path.write_text(text.replace("hidden: 32", "hidden: 16"))
    stale = set(json.loads(dvc(project, "status", "dvc.yaml", "--json")))
    path.write_text(text)
    trained = {f"{name}@temporal_order-gru" for name in ("train", "search", "explain")}
    assert stale == {"code", *trained} | (stale & {"report"})
    assert not any("rnn" in name for name in stale)


@pytest.mark.slow
def test_an_edit_without_a_meaning_reruns_nothing_but_the_digests(project: Path) -> None:
    """A comment in the settings; docstrings, comments and type hints in the code that trains; a retry of a database."""
    with (project / "conf/cell/gru.yaml").open("a") as file:
        file.write("# a remark\n")
    for edit in MEANINGLESS:
        edit(project / "pipeline/learning")
    change_a_constant(project / "pipeline/study/storage.py")
    assert set(json.loads(dvc(project, "status", "dvc.yaml", "--json"))) == {"code"}
    assert re.findall(r"Running stage '(.*)'", dvc(project, "repro")) == ["code"]


@pytest.mark.slow
def test_another_constant_of_one_cell_makes_its_stages_stale(project: Path) -> None:
    change_a_constant(project / "pipeline/cells/gru.py")
    dvc(project, "repro", "code")
    stale = set(json.loads(dvc(project, "status", "dvc.yaml", "--json")))
    assert stale == {f"{name}@temporal_order-gru" for name in ("train", "search", "explain")}


@pytest.mark.slow
def test_another_constant_of_what_trains_makes_all_trainings_stale(project: Path) -> None:
    change_a_constant(project / "pipeline/learning/signature.py")
    dvc(project, "repro", "code")
    stale = set(json.loads(dvc(project, "status", "dvc.yaml", "--json")))
    shown = {f"pair@temporal_order-{cell}" for cell in ("rnn", "gru")} | {"report"}
    assert stale == {f"{name}@temporal_order-{cell}" for name in TRAINED for cell in ("rnn", "gru")} | shown
