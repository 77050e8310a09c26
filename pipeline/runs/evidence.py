"""What the gradient of one replica showed, from what the recorder kept of it."""

import numpy as np
from numpy import ndarray

from pipeline.base.numbers import LOG10_2, finite, significant
from pipeline.explanation.evidence import Evidence, Moment
from pipeline.learning import gradients
from pipeline.learning.recorder import Inspected, Recorder, ThroughTime
from pipeline.learning.scoreboard import Outcome
from pipeline.learning.signature import EXPLODING, GROWN, growth


def gathered(recorder: Recorder, outcome: Outcome, position: int) -> Evidence:
    """Return the evidence of the replica at this position among those that began, as long as it was stuck."""
    end = (outcome.updates_to_exit if outcome.solved else None) or outcome.updates_run
    records = [record for record in recorder.through_time if position in record.positions]
    records = [record for record in records if record.update <= end and _sound(record, position)] or records[:1]
    inspected = [each for each in recorder.inspections if position in each.positions and each.update <= end]
    signals = [_figure(each, position, "gradient/signal_to_noise") for each in inspected]
    known = [signal for signal in signals if signal is not None]
    return Evidence(
        init=_moment(records[0], inspected[0], position, recorder.answers),
        end=_moment(records[-1], inspected[-1], position, recorder.answers),
        signal_to_noise=finite(float(np.median(known)), 4) if known else None,
        vanished=round(float(np.median([_least_vanished(record, position) for record in records])), 4),
        first=round(float(np.median([_most_first(record, position) for record in records])), 4),
        grown=round(float(np.mean([_has_grown(record, position, recorder.answers) for record in records])), 4),
        clipped=round(recorder.clipped_share(position), 4),
        exploded=outcome.signature == EXPLODING,
    )


def _moment(record: ThroughTime, inspected: Inspected, position: int, answers: int) -> Moment:
    parts = {part: _norms(record, part, position) for part in record.log2_norms}
    return Moment(
        update=record.update,
        decay={part: finite(float(gradients.decay(norms, answers)[0]), 4) for part, norms in parts.items()},
        vanished={part: finite(float(gradients.vanished(norms)[0]), 4) for part, norms in parts.items()},
        first=_first(parts),
        signal_to_noise=_figure(inspected, position, "gradient/signal_to_noise"),
        lyapunov=_figure(inspected, position, "jacobian/lyapunov"),
        radius=_figure(inspected, position, "weight/spectral_radius"),
    )


def _first(parts: dict[str, ndarray]) -> dict[str, float]:
    return {part: significant(float(norms[0, 0] - norms.max()) * LOG10_2, 4) for part, norms in parts.items()}


def _norms(record: ThroughTime, part: str, position: int) -> ndarray:
    """Return log2 ‖∂L/∂s_t‖ of one replica, for one part s of the state, as one row."""
    return record.log2_norms[part][np.flatnonzero(record.positions == position)]


def _sound(record: ThroughTime, position: int) -> bool:
    return all(bool(np.isfinite(_norms(record, part, position)).all()) for part in record.log2_norms)


def _least_vanished(record: ThroughTime, position: int) -> float:
    return min(float(gradients.vanished(_norms(record, part, position))[0]) for part in record.log2_norms)


def _most_first(record: ThroughTime, position: int) -> float:
    parts = {part: _norms(record, part, position) for part in record.log2_norms}
    return max(_first(parts).values())


def _has_grown(record: ThroughTime, position: int, answers: int) -> bool:
    return bool(growth(_norms(record, "h", position), answers)[0] > GROWN)


def _figure(inspected: Inspected, position: int, name: str) -> float | None:
    values = inspected.figures.get(name)
    return None if values is None else finite(float(values[np.flatnonzero(inspected.positions == position)[0]]), 4)
