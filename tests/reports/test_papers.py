"""The page of published results says what the experiments gave, and what the knobs say about the gradient."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import yaml

from pipeline import papers as command
from pipeline.base.errors import UserError
from pipeline.horizon.rank_correlation import RankCorrelation
from pipeline.learning.scoreboard import Outcome
from pipeline.records.outcome import OutcomeRecord
from pipeline.reports import papers
from tests.conftest import ROOT, options, run_stage

PLAN = yaml.safe_load((ROOT / "conf/papers.yaml").read_text())
STAGES = yaml.safe_load((ROOT / "pipeline/dvc/papers/dvc.yaml").read_text())["stages"]
RESULTS = ROOT / "results"
HORIZON = json.loads((RESULTS / "search/temporal_order-rnn/horizon.json").read_text())


def search(folder: Path, median: float, init: str, left: str) -> None:
    """The files of a search whose horizon lies near `median`."""
    folder.mkdir(parents=True)
    estimate = {"median": median, "lower": median / 1.3, "upper": median * 1.3, "censored": None}
    (folder / "horizon.json").write_text(json.dumps(HORIZON | {"t50": estimate}))
    shutil.copy(RESULTS / "search/temporal_order-rnn/settings.json", folder)
    with (RESULTS / "search/temporal_order-rnn/trials.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    replicas = int(row["replicas"])
    below = row | {"length": int(median / 1.2), "solved": replicas, "updates": json.dumps([50] * replicas)}
    above = row | {"length": int(median * 1.2), "solved": 0, "updates": json.dumps([None] * replicas)}
    rows = [each | {"ordinal": n, "decay_init": init, "decay_exit": left} for n, each in enumerate([below, above] * 6)]
    with (folder / "trials.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def knobs(folder: Path) -> list[papers.Knob]:
    """A knob of the RNN whose decay goes with the horizon at init, and is not known at plateau exit."""
    for gain, median, decay in (("0.5", 20.0, "0.7"), ("1.0", 50.0, "0.9"), ("1.5", 120.0, "1.01")):
        search(folder / "experiment" / "knobs" / "search" / f"cell.gain={gain}", median, decay, "")
    return papers.read_knobs(folder, "knobs")


def test_knobs_are_read_in_the_order_of_their_values(tmp_path: Path) -> None:
    found = knobs(tmp_path)
    assert [(knob.cell, knob.name, knob.value) for knob in found] == [
        ("rnn", "gain", 0.5),
        ("rnn", "gain", 1.0),
        ("rnn", "gain", 1.5),
    ]
    assert [knob.decay("init") for knob in found] == [0.7, 0.9, 1.01]


def test_the_rank_correlation_is_found_where_there_is_one_and_missing_where_nothing_is_known(tmp_path: Path) -> None:
    found = papers.correlations(knobs(tmp_path), 0.9)
    assert found.keys() == {"all", "rnn"}
    assert found["rnn"]["init"] is not None
    assert found["rnn"]["init"].lower == pytest.approx(1)
    assert found["rnn"]["exit"] is None


def test_what_does_not_fall_has_no_reach(tmp_path: Path) -> None:
    found = knobs(tmp_path)
    assert [knob.reaches["init"] for knob in found] == [2.8, 9.49, None]
    assert {knob.reaches["exit"] for knob in found} == {None} == {knob.decays["exit"] for knob in found}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "too few settings to say"),
        (RankCorrelation(0.2, -0.1, 0.5, 6), "ρ = 0.20 (-0.10 to 0.50), 6 settings: it does not predict the horizon"),
        (
            RankCorrelation(0.9, 0.8, 1.0, 6),
            "ρ = 0.90 (0.80 to 1.00), 6 settings: a slower decay goes with a longer horizon",
        ),
    ],
)
def test_a_verdict_says_what_the_data_say(found: RankCorrelation | None, words: str) -> None:
    assert papers.verdict(found).endswith(words)


def outcome(update: int | None, score: float | None) -> Outcome:
    return Outcome(0, update is not None, update, update, score is None, 2000, score)


def training(solved: int, *rows: Outcome) -> OutcomeRecord:
    return OutcomeRecord("adding", "rnn", 8, 2000, 0.01, 0.1, 0.2, solved, 9, None, {}, rows)


def test_a_training_is_told_by_who_solved_and_after_how_many_sequences() -> None:
    rows = outcome(50, 0.001), outcome(1500, 0.001), outcome(None, 0.5)
    assert papers.trained(training(2, *rows), 32) == "2 of 3 replicas solved, after 1 600 to 48 000 sequences"
    none = training(0, outcome(None, 0.25), outcome(None, None))
    assert papers.trained(none, 32) == "0 of 2 replicas solved; best error 0.25"
    assert papers.trained(training(0, outcome(None, None)), 32) == "0 of 1 replicas solved; all diverged"


def test_an_experiment_that_was_not_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"knobs_rnn has no results; `make papers`"):
        papers.answer(tmp_path, "knobs_rnn")


def test_every_name_of_the_plan_is_an_experiment() -> None:
    named = {name for group in PLAN["papers"].values() for name in group} | {c["experiment"] for c in PLAN["claims"]}
    assert named <= set(options("experiment"))


def test_the_table_depends_on_every_result_that_it_shows() -> None:
    """Those of a search, of a training and of the knobs."""
    trainings = set(PLAN["papers"]["trainings"])
    wanted = {f"results/experiment/{name}/search" for name in PLAN["papers"]["knobs"]}
    for claim in PLAN["claims"]:
        trained = (RESULTS / "experiment" / claim["experiment"] / "train").exists() or claim["experiment"] in trainings
        file = "train/outcome.json" if trained else "search/horizon.json"
        wanted.add(f"results/experiment/{claim['experiment']}/{file}")
    assert {dep for dep in STAGES["published"]["deps"] if dep.startswith("results/")} == wanted


def test_the_main_pipeline_does_not_run_the_papers() -> None:
    main = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    deps = {dep for stage in main.values() for dep in stage.get("deps", ())}
    assert not [dep for dep in deps if dep.startswith(("results/experiment", "results/report"))]


def test_the_stage_writes_the_same_bytes_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    knobs(tmp_path)
    search(tmp_path / "experiment" / "knobs_rnn" / "search", 33.0, "0.9", "0.95")
    conf = tmp_path / "conf"
    conf.mkdir()
    claim = {"experiment": "knobs_rnn", "source": "S 1999", "published": "solved", "remark": "none"}
    (conf / "papers.yaml").write_text(yaml.safe_dump({"papers": {"knobs": ["knobs"]}, "claims": [claim]}))
    monkeypatch.setattr(papers, "CONF", conf)
    written = []
    for _ in range(2):
        ended = run_stage(command.main, f"paths.results={tmp_path} paths.state={tmp_path}")
        assert (ended.status, ended.err) == (0, "")
        folder = tmp_path / "report" / "published"
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert written[0].keys() == {"index.html", "published.json", "published.md", "predicted.svg"}
    assert written[0] == written[1]
    assert "T50 33 (25 to 43), error below 0.01" in written[0]["published.md"].decode()
    assert "http" not in written[0]["index.html"].decode().replace("http-equiv", "")
