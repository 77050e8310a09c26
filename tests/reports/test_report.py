"""The report says what the files of the stages say, and no more."""

import json
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from matplotlib.axes import Axes
from pyarrow import parquet

from pipeline import report
from pipeline.base.errors import UserError
from pipeline.base.files import digest, write_json
from pipeline.figures import style
from pipeline.figures.comparison import overview
from pipeline.figures.search import course_figure, horizon_figure, through_time
from pipeline.figures.search_data import course, solved_share
from pipeline.records.gradients import PROFILES, contrast, read_profiles, share
from pipeline.records.horizon import read_horizon
from pipeline.records.trials import read_trials
from pipeline.records.wording import phrase, probability
from pipeline.reports import edges, links, ranking
from pipeline.tuning.space import Choices, Range, Space
from tests.conftest import compose, run_stage

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"


def estimate(median: float | None, lower: float | None, upper: float | None, censored: str | None = None) -> dict:
    return {"median": median, "lower": lower, "upper": upper, "censored": censored, "probability": 0.25}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (estimate(66.85, 57.71, 83.56), "67 (58 to 84)"),
        (estimate(6.38, 5.42, 7.71), "6.4 (5.4 to 7.7)"),
        (estimate(None, 512.0, None, "above"), "above 512"),
        (estimate(None, None, 8.0, "below"), "below 8"),
        (estimate(None, None, None, "undefined"), "undefined (P = 0.25)"),
        (estimate(155.0, 14.0, None), "at least 14"),
        (estimate(None, 308.0, None), "at least 308"),
        (estimate(100.0, 14.0, 900.0), "at least 14"),
        (estimate(5.0, None, 9.5), "at most 9.5"),
    ],
)
def test_an_estimate_is_said_with_no_more_than_is_known(given: dict, words: str) -> None:
    assert phrase(given) == words


def trial(ordinal: int, length: int, solved: int) -> dict[str, str]:
    return {"ordinal": str(ordinal), "length": str(length), "solved": str(solved), "replicas": "4"}


def profiles(trials: list[dict[str, str]]) -> dict[str, np.ndarray]:
    rows = [(int(t["ordinal"]), when, step) for t in trials for when in PROFILES for step in (1, 2)]
    lengths = {int(t["ordinal"]): int(t["length"]) for t in trials}
    columns = {"length": [lengths[r[0]] for r in rows]}
    columns |= {"trial": [r[0] for r in rows], "when": [r[1] for r in rows], "step": [r[2] for r in rows]}
    columns |= {"update": [100 if r[1] == "last" else 1 for r in rows]}
    columns |= {f"log2_norm_{name}": [-float(r[0]) for r in rows] for name in ("median", "least", "greatest")}
    return {name: np.asarray(values) for name, values in columns.items()}


def test_the_gradient_is_shown_on_both_sides_of_the_horizon() -> None:
    trials = [trial(0, 10, 4), trial(1, 20, 4), trial(2, 80, 0), trial(3, 40, 1), trial(4, 30, 2)]
    shown = contrast(trials, profiles(trials), {"t50": estimate(33.0, 25.0, 40.0)})
    assert [(p["length"], p["share"], p["when"]) for p in shown] == [
        (30, "2/4", "first"),
        (30, "2/4", "last"),
        (40, "1/4", "first"),
        (40, "1/4", "last"),
    ]
    assert [set(p["median"]) for p in shown] == [{-4.0}, {-4.0}, {-3.0}, {-3.0}]


def test_a_horizon_above_the_range_has_no_unsolved_side() -> None:
    trials = [trial(0, 10, 4), trial(1, 20, 4)]
    shown = contrast(trials, profiles(trials), {"t50": estimate(None, 20.0, None, "above")})
    assert {p["length"] for p in shown} == {20}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"task": "adding"}', '"horizon"'])
