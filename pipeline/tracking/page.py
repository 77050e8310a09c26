"""The report as an artifact of a run of its own, so that a browser far from the files opens it, too."""

from pathlib import Path

from mlflow import MlflowClient

from pipeline.base.files import digest
from pipeline.tracking.links import link
from pipeline.tracking.run import open_run
from pipeline.tracking.store import connect
from pipeline.tracking.views import NOTE

EXPERIMENT = "report"
WROTE = "digest.page"  # tag: the page that a run has
ABOUT = "The report: every horizon, with its figures and links to the runs that wrote them. It lies below *Artifacts*."


def page_link(state: Path, address: str, page: Path) -> str:
    """Return where MLflow shows a page, which is logged first unless a run has the very same one; else nothing."""
    client, experiment = connect(state, EXPERIMENT)
    if not (known := _runs(client, experiment, digest(page))):
        client.set_experiment_tag(experiment, NOTE, ABOUT)
        with open_run(True, state, EXPERIMENT, EXPERIMENT, {"stage": "report", WROTE: digest(page)}) as run:
            run.note(ABOUT)
            run.file(page)
        known = _runs(client, experiment, digest(page))
    return link(address, experiment, f"{known[0]}/artifacts/{page.name}") if known else ""


def _runs(client: MlflowClient, experiment: str, wrote: str) -> list[str]:
    """Return the runs that have a page, the newest first."""
    same = f"tags.`{WROTE}` = '{wrote}' and attributes.status = 'FINISHED'"
    return [each.info.run_id for each in client.search_runs([experiment], same)]
