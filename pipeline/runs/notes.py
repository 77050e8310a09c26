"""Descriptions of runs in Markdown, for a reviewer: what was asked, what came out, and how to repeat it."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.records.wording import (
    foreseen_phrase,
    further_phrase,
    growth_phrase,
    law_phrase,
    ninety_phrase,
    phrase,
    short,
)
from pipeline.tuning.record import flow

TEMPLATES = Path(__file__).parent / "templates"


def note(stage: str, **values: Any) -> str:
    """Return the description of a stage's run; a value that its template names must be there."""
    return _environment().get_template(f"{stage}.md").render(**values)


@cache
def _environment() -> Environment:
    made = Environment(  # Markdown, so nothing is escaped
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {each.__name__: each for each in (growth_phrase, law_phrase, foreseen_phrase)}
    made.filters |= {"phrase": phrase, "ninety_phrase": ninety_phrase, "further_phrase": further_phrase, "short": short}
    made.filters |= {"percent": _percent, "flow": _flow}
    return made


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _flow(values: Mapping[str, Any]) -> str:
    return ", ".join(flow(values))
