"""What Optuna's dashboard says of a search, which is no optimization: its answer, drawn and in words."""

import json

import pytest
from optuna.storages import InMemoryStorage
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects  # what its server reads

from pipeline.runs.search_summary import share_by_length, show_study
from pipeline.study.opening import open_study
from pipeline.study.sampler import HorizonSampler
from tests.records.made import committed, trial


def test_the_first_page_of_a_study_has_the_answer_and_a_figure() -> None:
    study, found = open_study(InMemoryStorage(), "copy-lstm", HorizonSampler(4, 64)), committed("copy-lstm")
    for link in ("", "http://127.0.0.1:5000/#/run"):  # the second replaces the first
        show_study(study, [trial(0, 8, 4), trial(1, 64, 1)], found, "**Horizon**", link)
    about = study.user_attrs
    assert (about["task"], about["cell"], about["MLflow"]) == ("copy", "lstm", "http://127.0.0.1:5000/#/run")
    assert about["horizon T50"] in str(about) and "pipeline.explain task=copy cell=lstm" in about["verdict"]
    figures = get_plotly_graph_objects(study._storage.get_study_system_attrs(study._study_id))
    assert list(figures) == ["horizon"]
    drawn = json.loads(figures["horizon"])
    assert (drawn["data"][0]["x"], drawn["data"][0]["y"]) == ([8, 64], [1.0, 0.25])
    assert about["horizon T50"] in drawn["layout"]["title"]["text"]


@pytest.mark.parametrize("pair", ["adding-rnn", "adding-gru"])
def test_an_interval_is_drawn_where_there_is_one(pair: str) -> None:
    found = committed(pair)
    shapes = share_by_length([trial(0, 8, 4)], found)["layout"]["shapes"]
    assert [(each["x0"], each["x1"]) for each in shapes] == (
        [] if found.t50.censored else [(found.t50.lower, found.t50.upper)]
    )
