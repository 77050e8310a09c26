"""The words of a command line that override settings: `training.clip=2`, `+experiment=NAME`, `~training.clip`."""

import re
from collections.abc import Sequence

from pipeline.base.files import digest

ELSEWHERE = ("paths", "tracking")  # sections that say where things go, which no command repeats
LONGEST = 120  # signs of a folder's name


def asked(overrides: Sequence[str]) -> list[str]:
    """Return the overrides of a command line without those that say where things go."""
    return [each for each in overrides if not each.startswith(tuple(f"{name}." for name in ELSEWHERE))]


def name_of(override: str) -> str:
    """Return the setting or group that an override names: `training.clip` of `++training.clip=2`."""
    return re.split("[=@]", override.lstrip("+~"))[0]


def job_folder(overrides: Sequence[str]) -> str:
    """Return a name for one job of a multirun: its overrides, shortened by a digest if they are long."""
    shown = ",".join(sorted(each for each in asked(overrides) if not each.startswith("+experiment=")))
    name = shown.replace("/", "_")
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}-{digest(shown, digits=8)}"
