"""What an experiment shows: its note, and saved views that MLflow's page can read."""

import base64
import json
import zlib
from pathlib import Path

from mlflow import MlflowClient

from pipeline import tracking
from pipeline.tracking import views
from pipeline.tracking.store import uri


def test_a_view_is_what_the_page_unpacks() -> None:
    for key, (name, state) in views.VIEWS.items():
        stored = json.loads(views.tags("adding")[views.VIEW + key])
        assert stored["name"] == name
        packed = stored["state"].removeprefix("deflate;")
        assert json.loads(zlib.decompress(base64.b64decode(packed))) == state


def test_a_new_experiment_has_a_note_and_views_and_another_note_stays(tmp_path: Path) -> None:
    def experiment() -> dict[str, str]:
        with tracking.open_run(True, tmp_path, "adding", "run", {}):
            pass
        found = client.get_experiment_by_name("adding")
        assert found
        return dict(found.tags)

    client = MlflowClient(uri(tmp_path))
    known = experiment()
    assert "task adding" in known[views.NOTE] and views.VIEW + views.HORIZONS in known
    identifier = client.get_experiment_by_name("adding").experiment_id
    client.set_experiment_tag(identifier, views.NOTE, "my own")
    assert experiment()[views.NOTE] == "my own"
