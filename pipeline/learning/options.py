"""The settings of one training; conf/config.yaml has the values and the reasons."""

from dataclasses import dataclass
from math import inf
from typing import Annotated, ClassVar

from pipeline.base.errors import require
from pipeline.base.rules import SEED, Rule, Section, at_least, one_of

KERNELS = ("auto", "fused", "torch", "stepwise")
LENGTHS = Rule(
    "must be a list of lengths, each at least 1",
    lambda value: isinstance(value, list) and all(type(each) is int and each >= 1 for each in value),
)
OMEGA = Rule("is the weight of Omega, at least 0", lambda weight: 0 <= weight < inf)
NORM = Rule("is a gradient norm, above 0 (.inf for no clipping)", lambda norm: norm > 0)
DEVICE = Rule("must be cpu or cuda", lambda device: device.split(":")[0] in ("cpu", "cuda"))


@dataclass(frozen=True)
class TrainingOptions(Section):
    """How replicas are trained. A field's comment in conf/config.yaml says what the value is for."""

    section: ClassVar[str] = "training"

    length: Annotated[int, at_least(1)]
    shortest: int | None
    test_lengths: Annotated[list[int], LENGTHS]
    updates: Annotated[int, at_least(1)]
    replicas: Annotated[int, at_least(1)]
    batch: Annotated[int, at_least(1)]
    clip: Annotated[float, NORM]
    regularizer: Annotated[float, OMEGA]
    probe_every: Annotated[int, at_least(1)]
    record_every: Annotated[int, at_least(1)]
    inspect_every: Annotated[int | None, at_least(1, ", or null for the first and the last update only")]
    seed: Annotated[int, SEED]
    device: Annotated[str, DEVICE]
    kernel: Annotated[str, one_of(KERNELS)]
    threads: Annotated[int | None, at_least(1, ", or null for all cores")]

    def check(self) -> None:
        """Raise `UserError` for the first value that is out of its range."""
        super().check()
        kept = self.shortest is None or 1 <= self.shortest <= self.length
        require(kept, "training.shortest", f"must be from 1 to training.length {self.length}, or null", self.shortest)
