"""What is committed was made by this code: held before a release, for between releases results may lag behind."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.base.deciding import ROOT, code_in, digests
from pipeline.base.trees import flatten

LOCKS = ("dvc.lock", "pipeline/dvc/tuning/dvc.lock", "pipeline/dvc/papers/dvc.lock")


def of_other_code(lock: Path, now: dict[str, Any]) -> dict[str, list[str]]:
    """The stages of a lock file that were run with other code than this, and by which digests that shows."""
    stages = yaml.safe_load(lock.read_text())["stages"]
    found = {}
    for name, stage in stages.items():
        then = flatten(stage.get("params", {}).get("results/code.json", {}))
        if then and (changed := [key for key, value in then.items() if now.get(key) != value]):
            found[name] = changed
    return found


def test_a_stage_that_other_code_ran_is_named_with_the_digest_that_changed(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(
        "stages:\n"
        "  search@a-b: {params: {results/code.json: {search: one, cell.b: two}}}\n"
        "  search@a-c: {params: {results/code.json: {search: one, cell: {b: three}}}}\n"
        "  report: {cmd: python}\n"
    )
    assert of_other_code(tmp_path / "dvc.lock", {"search": "one", "cell.b": "three"}) == {"search@a-b": ["cell.b"]}


@pytest.mark.release
@pytest.mark.parametrize("lock", LOCKS)
def test_every_committed_result_is_of_this_code(lock: str) -> None:
    """The names below are stages whose results are of other code: `make tune retune repro papers` makes them anew."""
    stages = yaml.safe_load((ROOT / lock).read_text())["stages"]
    depending = [name for name, stage in stages.items() if "results/code.json" in stage.get("params", {})]
    assert depending, f"{lock} is of a time before results/code.json"
    assert of_other_code(ROOT / lock, flatten(digests(code_in(ROOT)))) == {}


@pytest.mark.release
def test_the_committed_digests_are_of_this_code() -> None:
    assert json.loads((ROOT / "results/code.json").read_text()) == digests(code_in(ROOT))
