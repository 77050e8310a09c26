"""`python -m pipeline` lists what there is."""

import tomllib

import pytest

from pipeline.__main__ import commands, main
from tests.conftest import ROOT


def test_every_installed_command_is_listed_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    found = commands()
    assert {f"horizon-{name}" for name in found} == set(scripts)
    assert all(sentence.endswith(".") for sentence in found.values()), found
    main()
    assert len(capsys.readouterr().out.splitlines()) == len(found) + 2
