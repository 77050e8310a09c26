"""From conf/ and the command line to checked settings and built parts; the only place that knows Hydra.

    from pipeline.settings import compose

    settings = compose("task=adding", "cell=lstm", "training.length=50")

A stage is a function of `Settings`, made a command by `@stage`: a mistake of the user's is one sentence and status 2.
"""

from pipeline.base.errors import require
from pipeline.settings.command import stage, stage_with
from pipeline.settings.parts import build
from pipeline.settings.places import CONF, PARTS, ROOT
from pipeline.settings.schema import Settings

__all__ = ["CONF", "PARTS", "ROOT", "Settings", "build", "compose", "stage", "stage_with"]


def compose(*overrides: str) -> Settings:
    """Return checked settings, as a command with these overrides gets them; raise `UserError` where one is wrong."""
    from pipeline.settings import composition  # Hydra

    for each in overrides:
        require(isinstance(each, str), "compose", 'takes overrides one by one, like "training.length=50"', each)
    return composition.compose(overrides)