def test_a_broken_horizon_file_is_named_in_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "horizon.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"horizon\.json .*dvc repro"):
        read_horizon(path)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of one pair as the stages write them: those that are committed, with gradients made up."""
    root = tmp_path_factory.mktemp("results")
    for stage in ("search", "train"):
        shutil.copytree(RESULTS / stage / "temporal_order-rnn", root / stage / "temporal_order-rnn")
    folder, train = root / "search/temporal_order-rnn", root / "train/temporal_order-rnn"
    trials = read_trials(folder / "trials.csv")
    horizon = read_horizon(folder / "horizon.json")
    parquet.write_table(pyarrow.table(profiles(trials)), folder / "gradients.parquet")
    settings = compose("task=temporal_order", "cell=rnn")
    write_json(folder / "settings.json", settings.recorded)
    rows = read_profiles(folder / "gradients.parquet")
    drawn = {"horizon": horizon_figure(solved_share(trials, horizon))}
    drawn |= {"course": course_figure(course(trials, horizon))}
    drawn |= {"gradients": through_time(contrast(trials, rows, horizon), "RNN")}
    for name, figure in drawn.items():
        style.save(figure, folder / f"{name}.svg")
    for name in ("gradients", "curves"):
        shutil.copy(folder / "course.svg", train / f"{name}.svg")
    return root


@pytest.fixture(scope="module")
def page(results: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report on that pair."""
    conf = tmp_path_factory.mktemp("conf")
    (conf / "grid.yaml").write_text("grid: {tasks: [temporal_order], cells: [rnn]}\n")
    (results / "report/published").mkdir(parents=True)
    (results / "report/published/index.html").write_text("made by another stage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "CONF", conf)
        pages = []
        for _ in range(2):
            ended = run_stage(report.main, f"paths.results={results}")
            assert (ended.status, ended.err) == (0, "")
            pages.append((results / "report/index.html").read_bytes())
    assert pages[0] == pages[1]  # the same results, the same bytes
    return pages[0].decode()


def test_the_page_asks_for_nothing_outside_itself(page: str) -> None:
    own = page[: page.index("<script>")]  # the library after it is text, and the browser tests watch what it asks for
    assert not re.search(r"""(?:src|href|srcset|data|action)\s*=\s*["']?(?:https?:)?//""", own)
    assert not re.search(r"@import|url\((?!#)", own)
    assert len(page) < 4e6


def test_the_page_shows_the_evidence_and_the_settings(page: str, results: Path) -> None:
    horizon = read_horizon(results / "search/temporal_order-rnn/horizon.json")
    assert page.count(phrase(horizon["t50"])) >= 3
    assert page.count('<svg role="img" aria-label="') == 3 + 5
    for name, value in report.flat(compose("task=temporal_order", "cell=rnn").recorded).items():
        assert f"<dt>{name}</dt><dd>{'null' if value is None else value}</dd>" in page
    assert digest(results / "search/temporal_order-rnn/trials.csv") in page
    assert "python -m pipeline.search task=temporal_order cell=rnn" in page


def test_no_id_comes_twice_and_every_reference_has_its_target(page: str) -> None:
    own = page[: page.index("<script")]
    found = re.findall(r'\bid="([^"]+)"', own)
    assert len(found) == len(set(found))
    wanted = set(re.findall(r'(?:xlink:href="|href="|url\()#([^")]+)', own))
    assert wanted <= set(found)


def test_the_figures_take_the_colours_of_the_page(page: str) -> None:
    style = page[page.index("<style>") : page.index("</style>")]
    named = set(re.findall(r"var\((--\w+)\)", page[: page.index("<script")]))
    assert {"--blue", "--vermillion", "--grey"} <= named
    for name in named:
        assert style.count(f"{name}: #") == 3, name  # light, dark, print


def test_what_the_charts_show_is_what_the_trials_say(page: str, results: Path) -> None:
    text = re.search(r'<script type="application/json" id="explored">(.*?)</script>', page, flags=re.DOTALL)
    assert text
    (pair,) = json.loads(text[1])["pairs"]
    trials = read_trials(results / "search/temporal_order-rnn/trials.csv")
    assert [point["length"] for point in pair["points"]] == [int(trial["length"]) for trial in trials]
    assert [point["share"] for point in pair["points"]] == [share(trial) for trial in trials]
    median = read_horizon(results / "search/temporal_order-rnn/horizon.json")["t50"]["median"]
    near = min(pair["curves"], key=lambda point: abs(np.log(point["length"] / median)))
    assert 0.2 < near["median"] < 0.8


def test_other_pages_in_the_folder_of_the_report_stay(page: str, results: Path) -> None:
    assert (results / "report/published/index.html").read_text() == "made by another stage"
    assert 'href="published/index.html"' in page


def test_the_linked_page_names_known_runs_and_no_others(page: str, results: Path) -> None:
    written = digest(results / "search/temporal_order-rnn/trials.csv")
    linked = links.with_links(page, {"digest.trials": {written: "http://127.0.0.1:5000/#/a?b&c"}, "digest.outcome": {}})
    assert 'class="run" href="http://127.0.0.1:5000/#/a?b&amp;c"' in linked
    assert linked.count('class="run" href=') == 1


def committed() -> list[report.Pair]:
    """The committed searches, without what only DVC keeps."""
    return [
        report.Pair(
            folder.name,
            read_horizon(folder / "horizon.json"),
            read_trials(folder / "trials.csv"),
            profiles={},
            training={},
            settings={},
            runs={},
            ends={},
        )
        for folder in sorted((RESULTS / "search").iterdir())
    ]


def test_the_order_of_the_cells_follows_from_the_trials() -> None:
    pairs = committed()
    found = ranking.rankings([report.belief(pair) for pair in pairs])
    assert {entry["task"] for entry in found} == {pair.horizon["task"] for pair in pairs}
    for entry in found:
        same = [(pair.horizon["cell"], pair.horizon["t50"]) for pair in pairs if pair.horizon["task"] == entry["task"]]
        medians = {cell: estimate["median"] or estimate["lower"] for cell, estimate in same}
        assert set(entry["order"]) == set(medians)
        assert sum(entry["best"].values()) == pytest.approx(1.0, abs=1e-4)
        assert entry["probability"] <= min(entry["pairs"]) + 1e-9
        for (high, low), chance in zip(pairwise(entry["order"]), entry["pairs"], strict=True):
            assert (chance >= 0.5) == (medians[high] >= medians[low])
    lines = report.table(pairs, found).splitlines()
    assert sum(" with probability " in line for line in lines) == len(found)


SPACE: Space = {
    "training.clip": Range(0.03, 10.0, log=True),
    "cell.forget_bias": Range(0.0, 6.0),
    "cell.init": Choices(("torch", "orthogonal")),
}


@pytest.mark.parametrize(
    ("clip", "bias", "ends"),
    [
        (1.0, 3.0, set()),
        (0.03, 5.99, {"training.clip", "cell.forget_bias"}),
        (0.0302, 0.0, {"training.clip", "cell.forget_bias"}),
        (0.04, 0.1, set()),  # a little inside, on the scale of each
        (20.0, 7.0, {"training.clip", "cell.forget_bias"}),  # a space that was made narrower since
        (0.0, 3.0, {"training.clip"}),
        (None, 3.0, set()),  # off
    ],
)
def test_a_choice_at_an_end_of_what_was_tried_is_named(clip: float | None, bias: float, ends: set[str]) -> None:
    chosen = {"training.clip": clip, "cell.forget_bias": bias, "cell.init": "torch", "optimizer.lr": 0.01}
    tuned = {"tuned": {"plain": {}}, "t50": estimate(60.0, 55.0, 70.0)}
    assert set(edges.at_an_end(SPACE, chosen, tuned)) == ends
    assert edges.at_an_end(SPACE, chosen, tuned | {"tuned": None}) == {}
    assert edges.at_an_end(SPACE, chosen, tuned | {"t50": estimate(None, 512.0, None, "above")}) == {}


def test_the_table_names_pairs_that_were_chosen_at_an_end_and_no_others() -> None:
    first, *others = committed()
    assert report.BEYOND not in report.table([first, *others], [])
    lines = report.table([replace(first, ends={"training.clip": 0.03, "cell.forget_bias": 6.0}), *others], [])
    assert lines.rstrip().endswith(f"\n- {report.name_of(first)}: training.clip 0.03, cell.forget_bias 6")


def test_the_table_shows_the_horizon_with_plain_settings_beside_the_tuned_one() -> None:
    pair = next(pair for pair in committed() if pair.name == "temporal_order-rnn")
    alone = report.table([replace(pair, horizon={**pair.horizon, "tuned": None})], [])
    plain = {"plain": estimate(59.4, 54.6, 72.6), "cost": 2.84 * pair.horizon["compute"]}
    beside = report.table([replace(pair, horizon={**pair.horizon, "tuned": plain})], [])
    assert alone.splitlines()[2].split(" | ")[4] == "–"
    assert beside.splitlines()[2].split(" | ")[4] == "59 (55 to 73)"
    assert beside.splitlines()[0].split(" | ")[4] == "with plain settings"
    assert alone.splitlines()[2].endswith(" | – |") and beside.splitlines()[2].endswith(" | 2.84 |")
    assert beside.splitlines()[0].endswith(" | cost of the choice |")
    assert "probability" not in beside


SEARCH = {"length_min": 8, "length_max": 512, "level": 0.9, "certainty": 0.95, "factor": 1.5}


def chosen(name: str, own: dict, *others: dict, tuned: bool = True) -> report.Pair:
    """A pair as `report.read` returns it, with other choices."""
    pair = next(pair for pair in committed() if pair.name == name)
    horizon = {**pair.horizon, "t50": own, "tuned": {"plain": own, "study": "x", "cost": 1} if tuned else None}
    again = [{"seed": seed, "horizon": each} for seed, each in enumerate(others, start=1)]
    return replace(pair, horizon=horizon, settings={f"search.{k}": v for k, v in SEARCH.items()}, again=again)


def test_the_table_shows_where_the_horizon_of_one_more_choice_lies() -> None:
    far = chosen("adding-lstm", estimate(103.0, 88.0, 126.0), estimate(123.0, 107.0, 148.0), estimate(64.0, 57.0, 76.0))
    once = chosen("adding-rnn", estimate(20.0, 18.0, 22.0))
    plain = chosen("adding-gru", estimate(69.0, 64.0, 80.0), tuned=False)
    pairs = report.with_another_choice(compose(), [far, once, plain])
    lines = report.table(pairs, []).splitlines()
    assert lines[0].split(" | ")[3] == "settings chosen again"
    shown = [line.split(" | ")[3] for line in lines[2:5]]
    assert shown == [report.again_phrase(pair) for pair in pairs] and shown[2] == "–"
    assert pairs[0].another is not None and pairs[1].another is not None and pairs[2].another is None
    assert pairs[0].another.t50["lower"] < 88 and pairs[0].another.t50["upper"] > 126
    assert pairs[1].another.horizon.octaves(0.9) > 0.5  # as the other pair spreads; its search knows it to .3 octaves
    assert "1 or 3 choices of each tuned pair" in lines[6]
    assert lines[lines.index(report.NOT_AGAIN) + 2 :] == [f"- {report.name_of(once)}"]
    assert lines[lines.index(report.PLAIN) + 2] == f"- {report.name_of(plain)}"


def test_without_other_choices_nothing_is_said_of_them() -> None:
    pairs = report.with_another_choice(compose(), [chosen("adding-rnn", estimate(8.7, 8.0, 9.7))])
    assert [pair.another for pair in pairs] == [None]
    text = report.table(pairs, [])
    assert report.NOT_AGAIN not in text and text.splitlines()[2].split(" | ")[3] == "–"
    assert report.content(pairs, [])["chosen_again"] == []


def test_the_order_of_the_cells_counts_the_luck_of_the_choice() -> None:
    """Searches say that they are an octave apart; choices spread by as much."""
    others = [
        chosen(f"adding-{cell}", estimate(40, 36, 44), estimate(20, 18, 22), estimate(80, 72, 88)) for cell in ("gru",)
    ]
    low = chosen("adding-rnn", estimate(30, 27, 33), estimate(31, 28, 34), estimate(60, 54, 66))
    high = chosen("adding-lstm", estimate(60, 54, 66), estimate(30, 27, 33), estimate(61, 55, 67))
    pairs = report.with_another_choice(compose(), [low, high, *others])
    (found,) = ranking.rankings([report.belief(pair) for pair in pairs])
    assert found["probability"] < 0.6 and found["order"][0] in ("lstm", "gru")
    told = report.content(pairs, [found])["chosen_again"]
    assert [(each["task"], each["cell"], len(each["choices"])) for each in told] == [
        ("adding", cell, 2) for cell in ("rnn", "lstm", "gru")
    ]
    assert all(each["spread_octaves"]["median"] > 0.2 for each in told)


def test_what_the_page_says_of_choosing_again_is_in_its_files() -> None:
    """The committed choices are of the committed settings, and the committed report counts them."""
    told = json.loads((RESULTS / "report/horizons.json").read_text())
    for each in told["chosen_again"]:
        pair = f"{each['task']}-{each['cell']}"
        file = json.loads((RESULTS / "retune" / pair / "retune.json").read_text())
        horizon = read_horizon(RESULTS / "search" / pair / "horizon.json")
        assert file["first_study"] == horizon["tuned"]["study"] and file["choices"] == each["choices"]
    tuned = {(each["task"], each["cell"]) for each in told["horizons"] if each["tuned"]}
    assert {(each["task"], each["cell"]) for each in told["chosen_again"]} == tuned


def test_a_thin_line_shows_where_one_more_choice_lies_and_an_arrow_where_that_is_beyond_the_range() -> None:
    (pair,) = [pair for pair in committed() if pair.name == "temporal_order-rnn"]
    own = {**pair.horizon, "t50": estimate(60.0, 53.0, 71.0)}

    def drawn(again: dict | None) -> Axes:
        return overview([own], {("temporal_order", "rnn"): again} if again else None).axes[0]

    def spans(again: dict | None) -> set[tuple[float, float]]:
        lines = drawn(again).get_lines()
        return {tuple(map(float, line.get_xdata())) for line in lines if len(line.get_xdata()) == 2}

    def arrows(again: dict | None) -> int:
        return sum(getattr(text, "arrow_patch", None) is not None for text in drawn(again).texts)

    assert spans(None) == {(53.0, 71.0)} == spans(estimate(None, 512.0, None, "above"))
    assert arrows(estimate(None, 512.0, None, "above")) == 1 + arrows(None)
    assert spans(estimate(61.0, 40.0, 90.0)) == {(53.0, 71.0), (40.0, 90.0)}
    assert arrows(estimate(61.0, 40.0, 90.0)) == arrows(None)


@pytest.mark.parametrize(
    ("chance", "words"), [(0.6249, "0.62"), (0.999, "above 0.99"), (0.001, "below 0.01"), (1.0, "above 0.99")]
)
def test_a_probability_is_never_rounded_to_certainty(chance: float, words: str) -> None:
    assert probability(chance) == words


def test_figures_have_the_same_bytes_each_time(tmp_path: Path) -> None:
    horizon = json.loads((RESULTS / "search/temporal_order-rnn/horizon.json").read_text())
    for name in ("one.svg", "two.svg"):
        style.save(overview([horizon]), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_committed_horizons_follow_from_the_committed_trials() -> None:
    for folder in sorted((RESULTS / "search").iterdir()):
        horizon = read_horizon(folder / "horizon.json")
        share = solved_share(read_trials(folder / "trials.csv"), horizon)
        assert share.tried.sum() == horizon["trials"] * horizon["replicas"]
        answer = horizon["t50"]
        if not answer["censored"]:
            middle = np.interp(np.log(answer["median"]), np.log(share.grid), share.median)
            assert 0.3 < middle < 0.7
