"""What is committed as JSON can be read by whatever reads JSON."""

import json
import subprocess
from typing import NoReturn

from tests.base.commands import ROOT


def test_no_file_holds_a_number_that_json_does_not_have() -> None:
    def refuse(word: str) -> NoReturn:
        raise ValueError(f"{word} is no number of JSON")

    listed = subprocess.run(["git", "ls-files", "-z", "*.json"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split("\0") if name]
    assert "results/benchmarks/search.json" in names
    for name in names:
        json.loads((ROOT / name).read_text(), parse_constant=refuse)
