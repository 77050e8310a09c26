"""What an explanation adds to the search that it explains, where a search is looked at: in MLflow and the dashboard."""

from pipeline.base.files import digest
from pipeline.runs.studies import search_name, storage
from pipeline.runs.work import Work
from pipeline.settings.destination import folder_of
from pipeline.study.opening import known_study, state

SEARCHED = "digest.trials"  # tag of the run that wrote the trials of a search
MAPS = "maps.svg"  # the gradient over updates and steps, a solving beside a failing seed


def show_beside_search(work: Work, verdict: str, reason: str) -> None:
    """Put the verdict and the maps on the run of the search, and the verdict on its study, where these are there."""
    trials = folder_of(work.settings, "search") / "trials.csv"
    if trials.exists():
        files = {MAPS: (work.folder / MAPS).read_bytes()} if (work.folder / MAPS).exists() else {}
        work.run.beside(SEARCHED, digest(trials), {"verdict": verdict}, files)
    if study := known_study(storage(work.settings), search_name(work.settings)):
        state(study, {"verdict": f"{verdict}: {reason}"})
