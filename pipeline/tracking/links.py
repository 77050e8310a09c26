"""Addresses at which the runs open in a browser."""

import os
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline.base.redaction import without_user
from pipeline.tracking.store import uri
from pipeline.tracking.views import HORIZONS

LISTED = 20  # newest parent runs that `links` names in each experiment


def server(address: str) -> str:
    """Return the address of the server that keeps the runs, or else the given one."""
    known = os.environ.get("MLFLOW_TRACKING_URI", "")
    return without_user(known.rstrip("/")) if known.startswith("http") else address


def link(address: str, experiment: str, run: str = "") -> str:
    """Return where the UI shows an experiment's runs, or one of them.

    `address` is that of the UI where no server keeps the runs. Without its last part the address would open chats.
    """
    return f"{server(address)}/#/experiments/{experiment}/runs{run and '/'}{run}?workflowType=machine_learning"


def links(state: Path, address: str) -> list[str]:
    """Return a line for each experiment and each of its newest parent runs, with the address that opens it."""
    client = MlflowClient(uri(state))
    lines = []
    for experiment in client.search_experiments(filter_string="name != 'Default'", order_by=["name ASC"]):
        lines.append(f"{experiment.name}: {link(address, experiment.experiment_id)}&viewStateShareKey={HORIZONS}")
        found = client.search_runs([experiment.experiment_id], "tags.level = 'parent'", max_results=LISTED)
        lines += [f"  {_title(each)}: {link(address, each.info.experiment_id, each.info.run_id)}" for each in found]
    return lines


def writers(state: Path, address: str, tag: str) -> dict[str, str]:
    """Return the address of the newest run for each value of a tag, such as the digest of a file that it wrote."""
    client = MlflowClient(uri(state))
    known = [experiment.experiment_id for experiment in client.search_experiments()]
    found: dict[str, str] = {}
    for each in client.search_runs(known, f"tags.`{tag}` LIKE '%'", order_by=["attributes.start_time DESC"]):
        found.setdefault(each.data.tags[tag], link(address, each.info.experiment_id, each.info.run_id))
    return found


def _title(found: Run) -> str:
    """Return a run's name and its answer, which the name of a search has already."""
    answers = (found.data.tags.get(tag) for tag in ("horizon", "solved", "verdict"))
    answer = next(filter(None, answers), found.info.status.lower())
    return found.info.run_name if found.info.run_name.endswith(answer) else f"{found.info.run_name}: {answer}"
