"""Evidence and shares as tests need them, with what does not matter filled in."""

from dataclasses import replace
from typing import Any

from pipeline.explanation.evidence import Evidence, Moment
from pipeline.explanation.rescue import Share
from pipeline.explanation.rule import Case

MOMENT = Moment(1, {"h": 0.9}, {"h": 0.0}, {"h": -0.5}, 8.0, -0.1, 1.0)
ARRIVES = Evidence(MOMENT, replace(MOMENT, update=100), 8.0, 0.0, -0.5, 0.0, 0.2, False)
GONE = replace(ARRIVES, signal_to_noise=0.5, vanished=0.9, first=-9.0)
BLOWN = replace(ARRIVES, grown=0.6, exploded=True)


def case(evidence: Evidence, bounded: bool = False, solved: int = 1, seeds: int = 4, **arms: int) -> Case:
    """A case of some failing seeds that look alike, with how many of them each arm rescues."""
    return Case({arm: Share(count, seeds) for arm, count in arms.items()}, (evidence,) * seeds, solved, bounded)


def evidence(**changes: Any) -> Evidence:
    return replace(ARRIVES, **changes)
