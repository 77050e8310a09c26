"""What an experiment of MLflow shows before anybody has chosen anything: a note with a glossary, and saved views.

A saved view is a tag of the experiment, as MLflow's own button "Share" writes it (read from MLflow 3.17, where nothing
documents it): JSON with a name and, as compressed JSON, the filter, the order and the columns.
"""

import base64
import json
import time
import zlib
from collections.abc import Mapping
from typing import Any

NOTE = "mlflow.note.content"
VIEW = "mlflow.sharedViewState."
HORIZONS = "horizons"  # key of the view that links open
CREATED = "attributes.`Created`"

GLOSSARY = """Searches and trainings on the task {task}. Each search is a run that ends with its answer in its name, as
`lstm · T50 103 (88 to 126)`: the length that half of the seeds solve, with its 90% interval. Below it lies a run for
each trial. *Views*, on the upper right, has the searches and the trials with the columns that matter.

| metric | meaning | unit |
|---|---|---|
| `horizon/t50_…`, `t90_…` | the length that half, or nine in ten, of the seeds solve | steps of the task |
| `budget/t50_…` | the same within fewer updates, over updates | steps |
| `length/solved_share` | share of the seeds that solve, over length | 0 to 1 |
| `gradient/decay` | factor of the gradient's norm with each step back; `_c`: of the cell state | 1 |
| `gradient/reach` | steps after which 1/e of the gradient is left | steps |
| `gradient/first_over_last` | norm of the gradient at the first step by that at the last | log10 |
| `gradient/vanished` | share of the steps whose norm is below 1e-4 of the largest | 0 to 1 |
| `gradient/norm` | norm of the whole gradient, before clipping | 1 |
| `gradient/clipped` | share of the updates that were clipped | 0 to 1 |
| `score/held_out`, `score/best` | error on held-out sequences | as the task's goal |
| `search/compute` | seeds x updates x length | steps |
"""

VIEWS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    HORIZONS: (
        "Horizons",
        {
            "searchFilter": "tags.level = 'parent' AND tags.stage = 'search'",
            "orderByKey": CREATED,
            "orderByAsc": False,
            "selectedColumns": [
                "params.`cell.hidden`",
                "tags.`verdict`",
                "tags.`horizon.t90`",
                "tags.`horizon.growth`",
            ],
        },
    ),
    "trials": (
        "Trials by length",
        {
            "searchFilter": "tags.level = 'trial'",
            "orderByKey": "metrics.`length`",
            "orderByAsc": True,
            "selectedColumns": ["metrics.`length`", "metrics.`replicas/solved`", "metrics.`gradient/decay`"],
        },
    ),
}


def tags(task: str) -> dict[str, str]:
    """Return the tags of an experiment that hold its note and its views."""
    now = int(time.time() * 1000)
    views = {
        VIEW + key: json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": packed(state)})
        for key, (name, state) in VIEWS.items()
    }
    return {NOTE: GLOSSARY.format(task=task), **views}


def packed(state: Mapping[str, Any]) -> str:
    """Return the state of a view as MLflow's page keeps it."""
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
